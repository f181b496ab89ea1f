//! Values of formats that do not tell their types: what a text may be read as.

use std::sync::Arc;

use skywatch_model::FieldValue;

/// A text as the first of an integer, a float and a boolean that it can be, or as itself.
pub(super) fn infer(text: &str) -> FieldValue {
    if let Ok(number) = text.parse() {
        return FieldValue::Integer(number);
    }
    if let Ok(number) = text.parse() {
        return FieldValue::Float(number);
    }
    match boolean(text) {
        Some(value) => FieldValue::Boolean(value),
        None => FieldValue::String(Arc::from(text)),
    }
}

/// A boolean in any of Go's spellings.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Types that options name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// `int`.
    Integer,
    /// `uint`.
    Unsigned,
    /// `float`.
    Float,
    /// `bool`.
    Boolean,
    /// `string`.
    String,
}

impl Type {
    /// The type of an option's text.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        Ok(match name {
            "int" | "integer" | "long" => Self::Integer,
            "uint" => Self::Unsigned,
            "float" | "double" => Self::Float,
            "bool" | "boolean" => Self::Boolean,
            "string" => Self::String,
            _ => return Err(format!("{name:?} is none of int, uint, float, bool, string")),
        })
    }

    /// A text read as this type.
    pub(super) fn read(self, text: &str) -> Result<FieldValue, String> {
        let bad = |what: &str| format!("{text:?} is no {what}");
        Ok(match self {
            Self::Integer => FieldValue::Integer(text.parse().map_err(|_| bad("integer"))?),
            Self::Unsigned => FieldValue::Unsigned(text.parse().map_err(|_| bad("unsigned integer"))?),
            Self::Float => FieldValue::Float(text.parse().map_err(|_| bad("number"))?),
            Self::Boolean => FieldValue::Boolean(boolean(text).ok_or_else(|| bad("boolean"))?),
            Self::String => FieldValue::String(Arc::from(text)),
        })
    }
}
