//! One output's task: carries out what its [`Delivery`] commands.
//!
//! A reload may give it another output of the same name: what is buffered stays, and a write under way is waited for.
//! Where the buffer itself is to be another one, the task hands over what is nowhere but in its memory.

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, info, warn};

use super::buffers::{Buffer, limits};
use super::{Gathered, Setting, StartFailed, jitter, nanos, wall_clock_ns};
use crate::config::{ConfiguredOutput, OutputOptions, PluginId, StartupErrors, display_duration};
use crate::delivery::disk::{DiskAnswer, DiskWorker};
use crate::delivery::{Command, Delivery, Event, Limits, Notice, RejectedFile, Totals};
use crate::metric::Metric;
use crate::output::{Batch, Output, WriteOutcome};
use crate::shape::for_output;
use crate::statistics::{Counters, Stat};

/// How long the last flush may take.
pub(super) const LAST_FLUSH_MAX: Duration = Duration::from_secs(20);

/// What an output's task is asked for besides taking metrics.
#[derive(Debug)]
pub(super) enum OutputRequest {
    /// Send all that is there.
    Flush,
    /// Write to this from now on.
    Replace(Box<Equipment>),
    /// Without a last flush, hand over what is nowhere but in memory once the channel of metrics is closed.
    HandOver(oneshot::Sender<Vec<Arc<Metric>>>),
}

/// An output and how it is to be used.
#[derive(Debug)]
pub(super) struct Equipment {
    options: OutputOptions,
    output: Box<dyn Output>,
    pace: Pace,
}

/// How much an output is given, and when: its own options, or the agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    limits: Limits,
    flush_interval: i64,
    flush_jitter: i64,
}

impl Pace {
    pub(super) fn new(options: &OutputOptions, setting: &Setting<'_>) -> Self {
        let agent = setting.agent;
        Self {
            limits: limits(agent, options),
            flush_interval: options.flush_interval.unwrap_or(agent.flush_interval),
            flush_jitter: options.flush_jitter.unwrap_or(agent.flush_jitter),
        }
    }

    fn next_flush(&self) -> Instant {
        Instant::now() + nanos(self.flush_interval.saturating_add(jitter(self.flush_jitter)))
    }
}

impl Equipment {
    pub(super) fn new(configured: ConfiguredOutput, setting: &Setting<'_>) -> Self {
        let ConfiguredOutput { options, output, .. } = configured;
        Self { pace: Pace::new(&options, setting), options, output }
    }
}

/// An output's task.
#[derive(Debug)]
pub(super) struct OutputTask {
    id: PluginId,
    options: OutputOptions,
    pace: Pace,
    delivery: Delivery,
    disk: Option<DiskWorker>,
    /// Where metrics go that are refused for good.
    rejected: Option<RejectedFile>,
    work: Work,
    /// A batch that waits for the output to be free.
    write: Option<Batch>,
    /// Another output that waits for this one to be free.
    successor: Option<Box<dyn Output>>,
    heir: Option<oneshot::Sender<Vec<Arc<Metric>>>>,
    wake_at: Option<Instant>,
    flush_at: Instant,
    /// When the end comes, whatever is under way; known once the channel of metrics is closed.
    give_up_at: Option<Instant>,
    /// Whether a timer flushes; a run that ends after one round flushes at its end only.
    is_periodic: bool,
    start: Instant,
    counters: Arc<Counters>,
    /// As far as they are in the counters.
    counted: Totals,
    failed_starts: mpsc::Sender<StartFailed>,
}

/// Whether the task goes on.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Continue,
    End,
}

impl OutputTask {
    pub(super) fn new(
        id: PluginId,
        equipment: Equipment,
        buffer: Buffer,
        counters: Arc<Counters>,
        failed_starts: mpsc::Sender<StartFailed>,
        is_periodic: bool,
    ) -> Self {
        let Equipment { options, output, pace } = equipment;
        let Buffer { delivery, disk } = buffer;
        counters.set(Stat::BufferLimit, pace.limits.buffer_limit as u64);
        Self {
            id,
            rejected: rejected_file(&options),
            options,
            delivery,
            disk,
            // The first thing an output does is to connect; metrics are taken in meanwhile.
            work: Work::connect(output),
            write: None,
            successor: None,
            heir: None,
            wake_at: None,
            flush_at: pace.next_flush(),
            give_up_at: None,
            pace,
            is_periodic,
            start: Instant::now(),
            counters,
            counted: Totals::default(),
            failed_starts,
        }
    }

