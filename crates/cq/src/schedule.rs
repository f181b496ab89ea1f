//! When a continuous query runs, and which time it computes; as InfluxDB decides it.
//!
//! A query runs at every full interval of its `GROUP BY time`, or of `RESAMPLE EVERY`. Each run computes whole
//! intervals: the one that has just ended, or as many as `RESAMPLE FOR` names. For `time(10m)` at 12:20:
//!
//! ```text
//!   12:00      12:10      12:20      12:30
//!     |----------|==========|----------|         plain
//!     |----------|----------|==========|         EVERY 5m: also the interval that goes on
//!     |==========|==========|----------|         FOR 20m
//! ```
//!
//! An interval that nobody ran at its end, since the server was busy, is computed with the next run. After a start the
//! time since the last full interval is nobody's: the first run comes at the next one, unless `RESAMPLE` reaches back. A node
//! that takes over from another one goes on where that was: see [`Planner::follow`](crate::Planner::follow).

use jiff::{Timestamp, tz::TimeZone};

/// Nanoseconds since the epoch, the first inside and the first behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First time computed.
    pub start_ns: i64,
    /// First time not computed any more.
    pub end_ns: i64,
}

/// What to do about a query now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing is due.
    Wait,
    /// Remember this run; there is no whole interval to compute.
    Skip {
        /// The last run from now on.
        last_run_ns: i64,
    },
    /// Compute the window.
    Run {
        /// The last run from now on.
        last_run_ns: i64,
        /// What to compute.
        window: Window,
    },
}

/// How a query repeats. Durations are nanoseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Of `GROUP BY time(interval, offset)`; more than 0.
    pub interval_ns: i64,
    /// Moves the intervals.
    pub offset_ns: i64,
    /// `RESAMPLE EVERY`.
    pub every_ns: Option<i64>,
    /// `RESAMPLE FOR`.
    pub for_ns: Option<i64>,
    /// Whose days the intervals follow.
    pub zone: TimeZone,
}

impl Schedule {
    /// The last time at which the query was to run, until `at_ns`.
    pub fn last_due(&self, at_ns: i64) -> i64 {
        self.floor(at_ns, self.every_ns.unwrap_or(self.interval_ns))
    }

    /// What to do at `now_ns`, when the last run was at `last_run_ns`.
    pub fn decide(&self, last_run_ns: Option<i64>, now_ns: i64) -> Decision {
        let every = self.every_ns.unwrap_or(self.interval_ns);
        let due_ns = match last_run_ns {
            Some(last) => self.next_run(last, every),
            None => now_ns,
        };
        if due_ns > now_ns {
            return Decision::Wait;
        }
        let last_run_ns = self.last_due(now_ns);
        // Reaches back over all that has come to an end since the last run.
        let reach = self.for_ns.unwrap_or_else(|| self.interval_ns.max(every));
        let start_ns = self.floor(due_ns.saturating_add(self.interval_ns - reach - 1), self.interval_ns);
        let ahead = self.interval_ns - every.min(self.interval_ns);
        let end_ns = self.floor(now_ns.saturating_add(ahead), self.interval_ns);
        if end_ns <= start_ns {
            return Decision::Skip { last_run_ns };
        }
        Decision::Run { last_run_ns, window: Window { start_ns, end_ns } }
    }

    /// One interval later, or as much more or less as the clocks change in between.
    fn next_run(&self, last_ns: i64, every: i64) -> i64 {
        let next = last_ns.saturating_add(every);
        let change = self.zone_offset(last_ns - 1) - self.zone_offset(next - 1);
        if change.abs() < every { next.saturating_add(change) } else { next }
    }

    /// The last multiple of `step`, moved by the offset, at or before a time, on the clocks of the zone.
    fn floor(&self, time_ns: i64, step: i64) -> i64 {
        let time = time_ns.saturating_sub(self.offset_ns);
        let zone = self.zone_offset(time);
        let floor = time - time.saturating_add(zone).rem_euclid(step);
        // Computed with the zone's offset at another time: put right if the clocks change in between.
        let change = zone - self.zone_offset(floor);
        let floor = if change.abs() < step { floor + change } else { floor };
        floor.saturating_add(self.offset_ns)
    }

