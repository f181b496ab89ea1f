//! `rate_limit`: so many bytes in every period.

use std::time::{Duration, Instant};

use super::options::RateLimit;

/// What the current period has left.
#[derive(Debug)]
pub(super) struct Window {
    limit: RateLimit,
    start: Instant,
    used: u64,
}

impl Window {
    pub(super) fn new(limit: RateLimit, now: Instant) -> Self {
        Self { limit, start: now, used: 0 }
    }

    /// Takes room for a body, or says how long to wait for it. A body larger than the limit has a period alone.
    pub(super) fn take(&mut self, bytes: u64, now: Instant) -> Result<(), Duration> {
        let since = now.saturating_duration_since(self.start);
        if since >= self.limit.period {
            self.start = now;
            self.used = 0;
        }
        if self.used > 0 && self.used + bytes > self.limit.bytes {
            return Err(self.limit.period.saturating_sub(since));
        }
        self.used += bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_has_so_many_bytes() {
        let period = Duration::from_secs(10);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::new(RateLimit { bytes: 100, period }, start);
        assert_eq!(window.take(60, at(1)), Ok(()));
        assert_eq!(window.take(60, at(4)), Err(Duration::from_secs(6)));
        assert_eq!(window.take(40, at(5)), Ok(()));
        assert_eq!(window.take(500, at(11)), Ok(()), "alone in its period");
        assert_eq!(window.take(1, at(12)), Err(Duration::from_secs(9)));
    }
}
