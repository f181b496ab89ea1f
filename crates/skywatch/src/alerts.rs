//! The alert engine wired to the node, the console and /metrics; in a cluster also to the other nodes.

mod desk;
mod leased;
mod metrics;
mod source;
mod view;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use skywatch_alert::{
    AlertConfig, AlertEngine, AlertHandle, Edition, EngineOptions, Metrics, ProcessEnvironment, Sources,
    SystemClock,
};
use skywatch_cluster::Node;
use skywatch_console::{AlertsSnapshot, AlertsView};
use skywatch_http::MetricsSource;
use tokio::sync::watch;

pub(crate) use desk::Desk;
pub(crate) use leased::LeasedAlerts;

/// What `skywatch config default alerts` prints.
pub(crate) use skywatch_alert::EXAMPLE_RULES as DEFAULT_FILE;

/// Reads a rules file and says what is wrong with it.
pub(crate) fn check(path: &Path) -> Result<AlertConfig> {
    Ok(Sources::read(path)?.parse(&ProcessEnvironment)?)
}

/// A running engine.
pub(crate) struct Alerts {
    handle: AlertHandle,
    rules: PathBuf,
}

impl Alerts {
    /// Starts evaluating the rules of a file over a node; state is kept in `state_dir`. `term` is that of the lease under
    /// which a member of a cluster evaluates.
    pub(crate) async fn start(
        rules: PathBuf,
        node: Arc<Node>,
        state_dir: &Path,
        console_url: Option<String>,
        term: Option<u64>,
    ) -> Result<Self> {
        let options = EngineOptions { console_url, term, ..EngineOptions::new(&rules, state_dir) };
        let source = Arc::new(source::NodeSource::new(node));
        let handle =
            AlertEngine::start(options, source, SystemClock).await.context("cannot start alerting")?;
        Ok(Self { handle, rules })
    }

    /// For the banner.
    pub(crate) fn describe(&self) -> String {
        let count = self.handle.rules().len();
        format!("{count} rule{} from {}", if count == 1 { "" } else { "s" }, self.rules.display())
    }

    /// For the console of a single server.
    pub(crate) fn view(self: &Arc<Self>) -> Arc<dyn AlertsView> {
        let alerts = Arc::clone(self);
        Arc::new(move || alerts.page())
    }

    /// For /metrics of a single server.
    pub(crate) fn metrics(self: &Arc<Self>) -> Arc<dyn MetricsSource> {
        Arc::new(metrics::AlertMetrics::new(Arc::clone(self)))
    }

    /// What the console shows, as of now.
    fn page(&self) -> AlertsSnapshot {
        view::snapshot(&self.handle, &self.rules)
    }

    /// What is counted, as of now.
    fn counted(&self) -> Metrics {
        self.handle.metrics()
    }

    /// Which state is on disk.
    fn saved(&self) -> watch::Receiver<Edition> {
        self.handle.saved()
    }

    /// Stops evaluating and stores the state.
    pub(crate) async fn stop(&self) {
        self.handle.shutdown().await;
    }
}
