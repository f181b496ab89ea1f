//! Where windows of time begin and end: counted by the clocks of a place, from 1970 moved by an offset.
//!
//! Windows begin in the order of their numbers, and a negative period reaches back from where its window begins. Where
//! a period has months, the other ends of windows need not be in order, for months are clipped to their last day: a
//! month after 28 January 23:00 is 28 February 23:00, and a month after 29 January 00:00 is 28 February 00:00.

use std::ops::RangeInclusive;

use jiff::{Timestamp, tz::TimeZone};
use skywatch_flux::Duration;

use super::calendar::Calendar;
use crate::context::Location;

const DAY_NS: i64 = 86_400_000_000_000;

/// Longer windows, or more moved ones, would leave what times can say.
const YEARS_MAX: i64 = 100;

const fn is_too_long(duration: Duration) -> bool {
    const YEAR_NS: i64 = 366 * 24 * 3600 * 1_000_000_000;
    duration.months > 12 * YEARS_MAX || duration.nanoseconds > YEARS_MAX / 2 * YEAR_NS * 2
}

/// How far windows are apart.
#[derive(Debug, Clone, Copy)]
enum Step {
    Nanoseconds(i64),
    Months(i64),
    /// There is one, of all time.
    All,
}

/// Windows: one begins every so often, and each is so long.
#[derive(Debug, Clone)]
pub(super) struct Every {
    step: Step,
    period: Duration,
    /// What clocks show as window 0 begins: the epoch moved by the offset.
    zero_ns: i64,
    calendar: Calendar,
}

impl Every {
    pub(super) fn new(
        every: Duration,
        period: Duration,
        offset: Duration,
        location: Location,
    ) -> Result<Self, String> {
        for (name, duration) in [("every", every), ("period", period), ("offset", offset)] {
            if duration.nanoseconds != i64::MAX && is_too_long(duration) {
                return Err(format!("{name} is {duration}, but at most {YEARS_MAX} years"));
            }
        }
        let step = match (every.months, every.nanoseconds) {
            _ if every.is_negative => return Err("every cannot be negative".to_owned()),
            (0, 0) => return Err("every cannot be zero".to_owned()),
            (0, i64::MAX) => Step::All,
            (0, nanoseconds) => Step::Nanoseconds(nanoseconds),
            (months, 0) => Step::Months(months),
            _ => return Err("every cannot mix months with days or parts of them".to_owned()),
        };
        if period.months == 0 && period.nanoseconds == 0 {
            return Err("period cannot be zero".to_owned());
        }
        let moved = later(0, offset);
        let zero_ns = match step {
            // Of windows that are equally far apart any is as good as another; this one is near.
            Step::Nanoseconds(every) => moved.rem_euclid(every),
            Step::Months(_) | Step::All => moved,
        };
        Ok(Self { step, period, zero_ns, calendar: Calendar::new(location)? })
    }

    /// Whether there is one window only.
    pub(super) const fn is_all(&self) -> bool {
        matches!(self.step, Step::All)
    }

    /// Windows that follow each other without gaps and are equally long in UTC: their length and what they are moved
    /// by, from 0 to less than the length.
    pub(super) fn as_fixed(&self) -> Option<(i64, i64)> {
        let Step::Nanoseconds(every) = self.step else { return None };
        let fits = self.calendar.is_universal() && self.period.nanoseconds_only() == Some(every);
        fits.then_some((every, self.zero_ns))
    }

    /// What a window's clocks show as it begins.
    fn begin(&self, window: i64) -> i64 {
        let from_zero = match self.step {
            Step::Nanoseconds(every) => {
                window.checked_mul(every).and_then(|moved| moved.checked_add(self.zero_ns))
            }
            Step::Months(months) => {
                let months = window.saturating_mul(months);
                let moved =
                    Duration { months: months.saturating_abs(), nanoseconds: 0, is_negative: months < 0 };
                moved.add_to(self.zero_ns)
            }
            Step::All => Some(i64::MIN),
        };
        from_zero.unwrap_or(if window < 0 { i64::MIN } else { i64::MAX })
    }

    /// What a window's clocks show at its first nanosecond, and at the first after it.
    fn shown(&self, window: i64) -> (i64, i64) {
        let begin = self.begin(window);
        let other = later(begin, self.period);
        if self.period.is_negative { (other, begin) } else { (begin, other) }
    }

    /// First nanosecond of a window, and the first after it.
    pub(super) fn bounds(&self, window: i64) -> (i64, i64) {
        let (start, stop) = self.shown(window);
        (self.calendar.to_universal(start), self.calendar.to_universal(stop))
    }

