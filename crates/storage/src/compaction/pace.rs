//! How fast compaction may go: so many bytes a second over all shards of a store, and slower while memtables are
//! flushed. It rests between blocks and holds nothing meanwhile that writers or queries want.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{MaintenanceError, StoreOptions, store::Shared};

/// Bytes written between two looks at the clock.
const STEP_BYTES: u64 = 256 << 10;
/// Unused time that may be made up for.
const BURST: Duration = Duration::from_millis(100);
/// A rest is cut into pieces of this length, so that a shard can be closed meanwhile.
const SLICE: Duration = Duration::from_millis(20);
/// The longest a step waits for flushes, so that compaction goes on however much is written.
const MAX_YIELD: Duration = Duration::from_millis(200);

/// A bucket of bytes that fills at a constant rate. Pure but for the lock; shared by the shards of a store.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// When what has been taken is paid for.
    paid: Mutex<Option<Instant>>,
}

impl Bucket {
    /// Takes `bytes` at `now`; returns how long to rest. A rate of 0 is no limit.
    fn take(&self, now: Instant, bytes: u64, bytes_per_sec: u64) -> Duration {
        if bytes_per_sec == 0 {
            return Duration::ZERO;
        }
        let mut paid = self.paid.lock();
        let from = paid.map_or(now, |paid| paid.max(now.checked_sub(BURST).unwrap_or(now)));
        let until = from + Duration::from_secs_f64(bytes as f64 / bytes_per_sec as f64);
        *paid = Some(until);
        until.saturating_duration_since(now)
    }
}

/// The pace of one merge.
#[derive(Debug)]
pub(crate) struct Pace<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) options: &'a StoreOptions,
    pub(crate) is_closed: &'a AtomicBool,
}

impl Pace<'_> {
    /// Called between blocks with the bytes written so far and those already accounted for; rests if due.
    /// [`MaintenanceError::Closed`] once the shard or the store is to stop.
    pub(crate) fn step(&self, written: u64, accounted: &mut u64) -> Result<(), MaintenanceError> {
        self.check()?;
        let bytes = written.saturating_sub(*accounted);
        if bytes < STEP_BYTES {
            return Ok(());
        }
        *accounted = written;
        let mut yielded = Duration::ZERO;
        while self.shared.is_flushing() && yielded < MAX_YIELD {
            self.rest(SLICE)?;
            yielded += SLICE;
        }
        let rate = self.options.compaction_bytes_per_sec;
        let mut rest = self.shared.compacted.take(Instant::now(), bytes, rate);
        while !rest.is_zero() {
            let slice = rest.min(SLICE);
            self.rest(slice)?;
            rest = rest.saturating_sub(slice);
        }
        Ok(())
    }

    fn rest(&self, duration: Duration) -> Result<(), MaintenanceError> {
        self.shared.pause(duration);
        self.check()
    }

    fn check(&self) -> Result<(), MaintenanceError> {
        if self.is_closed.load(Ordering::Acquire) || self.shared.is_stopping() {
            return Err(MaintenanceError::Closed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_fills_at_its_rate_and_saves_little() {
        let bucket = Bucket::default();
        let start = Instant::now() + Duration::from_secs(10);
        let at = |ms| start + Duration::from_millis(ms);
        let ms = |rest: Duration| rest.as_millis();
        assert_eq!(ms(bucket.take(at(0), 1000, 10_000)), 100);
        assert_eq!(ms(bucket.take(at(50), 1000, 10_000)), 150, "debts add up");
        assert_eq!(ms(bucket.take(at(200), 1000, 10_000)), 100);
        assert_eq!(ms(bucket.take(at(10_000), 2000, 10_000)), 100, "of ten idle seconds a tenth is left");
        assert_eq!(ms(bucket.take(at(10_000), 1 << 40, 0)), 0);
    }
}
