//! One service input's task: runs it, runs it again after a failure, and hands on what it reports.
//!
//! Two tasks work together. One runs the service; the other finishes its metrics and hands them on, which may have to
//! wait for the outputs, and so keeps the service waiting. When the service is told to stop it has [`STOP_MAX`] to
//! end; all it reported by then is handed on.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::health::Complaints;
use super::input_task::{InputReport, Times, told_to_stop};
use super::route::Entrance;
use super::{Setting, StartFailed, wall_clock_ns};
use crate::config::{InputOptions, PluginId, StartupErrors};
use crate::guard;
use crate::input::GatherError;
use crate::metric::Metric;
use crate::schedule::round_time;
use crate::service::{Feed, Report, Service};
use crate::shape::InputShape;
use crate::statistics::{Counters, Stat};

/// Reports that wait to be handed on, at most; then the service waits.
const REPORTS_QUEUED_MAX: usize = 16;
/// First wait before a service that failed is run again, doubled each time.
const RESTART_MIN: Duration = Duration::from_secs(1);
/// Longest such wait.
const RESTART_MAX: Duration = Duration::from_secs(60);
/// A service that ran this long before it failed begins anew with the shortest wait.
const SETTLED_AFTER: Duration = Duration::from_secs(60);
/// A service that fails within this time of its first run has failed to start.
const STARTED_AFTER: Duration = Duration::from_secs(15);
/// How long a service may take to end.
pub(super) const STOP_MAX: Duration = Duration::from_secs(5);
/// What a service is given to report at its last tick, when there is only one round.
const LAST_TICK_MAX: Duration = Duration::from_millis(200);

/// A service and everything to run it.
#[derive(Debug)]
pub(super) struct ServiceTask {
    id: PluginId,
    service: Box<dyn Service>,
    startup_errors: StartupErrors,
    times: Times,
    hand: Hand,
    /// Where a start that must not fail reports its failure.
    failed_starts: mpsc::Sender<StartFailed>,
}

/// Finishes what a service reports and hands it on.
#[derive(Debug)]
struct Hand {
    shape: InputShape,
    /// The unit of the times of collections.
    collected_unit: i64,
    entrance: Entrance,
    complaints: Complaints,
    counters: Arc<Counters>,
    report: InputReport,
}

impl ServiceTask {
    pub(super) fn new(
        id: PluginId,
        options: InputOptions,
        service: Box<dyn Service>,
        counters: Arc<Counters>,
        setting: &Setting<'_>,
        entrance: Entrance,
    ) -> Self {
        let times = Times::new(&options, setting);
        // A service's own times are kept to the nanosecond unless its table has a `precision`, unlike those of collections.
        let collected_unit = times.precision(&options, setting);
        let unit = options.precision.unwrap_or(1);
        Self {
            startup_errors: options.startup_errors,
            hand: Hand {
                shape: InputShape::new(options, Arc::clone(setting.global_tags), setting.agent, unit),
                collected_unit,
                entrance,
                complaints: Complaints::new(id.to_string()),
                counters,
                report: InputReport::default(),
            },
            id,
            service,
            times,
            failed_starts: setting.failed_starts.clone(),
        }
    }

    /// Runs until told to stop.
    pub(super) async fn run(self, mut stopped: watch::Receiver<bool>) -> InputReport {
        let Self { id, service, startup_errors, times, mut hand, failed_starts } = self;
        let (reports, mut inbox) = mpsc::channel(REPORTS_QUEUED_MAX);
        let (tick, ticks) = watch::channel(0);
        let keeper = Keeper {
            id: id.clone(),
            service,
            startup_errors,
            counters: Arc::clone(&hand.counters),
            failed_starts,
        };
        let feed = Feed::new(reports, ticks, stopped.clone());
        let running = tokio::spawn(keeper.run(feed, stopped.clone()));
        let over = async {
            told_to_stop(&mut stopped).await;
            sleep(STOP_MAX).await;
        };
        tokio::pin!(over);
        let mut is_abandoned = false;
        let mut schedule = times.schedule();
        let mut at = Instant::now() + times.wait(&mut schedule).0;
        loop {
            tokio::select! {
                reported = inbox.recv() => match reported {
                    Some(reported) => hand.take(reported).await,
                    // The service has ended, and everything it reported is handed on.
                    None => return hand.report,
                },
                () = sleep_until(at) => {
                    tick.send_replace(wall_clock_ns());
                    at = Instant::now() + times.wait(&mut schedule).0;
                }
                () = &mut over, if !is_abandoned => {
                    warn!("{id}: did not end within {} s and is abandoned", STOP_MAX.as_secs());
                    running.abort();
                    // What waits is still handed on.
                    inbox.close();
                    is_abandoned = true;
                }
            }
        }
    }

