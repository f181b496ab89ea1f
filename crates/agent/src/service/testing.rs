//! Services in tests: run by themselves, with what they report in hand.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::{Feed, Report, Service};
use crate::metric::Metric;

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// A service that runs until it is stopped.
pub(crate) struct Running {
    reports: mpsc::Receiver<Report>,
    ticks: watch::Sender<i64>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), crate::input::GatherError>>,
}

impl Running {
    /// Starts a service.
    pub(crate) fn start(mut service: Box<dyn Service>) -> Self {
        let (sender, reports) = mpsc::channel(100);
        let (ticks, ticked) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let mut feed = Feed::new(sender, ticked, stopped);
        let task = tokio::spawn(async move { service.run(&mut feed).await });
        Self { reports, ticks, stop, task }
    }

    /// A collection is due.
    pub(crate) fn tick(&self, now_ns: i64) {
        self.ticks.send_replace(now_ns);
    }

    /// The next metrics.
    pub(crate) async fn metrics(&mut self) -> Vec<Metric> {
        match self.next().await {
            Report::Metrics(metrics) | Report::Collected(metrics) => metrics,
            Report::Error(error) => panic!("an error instead of metrics: {error}"),
        }
    }

    /// The next problem.
    pub(crate) async fn error(&mut self) -> String {
        match self.next().await {
            Report::Error(error) => error.to_string(),
            Report::Metrics(metrics) | Report::Collected(metrics) => {
                panic!("metrics instead of an error: {metrics:?}")
            }
        }
    }

    async fn next(&mut self) -> Report {
        let report = tokio::time::timeout(PATIENCE, self.reports.recv()).await;
        report.expect("a report in time").expect("the service runs")
    }

    /// Ends the service, and returns what it reported until then.
    pub(crate) async fn stop(mut self) -> Vec<Metric> {
        self.stop.send_replace(true);
        let ended = tokio::time::timeout(PATIENCE, &mut self.task).await;
        ended.expect("it ends in time").expect("it does not panic").expect("no error at the end");
        let mut rest = Vec::new();
        while let Ok(report) = self.reports.try_recv() {
            if let Report::Metrics(metrics) | Report::Collected(metrics) = report {
                rest.extend(metrics);
            }
        }
        rest
    }
}
