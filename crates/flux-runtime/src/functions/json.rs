//! Package json.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    Call, Error, Value,
    function::{Builtin, required},
    packages::{Library, no_constants},
    show,
};

/// Package json.
pub(crate) static LIBRARY: Library = Library {
    path: "json",
    builtins: &[Builtin { name: "encode", parameters: &[required("v")], run: encode }],
    constants: no_constants,
    text: "",
};

fn encode(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let mut text = String::new();
    write(&mut text, &call.value("v")).map_err(|reason| call.error(reason))?;
    call.context.keep(text.len())?;
    Ok(Value::Bytes(text.into_bytes().into()))
}

/// A value as JSON: members by name, times and durations as texts, bytes as base64.
fn write(text: &mut String, value: &Value) -> Result<(), String> {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(_) | Value::Int(_) | Value::Uint(_) => text.push_str(&show(value)),
        Value::Float(number) if number.is_finite() => write_number(text, *number),
        Value::Float(_) => return Err(format!("JSON has no number {}", show(value))),
        Value::String(inner) => write_text(text, inner),
        Value::Bytes(bytes) => write_text(text, &STANDARD.encode(bytes)),
        Value::Time(_) | Value::Duration(_) | Value::Regex(_) => write_text(text, &show(value)),
        Value::Array(values) => {
            text.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write(text, value)?;
            }
            text.push(']');
        }
        Value::Dictionary(entries) => {
            let entries = entries.iter().map(|(key, value)| (show(&key.0), value.clone()));
            write_members(text, entries.collect())?;
        }
        Value::Record(record) => {
            let members = record.members().into_iter().map(|(name, value)| (name.to_string(), value));
            write_members(text, members.collect())?;
        }
        Value::Function(_) | Value::Stream(_) => {
            return Err(format!("a {} has no form in JSON", value.kind().name()));
        }
    }
    Ok(())
}

fn write_members(text: &mut String, mut members: Vec<(String, Value)>) -> Result<(), String> {
    members.sort_by(|left, right| left.0.cmp(&right.0));
    text.push('{');
    for (at, (name, value)) in members.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        write_text(text, name);
        text.push(':');
        write(text, value)?;
    }
    text.push('}');
    Ok(())
}

fn write_text(text: &mut String, inner: &str) {
    text.push_str(&serde_json::Value::from(inner).to_string());
}

/// Digits as far as people read them, an exponent for what is very large or small.
fn write_number(text: &mut String, number: f64) {
    let size = number.abs();
    let _written = if size != 0.0 && !(1e-6..1e21).contains(&size) {
        write!(text, "{number:e}")
    } else {
        write!(text, "{number}")
    };
}
