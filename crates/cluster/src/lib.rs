//! One data node: the write router, the engine's view of the catalogue and the shards, and retention.
//! A single server keeps its own catalogue; a member of a cluster follows that of the meta nodes and writes to every owner.

mod accounts;
mod backend;
pub mod backup;
mod cardinality;
mod clustered;
mod colleagues;
mod forward;
mod keeper;
mod logged;
mod monitored;
mod node;
mod overlap;
mod overview;
pub mod password;
mod readiness;
mod reading;
mod retention;
mod router;
mod statistics;
mod upkeep;
mod write;

pub use accounts::Accounts;
pub use clustered::{Membership, WriteThrough};
pub use forward::{Copied, Forwarded, Forwarder, Subscribed, SubscribedMode};
pub use node::{Node, NodeConfig, NodeError};
pub use overview::{HintQueue, Overview, Unready};
pub use readiness::{NotReady, Purpose};
pub use skywatch_replication::{
    Entropy,
    log::{LagAnswer, LogStats, PositionToken},
};
pub use statistics::{
    DatabaseCardinality, LogStatistics, NodeStatistics, ReplicationStatistics, WriteStatistics,
};
pub use upkeep::{Precreation, UpkeepSettings};
pub use write::{
    Consistency, InvalidConsistency, PointsRequest, WriteError, WriteErrorClass, WriteRequest, WriteSummary,
};
