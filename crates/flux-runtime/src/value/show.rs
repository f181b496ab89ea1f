//! Values as text: what `string()`, `display()` and interpolation make of them.

use crate::Value;

/// As Flux writes it. Flux standard library, `display()`.
pub fn show(value: &Value) -> String {
    match value {
        Value::Null => "<null>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Float(value) => show_float(*value),
        Value::String(value) => value.to_string(),
        Value::Bytes(bytes) => {
            let mut text = String::from("0x");
            for byte in bytes.iter() {
                text.push_str(&format!("{byte:02x}"));
            }
            text
        }
        Value::Time(time) => skywatch_flux::format_time(*time),
        Value::Duration(duration) => duration.to_string(),
        Value::Regex(pattern) => pattern.source().to_owned(),
        Value::Array(values) => {
            let parts: Vec<String> = values.iter().map(show).collect();
            format!("[{}]", parts.join(", "))
        }
        Value::Dictionary(entries) if entries.is_empty() => "[:]".to_owned(),
        Value::Dictionary(entries) => {
            let parts: Vec<String> =
                entries.iter().map(|(key, value)| format!("{}: {}", show(&key.0), show(value))).collect();
            format!("[{}]", parts.join(", "))
        }
        Value::Record(record) => {
            let mut members = record.members();
            members.sort_by(|left, right| left.0.cmp(&right.0));
            let parts: Vec<String> =
                members.iter().map(|(name, value)| format!("{name}: {}", show(value))).collect();
            format!("{{{}}}", parts.join(", "))
        }
        Value::Function(function) => function.to_string(),
        Value::Stream(_) => "<stream>".to_owned(),
    }
}

/// The shortest digits that mean the same number, never with an exponent.
pub(crate) fn show_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}
