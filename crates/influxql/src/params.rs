//! Bound parameters: values a request binds to the `$name`s of its query.

use std::collections::BTreeMap;

use crate::token::Kind;

/// The values by name, without the `$`.
pub type Params = BTreeMap<String, ParamValue>;

/// A value that takes the place of a `$name` as if it had been written there, without any quoting to get wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum ParamValue {
    /// A JSON number with a fraction.
    Number(f64),
    /// A JSON number without one.
    Integer(i64),
    /// A JSON string; also `{"string": "..."}`.
    String(String),
    /// A JSON boolean.
    Boolean(bool),
    /// `{"identifier": "..."}`: a name.
    Identifier(String),
    /// `{"regex": "..."}`: a pattern.
    Regex(String),
    /// `{"duration": "5m"}`: a duration literal.
    Duration(String),
}

impl ParamValue {
    /// The token it stands for.
    pub(crate) fn token(&self) -> (Kind, String) {
        match self {
            Self::Number(value) => (Kind::Number, value.to_string()),
            Self::Integer(value) => (Kind::Integer, value.to_string()),
            Self::String(text) => (Kind::String, text.clone()),
            Self::Boolean(true) => (Kind::True, String::new()),
            Self::Boolean(false) => (Kind::False, String::new()),
            Self::Identifier(name) => (Kind::Ident, name.clone()),
            Self::Regex(pattern) => (Kind::Regex, pattern.clone()),
            Self::Duration(text) => (Kind::Duration, text.clone()),
        }
    }
}
