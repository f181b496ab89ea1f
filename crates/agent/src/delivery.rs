//! Batching and retrying for one output, without I/O: events in, commands out.
//!
//! ```text
//!            Collected                      Write(batch)
//!   inputs ------------> buffer (bounded) ----------------> output
//!                          ^   oldest metric first             |
//!                          |                                   | Written(outcome)
//!                          +------ Retry: back to the front ---+
//! ```
//!
//! Rules
//! - One write at a time. A write starts when the flush timer fires (then the whole buffer goes,
//!   batch by batch), or when a full batch is there and the last write succeeded.
//! - The buffer holds at most `buffer_limit` metrics besides the batch in flight; the oldest is
//!   dropped first, counted, and told of once with the next write.
//! - A write that may succeed later puts its metrics back, and nothing is written until the
//!   back-off ends: 1 s, doubled up to a minute, with up to a quarter more at random, and never
//!   earlier than the destination asked.
//! - What the destination refuses is halved until the metrics at fault stand alone; those are
//!   counted as rejected. What is too large is halved too, and later batches are kept smaller.
//! - Shutdown flushes once, whatever the back-off.
//!
//! Conservation: collected = stored + rejected + dropped + buffered + in flight. See [`Delivery::check`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::metric::Metric;
use crate::output::{Batch, Fates, WriteOutcome};

/// First back-off after a failed write.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Longest back-off, unless the destination asks for more.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// A destination that asks for more than this is asked again anyway.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// After this many stored batches in a row, a batch size lowered by the destination is doubled again.
const GROW_AFTER: u32 = 64;

/// How much is written and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most metrics in a write.
    pub batch_size: usize,
    /// Most metrics waiting.
    pub buffer_limit: usize,
}

/// What happens to a delivery.
#[derive(Debug)]
pub enum Event {
    /// Metrics came from an input.
    Collected(Vec<Arc<Metric>>),
    /// The flush interval has passed.
    FlushTimer,
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
    /// The delivery is over; this many metrics could not be sent.
    Finished {
        /// How many are lost.
        unsent: usize,
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
    /// A write is not done although the next flush is due.
    Slow,
}

/// Counters since the start, in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Handed in.
    pub collected: u64,
    /// Stored by the destination.
    pub stored: u64,
    /// Refused by the destination for good.
    pub rejected: u64,
    /// Lost to a full buffer.
    pub dropped: u64,
    /// Writes that failed and were to be tried again.
    pub failed_writes: u64,
}

/// Why the current write was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A full batch was there.
    FullBatch,
    /// The timer fired: so many further batches may follow.
    Flush { batches_left: usize },
    /// The end: until the buffer is empty or a write fails.
    Shutdown,
}

/// The delivery's state.
#[derive(Debug)]
pub struct Delivery {
    limits: Limits,
    /// At most `limits.batch_size`; lowered when the destination says so.
    batch_size: usize,
    stored_in_a_row: u32,
    buffer: VecDeque<Arc<Metric>>,
    in_flight: Option<Batch>,
    /// Parts of a batch that was split, still to be written before anything else.
    parts: VecDeque<Batch>,
    purpose: Purpose,
    /// No write before this time.
    held_until: Option<Duration>,
    failures: u32,
    dropped_untold: usize,
    shutting_down: bool,
    totals: Totals,
}

impl Delivery {
    /// An idle delivery. Limits of zero count as one.
    pub fn new(limits: Limits) -> Self {
        let limits =
            Limits { batch_size: limits.batch_size.max(1), buffer_limit: limits.buffer_limit.max(1) };
        Self {
            limits,
            batch_size: limits.batch_size.min(limits.buffer_limit),
            stored_in_a_row: 0,
            buffer: VecDeque::new(),
            in_flight: None,
            parts: VecDeque::new(),
            purpose: Purpose::FullBatch,
            held_until: None,
            failures: 0,
            dropped_untold: 0,
            shutting_down: false,
            totals: Totals::default(),
        }
    }

    /// The counters.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Metrics not yet stored, rejected or dropped.
    pub fn pending(&self) -> usize {
        self.buffer.len()
            + self.in_flight.as_ref().map_or(0, |batch| batch.len())
            + self.parts.iter().map(|part| part.len()).sum::<usize>()
    }

