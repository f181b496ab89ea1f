//! Batching and retrying for one output, without I/O: events in, commands out.
//!
//! ```text
//!            Collected                      Write(batch)
//!   inputs ------------> queue (bounded) -----------------> output
//!                         |  ^   oldest metric first           |
//!              Disk(...)  |  |                                 | Written(outcome)
//!                        disk +------ Retry: back to the front +
//! ```
//!
//! Rules
//! - One write at a time. A write starts when the flush timer fires (then the whole queue goes,
//!   batch by batch), or when a full batch is there and the last write succeeded.
//! - A [`Queue`] in memory holds at most `buffer_limit` metrics besides the batch in flight; the oldest is
//!   dropped first, counted, and told of once with the next write. One on disk is bounded in bytes
//!   by [`disk`], and `buffer_limit` is what may wait in memory for the disk.
//! - A write that may succeed later puts its metrics back, and nothing is written until the
//!   back-off ends: 1 s, doubled up to a minute, with up to a quarter more at random, and never
//!   earlier than the destination asked.
//! - What the destination refuses is halved until the metrics at fault stand alone; those are
//!   counted as rejected. What is too large is halved too, and later batches are kept smaller.
//! - On disk, a metric is acknowledged when it and all before it are stored, rejected or dropped.
//! - Shutdown flushes once, whatever the back-off; what is on disk may stay there.
//!
//! Conservation: collected + replayed = stored + rejected + dropped + queued + in flight. See [`Delivery::check`].

pub mod disk;
mod message;
mod queue;
mod rejected;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use message::{Command, Event, Limits, Notice, Totals};

use crate::metric::Metric;
use crate::output::{Fates, WriteOutcome};
use disk::{DiskAnswer, DiskRequest, Opened};
use queue::{Part, Queue, Readiness};
pub(crate) use rejected::RejectedFile;

/// First back-off after a failed write.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Longest back-off, unless the destination asks for more.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// A destination that asks for more than this is asked again anyway.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// After this many stored batches in a row, a batch size lowered by the destination is doubled again.
const GROW_AFTER: u32 = 64;
/// Batches of a buffer on disk in the last flush; what is behind them stays for the next time.
const LAST_BATCHES_MAX: usize = 20;
/// So many batches of a buffer on disk are in memory.
const BATCHES_LOADED: usize = 4;

/// Why the current write was started, or the next will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A full batch was there.
    FullBatch,
    /// The timer fired: so many further batches may follow.
    Flush { batches_left: usize },
    /// The end: until the queue is empty, so many batches are written, or a write fails.
    Shutdown { batches_left: usize },
}

/// The delivery's state.
#[derive(Debug)]
pub struct Delivery {
    limits: Limits,
    /// At most `limits.batch_size`; lowered when the destination says so.
    batch_size: usize,
    stored_in_a_row: u32,
    queue: Queue,
    in_flight: Option<Part>,
    /// Parts of a batch that was split, still to be written before anything else.
    parts: VecDeque<Part>,
    purpose: Purpose,
    /// A write waits for metrics to be read from disk.
    stalled: bool,
    /// No write before this time.
    held_until: Option<Duration>,
    failures: u32,
    dropped_untold: usize,
    /// Refused metrics of the batch being written, and the first reason.
    rejected_untold: Option<(usize, String)>,
    /// Everything with a smaller number is done with, as the disk was told.
    acknowledged: u64,
    disk_failed: bool,
    shutting_down: bool,
    /// The flush at the end failed; nothing more is written.
    given_up: bool,
    totals: Totals,
}

impl Delivery {
    /// An idle delivery with its queue in memory. Limits of zero count as one.
    pub fn new(limits: Limits) -> Self {
        let limits = limits.at_least_one();
        Self::with_queue(limits, Queue::in_memory(limits.buffer_limit), 0, 0)
    }

