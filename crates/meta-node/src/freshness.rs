//! How old the catalogue of a member may be.
//!
//! A leader that a majority answered at a time was the leader then: whatever was acknowledged before is in its log. It
//! tells its followers how long ago that was, and what it had committed; a follower that has applied as much is as fresh.
//! Ages only ever add up, so that no clock is compared with another.

use std::{sync::OnceLock, time::Duration};

use openraft::{RaftMetrics, ServerState};
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

use crate::raft_types::Member;

pub(crate) type Metrics = RaftMetrics<u64, Member>;

/// What is known of it.
#[derive(Debug)]
pub(crate) struct Freshness {
    /// How old what Raft tells of itself may be.
    tick: Duration,
    metrics: OnceLock<watch::Receiver<Metrics>>,
    heard: Mutex<Option<Heard>>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    at: Instant,
    /// The leader's own age then.
    age: Duration,
    committed: u64,
}

impl Freshness {
    pub(crate) fn new(tick: Duration) -> Self {
        Self { tick, metrics: OnceLock::new(), heard: Mutex::new(None) }
    }

    /// Raft has started: these are its metrics.
    pub(crate) fn follow(&self, metrics: watch::Receiver<Metrics>) {
        self.metrics.get_or_init(|| metrics);
    }

    /// For how long no majority has said that this node leads; `None` if it does not, or none ever has.
    pub(crate) fn leading(&self) -> Option<Duration> {
        let metrics = self.metrics.get()?.borrow();
        if metrics.state != ServerState::Leader {
            return None;
        }
        if metrics.membership_config.voter_ids().count() == 1 {
            return Some(Duration::ZERO);
        }
        metrics.millis_since_quorum_ack.map(|millis| Duration::from_millis(millis) + self.tick)
    }

    /// A leader that says that it was one `age` ago has told what it committed.
    pub(crate) fn hear(&self, age: Option<Duration>, committed: Option<u64>) {
        let Some(age) = age else { return };
        *self.heard.lock() = Some(Heard { at: Instant::now(), age, committed: committed.unwrap_or(0) });
    }

    /// How old a catalogue is that has seen the log up to `applied`; `None` if that cannot be told.
    pub(crate) fn age(&self, applied: Option<u64>) -> Option<Duration> {
        self.leading().or_else(|| {
            let heard = (*self.heard.lock())?;
            (applied.unwrap_or(0) >= heard.committed).then(|| heard.age + heard.at.elapsed())
        })
    }
}