    /// Runs until the channel of metrics is closed and the last flush is over. `inherited` goes first.
    pub(super) async fn run(
        mut self,
        inherited: Vec<Arc<Metric>>,
        mut metrics: mpsc::Receiver<Gathered>,
        mut requests: mpsc::Receiver<OutputRequest>,
    ) -> Totals {
        self.step(Event::Collected(inherited));
        loop {
            let is_open = self.give_up_at.is_none();
            let next = tokio::select! {
                received = metrics.recv(), if is_open => match received {
                    Some(gathered) => self.take(&gathered),
                    None => {
                        // What was asked for before the end comes before it.
                        while let Ok(request) = requests.try_recv() {
                            self.requested(request);
                        }
                        self.give_up_at = Some(Instant::now() + LAST_FLUSH_MAX);
                        self.closed()
                    }
                },
                Some(request) = requests.recv(), if is_open => self.requested(request),
                () = sleep_until(self.flush_at), if self.is_periodic && is_open => {
                    self.flush_at = self.pace.next_flush();
                    self.step(Event::FlushTimer)
                }
                () = at(self.wake_at), if is_open => {
                    self.wake_at = None;
                    self.step(Event::Wake)
                }
                () = at(self.give_up_at) => {
                    warn!("{}: the last write took longer than {} s and is given up", self.id, LAST_FLUSH_MAX.as_secs());
                    if self.heir.is_none() {
                        self.ended(self.delivery.unsent().count());
                    }
                    Next::End
                }
                answer = disk_answer(&mut self.disk) => self.step(Event::Disk(answer)),
                done = self.work.done() => self.done(done),
            };
            if next == Next::End {
                return self.close().await;
            }
        }
    }

    /// Nothing more comes: a last flush, or what a successor waits for.
    fn closed(&mut self) -> Next {
        if self.heir.is_none() {
            self.step(Event::Shutdown)
        } else if matches!(self.work, Work::Writing(_)) {
            // What becomes of it decides whether the successor has to write it again.
            Next::Continue
        } else {
            Next::End
        }
    }

    async fn close(self) -> Totals {
        self.counters.set(Stat::BufferSize, 0);
        if let Some(heir) = self.heir {
            let unsent = self.delivery.unsent().map(Arc::clone).collect();
            // A successor that waited too long has started without.
            if let Err(unsent) = heir.send(unsent) {
                unsent.iter().for_each(|metric| metric.lose());
                error!("{}: {} metrics could not be handed over and are lost", self.id, unsent.len());
            }
        }
        if let Some(disk) = self.disk {
            disk.close().await;
        }
        self.delivery.totals()
    }

    fn take(&mut self, gathered: &Gathered) -> Next {
        let taken: Vec<_> = gathered.iter().filter_map(|metric| for_output(&self.options, metric)).collect();
        self.delivery.count_filtered((gathered.len() - taken.len()) as u64);
        self.step(Event::Collected(taken))
    }

    fn requested(&mut self, request: OutputRequest) -> Next {
        match request {
            OutputRequest::Flush => self.step(Event::FlushNow),
            OutputRequest::Replace(equipment) => {
                let Equipment { options, output, pace } = *equipment;
                self.rejected = rejected_file(&options);
                self.options = options;
                self.pace = pace;
                self.counters.set(Stat::BufferLimit, pace.limits.buffer_limit as u64);
                self.flush_at = pace.next_flush();
                self.successor = Some(output);
                self.succeed_if_idle()
            }
            OutputRequest::HandOver(heir) => {
                self.heir = Some(heir);
                Next::Continue
            }
        }
    }

