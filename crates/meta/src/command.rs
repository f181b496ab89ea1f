//! The commands a catalogue understands. Each carries everything it depends on, its time included.

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};

use crate::{
    node::Lease,
    records::{Database, NodeId, Subscription},
    user::{PasswordHash, Privilege},
};

/// The settings of a new retention policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionPolicySpec {
    /// Unique within its database.
    pub name: String,
    /// 0 keeps points for ever.
    pub duration_ns: i64,
    /// 0 lets the retention decide.
    pub shard_group_duration_ns: i64,
    /// Copies wanted of each shard, at least 1; `None` lets the number of data nodes decide, see
    /// [`Catalogue::default_replica_n`](crate::Catalogue::default_replica_n).
    #[serde(default)]
    pub replica_n: Option<u32>,
}

/// What `ALTER RETENTION POLICY` changes; `None` leaves as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RetentionPolicyChange {
    /// See [`RetentionPolicySpec::duration_ns`].
    pub duration_ns: Option<i64>,
    /// See [`RetentionPolicySpec::shard_group_duration_ns`].
    pub shard_group_duration_ns: Option<i64>,
    /// See [`RetentionPolicySpec::replica_n`].
    pub replica_n: Option<u32>,
    /// Make it the default policy of its database.
    pub make_default: bool,
}

