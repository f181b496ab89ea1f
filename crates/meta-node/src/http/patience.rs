//! Questions to data nodes whose answers make up a table. A node that has just been added or started does not know
//! everything that it is asked yet; it is asked again for a moment, so that a script need not.

use std::{future::Future, time::Duration};

use skywatch_rpc::{CallError, FailureKind};
use tokio::time::Instant;

/// How long a data node has to answer, whatever it says first.
pub(super) const ASK_LIMIT: Duration = Duration::from_secs(3);
/// Between two questions to a node that does not know them yet.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks until the node knows the question, or [`ASK_LIMIT`] is over; `ask` is told how long it may take.
pub(super) async fn patiently<T, F>(ask: impl Fn(Duration) -> F) -> Result<T, CallError>
where
    F: Future<Output = Result<T, CallError>>,
{
    let deadline = Instant::now() + ASK_LIMIT;
    loop {
        let told = ask(deadline.saturating_duration_since(Instant::now())).await;
        let is_early =
            |error: &CallError| error.failure().is_some_and(|failure| failure.kind == FailureKind::Unknown);
        if !told.as_ref().is_err_and(is_early) || Instant::now() + PAUSE >= deadline {
            return told;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use skywatch_rpc::Failure;

    use super::*;

    fn no(kind: FailureKind) -> CallError {
        CallError::Failed { to: "d1:8088".into(), failure: Failure::new(kind, "no") }
    }

    /// Asks a node that says `first` so many times before it answers, and tells how often it was asked.
    async fn asked(first: FailureKind, times: u32) -> (Result<u32, CallError>, u32) {
        let count = AtomicU32::new(0);
        let told = patiently(|_| {
            let before = count.fetch_add(1, Ordering::Relaxed);
            async move { if before < times { Err(no(first)) } else { Ok(before) } }
        });
        let told = told.await;
        (told, count.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_does_not_know_the_question_yet_is_asked_again_for_a_while() {
        assert_eq!(asked(FailureKind::Unknown, 5).await, (Ok(5), 6));
        let begun = Instant::now();
        let (told, _) = asked(FailureKind::Unknown, u32::MAX).await;
        assert_eq!(told, Err(no(FailureKind::Unknown)));
        assert!(begun.elapsed() <= ASK_LIMIT, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn every_other_answer_counts_at_once() {
        assert_eq!(asked(FailureKind::Unavailable, 1).await, (Err(no(FailureKind::Unavailable)), 1));
        assert_eq!(asked(FailureKind::Unknown, 0).await, (Ok(0), 1));
    }
}
