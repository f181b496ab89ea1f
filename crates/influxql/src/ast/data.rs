//! Statements that remove stored data.

use super::{Expr, Source};

/// `DELETE [FROM sources] [WHERE ...]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Delete {
    /// Which measurements; empty means all.
    pub from: Vec<Source>,
    /// Tags and time.
    pub condition: Option<Expr>,
}

/// `DROP SERIES [FROM sources] [WHERE ...]`.
#[derive(Debug, Clone, PartialEq)]
pub struct DropSeries {
    /// Which measurements; empty means all.
    pub from: Vec<Source>,
    /// Tags.
    pub condition: Option<Expr>,
}

/// `DROP MEASUREMENT name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropMeasurement {
    /// Its name.
    pub name: String,
}

/// `DROP SHARD id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropShard {
    /// Its number, as `SHOW SHARDS` gives it.
    pub id: u64,
}
