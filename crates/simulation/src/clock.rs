//! Wall clocks that are wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use skywatch_model::WallClock;

use crate::SimTime;

/// 2026-01-01T00:00:00Z, at which every world begins.
const EPOCH_NS: i64 = 1_767_225_600_000_000_000;

/// A machine's wall clock: true time, and what it is off by. It belongs to the machine, so that a crash leaves it alone.
#[derive(Debug, Clone)]
pub struct SimWall {
    time: SimTime,
    offset_ns: Arc<AtomicI64>,
    /// Parts in a million by which it is too fast.
    drift_ppm: i64,
}

impl SimWall {
    /// A clock that is off by an offset, and by more as time passes.
    pub fn new(time: SimTime, offset_ns: i64, drift_ppm: i64) -> Self {
        Self { time, offset_ns: Arc::new(AtomicI64::new(offset_ns)), drift_ppm }
    }

    /// What a right clock tells at a time of the world.
    pub fn true_ns(time: Duration) -> i64 {
        EPOCH_NS + i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
    }

    /// Somebody sets it forward or back.
    pub fn jump(&self, by_ns: i64) {
        self.offset_ns.fetch_add(by_ns, Ordering::Relaxed);
    }

    /// Somebody sets it right.
    pub fn set_right(&self) {
        self.offset_ns.store(0, Ordering::Relaxed);
    }
}

impl WallClock for SimWall {
    fn now_ns(&self) -> i64 {
        let true_ns = Self::true_ns(self.time.now());
        let drifted = (true_ns - EPOCH_NS) / 1_000_000 * self.drift_ppm;
        true_ns + drifted + self.offset_ns.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_drifts_jumps_and_is_set_right() {
        let time = SimTime::default();
        let wall = SimWall::new(time.clone(), 5_000, 100);
        assert_eq!(wall.now_ns(), EPOCH_NS + 5_000);
        time.set(Duration::from_secs(10));
        assert_eq!(wall.now_ns(), EPOCH_NS + 10_000_000_000 + 1_000_000 + 5_000, "1 ms in 10 s");
        wall.jump(-6_000);
        assert_eq!(wall.now_ns(), EPOCH_NS + 10_000_000_000 + 1_000_000 - 1_000);
        wall.set_right();
        assert_eq!(wall.now_ns(), EPOCH_NS + 10_000_000_000 + 1_000_000);
    }
}
