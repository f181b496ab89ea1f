//! Durations as Go writes them (`10s`, `1h30m`, `1.5ms`), in nanoseconds.

/// Nanoseconds in each unit, the longest spelling first so that `ms` is not read as `m`.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3_600e9),
    ("d", 86_400e9),
];

/// Parses a Go duration, with days as a further unit. A bare number counts seconds.
/// `None` when the text is no duration or does not fit 292 years.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.trim().strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.trim().strip_prefix('+').unwrap_or(text.trim())),
    };
    if rest.is_empty() {
        return None;
    }
    if let Ok(seconds) = rest.parse::<f64>() {
        return from_seconds(if negative { -seconds } else { seconds });
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let (unit, scale) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        total += number * scale;
        rest = rest.get(unit.len()..)?;
    }
    to_nanos(if negative { -total } else { total })
}

/// Seconds, whole or not, as nanoseconds.
pub(crate) fn from_seconds(seconds: f64) -> Option<i64> {
    to_nanos(seconds * 1e9)
}

fn to_nanos(nanos: f64) -> Option<i64> {
    (nanos.is_finite() && nanos.abs() < 9.2e18).then_some(nanos.round() as i64)
}

/// A duration for a person: the largest unit that needs no fraction.
pub(crate) fn display(nanos: i64) -> String {
    for (unit, scale) in
        [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000)]
    {
        if nanos != 0 && nanos % scale == 0 {
            return format!("{}{unit}", nanos / scale);
        }
    }
    format!("{nanos}ns")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations() {
        for (text, nanos) in [
            ("10s", 10_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5ms", 1_500_000),
            ("250us", 250_000),
            ("250µs", 250_000),
            ("7ns", 7),
            ("2d", 172_800_000_000_000),
            ("0s", 0),
            ("-1s", -1_000_000_000),
            ("3", 3_000_000_000),
            ("0.5", 500_000_000),
        ] {
            assert_eq!(parse(text), Some(nanos), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration() {
        for text in ["", "s", "10x", "1h-3m", "10s ago", "ten", "1..5s", "9999999d999999h", "inf"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn displayed_in_the_largest_whole_unit() {
        assert_eq!(display(90_000_000_000), "90s");
        assert_eq!(display(3_600_000_000_000), "1h");
        assert_eq!(display(1_500_000), "1500000ns");
        assert_eq!(display(0), "0ns");
    }
}
