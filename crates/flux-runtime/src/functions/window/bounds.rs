//! Where windows of time begin and end: counted from 1970 by the clocks of a place.

use jiff::{
    Timestamp,
    tz::{AmbiguousOffset, TimeZone},
};
use skywatch_flux::Duration;

use crate::context::Location;

/// Between the time of the world and what the clocks of a place show, both in nanoseconds.
#[derive(Debug, Clone)]
pub(in crate::functions) struct Calendar {
    location: Location,
    offset_ns: i64,
}

impl Calendar {
    /// Of a place.
    pub(in crate::functions) fn new(location: Location) -> Result<Self, String> {
        let Some(offset_ns) = location.offset.nanoseconds_only() else {
            return Err("the offset of a location cannot be months".to_owned());
        };
        Ok(Self { location, offset_ns })
    }

    /// Whether its clocks show the time of the world.
    pub(in crate::functions) fn is_universal(&self) -> bool {
        self.offset_ns == 0 && self.location.zone == TimeZone::UTC
    }

    /// What clocks show at a time.
    pub(in crate::functions) fn to_local(&self, time_ns: i64) -> i64 {
        if self.is_universal() {
            return time_ns;
        }
        time_ns.saturating_add(self.zone_offset(time_ns)).saturating_add(self.offset_ns)
    }

    /// When clocks show a time: the first time that they do, and if they leave it out, when they do so.
    pub(in crate::functions) fn to_universal(&self, local_ns: i64) -> i64 {
        if self.is_universal() {
            return local_ns;
        }
        let local = local_ns.saturating_sub(self.offset_ns);
        let timestamp = Timestamp::from_nanosecond(i128::from(local)).unwrap_or_default();
        let datetime = TimeZone::UTC.to_datetime(timestamp);
        let found = self.location.zone.to_ambiguous_timestamp(datetime);
        let shown_with = |seconds: i32| local.saturating_sub(i64::from(seconds) * 1_000_000_000);
        match found.offset() {
            AmbiguousOffset::Unambiguous { offset } => shown_with(offset.seconds()),
            AmbiguousOffset::Fold { before, .. } => shown_with(before.seconds()),
            AmbiguousOffset::Gap { before, .. } => {
                let later = shown_with(before.seconds());
                let timestamp = Timestamp::from_nanosecond(i128::from(later)).unwrap_or_default();
                let change = self.location.zone.preceding(timestamp).next();
                let change = change.map(|change| change.timestamp().as_nanosecond());
                change.and_then(|change| i64::try_from(change).ok()).unwrap_or(later)
            }
        }
    }

