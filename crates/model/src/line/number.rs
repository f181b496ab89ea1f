//! Numbers and booleans as InfluxDB reads them. The exact reading here decides what is refused; the shortcut
//! [`read_simple`] covers the usual shapes and gives the same values.

use super::{Reason, batch::Value};

/// Powers of ten that are exact as `f64`.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// Integers up to here are exact as `f64`.
const EXACT_INTEGER_MAX: u64 = 1 << 53;
/// As many decimal digits fit `u64`, whatever they are.
const SAFE_DIGITS: usize = 19;

/// Whether a value that begins with `byte` is read as a number.
pub(super) const fn begins_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'N' | b'n')
}

/// Reads a whole value that [`begins_number`].
pub(super) fn read_number(text: &str) -> Result<Value, Reason> {
    let shape = NumberShape::of(text.as_bytes()).ok_or(Reason::InvalidNumber)?;
    match shape.suffix {
        Some(b'i') => {
            let digits = &text[..text.len() - 1];
            let value = digits.parse();
            value.map(Value::Integer).map_err(|_| Reason::IntegerOutOfRange { digits: digits.to_owned() })
        }
        Some(_) => {
            let digits = &text[..text.len() - 1];
            let value = digits.parse();
            value.map(Value::Unsigned).map_err(|_| Reason::UnsignedOutOfRange { digits: digits.to_owned() })
        }
        None => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Value::Float(value)),
            Ok(_) | Err(_) => Err(Reason::InvalidFloat),
        },
    }
}

/// What a number is made of.
struct NumberShape {
    /// `i` or `u`.
    suffix: Option<u8>,
}

impl NumberShape {
    /// `None` for what InfluxDB calls an invalid number; a float may still turn out to be malformed.
    fn of(text: &[u8]) -> Option<Self> {
        let unsigned_text = text.strip_prefix(b"-").unwrap_or(text);
        let (suffix, number) = match unsigned_text.split_last() {
            Some((&last @ (b'i' | b'u'), number)) => (Some(last), number),
            _ => (None, unsigned_text),
        };
        let is_float_part = |at: usize, byte: u8| match byte {
            b'0'..=b'9' => true,
            b'.' => !number[..at].contains(&b'.'),
            b'e' | b'E' => at > 0 || text.len() > unsigned_text.len(),
            b'+' | b'-' => at > 0 && matches!(number[at - 1], b'e' | b'E'),
            _ => false,
        };
        let is_valid = match suffix {
            Some(b'u') if text.len() > unsigned_text.len() => false,
            Some(_) => number.iter().all(u8::is_ascii_digit),
            None => number.iter().enumerate().all(|(at, &byte)| is_float_part(at, byte)) && number != b".",
        };
        (is_valid && !number.is_empty()).then_some(Self { suffix })
    }
}

/// Reads a value that does not begin as a number and has no quotes.
pub(super) fn read_boolean(text: &str) -> Result<Value, Reason> {
    match text {
        "t" | "T" | "true" | "True" | "TRUE" => Ok(Value::Boolean(true)),
        "f" | "F" | "false" | "False" | "FALSE" => Ok(Value::Boolean(false)),
        _ => Err(Reason::InvalidBoolean),
    }
}

/// Reads the number at the start of `text` if it is of a usual shape: at most 19 digits, no exponent, a
/// fraction that is exact. Returns it with its length. What follows it is the caller's to judge.
#[inline]
pub(super) fn read_simple(text: &[u8]) -> Option<(Value, usize)> {
    let negative = *text.first()? == b'-';
    let mut at = usize::from(negative);
    let (whole, whole_digits) = read_digits(&text[at..], 0);
    at += whole_digits;
    if whole_digits > SAFE_DIGITS {
        return None;
    }
    match text.get(at) {
        Some(b'i') if whole_digits > 0 => {
            let value = i64::try_from(whole).ok()?;
            Some((Value::Integer(if negative { -value } else { value }), at + 1))
        }
        Some(b'u') if whole_digits > 0 && !negative => Some((Value::Unsigned(whole), at + 1)),
        Some(b'.') => {
            let (mantissa, fraction_digits) = read_digits(&text[at + 1..], whole);
            let digits = whole_digits + fraction_digits;
            if digits == 0 || digits > SAFE_DIGITS || mantissa > EXACT_INTEGER_MAX {
                return None;
            }
            // One correctly rounded operation on two exact operands (Clinger, 1990).
            let value = mantissa as f64 / EXACT_POWERS[fraction_digits];
            Some((Value::Float(if negative { -value } else { value }), at + 1 + fraction_digits))
        }
        Some(b'e' | b'E') => None,
        _ if whole_digits > 0 && whole <= EXACT_INTEGER_MAX => {
            let value = whole as f64;
            Some((Value::Float(if negative { -value } else { value }), at))
        }
        _ => None,
    }
}

