//! Windows of `GROUP BY time(interval, offset)`: aligned to the epoch, or to local midnight with `tz()`.

use jiff::{Timestamp, tz::TimeZone};
use skywatch_model::{MAX_TIME, MIN_TIME};

/// Windows of one length.
#[derive(Debug, Clone)]
pub(crate) struct Windows {
    interval: i64,
    offset: i64,
    zone: Option<TimeZone>,
}

impl Windows {
    /// Windows of `interval` nanoseconds (above zero), shifted by `offset`.
    pub(crate) fn new(interval: i64, offset: i64, zone: Option<TimeZone>) -> Self {
        debug_assert!(interval > 0, "an interval of {interval} ns has no windows");
        let zone = zone.filter(|zone| *zone != TimeZone::UTC);
        Self { interval, offset: offset.rem_euclid(interval), zone }
    }

    /// Length in nanoseconds.
    pub(crate) const fn interval(&self) -> i64 {
        self.interval
    }

    /// A time at which one begins, if all have the same length.
    pub(crate) const fn offset(&self) -> i64 {
        self.offset
    }

    /// Whether all windows have the same length: no clock change lies between them.
    pub(crate) const fn are_regular(&self) -> bool {
        self.zone.is_none()
    }

    /// The window that `time` falls into: first nanosecond, and first nanosecond after it.
    ///
    /// The first window of all begins with [`MIN_TIME`]; the last one ends behind [`MAX_TIME`], which lies in it.
    pub(crate) fn of(&self, time: i64) -> (i64, i64) {
        let zone = self.zone_offset(time.saturating_sub(self.offset));
        let shifted = i128::from(time) - i128::from(self.offset) + i128::from(zone);
        let into = shifted.rem_euclid(i128::from(self.interval));
        let start = i128::from(time) - into;
        (self.edge(start, zone), self.edge(start + i128::from(self.interval), zone))
    }

    /// Starts of the window after the one that starts at `start`.
    pub(crate) fn next(&self, start: i64) -> i64 {
        // The first window of all may be shorter.
        if start <= MIN_TIME { self.of(MIN_TIME).1 } else { self.step(start, self.interval) }
    }

    /// Starts of the window before the one that starts at `start`.
    pub(crate) fn previous(&self, start: i64) -> i64 {
        self.step(start, -self.interval)
    }

    /// Moves by one interval of local time.
    fn step(&self, start: i64, by: i64) -> i64 {
        let next = start.saturating_add(by);
        self.settle(next, self.zone_offset(start))
    }

    /// A window edge computed as [`Self::settle`] wants it, as far as there are times.
    fn edge(&self, edge: i128, zone: i64) -> i64 {
        match i64::try_from(edge) {
            Ok(edge) if (MIN_TIME..=MAX_TIME).contains(&edge) => self.settle(edge, zone),
            _ if edge < 0 => MIN_TIME,
            _ => MAX_TIME + 1,
        }
    }

    /// A window edge computed with the zone's offset at another time: corrected when the clocks change in
    /// between, unless they change by a whole window or more.
    fn settle(&self, edge: i64, zone: i64) -> i64 {
        let change = zone - self.zone_offset(edge);
        if change != 0 && change.abs() < self.interval { edge.saturating_add(change) } else { edge }
    }

    /// Local time minus UTC at `time`, in nanoseconds.
    fn zone_offset(&self, time: i64) -> i64 {
        let Some(zone) = &self.zone else { return 0 };
        let timestamp = Timestamp::from_nanosecond(i128::from(time)).unwrap_or(Timestamp::UNIX_EPOCH);
        i64::from(zone.to_offset(timestamp).seconds()) * 1_000_000_000
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    #[test]
    fn windows_before_the_epoch_are_aligned_too() {
        let windows = Windows::new(10, 0, None);
        assert_eq!(windows.of(-1), (-10, 0));
        assert_eq!(windows.of(-10), (-10, 0));
        assert_eq!(windows.of(0), (0, 10));
        assert_eq!(Windows::new(10, 3, None).of(2), (-7, 3));
        assert_eq!(Windows::new(10, -7, None).of(3), (3, 13));
    }

    #[test]
    fn days_follow_local_midnight_across_a_change_of_clocks() {
        let zone = TimeZone::get("America/New_York").expect("bundled");
        let windows = Windows::new(24 * HOUR, 0, Some(zone));
        // 2019-03-10T05:00:00Z is midnight; that day has 23 hours.
        let start = 1_552_194_000_000_000_000;
        assert_eq!(windows.of(start + 5 * HOUR), (start, start + 23 * HOUR));
        assert_eq!(windows.next(start), start + 23 * HOUR);
        assert_eq!(windows.previous(start + 23 * HOUR), start);
    }

    #[test]
    fn the_last_window_holds_the_last_time() {
        for windows in [Windows::new(100, 0, None), Windows::new(HOUR, 7, None), Windows::new(1, 0, None)] {
            let (start, end) = windows.of(MAX_TIME);
            assert!(start <= MAX_TIME && MAX_TIME < end, "{windows:?}");
            assert!(windows.next(start) > MAX_TIME, "{windows:?}");
        }
    }

    #[test]
    fn the_first_window_begins_with_the_first_time() {
        for windows in [Windows::new(100, 0, None), Windows::new(HOUR, 7, None), Windows::new(1, 0, None)] {
            let (start, end) = windows.of(MIN_TIME);
            assert_eq!(start, MIN_TIME, "{windows:?}");
            assert_eq!((end - windows.offset()).rem_euclid(windows.interval()), 0, "{windows:?}");
            assert_eq!(windows.next(start), end, "{windows:?}");
        }
    }

    proptest! {
        #[test]
        fn a_time_lies_in_its_window(time in -1_000_000i64..1_000_000, interval in 1i64..5_000, offset in -9_000i64..9_000) {
            let windows = Windows::new(interval, offset, None);
            let (start, end) = windows.of(time);
            prop_assert!(start <= time && time < end);
            prop_assert_eq!(end - start, interval);
            prop_assert_eq!((start - offset).rem_euclid(interval), 0);
            prop_assert_eq!(windows.of(start), (start, end));
            prop_assert_eq!(windows.next(start), end);
        }
    }
}
