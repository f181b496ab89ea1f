//! Why a command on the catalogue was refused. The wording is InfluxDB 1.8's, since clients parse it.
//!
//! Refusals travel between nodes, also of different releases, as `{"refusal": KIND, "about": DETAILS, "text": WORDS}`.
//! Who does not know the kind has the words: see [`CatalogueError::Later`].

mod wire;

use serde::{Deserialize, Serialize};

use crate::catalogue::LOG_PARTITIONS_MAX;

/// Why a command was refused; the catalogue is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "refusal", content = "about", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CatalogueError {
    /// No database of that name.
    #[error("database not found: {0}")]
    DatabaseNotFound(String),
    /// Empty, longer than 255 bytes, unprintable, with a slash or backslash, or `.` or `..`.
    #[error("invalid name")]
    InvalidName,
    /// No retention policy of that name.
    #[error("retention policy not found: {0}")]
    RetentionPolicyNotFound(String),
    /// Another policy of that name with other settings exists.
    #[error("retention policy already exists")]
    RetentionPolicyExists,
    /// `CREATE DATABASE ... WITH` on a database whose default policy differs.
    #[error("retention policy conflicts with an existing policy")]
    RetentionPolicyConflict,
    /// Renaming onto an existing policy.
    #[error("retention policy name already exists")]
    RetentionPolicyNameExists,
    /// Points must be kept for an hour at least.
    #[error("retention policy duration must be at least 1h0m0s")]
    RetentionTooShort,
    /// A group may not be longer than the retention.
    #[error("retention policy duration must be greater than the shard duration")]
    IncompatibleDurations,
    /// At least one copy.
    #[error("replication factor must be greater than 0")]
    ReplicationFactorTooLow,
    /// A database that would be added whole has the name of another.
    #[error("database already exists: {0}")]
    DatabaseExists(String),
    /// A database that would be added whole contradicts itself or the catalogue.
    #[error("the database cannot be added: {0}")]
    Inconsistent(String),
    /// Another continuous query of that name with another text exists.
    #[error("continuous query already exists")]
    ContinuousQueryExists,
    /// A subscription of that name exists.
    #[error("subscription already exists")]
    SubscriptionExists,
    /// No subscription of that name.
    #[error("subscription not found")]
    SubscriptionNotFound,
    /// No `http`, `https` or `udp` URL with a port.
    #[error("invalid subscription URL: {0}")]
    InvalidSubscriptionUrl(String),
    /// A user without a name.
    #[error("username required")]
    UsernameRequired,
    /// A user of that name exists.
    #[error("user already exists")]
    UserExists,
    /// No user of that name.
    #[error("user not found")]
    UserNotFound,
    /// No shard group of that id.
    #[error("shard group not found: {0}")]
    ShardGroupNotFound(u64),
    /// No node of that id.
    #[error("node not found: {0}")]
    NodeNotFound(u64),
    /// Another data node has that address.
    #[error("cannot update data node {from} to {to}; {to} is already part of cluster")]
    AddressTaken {
        /// The node's address until now.
        from: String,
        /// The address wanted.
        to: String,
    },
    /// Versions have room for so many nodes.
    #[error("node {0} would be one more than a cluster can number; ids are not given out twice")]
    TooManyNodes(u64),
    /// A node without an address could not be reached.
    #[error("addr is required")]
    AddressRequired,
    /// One address belongs to one meta node, the other to another.
    #[error("meta node {http_addr} cannot be reached at {raft_addr}: that address is another meta node's")]
    MetaAddressTaken {
        /// The address of the HTTP API wanted.
        http_addr: String,
        /// The address for Raft wanted.
        raft_addr: String,
    },
    /// Nobody needs as many leases.
    #[error("there are {0} leases, and no room for another name")]
    TooManyLeases(usize),
    /// Numbers of shards are taken for good, and nobody brings as many at once.
    #[error("{0} shards are more than can be added at once")]
    TooManyShards(u64),
    /// No point can carry that time, so no group is made for it.
    #[error("time {0} is outside of what a point may have")]
    TimeOutOfRange(i64),
    /// No shard of that id.
    #[error("shard not found for id: {0}")]
    ShardNotFound(u64),
    /// The node is no owner of the shard.
    #[error("node {node} is not an owner of shard {shard}")]
    NotAnOwner {
        /// The shard.
        shard: u64,
        /// The node.
        node: u64,
    },
    /// The others that own the shard are still being filled.
    #[error("node {node} is the only one that has all of shard {shard}: wait until it is copied to another")]
    LastWholeOwner {
        /// The shard.
        shard: u64,
        /// The node.
        node: u64,
    },
    /// A cluster without data nodes has no place for shards.
    #[error("the cluster has no data node: add one with `ctl add-data`")]
    NoDataNodes,
    /// The command is newer than what every node is known to understand.
    #[error(
        "this needs feature level {needed}, and the cluster is at {level}: it rises by itself once every node runs a \
         release that knows it"
    )]
    LevelTooLow {
        /// What the command needs.
        needed: u32,
        /// What the cluster has.
        level: u32,
    },
    /// A node does not understand that level.
    #[error("node {node} knows feature levels up to {known}, not {wanted}: upgrade it or remove it")]
    LevelNotKnown {
        /// The node.
        node: u64,
        /// The highest level it has announced.
        known: u32,
        /// The level wanted.
        wanted: u32,
    },
    /// Nodes of a later release go on in a way that this one does not understand: it must stop, not skip the command.
    #[error(
        "the cluster has gone to feature level {level}, this release knows {known}: use a newer skywatch"
    )]
    LaterRelease {
        /// The level of the cluster.
        level: u32,
        /// The highest level of this release.
        known: u32,
    },
    /// All data nodes have named one log, and a node names another, or none.
    #[error(
        "the cluster writes through the log with the topic {current:?}, and this node is set to {}: set [replication] \
         mode = \"kafka\" and [kafka] topic = {current:?} in its file",
        if wanted.is_empty() { "none".to_owned() } else { format!("{wanted:?}") }
    )]
    OtherWriteLog {
        /// The cluster's log.
        current: String,
        /// The node's; empty for none.
        wanted: String,
    },
    /// A group for a log of so many partitions, where there is none or they are too many.
    #[error(
        "no shard group can be made for a log of {0} partitions: the cluster has no log, or they are not 1 to {LOG_PARTITIONS_MAX}"
    )]
    NoWriteLog(usize),
    /// A refusal that only a later release knows, in its words.
    #[error("{0}")]
    Later(String),
}