/// The decimal digits at the start of `text` appended to `number`, and how many there are. Wraps past
/// [`SAFE_DIGITS`].
#[inline]
pub(super) fn read_digits(text: &[u8], mut number: u64) -> (u64, usize) {
    let mut count = 0;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    (number, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reason(text: &str) -> Reason {
        read_number(text).expect_err(text)
    }

    #[test]
    fn numbers_that_are_read() {
        for (text, value) in [
            ("0", Value::Float(0.0)),
            ("1.", Value::Float(1.0)),
            (".5", Value::Float(0.5)),
            ("-.5", Value::Float(-0.5)),
            ("1e3", Value::Float(1000.0)),
            ("-1.5E-3", Value::Float(-0.0015)),
            ("1e+3", Value::Float(1000.0)),
            ("1e-400", Value::Float(0.0)),
            ("123456789012345678901234567890", Value::Float(123_456_789_012_345_680_000_000_000_000.0)),
            ("007i", Value::Integer(7)),
            ("-0i", Value::Integer(0)),
            ("9223372036854775807i", Value::Integer(i64::MAX)),
            ("-9223372036854775808i", Value::Integer(i64::MIN)),
            ("18446744073709551615u", Value::Unsigned(u64::MAX)),
        ] {
            assert_eq!(read_number(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn numbers_that_are_refused() {
        for text in [
            "-", ".", "-.", "-i", "-u", "-1u", "1.5i", "1e3i", "1i1", "1ii", "1iu", "1.2.3", "1_0", "0x1",
            "NaN", "nan", "n", "-inf", "1+5", "1-5", "1 ", "1f", "--1", "1\u{e4}",
        ] {
            assert_eq!(reason(text), Reason::InvalidNumber, "{text}");
        }
        for text in ["1e", "1e+", "1ee5", "1e400", "-1e400", "1e5.5", ".e5", "-e5", "1e5e5"] {
            assert_eq!(reason(text), Reason::InvalidFloat, "{text}");
        }
        assert_eq!(reason(&"9".repeat(400)), Reason::InvalidFloat);
        assert_eq!(
            reason("9223372036854775808i").to_string(),
            "unable to parse integer 9223372036854775808: strconv.ParseInt: parsing \"9223372036854775808\": \
             value out of range"
        );
        assert_eq!(
            reason("18446744073709551616u").to_string(),
            "unable to parse unsigned 18446744073709551616: strconv.ParseUint: parsing \
             \"18446744073709551616\": value out of range"
        );
    }

    #[test]
    fn booleans() {
        for text in ["t", "T", "true", "True", "TRUE"] {
            assert_eq!(read_boolean(text), Ok(Value::Boolean(true)));
        }
        for text in ["f", "F", "false", "False", "FALSE"] {
            assert_eq!(read_boolean(text), Ok(Value::Boolean(false)));
        }
        for text in ["", "tRUE", "truee", "tr", "yes", "Inf", "+1", "ta"] {
            assert_eq!(read_boolean(text), Err(Reason::InvalidBoolean), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_shortcut_reads_what_the_exact_reading_reads(text in "-?[0-9]{0,21}(\\.[0-9]{0,21})?[iue]?") {
            if let Some((value, length)) = read_simple(text.as_bytes())
                && length == text.len()
            {
                prop_assert_eq!(read_number(&text), Ok(value));
            }
        }

        #[test]
        fn shortest_floats_come_back(bits: u64) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                prop_assert_eq!(read_number(&format!("{value}")), Ok(Value::Float(value)));
                prop_assert_eq!(read_number(&format!("{value:e}")), Ok(Value::Float(value)));
            }
        }
    }
}
