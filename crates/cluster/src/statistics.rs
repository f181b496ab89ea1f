//! Counters about a node's work, for /metrics and the monitor.

use std::sync::atomic::{AtomicU64, Ordering};

use skywatch_replication::{
    EntropyStats,
    hints::QueueStats,
    log::{LagAnswer, LogStats},
};

/// Totals since the node opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteStatistics {
    /// Requests to write, whatever became of them.
    pub requests: u64,
    /// Bytes of line protocol in them.
    pub bytes: u64,
    /// Points made durable.
    pub points_written: u64,
    /// Points refused: type conflicts, beyond retention.
    pub points_rejected: u64,
    /// Lines that could not be parsed.
    pub lines_unparsable: u64,
    /// Requests refused because memory for writes was full.
    pub overloaded: u64,
    /// Requests that failed through the server's fault.
    pub failed: u64,
    /// Writes of which every subscription took a copy.
    pub copies_taken: u64,
    /// Writes of which a subscription had no room for a copy.
    pub copies_dropped: u64,
    /// Points that went to other owners at once, counted for each.
    pub remote_points: u64,
    /// Points that are kept for other owners, counted for each.
    pub hinted_points: u64,
    /// Requests that fewer owners have than the consistency level asks for.
    pub below_level: u64,
    /// Requests that the owners took too long for.
    pub timeouts: u64,
}

/// What a node holds and has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeStatistics {
    /// Work done.
    pub writes: WriteStatistics,
    /// Databases in the catalogue.
    pub databases: u64,
    /// Live shards on this node.
    pub shards: u64,
    /// Series over all shards; one that lives in two shards counts twice.
    pub series: u64,
    /// Bytes of segments on disk.
    pub segment_bytes: u64,
    /// Bytes of index files on disk.
    pub index_bytes: u64,
    /// Bytes of write-ahead log on disk.
    pub wal_bytes: u64,
    /// Bytes of points in memory.
    pub memtable_bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// Of which unreadable; queries that need them fail.
    pub damaged_segments: u64,
    /// Files of points that gave way to older ones of another type, or were refused after they had been acknowledged.
    pub set_aside_files: u64,
    /// Bytes of series, tags and fields in memory, about.
    pub index_memory_bytes: u64,
    /// Deletes that merges have not carried out yet.
    pub tombstones: u64,
    /// Memtables that wait to become segments.
    pub flush_queue: u64,
    /// Bytes of segments that wait to be merged.
    pub compaction_backlog_bytes: u64,
    /// Each database's distinct series, about, and how many new ones its limits have refused since the start.
    pub cardinality: Vec<DatabaseCardinality>,
    /// Of a member of a cluster.
    pub replication: Option<ReplicationStatistics>,
}

/// What a member of a cluster keeps for others and knows of its own copies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicationStatistics {
    /// Whether this node is known to hold everything that was acknowledged for its shards.
    pub is_whole: bool,
    /// What is kept for each node, by its number.
    pub hints: Vec<(u64, QueueStats)>,
    /// How its shards compare with those of others.
    pub entropy: EntropyStats,
    /// Of a node that writes through a log.
    pub log: Option<LogStatistics>,
}

/// What a node has done with the cluster's log, and how far it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogStatistics {
    /// Since the node opened.
    pub done: LogStats,
    /// By partition.
    pub lag: LagAnswer,
}

/// Series of one database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseCardinality {
    /// Its name.
    pub database: String,
    /// Distinct series of all its shards, about: the standard error is 0.8 %.
    pub series: u64,
    /// New series refused by its limits since the start, counted with every point that asked.
    pub refused: u64,
}

/// The live counters behind [`WriteStatistics`].
#[derive(Debug, Default)]
pub(crate) struct WriteCounters {
    pub(crate) requests: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) points_written: AtomicU64,
    pub(crate) points_rejected: AtomicU64,
    pub(crate) lines_unparsable: AtomicU64,
    pub(crate) overloaded: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) copies_taken: AtomicU64,
    pub(crate) copies_dropped: AtomicU64,
    pub(crate) remote_points: AtomicU64,
    pub(crate) hinted_points: AtomicU64,
    pub(crate) below_level: AtomicU64,
    pub(crate) timeouts: AtomicU64,
}

impl WriteCounters {
    pub(crate) fn snapshot(&self) -> WriteStatistics {
        WriteStatistics {
            requests: self.requests.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            points_written: self.points_written.load(Ordering::Relaxed),
            points_rejected: self.points_rejected.load(Ordering::Relaxed),
            lines_unparsable: self.lines_unparsable.load(Ordering::Relaxed),
            overloaded: self.overloaded.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            copies_taken: self.copies_taken.load(Ordering::Relaxed),
            copies_dropped: self.copies_dropped.load(Ordering::Relaxed),
            remote_points: self.remote_points.load(Ordering::Relaxed),
            hinted_points: self.hinted_points.load(Ordering::Relaxed),
            below_level: self.below_level.load(Ordering::Relaxed),
            timeouts: self.timeouts.load(Ordering::Relaxed),
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}
