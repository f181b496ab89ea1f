//! The cluster around the node, as far as statements show it.

use std::fmt;

use crate::RunningQuery;

/// A node of the cluster as `SHOW SERVERS` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterNode {
    /// Its number.
    pub id: u64,
    /// Where clients reach it, `host:port`.
    pub http_addr: String,
    /// Where other nodes reach it, `host:port`: by this `KILL QUERY ... ON` names a data node.
    pub tcp_addr: String,
}

/// What the query engine asks of the cluster that its node is a member of. Blocks, for a few seconds at most.
pub trait ClusterView: fmt::Debug {
    /// The number of the node itself.
    fn own_number(&self) -> u64;

    /// Data nodes by number, the node itself among them.
    fn data_nodes(&self) -> Vec<ClusterNode>;

    /// Meta nodes by number.
    fn meta_nodes(&self) -> Vec<ClusterNode>;

    /// Every other data node, and the queries that run there or why it does not tell.
    fn running_elsewhere(&self) -> Vec<(ClusterNode, Result<Vec<RunningQuery>, String>)>;

    /// Stops a query on another data node; why not, in words.
    fn kill(&self, node: &ClusterNode, query: u64) -> Result<(), String>;
}
