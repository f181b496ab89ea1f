//! How old the catalogue of a member may be.
//!
//! A leader asks a majority again and again whether it still leads. What they confirm holds for the moment at which it
//! began to ask: whatever was acknowledged before then is in its log, up to the entry that was committed. A follower asks
//! the leader how long ago that was, and adds the time since it asked. Whoever has applied that entry is as fresh.
//!
//! Every moment is one of the own clock before a question was sent, so that no clock is compared with another, and neither
//! a slow network nor a process that was stopped for a while makes anything look younger than it is.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
    time::Duration,
};

use openraft::{RaftMetrics, ServerState};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use skywatch_rpc::{CallError, Failure, FailureKind, Transport, tell};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use crate::{
    raft_types::{Member, Raft},
    succession::Vigil,
};

pub(crate) type Metrics = RaftMetrics<u64, Member>;

/// Between two looks whether there is something to ask.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// How long an answer is waited for; a later one would be old news.
const ASK_LIMIT: Duration = Duration::from_secs(1);

/// So many answers of the leader are remembered.
const HEARD_MAX: usize = 16;

/// `raft.fresh` to the leader.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AskFresh {
    /// The member that is asked.
    pub(crate) to: u64,
}

/// Its answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fresh {
    /// How long ago it surely led.
    age_ms: u64,
    /// What was committed then.
    committed: u64,
}

/// That what is committed up to an entry is all that was acknowledged before a moment.
#[derive(Debug, Clone, Copy)]
struct Confirmed {
    as_of: Instant,
    committed: u64,
}

/// What is known of it.
#[derive(Debug, Default)]
pub(crate) struct Freshness {
    metrics: OnceLock<watch::Receiver<Metrics>>,
    /// By a majority, to this member as the leader.
    own: Mutex<Option<Confirmed>>,
    /// By the leader, the latest last: the own log may be a little behind what it says.
    heard: Mutex<VecDeque<Confirmed>>,
}

impl Freshness {
    /// Raft has started: these are its metrics.
    pub(crate) fn follow(&self, metrics: watch::Receiver<Metrics>) {
        self.metrics.get_or_init(|| metrics);
    }

    /// How long ago this member surely led; `None` if it does not lead, or no majority has said so yet.
    pub(crate) fn leading(&self) -> Option<Duration> {
        let is_leader = self.metrics.get()?.borrow().state == ServerState::Leader;
        let confirmed = (*self.own.lock())?;
        is_leader.then(|| confirmed.as_of.elapsed())
    }

    /// How old a catalogue is that has seen the log up to `applied`; `None` if that cannot be told.
    pub(crate) fn age(&self, applied: Option<u64>) -> Option<Duration> {
        let own = *self.own.lock();
        let heard = self.heard.lock();
        let known = heard.iter().copied().chain(own);
        let seen = known.filter(|known| applied.unwrap_or(0) >= known.committed);
        seen.map(|known| known.as_of.elapsed()).min()
    }

    fn hear(&self, confirmed: Confirmed) {
        let mut heard = self.heard.lock();
        if heard.len() == HEARD_MAX {
            heard.pop_front();
        }
        heard.push_back(confirmed);
    }

    /// Answers `raft.fresh`.
    pub(crate) fn answer(&self) -> Result<Fresh, Failure> {
        let confirmed = *self.own.lock();
        match (self.leading(), confirmed) {
            (Some(age), Some(confirmed)) => {
                Ok(Fresh { age_ms: age.as_millis() as u64 + 1, committed: confirmed.committed })
            }
            _ => Err(Failure::new(FailureKind::Unavailable, "this member does not lead")),
        }
    }
}

/// Keeps asking until the future is dropped.
pub(crate) async fn keep(
    me: u64,
    raft: Raft,
    freshness: Arc<Freshness>,
    vigil: Arc<Vigil>,
    transport: Arc<dyn Transport>,
    every: Duration,
) {
    let mut changes = raft.metrics();
    let mut asked: Option<Instant> = None;
    let mut was_leader = false;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let metrics = raft.metrics().borrow().clone();
        let is_leader = metrics.state == ServerState::Leader;
        if asked.is_some_and(|at| at.elapsed() < every) && is_leader == was_leader {
            continue;
        }
        let now = Instant::now();
        (asked, was_leader) = (Some(now), is_leader);
        if is_leader {
            if let Ok(Ok((read, _))) = timeout(ASK_LIMIT, raft.get_read_log_id()).await {
                let committed = read.map_or(0, |id| id.index);
                *freshness.own.lock() = Some(Confirmed { as_of: now, committed });
            }
            continue;
        }
        let leader = metrics.current_leader.filter(|leader| *leader != me);
        let Some((leader, member)) =
            leader.and_then(|id| Some((id, metrics.membership_config.membership().get_node(&id)?.clone())))
        else {
            continue;
        };
        vigil.watch(leader);
        let question = AskFresh { to: leader };
        let asking = tell(&*transport, &member.raft_addr, "raft.fresh", &question, ASK_LIMIT);
        let another = |metrics: &Metrics| metrics.current_leader.is_some_and(|now| now != leader);
        let answer: Result<Fresh, CallError> = tokio::select! {
            biased;
            answer = asking => answer,
            // Whoever is asked in vain is not waited for once there is another one.
            () = async { drop(changes.wait_for(another).await) } => continue,
        };
        if answer.as_ref().map_or_else(|error| error.failure().is_some(), |_| true) {
            vigil.answered(leader);
        }
        if let Ok(fresh) = answer
            && let Some(as_of) = now.checked_sub(Duration::from_millis(fresh.age_ms))
        {
            freshness.hear(Confirmed { as_of, committed: fresh.committed });
        }
    }
}