/// A change to the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Creates a database with a default policy; without a `policy`, `autogen` (for ever, weekly groups).
    CreateDatabase {
        /// Name of the database.
        name: String,
        /// Its first and default policy.
        policy: Option<RetentionPolicySpec>,
    },
    /// Creates a database without any policy, as InfluxDB does with `retention-autocreate = false`: what is written to it
    /// has to name one, until one is made the default.
    CreateBareDatabase {
        /// Name of the database.
        name: String,
    },
    /// Removes a database and all its data; unknown names are no error, as in InfluxDB.
    DropDatabase {
        /// Name of the database.
        name: String,
    },
    /// Adds a policy.
    CreateRetentionPolicy {
        /// Name of the database.
        database: String,
        /// Settings.
        spec: RetentionPolicySpec,
        /// Make it the default.
        make_default: bool,
    },
    /// Changes a policy; existing groups keep their range.
    AlterRetentionPolicy {
        /// Name of the database.
        database: String,
        /// Name of the policy.
        name: String,
        /// What changes.
        change: RetentionPolicyChange,
    },
    /// Removes a policy and its data; unknown names are no error, as in InfluxDB.
    DropRetentionPolicy {
        /// Name of the database.
        database: String,
        /// Name of the policy.
        name: String,
    },
    /// Makes sure that a live shard group covers a time.
    CreateShardGroup {
        /// Name of the database.
        database: String,
        /// Name of the policy.
        retention_policy: String,
        /// The time to cover.
        time_ns: i64,
        /// The data nodes to choose from, as those that are alive; of those that have been removed since nothing is
        /// expected. None means all of the catalogue.
        nodes: Vec<NodeId>,
    },
    /// As [`Command::CreateShardGroup`], of a group that is written through the cluster's log: with a shard for each of its
    /// partitions, on the data nodes of the catalogue. Refused while there is no such log.
    CreateLoggedShardGroup {
        /// Name of the database.
        database: String,
        /// Name of the policy.
        retention_policy: String,
        /// The time to cover.
        time_ns: i64,
        /// See [`ShardGroup::log_starts`](crate::ShardGroup::log_starts).
        log_starts: Vec<u64>,
    },
    /// Marks a group deleted.
    DeleteShardGroup {
        /// Name of the database.
        database: String,
        /// Name of the policy.
        retention_policy: String,
        /// The group.
        id: u64,
        /// When.
        at_ns: i64,
    },
    /// Drops a shard: its group, if it is the only one there, else an empty shard of another id comes in its place, so that
    /// the series of the others stay where they are. An unknown one is no error, as in InfluxDB.
    DropShard {
        /// The shard.
        id: u64,
        /// When.
        at_ns: i64,
    },
    /// Takes shard ids out of circulation, for shards that will join with [`Command::AdoptDatabase`]; see
    /// [`Applied::reserved_shards`].
    ReserveShards {
        /// How many.
        count: u64,
    },
    /// Adds a whole database whose shards were put under reserved ids. Its groups get new ids.
    AdoptDatabase {
        /// The database; deleted groups are left out.
        database: Database,
        /// Owners of every shard. None means that each policy's number of copies is spread over the data nodes.
        nodes: Vec<NodeId>,
    },
    /// Adds a continuous query; again with the same text, capitals aside, is no error, as in InfluxDB.
    CreateContinuousQuery {
        /// Name of the database.
        database: String,
        /// Name of the query.
        name: String,
        /// Its statement, all names in full.
        text: String,
    },
    /// Removes a continuous query; unknown names are no error, as in InfluxDB.
    DropContinuousQuery {
        /// Name of the database.
        database: String,
        /// Name of the query.
        name: String,
    },
    /// Adds a subscription to a retention policy.
    CreateSubscription {
        /// Name of the database.
        database: String,
        /// Name of the policy.
        retention_policy: String,
        /// Name, mode and destinations.
        subscription: Subscription,
    },
    /// Removes a subscription.
    DropSubscription {
        /// Name of the database.
        database: String,
        /// Name of the policy.
        retention_policy: String,
        /// Name of the subscription.
        name: String,
    },
    /// Adds a user without privileges on any database.
    CreateUser {
        /// Name of the user.
        name: String,
        /// What its password is checked against.
        password: PasswordHash,
        /// May do everything.
        admin: bool,
    },
    /// Removes a user.
    DropUser {
        /// Name of the user.
        name: String,
    },
    /// Changes a password.
    SetPassword {
        /// Name of the user.
        name: String,
        /// What the new password is checked against.
        password: PasswordHash,
    },
    /// Makes a user an administrator, or no longer one.
    SetAdmin {
        /// Name of the user.
        name: String,
        /// May do everything.
        admin: bool,
    },
    /// Gives a user a privilege on a database, in place of what it had there.
    Grant {
        /// Name of the user.
        user: String,
        /// Name of the database.
        database: String,
        /// What the user may do from now on.
        privilege: Privilege,
    },
    /// Takes a privilege on a database from a user; what it covers only in part leaves the rest.
    Revoke {
        /// Name of the user.
        user: String,
        /// Name of the database.
        database: String,
        /// What the user may not do any more.
        privilege: Privilege,
    },
    /// Names the cluster; the first time counts.
    NameCluster {
        /// Random.
        id: u64,
    },
    /// Adds a meta node; one with the same addresses is no error.
    CreateMetaNode {
        /// See [`MetaNode::http_addr`](crate::MetaNode::http_addr).
        http_addr: String,
        /// See [`MetaNode::raft_addr`](crate::MetaNode::raft_addr).
        raft_addr: String,
    },
    /// Removes a meta node.
    DeleteMetaNode {
        /// Which.
        id: NodeId,
    },
    /// Adds a data node; one with the same `tcp_addr` is no error, and its other settings become these.
    CreateDataNode {
        /// See [`DataNode::tcp_addr`](crate::DataNode::tcp_addr).
        tcp_addr: String,
        /// See [`DataNode::http_addr`](crate::DataNode::http_addr).
        http_addr: String,
        /// See [`DataNode::https`](crate::DataNode::https).
        #[serde(default)]
        https: bool,
        /// See [`DataNode::labels`](crate::DataNode::labels).
        #[serde(default)]
        labels: BTreeMap<String, String>,
    },
    /// Removes a data node: it owns nothing any more. What only it had is lost: such shards are replaced by empty ones on
    /// other nodes, and groups of nothing else are deleted. [`Catalogue::shards_only_on`](crate::Catalogue::shards_only_on)
    /// tells before. [`repair_plan`](crate::repair_plan) tells who gets a copy in its place.
    DeleteDataNode {
        /// Which.
        id: NodeId,
        /// When.
        at_ns: i64,
    },
    /// Gives a data node other addresses.
    UpdateDataNode {
        /// Which.
        id: NodeId,
        /// See [`DataNode::tcp_addr`](crate::DataNode::tcp_addr).
        tcp_addr: String,
        /// See [`DataNode::http_addr`](crate::DataNode::http_addr).
        http_addr: String,
        /// See [`DataNode::https`](crate::DataNode::https).
        #[serde(default)]
        https: bool,
    },
    /// Sets labels of a data node, or takes those away whose value is empty.
    LabelDataNode {
        /// Which.
        id: NodeId,
        /// Values by name.
        labels: BTreeMap<String, String>,
    },
    /// Ends every live group that reaches beyond a time there: later points go to new groups, on the nodes of then. Twice
    /// the same time is once.
    TruncateShardGroups {
        /// When.
        at_ns: i64,
    },
    /// Makes a node an owner of a shard, one that gets every write from now on. With `joining` it lacks the earlier ones,
    /// and is not read from until [`Command::ConfirmShardOwner`].
    AddShardOwner {
        /// The shard.
        shard: u64,
        /// The new owner.
        node: NodeId,
        /// Whether it still lacks what was written before.
        joining: bool,
    },
    /// A joining owner has all that the others have.
    ConfirmShardOwner {
        /// The shard.
        shard: u64,
        /// The owner.
        node: NodeId,
        /// The number it joins under, see [`Shard::joining_mark`](crate::Shard::joining_mark): if it has another one by now,
        /// it was added anew, and nothing happens. `None` does not look.
        #[serde(default)]
        mark: Option<u64>,
    },
    /// A node owns a shard no more; with the last owner the shard is dropped as by [`Command::DropShard`]. Refused for the
    /// only one that has all of it while others are being filled.
    RemoveShardOwner {
        /// The shard.
        shard: u64,
        /// The owner.
        node: NodeId,
        /// When.
        at_ns: i64,
    },
    /// See [`Behind`](crate::Behind).
    MarkBehind {
        /// Who lacks writes.
        node: NodeId,
        /// Who keeps them.
        holder: NodeId,
    },
    /// The node has got all that the holder kept for it.
    ClearBehind {
        /// Who lacked writes.
        node: NodeId,
        /// Who kept them.
        holder: NodeId,
        /// The number of the mark, see [`Catalogue::behind_mark`](crate::Catalogue::behind_mark): if it has another one by
        /// now, the node has fallen behind anew, and nothing happens. `None` does not look.
        #[serde(default)]
        mark: Option<u64>,
    },
    /// Takes or renews a lease. Refused if another node holds it, unless the sender has seen it stand at `unrenewed`
    /// for as long as it lasts.
    AcquireLease {
        /// What for.
        name: String,
        /// Who asks.
        owner: NodeId,
        /// How long it lasts.
        duration_ms: u64,
        /// The count of renewals at which it has been seen to stand for so long.
        unrenewed: Option<u64>,
    },
    /// Gives a lease back, so that another node need not wait.
    ReleaseLease {
        /// What for.
        name: String,
        /// Who held it; if that is another node now, nothing happens.
        owner: NodeId,
        /// The count of renewals it held it at; if it has renewed it since, nothing happens. `None` does not look.
        #[serde(default)]
        renewals: Option<u64>,
    },
    /// A node says which feature levels it knows; see `level.rs`.
    AnnounceFeatureLevel {
        /// Who.
        node: NodeId,
        /// The highest level it knows.
        level: u32,
    },
    /// Lets the catalogue rise to a level that every node knows. From then on commands that need it may be proposed.
    RaiseFeatureLevel {
        /// The level.
        level: u32,
    },
    /// A data node says through which log it is set to write; what all of them have named is the cluster's for good, and
    /// another one is refused then.
    AnnounceWriteLog {
        /// Who.
        node: NodeId,
        /// The log's name, which is the topic; `None` for none.
        log: Option<String>,
    },
    /// Forgets groups that were deleted before a time.
    PruneShardGroups {
        /// Groups deleted before this are forgotten.
        deleted_before_ns: i64,
    },
}

