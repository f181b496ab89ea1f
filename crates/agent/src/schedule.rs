//! When an input is gathered. Pure: the clock is passed in.
//!
//! Aligned, targets are multiples of the interval of the wall clock (plus the offset), so that
//! every agent of a cloud reads at the same moments; otherwise they follow from the start. Targets
//! never drift with the time a gather takes, and a wall clock that is set back or forth only
//! moves the next target.

/// Nanoseconds since the Unix epoch.
pub(crate) type Nanos = i64;

/// The times of one input.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    interval: i64,
    offset: i64,
    aligned: bool,
    target: Nanos,
}

/// A moment to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tick {
    /// How long to wait for it, in nanoseconds, before any jitter.
    pub wait: i64,
    /// Targets that passed while the input was busy.
    pub skipped: u64,
}

impl Schedule {
    /// Starts at `now`. `interval` is above zero, `offset` is not negative, both in nanoseconds.
    pub(crate) fn new(interval: i64, offset: i64, aligned: bool, now: Nanos) -> Self {
        assert!(interval > 0 && offset >= 0, "interval {interval}, offset {offset}");
        let target = if aligned {
            // A start just before a multiple waits for the one after: inputs have to get ready.
            next_multiple(now + interval / 100, interval) + offset
        } else {
            now + offset
        };
        Self { interval, offset, aligned, target }
    }

    /// The next target from `now` on; the one after it is due an interval later.
    pub(crate) fn next(&mut self, now: Nanos) -> Tick {
        let jumped_back = self.target - now > self.interval.saturating_mul(2) + self.offset;
        let mut skipped = 0;
        if jumped_back {
            self.realign(now);
        } else if self.target < now {
            let late = (now - self.target) / self.interval;
            if late > 0 {
                skipped = late.unsigned_abs();
                self.target += late * self.interval;
            }
        }
        let wait = (self.target - now).max(0);
        self.target += self.interval;
        Tick { wait, skipped }
    }

    fn realign(&mut self, now: Nanos) {
        self.target =
            if self.aligned { next_multiple(now, self.interval) + self.offset } else { now + self.interval };
    }
}

/// The first multiple of `unit` after `now`; before 1970 as well.
pub(crate) fn next_multiple(now: Nanos, unit: i64) -> Nanos {
    (now.div_euclid(unit) + 1) * unit
}

/// A time rounded to the nearest multiple of `unit` nanoseconds, half up.
pub(crate) fn round_time(time: Nanos, unit: i64) -> Nanos {
    if unit <= 1 {
        return time;
    }
    let down = time.div_euclid(unit) * unit;
    if time - down >= unit - unit / 2 { down + unit } else { down }
}

/// The unit to which timestamps are rounded: as configured, or the largest of second, millisecond,
/// microsecond and nanosecond that the interval reaches.
pub(crate) fn precision(configured: i64, interval: i64) -> i64 {
    if configured > 0 {
        return configured;
    }
    [1_000_000_000, 1_000_000, 1_000].into_iter().find(|unit| interval >= *unit).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn aligned_targets_are_multiples_and_do_not_drift() {
        let mut schedule = Schedule::new(10 * S, 0, true, 1003 * S);
        assert_eq!(schedule.next(1003 * S), Tick { wait: 7 * S, skipped: 0 });
        assert_eq!(schedule.next(1012 * S), Tick { wait: 8 * S, skipped: 0 }, "the gather took 2 s");
        assert_eq!(schedule.next(1020 * S + 1), Tick { wait: 10 * S - 1, skipped: 0 });
    }

    #[test]
    fn a_start_just_before_a_multiple_takes_the_next() {
        let mut schedule = Schedule::new(10 * S, 0, true, 1010 * S - 50_000_000);
        assert_eq!(schedule.next(1010 * S - 50_000_000).wait, 10 * S + 50_000_000);
    }

    #[test]
    fn an_offset_shifts_every_target() {
        let mut schedule = Schedule::new(10 * S, 3 * S, true, 1001 * S);
        assert_eq!(schedule.next(1001 * S).wait, 12 * S);
        assert_eq!(schedule.next(1013 * S).wait, 10 * S);
    }

    #[test]
    fn unaligned_gathers_start_at_once() {
        let mut schedule = Schedule::new(10 * S, 0, false, 1003 * S);
        assert_eq!(schedule.next(1003 * S).wait, 0);
        assert_eq!(schedule.next(1004 * S).wait, 9 * S);
    }

    #[test]
    fn ticks_missed_are_skipped_and_counted() {
        let mut schedule = Schedule::new(10 * S, 0, true, 1001 * S);
        schedule.next(1001 * S);
        // The gather of 1010 took 37 s: 1020, 1030 are gone, 1040 is taken late, at once.
        assert_eq!(schedule.next(1047 * S), Tick { wait: 0, skipped: 2 });
        assert_eq!(schedule.next(1047 * S).wait, 3 * S, "and then in step again");
    }

    #[test]
    fn a_clock_set_back_does_not_stop_gathering() {
        let mut schedule = Schedule::new(10 * S, 0, true, 100_000 * S);
        schedule.next(100_000 * S);
        assert_eq!(schedule.next(5 * S), Tick { wait: 5 * S, skipped: 0 });
        assert_eq!(schedule.next(10 * S).wait, 10 * S);
        let mut schedule = Schedule::new(10 * S, 0, false, 100_000 * S);
        schedule.next(100_000 * S);
        assert_eq!(schedule.next(5 * S).wait, 10 * S);
    }

    #[test]
    fn times_round_half_up_before_1970_too() {
        for (time, want) in
            [(0, 0), (4, 0), (5, 10), (14, 10), (15, 20), (-4, 0), (-5, 0), (-6, -10), (-15, -10)]
        {
            assert_eq!(round_time(time, 10), want, "{time}");
        }
        assert_eq!(round_time(3, 3), 3);
        assert_eq!(round_time(1, 3), 0);
        assert_eq!(round_time(2, 3), 3);
        assert_eq!(round_time(17, 1), 17);
    }

    #[test]
    fn precision_follows_the_interval() {
        assert_eq!(precision(0, 10 * S), S);
        assert_eq!(precision(0, 500_000_000), 1_000_000);
        assert_eq!(precision(0, 2_000), 1_000);
        assert_eq!(precision(0, 10), 1);
        assert_eq!(precision(5, 10 * S), 5);
    }
}
