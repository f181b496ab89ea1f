//! What a service input is: one that is not only asked but runs by itself: listeners, consumers, followers of files.
//!
//! It runs as a task of the agent. Its metrics go through a [`Feed`], which waits while the outputs are busy (so that a
//! listener stops reading rather than filling the memory), and which can tell when metrics are delivered.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use tokio::sync::{mpsc, watch};

use crate::input::GatherError;
use crate::metric::{Delivered, Metric};

/// What a service's methods return, since they are called through a trait object.
pub type ServiceFuture<'a> = Pin<Box<dyn Future<Output = Result<(), GatherError>> + Send + 'a>>;

/// An input that runs by itself.
pub trait Service: Send + fmt::Debug {
    /// Runs until [`Feed::stopped`]. An error before that ends this run: it is told of, and the service is run again
    /// after a back-off, so what cannot be had at the start (an address, a broker) is tried again.
    fn run<'a>(&'a mut self, feed: &'a mut Feed) -> ServiceFuture<'a>;
}

/// What a service reports.
#[derive(Debug)]
pub(crate) enum Report {
    /// Metrics, in order.
    Metrics(Vec<Metric>),
    /// Metrics of a collection, whose times are the agent's and rounded as those of other inputs.
    Collected(Vec<Metric>),
    /// A problem that does not end the service.
    Error(GatherError),
}

/// A service's way to the agent.
#[derive(Debug, Clone)]
pub struct Feed {
    reports: mpsc::Sender<Report>,
    ticks: watch::Receiver<i64>,
    stop: watch::Receiver<bool>,
}

impl Feed {
    /// `ticks` carries the time of each collection, `stop` turns true at the end.
    pub(crate) fn new(
        reports: mpsc::Sender<Report>,
        ticks: watch::Receiver<i64>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self { reports, ticks, stop }
    }

    /// Hands metrics on, waiting while there is no room. Metrics without fields are left out.
    pub async fn send(&self, metrics: Vec<Metric>) {
        self.send_as(Report::Metrics, metrics).await;
    }

    /// Like [`send`](Self::send), for what is reported at a [`tick`](Self::tick): its times are rounded to the interval's
    /// precision, as those of the inputs that are asked.
    pub async fn send_collected(&self, metrics: Vec<Metric>) {
        self.send_as(Report::Collected, metrics).await;
    }

    async fn send_as(&self, report: fn(Vec<Metric>) -> Report, mut metrics: Vec<Metric>) {
        metrics.retain(|metric| !metric.fields().is_empty());
        if !metrics.is_empty() {
            // The agent is gone only when nobody waits for the metrics any more.
            self.reports.send(report(metrics)).await.ok();
        }
    }

    /// Like [`send`](Self::send); `delivered` is called when no output holds any of the metrics any longer: stored,
    /// refused for good, filtered away or dropped from a full buffer.
    pub async fn send_tracked(
        &self,
        mut metrics: Vec<Metric>,
        delivered: impl FnOnce() + Send + Sync + 'static,
    ) {
        let delivered = Delivered::new(delivered);
        for metric in &mut metrics {
            metric.track(delivered.clone());
        }
        self.send(metrics).await;
    }

    /// Notes a problem that does not end the service.
    pub async fn report(&self, error: GatherError) {
        self.reports.send(Report::Error(error)).await.ok();
    }

    /// Waits for the next collection of the agent and returns its time in nanoseconds since the Unix epoch: for
    /// services that report at the interval. Each clone of the feed sees every tick, or the latest of those it missed.
    pub async fn tick(&mut self) -> i64 {
        match self.ticks.changed().await {
            Ok(()) => *self.ticks.borrow_and_update(),
            // The agent is gone; `stopped` is true.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits for the end of the agent.
    pub async fn stopped(&mut self) {
        self.stop.wait_for(|stop| *stop).await.ok();
    }
}

#[cfg(test)]
pub(crate) mod testing;
