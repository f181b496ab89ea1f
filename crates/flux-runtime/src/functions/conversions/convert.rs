//! A single value becomes one of another type.

use std::{
    num::{IntErrorKind, ParseIntError},
    sync::Arc,
};

use skywatch_flux::{Duration, parse_time};

use crate::{Kind, Value, show};

/// A value as one of another type; why there is none, in words. Null stays null.
pub(in crate::functions) fn convert(value: &Value, kind: Kind) -> Result<Value, String> {
    if value.is_null() || value.kind() == kind {
        return Ok(value.clone());
    }
    let converted = match kind {
        Kind::Bool => to_bool(value),
        Kind::Int => to_int(value).map(|int| int.map(Value::Int)),
        Kind::Uint => to_uint(value).map(|uint| uint.map(Value::Uint)),
        Kind::Float => to_float(value),
        Kind::String => to_string(value),
        Kind::Time => to_time(value),
        Kind::Duration => to_duration(value),
        Kind::Bytes => match value {
            Value::String(text) => Some(Ok(Value::Bytes(Arc::from(text.as_bytes())))),
            _ => None,
        },
        _ => None,
    };
    let (from, to) = (value.kind().name(), kind.name());
    match converted {
        Some(Ok(value)) => Ok(value),
        Some(Err(reason)) => {
            let shown = match value {
                Value::String(text) => format!("{text:?}"),
                other => show(other),
            };
            Err(format!("cannot convert {from} {shown} to {to}: {reason}"))
        }
        None => Err(format!("cannot convert {from} to {to}")),
    }
}

/// `None`: no value of that type becomes one of the other.
type Converted<T> = Option<Result<T, String>>;

fn to_bool(value: &Value) -> Converted<Value> {
    let truth = match value {
        Value::String(text) => match &**text {
            "true" => Some(true),
            "false" => Some(false),
            _ => return Some(Err("it is neither \"true\" nor \"false\"".to_owned())),
        },
        Value::Int(0) | Value::Uint(0) | Value::Float(0.0) => Some(false),
        Value::Int(1) | Value::Uint(1) | Value::Float(1.0) => Some(true),
        Value::Int(_) | Value::Uint(_) | Value::Float(_) => None,
        _ => return None,
    };
    Some(truth.map(Value::Bool).ok_or_else(|| "it is neither 1 nor 0".to_owned()))
}

fn parse_error(error: &ParseIntError) -> String {
    match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => out_of_range(),
        _ => "it is no whole number".to_owned(),
    }
}

fn out_of_range() -> String {
    "it is out of range".to_owned()
}

fn nanoseconds(duration: Duration) -> Result<i64, String> {
    duration.nanoseconds_only().ok_or_else(|| "months differ in length".to_owned())
}

fn to_int(value: &Value) -> Converted<i64> {
    // One more than the greatest, which no float is.
    const END: f64 = 9_223_372_036_854_775_808.0;
    Some(match value {
        Value::String(text) => text.parse().map_err(|error| parse_error(&error)),
        Value::Bool(value) => Ok(i64::from(*value)),
        Value::Duration(duration) => nanoseconds(*duration),
        Value::Time(time) => Ok(*time),
        Value::Float(value) if (-END..END).contains(value) => Ok(*value as i64),
        Value::Float(_) => Err(out_of_range()),
        // As in Flux: the same bits.
        Value::Uint(value) => Ok(value.cast_signed()),
        _ => return None,
    })
}

fn to_uint(value: &Value) -> Converted<u64> {
    const END: f64 = 18_446_744_073_709_551_616.0;
    Some(match value {
        Value::String(text) => text.parse().map_err(|error| parse_error(&error)),
        Value::Float(value) if (0.0..END).contains(value) => Ok(*value as u64),
        // As in Flux, what is negative keeps its bits.
        Value::Int(value) => Ok(value.cast_unsigned()),
        _ => return to_int(value).map(|int| int.map(i64::cast_unsigned)),
    })
}

fn to_float(value: &Value) -> Converted<Value> {
    let float = match value {
        Value::String(text) => match text.parse::<f64>() {
            // Infinite although it is written in digits.
            Ok(float) if float.is_infinite() && text.contains(|char: char| char.is_ascii_digit()) => {
                Err(out_of_range())
            }
            Ok(float) => Ok(float),
            Err(_) => Err("it is no number".to_owned()),
        },
        Value::Bool(value) => Ok(f64::from(u8::from(*value))),
        Value::Int(_) | Value::Uint(_) => Ok(value.as_float()?),
        _ => return None,
    };
    Some(float.map(Value::Float))
}

