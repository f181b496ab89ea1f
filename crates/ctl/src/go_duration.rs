//! Durations in Go's notation: `1h30m`, `100ms`, `0s`.

use std::time::Duration;

/// Units and how many nanoseconds they have, longer names first.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3_600e9),
];

/// The duration, if the text is one. Negative ones are not.
pub fn parse(text: &str) -> Option<Duration> {
    if matches!(text, "0" | "") {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut nanoseconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, length) = UNITS.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        nanoseconds += number * length;
    }
    // Go counts nanoseconds in 64 bits.
    (nanoseconds < i64::MAX as f64).then(|| Duration::from_nanos(nanoseconds as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_notation() {
        for (text, milliseconds) in
            [("1h30m", 5_400_000), ("100ms", 100), ("1.5s", 1_500), ("0s", 0), ("0", 0), ("1m0.5s", 60_500)]
        {
            assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        assert_eq!(parse("20us"), Some(Duration::from_micros(20)));
        for bad in ["1", "s", "1x", "-1s", "1s x", "1.2.3s", "99999999999999h"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
