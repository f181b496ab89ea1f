//! Field values and their five types.

use std::sync::Arc;

/// The type of a field, fixed per shard by the first value written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum FieldType {
    /// 64-bit IEEE 754; NaN and infinities cannot be written.
    Float = 0,
    /// Signed 64-bit.
    Integer = 1,
    /// Unsigned 64-bit.
    Unsigned = 2,
    /// UTF-8 text.
    String = 3,
    /// True or false.
    Boolean = 4,
}

impl FieldType {
    /// InfluxQL's name of the type: `float`, `integer`, `unsigned`, `string`, `boolean`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Integer => "integer",
            Self::Unsigned => "unsigned",
            Self::String => "string",
            Self::Boolean => "boolean",
        }
    }
}

/// One field value, owned. Strings are shared, since results fan out.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// See [`FieldType::Float`].
    Float(f64),
    /// See [`FieldType::Integer`].
    Integer(i64),
    /// See [`FieldType::Unsigned`].
    Unsigned(u64),
    /// See [`FieldType::String`].
    String(Arc<str>),
    /// See [`FieldType::Boolean`].
    Boolean(bool),
}

impl FieldValue {
    /// The value's type.
    pub const fn field_type(&self) -> FieldType {
        match self {
            Self::Float(_) => FieldType::Float,
            Self::Integer(_) => FieldType::Integer,
            Self::Unsigned(_) => FieldType::Unsigned,
            Self::String(_) => FieldType::String,
            Self::Boolean(_) => FieldType::Boolean,
        }
    }
}
