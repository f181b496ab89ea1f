//! The alert engine wired to the node, the console and /metrics.

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
    AlertConfig, AlertEngine, AlertHandle, EngineOptions, ProcessEnvironment, Sources, SystemClock,
};
use skywatch_cluster::Node;
use skywatch_console::AlertsView;
use skywatch_http::MetricsSource;

pub(crate) use leased::LeasedAlerts;

/// What `skywatch config default alerts` prints.
pub(crate) use skywatch_alert::EXAMPLE_RULES as DEFAULT_FILE;

/// Reads a rules file and says what is wrong with it.
pub(crate) fn check(path: &Path) -> Result<AlertConfig> {
    Ok(Sources::read(path)?.parse(&ProcessEnvironment)?)
}

/// A running engine.
pub(crate) struct Alerts {
    handle: Arc<AlertHandle>,
    rules: PathBuf,
}

impl Alerts {
    /// Starts evaluating the rules of a file over a node; state is kept in `state_dir`.
    pub(crate) async fn start(
        rules: PathBuf,
        node: Arc<Node>,
        state_dir: &Path,
        console_url: Option<String>,
    ) -> Result<Self> {
        let options = EngineOptions { console_url, ..EngineOptions::new(&rules, state_dir) };
        let source = Arc::new(source::NodeSource::new(node));
        let handle =
            AlertEngine::start(options, source, SystemClock).await.context("cannot start alerting")?;
        Ok(Self { handle: Arc::new(handle), rules })
    }

    /// For the banner.
    pub(crate) fn describe(&self) -> String {
        let count = self.handle.rules().len();
        format!("{count} rule{} from {}", if count == 1 { "" } else { "s" }, self.rules.display())
    }

    /// For the console.
    pub(crate) fn view(&self) -> Arc<dyn AlertsView> {
        let (handle, rules) = (Arc::clone(&self.handle), self.rules.clone());
        Arc::new(move || view::snapshot(&handle, &rules))
    }

    /// For /metrics.
    pub(crate) fn metrics(&self) -> Arc<dyn MetricsSource> {
        Arc::new(metrics::AlertMetrics::new(Arc::clone(&self.handle)))
    }

    /// Stops evaluating and stores the state.
    pub(crate) async fn stop(self) {
        self.handle.shutdown().await;
    }
}
