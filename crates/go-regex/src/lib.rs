//! Regular expressions in Go's syntax (RE2), for the `regex` crate.
//!
//! The two dialects are close, but not equal: in Go `\d`, `\w`, `\s` and `\b` know only ASCII, `[` inside a class and a
//! stray `{` are ordinary characters, `\Q...\E` quotes, and `&&`, `--`, `~~` in a class mean nothing. A pattern is
//! therefore read as Go reads it, with Go's errors, and written again so that the crate takes it the same way.

mod translator;

use translator::{Groups, Translator};

/// Why a pattern is refused, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegexError {
    /// A part that the syntax does not allow.
    #[error("error parsing regexp: {problem}: `{part}`")]
    Syntax {
        /// What is wrong.
        problem: &'static str,
        /// With what.
        part: String,
    },
    /// It would need too much memory.
    #[error("error parsing regexp: expression too large")]
    TooLarge,
}

/// The pattern as the `regex` crate reads it, for matches alone: groups lose their names.
pub fn translate(pattern: &str) -> Result<String, RegexError> {
    Translator::new(pattern, Groups::Unnamed).translate()
}

/// The same for those who ask for groups by their names. `(?<name>...)` is one, too, as in Go since 1.22. The crate
/// refuses names that begin with a digit or occur twice, which Go does not.
pub fn translate_named(pattern: &str) -> Result<String, RegexError> {
    Translator::new(pattern, Groups::Named).translate()
}

#[cfg(test)]
mod tests;
