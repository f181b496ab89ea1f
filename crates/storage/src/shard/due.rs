//! When a memtable is flushed. Pure: what is known comes in, the reason comes out.

use std::time::Duration;

use crate::StoreOptions;

/// A memtable smaller than this, in bytes, waits for its age or for company.
const IDLE_FLUSH_BYTES: u64 = 1 << 20;
/// The shortest time between flushes of an idle shard: bursts that come and go leave one small segment in this time,
/// not one each.
const IDLE_FLUSH_PAUSE: Duration = Duration::from_secs(60);

/// Why a shard is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlushCause {
    /// An earlier flush failed.
    Unfinished,
    /// The memtable has grown to its limit.
    Full,
    /// Its oldest row has been in memory long enough.
    Old,
    /// Nothing has been written for so long that compaction may tidy up.
    Cold,
    /// Nothing is written any more: memory, log and the way over the log at a start can be had for one small segment.
    Idle,
    /// All shards together use too much memory, and this one most.
    Memory,
}

/// What is known of a shard's unflushed rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unflushed {
    /// Whether a memtable waits for its flush.
    pub(super) has_frozen: bool,
    /// Of the memtable that takes rows.
    pub(super) size_bytes: u64,
    /// Of its oldest row; `None` without rows.
    pub(super) age: Option<Duration>,
    /// Since the latest write.
    pub(super) idle: Duration,
    /// Since the latest flush for [`FlushCause::Idle`]; `None` before the first.
    pub(super) since_idle_flush: Option<Duration>,
}

impl Unflushed {
    /// Why to flush now, if so.
    pub(super) fn cause(self, options: &StoreOptions) -> Option<FlushCause> {
        if self.has_frozen {
            return Some(FlushCause::Unfinished);
        }
        let age = self.age?;
        if self.size_bytes >= options.flush_bytes {
            return Some(FlushCause::Full);
        }
        if age >= options.flush_age {
            return Some(FlushCause::Old);
        }
        if self.idle >= options.cold_after {
            return Some(FlushCause::Cold);
        }
        let is_idle = self.idle >= options.flush_idle
            && self.size_bytes >= IDLE_FLUSH_BYTES
            && self.since_idle_flush.is_none_or(|since| since >= IDLE_FLUSH_PAUSE);
        is_idle.then_some(FlushCause::Idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_moment() {
        let seconds = Duration::from_secs;
        let options = StoreOptions::default();
        let quiet = Unflushed {
            has_frozen: false,
            size_bytes: 2 << 20,
            age: Some(seconds(6)),
            idle: seconds(1),
            since_idle_flush: None,
        };
        let cause = |unflushed: Unflushed| unflushed.cause(&options);
        assert_eq!(cause(quiet), None);
        assert_eq!(cause(Unflushed { idle: seconds(6), ..quiet }), Some(FlushCause::Idle));
        assert_eq!(cause(Unflushed { idle: seconds(6), size_bytes: 1 << 19, ..quiet }), None);
        let again = Unflushed { idle: seconds(6), since_idle_flush: Some(seconds(20)), ..quiet };
        assert_eq!(cause(again), None, "one segment a minute");
        assert_eq!(cause(Unflushed { since_idle_flush: Some(seconds(61)), ..again }), Some(FlushCause::Idle));
        assert_eq!(cause(Unflushed { size_bytes: 1 << 30, ..quiet }), Some(FlushCause::Full));
        assert_eq!(
            cause(Unflushed { age: Some(seconds(601)), size_bytes: 1, ..quiet }),
            Some(FlushCause::Old)
        );
        assert_eq!(cause(Unflushed { idle: seconds(300), size_bytes: 1, ..quiet }), Some(FlushCause::Cold));
        assert_eq!(cause(Unflushed { has_frozen: true, ..quiet }), Some(FlushCause::Unfinished));
        assert_eq!(cause(Unflushed { has_frozen: true, age: None, ..quiet }), Some(FlushCause::Unfinished));
        assert_eq!(cause(Unflushed { age: None, size_bytes: 0, idle: seconds(999), ..quiet }), None);
    }
}
