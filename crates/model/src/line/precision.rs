//! The unit of the timestamps in a body of line protocol.

/// Unit of timestamps on the wire; inside Skywatch they are nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// `n` or `ns`.
    #[default]
    Nanosecond,
    /// `u`, `us` or `µs`.
    Microsecond,
    /// `ms`.
    Millisecond,
    /// `s`.
    Second,
    /// `m`.
    Minute,
    /// `h`.
    Hour,
}

impl Precision {
    /// The precision `text` names, as in InfluxDB's `precision` and `epoch` parameters; `None` if it names
    /// none. The empty text is left to the caller, whose default it is.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "n" | "ns" => Self::Nanosecond,
            "u" | "us" | "µ" | "µs" | "μ" | "μs" => Self::Microsecond,
            "ms" => Self::Millisecond,
            "s" => Self::Second,
            "m" => Self::Minute,
            "h" => Self::Hour,
            _ => return None,
        })
    }

    /// Nanoseconds in one unit.
    pub const fn nanoseconds(self) -> i64 {
        match self {
            Self::Nanosecond => 1,
            Self::Microsecond => 1_000,
            Self::Millisecond => 1_000_000,
            Self::Second => 1_000_000_000,
            Self::Minute => 60_000_000_000,
            Self::Hour => 3_600_000_000_000,
        }
    }

    /// `time_ns` moved back to a multiple of the unit, also before 1970; what InfluxDB does to the time of
    /// arrival when a point carries no timestamp.
    pub const fn truncate(self, time_ns: i64) -> i64 {
        let floor = time_ns.saturating_sub(time_ns.rem_euclid(self.nanoseconds()));
        if floor < crate::MIN_TIME { crate::MIN_TIME } else { floor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling() {
        for (text, nanoseconds) in [
            ("n", 1),
            ("ns", 1),
            ("u", 1_000),
            ("us", 1_000),
            ("µs", 1_000),
            ("ms", 1_000_000),
            ("s", 1_000_000_000),
            ("m", 60_000_000_000),
            ("h", 3_600_000_000_000),
        ] {
            assert_eq!(Precision::parse(text).map(Precision::nanoseconds), Some(nanoseconds), "{text}");
        }
        for text in ["", "N", "d", "seconds", " s"] {
            assert_eq!(Precision::parse(text), None, "{text}");
        }
    }

    #[test]
    fn truncation_goes_down_before_1970_too() {
        assert_eq!(Precision::Second.truncate(1_999_999_999), 1_000_000_000);
        assert_eq!(Precision::Second.truncate(-1), -1_000_000_000);
        assert_eq!(Precision::Nanosecond.truncate(-1), -1);
        assert_eq!(Precision::Hour.truncate(i64::MIN + 2), i64::MIN + 2);
    }
}
