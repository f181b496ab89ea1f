//! Answers that are asked for before they are needed.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use skywatch_storage::ReadError;
use tokio::task::AbortHandle;

/// An answer that may still be on its way. When nobody can want it any more, it is not waited for either.
#[derive(Debug)]
pub(crate) struct Promise<T> {
    shared: Arc<Shared<T>>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared<T> {
    answer: Mutex<Option<Result<T, ReadError>>>,
    changed: Condvar,
}

/// Whoever keeps a promise. Dropped without having done so, because the node stops, it breaks it.
#[derive(Debug)]
pub(crate) struct Keeper<T>(Arc<Shared<T>>);

impl<T> Promise<T> {
    /// A promise that the task which `spawn` starts keeps.
    pub(crate) fn new(spawn: impl FnOnce(Keeper<T>) -> AbortHandle) -> Self {
        let shared = Arc::new(Shared { answer: Mutex::new(None), changed: Condvar::new() });
        let task = spawn(Keeper(Arc::clone(&shared)));
        Self { shared, task }
    }
}

impl<T: Clone> Promise<T> {
    /// The answer, once it is there. Blocks.
    pub(crate) fn wait(&self) -> Result<T, ReadError> {
        let mut answer = self.shared.answer.lock();
        loop {
            match &*answer {
                Some(Ok(answer)) => return Ok(answer.clone()),
                Some(Err(error)) => return Err(same(error)),
                None => self.shared.changed.wait(&mut answer),
            }
        }
    }

    /// The answer, if it is there already and none that failed.
    pub(crate) fn kept(&self) -> Option<T> {
        self.shared.answer.lock().as_ref()?.as_ref().ok().cloned()
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T> Keeper<T> {
    /// Hands over the answer.
    pub(crate) fn keep(&self, answer: Result<T, ReadError>) {
        self.0.answer.lock().get_or_insert(answer);
        self.0.changed.notify_all();
    }
}

impl<T> Drop for Keeper<T> {
    fn drop(&mut self) {
        self.keep(Err(ReadError::Stopped));
    }
}

/// The same error once more, as far as asking others can give it.
fn same(error: &ReadError) -> ReadError {
    match error {
        ReadError::Unreachable { shard, reason, advice } => {
            ReadError::Unreachable { shard: *shard, reason: reason.clone(), advice: advice.clone() }
        }
        _ => ReadError::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn promise(
        runtime: &tokio::runtime::Runtime,
        keep: impl FnOnce(Keeper<u8>) + Send + 'static,
    ) -> Promise<u8> {
        Promise::new(|keeper| {
            let task = runtime.spawn(async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                keep(keeper);
            });
            task.abort_handle()
        })
    }

    #[test]
    fn everybody_gets_what_was_promised_and_nobody_waits_for_ever() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let kept = promise(&runtime, |keeper| keeper.keep(Ok(7)));
        assert_eq!(kept.kept(), None);
        assert_eq!((kept.wait().ok(), kept.wait().ok()), (Some(7), Some(7)));
        assert_eq!(kept.kept(), Some(7));
        let advice = String::new();
        let failed = promise(&runtime, |keeper| {
            keeper.keep(Err(ReadError::Unreachable { shard: 3, reason: "gone".into(), advice }));
        });
        for _ in 0..2 {
            assert!(matches!(failed.wait(), Err(ReadError::Unreachable { shard: 3, .. })));
        }
        assert!(matches!(promise(&runtime, drop).wait(), Err(ReadError::Stopped)));
        let stopped = promise(&runtime, |_| unreachable!("the task has been ended"));
        stopped.task.abort();
        assert!(matches!(stopped.wait(), Err(ReadError::Stopped)));
    }
}