    /// Takes an event at `now`, the time since any fixed moment.
    pub fn step(&mut self, now: Duration, event: Event, out: &mut Vec<Command>) {
        match event {
            Event::Collected(metrics) => self.collect(metrics, out),
            Event::FlushTimer => self.flush(now, out),
            Event::Wake => {
                if self.held_until.is_some_and(|until| until <= now) {
                    self.flush(now, out);
                }
            }
            Event::Written { outcome, random } => self.written(now, outcome, random, out),
            Event::Shutdown => self.shut_down(out),
        }
        debug_assert!(self.check().is_ok(), "{:?}", self.check());
    }

    fn collect(&mut self, metrics: Vec<Arc<Metric>>, out: &mut Vec<Command>) {
        self.totals.collected += metrics.len() as u64;
        self.buffer.extend(metrics);
        self.trim();
        if self.is_idle() && self.failures == 0 && self.buffer.len() >= self.batch_size {
            self.purpose = Purpose::FullBatch;
            self.write_next(out);
        }
    }

    fn flush(&mut self, now: Duration, out: &mut Vec<Command>) {
        if !self.is_idle() {
            out.push(Command::Tell(Notice::Slow));
            return;
        }
        if self.held_until.is_some_and(|until| until > now) {
            return;
        }
        self.held_until = None;
        self.purpose = Purpose::Flush { batches_left: self.buffer.len() / self.batch_size + 1 };
        self.continue_writing(out);
    }

    fn shut_down(&mut self, out: &mut Vec<Command>) {
        self.shutting_down = true;
        self.held_until = None;
        if self.is_idle() {
            self.purpose = Purpose::Shutdown;
            self.continue_writing(out);
        }
    }

    fn written(&mut self, now: Duration, outcome: WriteOutcome, random: f64, out: &mut Vec<Command>) {
        let Some(batch) = self.in_flight.take() else { return };
        match outcome {
            WriteOutcome::Stored => self.stored(batch.len(), out),
            WriteOutcome::Partial { rejected, reason } => {
                let rejected = rejected.min(batch.len());
                self.reject(rejected, reason, out);
                self.stored(batch.len() - rejected, out);
            }
            WriteOutcome::Each(fates) => {
                if !self.sort(now, &batch, fates, random, out) {
                    return;
                }
            }
            WriteOutcome::Rejected { reason } => {
                if !self.split(&batch) {
                    self.reject(batch.len(), reason, out);
                }
            }
            WriteOutcome::TooLarge { reason } => {
                if self.split(&batch) {
                    self.shrink(batch.len(), reason, out);
                } else {
                    self.reject(batch.len(), reason, out);
                }
            }
            WriteOutcome::Retry { reason, after } => {
                self.put_back(&batch);
                self.failed(now, reason, after, random, out);
                return;
            }
        }
        self.continue_writing(out);
    }

    /// Counts what is known of each metric; false if some have to be written again later.
    fn sort(
        &mut self,
        now: Duration,
        batch: &Batch,
        fates: Fates,
        random: f64,
        out: &mut Vec<Command>,
    ) -> bool {
        let Fates { rejected, kept, reason, after } = fates;
        let rejected: BTreeMap<usize, String> =
            rejected.into_iter().filter(|(index, _)| *index < batch.len()).collect();
        let kept: BTreeSet<usize> = kept.into_iter().filter(|index| !rejected.contains_key(index)).collect();
        let again: Batch =
            kept.iter().filter_map(|&index| batch.get(index)).map(Arc::clone).collect::<Vec<_>>().into();
        let stored = batch.len() - rejected.len() - again.len();
        if let Some(first) = rejected.values().next() {
            self.reject(rejected.len(), first.clone(), out);
        }
        if again.is_empty() {
            self.stored(stored, out);
            return true;
        }
        self.totals.stored += stored as u64;
        self.put_back(&again);
        self.failed(now, reason, after, random, out);
        false
    }

    fn stored(&mut self, metrics: usize, out: &mut Vec<Command>) {
        self.totals.stored += metrics as u64;
        if self.failures > 0 {
            out.push(Command::Tell(Notice::Recovered { failures: self.failures }));
            self.failures = 0;
        }
        self.stored_in_a_row += 1;
        if self.stored_in_a_row >= GROW_AFTER {
            self.stored_in_a_row = 0;
            let most = self.limits.batch_size.min(self.limits.buffer_limit);
            self.batch_size = (self.batch_size * 2).min(most);
        }
    }

    fn reject(&mut self, metrics: usize, reason: String, out: &mut Vec<Command>) {
        self.totals.rejected += metrics as u64;
        out.push(Command::Tell(Notice::Rejected { metrics, reason }));
    }

