//! Where rules get their data from: the binary implements [`QuerySource`] over its query engine.

use std::future::Future;

use crate::{Time, labels::Labels};

/// One value at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When.
    pub time: Time,
    /// What; `None` is null.
    pub value: Option<f64>,
}

/// One numeric column of one series of a result.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// `measurement.column`, for messages.
    pub name: String,
    /// Tags of the group; tags with an empty value are left out.
    pub labels: Labels,
    /// Values, oldest first. Booleans are 0 and 1; columns that are no numbers are not handed out.
    pub points: Vec<Point>,
}

/// Why a query could not be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryFailure {
    /// The query itself is wrong (syntax, unknown database): trying again does not help.
    #[error("{0}")]
    Rejected(String),
    /// It could not be answered now (overload, timeout, a node away): trying again may help.
    #[error("{0}")]
    Unavailable(String),
}

/// Answers InfluxQL queries.
pub trait QuerySource: Send + Sync + 'static {
    /// Runs the one SELECT statement in `text`. `now` is what `now()` means in it.
    fn query(
        &self,
        database: &str,
        retention_policy: Option<&str>,
        text: &str,
        now: Time,
    ) -> impl Future<Output = Result<Vec<Series>, QueryFailure>> + Send;
}