    /// An idle delivery of a buffer on disk.
    pub fn on_disk(limits: Limits, opened: &Opened) -> Self {
        let limits = limits.at_least_one();
        let queue = Queue::on_disk(limits.buffer_limit, limits.window(), opened);
        Self::with_queue(limits, queue, opened.acknowledged, opened.end.saturating_sub(opened.acknowledged))
    }

    fn with_queue(limits: Limits, queue: Queue, acknowledged: u64, replayed: u64) -> Self {
        Self {
            batch_size: limits.largest_batch(),
            limits,
            stored_in_a_row: 0,
            queue,
            in_flight: None,
            parts: VecDeque::new(),
            purpose: Purpose::FullBatch,
            stalled: false,
            held_until: None,
            failures: 0,
            dropped_untold: 0,
            rejected_untold: None,
            acknowledged,
            disk_failed: false,
            shutting_down: false,
            given_up: false,
            totals: Totals { replayed, ..Totals::default() },
        }
    }

    /// The delivery of this one's successor, after a change of the configuration: everything queued stays in its
    /// order, what is in flight is written again, the counters go on, and the back-off is over. A buffer on disk
    /// stays with the [`DiskWorker`](disk::DiskWorker) that serves it.
    #[must_use]
    pub fn succeed(mut self, limits: Limits) -> Self {
        let limits = limits.at_least_one();
        if let Some(part) = self.in_flight.take() {
            self.put_back(&part);
        }
        let excess = self.queue.resize(limits.buffer_limit, limits.window());
        self.drop_oldest(excess);
        Self {
            batch_size: limits.largest_batch(),
            limits,
            stored_in_a_row: 0,
            purpose: Purpose::FullBatch,
            stalled: false,
            held_until: None,
            failures: 0,
            shutting_down: false,
            given_up: false,
            ..self
        }
    }

    /// The counters.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Metrics not yet stored, rejected or dropped.
    pub fn pending(&self) -> usize {
        self.queue.len() + self.taken().map(|part| part.batch.len()).sum::<usize>()
    }

    /// The metrics not yet stored, rejected or dropped that are nowhere but in memory, in order.
    pub fn unsent(&self) -> impl Iterator<Item = &Arc<Metric>> {
        let taken = self.taken().flat_map(|part| {
            part.batch
                .iter()
                .zip(&part.numbers)
                .filter(|(_, number)| number.is_none())
                .map(|(metric, _)| metric)
        });
        taken.chain(self.queue.volatile_metrics())
    }

    /// Most metrics that wait in memory.
    pub fn buffer_limit(&self) -> usize {
        self.limits.buffer_limit
    }

    /// Counts metrics that the output's filters took before they were handed in.
    pub fn count_filtered(&mut self, metrics: u64) {
        self.totals.filtered += metrics;
    }

    /// Takes an event at `now`, the time since any fixed moment.
    pub fn step(&mut self, now: Duration, event: Event, out: &mut Vec<Command>) {
        match event {
            Event::Collected(metrics) => self.collect(metrics, out),
            Event::FlushTimer => self.flush(now, out),
            Event::FlushNow => {
                self.held_until = None;
                if self.is_idle() {
                    self.flush(now, out);
                }
            }
            Event::Wake => {
                if self.held_until.is_some_and(|until| until <= now) {
                    self.flush(now, out);
                }
            }
            Event::Disk(answer) => self.answered(answer, out),
            Event::Written { outcome, random } => self.written(now, outcome, random, out),
            Event::Shutdown => self.shut_down(out),
        }
        self.ask_disk(out);
        debug_assert!(self.check().is_ok(), "{:?}", self.check());
    }

    fn collect(&mut self, metrics: Vec<Arc<Metric>>, out: &mut Vec<Command>) {
        self.totals.collected += metrics.len() as u64;
        let excess = self.queue.push(metrics);
        self.drop_oldest(excess);
        self.write_full_batch(out);
    }

