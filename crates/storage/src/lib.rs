//! One node's shards: a log-structured column store made for monitoring data. No network, no async.
//!
//! ```text
//! Store ── Shard ─┬─ wal       what was acknowledged, fsynced before the answer
//!                 ├─ memtable  the same, readable
//!                 ├─ segment   immutable files of compressed blocks, from flush and compaction
//!                 ├─ index     series and fields by number; tag values as bitmaps of series
//!                 ├─ tombstone deletes that have not reached the segments yet
//!                 └─ manifest  which files make up the shard; replaced atomically
//! ```
//!
//! Writes go to the log and the memtable; reads take a snapshot ([`ShardRead`]) of memtables and segments.
//! A flush turns a memtable into a segment and forgets its part of the log. All disk access goes through [`fs::Fs`].

pub mod frame;
pub mod fs;
pub mod inspect;
pub mod wire;

mod budget;
mod cardinality;
mod cells;
mod codec;
mod compaction;
mod digest;
mod error;
mod fields;
mod flush;
mod index;
mod manifest;
mod memtable;
mod merge;
mod options;
mod predicate;
mod read;
mod rows;
mod scan;
mod segment;
mod shard;
mod store;
mod tombstone;
mod wal;

pub use budget::{Consumer, Exhausted, MemoryBudget, Reservation};
pub use cardinality::{CardinalityLimits, SeriesLimit};
pub use cells::{CellBatch, Cursor, Deletion};
pub use digest::{
    ClassDigests, Digest, SERIES_CLASSES, SeriesClasses, ShardDigest, TimeBucket, decode_classes,
    encode_classes,
};
pub use error::{ErrorClass, ImportError, MaintenanceError, OpenError, WriteError};
pub use fields::ListedField;
pub use index::SeriesSketch;
pub use options::{Durability, StoreOptions, VersionPolicy};
pub use predicate::compile_regex;
pub use read::{
    BlockStats, BlockStream, Conditions, End, Order, ReadError, ReadErrorClass, RegularWindows, ScanBlock,
    ScanCost, ScanRequest, Scanner, SeriesRef, SeriesStamp, ShardRead, SpanStats, Sum, Summary, TagPredicate,
    WantedStats, WindowPoint, WindowStats,
};
pub use shard::{
    ChoreWork, DamagedSegment, DeleteReport, ImportReport, PinnedFile, PinnedShard, Precedence,
    RecoveryReport, Refreshed, Rejected, Shard, ShardId, ShardStats, ShardWork, WriteReport, refuse_points,
};
pub use store::{AdoptError, StagedFile, StagedShard, Store, sum_of_block};
pub use tombstone::Rule;
pub use wal::DamagedLog;
