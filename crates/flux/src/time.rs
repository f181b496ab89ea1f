//! Times as Flux writes them: `2026-11-30`, `2026-11-30T04:00:00.5Z`, `2026-11-30T05:00:00+01:00`.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

pub use skywatch_influxql::format_time;

/// Digits of a fraction of a second that count.
const FRACTION_DIGITS_MAX: usize = 9;

/// Nanoseconds since 1970 of a date, which begins in UTC, or of a date and time with its offset (RFC 3339).
/// `None`: of another form, no such day, or beyond what 64 bits hold (years 1677 to 2262).
#[must_use]
pub fn parse_time(text: &str) -> Option<i64> {
    if literal_bytes(text)? != text.len() {
        return None;
    }
    let (date, clock) = text.split_at(DATE.len());
    let timestamp = if clock.is_empty() {
        date.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp()
    } else {
        let (clock, rest) = clock.split_at(CLOCK.len());
        let (fraction, offset) = split_fraction(rest)?;
        format!("{date}{clock}.{fraction:0<1}{offset}").parse::<Timestamp>().ok()?
    };
    i64::try_from(timestamp.as_nanosecond()).ok()
}

/// Digits that count, and what is behind all digits.
fn split_fraction(text: &str) -> Option<(&str, &str)> {
    let Some(digits) = text.strip_prefix('.') else { return Some(("", text)) };
    let count = digit_count(digits);
    (count > 0).then(|| (&digits[..count.min(FRACTION_DIGITS_MAX)], &digits[count..]))
}

const DATE: &str = "dddd-dd-dd";
const CLOCK: &str = "Tdd:dd:dd";
const OFFSET: &str = "dd:dd";

/// How many bytes of the beginning look like a time; a time without offset does, and is refused later.
pub(crate) fn literal_bytes(text: &str) -> Option<usize> {
    let rest = after_shape(text, DATE)?;
    let Some(rest) = after_shape(rest, CLOCK) else { return Some(DATE.len()) };
    let rest = rest.strip_prefix('.').map_or(rest, |digits| &digits[digit_count(digits)..]);
    let signed = rest.strip_prefix(['+', '-']).and_then(|rest| after_shape(rest, OFFSET));
    let rest = rest.strip_prefix('Z').or(signed).unwrap_or(rest);
    Some(text.len() - rest.len())
}

fn digit_count(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// What follows a fixed shape, in which `d` is a digit.
fn after_shape<'a>(text: &'a str, shape: &str) -> Option<&'a str> {
    let fits = |(byte, shape): (u8, u8)| if shape == b'd' { byte.is_ascii_digit() } else { byte == shape };
    let has_shape = text.len() >= shape.len() && text.bytes().zip(shape.bytes()).all(fits);
    if has_shape { text.get(shape.len()..) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let noon = 1_577_880_000_000_000_000;
        for (text, time) in [
            ("2020-01-01T12:00:00Z", noon),
            ("2020-01-01T14:30:00+02:30", noon),
            ("2020-01-01T04:00:00-08:00", noon),
            ("2020-01-01T12:00:00.5Z", noon + 500_000_000),
            ("2020-01-01T12:00:00.123456789Z", noon + 123_456_789),
            ("2020-01-01T12:00:00.1234567899Z", noon + 123_456_789),
            ("2020-01-01", noon - 12 * 3_600_000_000_000),
            ("1969-12-31T23:59:59.999999999Z", -1),
        ] {
            assert_eq!(parse_time(text), Some(time), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "2020",
            "2020-1-1",
            "2020-13-01",
            "2020-02-30",
            "2020-01-01T12:00Z",
            "2020-01-01T12:00:00",
            "2020-01-01T12:00:00.Z",
            "2020-01-01T24:00:00Z",
            "2020-01-01T12:00:00+2:00",
            "2020-01-01T12:00:00+99:00",
            "2020-01-01 12:00:00Z",
            "2020-01-01x",
            "2020-01-01é",
            "0001-01-01",
            "9999-12-31T00:00:00Z",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for time in [0, -1, i64::MIN, i64::MAX, 1_577_880_000_500_000_000] {
            assert_eq!(parse_time(&format_time(time)), Some(time));
        }
        assert_eq!(format_time(1_577_880_000_500_000_000), "2020-01-01T12:00:00.5Z");
    }
}
