//! Instants and how people read durations. Nothing here asks a clock: [`Clock`] is handed in at the top.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(i64);

impl Time {
    /// The instant this many milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down (also before 1970).
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant and `duration` later; the far future saturates.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This instant, `duration` earlier.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// ISO 8601 in UTC with milliseconds.
    pub fn to_iso(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => format!("{at:.3}"),
            Err(_) => format!("{}ms", self.0),
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_iso())
    }
}

/// Where the engine gets the time from.
pub trait Clock: Send + Sync + 'static {
    /// The instant it is now.
    fn now(&self) -> Time;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Time::default().plus(since_epoch)
    }
}

/// `1h 5m`, `42s`, `250ms`: the two greatest units, for people.
pub(crate) fn human_duration(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let seconds = duration.as_secs();
    if seconds == 0 {
        return format!("{}ms", duration.subsec_millis());
    }
    let first = UNITS.iter().position(|(size, _)| seconds >= *size).unwrap_or(UNITS.len() - 1);
    let (size, name) = UNITS[first];
    let mut text = format!("{}{name}", seconds / size);
    if let Some((smaller, smaller_name)) = UNITS.get(first + 1) {
        let rest = seconds % size / smaller;
        if rest > 0 {
            text.push_str(&format!(" {rest}{smaller_name}"));
        }
    }
    text
}

/// Reads a Prometheus duration (`90s`, `1h30m`, `1d`, `500ms`); `0` needs no unit.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const ALLOWED: &str = "write a number and a unit of ms, s, m, h, d, w or y, such as 30s, 5m or 1h30m";
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let unit_len = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let count: u64 = number.parse().map_err(|_| format!("{text:?} is no duration: {ALLOWED}"))?;
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return Err(format!("{text:?} is no duration: {ALLOWED}")),
        };
        let part = count.checked_mul(unit_ms).ok_or_else(|| format!("{text:?} is too long a duration"))?;
        total = total
            .checked_add(Duration::from_millis(part))
            .filter(|total| *total <= crate::limits::DURATION_MAX)
            .ok_or_else(|| format!("{text:?} is too long a duration"))?;
        rest = tail;
    }
    if text.is_empty() { Err(format!("an empty text is no duration: {ALLOWED}")) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_prometheus_reads_them() {
        for (text, millis) in
            [("0", 0), ("0s", 0), ("30s", 30_000), ("1h30m", 5_400_000), ("500ms", 500), ("1d", 86_400_000)]
        {
            assert_eq!(parse_duration(text).map(|d| d.as_millis()), Ok(millis), "{text}");
        }
        for text in ["", "5", "5 m", "m", "-5m", "1.5h", "99999999999y", "18446744073709551616s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_written_with_two_units() {
        for (millis, text) in [
            (0, "0ms"),
            (250, "250ms"),
            (42_000, "42s"),
            (60_000, "1m"),
            (303_000, "5m 3s"),
            (3_900_000, "1h 5m"),
            (90_061_000, "1d 1h"),
        ] {
            assert_eq!(human_duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn instants_before_1970_round_down() {
        assert_eq!(Time::from_millis(-1).seconds(), -1);
        assert_eq!(Time::from_millis(-1).to_iso(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Time::from_millis(5).since(Time::from_millis(9)), Duration::ZERO);
    }
}