    fn zone_offset(&self, time_ns: i64) -> i64 {
        let timestamp = Timestamp::from_nanosecond(i128::from(time_ns)).unwrap_or_default();
        i64::from(self.location.zone.to_offset(timestamp).seconds()) * 1_000_000_000
    }
}

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
    offset: Duration,
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
        Ok(Self { step, period, offset, calendar: Calendar::new(location)? })
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
        fits.then_some((every, self.offset.nanoseconds_only()?.rem_euclid(every)))
    }

    /// What a window's clocks show as it begins.
    fn local(&self, window: i64) -> i64 {
        let far = if window < 0 { i64::MIN } else { i64::MAX };
        let from_epoch = match self.step {
            Step::Nanoseconds(every) => window.saturating_mul(every),
            Step::Months(months) => {
                let months = window.saturating_mul(months);
                let moved =
                    Duration { months: months.saturating_abs(), nanoseconds: 0, is_negative: months < 0 };
                moved.add_to(0).unwrap_or(far)
            }
            Step::All => i64::MIN,
        };
        later(from_epoch, self.offset)
    }

    /// When a window begins.
    fn begin(&self, window: i64) -> i64 {
        self.calendar.to_universal(self.local(window))
    }

    /// First nanosecond of a window, and the first after it.
    pub(super) fn bounds(&self, window: i64) -> (i64, i64) {
        let local = self.local(window);
        let (one, other) =
            (self.calendar.to_universal(local), self.calendar.to_universal(later(local, self.period)));
        (one.min(other), one.max(other))
    }

    /// The last window that has begun at a time.
    pub(super) fn latest(&self, time_ns: i64) -> i64 {
        let local = self.calendar.to_local(time_ns);
        let moved = later(local, -self.offset);
        let mut window = match self.step {
            Step::Nanoseconds(every) => moved.div_euclid(every),
            Step::Months(months) => months_since_epoch(moved).div_euclid(months),
            Step::All => return 0,
        };
        if matches!(self.step, Step::Nanoseconds(_)) && self.calendar.is_universal() {
            return window;
        }
        // Months differ in length, and clocks may be about to show the same hour again.
        while self.begin(window) > time_ns {
            window -= 1;
        }
        let mut ahead = 1;
        while self.begin(window.saturating_add(ahead)) <= time_ns {
            window = window.saturating_add(ahead);
            ahead = if ahead < i64::MAX / 4 { ahead * 2 } else { return window };
        }
        while ahead > 0 {
            if self.begin(window.saturating_add(ahead)) <= time_ns {
                window = window.saturating_add(ahead);
            }
            ahead /= 2;
        }
        window
    }

    /// The windows that a time lies in, first and last, if any. They follow each other.
    pub(super) fn around(&self, time_ns: i64) -> Option<(i64, i64)> {
        self.overlapping(time_ns, time_ns.saturating_add(1))
    }

    /// The windows that have a part of the time from `start_ns` until before `stop_ns`, first and last.
    pub(super) fn overlapping(&self, start_ns: i64, stop_ns: i64) -> Option<(i64, i64)> {
        if self.is_all() {
            return Some((0, 0));
        }
        let (latest, last_ns) = (self.latest(start_ns), stop_ns.saturating_sub(1));
        // Windows end in the order in which they begin: the first that ends after the start is looked for.
        let ends_after = |window: i64| self.bounds(window).1 > start_ns;
        let (mut before, mut behind) = (1, 1);
        let first = if ends_after(latest) {
            while ends_after(latest.saturating_sub(before)) && before < i64::MAX / 4 {
                before *= 2;
            }
            (latest.saturating_sub(before), latest)
        } else {
            while !ends_after(latest.saturating_add(behind)) && behind < i64::MAX / 4 {
                behind *= 2;
            }
            (latest, latest.saturating_add(behind))
        };
        let (mut no, mut yes) = first;
        while yes - no > 1 {
            let middle = no + (yes - no) / 2;
            if ends_after(middle) { yes = middle } else { no = middle }
        }
        // A reversed period reaches back from where a window begins.
        let last = if self.period.is_negative {
            let mut last = yes;
            let mut ahead = 1;
            let begun = |window: i64| self.bounds(window).0 <= last_ns;
            while begun(last.saturating_add(ahead)) && ahead < i64::MAX / 4 {
                last = last.saturating_add(ahead);
                ahead *= 2;
            }
            while ahead > 0 {
                if begun(last.saturating_add(ahead)) {
                    last = last.saturating_add(ahead);
                }
                ahead /= 2;
            }
            last
        } else {
            self.latest(last_ns)
        };
        let fits = yes <= last && self.bounds(yes).0 <= last_ns;
        fits.then_some((yes, last))
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn windows(every: &str, period: &str, offset: &str, zone: &str) -> Every {
        let location = Location { zone: TimeZone::get(zone).unwrap(), offset: Duration::default() };
        let [every, period, offset] = [every, period, offset].map(|text| text.parse().unwrap());
        Every::new(every, period, offset, location).unwrap()
    }

    #[test]
    fn the_time_of_the_world_is_known_as_such() {
        assert_eq!(windows("1m", "1m", "-10s", "UTC").as_fixed(), Some((60_000_000_000, 50_000_000_000)));
        assert_eq!(windows("1m", "1m", "0s", "Europe/Berlin").as_fixed(), None);
        assert_eq!(windows("1mo", "1mo", "0s", "UTC").as_fixed(), None);
        assert_eq!(windows("1m", "2m", "0s", "UTC").as_fixed(), None);
    }

    proptest! {
        #[test]
        fn a_time_lies_in_its_windows(
            seconds in -2_000_000_000_i64..4_000_000_000,
            every in prop::sample::select(vec!["7s", "10m", "1h", "1d", "1w", "1mo", "5mo", "1y"]),
            periods in prop::sample::select(vec!["3s", "1d", "-1h", "40m", "2mo", "-1mo"]),
            offset in prop::sample::select(vec!["0s", "-3d", "90m", "1mo", "-40d"]),
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"]),
        ) {
            let time = seconds * 1_000_000_000;
            for period in [every, periods] {
                let windows = windows(every, period, offset, zone);
                let has = |window: i64| {
                    let (start, stop) = windows.bounds(window);
                    start <= time && time < stop
                };
                let latest = windows.latest(time);
                prop_assert!(windows.begin(latest) <= time && time < windows.begin(latest + 1));
                match windows.around(time) {
                    Some((first, last)) => {
                        prop_assert!(has(first) && has(last) && !has(first - 1) && !has(last + 1));
                    }
                    None => prop_assert!(!has(latest) && !has(latest + 1) && !has(latest - 1)),
                }
            }
        }
    }
}
