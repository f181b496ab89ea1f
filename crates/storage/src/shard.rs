//! A shard: a range of time of one retention policy, with its log, memtables, segments and index.
//!
//! [`write`] takes points in, [`delete`] takes them out, before or after they came ([`late`]), [`snapshot`] lets them be read, [`recover`] opens what a stop left, [`upkeep`] flushes
//! and compacts, [`work`] counts. [`digest`], [`survey`], [`exchange`], [`listed`], [`forget`] and [`types`] are for other owners of the same shard; [`set_aside`] keeps what was given up for them.
//!
//! Lock order, outermost first; none is held while waiting for a sync of the log:
//! `digesting`, `flushing` or `compacting`, `manifest`, `gate`, `tables`, `index`, `known`, the log's own.

mod delete;
mod digest;
mod due;
mod exchange;
mod export;
mod forget;
mod late;
mod listed;
mod recover;
mod set_aside;
mod snapshot;
mod survey;
mod types;
mod upkeep;
mod work;
mod write;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use skywatch_model::{TimeRange, Version};

pub use delete::DeleteReport;
pub use digest::Refreshed;
pub(crate) use due::FlushCause;
pub use exchange::{DamagedSegment, ImportReport};
pub use export::{PinnedFile, PinnedShard};
pub(crate) use recover::Opening;
pub use recover::RecoveryReport;
pub use types::Precedence;
pub(crate) use upkeep::{index_number, index_path};
pub use work::{ChoreWork, ShardWork};
pub use write::{Rejected, WriteReport, refuse_points};

use crate::{
    Reservation, SeriesLimit, SeriesSketch, ShardRead, StoreOptions, WriteError,
    fs::Fs,
    index::Index,
    manifest::Manifest,
    memtable::MemTable,
    rows::FieldId,
    segment::{Segment, SegmentMeta},
    store::Shared,
    tombstone::{Tombstones, Waste},
    wal::Log,
};

/// Names a shard; unique in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u64);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Sizes of a shard at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShardStats {
    /// Series known, without those dropped.
    pub series: u64,
    /// Segment files.
    pub segments: u64,
    /// Of which damaged, wholly or in part; queries that need what is damaged fail, and they are not compacted.
    pub damaged_segments: u64,
    /// Rows in segments, counting those rewritten and not yet compacted twice.
    pub segment_rows: u64,
    /// Values in segments.
    pub segment_values: u64,
    /// Bytes of segments.
    pub segment_bytes: u64,
    /// Bytes of the index files.
    pub index_bytes: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Of which in the file that writes go to.
    pub log_tail_bytes: u64,
    /// Memory of unflushed points.
    pub memory_bytes: u64,
    /// Files of points that gave way to older ones of another type, or were refused after they had been acknowledged.
    pub set_aside_files: u64,
    /// Deletes that compaction has not carried out yet.
    pub tombstones: u64,
    /// Memory of the index, about.
    pub index_memory_bytes: u64,
    /// Memtables that wait to become segments.
    pub flush_queue: u64,
    /// Bytes of segments that the next merge would rewrite; 0 when there is nothing to merge.
    pub compaction_backlog_bytes: u64,
}

impl ShardStats {
    /// Segments, index and log together.
    pub const fn disk_bytes(&self) -> u64 {
        self.segment_bytes + self.index_bytes + self.log_bytes
    }
}

/// See the module's header.
pub struct Shard {
    id: ShardId,
    dir: PathBuf,
    range: TimeRange,
    fs: Arc<dyn Fs>,
    options: Arc<StoreOptions>,
    shared: Arc<Shared>,
    index: Arc<RwLock<Index>>,
    /// What the index takes, counted in the store's budget.
    index_memory: Mutex<Reservation>,
    /// Limits of the database the shard belongs to, once it was told.
    series_limit: OnceLock<Arc<SeriesLimit>>,
    log: Log,
    /// Held for reading while a write finds its numbers, appends its record and inserts its rows; for writing while log
    /// and memtable change over together, so that a log file's records are exactly those of its memtable, and while a
    /// delete decides, so that it is before or after each write.
    gate: RwLock<()>,
    tables: RwLock<Tables>,
    manifest: Mutex<Manifest>,
    flushing: Mutex<()>,
    compacting: Mutex<()>,
    /// What compaction would leave out.
    waste: Mutex<Waste>,
    /// Held while the digest is brought up to date; `known` is for a moment only, also by writers.
    digesting: Mutex<()>,
    known: Mutex<digest::Known>,
    scratch: Mutex<Vec<write::Scratch>>,
    /// Of fields that came in two types, the version of some cell; until something is deleted.
    elders: Mutex<FxHashMap<FieldId, Version>>,
    is_closed: Arc<AtomicBool>,
    counters: work::Counters,
    opened: Instant,
    /// Milliseconds after `opened`.
    last_write_ms: AtomicU64,
    last_idle_flush: Mutex<Option<Instant>>,
    /// Operations of lower versions are refused. Changed with the gate closed.
    forgotten: AtomicU64,
    recovery: RecoveryReport,
}

