//! The nodes of a cluster, and what the catalogue keeps of who may do what and who holds everything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::NodeId;

/// A node that keeps the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaNode {
    /// Unique among all nodes, never given out again.
    pub id: NodeId,
    /// `host:port` of its HTTP API, which data nodes call too.
    pub http_addr: String,
    /// `host:port` at which the other meta nodes reach it.
    pub raft_addr: String,
}

/// A node that keeps shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataNode {
    /// Unique among all nodes, never given out again.
    pub id: NodeId,
    /// `host:port` at which other nodes reach it.
    pub tcp_addr: String,
    /// `host:port` of its HTTP API.
    pub http_addr: String,
    /// Whether that speaks TLS.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub https: bool,
    /// Where it stands and what it is, as `rack` and `dc`: copies of a shard keep apart by them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// The right to do something that only one node does at a time.
///
/// No clock is compared with another: who holds a lease stops before `duration_ms` have passed on its own clock since it
/// asked for the latest renewal, and nobody else gets it before somebody has seen `renewals` stand still for as long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// What for.
    pub name: String,
    /// Who holds it; 0 once it was given back.
    pub owner: NodeId,
    /// Grows with every grant and renewal.
    pub renewals: u64,
    /// How long each lasts.
    pub duration_ms: u64,
}

/// A data node may lack writes that were acknowledged: `holder` keeps them for it. Until it has them it answers no query
/// about shards that others have whole. If `holder` is no data node of the cluster any more, what it kept is lost: the node is
/// behind until it has been compared with other owners of its shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Behind {
    /// Who lacks something.
    pub node: NodeId,
    /// Who has it.
    pub holder: NodeId,
}
