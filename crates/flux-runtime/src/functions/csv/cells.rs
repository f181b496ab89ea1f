//! Cells of annotated CSV: types and how their values are written.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use skywatch_flux::{Duration, parse_time};

use crate::{Kind, Value};

/// What `#datatype` may say, and the type that it stands for.
const DATATYPES: [(&str, Kind); 10] = [
    ("boolean", Kind::Bool),
    ("long", Kind::Int),
    ("unsignedLong", Kind::Uint),
    ("double", Kind::Float),
    ("string", Kind::String),
    ("base64Binary", Kind::Bytes),
    ("dateTime:RFC3339", Kind::Time),
    ("dateTime:RFC3339Nano", Kind::Time),
    ("dateTime", Kind::Time),
    ("duration", Kind::Duration),
];

/// The type that a datatype stands for.
pub(super) fn kind_of(datatype: &str) -> Result<Kind, String> {
    let found = DATATYPES.iter().find(|(name, _)| *name == datatype);
    found.map(|(_, kind)| *kind).ok_or_else(|| {
        let known = DATATYPES.map(|(name, _)| name).join(", ");
        format!("unknown datatype \"{datatype}\"; there are {known}")
    })
}

/// A cell's value.
pub(super) fn read(kind: Kind, text: &str) -> Result<Value, String> {
    let value = match kind {
        Kind::Bool => match text {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        Kind::Int => text.parse().ok().map(Value::Int),
        Kind::Uint => text.parse().ok().map(Value::Uint),
        Kind::Float => text.parse().ok().map(Value::Float),
        Kind::String => Some(Value::text(text)),
        Kind::Bytes => STANDARD.decode(text).ok().map(|bytes| Value::Bytes(bytes.into())),
        Kind::Time => parse_time(text).map(Value::Time),
        Kind::Duration => text.parse::<Duration>().ok().map(Value::Duration),
        _ => None,
    };
    value.ok_or_else(|| format!("\"{text}\" is no value of type {}", kind.name()))
}
