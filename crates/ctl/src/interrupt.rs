//! Waiting for long work: as long as the server lives, until the operator has had enough.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    CtlError,
    client::{Answer, Call},
    commands::Context,
    progress::Watched,
    records::Copying,
};

/// How often is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// No work of a cluster takes longer.
const WORK_TIME_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The answer to a request that may take long. Meanwhile the meta nodes are asked how far it is: that shows the operator
/// that something happens, and when none of them has answered for as long as `-timeout` (at least ten seconds), the wait
/// is over.
pub(crate) async fn long(
    context: &Context<'_, '_>,
    call: &Call<'_>,
    watched: &Watched,
) -> Result<Answer, CtlError> {
    let call = call.clone().within(WORK_TIME_MAX);
    let request = context.client.meta(&call);
    let watch = watch(context, watched);
    tokio::select! {
        answer = request => answer,
        error = watch => Err(error),
        _ = tokio::signal::ctrl_c() => Err(CtlError::Interrupted(String::new())),
    }
}

/// Looks again and again; ends when nobody has answered for too long.
async fn watch(context: &Context<'_, '_>, watched: &Watched) -> CtlError {
    let patience = context.client.timeout().max(Duration::from_secs(10));
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard_at = Instant::now();
    loop {
        ticks.tick().await;
        match context.client.meta(&Call::get("/copy-shard-status", &[])).await {
            Ok(answer) => {
                heard_at = Instant::now();
                watched.show(&answer.json::<Option<Vec<Copying>>>().ok().flatten().unwrap_or_default());
            }
            // Somebody is there, and has nothing to say about it.
            Err(CtlError::Server { .. } | CtlError::NotANode { .. }) => heard_at = Instant::now(),
            Err(_) if heard_at.elapsed() < patience => {}
            Err(_) => {
                return CtlError::TimedOut {
                    node: format!("the meta node at {}", context.client.first_bind()),
                    timeout: patience,
                    advice: "the work may go on: look with copy-shard-status and show-shards",
                };
            }
        }
    }
}
