//! Why a statement fails, worded as InfluxDB 1.8 words it, since clients parse it.

use skywatch_storage::ReadError;

use crate::{BackendError, Interrupt, SinkClosed};

/// Why a statement, or a whole query, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The text is not InfluxQL; no statement ran. The text carries its `error parsing query: ` prefix.
    #[error("{0}")]
    Parse(String),
    /// The statement parses but means nothing, or asks for what does not exist.
    #[error("{0}")]
    Invalid(String),
    /// The request names no database and the statement needs one.
    #[error("database name required")]
    DatabaseRequired,
    /// Valid InfluxQL that the engine does not answer.
    #[error("{0} is not supported yet")]
    Unsupported(String),
    /// Whoever asks may not; nothing of the query ran.
    #[error("error authorizing query: {0}")]
    Forbidden(String),
    /// A limit of [`crate::Limits`] was reached; the text names it.
    #[error("{0}")]
    LimitExceeded(String),
    /// The catalogue or the storage behind it refused.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// Stored data could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Killed, or too slow.
    #[error(transparent)]
    Interrupted(#[from] Interrupt),
    /// An earlier statement of the same request failed.
    #[error("not executed")]
    NotExecuted,
    /// Nobody is listening any more.
    #[error(transparent)]
    Closed(#[from] SinkClosed),
}

/// Who has to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryErrorClass {
    /// The text of the query (400 when nothing was sent yet, else an error in its statement's result).
    Caller,
    /// Whoever asked for it lacks the right (403).
    Forbidden,
    /// The same query can succeed later (503).
    Retry,
    /// The server is at fault (500).
    Fatal,
}

impl QueryError {
    /// Who has to act; one place decides, the HTTP layer maps it to a status.
    pub const fn class(&self) -> QueryErrorClass {
        match self {
            Self::Forbidden(_) => QueryErrorClass::Forbidden,
            Self::LimitExceeded(_)
            | Self::Interrupted(_)
            | Self::Closed(_)
            | Self::Read(ReadError::Unreachable { .. } | ReadError::Stopped)
            | Self::Backend(
                BackendError::Overloaded(_)
                | BackendError::Read(ReadError::Unreachable { .. } | ReadError::Stopped),
            ) => QueryErrorClass::Retry,
            Self::Read(_)
            | Self::Backend(
                BackendError::Read(_)
                | BackendError::Catalogue(_)
                | BackendError::Delete(_)
                | BackendError::WriteFailed(_),
            ) => QueryErrorClass::Fatal,
            Self::Parse(_)
            | Self::NotExecuted
            | Self::Invalid(_)
            | Self::DatabaseRequired
            | Self::Unsupported(_)
            | Self::Backend(_) => QueryErrorClass::Caller,
        }
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }
}