    fn write_full_batch(&mut self, out: &mut Vec<Command>) {
        if self.is_idle() && !self.stalled && self.failures == 0 && self.queue.available() >= self.batch_size
        {
            self.purpose = Purpose::FullBatch;
            self.write_next(out);
        }
    }

    fn flush(&mut self, now: Duration, out: &mut Vec<Command>) {
        self.queue.retry();
        if !self.is_idle() {
            out.push(Command::Tell(Notice::Slow));
            return;
        }
        if self.held_until.is_some_and(|until| until > now) {
            return;
        }
        self.held_until = None;
        self.purpose = Purpose::Flush { batches_left: self.queue.available() / self.batch_size + 1 };
        self.continue_writing(out);
    }

    fn shut_down(&mut self, out: &mut Vec<Command>) {
        self.shutting_down = true;
        self.held_until = None;
        self.queue.retry();
        if self.is_idle() {
            self.start_last_flush(out);
        }
    }

    fn start_last_flush(&mut self, out: &mut Vec<Command>) {
        let batches_left = if self.queue.is_on_disk() { LAST_BATCHES_MAX } else { usize::MAX };
        self.purpose = Purpose::Shutdown { batches_left };
        self.continue_writing(out);
    }

    fn answered(&mut self, answer: DiskAnswer, out: &mut Vec<Command>) {
        match answer {
            DiskAnswer::Appended(appended) => {
                let dropped = self.queue.appended(&appended);
                self.drop_oldest(dropped);
                self.tell_of_disk(appended.failed, out);
            }
            DiskAnswer::Loaded(loaded) => {
                match &loaded {
                    Ok(loaded) => loaded
                        .damage
                        .iter()
                        .for_each(|damage| out.push(Command::Tell(Notice::Disk(damage.clone())))),
                    Err(reason) => out.push(Command::Tell(Notice::Disk(reason.clone()))),
                }
                let lost = self.queue.loaded(loaded) as u64;
                if lost > 0 {
                    self.totals.dropped += lost;
                    out.push(Command::Tell(Notice::Lost(lost)));
                }
            }
            DiskAnswer::Told(words) => out.push(Command::Tell(Notice::Disk(words))),
        }
        // The disk is asked first, so that metrics it does not take are at hand.
        self.ask_disk(out);
        if !self.is_idle() {
            return;
        }
        if std::mem::take(&mut self.stalled) {
            self.write_next(out);
        } else if self.shutting_down {
            self.go_on_at_the_end(out);
        } else {
            self.write_full_batch(out);
        }
    }

    fn tell_of_disk(&mut self, failed: Option<String>, out: &mut Vec<Command>) {
        let was_failed = std::mem::replace(&mut self.disk_failed, failed.is_some());
        match failed {
            Some(reason) if !was_failed => out.push(Command::Tell(Notice::DiskFailed { reason })),
            None if was_failed => out.push(Command::Tell(Notice::DiskRecovered)),
            Some(_) | None => {}
        }
    }

