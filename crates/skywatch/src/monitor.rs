//! What the process tells of itself beyond what its parts count, and where statistics are kept.

mod diagnostics;
mod runtime;

use std::{error::Error, io, sync::Arc, time::Duration};

use skywatch_cluster::{Consistency, Node, WriteRequest};
use skywatch_model::{line::Precision, wall_clock_ns};
use skywatch_monitor::{Monitor, Recorder, RecorderConfig, RecorderStore};
use skywatch_query::NewRetentionPolicy;

pub(crate) use runtime::hostname;

use crate::config::{MonitorSettings, RunSettings};

/// The retention policy that statistics go to, and how long they are kept, as in InfluxDB.
const POLICY: &str = "monitor";
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The monitor of this process, which its parts add themselves to.
pub(crate) fn monitor(settings: &RunSettings) -> Arc<Monitor> {
    let monitor = Arc::new(Monitor::default());
    monitor.add(Arc::new(runtime::RuntimeSource));
    diagnostics::describe(&monitor, settings);
    monitor
}

/// Starts to keep statistics, if they are to be kept.
pub(crate) fn record(
    settings: &MonitorSettings,
    monitor: Arc<Monitor>,
    node: &Arc<Node>,
) -> io::Result<Option<Recorder>> {
    let Some(store) = store(settings, node) else { return Ok(None) };
    let config = RecorderConfig { interval: settings.store_interval, tags: tags(node) };
    Recorder::start(monitor, config, store).map(Some)
}

/// What tells this node's statistics from those of others. Nodes of a cluster may share a host: as in InfluxDB's clusters they
/// are told apart by their addresses.
pub(crate) fn tags(node: &Node) -> Vec<(&'static str, String)> {
    let mut tags = vec![("hostname", hostname())];
    if let Some(member) = node.member() {
        let catalogue = member.catalogues().current();
        tags.push(("clusterID", catalogue.cluster_id().to_string()));
        tags.extend(catalogue.data_node(member.id()).map(|node| ("nodeID", node.tcp_addr.clone())));
    }
    tags
}

/// Where statistics are kept, if they are to be kept.
pub(crate) fn store(settings: &MonitorSettings, node: &Arc<Node>) -> Option<NodeStore> {
    let database = settings.store_enabled.then(|| settings.store_database.clone())?;
    Some(NodeStore { node: Arc::clone(node), database })
}

/// Keeps statistics in a database of the node itself.
pub(crate) struct NodeStore {
    node: Arc<Node>,
    database: String,
}

impl RecorderStore for NodeStore {
    fn prepare(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let backend = self.node.executor().backend();
        if backend.databases()?.contains(&self.database) {
            return Ok(());
        }
        let policy = NewRetentionPolicy {
            name: Some(POLICY.to_owned()),
            duration_ns: i64::try_from(KEPT.as_nanos()).ok(),
            make_default: true,
            ..NewRetentionPolicy::default()
        };
        Ok(backend.create_database(&self.database, Some(&policy))?)
    }

    fn store(&self, lines: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.node.write(&WriteRequest {
            database: &self.database,
            retention_policy: Some(POLICY),
            precision: Precision::Nanosecond,
            body: lines.as_bytes(),
            received_at_ns: wall_clock_ns(),
            consistency: Consistency::Any,
        })?;
        Ok(())
    }
}
