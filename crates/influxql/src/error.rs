//! Why a text is not InfluxQL, in InfluxDB's words.

use crate::{lex::Position, token::Token};

/// A syntax error. Its `Display` is what InfluxDB 1.8 answers, `error parsing query: ` included.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing query: {cause}")]
pub struct ParseError {
    #[source]
    cause: SyntaxError,
}

impl ParseError {
    /// Where in the text; not every error has a place.
    pub fn position(&self) -> Option<Position> {
        match &self.cause {
            SyntaxError::Unexpected { position, .. } | SyntaxError::At { position, .. } => Some(*position),
            SyntaxError::Plain(_) => None,
        }
    }
}

impl From<SyntaxError> for ParseError {
    fn from(cause: SyntaxError) -> Self {
        Self { cause }
    }
}

/// The error without InfluxDB's prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SyntaxError {
    /// A token other than the grammar allows.
    #[error("found {found}, expected {} at line {}, char {}", expected.join(", "), position.line, position.char)]
    Unexpected { found: String, expected: Vec<&'static str>, position: Position },
    /// Something else that has a place.
    #[error("{message} at line {}, char {}", position.line, position.char)]
    At { message: String, position: Position },
    /// Something whose place InfluxDB does not tell.
    #[error("{0}")]
    Plain(String),
}

impl SyntaxError {
    pub(crate) fn unexpected(token: &Token, expected: &[&'static str], position: Position) -> Self {
        Self::Unexpected { found: token.found(), expected: expected.to_vec(), position }
    }
}
