//! Values as numbers, booleans and times, by the original's rules. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use skywatch_model::FieldValue;

use crate::field_value;

/// An integer: floats are rounded and, like what does not fit, clamped; texts may have a base (`0x`, `0o`, `0b`) or be
/// floats.
pub(super) fn integer(value: &FieldValue) -> Option<i64> {
    match value {
        FieldValue::Integer(number) => Some(*number),
        FieldValue::Unsigned(number) => Some(i64::try_from(*number).unwrap_or(i64::MAX)),
        FieldValue::Boolean(yes) => Some(i64::from(*yes)),
        FieldValue::Float(number) => rounded(*number).map(|number| number as i64),
        FieldValue::String(text) => match based(text) {
            Some(number) => Some(number.clamp(i64::MIN.into(), i64::MAX.into()) as i64),
            None => rounded(float_of_text(text)?).map(|number| number as i64),
        },
    }
}

/// As [`integer`], and what is negative is zero.
pub(super) fn unsigned(value: &FieldValue) -> Option<u64> {
    match value {
        FieldValue::Unsigned(number) => Some(*number),
        FieldValue::Integer(number) => Some(u64::try_from(*number).unwrap_or(0)),
        FieldValue::Boolean(yes) => Some(u64::from(*yes)),
        FieldValue::Float(number) => rounded(*number).map(|number| number as u64),
        FieldValue::String(text) => match based(text) {
            Some(number) => Some(number.clamp(0, u64::MAX.into()) as u64),
            None => rounded(float_of_text(text)?).map(|number| number as u64),
        },
    }
}

/// A float; texts may be integers with a base.
pub(super) fn float(value: &FieldValue) -> Option<f64> {
    match value {
        FieldValue::Boolean(yes) => Some(f64::from(u8::from(*yes))),
        FieldValue::String(text) => float_of_text(text).or_else(|| based(text).map(|number| number as f64)),
        number => field_value::number(number),
    }
}

/// A boolean: numbers are true unless zero; texts are what Go's `ParseBool` takes.
pub(super) fn boolean(value: &FieldValue) -> Option<bool> {
    match value {
        FieldValue::Boolean(yes) => Some(*yes),
        FieldValue::String(text) => match text.as_ref() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => None,
        },
        number => field_value::number(number).map(|number| number != 0.0),
    }
}

/// Four bytes, big endian, in base64: an IEEE 754 float of single precision.
pub(super) fn base64_float32(value: &FieldValue) -> Option<f64> {
    let FieldValue::String(text) = value else { return None };
    let bytes: [u8; 4] = STANDARD.decode(text.as_ref()).ok()?.try_into().ok()?;
    Some(f64::from(f32::from_be_bytes(bytes)))
}

/// Half away from zero. Casts then clamp.
fn rounded(number: f64) -> Option<f64> {
    (!number.is_nan()).then(|| number.round())
}

fn float_of_text(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// An integer with sign, base prefix and underscores between digits.
fn based(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        _ => (10, lower.as_str()),
    };
    let plain = digits.replace('_', "");
    if plain.starts_with(['+', '-']) {
        return None;
    }
    let number = i128::from_str_radix(&plain, radix).ok()?;
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_as_integers() {
        for (text, want) in [
            ("12", Some(12)),
            ("-0x10", Some(-16)),
            ("0b101", Some(5)),
            ("1_000", Some(1000)),
            ("2.5", Some(3)),
            ("-2.5", Some(-3)),
            ("99999999999999999999", Some(i64::MAX)),
            ("1e30", Some(i64::MAX)),
            ("NaN", None),
            ("", None),
            ("--1", None),
            ("0x", None),
        ] {
            assert_eq!(integer(&FieldValue::String(text.into())), want, "{text}");
        }
        assert_eq!(unsigned(&FieldValue::Float(-1.0)), Some(0));
        assert_eq!(unsigned(&FieldValue::String("-5".into())), Some(0));
    }
}
