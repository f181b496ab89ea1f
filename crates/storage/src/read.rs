//! How a shard is read: the contract between the storage engine and the query engine.
//!
//! A query takes one [`ShardRead`] snapshot per shard, chooses series through the index with a [`TagPredicate`],
//! and scans each of them into blocks. A block carries statistics where they are exact, so that an aggregate
//! that covers the block never decodes it.

use std::{fmt, sync::Arc};

use regex::Regex;
use skywatch_model::{FieldType, FieldValue, RowBlock, TimeRange};

/// A series within one snapshot of one shard. Meaningless elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef(pub u32);

/// A condition on a series' tags. A tag the series lacks counts as the empty string, as in InfluxQL.
#[derive(Debug, Clone)]
pub enum TagPredicate {
    /// Every series.
    All,
    /// No series.
    None,
    /// `key = 'value'`.
    Equal {
        /// Tag key.
        key: Arc<str>,
        /// Wanted value; empty means "has no such tag".
        value: Arc<str>,
    },
    /// `key =~ /regex/`, unanchored.
    Matches {
        /// Tag key.
        key: Arc<str>,
        /// Tested against the value, or against "" where the tag is absent.
        regex: Arc<Regex>,
    },
    /// Neither more nor less than those the inner one refuses.
    Not(Box<TagPredicate>),
    /// All of them hold.
    And(Vec<TagPredicate>),
    /// At least one of them holds.
    Or(Vec<TagPredicate>),
}

/// The order in which a scan hands out its blocks. Rows inside a block ascend in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Oldest block first.
    Ascending,
    /// Newest block first.
    Descending,
}

/// The sum of a block's values, in the field's own arithmetic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sum {
    /// Added in time order.
    Float(f64),
    /// Wrapping, as Go's integers do.
    Integer(i64),
    /// Wrapping, as Go's integers do.
    Unsigned(u64),
    /// Strings and booleans have none.
    None,
}

/// What is known of one field of one block without decoding it. Exact, never an estimate.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockStats {
    /// Number of values (at least 1).
    pub count: u64,
    /// Earliest value and its time.
    pub first: (i64, FieldValue),
    /// Latest value and its time.
    pub last: (i64, FieldValue),
    /// Smallest value and the earliest time it occurs; `None` for strings and booleans.
    pub min: Option<(i64, FieldValue)>,
    /// Greatest value and the earliest time it occurs; `None` for strings and booleans.
    pub max: Option<(i64, FieldValue)>,
    /// Sum of the values.
    pub sum: Sum,
}

/// A run of rows of one series, not yet decoded. Blocks of one scan never overlap in time.
pub trait ScanBlock: Send {
    /// The rows inside lie within this range, which lies within the scan's range.
    fn time_range(&self) -> TimeRange;

    /// Statistics of requested field `field_index` over exactly the rows that [`Self::decode`] would return;
    /// `None` when they are not known (part of a stored block, rows still in memory, merged versions).
    /// `Some` with the field absent from the block is impossible: such a field gives `None` and a `None` column.
    fn stats(&self, field_index: usize) -> Option<&BlockStats>;

    /// The rows: only those with a value in at least one requested field.
    fn decode(&self) -> Result<RowBlock, ReadError>;
}

/// The blocks of one scan, in the order asked for; `Ok(None)` at the end.
pub trait BlockStream: Send {
    /// The next block.
    fn next_block(&mut self) -> Result<Option<Box<dyn ScanBlock + '_>>, ReadError>;
}

/// What to read of one series.
#[derive(Debug, Clone, Copy)]
pub struct ScanRequest<'a> {
    /// The series.
    pub series: SeriesRef,
    /// Names of the wanted fields; those the series lacks come back as `None` columns.
    pub fields: &'a [Arc<str>],
    /// Only rows whose time is inside.
    pub range: TimeRange,
    /// Order of the blocks.
    pub order: Order,
}

/// A consistent snapshot of one shard: later writes are invisible to it. Cheap to take and to hold.
pub trait ShardRead: Send + Sync + fmt::Debug {
    /// The range of time the shard is for.
    fn time_range(&self) -> TimeRange;

    /// Names of all measurements, sorted by bytes.
    fn measurements(&self) -> Vec<Arc<str>>;

    /// Fields of a measurement with their types in this shard, sorted by name; empty if unknown.
    fn fields(&self, measurement: &str) -> Vec<(Arc<str>, FieldType)>;

    /// Tag keys of a measurement, sorted; empty if unknown.
    fn tag_keys(&self, measurement: &str) -> Vec<Arc<str>>;

    /// Distinct values of a tag of a measurement, sorted; empty if unknown.
    fn tag_values(&self, measurement: &str, key: &str) -> Vec<Arc<str>>;

    /// Series of a measurement whose tags satisfy the predicate, sorted by series key.
    fn select_series(&self, measurement: &str, predicate: &TagPredicate) -> Vec<SeriesRef>;

    /// Tags of a series as key and value, sorted by key, unescaped.
    fn series_tags(&self, series: SeriesRef) -> Vec<(Arc<str>, Arc<str>)>;

    /// The canonical series key: measurement and tags escaped as in line protocol, tags sorted by key.
    fn series_key(&self, series: SeriesRef) -> Arc<str>;

    /// Reads one series.
    fn scan<'a>(&'a self, request: ScanRequest<'_>) -> Result<Box<dyn BlockStream + 'a>, ReadError>;
}

/// Why stored data could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A checksum or a decoder disagrees with what is on disk. The file is named and stays where it is.
    #[error(
        "{file}: block at offset {offset} is damaged: {reason}; restore the file from a backup or another replica"
    )]
    Corrupt {
        /// Path of the file.
        file: String,
        /// Where the block begins, in bytes.
        offset: u64,
        /// What disagreed.
        reason: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {file}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        file: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}