    /// Runs for this long, with a tick at the beginning and at the end, for a run that ends after it.
    pub(super) async fn run_for(mut self, wait: Duration) -> InputReport {
        let (stop, stopped) = watch::channel(false);
        self.times = self.times.at_once_and_after(wait);
        let running = self.run(stopped);
        tokio::pin!(running);
        tokio::select! {
            report = &mut running => return report,
            () = sleep(wait + LAST_TICK_MAX) => {}
        }
        stop.send(true).ok();
        running.await
    }
}

impl Hand {
    async fn take(&mut self, reported: Report) {
        match reported {
            Report::Metrics(metrics) => self.metrics(metrics).await,
            Report::Collected(mut metrics) => {
                for metric in &mut metrics {
                    metric.time_ns = round_time(metric.time_ns, self.collected_unit);
                }
                self.metrics(metrics).await;
            }
            Report::Error(error) => {
                self.report.failed_gathers += 1;
                self.counters.add(Stat::GatherErrors, 1);
                self.counters.add(Stat::Errors, 1);
                self.complaints.note(&error, Instant::now());
            }
        }
    }

    async fn metrics(&mut self, metrics: Vec<Metric>) {
        // A service has no collections: each of its reports counts as one.
        let now_ns = wall_clock_ns();
        let shape = |metric| self.shape.apply_collected(metric, now_ns, now_ns);
        let shaped: Vec<_> = metrics.into_iter().filter_map(shape).collect();
        self.report.gathered += shaped.len() as u64;
        self.counters.add(Stat::MetricsGathered, shaped.len() as u64);
        self.entrance.send(shaped).await;
    }
}

/// Runs a service again and again.
struct Keeper {
    id: PluginId,
    service: Box<dyn Service>,
    startup_errors: StartupErrors,
    counters: Arc<Counters>,
    failed_starts: mpsc::Sender<StartFailed>,
}

impl Keeper {
    async fn run(mut self, mut feed: Feed, mut stopped: watch::Receiver<bool>) {
        let mut wait = RESTART_MIN;
        let mut has_worked = false;
        loop {
            let began = Instant::now();
            let result = AssertUnwindSafe(self.service.run(&mut feed)).catch_unwind().await;
            if *stopped.borrow() {
                return;
            }
            if began.elapsed() >= SETTLED_AFTER {
                wait = RESTART_MIN;
            }
            has_worked |= began.elapsed() >= STARTED_AFTER;
            let error = match result {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error),
                Err(panic) => Some(GatherError::Panicked(guard::text(panic.as_ref()))),
            };
            if let Some(error) = error {
                if !has_worked && !self.may_fail_to_start(&error) {
                    return;
                }
                feed.report(error).await;
            }
            tokio::select! {
                () = sleep(wait) => wait = (wait * 2).min(RESTART_MAX),
                () = told_to_stop(&mut stopped) => return,
            }
        }
    }

    /// What a failure before the service has worked means: another try, or its end.
    fn may_fail_to_start(&self, error: &GatherError) -> bool {
        self.counters.add(Stat::StartupErrors, 1);
        let failed = StartFailed { plugin: self.id.to_string(), reason: error.to_string() };
        match self.startup_errors {
            StartupErrors::Retry => true,
            StartupErrors::Error => {
                // Only the first such failure counts; with a full channel there is one already.
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
}

#[cfg(test)]
mod tests;
