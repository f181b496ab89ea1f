//! Field values as text and as numbers, the way the original's formatting and conversions see them.

use std::borrow::Cow;

use skywatch_model::FieldValue;

/// The number a value is; `None` for texts and booleans.
pub(crate) fn number(value: &FieldValue) -> Option<f64> {
    match value {
        FieldValue::Float(number) => Some(*number),
        FieldValue::Integer(number) => Some(*number as f64),
        FieldValue::Unsigned(number) => Some(*number as f64),
        FieldValue::String(_) | FieldValue::Boolean(_) => None,
    }
}

/// A value as text; a float in as many digits as it needs, without an exponent.
pub(crate) fn text(value: &FieldValue) -> Cow<'_, str> {
    match value {
        FieldValue::String(text) => Cow::Borrowed(text),
        FieldValue::Boolean(true) => Cow::Borrowed("true"),
        FieldValue::Boolean(false) => Cow::Borrowed("false"),
        FieldValue::Integer(number) => Cow::Owned(number.to_string()),
        FieldValue::Unsigned(number) => Cow::Owned(number.to_string()),
        FieldValue::Float(number) => Cow::Owned(plain(*number)),
    }
}

/// A float without an exponent; Go's verb `f` with the shortest precision.
pub(crate) fn plain(number: f64) -> String {
    if number.is_finite() { number.to_string() } else { special(number).to_owned() }
}

/// A value as Go's `%v` prints it: as [`text`], but a float below 0.0001 or from 1e6 on has an exponent.
pub(crate) fn general(value: &FieldValue) -> Cow<'_, str> {
    match value {
        FieldValue::Float(number) => Cow::Owned(general_float(*number)),
        other => text(other),
    }
}

/// Go's verb `g` with the shortest precision: an exponent below -4 or from 6 on.
fn general_float(number: f64) -> String {
    if !number.is_finite() {
        return special(number).to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number == 0.0 || (-4..6).contains(&exponent) {
        return number.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

fn special(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_as_go_prints_them() {
        // Printed by Go 1.24's fmt.Printf("%v").
        for (number, want) in [
            (0.0, "0"),
            (1.5, "1.5"),
            (100_000.0, "100000"),
            (1_000_000.0, "1e+06"),
            (123_456_789.0, "1.23456789e+08"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-1e100, "-1e+100"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(general(&FieldValue::Float(number)), want);
        }
        assert_eq!(text(&FieldValue::Float(1e21)), "1000000000000000000000");
        assert_eq!(text(&FieldValue::Boolean(true)), "true");
        assert_eq!(number(&FieldValue::Unsigned(3)), Some(3.0));
        assert_eq!(number(&FieldValue::Boolean(true)), None);
    }
}
