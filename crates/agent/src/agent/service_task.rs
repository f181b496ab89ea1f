//! One service input's task: runs it, runs it again after a failure, and hands what it reports to every output.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::input_task::{Health, InputReport, told_to_stop};
use super::route::Entrance;
use super::{nanos, wall_clock_ns};
use crate::config::PluginId;
use crate::schedule::Schedule;
use crate::service::{Feed, Report, Service};
use crate::shape::InputShape;

/// Reports that wait to be handed on, at most; then the service waits.
const REPORTS_QUEUED_MAX: usize = 16;
/// First wait before a service that failed is run again, doubled each time.
const RESTART_MIN: Duration = Duration::from_secs(1);
/// Longest such wait.
const RESTART_MAX: Duration = Duration::from_secs(60);
/// A service that ran this long before it failed begins anew with the shortest wait.
const SETTLED_AFTER: Duration = Duration::from_secs(60);
/// How long a service may take to end.
const STOP_MAX: Duration = Duration::from_secs(5);

/// A service and everything to run it.
#[derive(Debug)]
pub(super) struct ServiceTask {
    pub(super) id: PluginId,
    pub(super) service: Box<dyn Service>,
    pub(super) shape: InputShape,
    pub(super) entrance: Entrance,
    /// The times of its [`Feed::tick`].
    pub(super) schedule: Schedule,
}

impl ServiceTask {
    /// Runs until told to stop.
    pub(super) async fn run(self, mut stopped: watch::Receiver<bool>) -> InputReport {
        let Self { id, service, shape, entrance, mut schedule } = self;
        let (reports, mut inbox) = mpsc::channel(REPORTS_QUEUED_MAX);
        let (tick, ticks) = watch::channel(0);
        let feed = Feed::new(reports, ticks, stopped.clone());
        let running = tokio::spawn(keep_running(service, feed, stopped.clone()));
        let mut health = Health::new(id.to_string());
        let mut report = InputReport::default();
        let mut next_tick = move || tokio::time::Instant::now() + nanos(schedule.next(wall_clock_ns()).wait);
        let mut at = next_tick();
        loop {
            tokio::select! {
                reported = inbox.recv() => match reported {
                    Some(Report::Metrics(metrics)) => {
                        let shaped: Vec<_> = metrics.into_iter().filter_map(|m| shape.apply(m)).collect();
                        report.gathered += shaped.len() as u64;
                        entrance.send(shaped).await;
                    }
                    Some(Report::Error(error)) => {
                        report.failed_gathers += 1;
                        health.gathered(&[error]);
                    }
                    // The service has ended, and everything it reported is handed on.
                    None => return report,
                },
                () = tokio::time::sleep_until(at) => {
                    tick.send_replace(wall_clock_ns());
                    at = next_tick();
                }
                () = async { told_to_stop(&mut stopped).await; sleep(STOP_MAX).await } => {
                    tracing::warn!("{id}: does not end and is abandoned");
                    running.abort();
                    return report;
                }
            }
        }
    }
}

async fn keep_running(mut service: Box<dyn Service>, mut feed: Feed, mut stopped: watch::Receiver<bool>) {
    let mut wait = RESTART_MIN;
    loop {
        let began = tokio::time::Instant::now();
        let result = service.run(&mut feed).await;
        if *stopped.borrow() {
            return;
        }
        if began.elapsed() >= SETTLED_AFTER {
            wait = RESTART_MIN;
        }
        if let Err(error) = result {
            feed.report(error).await;
        }
        tokio::select! {
            () = sleep(wait) => wait = (wait * 2).min(RESTART_MAX),
            () = told_to_stop(&mut stopped) => return,
        }
    }
}
