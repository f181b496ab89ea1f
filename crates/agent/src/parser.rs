//! What a parser is: bytes in, metrics out. The formats are in [`crate::parsers`].

use std::borrow::Cow;
use std::fmt;

use crate::metric::Metric;

/// A data format that is read.
pub trait Parser: Send + fmt::Debug {
    /// Parses a whole document, or as many lines as there are, and puts the metrics into `out`. Those before and
    /// after what is bad are kept where the format has lines; the error names the first fault.
    fn parse(
        &mut self,
        data: &[u8],
        defaults: &Defaults<'_>,
        out: &mut Vec<Metric>,
    ) -> Result<(), ParseError>;

    /// Another parser of the same options that has read nothing yet: for a second connection, or for the next file.
    fn fresh(&self) -> Box<dyn Parser>;
}

/// What a document leaves unsaid.
#[derive(Debug, Clone)]
pub struct Defaults<'a> {
    /// The measurement, where the format has none.
    pub name: Cow<'a, str>,
    /// Nanoseconds since the Unix epoch, where the data has no time.
    pub now_ns: i64,
}

/// Why data could not be parsed, wholly or in part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{}", .line.map(|line| format!(" (line {line})")).unwrap_or_default())]
pub struct ParseError {
    /// What is wrong, and where inside the line or document.
    pub reason: String,
    /// Counted from 1, where the format has lines.
    pub line: Option<usize>,
}

impl ParseError {
    /// A fault of the document as a whole.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), line: None }
    }

    /// A fault of a line, counted from 1.
    pub fn at_line(line: usize, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), line: Some(line) }
    }
}
