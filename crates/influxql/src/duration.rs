//! Duration literals: `1h30m`, written back in the largest unit that divides them.

const MICROSECOND: i64 = 1_000;
const MILLISECOND: i64 = 1_000 * MICROSECOND;
const SECOND: i64 = 1_000 * MILLISECOND;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// Units as they are written, largest first.
const UNITS: [(&str, i64); 8] = [
    ("w", WEEK),
    ("d", DAY),
    ("h", HOUR),
    ("m", MINUTE),
    ("s", SECOND),
    ("ms", MILLISECOND),
    ("u", MICROSECOND),
    ("ns", 1),
];

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not numbers each followed by a unit.
    #[error("invalid duration")]
    Invalid,
    /// Above 292 years.
    #[error("overflowed duration {number}{unit}: choose a smaller duration or INF")]
    Overflow {
        /// The number that is too large.
        number: i64,
        /// Its unit.
        unit: &'static str,
    },
}

/// Nanoseconds of a duration such as `1h30m`, `-5s` or `10ms`. Units: `ns u µ ms s m h d w`.
pub fn parse_duration(text: &str) -> Result<i64, DurationError> {
    let (negative, mut rest) = match text.as_bytes() {
        // Alone, a sign or a digit is not enough.
        [] | [_] => return Err(DurationError::Invalid),
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest[..digits].parse().map_err(|_| DurationError::Invalid)?;
        let (unit, nanoseconds, after) = unit(&rest[digits..]).ok_or(DurationError::Invalid)?;
        rest = after;
        total = number
            .checked_mul(nanoseconds)
            .and_then(|part| total.checked_add(part))
            .ok_or(DurationError::Overflow { number, unit })?;
    }
    Ok(if negative { -total } else { total })
}

/// The unit the text begins with, its nanoseconds, and what follows.
fn unit(text: &str) -> Option<(&'static str, i64, &str)> {
    let units = UNITS.iter().chain(&[("µ", MICROSECOND)]);
    let fitting = units.filter_map(|&(name, size)| text.strip_prefix(name).map(|after| (name, size, after)));
    // `ms` rather than `m`.
    fitting.max_by_key(|(name, ..)| name.len())
}

/// Nanoseconds in the largest unit that divides them: `90m`, `0s`, `1500ms`.
pub fn format_duration(nanoseconds: i64) -> String {
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    UNITS
        .iter()
        .find(|&&(_, size)| nanoseconds % size == 0)
        .map_or_else(String::new, |&(unit, size)| format!("{}{unit}", nanoseconds / size))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_add_up() {
        assert_eq!(parse_duration("1h30m"), Ok(90 * MINUTE));
        assert_eq!(parse_duration("1w2d3h4m5s6ms7u8ns"), Ok(788_645_006_007_008));
        assert_eq!(parse_duration("3µ"), Ok(3_000));
        assert_eq!(parse_duration("-10ms"), Ok(-10_000_000));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "s",
            "1",
            "10",
            "1y",
            "1us",
            "1µs",
            "1h30",
            "h1",
            "-",
            "1.5h",
            "1 h",
            "99999999999999999999s",
        ] {
            assert_eq!(parse_duration(text), Err(DurationError::Invalid), "{text}");
        }
        let error = parse_duration("99999999999w").unwrap_err();
        assert_eq!(error.to_string(), "overflowed duration 99999999999w: choose a smaller duration or INF");
    }

    proptest! {
        #[test]
        fn written_durations_read_back(nanoseconds in 0..=i64::MAX) {
            prop_assert_eq!(parse_duration(&format_duration(nanoseconds)), Ok(nanoseconds));
        }

        #[test]
        fn round_ones_too(count in 0_i64..1000, unit in 0..UNITS.len()) {
            let nanoseconds = count * UNITS[unit].1;
            prop_assert_eq!(parse_duration(&format_duration(nanoseconds)), Ok(nanoseconds));
        }
    }
}
