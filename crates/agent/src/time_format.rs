//! Times in data: seconds since 1970 and their fractions, and Go's reference layouts, by which the original's options
//! describe everything else.
//!
//! ```text
//!  "unix_ms"                    1536869008123
//!  "2006-01-02 15:04:05 -0700"  2018-09-13 22:03:28 +0200
//!  "RFC1123"                    Thu, 13 Sep 2018 20:03:28 GMT
//! ```
//!
//! A layout is the time 2006-01-02 15:04:05 -0700, written the way the data writes its times.

use jiff::civil;
use jiff::tz::{Offset, TimeZone};

mod layout;

use layout::Piece;

/// How times are written.
#[derive(Debug, Clone)]
pub(crate) struct TimeFormat {
    kind: Kind,
    /// Of times that name no zone.
    zone: TimeZone,
}

#[derive(Debug, Clone)]
enum Kind {
    /// A number of units of this many nanoseconds.
    Unix(i128),
    Layout(Vec<Piece>),
}

/// Layouts that have names, in lower case.
const NAMED: [(&str, &str); 14] = [
    ("ansic", "Mon Jan _2 15:04:05 2006"),
    ("unixdate", "Mon Jan _2 15:04:05 MST 2006"),
    ("rubydate", "Mon Jan 02 15:04:05 -0700 2006"),
    ("rfc822", "02 Jan 06 15:04 MST"),
    ("rfc822z", "02 Jan 06 15:04 -0700"),
    ("rfc850", "Monday, 02-Jan-06 15:04:05 MST"),
    ("rfc1123", "Mon, 02 Jan 2006 15:04:05 MST"),
    ("rfc1123z", "Mon, 02 Jan 2006 15:04:05 -0700"),
    ("rfc3339", "2006-01-02T15:04:05Z07:00"),
    ("rfc3339nano", "2006-01-02T15:04:05.999999999Z07:00"),
    ("stamp", "Jan _2 15:04:05"),
    ("stampmilli", "Jan _2 15:04:05.000"),
    ("stampmicro", "Jan _2 15:04:05.000000"),
    ("stampnano", "Jan _2 15:04:05.000000000"),
];

impl TimeFormat {
    /// Of an option's text and the zone of times that name none: an IANA name, `Local`, or nothing for UTC.
    pub(crate) fn new(format: &str, zone: &str) -> Result<Self, String> {
        let zone = match zone {
            "" | "UTC" => TimeZone::UTC,
            "Local" | "local" => TimeZone::system(),
            name => TimeZone::get(name).map_err(|_| format!("{name:?} is no time zone that is known"))?,
        };
        let lower = format.to_ascii_lowercase();
        let kind = match lower.as_str() {
            "unix" => Kind::Unix(1_000_000_000),
            "unix_ms" => Kind::Unix(1_000_000),
            "unix_us" => Kind::Unix(1_000),
            "unix_ns" => Kind::Unix(1),
            name => {
                let layout =
                    NAMED.iter().find(|(known, _)| *known == name).map_or(format, |(_, layout)| layout);
                Kind::Layout(layout::compile(layout).ok_or_else(|| {
                    format!(
                        "{format:?} is no time format; it is one of unix, unix_ms, unix_us, unix_ns, a name such as \
                         RFC3339, or the time 2006-01-02 15:04:05 -0700 as the data would write it"
                    )
                })?)
            }
        };
        Ok(Self { kind, zone })
    }

    /// The nanoseconds since the Unix epoch that a text means. Where it has no year, that of `now_ns` is meant.
    pub(crate) fn parse(&self, text: &str, now_ns: i64) -> Result<i64, String> {
        let text = text.trim();
        match &self.kind {
            Kind::Unix(unit) => {
                unix(text, *unit).ok_or_else(|| format!("{text:?} is no number of a time that can be kept"))
            }
            Kind::Layout(pieces) => {
                let fields = layout::parse(pieces, text)
                    .map_err(|why| format!("{text:?} is not the time expected: {why}"))?;
                self.instant(&fields, now_ns).ok_or_else(|| format!("{text:?} is no time that can be kept"))
            }
        }
    }

    fn instant(&self, fields: &layout::Fields, now_ns: i64) -> Option<i64> {
        let year = match fields.year {
            Some(year) => year,
            None => {
                let now = jiff::Timestamp::from_nanosecond(i128::from(now_ns)).ok()?;
                now.to_zoned(self.zone.clone()).year()
            }
        };
        let midnight = match fields.day_of_year {
            Some(day) => {
                civil::Date::new(year, 1, 1).ok()?.checked_add(jiff::Span::new().days(day - 1)).ok()?
            }
            None => civil::Date::new(year, fields.month, fields.day).ok()?,
        };
        let time = civil::Time::new(fields.hour()?, fields.minute, fields.second, fields.nanosecond).ok()?;
        let civil = midnight.to_datetime(time);
        let instant = match (fields.offset_seconds, &fields.zone) {
            (Some(seconds), _) => Offset::from_seconds(seconds).ok()?.to_timestamp(civil).ok()?,
            (None, Some(name)) => self.named_zone(name, civil)?,
            (None, None) => civil.to_zoned(self.zone.clone()).ok()?.timestamp(),
        };
        i64::try_from(instant.as_nanosecond()).ok()
    }

    /// An abbreviation says what it means only in the zone that is configured; elsewhere it is taken for UTC, as in Go.
    fn named_zone(&self, name: &str, civil: civil::DateTime) -> Option<jiff::Timestamp> {
        let here = civil.to_zoned(self.zone.clone()).ok()?.timestamp();
        let is_ours = self.zone.to_offset_info(here).abbreviation() == name;
        if is_ours { Some(here) } else { Offset::UTC.to_timestamp(civil).ok() }
    }
}

fn unix(text: &str, unit: i128) -> Option<i64> {
    if text.contains(['e', 'E']) {
        let nanos = text.parse::<f64>().ok()? * unit as f64;
        return (nanos.abs() < 9.2e18).then_some(nanos.round() as i64);
    }
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once(['.', ',']).unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() > 19
        || digits.len() == digits.matches(['.', ',']).count()
        || !all_digits(whole)
        || !all_digits(fraction)
    {
        return None;
    }
    let fraction = fraction.get(..18.min(fraction.len()))?;
    let number = |part: &str| if part.is_empty() { Some(0) } else { part.parse::<i128>().ok() };
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let nanos = number(whole)? * unit + number(fraction)? * unit / scale;
    i64::try_from(if is_negative { -nanos } else { nanos }).ok()
}

#[cfg(test)]
mod tests;
