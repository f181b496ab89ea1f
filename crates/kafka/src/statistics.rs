//! What a log counts of itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::producer::BreakerState;

/// Upper bounds of the classes of [`Latency`].
const LATENCY_BOUNDS_MS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000, 10_000];

/// How long things took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Latency {
    /// Upper bound of each class, and how many fell into it and no lower one; the last has no bound.
    pub classes: Vec<(Option<Duration>, u64)>,
    /// All of them together.
    pub sum: Duration,
}

/// What was produced.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProduceStatistics {
    /// Records acknowledged.
    pub records: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Records turned away at once: no room, or Kafka known to be out of reach.
    pub unavailable: u64,
    /// Records that were handed over and not acknowledged in time.
    pub in_doubt: u64,
    /// Records that the brokers refused.
    pub refused: u64,
    /// Bytes that wait for the brokers now.
    pub buffered_bytes: u64,
    /// How many may.
    pub buffer_bytes: u64,
    /// How often librdkafka had to be begun anew.
    pub restarts: u64,
    /// Whether records are turned away at once.
    pub breaker: BreakerState,
    /// How often that has begun.
    pub breaker_opened: u64,
    /// From handing a record over to its acknowledgement.
    pub latency: Latency,
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadStatistics {
    /// Records read.
    pub records: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Errors that ended by themselves, such as a broker that went away.
    pub errors: u64,
}

/// What a log has done since the process began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogStatistics {
    /// Appended to the topic, and set aside.
    pub produced: ProduceStatistics,
    /// By all readers.
    pub read: ReadStatistics,
    /// Records put into the topic for those that cannot be applied.
    pub set_aside: u64,
}

pub(crate) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

pub(crate) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Counters behind [`Latency`].
#[derive(Debug, Default)]
pub(crate) struct LatencyCounters {
    classes: [AtomicU64; LATENCY_BOUNDS_MS.len() + 1],
    sum_us: AtomicU64,
}

impl LatencyCounters {
    pub(crate) fn took(&self, time: Duration) {
        let ms = time.as_secs_f64() * 1000.0;
        let class = LATENCY_BOUNDS_MS.partition_point(|&bound| (bound as f64) < ms);
        add(&self.classes[class], 1);
        add(&self.sum_us, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn read(&self) -> Latency {
        let bounds = LATENCY_BOUNDS_MS.iter().map(|&ms| Some(Duration::from_millis(ms))).chain([None]);
        Latency {
            classes: bounds.zip(&self.classes).map(|(bound, count)| (bound, get(count))).collect(),
            sum: Duration::from_micros(get(&self.sum_us)),
        }
    }
}

/// Counters behind [`ReadStatistics`].
#[derive(Debug, Default)]
pub(crate) struct ReadCounters {
    pub(crate) records: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) errors: AtomicU64,
}

impl ReadCounters {
    pub(crate) fn read(&self) -> ReadStatistics {
        ReadStatistics { records: get(&self.records), bytes: get(&self.bytes), errors: get(&self.errors) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_fall_into_the_first_class_that_holds_them() {
        let counters = LatencyCounters::default();
        for us in [0, 1_000, 1_001, 10_000_000, 10_000_001] {
            counters.took(Duration::from_micros(us));
        }
        let latency = counters.read();
        let counts: Vec<u64> = latency.classes.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(latency.classes.last().map(|(bound, _)| *bound), Some(None));
        assert_eq!(latency.sum, Duration::from_micros(20_002_002));
    }
}
