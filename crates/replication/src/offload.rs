//! Blocking work inside asynchronous code.

use std::thread;

use tokio::runtime::{Handle, RuntimeFlavor};

/// How much less of a busy processor quiet work gets than what clients wait for: about a third, so that it ends even where
/// processors are never idle.
const NICE: i32 = 5;

/// Does work that blocks, as storage does. On a runtime with several threads the others go on meanwhile; on one with a
/// single thread, as in a simulation, everything waits, so that one seed gives one history.
pub fn offload<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// As [`offload`], for work that no client waits for, such as catching up or comparing: where processors are busy, it lets
/// others go first; where they are not, it is as fast. A thread that has stepped back cannot step forward again, so that it
/// is one of its own.
pub(crate) fn offload_quietly<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let Ok(RuntimeFlavor::MultiThread) = Handle::try_current().map(|handle| handle.runtime_flavor()) else {
        return work();
    };
    tokio::task::block_in_place(|| {
        thread::scope(|scope| {
            let quiet = scope.spawn(|| {
                let is_loud = rustix::process::getpriority_process(None).is_ok_and(|nice| nice < NICE);
                // Without it the work is done as well.
                if is_loud && let Err(error) = rustix::process::setpriority_process(None, NICE) {
                    tracing::debug!(%error, "a thread cannot step back");
                }
                work()
            });
            quiet.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).expect("it can always be read")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn quiet_work_steps_back_and_leaves_others_as_they_were() {
        let before = niceness();
        let inside = offload_quietly(niceness);
        assert_eq!(niceness(), before);
        assert!(inside >= NICE.max(before), "{inside}");
    }
}