fn to_string(value: &Value) -> Converted<Value> {
    Some(match value {
        Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Float(_)
        | Value::Time(_)
        | Value::Duration(_)
        | Value::Regex(_) => Ok(show(value).into()),
        Value::Bytes(bytes) => {
            std::str::from_utf8(bytes).map(Value::text).map_err(|_| "it is not valid UTF-8".to_owned())
        }
        _ => return None,
    })
}

fn to_time(value: &Value) -> Converted<Value> {
    let time = match value {
        Value::String(text) => {
            parse_time(text).ok_or("it is no time of RFC 3339 such as 2026-01-01T00:00:00Z")
        }
        Value::Int(time) => Ok(*time),
        Value::Uint(time) => i64::try_from(*time).map_err(|_| "it is out of range"),
        _ => return None,
    };
    Some(time.map(Value::Time).map_err(str::to_owned))
}

fn to_duration(value: &Value) -> Converted<Value> {
    let duration = match value {
        Value::String(text) => text.parse::<Duration>().map_err(|error| error.to_string()),
        Value::Int(time) => Ok(Duration::from_nanoseconds(*time)),
        Value::Uint(time) => i64::try_from(*time).map(Duration::from_nanoseconds).map_err(|_| out_of_range()),
        _ => return None,
    };
    Some(duration.map(Value::Duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn becomes(value: impl Into<Value>, kind: Kind, expected: &str) {
        let converted = convert(&value.into(), kind);
        if let Ok(converted) = &converted {
            assert!(converted.is_null() || converted.kind() == kind);
        }
        assert_eq!(converted.map_or_else(|reason| reason, |value| show(&value)), expected);
    }

    #[test]
    fn integers_are_cut_off_and_keep_their_bits() {
        becomes(10.12, Kind::Int, "10");
        becomes(-2.9, Kind::Int, "-2");
        becomes("3", Kind::Int, "3");
        becomes(true, Kind::Int, "1");
        becomes(Value::Duration(Duration::from_nanoseconds(60_000_000_000)), Kind::Int, "60000000000");
        becomes(u64::MAX, Kind::Int, "-1");
        becomes(-100_i64, Kind::Uint, "18446744073709551516");
        becomes(-1.5, Kind::Uint, "18446744073709551615");
        becomes(1.8e19, Kind::Uint, "18000000000000000000");
        becomes(Value::Null, Kind::Uint, "<null>");
    }

    #[test]
    fn what_does_not_fit_says_why() {
        becomes(f64::NAN, Kind::Int, "cannot convert float NaN to int: it is out of range");
        becomes(1e19, Kind::Int, "cannot convert float 10000000000000000000 to int: it is out of range");
        becomes("1.5", Kind::Int, "cannot convert string \"1.5\" to int: it is no whole number");
        let long = "9223372036854775808";
        becomes(long, Kind::Int, &format!("cannot convert string {long:?} to int: it is out of range"));
        becomes(2_i64, Kind::Bool, "cannot convert int 2 to bool: it is neither 1 nor 0");
        let month = Value::Duration(Duration { months: 1, ..Duration::default() });
        becomes(month, Kind::Int, "cannot convert duration 1mo to int: months differ in length");
        becomes(Value::array(Vec::new()), Kind::String, "cannot convert array to string");
        becomes(Value::Time(0), Kind::Float, "cannot convert time to float");
    }

    #[test]
    fn floats_are_read_in_every_spelling() {
        becomes("1.23e+20", Kind::Float, "123000000000000000000");
        becomes("+Inf", Kind::Float, "+Inf");
        becomes("-inf", Kind::Float, "-Inf");
        becomes("NaN", Kind::Float, "NaN");
        becomes("1e999", Kind::Float, "cannot convert string \"1e999\" to float: it is out of range");
        becomes("one", Kind::Float, "cannot convert string \"one\" to float: it is no number");
    }

    #[test]
    fn times_and_durations_are_nanoseconds() {
        becomes(1_640_995_200_000_000_000_i64, Kind::Time, "2022-01-01T00:00:00Z");
        becomes("2021-01-01T00:00:00Z", Kind::Time, "2021-01-01T00:00:00Z");
        becomes("1h20m", Kind::Duration, "1h20m");
        becomes(9_600_000_000_000_u64, Kind::Duration, "2h40m");
        becomes(-27_000_000_i64, Kind::Duration, "-27ms");
        becomes("abc", Kind::Bytes, "0x616263");
        becomes(Value::Bytes(Arc::from(*b"abc")), Kind::String, "abc");
    }
}
