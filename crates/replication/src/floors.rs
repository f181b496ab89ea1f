//! Which operations this node may still send: none older than the oldest that it is at work on, nor than its clock.
//!
//! ```text
//! begin: a bound below every version that the operation may get       ends when its owners have it, or a hint is kept
//! the floor: the least bound of those at work, or else that of one that would begin now
//! ```
//!
//! Bounds and the floor are taken under one lock, and the clock never goes back: what a node has once said to be below its
//! floor it never sends again. Hints are another matter; they are asked for besides.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use skywatch_model::Version;

use crate::Member;

/// Operations at work, by their bounds.
#[derive(Debug, Default)]
pub(crate) struct Floors(Mutex<BTreeMap<Version, usize>>);

/// An operation at work; see the module's header.
#[derive(Debug)]
pub struct Pending {
    member: Arc<Member>,
    bound: Version,
}

impl Pending {
    /// No operation gets a lower version.
    pub const fn bound(&self) -> Version {
        self.bound
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut at_work = self.member.floors().0.lock();
        if let Some(count) = at_work.get_mut(&self.bound) {
            *count -= 1;
            if *count == 0 {
                at_work.remove(&self.bound);
            }
        }
    }
}

impl Member {
    /// An operation begins whose version is not chosen yet.
    pub fn begin_operation(self: &Arc<Self>) -> Pending {
        let mut at_work = self.floors().0.lock();
        let bound = self.bound_now();
        *at_work.entry(bound).or_default() += 1;
        drop(at_work);
        Pending { member: Arc::clone(self), bound }
    }

    /// Nothing of a lower version will come from this node but what it keeps for others.
    pub(crate) fn floor(&self) -> Version {
        let at_work = self.floors().0.lock();
        at_work.keys().next().copied().unwrap_or_else(|| self.bound_now())
    }

    /// Records of Kafka's have the times of records: some slack, so that not many of them get a time of their own.
    fn bound_now(&self) -> Version {
        let now = self.owner().tick();
        if self.forget().after.is_zero() { Version::ZERO } else { older(now, self.forget().after / 2) }
    }
}

/// A version so much older.
pub(crate) fn older(version: Version, by: Duration) -> Version {
    let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    Version::from_parts(version.ms().saturating_sub(by_ms), 0, 0)
}
