//! What a query hands out: series in columns, in pieces, with the statement they belong to.
//!
//! One [`StatementResult`] corresponds to one element of InfluxDB's `results` array, or to one chunk of it:
//! pieces of one statement arrive one after the other, in the order of the statements, and every statement
//! sends at least one. A piece whose `partial` is set is followed by another of the same statement. A series
//! whose `partial` is set goes on in the first series of the next piece (same name, tags and columns).

use std::sync::Arc;

use jiff::tz::TimeZone;
use skywatch_model::{Column, FieldValue};

use crate::QueryError;

/// Part or all of what one statement answers.
#[derive(Debug, Default)]
pub struct StatementResult {
    /// Position of the statement in the query, from 0.
    pub statement_id: u32,
    /// Series in the order they are to be shown.
    pub series: Vec<ResultSeries>,
    /// Warnings for the user.
    pub messages: Vec<Message>,
    /// Whether more of this statement follows.
    pub partial: bool,
    /// Why the statement failed. What was sent of it before is void.
    pub error: Option<QueryError>,
    /// Zone in which times are to be written (`tz()`); `None` means UTC. Times given as epochs ignore it.
    pub time_zone: Option<TimeZone>,
}

/// A warning beside the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `warning` or `info`.
    pub level: &'static str,
    /// What to tell the user.
    pub text: String,
}

/// A run of rows of one series, in columns of equal length.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultSeries {
    /// Measurement or caption; empty means that none is shown.
    pub name: Arc<str>,
    /// Tags of the group, sorted by key; empty when not grouped by tags. Absent tags have the value "".
    pub tags: Arc<[(Arc<str>, Arc<str>)]>,
    /// Column names.
    pub columns: Arc<[Arc<str>]>,
    /// One per column name, all of the same length.
    pub values: Vec<OutputColumn>,
    /// Whether the next piece goes on with this series.
    pub partial: bool,
}

impl ResultSeries {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.first().map_or(0, OutputColumn::len)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets the rows from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.values.iter_mut().for_each(|column| column.truncate(len));
    }
}

/// The values of one column, one per row.
#[derive(Debug, Clone, PartialEq)]
pub enum OutputColumn {
    /// Timestamps: nanoseconds since the epoch.
    Time(Vec<i64>),
    /// Values of one type, with nulls.
    Values(Column),
    /// Strings that repeat, such as the tag values of merged series: row `i` holds `dictionary[codes[i]]`.
    Coded {
        /// Positions in the dictionary. Columns that repeat together share them.
        codes: Arc<[u32]>,
        /// The strings, and null where a series lacks the tag. Not sorted; an entry may occur twice.
        dictionary: Arc<[Option<Arc<str>>]>,
    },
    /// Values of several types, with nulls.
    Mixed(Vec<Option<FieldValue>>),
    /// Lists of strings, such as the destinations of subscriptions.
    Lists(Vec<Vec<Arc<str>>>),
    /// That many nulls.
    Null(usize),
}

impl OutputColumn {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Time(times) => times.len(),
            Self::Values(column) => column.values.len(),
            Self::Coded { codes, .. } => codes.len(),
            Self::Mixed(values) => values.len(),
            Self::Lists(lists) => lists.len(),
            Self::Null(len) => *len,
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of row `index`; times count as integers, lists as nothing. For tests and small results: it clones.
    pub fn get(&self, index: usize) -> Option<FieldValue> {
        match self {
            Self::Time(times) => Some(FieldValue::Integer(times[index])),
            Self::Values(column) => column.get(index),
            Self::Coded { codes, dictionary } => {
                dictionary[codes[index] as usize].clone().map(FieldValue::String)
            }
            Self::Mixed(values) => values[index].clone(),
            Self::Lists(_) | Self::Null(_) => None,
        }
    }

    /// Forgets the rows from `len` on.
    pub fn truncate(&mut self, len: usize) {
        match self {
            Self::Time(times) => times.truncate(len),
            Self::Values(column) => column.truncate(len),
            Self::Coded { codes, .. } if len < codes.len() => *codes = codes[..len].into(),
            Self::Coded { .. } => {}
            Self::Mixed(values) => values.truncate(len),
            Self::Lists(lists) => lists.truncate(len),
            Self::Null(rows) => *rows = (*rows).min(len),
        }
    }

    /// A column of strings without nulls.
    pub fn strings(values: impl IntoIterator<Item = Arc<str>>) -> Self {
        let values = skywatch_model::Values::String(values.into_iter().collect());
        Self::Values(Column { values, valid: None })
    }
}

/// The receiver went away; the query stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client closed the connection")]
pub struct SinkClosed;

/// Where results go. A sink that blocks holds the query back; one that fails ends it.
pub trait ResultSink {
    /// Takes the next piece.
    fn send(&mut self, result: StatementResult) -> Result<(), SinkClosed>;
}

impl<F: FnMut(StatementResult) -> Result<(), SinkClosed>> ResultSink for F {
    fn send(&mut self, result: StatementResult) -> Result<(), SinkClosed> {
        self(result)
    }
}