    /// Puts the successor in its place, once no write is under way whose outcome is still to be told.
    fn succeed_if_idle(&mut self) -> Next {
        if !matches!(self.work, Work::Idle(_) | Work::Connecting(_)) {
            return Next::Continue;
        }
        let Some(successor) = self.successor.take() else { return Next::Continue };
        let placeholder = Delivery::new(self.pace.limits);
        self.delivery = std::mem::replace(&mut self.delivery, placeholder).succeed(self.pace.limits);
        // A write that was only planned is back in the queue.
        self.write = None;
        self.wake_at = None;
        self.work = Work::connect(successor);
        // What its predecessor could not send goes at once.
        self.step(Event::FlushNow)
    }

    fn done(&mut self, done: Done) -> Next {
        match done {
            Done::Connected(output, result) => {
                self.work = Work::Idle(output);
                if let Err(reason) = result
                    && !self.may_fail_to_connect(reason)
                {
                    self.ended(self.delivery.unsent().count());
                    return Next::End;
                }
                self.begin();
                Next::Continue
            }
            Done::Written(output, outcome, took) => {
                self.work = Work::Idle(output);
                self.counters.took(took);
                let next = self.account(Event::Written { outcome, random: rand::random() });
                if next == Next::End || (self.heir.is_some() && self.give_up_at.is_some()) {
                    return Next::End;
                }
                if self.successor.is_some() {
                    return self.succeed_if_idle();
                }
                self.begin();
                Next::Continue
            }
        }
    }

    /// What a failure to connect means: writes without it, or the end.
    fn may_fail_to_connect(&self, reason: String) -> bool {
        self.counters.add(Stat::StartupErrors, 1);
        self.counters.add(Stat::Errors, 1);
        let failed = StartFailed { plugin: self.id.to_string(), reason };
        match self.options.startup_errors {
            StartupErrors::Retry => {
                warn!("{}: {}; writes will be tried all the same", failed.plugin, failed.reason);
                true
            }
            StartupErrors::Error => {
                if self.failed_starts.try_send(failed).is_err() {
                    info!("{}: a failed start ends the agent already", self.id);
                }
                false
            }
            StartupErrors::Ignore | StartupErrors::Probe => {
                warn!("{failed}; it is left out until the next reload, as `startup_error_behavior` asks");
                false
            }
        }
    }

    fn step(&mut self, event: Event) -> Next {
        let next = self.account(event);
        self.begin();
        next
    }

    /// Takes an event in; what is to be written waits.
    fn account(&mut self, event: Event) -> Next {
        let mut commands = Vec::new();
        self.delivery.step(self.start.elapsed(), event, &mut commands);
        let mut next = Next::Continue;
        for command in commands {
            match command {
                Command::Write(batch) => self.write = Some(batch),
                Command::WakeAt(at) => self.wake_at = Some(self.start + at),
                Command::Tell(notice) => self.tell(&notice),
                Command::Disk(request) => {
                    if let Some(disk) = &self.disk {
                        disk.request(request);
                    }
                }
                Command::Keep { rejected: metrics, reason } => {
                    if let Some(file) = &mut self.rejected
                        && let Err(why) = file.keep(&self.id.to_string(), &metrics, &reason, wall_clock_ns())
                    {
                        error!("{}: rejected metrics cannot be kept: {why}", self.id);
                    }
                }
                Command::Finished { unsent, kept } => {
                    if kept > 0 {
                        info!("{}: {kept} metrics stay on disk until the next start", self.id);
                    }
                    self.ended(unsent);
                    next = Next::End;
                }
            }
        }
        self.count();
        next
    }

    /// What is not sent by now is lost; its sources may offer it again.
    fn ended(&self, unsent: usize) {
        if unsent > 0 {
            error!("{}: {unsent} metrics could not be sent and are lost", self.id);
        }
        self.delivery.unsent().for_each(|metric| metric.lose());
    }

    /// Starts the write that is planned, if the output is free.
    fn begin(&mut self) {
        if !matches!(self.work, Work::Idle(_)) {
            return;
        }
        let Some(batch) = self.write.take() else { return };
        if let Work::Idle(output) = std::mem::replace(&mut self.work, Work::Moved) {
            self.work = Work::write(output, batch);
        }
    }

