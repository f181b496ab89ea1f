//! The HTTP side of the console: serves the web app built from `console/` and the small API it needs.
//!
//! | path | what |
//! |---|---|
//! | `/api/query` | InfluxDB's `/query` of the store, passed through as a stream; leaving the page cancels the query |
//! | `/api/v2/query`, `/api/v2/query/analyze` | the same for Flux |
//! | `/api/info` | version, default database, whether the store answers |
//! | `/api/dashboards`, `/api/dashboards/{uid}` | dashboards (Grafana JSON) that ship and those of a directory |
//! | `/api/alerts` | rules and their states, supplied through [`AlertsView`] |
//! | `/api/cluster` | nodes, what they keep for each other, lag, copies, supplied through [`ClusterView`]; `null` from a single server; for administrators |
//! | anything else | a file of the web app, or its `index.html` for the routes it draws itself |
//!
//! Nothing here stores anything: the store and the alerting engine own the data.

mod alerts;
mod assets;
mod cluster;
mod config;
mod dashboards;
mod error;
mod guard;
mod info;
mod proxy;
mod router;

pub use alerts::{AlertInstance, AlertRule, AlertState, AlertsSnapshot, AlertsView, NoAlerts};
pub use assets::is_built;
pub use cluster::{
    ClusterSnapshot, ClusterView, DataNodeState, DataNodeTold, HintsState, MetaNodeState, NoCluster,
    PartitionState, PolicyState,
};
pub use config::ConsoleConfig;
pub use router::router;

#[cfg(test)]
mod tests;
