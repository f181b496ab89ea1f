//! One output's task: carries out what its [`Delivery`] commands.

use std::future::{Future, pending};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, info, warn};

use super::buffers::Buffer;
use super::{Gathered, jitter, nanos, wall_clock_ns};
use crate::config::{AgentSettings, OutputOptions, PluginId, display_duration};
use crate::delivery::disk::{DiskAnswer, DiskWorker};
use crate::delivery::{Command, Event, Notice, RejectedFile, Totals};
use crate::output::{Batch, Output, WriteOutcome};
use crate::shape::for_output;

/// An output and everything to run it.
#[derive(Debug)]
pub(super) struct OutputTask {
    id: PluginId,
    options: OutputOptions,
    output: Box<dyn Output>,
    buffer: Buffer,
    /// Where metrics go that are refused for good.
    rejected: Option<RejectedFile>,
    flush_interval: i64,
    flush_jitter: i64,
    /// Whether a timer flushes; a run that ends after one round flushes at its end only.
    periodic: bool,
}

/// What the task has to do next.
#[derive(Default)]
struct Agenda {
    write: Option<Batch>,
    wake_at: Option<Instant>,
    finished: bool,
}

impl OutputTask {
    pub(super) fn new(
        id: PluginId,
        options: OutputOptions,
        output: Box<dyn Output>,
        agent: &AgentSettings,
        buffer: Buffer,
        periodic: bool,
    ) -> Self {
        Self {
            flush_interval: options.flush_interval.unwrap_or(agent.flush_interval),
            flush_jitter: options.flush_jitter.unwrap_or(agent.flush_jitter),
            buffer,
            rejected: options
                .rejected_file
                .clone()
                .map(|path| RejectedFile::new(path, options.rejected_file_limit)),
            id,
            options,
            output,
            periodic,
        }
    }

    /// Runs until the channel is closed and the last flush is over.
    pub(super) async fn run(self, mut metrics: mpsc::Receiver<Gathered>) -> Totals {
        let Self { id, options, mut output, buffer, mut rejected, flush_interval, flush_jitter, periodic } =
            self;
        let Buffer { mut delivery, mut disk } = buffer;
        let start = Instant::now();
        let next_flush = || Instant::now() + nanos(flush_interval.saturating_add(jitter(flush_jitter)));
        let mut agenda = Agenda::default();
        let mut flush_at = next_flush();
        // The first thing an output does is to connect; metrics are taken in meanwhile.
        let mut work = Work::Connecting(Box::pin(async move {
            let result = output.connect().await;
            (output, result)
        }));
        let mut open = true;
        loop {
            let event = tokio::select! {
                received = metrics.recv(), if open => match received {
                    Some(gathered) => {
                        let metrics: Vec<_> =
                            gathered.iter().filter_map(|m| for_output(&options, m)).collect();
                        delivery.count_filtered((gathered.len() - metrics.len()) as u64);
                        Event::Collected(metrics)
                    }
                    None => {
                        open = false;
                        Event::Shutdown
                    }
                },
                () = sleep_until(flush_at), if periodic && open => {
                    flush_at = next_flush();
                    Event::FlushTimer
                }
                () = wake(agenda.wake_at), if open => {
                    agenda.wake_at = None;
                    Event::Wake
                }
                answer = disk_answer(&mut disk) => Event::Disk(answer),
                done = work.done() => match done {
                    Done::Connected(output, result) => {
                        if let Err(reason) = result {
                            warn!("{id}: {reason}; writes will be tried all the same");
                        }
                        work = Work::Idle(output);
                        begin(&mut work, &mut agenda);
                        continue;
                    }
                    Done::Written(output, outcome) => {
                        work = Work::Idle(output);
                        Event::Written { outcome, random: rand::random() }
                    }
                },
            };
            let mut commands = Vec::new();
            delivery.step(start.elapsed(), event, &mut commands);
            for command in commands {
                match command {
                    Command::Write(batch) => agenda.write = Some(batch),
                    Command::Disk(request) => {
                        if let Some(disk) = &disk {
                            disk.request(request);
                        }
                    }
                    Command::Keep { rejected: metrics, reason } => {
                        if let Some(file) = &mut rejected
                            && let Err(why) = file.keep(&id.to_string(), &metrics, &reason, wall_clock_ns())
                        {
                            error!("{id}: rejected metrics cannot be kept: {why}");
                        }
                    }
                    Command::WakeAt(at) => agenda.wake_at = Some(start + at),
                    Command::Tell(notice) => tell(&id, &notice, flush_interval),
                    Command::Finished { unsent, kept } => {
                        agenda.finished = true;
                        if kept > 0 {
                            info!("{id}: {kept} metrics stay on disk until the next start");
                        }
                        if unsent > 0 {
                            error!("{id}: {unsent} metrics could not be sent and are lost");
                        }
                    }
                }
            }
            begin(&mut work, &mut agenda);
            if agenda.finished {
                if let Some(disk) = disk {
                    disk.close().await;
                }
                return delivery.totals();
            }
        }
    }
}

type Owned = Box<dyn Output>;
type OwnedFuture<T> = std::pin::Pin<Box<dyn Future<Output = (Owned, T)> + Send>>;

/// The output, or what it is busy with.
enum Work {
    Idle(Owned),
    Connecting(OwnedFuture<Result<(), String>>),
    Writing(OwnedFuture<WriteOutcome>),
    /// Only while one of the above replaces another.
    Moved,
}

enum Done {
    Connected(Owned, Result<(), String>),
    Written(Owned, WriteOutcome),
}

impl Work {
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
                let (output, outcome) = future.await;
                Done::Written(output, outcome)
            }
        }
    }
}

/// Starts the write that is on the agenda, if the output is free.
fn begin(work: &mut Work, agenda: &mut Agenda) {
    let Some(batch) = agenda.write.take() else { return };
    match std::mem::replace(work, Work::Moved) {
        Work::Idle(mut output) => {
            *work = Work::Writing(Box::pin(async move {
                let outcome = output.write(batch).await;
                (output, outcome)
            }));
        }
        busy => {
            agenda.write = Some(batch);
            *work = busy;
        }
    }
}

async fn disk_answer(disk: &mut Option<DiskWorker>) -> DiskAnswer {
    match disk {
        Some(disk) => disk.answer().await,
        None => pending().await,
    }
}

async fn wake(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

fn tell(id: &PluginId, notice: &Notice, flush_interval: i64) {
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
        Notice::Rejected { metrics, reason } => error!("{id}: {metrics} metrics refused for good: {reason}"),
        Notice::Smaller { batch_size, reason } => {
            warn!("{id}: batches are too large, {batch_size} metrics from now on: {reason}");
        }
        Notice::Disk(words) => warn!("{id}: {words}"),
        Notice::DiskFailed { reason } => {
            error!("{id}: the buffer on disk takes no more, metrics are kept in memory only: {reason}");
        }
        Notice::DiskRecovered => info!("{id}: the buffer on disk works again"),
        Notice::Lost(metrics) => error!("{id}: {metrics} metrics were lost to damage of the buffer on disk"),
        Notice::Slow => {
            warn!(
                "{id}: a write takes longer than the flush interval of {}",
                display_duration(flush_interval)
            );
        }
    }
}

fn seconds(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(1000) as u64
}
