//! What happens to a delivery, what it wants done, and what it tells.

use std::sync::Arc;
use std::time::Duration;

use super::disk::{DiskAnswer, DiskRequest};
use crate::metric::Metric;
use crate::output::{Batch, WriteOutcome};

/// How much is written and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Most metrics in a write.
    pub batch_size: usize,
    /// Most metrics waiting in memory.
    pub buffer_limit: usize,
    /// Whether what is refused for good is handed out, each metric by itself: see [`Command::Keep`].
    pub keep_rejected: bool,
}

impl Limits {
    pub(super) fn at_least_one(self) -> Self {
        Self { batch_size: self.batch_size.max(1), buffer_limit: self.buffer_limit.max(1), ..self }
    }

    pub(super) fn largest_batch(&self) -> usize {
        self.batch_size.min(self.buffer_limit)
    }

    /// Most metrics in memory of a queue on disk.
    pub(super) fn window(&self) -> usize {
        self.batch_size.saturating_mul(super::BATCHES_LOADED)
    }
}

/// What happens to a delivery.
#[derive(Debug)]
pub enum Event {
    /// Metrics came from an input.
    Collected(Vec<Arc<Metric>>),
    /// The flush interval has passed.
    FlushTimer,
    /// Somebody wants all that is there to be sent now, whatever the back-off.
    FlushNow,
    /// The files of a buffer on disk answered.
    Disk(DiskAnswer),
    /// The time of the last [`Command::WakeAt`] has come.
    Wake,
    /// The outstanding write ended. `random` is uniform in [0, 1), for the back-off.
    Written {
        /// What became of it.
        outcome: WriteOutcome,
        /// Uniform in [0, 1).
        random: f64,
    },
    /// Nothing more will be collected: flush once and finish.
    Shutdown,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Write this and answer with [`Event::Written`].
    Write(Batch),
    /// Send [`Event::Wake`] at this time, unless a later command names another.
    WakeAt(Duration),
    /// Tell the user.
    Tell(Notice),
    /// Ask the files of the buffer on disk.
    Disk(DiskRequest),
    /// These were refused for good: keep them where somebody finds them.
    Keep {
        /// The metrics.
        rejected: Batch,
        /// The destination's words.
        reason: String,
    },
    /// The delivery is over.
    Finished {
        /// Metrics that could not be sent and are lost.
        unsent: usize,
        /// Metrics that stay on disk for the next time.
        kept: usize,
    },
}

/// What a user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The buffer was full: this many of the oldest metrics were dropped since the last such notice.
    Dropped(usize),
    /// A write failed and will be tried again; the first failure in a row has `in_a_row` 1.
    Failed {
        /// The output's words.
        reason: String,
        /// Failures since the last success.
        in_a_row: u32,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// A write succeeded after `failures` in a row failed.
    Recovered {
        /// Failures before it.
        failures: u32,
    },
    /// The destination refuses these metrics for good.
    Rejected {
        /// How many.
        metrics: usize,
        /// The destination's words.
        reason: String,
    },
    /// The destination takes only smaller batches.
    Smaller {
        /// Metrics in a batch from now on.
        batch_size: usize,
        /// The destination's words.
        reason: String,
    },
    /// The buffer on disk is damaged, or cannot be read or written; its words.
    Disk(String),
    /// The buffer on disk takes no more; metrics are kept in memory meanwhile.
    DiskFailed {
        /// The system's words.
        reason: String,
    },
    /// The buffer on disk works again.
    DiskRecovered,
    /// Damage to the buffer on disk cost this many metrics.
    Lost(u64),
    /// A write is not done although the next flush is due.
    Slow,
}

/// Counters since the start, in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Handed in.
    pub collected: u64,
    /// Found in a buffer on disk at the start.
    pub replayed: u64,
    /// Not handed in, since the output's filters took them.
    pub filtered: u64,
    /// Stored by the destination.
    pub stored: u64,
    /// Refused by the destination for good.
    pub rejected: u64,
    /// Lost to a full buffer, or to damage of one on disk.
    pub dropped: u64,
    /// Writes that failed and were to be tried again.
    pub failed_writes: u64,
    /// Staying on disk for the next time; known at the end.
    pub kept: u64,
}

impl Totals {
    /// Metrics that the output will never store.
    pub fn lost(&self) -> u64 {
        (self.collected + self.replayed).saturating_sub(self.stored + self.kept)
    }
}
