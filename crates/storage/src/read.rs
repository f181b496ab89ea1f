//! How a shard is read: the contract between the storage engine and the query engine.
//!
//! A query takes one [`ShardRead`] snapshot per shard, chooses series through the index with a [`TagPredicate`],
//! and scans each of them into blocks. A block carries statistics where they are exact, so that an aggregate
//! that covers the block never decodes it.

use std::{collections::BTreeSet, fmt, sync::Arc};

use regex::Regex;
use skywatch_model::{FieldType, FieldValue, RowBlock, TimeRange};

use crate::SeriesSketch;

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

/// What is known of one field of a part of a block. The parts of a block lie between multiples, counted from 1970, of
/// some width of time, so that a window aligned to that width never cuts one. Exact, as [`BlockStats`] are.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanStats {
    /// Number of values (at least 1).
    pub count: u64,
    /// Earliest value and its time.
    pub first: (i64, FieldValue),
    /// Latest value and its time.
    pub last: (i64, FieldValue),
    /// Smallest value; `None` for strings and booleans.
    pub min: Option<FieldValue>,
    /// Greatest value; `None` for strings and booleans.
    pub max: Option<FieldValue>,
    /// Sum of the values.
    pub sum: Sum,
}

/// Which end of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its earliest row.
    First,
    /// Its latest row.
    Last,
}

/// A run of rows of one series, not yet decoded. Blocks of one scan never overlap in time.
pub trait ScanBlock: Send {
    /// The rows inside lie within this range, which lies within the scan's range.
    fn time_range(&self) -> TimeRange;

    /// Statistics of requested field `field_index` over exactly the rows that [`Self::decode`] would return;
    /// `None` when they are not known (part of a stored block, rows still in memory, merged versions).
    /// `Some` with the field absent from the block is impossible: such a field gives `None` and a `None` column.
    fn stats(&self, field_index: usize) -> Option<&BlockStats>;

    /// Statistics of requested field `field_index` by parts, in order of time, that together hold exactly the values
    /// that [`Self::decode`] would return (a part without a value is left out); `None` when they are not known.
    fn spans(&self, field_index: usize) -> Option<&[SpanStats]> {
        let _ = field_index;
        None
    }

    /// The row at one end alone, where it is known without decoding the block: one row, equal to that of
    /// [`Self::decode`].
    fn end_row(&self, end: End) -> Option<RowBlock> {
        let _ = end;
        None
    }

    /// The rows: only those with a value in at least one requested field.
    fn decode(&self) -> Result<RowBlock, ReadError>;
}

/// The blocks of one scan, in the order asked for; `Ok(None)` at the end.
pub trait BlockStream: Send {
    /// The next block.
    fn next_block(&mut self) -> Result<Option<Box<dyn ScanBlock + '_>>, ReadError>;

    /// What is left to be read, without reading it.
    fn cost(&self) -> ScanCost {
        ScanCost::default()
    }
}

/// What a scan reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanCost {
    /// Values in memory, also those that deletes hide.
    pub cached_values: u64,
    /// Numbers of the segments that have blocks of it.
    pub segments: BTreeSet<u64>,
    /// Blocks of single fields.
    pub blocks: u64,
    /// Their bytes on disk, with their timestamps.
    pub block_bytes: u64,
}

/// Reads series of one measurement: what does not depend on the series has been looked up once.
pub trait Scanner: Send + Sync {
    /// The blocks of a series (of the measurement asked for) whose rows lie in `range`, in this order of blocks.
    fn scan(
        &self,
        series: SeriesRef,
        range: TimeRange,
        order: Order,
    ) -> Result<Box<dyn BlockStream + '_>, ReadError>;
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

    /// How many series [`Self::select_series`] would return.
    fn count_series(&self, measurement: &str, predicate: &TagPredicate) -> u64 {
        self.select_series(measurement, predicate).len() as u64
    }

    /// An estimate of the series the shard has ever had, to be merged with that of others; `None` where they can only be
    /// counted.
    fn series_sketch(&self) -> Option<SeriesSketch> {
        None
    }

    /// How many values [`Self::tag_values`] would return.
    fn tag_value_count(&self, measurement: &str, key: &str) -> u64 {
        self.tag_values(measurement, key).len() as u64
    }

    /// Tags of a series as key and value, sorted by key, unescaped.
    fn series_tags(&self, series: SeriesRef) -> Vec<(Arc<str>, Arc<str>)>;

    /// The canonical series key: measurement and tags escaped as in line protocol, tags sorted by key.
    fn series_key(&self, series: SeriesRef) -> Arc<str>;

    /// The values of some tags of a series, in the order of `keys`; "" for a tag it lacks.
    fn tag_values_of(&self, series: SeriesRef, keys: &[Arc<str>]) -> Vec<Arc<str>> {
        let tags = self.series_tags(series);
        let value = |key| tags.iter().find(|(tag, _)| tag == key).map(|(_, value)| Arc::clone(value));
        keys.iter().map(|key| value(key).unwrap_or_default()).collect()
    }

    /// Prepares to read these fields of a measurement. Those a series lacks come back as `None` columns.
    fn scanner<'a>(&'a self, measurement: &str, fields: &[Arc<str>]) -> Box<dyn Scanner + 'a>;
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
