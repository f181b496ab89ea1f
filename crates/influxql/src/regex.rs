//! Regular expressions in Go's syntax, compiled.

use std::sync::Arc;

pub use skywatch_go_regex::RegexError;

use crate::ast::RegexLiteral;

/// Compiled programs larger than this are refused, in bytes.
const PROGRAM_BYTES_MAX: usize = 16 << 20;

/// Compiles a pattern.
pub(crate) fn compile(pattern: &str) -> Result<RegexLiteral, RegexError> {
    let translated = skywatch_go_regex::translate(pattern)?;
    let regex = regex::RegexBuilder::new(&translated)
        .size_limit(PROGRAM_BYTES_MAX)
        .nest_limit(200)
        .build()
        .map_err(|_| RegexError::TooLarge)?;
    Ok(RegexLiteral { pattern: Arc::from(pattern), regex: Arc::new(regex) })
}

impl RegexLiteral {
    /// Compiles a pattern in Go's syntax.
    pub fn new(pattern: &str) -> Result<Self, RegexError> {
        compile(pattern)
    }
}

#[cfg(test)]
mod tests;
