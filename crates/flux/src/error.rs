//! What is wrong with a text, and where.

use crate::Span;

/// Why a text is no Flux, or uses a name that nothing defines. Only the first thing that is wrong is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error @{span}: {message}")]
pub struct ParseError {
    /// Where in the text.
    pub span: Span,
    /// What, in plain words.
    pub message: String,
}

/// The same while the text is read: its place in bytes, which become lines and columns only once.
#[derive(Debug)]
pub(crate) struct Slip {
    /// First byte.
    pub(crate) start: usize,
    /// After the last byte.
    pub(crate) end: usize,
    /// What is wrong.
    pub(crate) message: String,
}

impl Slip {
    /// In a box: results are small then, and so are the frames of the parser's descent.
    pub(crate) fn new(start: usize, end: usize, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { start, end, message: message.into() })
    }
}
