//! The catalogue: which databases, retention policies and shard groups exist, which node owns which shard, what runs and
//! is forwarded on its own, and who may do what.
//!
//! [`Catalogue`] is a pure state machine: every [`Command`] carries its time, so that equal logs give equal
//! catalogues on every node. [`CatalogueHost`] keeps one on this machine's disk; a Raft host takes its place
//! on a cluster.

mod catalogue;
mod command;
mod error;
#[cfg(test)]
mod fixture;
mod format;
mod host;
mod labels;
mod level;
mod node;
mod placement;
mod records;
mod repair;
mod shard_groups;
mod user;

pub use catalogue::{Catalogue, LOG_PARTITIONS_MAX};
pub use command::{Applied, Command, RetentionPolicyChange, RetentionPolicySpec};
pub use error::CatalogueError;
pub use format::{CatalogueLevel, DecodeError};
pub use host::{CatalogueHost, HostError};
pub use labels::{LabelError, check_labels};
pub use level::FEATURE_LEVEL;
pub use node::{Behind, DataNode, Lease, MetaNode};
pub use records::{
    ContinuousQuery, Database, NodeId, RetentionPolicy, Shard, ShardGroup, Subscription, SubscriptionMode,
};
pub use repair::repair_plan;
pub use shard_groups::default_shard_group_duration_ns;
pub use user::{PasswordHash, Privilege, User};
