//! Times as a format writes them: a number of units, or a text by Go's reference layout.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::config::{ConfigError, Section};

/// How times are written.
#[derive(Debug)]
pub(super) enum TimeFormat {
    /// The number of so many nanoseconds since 1970.
    Units(i64),
    /// A text in UTC.
    Pattern(String),
}

impl TimeFormat {
    /// Reads the option of a unit, seconds without it, and that of a layout, which counts where there is one.
    pub(super) fn from_section(
        section: &mut Section,
        units: &'static str,
        layout: &'static str,
    ) -> Result<Self, ConfigError> {
        let unit = section.duration(units)?.filter(|&unit| unit > 0).unwrap_or(1_000_000_000);
        match section.string(layout)?.filter(|text| !text.is_empty()) {
            None => Ok(Self::Units(power_of_ten(unit))),
            Some(text) => pattern(&text).map(Self::Pattern).map_err(|why| section.bad(layout, why)),
        }
    }

    /// `unix`, `unix_ms`, `unix_us`, `unix_ns`, or a layout.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        Ok(match name {
            "" | "unix" => Self::Units(1_000_000_000),
            "unix_ms" => Self::Units(1_000_000),
            "unix_us" => Self::Units(1000),
            "unix_ns" => Self::Units(1),
            layout => Self::Pattern(pattern(layout)?),
        })
    }

    pub(super) fn value(&self, time_ns: i64) -> Value {
        match self {
            Self::Units(unit) => time_ns.div_euclid(*unit).into(),
            Self::Pattern(pattern) => {
                let time = Timestamp::from_nanosecond(time_ns.into()).unwrap_or_default();
                time.to_zoned(TimeZone::UTC).strftime(pattern).to_string().into()
            }
        }
    }
}

/// The largest power of ten that is not larger, one second at most.
fn power_of_ten(unit: i64) -> i64 {
    let mut power = 1;
    while power * 10 <= unit && power < 1_000_000_000 {
        power *= 10;
    }
    power
}

/// Layouts that have a name.
const NAMED: [(&str, &str); 7] = [
    ("RFC3339", "2006-01-02T15:04:05Z07:00"),
    ("RFC3339Nano", "2006-01-02T15:04:05.000000000Z07:00"),
    ("ANSIC", "Mon Jan _2 15:04:05 2006"),
    ("UnixDate", "Mon Jan _2 15:04:05 MST 2006"),
    ("RFC822", "02 Jan 06 15:04 MST"),
    ("RFC1123", "Mon, 02 Jan 2006 15:04:05 MST"),
    ("RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700"),
];

/// Parts of Go's reference time and what they are called here; longer ones first.
const PARTS: [(&str, &str); 25] = [
    ("January", "%B"),
    ("Monday", "%A"),
    ("Z07:00", "Z"),
    ("-07:00", "+00:00"),
    ("-0700", "+0000"),
    ("2006", "%Y"),
    (".000000000", ".%9f"),
    (".000000", ".%6f"),
    (".000", ".%3f"),
    ("MST", "UTC"),
    ("Jan", "%b"),
    ("Mon", "%a"),
    ("002", "%j"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("PM", "%p"),
    ("_2", "%e"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("%", "%%"),
];

/// A layout as a pattern of `strftime`.
fn pattern(layout: &str) -> Result<String, String> {
    let layout = NAMED.iter().find(|(name, _)| *name == layout).map_or(layout, |(_, layout)| layout);
    let mut pattern = String::new();
    let mut rest = layout;
    while let Some(character) = rest.chars().next() {
        match PARTS.iter().find(|(part, _)| rest.starts_with(part)) {
            Some((part, meaning)) => {
                pattern.push_str(meaning);
                rest = &rest[part.len()..];
            }
            None => {
                pattern.push(character);
                rest = &rest[character.len_utf8()..];
            }
        }
    }
    if pattern == layout {
        return Err(format!("{layout:?} has no part of the reference time 2006-01-02T15:04:05Z07:00"));
    }
    Ok(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_and_units() {
        let shown = |layout: &str| {
            TimeFormat::Pattern(pattern(layout).expect("a layout")).value(1_458_229_140_123_456_789)
        };
        for (layout, text) in [
            ("RFC3339", "2016-03-17T15:39:00Z"),
            ("2006-01-02 15:04:05.000", "2016-03-17 15:39:00.123"),
            ("Mon Jan _2 15:04:05 MST 2006", "Thu Mar 17 15:39:00 UTC 2016"),
            ("1/2/06 03:04 PM 100%", "3/17/16 03:39 PM 300%"),
            ("RFC1123Z", "Thu, 17 Mar 2016 15:39:00 +0000"),
        ] {
            assert_eq!(shown(layout), text, "{layout}");
        }
        assert!(pattern("seconds").is_err());
        for (unit, power) in [(1, 1), (20_000_000, 10_000_000), (3_600_000_000_000, 1_000_000_000)] {
            assert_eq!(power_of_ten(unit), power);
        }
        assert_eq!(TimeFormat::Units(1_000_000_000).value(-1), -1);
    }
}
