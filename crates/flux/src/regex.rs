//! Regular expressions. Flux has Go's syntax, as InfluxQL has: what reads the one reads the other, within the same
//! limits of size.

use std::sync::Arc;

pub use skywatch_influxql::RegexError;
use skywatch_influxql::RegexLiteral;

/// Compiles a pattern in Go's syntax; matches are unanchored.
pub fn compile(pattern: &str) -> Result<Arc<regex::Regex>, RegexError> {
    Ok(Arc::clone(RegexLiteral::new(pattern)?.regex()))
}
