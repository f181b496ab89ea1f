//! How a shard is read: the contract between the storage engine and the query engine.
//!
//! A query takes one [`ShardRead`] snapshot per shard, chooses series through the index with a [`TagPredicate`],
//! and scans each of them into blocks. A block carries statistics where they are exact, so that an aggregate
//! that covers the block never decodes it.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use regex::Regex;
use skywatch_model::{FieldType, FieldValue, RowBlock, TimeRange};

use crate::SeriesSketch;

/// A series within one snapshot of one shard. Meaningless elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef(pub u32);

/// Stands for the series of a snapshot: where two stamps are equal, of whatever snapshots, every predicate selects the same
/// series in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesStamp(pub [u64; 3]);

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

    /// Whether no row of the block has a value of requested field `field_index`, where that is known without reading them.
    fn lacks(&self, field_index: usize) -> bool {
        let _ = field_index;
        false
    }

    /// Statistics of requested field `field_index` by parts, in order of time, that together hold exactly the values
    /// that [`Self::decode`] would return (a part without a value is left out); `None` when they are not known.
    fn spans(&self, field_index: usize) -> Option<&[SpanStats]> {
        let _ = field_index;
        None
    }

    /// Statistics of requested field `field_index` by the windows of the [`Summary`] that was asked for, in order of
    /// time, one for each window that holds values in this block; `None` when they are not known. They are so for all
    /// fields or for none, and of the rows that the request's condition leaves.
    fn summary(&self, field_index: usize) -> Option<WindowStats<'_>> {
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
    fn decode(&self) -> Result<RowBlock, ReadError> {
        self.decode_within(TimeRange::ALL)
    }

    /// As [`Self::decode`], of the rows in a range of time, for which no more is read than it takes.
    fn decode_within(&self, range: TimeRange) -> Result<RowBlock, ReadError>;
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

/// What is going to be read with a [`Scanner`]. A shard on this node needs no more than measurement and fields; one that
/// another node holds is asked for many series at once, ahead of their being scanned, and for no more than is needed.
#[derive(Clone, Copy)]
pub struct ScanRequest<'a> {
    /// Of which measurement.
    pub measurement: &'a str,
    /// Which of its fields.
    pub fields: &'a [Arc<str>],
    /// The series that will be scanned, about in this order; where that is not known, series are read one by one.
    pub series: Option<&'a dyn Fn() -> Vec<SeriesRef>>,
    /// The ranges that all of them will be scanned in. Any series may be scanned in others too.
    pub ranges: &'a [TimeRange],
    /// The order of blocks in which they will be, where that is known: another node is asked at once.
    pub order: Option<Order>,
    /// How many rows of a series will be wanted, if that is known to be few. More may be read.
    pub rows: Option<u64>,
    /// What suffices in the place of rows.
    pub summary: Option<Summary<'a>>,
    /// Which rows count: others may be left out, `rows` is how many of these will be wanted, and a summary is of them alone.
    pub conditions: Option<Conditions<'a>>,
}

/// Which rows of series count, in the words in which the query engine asks another node.
#[derive(Clone, Copy)]
pub struct Conditions<'a> {
    /// Conditions that rows have to satisfy, each once.
    pub all: &'a [Vec<u8>],
    /// Which of them for each of the request's series, in their order; nothing for one of which all rows count. Without, it
    /// is the first for every series.
    pub of: Option<&'a dyn Fn() -> Vec<Option<u32>>>,
}

impl fmt::Debug for Conditions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conditions").field("all", &self.all).finish_non_exhaustive()
    }
}

impl<'a> ScanRequest<'a> {
    /// All rows of those fields, of whatever series.
    pub const fn new(measurement: &'a str, fields: &'a [Arc<str>]) -> Self {
        Self {
            measurement,
            fields,
            series: None,
            ranges: &[],
            order: None,
            rows: None,
            summary: None,
            conditions: None,
        }
    }
}