    /// The last window that has begun when clocks have shown a time.
    fn begun(&self, shown_ns: i64) -> i64 {
        match self.step {
            Step::Nanoseconds(every) => {
                shown_ns.div_euclid(every) - i64::from(shown_ns.rem_euclid(every) < self.zero_ns)
            }
            Step::Months(months) => {
                let from_zero = months_since_epoch(shown_ns) - months_since_epoch(self.zero_ns);
                let window = from_zero.div_euclid(months);
                // It may begin later in its month.
                window - i64::from(self.begin(window) > shown_ns)
            }
            Step::All => 0,
        }
    }

    /// The last window that has begun at a time.
    pub(super) fn latest(&self, time_ns: i64) -> i64 {
        self.begun(self.calendar.shown_until(time_ns))
    }

    /// The windows that a time lies in.
    pub(super) fn around(&self, time_ns: i64) -> Overlapping<'_> {
        Overlapping::new(self, time_ns, time_ns)
    }

    /// The windows that have a part of the time from `start_ns` until before `stop_ns`.
    pub(super) fn overlapping(&self, start_ns: i64, stop_ns: i64) -> Overlapping<'_> {
        Overlapping::new(self, start_ns, stop_ns.saturating_sub(1))
    }
}

/// Windows that have a part of a time, in their order.
pub(super) struct Overlapping<'e> {
    every: &'e Every,
    /// The latest that clocks have shown at the time's first nanosecond, and at its last.
    time: (i64, i64),
    /// Those that may have a part.
    windows: RangeInclusive<i64>,
    /// What clocks show when the first of those found ends, or another begins.
    change_ns: i64,
}

impl<'e> Overlapping<'e> {
    fn new(every: &'e Every, first_ns: i64, last_ns: i64) -> Self {
        // No window ends later than time itself.
        let shown = |time_ns| every.calendar.shown_until(time_ns).min(i64::MAX - 1);
        let time = (shown(first_ns), shown(last_ns));
        if every.is_all() {
            return Self { every, time, windows: 0..=0, change_ns: i64::MAX };
        }
        let Duration { months, nanoseconds, is_negative } = every.period;
        // Windows that begin further away than a period is long, were all of its months the longest, have no part.
        let length_max = months.saturating_mul(31 * DAY_NS).saturating_add(nanoseconds);
        let (ended, last) = if is_negative {
            (Some(time.0), every.begun(time.1.saturating_add(length_max)))
        } else {
            (time.0.checked_sub(length_max), every.begun(time.1))
        };
        let first = ended.map_or_else(|| every.begun(i64::MIN), |ended| every.begun(ended).saturating_add(1));
        let starts_in_order = !is_negative || months == 0;
        let next = if starts_in_order { every.shown(last.saturating_add(1)).0 } else { i64::MIN };
        Self { every, time, windows: first..=last, change_ns: next.max(time.1.saturating_add(1)) }
    }

    /// Once all have been told: until when later times lie in the same.
    pub(super) fn until(&self) -> i64 {
        self.every.calendar.to_universal(self.change_ns)
    }

    /// After a window without a part, leaves out at once what else of its day has none: windows that begin on one day
    /// are in order at both ends.
    fn skip_after(&mut self, window: i64, (start, stop): (i64, i64)) {
        let is_negative = self.every.period.is_negative;
        let begin = if is_negative { stop } else { start };
        let day_end = begin.div_euclid(DAY_NS).saturating_add(1).saturating_mul(DAY_NS).saturating_sub(1);
        // This one starts too late, and so do others of the day; or it stops too early, and others as much less so as
        // they begin later.
        let missing = if is_negative { i64::MAX } else { self.time.0.saturating_sub(stop) };
        let left_out = self.every.begun(begin.saturating_add(missing).min(day_end)).max(window);
        self.windows = left_out.saturating_add(1)..=*self.windows.end();
    }
}

impl Iterator for Overlapping<'_> {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        loop {
            let window = self.windows.next()?;
            if self.every.is_all() {
                return Some(window);
            }
            let (start, stop) = self.every.shown(window);
            if start <= self.time.1 && self.time.0 < stop {
                self.change_ns = self.change_ns.min(stop);
                return Some(window);
            }
            self.skip_after(window, (start, stop));
        }
    }

    /// At most as many as may have a part.
    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.windows.size_hint().1)
    }
}

/// A time moved by a duration; as far as there is time.
fn later(time_ns: i64, duration: Duration) -> i64 {
    let far = if duration.is_negative { i64::MIN } else { i64::MAX };
    duration.add_to(time_ns).unwrap_or(far)
}

fn months_since_epoch(time_ns: i64) -> i64 {
    let timestamp = Timestamp::from_nanosecond(i128::from(time_ns)).unwrap_or_default();
    let date = TimeZone::UTC.to_datetime(timestamp);
    (i64::from(date.year()) - 1970) * 12 + i64::from(date.month()) - 1
}

#[cfg(test)]
mod tests;
