//! `group` right after a read: tables of several series, of whose points the storage can still make values, series by
//! series, from which those of the tables are made.

use std::sync::Arc;

use super::Read;

/// What tables are to be grouped by.
#[derive(Debug, Clone)]
pub(crate) enum Grouping {
    /// Columns, as far as a table has them.
    By(Vec<Arc<str>>),
    /// All columns but these.
    Except(Vec<Arc<str>>),
}

impl Grouping {
    /// Whether tables are grouped by a column.
    pub(crate) fn takes(&self, label: &str) -> bool {
        match self {
            Self::By(labels) => labels.iter().any(|known| **known == *label),
            Self::Except(labels) => !labels.iter().any(|known| **known == *label),
        }
    }
}

/// A read of points, grouped by what does not differ within a series.
#[derive(Debug, Clone)]
pub(crate) struct GroupedRead {
    pub(crate) read: Read,
    pub(crate) grouping: Grouping,
}

impl GroupedRead {
    /// `None`: values were made already, or rows of one series come into several tables.
    pub(crate) fn new(read: &Read, grouping: &Grouping) -> Option<Self> {
        let is_of_points = read.reduction.is_none() && read.range.is_some();
        let is_of_series = !grouping.takes("_time") && !grouping.takes("_value");
        (is_of_points && is_of_series).then(|| Self { read: read.clone(), grouping: grouping.clone() })
    }
}