    fn zone_offset(&self, time_ns: i64) -> i64 {
        let timestamp = Timestamp::from_nanosecond(i128::from(time_ns)).unwrap_or_default();
        i64::from(self.zone.to_offset(timestamp).seconds()) * 1_000_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;

    fn schedule(interval_ns: i64) -> Schedule {
        Schedule { interval_ns, offset_ns: 0, every_ns: None, for_ns: None, zone: TimeZone::UTC }
    }

    fn run(last_run_ns: i64, start_ns: i64, end_ns: i64) -> Decision {
        Decision::Run { last_run_ns, window: Window { start_ns, end_ns } }
    }

    #[test]
    fn every_interval_is_computed_once_it_has_ended() {
        let plain = schedule(10 * MINUTE);
        // Started in the middle of an interval: nothing yet.
        assert_eq!(plain.decide(None, 25 * MINUTE), Decision::Skip { last_run_ns: 20 * MINUTE });
        assert_eq!(plain.decide(Some(20 * MINUTE), 30 * MINUTE - 1), Decision::Wait);
        let at_30 = run(30 * MINUTE, 20 * MINUTE, 30 * MINUTE);
        assert_eq!(plain.decide(Some(20 * MINUTE), 30 * MINUTE), at_30);
        assert_eq!(plain.decide(Some(20 * MINUTE), 30 * MINUTE + 7), at_30);
        assert_eq!(plain.decide(Some(30 * MINUTE), 30 * MINUTE + 8), Decision::Wait);
        // Started at the very end of one.
        assert_eq!(plain.decide(None, 30 * MINUTE), at_30);
    }

    #[test]
    fn intervals_nobody_ran_are_made_good() {
        let plain = schedule(10 * MINUTE);
        let late = run(50 * MINUTE, 20 * MINUTE, 50 * MINUTE);
        assert_eq!(plain.decide(Some(20 * MINUTE), 55 * MINUTE), late);
    }

    #[test]
    fn the_offset_moves_the_intervals() {
        let moved = Schedule { offset_ns: 3 * MINUTE, ..schedule(10 * MINUTE) };
        assert_eq!(moved.decide(None, 22 * MINUTE), Decision::Skip { last_run_ns: 13 * MINUTE });
        assert_eq!(moved.decide(Some(13 * MINUTE), 23 * MINUTE - 1), Decision::Wait);
        let at_23 = run(23 * MINUTE, 13 * MINUTE, 23 * MINUTE);
        assert_eq!(moved.decide(Some(13 * MINUTE), 23 * MINUTE), at_23);
        let back = Schedule { offset_ns: -3 * MINUTE, ..schedule(10 * MINUTE) };
        let at_27 = run(27 * MINUTE, 17 * MINUTE, 27 * MINUTE);
        assert_eq!(back.decide(Some(17 * MINUTE), 28 * MINUTE), at_27);
    }

    #[test]
    fn every_computes_the_interval_that_goes_on_too() {
        let often = Schedule { every_ns: Some(5 * MINUTE), ..schedule(10 * MINUTE) };
        // The documentation's example, on the minutes of an hour.
        let at_20 = run(20 * MINUTE, 10 * MINUTE, 20 * MINUTE);
        assert_eq!(often.decide(Some(15 * MINUTE), 20 * MINUTE), at_20);
        let at_25 = run(25 * MINUTE, 20 * MINUTE, 30 * MINUTE);
        assert_eq!(often.decide(Some(20 * MINUTE), 25 * MINUTE), at_25);
        assert_eq!(often.decide(Some(20 * MINUTE), 24 * MINUTE), Decision::Wait);
    }

    #[test]
    fn every_longer_than_the_interval_computes_all_since() {
        let seldom = Schedule { every_ns: Some(HOUR), ..schedule(30 * MINUTE) };
        assert_eq!(seldom.decide(Some(HOUR), 2 * HOUR - 1), Decision::Wait);
        assert_eq!(seldom.decide(Some(HOUR), 2 * HOUR), run(2 * HOUR, HOUR, 2 * HOUR));
    }

    #[test]
    fn resample_for_reaches_back() {
        let again = Schedule { for_ns: Some(HOUR), ..schedule(30 * MINUTE) };
        assert_eq!(again.decide(Some(2 * HOUR), 150 * MINUTE), run(150 * MINUTE, 90 * MINUTE, 150 * MINUTE));
        // It also makes the first run after a start worth while.
        assert_eq!(again.decide(None, 100 * MINUTE), run(90 * MINUTE, HOUR, 90 * MINUTE));
        let both = Schedule { every_ns: Some(15 * MINUTE), ..again };
        assert_eq!(both.decide(Some(2 * HOUR), 135 * MINUTE), run(135 * MINUTE, 90 * MINUTE, 150 * MINUTE));
    }

    #[test]
    fn days_follow_the_zone_through_changes_of_the_clocks() {
        let zone = TimeZone::get("Europe/Berlin").expect("bundled");
        let daily = Schedule { zone, ..schedule(DAY) };
        let at = |text: &str| i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap();
        // 29 March 2026 has 23 hours, 25 October 25.
        for (last, start, end) in [
            ("2026-03-28T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            ("2026-10-24T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        ] {
            assert_eq!(daily.decide(Some(at(last)), at(end) - 1), Decision::Wait, "{last}");
            assert_eq!(daily.decide(Some(at(last)), at(end)), run(at(end), at(start), at(end)), "{last}");
        }
    }

    #[test]
    fn times_before_the_epoch_are_floored_too() {
        let plain = schedule(10);
        assert_eq!(plain.decide(Some(-20), -5), run(-10, -20, -10));
    }

    /// Every run but the first of a query, whose last run nobody wrote down.
    #[test]
    fn windows_are_those_that_influxdb_computed() {
        let at = |text: &str| i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap();
        let mut schedule = None;
        let mut last_run_ns = None;
        let mut checked = 0;
        for line in include_str!("../tests/golden/influxdb-runs.txt").lines() {
            if line.starts_with("CREATE") {
                schedule = Some(crate::Definition::parse(line).unwrap().schedule().clone());
                last_run_ns = None;
            }
            let [now, start, end] = line.split_whitespace().collect::<Vec<_>>()[..] else { continue };
            let schedule = schedule.as_ref().expect("a query comes first");
            let now_ns = at(now);
            let decision = schedule.decide(last_run_ns, now_ns);
            let (Decision::Run { last_run_ns: last, .. } | Decision::Skip { last_run_ns: last }) = decision
            else {
                panic!("{line}: not due")
            };
            if last_run_ns.is_some() {
                assert_eq!(decision, run(last, at(start), at(end)), "{line}");
                checked += 1;
            }
            last_run_ns = Some(last);
        }
        assert!(checked > 60, "{checked}");
    }
}
