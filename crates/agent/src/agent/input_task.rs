//! One polled input's task: waits for its times, has its thread gather, finishes the metrics and hands them on.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, error, warn};

use super::health::Health;
use super::input_thread::InputThread;
use super::route::Entrance;
use super::{Setting, StartFailed, jitter, nanos, wall_clock_ns};
use crate::config::{InputOptions, PluginId, StartupErrors};
use crate::input::{GatherError, Input};
use crate::metric::Metric;
use crate::schedule::{Schedule, precision};
use crate::shape::InputShape;
use crate::statistics::{Counters, Stat};

/// How long a gather under way at the end is waited for.
const LAST_GATHER_MAX: Duration = Duration::from_secs(2);
/// Between the two gathers of an input whose readings are differences, when there is only one round.
const DELTA_PAUSE: Duration = Duration::from_millis(500);
/// How long a gather may take when there is only one round.
const SINGLE_GATHER_MAX: Duration = Duration::from_secs(30);

/// An input and everything to run it.
#[derive(Debug)]
pub(super) struct InputTask {
    id: PluginId,
    thread: InputThread,
    is_delta: bool,
    shape: InputShape,
    entrance: Entrance,
    times: Times,
    /// Whether an input whose first gather brings nothing but an error is given up.
    is_probed: bool,
    health: Health,
    counters: Arc<Counters>,
    report: InputReport,
}

/// What an input did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct InputReport {
    pub(super) failed_gathers: u64,
    pub(super) gathered: u64,
}

/// When an input is to be gathered: its own options, or the agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    interval: i64,
    offset: i64,
    jitter: i64,
    is_aligned: bool,
}

impl Times {
    pub(super) fn new(options: &InputOptions, setting: &Setting<'_>) -> Self {
        let agent = setting.agent;
        Self {
            interval: options.interval.unwrap_or(agent.interval),
            offset: options.collection_offset.unwrap_or(agent.collection_offset),
            jitter: options.collection_jitter.unwrap_or(agent.collection_jitter),
            is_aligned: agent.round_interval,
        }
    }

    /// The unit of what is gathered at these times.
    pub(super) fn precision(&self, options: &InputOptions, setting: &Setting<'_>) -> i64 {
        precision(options.precision.unwrap_or(setting.agent.precision), self.interval)
    }

    /// Their beginning, now.
    pub(super) fn schedule(&self) -> Schedule {
        Schedule::new(self.interval, self.offset, self.is_aligned, wall_clock_ns())
    }

    /// For a run that ends after a while: a tick at once, and one after it.
    pub(super) fn at_once_and_after(&self, wait: Duration) -> Self {
        let interval = i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX).max(1_000_000_000);
        Self { interval, offset: 0, jitter: 0, is_aligned: false }
    }

    /// How long to wait for the schedule's next moment, and how many were missed.
    pub(super) fn wait(&self, schedule: &mut Schedule) -> (Duration, u64) {
        let tick = schedule.next(wall_clock_ns());
        (nanos(tick.wait.saturating_add(jitter(self.jitter))), tick.skipped)
    }
}

impl InputTask {
    /// Starts the input's thread.
    pub(super) fn new(
        id: PluginId,
        options: InputOptions,
        input: Box<dyn Input>,
        counters: Arc<Counters>,
        setting: &Setting<'_>,
        entrance: Entrance,
    ) -> std::io::Result<Self> {
        let times = Times::new(&options, setting);
        let unit = times.precision(&options, setting);
        let is_probed = options.startup_errors == StartupErrors::Probe;
        let is_delta = input.is_delta();
        Ok(Self {
            thread: InputThread::start(&thread_name(&id), input)?,
            health: Health::new(id.to_string()),
            counters,
            shape: InputShape::new(options, Arc::clone(setting.global_tags), setting.agent, unit),
            id,
            is_delta,
            entrance,
            times,
            is_probed,
            report: InputReport::default(),
        })
    }

