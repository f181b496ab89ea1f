//! Waiting for long work: as long as the server lives, until the operator has had enough.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    CtlError, Streams,
    client::{Answer, Call, Client},
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
/// is over. So it is when they say that the data node which copies a shard has not answered, or has found nobody to copy
/// it from, for as long as `-timeout`.
pub(crate) async fn long(
    context: &mut Context<'_, '_>,
    call: &Call<'_>,
    watched: &Watched,
) -> Result<Answer, CtlError> {
    let Context { client, streams, .. } = context;
    let call = call.clone().within(WORK_TIME_MAX);
    tokio::select! {
        answer = client.meta(&call) => answer,
        error = watch(client, streams, watched) => Err(error),
        _ = tokio::signal::ctrl_c() => Err(CtlError::Interrupted(String::new())),
    }
}

/// Looks again and again; ends when nobody has answered for too long.
async fn watch(client: &Client, streams: &mut Streams<'_>, watched: &Watched) -> CtlError {
    let patience = client.timeout().max(Duration::from_secs(10));
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard_at = Instant::now();
    let mut copier = Copier { heard_at, is_stuck: false };
    loop {
        ticks.tick().await;
        // A meta node that asks data nodes waits for those that do not answer, whatever `-timeout` is.
        match client.meta(&Call::get("/copy-shard-status", &[]).within(patience)).await {
            Ok(answer) => {
                heard_at = Instant::now();
                let copies = answer.json::<Option<Vec<Copying>>>().ok().flatten().unwrap_or_default();
                if let Some(given_up) = copier.look(watched.find(&copies), client, streams, watched) {
                    return given_up;
                }
            }
            // Somebody is there, and has nothing to say about it.
            Err(CtlError::Server { .. } | CtlError::NotANode { .. }) => heard_at = Instant::now(),
            Err(_) if heard_at.elapsed() < patience => {}
            Err(_) => {
                return CtlError::TimedOut {
                    node: format!("the meta node at {}", client.first_bind()),
                    timeout: patience,
                    advice: "the work may go on: look with copy-shard-status and show-shards",
                };
            }
        }
    }
}

/// The data node that is to get a shard.
struct Copier {
    /// When nothing was known to be in its way.
    heard_at: Instant,
    is_stuck: bool,
}

impl Copier {
    /// Shows how far its copy is; or says, once, why it does not get on, and in the end gives it up.
    fn look(
        &mut self,
        copy: Option<&Copying>,
        client: &Client,
        streams: &mut Streams<'_>,
        watched: &Watched,
    ) -> Option<CtlError> {
        let Some(stuck) = copy.filter(|copy| !copy.silence.is_empty() || !copy.trouble.is_empty()) else {
            (self.heard_at, self.is_stuck) = (Instant::now(), false);
            if let Some(copy) = copy {
                watched.show(copy);
            }
            return None;
        };
        if !self.is_stuck {
            watched.aside(|| streams.tell(&waiting_for(stuck)));
            self.is_stuck = true;
        }
        (self.heard_at.elapsed() >= client.timeout()).then(|| given_up(stuck, client.timeout()))
    }
}

fn waiting_for(Copying { shard_id, dest, silence, trouble, .. }: &Copying) -> String {
    match silence.is_empty() {
        false => format!("waiting for the data node at {dest}: {silence}"),
        true => format!("shard {shard_id} does not get to the data node at {dest}: {trouble}"),
    }
}

fn given_up(Copying { shard_id, dest, silence, trouble, .. }: &Copying, timeout: Duration) -> CtlError {
    if silence.is_empty() {
        return CtlError::local(format!(
            "shard {shard_id} did not get to the data node at {dest} within {timeout:?} (-timeout): {trouble}; it stays an owner of the shard, and copies it when it can; kill-copy-shard takes that back"
        ));
    }
    CtlError::TimedOut {
        node: format!("the data node at {dest}"),
        timeout,
        advice: "it stays an owner of the shard, and copies it when it is back; kill-copy-shard takes that back",
    }
}
