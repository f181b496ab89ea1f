//! What a shard has done since it was opened, counted where it is done.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use super::Shard;

/// Totals since the shard was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShardWork {
    /// Batches stored, in whole or but for points that do not fit.
    pub writes_ok: u64,
    /// Batches that failed.
    pub writes_failed: u64,
    /// Points stored.
    pub points_written: u64,
    /// Points that did not fit: other types, limits on cardinality.
    pub points_rejected: u64,
    /// Points of batches that failed.
    pub points_failed: u64,
    /// Fields seen for the first time.
    pub fields_created: u64,
    /// Bytes of memtables that became segments.
    pub flushed_bytes: u64,
    /// Memtables that became segments.
    pub flushes: ChoreWork,
    /// Segments merged into one.
    pub merges: ChoreWork,
}

/// What became of one kind of upkeep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChoreWork {
    /// Under way now.
    pub active: u64,
    /// Done.
    pub done: u64,
    /// Failed; they are tried again.
    pub failed: u64,
    /// Time they took, those that failed included.
    pub duration_ns: u64,
}

/// The live counters behind [`ShardWork`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    writes_ok: AtomicU64,
    writes_failed: AtomicU64,
    points_written: AtomicU64,
    points_rejected: AtomicU64,
    points_failed: AtomicU64,
    pub(super) fields_created: AtomicU64,
    pub(super) flushed_bytes: AtomicU64,
    pub(super) flushes: Chore,
    pub(super) merges: Chore,
}

/// Counters of one kind of upkeep.
#[derive(Debug, Default)]
pub(super) struct Chore {
    active: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    duration_ns: AtomicU64,
}

impl Chore {
    /// Does it and counts it.
    pub(super) fn count<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let started = Instant::now();
        self.active.fetch_add(1, Ordering::Relaxed);
        let result = work();
        self.active.fetch_sub(1, Ordering::Relaxed);
        add(if result.is_ok() { &self.done } else { &self.failed }, 1);
        add(&self.duration_ns, u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        result
    }

    fn read(&self) -> ChoreWork {
        ChoreWork {
            active: self.active.load(Ordering::Relaxed),
            done: self.done.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            duration_ns: self.duration_ns.load(Ordering::Relaxed),
        }
    }
}

impl Counters {
    /// Counts a batch of so many points.
    pub(super) fn written(&self, report: &super::WriteReport) {
        add(&self.writes_ok, 1);
        add(&self.points_written, report.written);
        add(&self.points_rejected, report.rejected.len() as u64);
    }

    /// A write of so many points failed.
    pub(super) fn failed(&self, points: usize) {
        add(&self.writes_failed, 1);
        add(&self.points_failed, points as u64);
    }
}

impl Shard {
    /// What it has done since it was opened.
    pub fn work(&self) -> ShardWork {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        ShardWork {
            writes_ok: read(&counters.writes_ok),
            writes_failed: read(&counters.writes_failed),
            points_written: read(&counters.points_written),
            points_rejected: read(&counters.points_rejected),
            points_failed: read(&counters.points_failed),
            fields_created: read(&counters.fields_created),
            flushed_bytes: read(&counters.flushed_bytes),
            flushes: counters.flushes.read(),
            merges: counters.merges.read(),
        }
    }
}

pub(super) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chore_counts_how_it_ended() {
        let chore = Chore::default();
        assert_eq!(chore.count(|| Ok::<_, ()>(chore.read().active)), Ok(1));
        assert_eq!(chore.count(|| Err::<(), _>("full")), Err("full"));
        let work = chore.read();
        assert_eq!((work.active, work.done, work.failed), (0, 1, 1));
        assert!(work.duration_ns > 0);
    }
}