    /// Gathers at its times until told to stop.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) -> InputReport {
        let mut schedule = self.times.schedule();
        loop {
            let (wait, skipped) = self.times.wait(&mut schedule);
            if skipped > 0 {
                debug!("{}: {skipped} collections skipped", self.id);
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = told_to_stop(&mut stopped) => return self.report,
            }
            if self.gather_unless_stopped(&mut stopped).await.is_break() {
                return self.report;
            }
        }
    }

    /// One gather, two for differences, for a run that ends after it.
    pub(super) async fn run_once(mut self) -> InputReport {
        if self.is_delta {
            timeout(SINGLE_GATHER_MAX, self.thread.gather(wall_clock_ns())).await.ok();
            sleep(DELTA_PAUSE).await;
        }
        let (began, began_ns) = (Instant::now(), wall_clock_ns());
        match timeout(SINGLE_GATHER_MAX, self.thread.gather(began_ns)).await {
            Ok(Ok((metrics, errors))) => {
                self.counters.took(began.elapsed());
                self.deliver(metrics, &errors, began_ns).await;
            }
            _ => {
                self.report.failed_gathers += 1;
                self.counters.add(Stat::GatherTimeouts, 1);
                error!("{}: no answer within {} s", self.id, SINGLE_GATHER_MAX.as_secs());
            }
        }
        self.report
    }

    /// A gather, however long it takes: the ticks in between are left out, and a warning says so.
    async fn gather_unless_stopped(&mut self, stopped: &mut watch::Receiver<bool>) -> ControlFlow<()> {
        use ControlFlow::{Break, Continue};
        let (began, began_ns) = (Instant::now(), wall_clock_ns());
        let mut gather = self.thread.gather(began_ns);
        let mut stopping = false;
        loop {
            let patience = if stopping { LAST_GATHER_MAX } else { nanos(self.times.interval) };
            tokio::select! {
                gathered = &mut gather => {
                    let Ok((metrics, errors)) = gathered else { return Break(()) };
                    self.health.answered();
                    self.counters.took(began.elapsed());
                    if std::mem::take(&mut self.is_probed) && metrics.is_empty() && !errors.is_empty() {
                        self.give_up(&errors);
                        return Break(());
                    }
                    self.deliver(metrics, &errors, began_ns).await;
                    return if stopping { Break(()) } else { Continue(()) };
                }
                () = sleep(patience) => {
                    if stopping {
                        warn!("{}: a collection is still under way and is abandoned", self.id);
                        return Break(());
                    }
                    self.counters.add(Stat::GatherTimeouts, 1);
                    self.health.late(self.times.interval);
                }
                () = told_to_stop(stopped), if !stopping => stopping = true,
            }
        }
    }

    fn give_up(&self, errors: &[GatherError]) {
        self.counters.add(Stat::StartupErrors, 1);
        let reason = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let failed = StartFailed { plugin: self.id.to_string(), reason };
        warn!("{failed}; it is left out until the next reload, as `startup_error_behavior` asks");
    }

    async fn deliver(&mut self, metrics: Vec<Metric>, errors: &[GatherError], began_ns: i64) {
        self.report.failed_gathers += u64::from(!errors.is_empty());
        self.counters.add(Stat::GatherErrors, errors.len() as u64);
        self.counters.add(Stat::Errors, errors.len() as u64);
        self.health.gathered(errors);
        let ended_ns = wall_clock_ns();
        let shape = |metric| self.shape.apply_collected(metric, began_ns, ended_ns);
        let shaped: Vec<_> = metrics.into_iter().filter_map(shape).collect();
        self.report.gathered += shaped.len() as u64;
        self.counters.add(Stat::MetricsGathered, shaped.len() as u64);
        self.entrance.send(shaped).await;
    }
}

/// Also when the agent itself is gone.
pub(super) async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    stopped.wait_for(|stop| *stop).await.ok();
}

/// The kernel shows 15 bytes of a thread's name.
fn thread_name(id: &PluginId) -> String {
    format!("in-{}", id.name)
}
