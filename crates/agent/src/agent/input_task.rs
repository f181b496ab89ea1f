//! One input's task: waits for its times, has its thread gather, finishes the metrics and hands
//! them to every output.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use super::input_thread::InputThread;
use super::route::Entrance;
use super::{AgentError, input_shape, jitter, nanos, wall_clock_ns};
use crate::config::{AgentSettings, InputOptions, PluginId, display_duration};
use crate::input::{GatherError, Input};
use crate::metric::Metric;
use crate::schedule::Schedule;
use crate::shape::InputShape;

/// How long a gather under way at the end is waited for.
const LAST_GATHER_MAX: Duration = Duration::from_secs(2);
/// Between the two gathers of an input whose readings are differences, when there is only one round.
pub(super) const DELTA_PAUSE: Duration = Duration::from_millis(500);
/// How long a gather may take when there is only one round.
pub(super) const SINGLE_GATHER_MAX: Duration = Duration::from_secs(30);

/// An input and everything to run it.
#[derive(Debug)]
pub(super) struct InputTask {
    id: PluginId,
    thread: InputThread,
    is_delta: bool,
    shape: InputShape,
    entrance: Entrance,
    interval: i64,
    offset: i64,
    jitter: i64,
    aligned: bool,
    health: Health,
    report: InputReport,
}

/// What an input did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct InputReport {
    pub(super) failed_gathers: u64,
    pub(super) gathered: u64,
}

impl InputTask {
    pub(super) fn new(
        id: PluginId,
        options: InputOptions,
        input: Box<dyn Input>,
        agent: &AgentSettings,
        global_tags: Arc<BTreeMap<String, String>>,
        entrance: Entrance,
    ) -> Result<Self, AgentError> {
        let interval = options.interval.unwrap_or(agent.interval);
        let offset = options.collection_offset.unwrap_or(agent.collection_offset);
        let jitter = options.collection_jitter.unwrap_or(agent.collection_jitter);
        let shape = input_shape(options, agent, global_tags);
        let is_delta = input.is_delta();
        let thread = InputThread::start(&thread_name(&id), input)
            .map_err(|source| AgentError::Thread { plugin: id.to_string(), source })?;
        Ok(Self {
            health: Health::new(id.to_string()),
            id,
            thread,
            is_delta,
            shape,
            entrance,
            interval,
            offset,
            jitter,
            aligned: agent.round_interval,
            report: InputReport::default(),
        })
    }

    /// Gathers at its times until told to stop.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) -> InputReport {
        let mut schedule = Schedule::new(self.interval, self.offset, self.aligned, wall_clock_ns());
        loop {
            let tick = schedule.next(wall_clock_ns());
            if tick.skipped > 0 {
                debug!("{}: {} collections skipped", self.id, tick.skipped);
            }
            let wait = nanos(tick.wait.saturating_add(jitter(self.jitter)));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
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
            tokio::time::timeout(SINGLE_GATHER_MAX, self.thread.gather(wall_clock_ns())).await.ok();
            tokio::time::sleep(DELTA_PAUSE).await;
        }
        let gather = self.thread.gather(wall_clock_ns());
        match tokio::time::timeout(SINGLE_GATHER_MAX, gather).await {
            Ok(Ok((metrics, errors))) => self.deliver(metrics, &errors).await,
            _ => {
                self.report.failed_gathers += 1;
                error!("{}: no answer within {} s", self.id, SINGLE_GATHER_MAX.as_secs());
            }
        }
        self.report
    }

    /// A gather, however long it takes: the ticks in between are left out, and a warning says so.
    async fn gather_unless_stopped(
        &mut self,
        stopped: &mut watch::Receiver<bool>,
    ) -> std::ops::ControlFlow<()> {
        use std::ops::ControlFlow::{Break, Continue};
        let mut gather = self.thread.gather(wall_clock_ns());
        let mut stopping = false;
        loop {
            let patience = if stopping { LAST_GATHER_MAX } else { nanos(self.interval) };
            tokio::select! {
                gathered = &mut gather => {
                    let Ok((metrics, errors)) = gathered else { return Break(()) };
                    self.health.answered();
                    self.deliver(metrics, &errors).await;
                    return if stopping { Break(()) } else { Continue(()) };
                }
                () = tokio::time::sleep(patience) => {
                    if stopping {
                        warn!("{}: a collection is still under way and is abandoned", self.id);
                        return Break(());
                    }
                    self.health.late(self.interval);
                }
                () = told_to_stop(stopped), if !stopping => stopping = true,
            }
        }
    }

    async fn deliver(&mut self, metrics: Vec<Metric>, errors: &[GatherError]) {
        self.report.failed_gathers += u64::from(!errors.is_empty());
        self.health.gathered(errors);
        let shaped: Vec<_> = metrics.into_iter().filter_map(|metric| self.shape.apply(metric)).collect();
        self.report.gathered += shaped.len() as u64;
        self.entrance.send(shaped).await;
    }
}

/// Also when the agent itself is gone.
pub(super) async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    stopped.wait_for(|stop| *stop).await.ok();
}

/// The kernel shows 15 bytes of a thread's name.
pub(super) fn thread_name(id: &PluginId) -> String {
    format!("in-{}", id.name)
}

/// Logs changes, not states: a service that is down is told of once, not every ten seconds.
#[derive(Debug)]
pub(super) struct Health {
    plugin: String,
    /// The errors told of, while they last.
    failing: Option<String>,
    failures: u64,
    late: bool,
}

impl Health {
    pub(super) fn new(plugin: String) -> Self {
        Self { plugin, failing: None, failures: 0, late: false }
    }

    /// A gather ended with these errors.
    pub(super) fn gathered(&mut self, errors: &[GatherError]) {
        if errors.is_empty() {
            if self.failing.take().is_some() {
                info!("{}: works again after {} failed collections", self.plugin, self.failures);
            }
            self.failures = 0;
            return;
        }
        self.failures += 1;
        let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        if self.failing.as_ref() == Some(&text) {
            debug!("{}: {text} (still)", self.plugin);
        } else {
            error!("{}: {text}", self.plugin);
            self.failing = Some(text);
        }
    }

    /// A gather is not done although the next is due.
    fn late(&mut self, interval: i64) {
        if !self.late {
            warn!(
                "{}: a collection takes longer than the interval of {}",
                self.plugin,
                display_duration(interval)
            );
        }
        self.late = true;
    }

    fn answered(&mut self) {
        if self.late {
            info!("{}: the late collection is done", self.plugin);
        }
        self.late = false;
    }
}