impl Command {
    /// The same for a node whose databases begin without `autogen`.
    #[must_use]
    pub fn without_autogen(self) -> Self {
        match self {
            Self::CreateDatabase { name, policy: None } => Self::CreateBareDatabase { name },
            other => other,
        }
    }

    /// Whether it may be carried out several times, and late, without harm: whoever needs it soon asks more than one meta node. Of a node
    /// that is noted to be behind too late, its holder finds out that it is not.
    pub const fn is_repeatable(&self) -> bool {
        matches!(
            self,
            Self::MarkBehind { .. }
                | Self::ClearBehind { mark: Some(_), .. }
                | Self::CreateShardGroup { .. }
                | Self::CreateLoggedShardGroup { .. }
        )
    }
}

/// What a command did. It travels between nodes: what one of another release does not tell is as in the default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Applied {
    /// Shards that have lost their place in the catalogue: their files can go.
    pub dropped_shards: Vec<u64>,
    /// Whether the catalogue differs from before.
    pub changed: bool,
    /// Ids that belong to whoever reserved them.
    pub reserved_shards: Range<u64>,
    /// The node that was added, or was there already.
    pub node: Option<NodeId>,
    /// The lease that was asked for, as it stands: whether it was granted is told by its owner.
    pub lease: Option<Lease>,
}

impl Applied {
    /// The catalogue differs, and that is all.
    pub(crate) const CHANGED: Self =
        Self { dropped_shards: Vec::new(), changed: true, reserved_shards: 0..0, node: None, lease: None };
}