    /// Puts both halves in line, unless there is only one metric.
    fn split(&mut self, batch: &Batch) -> bool {
        if batch.len() < 2 {
            return false;
        }
        let (first, second) = batch.split_at(batch.len() / 2);
        self.parts.push_front(second.into());
        self.parts.push_front(first.into());
        true
    }

    fn shrink(&mut self, refused: usize, reason: String, out: &mut Vec<Command>) {
        let smaller = refused.div_ceil(2);
        self.stored_in_a_row = 0;
        if smaller < self.batch_size {
            self.batch_size = smaller;
            out.push(Command::Tell(Notice::Smaller { batch_size: smaller, reason }));
        }
    }

    /// Returns the batch, and the parts behind it, to the front of the buffer in their old order.
    fn put_back(&mut self, batch: &Batch) {
        for part in std::mem::take(&mut self.parts).iter().rev() {
            part.iter().rev().for_each(|metric| self.buffer.push_front(Arc::clone(metric)));
        }
        batch.iter().rev().for_each(|metric| self.buffer.push_front(Arc::clone(metric)));
        self.trim();
    }

    fn failed(
        &mut self,
        now: Duration,
        reason: String,
        after: Option<Duration>,
        random: f64,
        out: &mut Vec<Command>,
    ) {
        self.failures += 1;
        self.totals.failed_writes += 1;
        self.stored_in_a_row = 0;
        let retry_in = backoff(self.failures, random).max(after.unwrap_or_default().min(RETRY_AFTER_MAX));
        out.push(Command::Tell(Notice::Failed { reason, in_a_row: self.failures, retry_in }));
        if self.shutting_down {
            // A write that was under way when the end came still leaves the one last flush.
            if self.purpose == Purpose::Shutdown {
                out.push(Command::Finished { unsent: self.pending() });
            } else {
                self.purpose = Purpose::Shutdown;
                self.continue_writing(out);
            }
            return;
        }
        self.held_until = Some(now + retry_in);
        out.push(Command::WakeAt(now + retry_in));
    }

    /// After a write that is over: the next, or rest.
    fn continue_writing(&mut self, out: &mut Vec<Command>) {
        if self.shutting_down {
            self.purpose = Purpose::Shutdown;
        }
        let more = !self.parts.is_empty()
            || match &mut self.purpose {
                Purpose::FullBatch => self.failures == 0 && self.buffer.len() >= self.batch_size,
                Purpose::Flush { batches_left: 0 } => false,
                Purpose::Flush { batches_left } => {
                    *batches_left -= 1;
                    !self.buffer.is_empty()
                }
                Purpose::Shutdown => !self.buffer.is_empty(),
            };
        if more {
            self.write_next(out);
        } else if self.shutting_down {
            out.push(Command::Finished { unsent: self.pending() });
        }
    }

    fn write_next(&mut self, out: &mut Vec<Command>) {
        if self.dropped_untold > 0 {
            out.push(Command::Tell(Notice::Dropped(std::mem::take(&mut self.dropped_untold))));
        }
        let batch = self.parts.pop_front().unwrap_or_else(|| {
            let size = self.batch_size.min(self.buffer.len());
            self.buffer.drain(..size).collect()
        });
        self.in_flight = Some(Arc::clone(&batch));
        out.push(Command::Write(batch));
    }

    /// Drops the oldest metrics beyond the limit.
    fn trim(&mut self) {
        let excess = self.buffer.len().saturating_sub(self.limits.buffer_limit);
        self.buffer.drain(..excess);
        self.dropped_untold += excess;
        self.totals.dropped += excess as u64;
    }

    fn is_idle(&self) -> bool {
        self.in_flight.is_none()
    }

    /// The invariants, for tests and debug builds.
    pub fn check(&self) -> Result<(), String> {
        let accounted =
            self.totals.stored + self.totals.rejected + self.totals.dropped + self.pending() as u64;
        if accounted != self.totals.collected {
            return Err(format!("{} metrics collected, {accounted} accounted for", self.totals.collected));
        }
        if self.buffer.len() > self.limits.buffer_limit {
            return Err(format!("{} metrics in a buffer of {}", self.buffer.len(), self.limits.buffer_limit));
        }
        if self.in_flight.is_none() && !self.parts.is_empty() {
            return Err("parts of a batch wait and nothing is written".to_owned());
        }
        Ok(())
    }
}

fn backoff(failures: u32, random: f64) -> Duration {
    let doubled = BACKOFF_MIN.saturating_mul(1_u32.checked_shl(failures - 1).unwrap_or(u32::MAX));
    doubled.min(BACKOFF_MAX).mul_f64(1.0 + 0.25 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
