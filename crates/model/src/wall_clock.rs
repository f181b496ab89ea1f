//! The time of day, as something that is handed in: a simulated cluster has clocks of its own, some of them wrong.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

/// Tells the time of day. Two readings may come in any order: such clocks are set.
pub trait WallClock: Send + Sync + fmt::Debug {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    fn now_ns(&self) -> i64;

    /// Milliseconds since then, for versions.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.now_ns() / 1_000_000).unwrap_or(0)
    }
}

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl WallClock for SystemClock {
    fn now_ns(&self) -> i64 {
        wall_clock_ns()
    }
}

/// The time of day by the clock of this machine, in nanoseconds since 1970-01-01T00:00:00Z; negative before.
pub fn wall_clock_ns() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}
