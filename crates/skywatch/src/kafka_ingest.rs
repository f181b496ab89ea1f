//! Line protocol out of Kafka's topics, while the server runs.

use std::sync::Arc;

use anyhow::{Context, Result};
use skywatch_cluster::Node;
use skywatch_http::MetricsRegistry;
use skywatch_kafka::{Ingest, IngestConfig};
use tokio::runtime::Handle;

use crate::kafka_metrics::IngestMetrics;

/// All that read.
pub(crate) struct Ingests(Arc<[Ingest]>);

/// Begins to read.
pub(crate) fn start(
    configs: &[IngestConfig],
    node: &Arc<Node>,
    registry: &MetricsRegistry,
) -> Result<Ingests> {
    let started: Result<Vec<_>, _> = configs
        .iter()
        .map(|config| Ingest::start(config.clone(), Arc::clone(node) as _, Handle::current()))
        .collect();
    let started: Arc<[Ingest]> = started.context("cannot read line protocol from Kafka")?.into();
    if !started.is_empty() {
        registry.add(Arc::new(IngestMetrics(Arc::clone(&started))));
    }
    Ok(Ingests(started))
}

/// What is read, for a person.
pub(crate) fn describe(configs: &[IngestConfig]) -> Option<String> {
    let one = |config: &IngestConfig| {
        format!(
            "{} of {} (group {})",
            config.topics.join(", "),
            config.connection.brokers.join(", "),
            config.group
        )
    };
    (!configs.is_empty()).then(|| configs.iter().map(one).collect::<Vec<_>>().join("; "))
}

impl Ingests {
    /// Ends them; what is being written is finished.
    pub(crate) async fn stop(self) {
        let stopped = tokio::task::spawn_blocking(move || self.0.iter().for_each(Ingest::stop)).await;
        if stopped.is_err() {
            tracing::error!("ending to read from Kafka panicked");
        }
    }
}
