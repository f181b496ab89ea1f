//! What went wrong, where in the text, and whose fault it is.

use skywatch_flux::{ParseError, Span};

use crate::NoMemory;

/// Why a query gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text cannot run: syntax, names that nothing defines.
    #[error("compilation failed: {0}")]
    Text(#[from] ParseError),
    /// It ran into something that cannot be done, at a place of the text.
    #[error("runtime error{}: {message}", place(*span))]
    Run {
        /// The call or the operation.
        span: Span,
        /// In plain words, beginning with the function's name where there is one.
        message: String,
    },
    /// What it reads is not there, or cannot be read; in the words of the server.
    #[error("{message}")]
    Storage {
        /// Whose fault.
        class: ErrorClass,
        /// In the words of the server.
        message: String,
    },
    /// It would take more memory than there is for it.
    #[error("{}", .0.message)]
    Memory(NoMemory),
    /// It was stopped: killed, past its deadline, or nobody wants the answer.
    #[error("{0}")]
    Stopped(String),
}

/// Whose fault it is that nothing could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The request's.
    Invalid,
    /// There is no such thing.
    NotFound,
    /// The asker may not.
    Forbidden,
    /// The same request may do later.
    Unavailable,
    /// The server's.
    Internal,
}

/// A place, if there is one: of what concerns the whole text there is none.
fn place(span: Span) -> String {
    if span == Span::default() { String::new() } else { format!(" @{span}") }
}

impl Error {
    /// At a place of the text.
    pub(crate) fn at(span: Span, message: impl Into<String>) -> Self {
        Self::Run { span, message: message.into() }
    }
}
