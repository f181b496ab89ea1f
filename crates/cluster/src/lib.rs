//! One data node: the write router, the engine's view of the catalogue and the shards, and retention.
//! A single server keeps its own catalogue; a member of a cluster follows that of the meta nodes and writes to every owner.

mod accounts;
mod backend;
pub mod backup;
mod cardinality;
mod clustered;
mod forward;
mod keeper;
mod monitored;
mod node;
pub mod password;
mod readiness;
mod reading;
mod retention;
mod router;
mod statistics;
mod write;

pub use accounts::Accounts;
pub use clustered::Membership;
pub use forward::{Copied, Forwarded, Forwarder, Subscribed, SubscribedMode};
pub use node::{Node, NodeConfig, NodeError};
pub use readiness::NotReady;
pub use skywatch_replication::Entropy;
pub use statistics::{DatabaseCardinality, NodeStatistics, ReplicationStatistics, WriteStatistics};
pub use write::{
    Consistency, InvalidConsistency, PointsRequest, WriteError, WriteErrorClass, WriteRequest, WriteSummary,
};
