//! Regular expressions, and how they were written.

use std::{ops::Deref, sync::Arc};

use regex::Regex;

/// A regular expression in Go's syntax, compiled. It is used as a [`Regex`], whose own text is a translation.
#[derive(Debug, Clone)]
pub struct Pattern {
    source: Arc<str>,
    regex: Arc<Regex>,
}

impl Pattern {
    /// Compiles a text; what is wrong with it, in Go's words.
    pub fn new(source: &str) -> Result<Self, String> {
        let regex = skywatch_flux::compile_regex(source).map_err(|error| error.to_string())?;
        Ok(Self { source: Arc::from(source), regex })
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl Deref for Pattern {
    type Target = Regex;

    fn deref(&self) -> &Regex {
        &self.regex
    }
}
