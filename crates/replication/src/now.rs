//! Calls whose failure has to be as of now: that a node was not there a moment ago says nothing, it may have started since.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use skywatch_rpc::{CallError, Transport, tell};
use tokio::time::Instant;

/// Longer than a node that was not there is left alone.
const TRIED_WITHIN: Duration = Duration::from_millis(1_200);
/// Between two tries at one that is left alone.
const PAUSE: Duration = Duration::from_millis(50);

/// As [`tell`], and tries until something has been tried.
pub(crate) async fn tell_now<Q, A>(
    transport: &dyn Transport,
    to: &str,
    method: &'static str,
    question: &Q,
    within: Duration,
) -> Result<A, CallError>
where
    Q: Serialize + Sync,
    A: DeserializeOwned,
{
    let deadline = Instant::now() + TRIED_WITHIN;
    loop {
        match tell(transport, to, method, question, within).await {
            Err(error) if error.was_not_tried() && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}
