//! Spans of time as Flux knows them: calendar months and nanoseconds, kept apart because months differ in length.

use std::{fmt, ops::Neg, str::FromStr};

use jiff::{Span, Timestamp, tz::TimeZone};

/// Months and nanoseconds, both of one sign. Flux specification, "Duration literals".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Duration {
    /// Not negative.
    pub months: i64,
    /// Not negative.
    pub nanoseconds: i64,
    /// Whether both count backwards.
    pub is_negative: bool,
}

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not pairs of a number and a unit.
    #[error(
        "invalid duration: write numbers with units, such as 1h30m; units are y, mo, w, d, h, m, s, ms, us, ns"
    )]
    Malformed,
    /// More than 64 bits of nanoseconds or months hold.
    #[error("duration is too long")]
    Overflow,
}

/// Units of calendars, largest first, in months.
const MONTH_UNITS: [(&str, i64); 2] = [("y", 12), ("mo", 1)];

/// Units of clocks, largest first, in nanoseconds.
const CLOCK_UNITS: [(&str, i64); 8] = [
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Other spellings: the micro sign and the Greek letter.
const MICRO_UNITS: [(&str, &str); 2] = [("µs", "us"), ("μs", "us")];

impl Duration {
    /// Of nanoseconds alone; negative ones count backwards.
    #[must_use]
    pub const fn from_nanoseconds(nanoseconds: i64) -> Self {
        Self { months: 0, nanoseconds: nanoseconds.saturating_abs(), is_negative: nanoseconds < 0 }
    }

    /// Its nanoseconds with their sign; `None` if months are involved, whose length nobody knows.
    #[must_use]
    pub const fn nanoseconds_only(self) -> Option<i64> {
        if self.months != 0 {
            return None;
        }
        Some(if self.is_negative { self.nanoseconds.saturating_neg() } else { self.nanoseconds })
    }

    /// Whether it has no length.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.months == 0 && self.nanoseconds == 0
    }

    /// The time later by this, in nanoseconds since 1970: first the months, in UTC, clipped to the last day of the
    /// month (a month after 31 January is the end of February), then the nanoseconds.
    #[must_use]
    pub fn add_to(self, time: i64) -> Option<i64> {
        self.add_to_in(time, &TimeZone::UTC)
    }

    /// The same by the calendar of a time zone: a month later clocks show the same hour.
    #[must_use]
    pub fn add_to_in(self, time: i64, zone: &TimeZone) -> Option<i64> {
        let sign = if self.is_negative { -1 } else { 1 };
        let mut time = i128::from(time);
        if self.months != 0 {
            let months = Span::new().try_months(self.months.checked_mul(sign)?).ok()?;
            let local = zone.to_datetime(Timestamp::from_nanosecond(time).ok()?);
            let moved = local.checked_add(months).ok()?;
            time = zone.to_timestamp(moved).ok()?.as_nanosecond();
        }
        i64::try_from(time + i128::from(sign) * i128::from(self.nanoseconds)).ok()
    }

    /// Adds one part, such as `1.5` and `s`.
    fn add_part(&mut self, whole: &str, fraction: &str, unit: &str) -> Result<(), DurationError> {
        let (total, size) = match find(&MONTH_UNITS, unit) {
            Some(size) => (&mut self.months, size),
            None => (&mut self.nanoseconds, find(&CLOCK_UNITS, unit).ok_or(DurationError::Malformed)?),
        };
        let whole: i64 = whole.parse().map_err(|_| DurationError::Overflow)?;
        let part = whole.checked_mul(size).and_then(|part| part.checked_add(of_fraction(fraction, size)?));
        *total = part.and_then(|part| total.checked_add(part)).ok_or(DurationError::Overflow)?;
        Ok(())
    }
}

/// How much of a unit the digits behind the point are; what is smaller than the smallest part is dropped.
fn of_fraction(digits: &str, size: i64) -> Option<i64> {
    // No unit has more than fifteen digits of nanoseconds.
    let digits = &digits[..digits.len().min(15)];
    let parts = 10_i128.pow(u32::try_from(digits.len()).ok()?);
    let count: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    i64::try_from(count * i128::from(size) / parts).ok()
}

fn find(units: &[(&str, i64)], unit: &str) -> Option<i64> {
    units.iter().find(|(name, _)| *name == unit).map(|&(_, size)| size)
}

/// The longest unit at the beginning of a text, as it is written there, and as it is known.
fn unit_at(text: &str) -> Option<(&str, &'static str)> {
    let plain = MONTH_UNITS.iter().chain(&CLOCK_UNITS).map(|&(name, _)| (name, name));
    plain
        .chain(MICRO_UNITS)
        .filter(|(spelling, _)| text.starts_with(spelling))
        .max_by_key(|(spelling, _)| spelling.len())
        .map(|(spelling, name)| (&text[..spelling.len()], name))
}

/// A number and its unit at the beginning of a text.
struct Part<'a> {
    whole: &'a str,
    fraction: &'a str,
    unit: &'static str,
    rest: &'a str,
}

fn part_at(text: &str) -> Option<Part<'_>> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(behind) if digits(behind) > 0 => behind.split_at(digits(behind)),
        _ => ("", rest),
    };
    let (spelling, unit) = unit_at(rest).filter(|_| !whole.is_empty())?;
    Some(Part { whole, fraction, unit, rest: &rest[spelling.len()..] })
}

/// How many bytes of the beginning are a duration, without sign.
pub(crate) fn literal_bytes(text: &str) -> Option<usize> {
    let mut rest = text;
    while let Some(part) = part_at(rest) {
        rest = part.rest;
    }
    (rest.len() < text.len()).then(|| text.len() - rest.len())
}

impl FromStr for Duration {
    type Err = DurationError;

    /// `1h30m`, `-1mo`; fractions are read too (`1.5s`), though years and months have none but twelfths.
    fn from_str(text: &str) -> Result<Self, DurationError> {
        let unsigned = text.strip_prefix('-');
        let mut duration = Self { is_negative: unsigned.is_some(), ..Self::default() };
        let mut rest = unsigned.unwrap_or(text);
        if rest.is_empty() {
            return Err(DurationError::Malformed);
        }
        while !rest.is_empty() {
            let part = part_at(rest).ok_or(DurationError::Malformed)?;
            duration.add_part(part.whole, part.fraction, part.unit)?;
            rest = part.rest;
        }
        Ok(duration)
    }
}

impl fmt::Display for Duration {
    /// As Flux's `string(v:)`: every unit once, largest first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0ns");
        }
        if self.is_negative {
            f.write_str("-")?;
        }
        for (units, mut rest) in [(&MONTH_UNITS[..], self.months), (&CLOCK_UNITS[..], self.nanoseconds)] {
            for &(name, size) in units {
                if rest >= size {
                    write!(f, "{}{name}", rest / size)?;
                    rest %= size;
                }
            }
        }
        Ok(())
    }
}

impl Neg for Duration {
    type Output = Self;

    fn neg(self) -> Self {
        Self { is_negative: !self.is_negative, ..self }
    }
}

#[cfg(test)]
mod tests;