    fn count(&mut self) {
        let totals = self.delivery.totals();
        let counted = std::mem::replace(&mut self.counted, totals);
        let counters = &self.counters;
        counters.add(Stat::MetricsFiltered, totals.filtered - counted.filtered);
        counters.add(Stat::MetricsAdded, totals.collected - counted.collected);
        counters.add(Stat::MetricsWritten, totals.stored - counted.stored);
        counters.add(Stat::MetricsRejected, totals.rejected - counted.rejected);
        counters.add(Stat::MetricsDropped, totals.dropped - counted.dropped);
        counters.add(Stat::WriteErrors, totals.failed_writes - counted.failed_writes);
        counters.add(Stat::Errors, totals.failed_writes - counted.failed_writes);
        counters.set(Stat::BufferSize, self.delivery.pending() as u64);
    }

    fn tell(&self, notice: &Notice) {
        let id = &self.id;
        match notice {
            Notice::Dropped(metrics) => {
                warn!("{id}: the buffer was full; the oldest {metrics} metrics were dropped");
            }
            Notice::Failed { reason, in_a_row: 1, retry_in } => {
                error!("{id}: write failed, next try in {} s: {reason}", seconds(*retry_in));
            }
            Notice::Failed { reason, in_a_row, retry_in } => {
                debug!("{id}: write failed {in_a_row} times, next try in {} s: {reason}", seconds(*retry_in));
            }
            Notice::Recovered { failures } => info!("{id}: works again after {failures} failed writes"),
            Notice::Rejected { metrics, reason } => {
                error!("{id}: {metrics} metrics refused for good: {reason}");
            }
            Notice::Smaller { batch_size, reason } => {
                warn!("{id}: batches are too large, {batch_size} metrics from now on: {reason}");
            }
            Notice::Disk(words) => warn!("{id}: {words}"),
            Notice::DiskFailed { reason } => {
                error!("{id}: the buffer on disk takes no more, metrics are kept in memory only: {reason}");
            }
            Notice::DiskRecovered => info!("{id}: the buffer on disk works again"),
            Notice::Lost(metrics) => {
                error!("{id}: {metrics} metrics were lost to damage of the buffer on disk");
            }
            Notice::Slow => {
                warn!(
                    "{id}: a write takes longer than the flush interval of {}",
                    display_duration(self.pace.flush_interval)
                );
            }
        }
    }
}

type Owned = Box<dyn Output>;
type OwnedFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// The output, or what it is busy with.
enum Work {
    Idle(Owned),
    Connecting(OwnedFuture<(Owned, Result<(), String>)>),
    Writing(OwnedFuture<(Owned, WriteOutcome, Duration)>),
    /// Only while one of the above replaces another.
    Moved,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Idle(_) => "Idle",
            Self::Connecting(_) => "Connecting",
            Self::Writing(_) => "Writing",
            Self::Moved => "Moved",
        })
    }
}

enum Done {
    Connected(Owned, Result<(), String>),
    Written(Owned, WriteOutcome, Duration),
}

impl Work {
    fn connect(mut output: Owned) -> Self {
        Self::Connecting(Box::pin(async move {
            let result = output.connect().await;
            (output, result)
        }))
    }

    fn write(mut output: Owned, batch: Batch) -> Self {
        let began = Instant::now();
        Self::Writing(Box::pin(async move {
            let outcome = output.write(batch).await;
            (output, outcome, began.elapsed())
        }))
    }

    /// Never ready while there is nothing to wait for. Safe to drop half-way: the work goes on with
    /// the next call.
    async fn done(&mut self) -> Done {
        match self {
            Self::Idle(_) | Self::Moved => pending().await,
            Self::Connecting(future) => {
                let (output, result) = future.await;
                Done::Connected(output, result)
            }
            Self::Writing(future) => {
                let (output, outcome, took) = future.await;
                Done::Written(output, outcome, took)
            }
        }
    }
}

fn rejected_file(options: &OutputOptions) -> Option<RejectedFile> {
    options.rejected_file.clone().map(|path| RejectedFile::new(path, options.rejected_file_limit))
}

async fn disk_answer(disk: &mut Option<DiskWorker>) -> DiskAnswer {
    match disk {
        Some(disk) => disk.answer().await,
        None => pending().await,
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

fn seconds(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(1000) as u64
}
