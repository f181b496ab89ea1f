//! What a query asks of the server it runs on: points, names, and leave to go on.

use std::sync::Arc;

use crate::{Column, ErrorClass, Kind, read::Predicate};

/// The server, seen by a query. Blocks.
pub trait Storage {
    /// Points of a bucket, series by series; each series' by time.
    fn read(&self, request: &ReadRequest) -> Result<Vec<Series>, StorageError>;

    /// Fails, in words, once the query has to stop.
    fn check(&self) -> Result<(), String>;

    /// Every bucket that the asker may read.
    fn buckets(&self) -> Result<Vec<Bucket>, StorageError>;

    /// Names of what a bucket holds.
    fn names(&self, request: &NamesRequest) -> Result<Vec<Arc<str>>, StorageError>;
}

/// What is read: of a bucket, in a time, where a condition holds.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// `database`, or `database/retention policy`.
    pub bucket: Arc<str>,
    /// First nanosecond.
    pub start_ns: i64,
    /// First nanosecond after it.
    pub stop_ns: i64,
    /// Which series and points.
    pub predicate: Predicate,
    /// What is made of each series' points, if not they themselves are wanted.
    pub reduction: Option<Reduction>,
}

/// What is made of a series' points, of all or of those of each window. Windows without points are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reduction {
    /// One value of several.
    pub function: ReductionFunction,
    /// Windows of equal length; without them the whole range is one.
    pub windows: Option<Windows>,
}

/// Windows of equal length, counted from the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Length, in nanoseconds, positive.
    pub every_ns: i64,
    /// They begin at whole multiples of the length and this.
    pub offset_ns: i64,
}

/// What makes one value of several. The row of a window has the window's first nanosecond as its time; that of the
/// whole range has, with a function that chooses a point, the point's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Flux's own")]
pub enum ReductionFunction {
    Count,
    Sum,
    Mean,
    Min,
    Max,
    First,
    Last,
}

/// Points of one field of one series.
#[derive(Debug, Clone)]
pub struct Series {
    /// Its measurement.
    pub measurement: Arc<str>,
    /// Its field.
    pub field: Arc<str>,
    /// By key; none is empty.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// One a row, ascending.
    pub times: Vec<i64>,
    /// As many, under any label.
    pub values: Column,
}

/// What names are asked for.
#[derive(Debug, Clone)]
pub struct NamesRequest {
    /// As in [`ReadRequest::bucket`].
    pub bucket: Arc<str>,
    /// Of which kind.
    pub names: Names,
    /// Of which series; conditions on values are not looked at.
    pub predicate: Predicate,
    /// Only of series with points from there on, in nanoseconds, as exactly as shards are long.
    pub start_ns: i64,
    /// And before there.
    pub stop_ns: i64,
}

/// A kind of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// Of measurements.
    Measurements,
    /// Of tags, without those that Flux adds.
    TagKeys,
    /// Of fields.
    FieldKeys,
    /// What a tag has.
    TagValues(Arc<str>),
}

/// A database and a retention policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// `database/policy`.
    pub name: Arc<str>,
    /// How long points are kept, in nanoseconds; 0: for ever.
    pub retention_ns: i64,
    /// Whether its policy is the database's default one.
    pub is_default: bool,
}

/// Why nothing could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageError {
    /// Whose fault.
    pub class: ErrorClass,
    /// In the words of the server.
    pub message: String,
}

impl From<StorageError> for crate::Error {
    fn from(error: StorageError) -> Self {
        Self::Storage { class: error.class, message: error.message }
    }
}

impl ReductionFunction {
    /// As Flux and InfluxQL both name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::First => "first",
            Self::Last => "last",
        }
    }

    /// Whether it takes values of a type.
    pub const fn takes(self, kind: Kind) -> bool {
        let number = matches!(kind, Kind::Float | Kind::Int | Kind::Uint);
        match self {
            Self::Count | Self::First | Self::Last => true,
            Self::Sum | Self::Mean | Self::Min | Self::Max => number,
        }
    }
}