    fn written(&mut self, now: Duration, outcome: WriteOutcome, random: f64, out: &mut Vec<Command>) {
        let Some(part) = self.in_flight.take() else { return };
        let metrics = part.batch.len();
        match outcome {
            WriteOutcome::Stored => self.stored(metrics, out),
            WriteOutcome::Each(fates) => {
                if !self.sort(now, &part, fates, random, out) {
                    return;
                }
            }
            // Which ones were refused shows when the halves are written again.
            WriteOutcome::Partial { reason, .. } if self.limits.keep_rejected => {
                self.split_or_reject(&part, reason, out);
            }
            WriteOutcome::Partial { rejected, reason } => {
                let rejected = rejected.min(metrics);
                self.count_rejected(rejected, reason);
                self.stored(metrics - rejected, out);
            }
            WriteOutcome::Rejected { reason } => self.split_or_reject(&part, reason, out),
            WriteOutcome::TooLarge { reason } => {
                if metrics > 1 {
                    self.shrink(metrics, reason.clone(), out);
                }
                self.split_or_reject(&part, reason, out);
            }
            WriteOutcome::Retry { reason, after } => {
                self.put_back(&part);
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
        part: &Part,
        fates: Fates,
        random: f64,
        out: &mut Vec<Command>,
    ) -> bool {
        let Fates { rejected, kept, reason, after } = fates;
        let metrics = part.batch.len();
        let rejected: BTreeMap<usize, String> =
            rejected.into_iter().filter(|(index, _)| *index < metrics).collect();
        let kept: BTreeSet<usize> =
            kept.into_iter().filter(|index| *index < metrics && !rejected.contains_key(index)).collect();
        let stored = metrics - rejected.len() - kept.len();
        if let Some(first) = rejected.values().next().cloned() {
            self.count_rejected(rejected.len(), first);
            if self.limits.keep_rejected {
                out.extend(
                    rejected
                        .into_iter()
                        .map(|(index, reason)| Command::Keep { rejected: part.only([index]).batch, reason }),
                );
            }
        }
        if kept.is_empty() {
            self.stored(stored, out);
            return true;
        }
        self.totals.stored += stored as u64;
        self.put_back(&part.only(kept));
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
            self.batch_size = (self.batch_size * 2).min(self.limits.largest_batch());
        }
    }

    /// Puts both halves in line; a single metric is rejected.
    fn split_or_reject(&mut self, part: &Part, reason: String, out: &mut Vec<Command>) {
        if let Some((first, second)) = part.halves() {
            self.parts.push_front(second);
            self.parts.push_front(first);
            return;
        }
        self.count_rejected(part.batch.len(), reason.clone());
        if self.limits.keep_rejected {
            out.push(Command::Keep { rejected: Arc::clone(&part.batch), reason });
        }
    }

    fn count_rejected(&mut self, metrics: usize, reason: String) {
        self.totals.rejected += metrics as u64;
        let (before, _) = self.rejected_untold.get_or_insert((0, reason));
        *before += metrics;
    }

    /// Tells of what was refused of a batch, once for all its parts.
    fn tell_rejected(&mut self, out: &mut Vec<Command>) {
        if let Some((metrics, reason)) = self.rejected_untold.take() {
            out.push(Command::Tell(Notice::Rejected { metrics, reason }));
        }
    }

    fn shrink(&mut self, refused: usize, reason: String, out: &mut Vec<Command>) {
        let smaller = refused.div_ceil(2);
        self.stored_in_a_row = 0;
        if smaller < self.batch_size {
            self.batch_size = smaller;
            out.push(Command::Tell(Notice::Smaller { batch_size: smaller, reason }));
        }
    }

    /// Returns the batch, and the parts behind it, to the front of the queue in their old order.
    fn put_back(&mut self, part: &Part) {
        let mut excess = 0;
        for waiting in std::mem::take(&mut self.parts).iter().rev() {
            excess += self.queue.put_back(waiting);
        }
        excess += self.queue.put_back(part);
        self.drop_oldest(excess);
    }

    fn failed(
        &mut self,
        now: Duration,
        reason: String,
        after: Option<Duration>,
        random: f64,
        out: &mut Vec<Command>,
    ) {
        self.tell_rejected(out);
        self.failures += 1;
        self.totals.failed_writes += 1;
        self.stored_in_a_row = 0;
        let retry_in = backoff(self.failures, random).max(after.unwrap_or_default().min(RETRY_AFTER_MAX));
        out.push(Command::Tell(Notice::Failed { reason, in_a_row: self.failures, retry_in }));
        if self.shutting_down {
            // A write that was under way when the end came still leaves the one last flush.
            if matches!(self.purpose, Purpose::Shutdown { .. }) {
                self.given_up = true;
                self.finish(out);
            } else {
                self.start_last_flush(out);
            }
            return;
        }
        self.held_until = Some(now + retry_in);
        out.push(Command::WakeAt(now + retry_in));
    }

    /// After a write that is over: the next, or rest.
    fn continue_writing(&mut self, out: &mut Vec<Command>) {
        if self.parts.is_empty() {
            self.tell_rejected(out);
        }
        if self.shutting_down && !matches!(self.purpose, Purpose::Shutdown { .. }) {
            return self.start_last_flush(out);
        }
        let available = self.queue.available();
        let more = !self.parts.is_empty()
            || match &mut self.purpose {
                Purpose::FullBatch => self.failures == 0 && available >= self.batch_size,
                Purpose::Flush { batches_left: 0 } | Purpose::Shutdown { batches_left: 0 } => false,
                Purpose::Flush { batches_left } | Purpose::Shutdown { batches_left } => {
                    *batches_left -= 1;
                    available > 0
                }
            };
        if more { self.write_next(out) } else { self.finish(out) }
    }

    /// After the disk answered at the end: what it took may be sent, too.
    fn go_on_at_the_end(&mut self, out: &mut Vec<Command>) {
        let is_over = self.given_up || matches!(self.purpose, Purpose::Shutdown { batches_left: 0 });
        if is_over || self.queue.available() == 0 { self.finish(out) } else { self.write_next(out) }
    }

    fn write_next(&mut self, out: &mut Vec<Command>) {
        let part = match self.parts.pop_front() {
            Some(part) => part,
            None => match self.queue.readiness(self.batch_size) {
                Readiness::Ready => self.queue.take(self.batch_size),
                Readiness::Loading => {
                    self.stalled = true;
                    return;
                }
                Readiness::Empty => return self.finish(out),
            },
        };
        if self.dropped_untold > 0 {
            out.push(Command::Tell(Notice::Dropped(std::mem::take(&mut self.dropped_untold))));
        }
        out.push(Command::Write(Arc::clone(&part.batch)));
        self.in_flight = Some(part);
    }

    /// At the end, once nothing is under way to the disk: it is over.
    fn finish(&mut self, out: &mut Vec<Command>) {
        if self.shutting_down && !self.queue.is_appending() {
            let unsent = self.queue.volatile();
            let kept = self.pending() - unsent;
            self.totals.kept = kept as u64;
            out.push(Command::Finished { unsent, kept });
        }
    }

    /// Has the disk do what is due, and acknowledges what is done with.
    fn ask_disk(&mut self, out: &mut Vec<Command>) {
        out.extend(self.queue.request(self.batch_size).into_iter().flatten().map(Command::Disk));
        let outstanding = self.taken().find_map(Part::first_number).or_else(|| self.queue.oldest());
        if let Some(number) = outstanding.filter(|number| *number > self.acknowledged) {
            self.acknowledged = number;
            out.push(Command::Disk(DiskRequest::Acknowledge(number)));
        }
    }

    /// What was taken from the queue, in order.
    fn taken(&self) -> impl Iterator<Item = &Part> {
        self.in_flight.iter().chain(&self.parts)
    }

    fn drop_oldest(&mut self, metrics: usize) {
        self.dropped_untold += metrics;
        self.totals.dropped += metrics as u64;
    }

    fn is_idle(&self) -> bool {
        self.in_flight.is_none()
    }

    /// The invariants, for tests and debug builds.
    pub fn check(&self) -> Result<(), String> {
        let t = &self.totals;
        let accounted = t.stored + t.rejected + t.dropped + self.pending() as u64;
        let known = t.collected + t.replayed;
        if accounted != known {
            return Err(format!("{known} metrics collected or replayed, {accounted} accounted for"));
        }
        if self.in_flight.is_none() && !self.parts.is_empty() {
            return Err("parts of a batch wait and nothing is written".to_owned());
        }
        self.queue.check()
    }
}

fn backoff(failures: u32, random: f64) -> Duration {
    let doubled = BACKOFF_MIN.saturating_mul(1_u32.checked_shl(failures - 1).unwrap_or(u32::MAX));
    doubled.min(BACKOFF_MAX).mul_f64(1.0 + 0.25 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
