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
    /// The type with this number, by which files and calls know it.
    pub const fn numbered(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Float,
            1 => Self::Integer,
            2 => Self::Unsigned,
            3 => Self::String,
            4 => Self::Boolean,
            _ => return None,
        })
    }

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

/// One field value, borrowed from the batch or body that holds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FieldRef<'a> {
    /// See [`FieldType::Float`].
    Float(f64),
    /// See [`FieldType::Integer`].
    Integer(i64),
    /// See [`FieldType::Unsigned`].
    Unsigned(u64),
    /// See [`FieldType::String`].
    String(&'a str),
    /// See [`FieldType::Boolean`].
    Boolean(bool),
}

impl FieldRef<'_> {
    /// The value's type.
    pub const fn field_type(self) -> FieldType {
        match self {
            Self::Float(_) => FieldType::Float,
            Self::Integer(_) => FieldType::Integer,
            Self::Unsigned(_) => FieldType::Unsigned,
            Self::String(_) => FieldType::String,
            Self::Boolean(_) => FieldType::Boolean,
        }
    }

    /// The value, owned; a string is copied.
    pub fn to_owned(self) -> FieldValue {
        match self {
            Self::Float(value) => FieldValue::Float(value),
            Self::Integer(value) => FieldValue::Integer(value),
            Self::Unsigned(value) => FieldValue::Unsigned(value),
            Self::String(value) => FieldValue::String(Arc::from(value)),
            Self::Boolean(value) => FieldValue::Boolean(value),
        }
    }
}

impl FieldValue {
    /// The value, borrowed.
    pub fn as_ref(&self) -> FieldRef<'_> {
        match self {
            Self::Float(value) => FieldRef::Float(*value),
            Self::Integer(value) => FieldRef::Integer(*value),
            Self::Unsigned(value) => FieldRef::Unsigned(*value),
            Self::String(value) => FieldRef::String(value),
            Self::Boolean(value) => FieldRef::Boolean(*value),
        }
    }
}
