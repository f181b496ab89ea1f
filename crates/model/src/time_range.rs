//! Timestamps are `i64` nanoseconds since 1970-01-01T00:00:00Z; ranges of them are inclusive at both ends.

/// The earliest timestamp a point may carry, as in InfluxDB 1.x (1677-09-21T00:12:43.145224194Z).
pub const MIN_TIME: i64 = i64::MIN + 2;
/// The latest timestamp a point may carry, as in InfluxDB 1.x (2262-04-11T23:47:16.854775806Z).
pub const MAX_TIME: i64 = i64::MAX - 1;

/// A range of timestamps in nanoseconds, both ends inclusive; empty when `start > end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// First timestamp inside.
    pub start: i64,
    /// Last timestamp inside.
    pub end: i64,
}

impl TimeRange {
    /// Every timestamp a point may carry.
    pub const ALL: Self = Self { start: MIN_TIME, end: MAX_TIME };

    /// The range from `start` to `end`, both inclusive.
    pub const fn new(start: i64, end: i64) -> Self {
        Self { start, end }
    }

    /// Whether no timestamp is inside.
    pub const fn is_empty(self) -> bool {
        self.start > self.end
    }

    /// Whether `time` is inside.
    pub const fn contains(self, time: i64) -> bool {
        self.start <= time && time <= self.end
    }

    /// Whether every timestamp of `other` is inside.
    pub const fn covers(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether some timestamp is in both.
    pub const fn overlaps(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end && !self.is_empty() && !other.is_empty()
    }

    /// What is in both; empty when they do not overlap.
    pub fn intersect(self, other: Self) -> Self {
        Self { start: self.start.max(other.start), end: self.end.min(other.end) }
    }

    /// The shortest range that covers both; neither may be empty.
    pub fn hull(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}