impl fmt::Debug for ScanRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanRequest")
            .field("measurement", &self.measurement)
            .field("fields", &self.fields)
            .field("ranges", &self.ranges)
            .field("order", &self.order)
            .field("rows", &self.rows)
            .field("summary", &self.summary)
            .field("conditions", &self.conditions)
            .finish_non_exhaustive()
    }
}

/// Statistics by windows of time that suffice in the place of rows: blocks may then tell [`ScanBlock::summary`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary<'a> {
    /// `None` takes all of a scan's range for one window.
    pub windows: Option<RegularWindows>,
    /// What has to be known of each field.
    pub wanted: &'a [WantedStats],
}

/// Windows of one length without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegularWindows {
    /// Length in nanoseconds, above zero.
    pub every: i64,
    /// One of them begins here.
    pub offset: i64,
}

impl RegularWindows {
    /// Number of the window that a time lies in.
    pub fn number(self, time: i64) -> i128 {
        (i128::from(time) - i128::from(self.offset)).div_euclid(i128::from(self.every))
    }
}

/// Which statistics are needed. The number of values always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WantedStats {
    /// Sum of the values.
    pub sum: bool,
    /// Smallest value.
    pub min: bool,
    /// Greatest value.
    pub max: bool,
    /// Earliest value.
    pub first: bool,
    /// Latest value.
    pub last: bool,
    /// When extremes occur is of no interest: any time of the window may stand for theirs, but for zeros, of which there are two.
    pub untimed: bool,
}

/// What is known of one field by the windows of a [`Summary`]: one for each window that holds values, in order of time. What
/// was wanted is there for all of them, and exact; what was not is empty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowStats<'a> {
    /// Type of the values.
    pub field_type: FieldType,
    /// Within the window, and within the range of the scan: all values have their times in here.
    pub times: &'a [TimeRange],
    /// Number of values (at least 1).
    pub counts: &'a [u64],
    /// Sum of the values; floats are added in the scan's order of time, beginning with zero.
    pub sums: &'a [Sum],
    /// Smallest value and the earliest time it occurs.
    pub min: &'a [WindowPoint],
    /// Greatest value and the earliest time it occurs.
    pub max: &'a [WindowPoint],
    /// Earliest value and its time.
    pub first: &'a [WindowPoint],
    /// Latest value and its time.
    pub last: &'a [WindowPoint],
}

/// A value of a window and its time; `None` where there is none of the kind.
pub type WindowPoint = Option<(i64, FieldValue)>;

/// A consistent snapshot of one shard: later writes are invisible to it. Cheap to take and to hold.
pub trait ShardRead: Send + Sync + fmt::Debug {
    /// The range of time the shard is for.
    fn time_range(&self) -> TimeRange;

    /// Whether another node is asked, so that it pays to say in a [`ScanRequest`] what suffices.
    fn is_remote(&self) -> bool {
        false
    }

    /// Fields and tags of a measurement are about to be asked for: where another node has to be asked, it is so now, and of
    /// many shards at once.
    fn expect(&self, measurement: &str) {
        let _ = measurement;
    }

    /// As [`Self::expect`], of what [`Self::select_series`] will be asked for.
    fn expect_series(&self, measurement: &str, predicate: &TagPredicate) {
        let _ = (measurement, predicate);
    }

    /// Names of all measurements, sorted by bytes.
    fn measurements(&self) -> Result<Vec<Arc<str>>, ReadError>;

    /// Fields of a measurement with their types in this shard, sorted by name; empty if unknown.
    fn fields(&self, measurement: &str) -> Result<Vec<(Arc<str>, FieldType)>, ReadError>;

    /// Tag keys of a measurement, sorted; empty if unknown.
    fn tag_keys(&self, measurement: &str) -> Result<Vec<Arc<str>>, ReadError>;

