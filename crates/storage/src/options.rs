//! What a store can be told, with the limits it keeps.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::{Consumer, MemoryBudget, ShardId};

/// When a write is acknowledged, by the crash it then survives.
///
/// | | process killed | kernel panic, power cut |
/// |---|---|---|
/// | `Fsync` | nothing lost | nothing lost |
/// | `Interval(d)` | nothing lost | at most what was acknowledged in the last `d` and the sync after it |
/// | `None` | nothing lost | what the kernel had not written back: usually up to 30 s, no promise |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// After the log is synced. Concurrent writers share syncs.
    #[default]
    Fsync,
    /// After the log is written; it is synced this often.
    Interval(Duration),
    /// After the log is written; the kernel decides when it reaches the disk.
    None,
}

/// Whether flushed cells keep the version they were written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VersionPolicy {
    /// They do not: this store is the only owner, so whatever arrives later is newer.
    #[default]
    Strip,
    /// They do, because other owners may still send older ones.
    Keep,
}

/// How a store is run. The defaults suit one small server.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// When a write is acknowledged.
    pub durability: Durability,
    /// Whether versions outlive a flush.
    pub versions: VersionPolicy,
    /// What the store takes its memory from. Unflushed points of all shards together stay within the share of
    /// [`Consumer::Memtables`](crate::Consumer::Memtables), series within that of the index.
    pub memory: Arc<MemoryBudget>,
    /// A shard's memtable is flushed when it has grown to this, or to half of what all of them may take.
    pub flush_bytes: u64,
    /// A memtable is flushed when its oldest row has been in memory this long.
    pub flush_age: Duration,
    /// A memtable of more than 1 MiB is flushed when its shard has not been written to for this long, at most once a
    /// minute; and two segments of about one size are merged if they have times in common, or are small.
    pub flush_idle: Duration,
    /// How long a write waits for memory before it is refused.
    pub overload_wait: Duration,
    /// A shard not written to for this long is flushed and has its segments merged into one, as far as that does not
    /// rewrite more than a megabyte for each second it has been idle (64 MiB at least).
    ///
    /// The default is just above the longest interval at which agents usually write: then it is not taken for the end
    /// of the writes, and a load that has ended is tidy soon. What a misjudgement costs is bounded as said.
    pub cold_after: Duration,
    /// Segments larger than this are not merged further, in bytes.
    pub max_segment_bytes: u64,
    /// The most that compaction of all shards together writes, in bytes a second; 0 for no limit.
    pub compaction_bytes_per_sec: u64,
    /// Deletes that a shard remembers at most before statements are refused; half a kilobyte each.
    pub deletes_max: usize,
    /// Whether the store flushes and compacts by itself. Tests that count operations say no.
    pub background: bool,
    /// Shards of which others have copies: one that is too damaged to be opened is set aside in the place of refusing to
    /// open anything.
    pub replaceable: BTreeSet<ShardId>,
}

impl StoreOptions {
    /// Most memory for unflushed points unless told otherwise, in bytes. More would not make writes faster, only the
    /// log to replay at the next start longer.
    pub const MEMTABLE_BYTES_MAX: u64 = 128 << 20;
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            versions: VersionPolicy::default(),
            memory: Arc::new(
                MemoryBudget::new(1 << 30).with_ceiling(Consumer::Memtables, Self::MEMTABLE_BYTES_MAX),
            ),
            flush_bytes: 32 << 20,
            flush_age: Duration::from_secs(600),
            flush_idle: Duration::from_secs(5),
            overload_wait: Duration::from_secs(2),
            cold_after: Duration::from_secs(75),
            max_segment_bytes: 2 << 30,
            compaction_bytes_per_sec: 64 << 20,
            deletes_max: 65_536,
            background: true,
            replaceable: BTreeSet::new(),
        }
    }
}
