//! Times as InfluxQL writes them: `2020-01-01`, `2020-01-01 10:00:00.5`, RFC 3339.

use jiff::{Timestamp, civil, tz::TimeZone};

const NANOSECONDS_PER_SECOND: i128 = 1_000_000_000;

/// Nanoseconds since the epoch in RFC 3339, UTC, with as many decimals as needed.
pub fn format_time(nanoseconds: i64) -> String {
    Timestamp::from_nanosecond(i128::from(nanoseconds))
        .map_or_else(|_| nanoseconds.to_string(), |timestamp| timestamp.to_string())
}

/// Whether a string compared with `time` is meant as one: it begins with a date.
pub(crate) fn looks_like_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let date = bytes.iter().zip(b"dddd-dd-dd").all(|(byte, &shape)| match shape {
        b'd' => byte.is_ascii_digit(),
        other => *byte == other,
    });
    // As in the server, what follows the date may not begin with a line break.
    date && bytes.len() >= 10 && bytes.get(10) != Some(&b'\n')
}

/// Nanoseconds since the epoch, which may exceed what a timestamp holds. Times without an offset are in `zone`.
pub(crate) fn parse_time(text: &str, zone: &TimeZone) -> Option<i128> {
    let mut rest = Scanner { text };
    let (year, month, day) = rest.date()?;
    let date = civil::Date::new(year, month, day).ok()?;
    if rest.text.is_empty() {
        return in_zone(date.to_datetime(civil::Time::midnight()), zone);
    }
    let separator = rest.char()?;
    let (hour, minute, second) = rest.clock()?;
    let nanosecond = rest.fraction()?;
    let time = civil::Time::new(hour, minute, second, nanosecond).ok()?;
    let local = date.to_datetime(time);
    match separator {
        ' ' if rest.text.is_empty() => in_zone(local, zone),
        'T' => Some(utc(local) - rest.offset_seconds()? * NANOSECONDS_PER_SECOND),
        _ => None,
    }
}

/// A wall clock's reading as if it were UTC.
fn utc(local: civil::DateTime) -> i128 {
    TimeZone::UTC.to_ambiguous_timestamp(local).compatible().map_or(0, Timestamp::as_nanosecond)
}

/// Where clocks jump, the reading is resolved as Go does: with the offset valid at the instant that the offset valid
/// at "the same reading in UTC" leads to.
fn in_zone(local: civil::DateTime, zone: &TimeZone) -> Option<i128> {
    let as_utc = utc(local);
    let offset_at = |nanosecond: i128| {
        let timestamp = Timestamp::from_nanosecond(nanosecond).ok()?;
        Some(i128::from(zone.to_offset(timestamp).seconds()) * NANOSECONDS_PER_SECOND)
    };
    let guess = as_utc - offset_at(as_utc)?;
    Some(as_utc - offset_at(guess)?)
}

/// Reads fixed shapes off the front of a text.
struct Scanner<'a> {
    text: &'a str,
}

impl Scanner<'_> {
    fn char(&mut self) -> Option<char> {
        let ch = self.text.chars().next()?;
        self.text = &self.text[ch.len_utf8()..];
        Some(ch)
    }

    fn literal(&mut self, wanted: char) -> Option<()> {
        (self.char()? == wanted).then_some(())
    }

    /// Exactly so many digits.
    fn digits(&mut self, count: usize) -> Option<i16> {
        let digits =
            self.text.get(..count).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        self.text = &self.text[count..];
        digits.parse().ok()
    }

    fn two_digits(&mut self) -> Option<i8> {
        i8::try_from(self.digits(2)?).ok()
    }

    fn date(&mut self) -> Option<(i16, i8, i8)> {
        let year = self.digits(4)?;
        self.literal('-')?;
        let month = self.two_digits()?;
        self.literal('-')?;
        Some((year, month, self.two_digits()?))
    }

    /// Hours may have a single digit.
    fn clock(&mut self) -> Option<(i8, i8, i8)> {
        let hour = match self.two_digits() {
            Some(hour) => hour,
            None => i8::try_from(self.digits(1)?).ok()?,
        };
        self.literal(':')?;
        let minute = self.two_digits()?;
        self.literal(':')?;
        Some((hour, minute, self.two_digits()?))
    }

    /// Nanoseconds. Zero without a fraction, `None` if it has no digit or more than nine.
    fn fraction(&mut self) -> Option<i32> {
        let Some(digits) = self.text.strip_prefix(['.', ',']) else { return Some(0) };
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        self.text = &digits[count..];
        if (1..=9).contains(&count) { format!("{:0<9}", &digits[..count]).parse().ok() } else { None }
    }

    /// `Z` or `+hh:mm`, to the end.
    fn offset_seconds(&mut self) -> Option<i128> {
        let sign = match self.char()? {
            'Z' if self.text.is_empty() => return Some(0),
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        let hours = i128::from(self.two_digits()?);
        self.literal(':')?;
        let minutes = i128::from(self.two_digits()?);
        self.text.is_empty().then_some(sign * (hours * 3600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc_time(text: &str) -> Option<i128> {
        parse_time(text, &TimeZone::UTC)
    }

    #[test]
    fn formats_are_read() {
        let noon = 1_577_880_000_000_000_000;
        assert_eq!(utc_time("2020-01-01"), Some(1_577_836_800_000_000_000));
        assert_eq!(utc_time("2020-01-01 12:00:00"), Some(noon));
        assert_eq!(utc_time("2020-01-01T12:00:00Z"), Some(noon));
        assert_eq!(utc_time("2020-01-01T14:30:00+02:30"), Some(noon));
        assert_eq!(utc_time("2020-01-01 9:00:00"), Some(noon - 3 * 3_600_000_000_000));
        assert_eq!(utc_time("2020-01-01T12:00:00.123456789Z"), Some(noon + 123_456_789));
        assert_eq!(utc_time("2020-01-01 12:00:00.5"), Some(noon + 500_000_000));
        assert_eq!(utc_time("1960-01-01"), Some(-315_619_200_000_000_000));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "2020-13-01",
            "2020-02-30",
            "2020-01-01T12:00:00",
            "2020-01-01 12:00:00Z",
            "2020-01-01 12:00",
            "2020-01-01x",
            "2020-01-01 25:00:00",
            "2020-01-01 12:00:00.",
            "2020-01-01 12:00:00.1234567890",
            "2020-01-01T12:00:00.1234567890Z",
            "20-01-01",
        ] {
            assert_eq!(utc_time(text), None, "{text}");
        }
    }

    #[test]
    fn zones_apply_to_readings_without_offset() {
        let berlin = jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap();
        let hour = 3_600_000_000_000;
        assert_eq!(parse_time("2020-01-01", &berlin), utc_time("2020-01-01").map(|time| time - hour));
        assert_eq!(parse_time("2020-07-01", &berlin), utc_time("2020-07-01").map(|time| time - 2 * hour));
        assert_eq!(parse_time("2020-07-01T00:00:00Z", &berlin), utc_time("2020-07-01"));
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(format_time(0), "1970-01-01T00:00:00Z");
        assert_eq!(format_time(1_577_880_000_500_000_000), "2020-01-01T12:00:00.5Z");
        assert_eq!(format_time(-1), "1969-12-31T23:59:59.999999999Z");
    }
}