    /// Distinct values of a tag of a measurement, sorted; empty if unknown.
    fn tag_values(&self, measurement: &str, key: &str) -> Result<Vec<Arc<str>>, ReadError>;

    /// Series of a measurement whose tags satisfy the predicate, sorted by series key.
    fn select_series(&self, measurement: &str, predicate: &TagPredicate)
    -> Result<Vec<SeriesRef>, ReadError>;

    /// What stands for the series that there are, so that who remembers some need not be told again; `None` where nothing does.
    /// Taken before the series are selected that are remembered with it.
    fn series_stamp(&self) -> Option<SeriesStamp> {
        None
    }

    /// The series of a measurement with these canonical keys; `None` for one that is not here.
    fn find_series(&self, measurement: &str, keys: &[&str]) -> Result<Vec<Option<SeriesRef>>, ReadError> {
        let all = self.select_series(measurement, &TagPredicate::All)?;
        let by_key: HashMap<Arc<str>, SeriesRef> =
            all.into_iter().map(|series| (self.series_key(series), series)).collect();
        Ok(keys.iter().map(|key| by_key.get(*key).copied()).collect())
    }

    /// How many series [`Self::select_series`] would return.
    fn count_series(&self, measurement: &str, predicate: &TagPredicate) -> Result<u64, ReadError> {
        Ok(self.select_series(measurement, predicate)?.len() as u64)
    }

    /// An estimate of the series the shard has ever had, to be merged with that of others; `None` where they can only be
    /// counted.
    fn series_sketch(&self) -> Result<Option<SeriesSketch>, ReadError> {
        Ok(None)
    }

    /// How many values [`Self::tag_values`] would return.
    fn tag_value_count(&self, measurement: &str, key: &str) -> Result<u64, ReadError> {
        Ok(self.tag_values(measurement, key)?.len() as u64)
    }

    /// Tags of a series as key and value, sorted by key, unescaped. Whoever has handed out a series knows its tags and
    /// its key without asking anybody.
    fn series_tags(&self, series: SeriesRef) -> Vec<(Arc<str>, Arc<str>)>;

    /// The canonical series key: measurement and tags escaped as in line protocol, tags sorted by key.
    fn series_key(&self, series: SeriesRef) -> Arc<str>;

    /// The values of some tags of a series, in the order of `keys`; "" for a tag it lacks.
    fn tag_values_of(&self, series: SeriesRef, keys: &[Arc<str>]) -> Vec<Arc<str>> {
        let tags = self.series_tags(series);
        let value = |key| tags.iter().find(|(tag, _)| tag == key).map(|(_, value)| Arc::clone(value));
        keys.iter().map(|key| value(key).unwrap_or_default()).collect()
    }

    /// Prepares to read fields of a measurement. Those a series lacks come back as `None` columns.
    fn scanner<'a>(&'a self, request: &ScanRequest<'_>) -> Result<Box<dyn Scanner + 'a>, ReadError>;
}

/// What whoever reads can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadErrorClass {
    /// What is here cannot be read, and will not be: ask another owner, if there is one.
    Damage,
    /// Nobody could be asked; the same question may be answered later.
    Absence,
    /// Nothing: nobody wants the answer any more.
    Stopped,
}

impl ReadError {
    /// What whoever reads can do about it.
    pub const fn class(&self) -> ReadErrorClass {
        match self {
            Self::Corrupt { .. } | Self::Io { .. } => ReadErrorClass::Damage,
            Self::Unreachable { .. } => ReadErrorClass::Absence,
            Self::Stopped => ReadErrorClass::Stopped,
        }
    }
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
    /// Nobody who holds all of a shard can be asked. Better no answer than one that lacks something.
    #[error("shard {shard} cannot be read: {reason}; {advice}")]
    Unreachable {
        /// Which shard.
        shard: u64,
        /// Which nodes were asked, and what became of it.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// The query was stopped while it waited for another node.
    #[error("the read was given up: the query was stopped")]
    Stopped,
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
