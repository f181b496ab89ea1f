//! What ingestion counts of itself.

use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;

use crate::statistics::get;

/// What one member of a group has done since it began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IngestStatistics {
    /// Records read.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Points stored.
    pub points: u64,
    /// Batches in which they were.
    pub batches: u64,
    /// Lines that could not be parsed.
    pub bad_lines: u64,
    /// Records, or parts of them, that were set aside.
    pub set_aside: u64,
    /// What could not even be set aside, since the brokers refused it; the log names the records.
    pub lost: u64,
    /// Writes that had to be tried again.
    pub retries: u64,
    /// Times that partitions were taken away or given.
    pub rebalances: u64,
    /// Errors of reading that ended by themselves.
    pub errors: u64,
    /// Partitions that are read.
    pub partitions: Vec<PartitionLag>,
}

/// How far the reading of a partition is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionLag {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// Records that are not committed yet.
    pub lag: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) records: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) points: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) bad_lines: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) rebalances: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) partitions: Mutex<Vec<PartitionLag>>,
}

impl Counters {
    pub(super) fn read(&self, set_aside: u64) -> IngestStatistics {
        IngestStatistics {
            records: get(&self.records),
            bytes: get(&self.bytes),
            points: get(&self.points),
            batches: get(&self.batches),
            bad_lines: get(&self.bad_lines),
            set_aside,
            lost: get(&self.lost),
            retries: get(&self.retries),
            rebalances: get(&self.rebalances),
            errors: get(&self.errors),
            partitions: self.partitions.lock().clone(),
        }
    }
}
