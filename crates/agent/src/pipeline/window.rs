//! The window of time that an aggregator looks at. Pure.
//!
//! ```text
//!      grace        period         delay
//!    |<----->|<--------------->|<------->|
//!    |       start             end       |
//!    |<-------- accepted ------+-------->|
//!                              ^ closed here; the next begins here
//! ```
//!
//! Windows follow each other without a gap and without drift. A wall clock that is set forth past the next window or
//! back before this one begins a window anew.

use crate::schedule::{Nanos, next_multiple};

/// A clock that is this much before the window's start was set back; less is how clocks are kept right.
const SET_BACK_MIN: Nanos = 1_000_000_000;

/// The options of a window, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// How long it is; above zero.
    pub(super) period: i64,
    /// How much later than its end a metric's time may be.
    pub(super) delay: i64,
    /// How much earlier than its start a metric's time may be.
    pub(super) grace: i64,
    /// Whether windows begin at multiples of the period.
    pub(super) aligned: bool,
}

/// A window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    limits: Limits,
    start: Nanos,
    end: Nanos,
}

impl Window {
    /// The one open at `now`.
    pub(super) fn new(limits: Limits, now: Nanos) -> Self {
        assert!(limits.period > 0, "a window of {}", limits.period);
        let mut window = Self { limits, start: now, end: now };
        window.begin_at(now);
        window
    }

    /// Whether both are as long, as wide and as aligned.
    pub(super) fn has_limits_of(&self, other: &Self) -> bool {
        self.limits == other.limits
    }

    /// When it ends.
    pub(super) fn end(&self) -> Nanos {
        self.end
    }

    /// Whether a metric of this time belongs to it.
    pub(super) fn accepts(&self, time: Nanos) -> bool {
        self.start.saturating_sub(self.limits.grace) <= time
            && time <= self.end.saturating_add(self.limits.delay)
    }

    /// Whether it is to be closed: because its time is over, or because the clock was set back.
    pub(super) fn is_over(&self, now: Nanos) -> bool {
        now >= self.end || now < self.start - SET_BACK_MIN
    }

    /// Goes on to the next.
    pub(super) fn advance(&mut self, now: Nanos) {
        let next_end = self.end.saturating_add(self.limits.period);
        if now >= next_end || now < self.start - SET_BACK_MIN {
            self.begin_at(now);
        } else {
            self.start = self.end;
            self.end = next_end;
        }
    }

    fn begin_at(&mut self, now: Nanos) {
        self.end = if self.limits.aligned {
            next_multiple(now, self.limits.period)
        } else {
            now.saturating_add(self.limits.period)
        };
        self.start = self.end.saturating_sub(self.limits.period);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn window(aligned: bool, now: Nanos) -> Window {
        Window::new(Limits { period: 30 * S, delay: S / 10, grace: 2 * S, aligned }, now)
    }

    #[test]
    fn the_first_ends_at_the_next_multiple_or_a_period_after_the_start() {
        assert_eq!(window(true, 1003 * S).end(), 1020 * S);
        assert_eq!(window(true, 1020 * S).end(), 1050 * S, "a multiple begins one");
        assert_eq!(window(false, 1003 * S).end(), 1033 * S);
        assert_eq!(window(true, -S).end(), 0, "before 1970 too");
    }

    #[test]
    fn times_from_grace_to_delay_are_accepted_both_ends_included() {
        let window = window(true, 1003 * S);
        for (time, accepted) in [
            (988 * S - 1, false),
            (988 * S, true),
            (990 * S, true),
            (1020 * S, true),
            (1020 * S + S / 10, true),
            (1020 * S + S / 10 + 1, false),
        ] {
            assert_eq!(window.accepts(time), accepted, "{time}");
        }
    }

    #[test]
    fn windows_follow_without_drift() {
        let mut window = window(true, 1003 * S);
        assert!(!window.is_over(1020 * S - 1));
        assert!(window.is_over(1020 * S));
        window.advance(1021 * S);
        assert_eq!((window.start, window.end()), (1020 * S, 1050 * S));
        window.advance(1079 * S);
        assert_eq!(window.end(), 1080 * S, "late, but within the next");
    }

    #[test]
    fn a_clock_set_forth_begins_anew() {
        let mut window = window(true, 1003 * S);
        window.advance(5000 * S);
        assert_eq!((window.start, window.end()), (4980 * S, 5010 * S));
    }

    #[test]
    fn a_clock_set_back_closes_the_window_and_begins_anew() {
        let mut window = window(true, 100_003 * S);
        assert!(!window.is_over(99_990 * S - S / 2), "clocks are kept right in small steps");
        assert!(window.is_over(42 * S));
        window.advance(42 * S);
        assert_eq!((window.start, window.end()), (30 * S, 60 * S));
        assert!(window.accepts(42 * S));
    }
}