/// Where the points are. Replaced piece by piece; a snapshot copies it.
#[derive(Debug)]
struct Tables {
    active: Active,
    /// Being flushed or waiting for it, oldest first.
    frozen: Vec<Frozen>,
    /// Oldest first.
    segments: Arc<[SegmentSlot]>,
    tombstones: Tombstones,
}

#[derive(Debug)]
struct Active {
    table: Arc<MemTable>,
    first_write: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Frozen {
    table: Arc<MemTable>,
    /// Once it is flushed, log files below this number are not needed.
    log_floor: u64,
}

/// A segment of the manifest, readable or not.
#[derive(Debug, Clone)]
pub(crate) enum SegmentSlot {
    Ready(Arc<Segment>),
    /// It stays in the manifest and on disk: a query of its range fails rather than answer without it.
    Damaged {
        meta: SegmentMeta,
        path: PathBuf,
        reason: Arc<str>,
    },
}

impl SegmentSlot {
    fn meta(&self) -> &SegmentMeta {
        match self {
            Self::Ready(segment) => segment.meta(),
            Self::Damaged { meta, .. } => meta,
        }
    }

    fn ready(&self) -> Option<&Arc<Segment>> {
        match self {
            Self::Ready(segment) => Some(segment),
            Self::Damaged { .. } => None,
        }
    }

    /// Whether no damage of it is known.
    fn is_intact(&self) -> bool {
        self.ready().is_some_and(|segment| !segment.is_damaged())
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").field("id", &self.id).field("range", &self.range).finish_non_exhaustive()
    }
}

impl Shard {
    /// Its name.
    pub const fn id(&self) -> ShardId {
        self.id
    }

    /// The range of time it is for; points outside are rejected.
    pub const fn time_range(&self) -> TimeRange {
        self.range
    }

    /// What opening it found.
    pub const fn recovery(&self) -> &RecoveryReport {
        &self.recovery
    }

    /// Everything acknowledged so far (and perhaps writes about to be), unchanged by later writes.
    pub fn snapshot(&self) -> Arc<dyn ShardRead> {
        Arc::new(self.take_snapshot())
    }

    /// An estimate of the distinct series it has ever had, to be merged with that of other shards.
    pub fn series_sketch(&self) -> SeriesSketch {
        self.index.read().sketch()
    }

    /// The greatest version it holds.
    pub fn latest_version(&self) -> Version {
        let flushed = self.manifest.lock().latest_version;
        let tables = self.tables.read();
        let unflushed = tables.frozen.iter().map(|frozen| &frozen.table).chain([&tables.active.table]);
        let deletes = tables.tombstones.latest_version();
        unflushed.map(|table| table.latest_version()).fold(flushed.max(deletes), Ord::max)
    }

    /// Counts its series in the limits of its database from now on. Only the first call does anything.
    pub fn limit_series(&self, limit: &Arc<SeriesLimit>) {
        if self.series_limit.get().is_none() && self.series_limit.set(Arc::clone(limit)).is_ok() {
            limit.join(&self.index);
        }
    }

    /// Its sizes now.
    pub fn stats(&self) -> ShardStats {
        let mut stats = ShardStats { series: self.index.read().series_count(), ..ShardStats::default() };
        stats.index_bytes = self.manifest.lock().index_files.iter().map(|file| file.size_bytes).sum();
        stats.log_bytes = self.log_bytes();
        stats.set_aside_files = self.set_aside_files();
        stats.log_tail_bytes = self.log.tail_bytes();
        stats.index_memory_bytes = self.index_memory.lock().bytes();
        stats.compaction_backlog_bytes = self.compaction_backlog_bytes();
        let tables = self.tables.read();
        stats.segments = tables.segments.len() as u64;
        for slot in tables.segments.iter() {
            stats.damaged_segments += u64::from(!slot.is_intact());
            stats.segment_rows += slot.meta().rows;
            stats.segment_values += slot.meta().cells;
            stats.segment_bytes += slot.meta().size_bytes;
        }
        stats.tombstones = tables.tombstones.len() as u64;
        stats.flush_queue = tables.frozen.len() as u64;
        stats.memory_bytes = tables.active.table.size_bytes();
        stats.memory_bytes += tables.frozen.iter().map(|frozen| frozen.table.size_bytes()).sum::<u64>();
        stats
    }

    fn log_bytes(&self) -> u64 {
        let entries = self.fs.list(&self.dir).unwrap_or_default();
        entries
            .iter()
            .filter(|entry| crate::wal::sequence_of(&entry.name).is_some())
            .map(|entry| entry.len)
            .sum()
    }

    /// Makes every append so far durable, whatever the durability asked for.
    pub fn sync(&self) -> Result<(), WriteError> {
        self.log.sync()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    fn check_open(&self) -> Result<(), WriteError> {
        if self.is_closed() { Err(WriteError::Closed) } else { Ok(()) }
    }

    /// Refuses writes from now on and waits until nothing works on the files any more.
    pub(crate) fn shut(&self) {
        self.is_closed.store(true, Ordering::Release);
        drop(self.gate.write());
        drop(self.compacting.lock());
        drop(self.flushing.lock());
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
