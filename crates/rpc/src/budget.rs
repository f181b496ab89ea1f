//! A bound on bytes: who holds some has taken them from here.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// Bytes that may be held at a time.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    bytes: Arc<Semaphore>,
    total: usize,
}

/// Bytes held; they are free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Held(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Budget {
    /// So many bytes.
    pub(crate) fn new(total: usize) -> Self {
        let total = total.clamp(1, u32::MAX as usize).min(Semaphore::MAX_PERMITS);
        Self { bytes: Arc::new(Semaphore::new(total)), total }
    }

    /// What is asked for, or all there are: a single message larger than the budget is let through alone.
    fn permits(&self, bytes: usize) -> u32 {
        bytes.min(self.total) as u32
    }

    /// Takes bytes, if they are free.
    pub(crate) fn take_now(&self, bytes: usize) -> Option<Held> {
        Arc::clone(&self.bytes).try_acquire_many_owned(self.permits(bytes)).ok().map(Held)
    }

    /// Takes bytes, waiting for others to give theirs back; the longest wait is served first.
    pub(crate) async fn take(&self, bytes: usize, deadline: Instant) -> Option<Held> {
        let wait = Arc::clone(&self.bytes).acquire_many_owned(self.permits(bytes));
        timeout_at(deadline, wait).await.ok()?.ok().map(Held)
    }

    /// Bytes that are held.
    pub(crate) fn held(&self) -> usize {
        self.total - self.bytes.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_are_held_until_they_are_given_back() {
        let budget = Budget::new(10);
        let held = budget.take_now(7).expect("room");
        assert!(budget.take_now(4).is_none());
        assert!(budget.take(4, Instant::now() + Duration::from_secs(1)).await.is_none());
        assert_eq!(budget.held(), 7);
        drop(held);
        assert!(budget.take_now(1_000).is_some(), "alone, even more than there is");
    }
}
