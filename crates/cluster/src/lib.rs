//! One data node: the write router, the engine's view of the catalogue and the shards, and retention.
//! A single server is a cluster of one node; replication to others joins here.

mod accounts;
mod backend;
pub mod backup;
mod cardinality;
mod forward;
mod monitored;
mod node;
mod password;
mod retention;
mod router;
mod statistics;
mod write;

pub use accounts::Accounts;
pub use forward::{Copied, Forwarded, Forwarder, Subscribed, SubscribedMode};
pub use node::{Node, NodeConfig, NodeError};
pub use statistics::{DatabaseCardinality, NodeStatistics, WriteStatistics};
pub use write::{PointsRequest, WriteError, WriteErrorClass, WriteRequest, WriteSummary};
