//! The records a catalogue is made of. Durations are nanoseconds, times nanoseconds since the epoch.

use serde::{Deserialize, Serialize};

/// A node of the cluster. A single server is node 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

/// A database: a name and its retention policies, in the order they were created.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Database {
    /// Unique name.
    pub name: String,
    /// Name of the policy that writes and queries use when they name none; empty when there is no default.
    pub default_retention_policy: String,
    /// Every policy of the database.
    pub retention_policies: Vec<RetentionPolicy>,
    /// What is computed from its points again and again, in the order of creation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continuous_queries: Vec<ContinuousQuery>,
}

impl Database {
    /// The policy called `name`, or the default one when `name` is empty.
    pub fn retention_policy(&self, name: &str) -> Option<&RetentionPolicy> {
        let wanted = if name.is_empty() { self.default_retention_policy.as_str() } else { name };
        self.retention_policies.iter().find(|policy| policy.name == wanted)
    }

    pub(crate) fn retention_policy_mut(&mut self, name: &str) -> Option<&mut RetentionPolicy> {
        self.retention_policies.iter_mut().find(|policy| policy.name == name)
    }
}

/// A query that runs on its own. What it does is in its text alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContinuousQuery {
    /// Unique within its database.
    pub name: String,
    /// The `CREATE CONTINUOUS QUERY` statement, every source and the target with database and policy.
    pub text: String,
}

/// How long points are kept, in how large pieces, and in how many copies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RetentionPolicy {
    /// Unique within its database.
    pub name: String,
    /// Points older than this are dropped; 0 keeps them for ever.
    pub duration_ns: i64,
    /// Range of time of one shard group.
    pub shard_group_duration_ns: i64,
    /// Number of copies wanted of each shard.
    pub replica_n: u32,
    /// Live and recently deleted groups, sorted by start; live ones never overlap.
    pub shard_groups: Vec<ShardGroup>,
    /// Who gets a copy of every write, in the order of creation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscriptions: Vec<Subscription>,
}

impl RetentionPolicy {
    /// The live group that `time_ns` falls into.
    pub fn shard_group_at(&self, time_ns: i64) -> Option<&ShardGroup> {
        self.live_shard_groups().find(|group| group.contains(time_ns))
    }

    /// Groups that have not been deleted.
    pub fn live_shard_groups(&self) -> impl DoubleEndedIterator<Item = &ShardGroup> {
        self.shard_groups.iter().filter(|group| group.deleted_at_ns.is_none())
    }

    /// The oldest time a point may carry at `now_ns`; older ones are beyond the retention policy.
    pub const fn oldest_kept_ns(&self, now_ns: i64) -> i64 {
        if self.duration_ns == 0 { i64::MIN } else { now_ns.saturating_sub(self.duration_ns) }
    }
}

/// Other servers that get a copy of what is written to a retention policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Unique within its policy.
    pub name: String,
    /// Whether every destination gets a copy, or one of them.
    pub mode: SubscriptionMode,
    /// URLs: `http`, `https` or `udp`, each with a port.
    pub destinations: Vec<String>,
}

/// To how many destinations each write of a subscription goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionMode {
    /// To every one.
    All,
    /// To one, in turn.
    Any,
}

/// A range of time of one retention policy, and its shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardGroup {
    /// Unique in the catalogue, never reused.
    pub id: u64,
    /// First time inside.
    pub start_ns: i64,
    /// First time after the end.
    pub end_ns: i64,
    /// When the group was marked deleted; its files go, the record stays a while so that late copies are known.
    pub deleted_at_ns: Option<i64>,
    /// When the group was cut short: it takes points before this only. Those behind it that were written before the cut
    /// was known everywhere are still in it, and are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated_at_ns: Option<i64>,
    /// A series lives in shard number FNV-1a 64(key) modulo the number of shards, which never changes: in the place of a
    /// shard that is dropped comes an empty one.
    pub shards: Vec<Shard>,
    /// Of a group that is written through the cluster's log: for each partition a place in it that was not beyond its end
    /// when the group was made, so that nothing of the group is before it. Shard number n is written through partition n.
    /// Empty for a group whose owners are written to directly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_starts: Vec<u64>,
}

impl ShardGroup {
    /// Whether `time_ns` is inside.
    pub const fn contains(&self, time_ns: i64) -> bool {
        self.start_ns <= time_ns && time_ns < self.cut_end_ns()
    }

    /// First time after what the group takes.
    pub const fn cut_end_ns(&self) -> i64 {
        match self.truncated_at_ns {
            Some(at_ns) if at_ns < self.end_ns => at_ns,
            _ => self.end_ns,
        }
    }

    /// Whether writes to the group go through the cluster's log.
    pub const fn is_logged(&self) -> bool {
        !self.log_starts.is_empty()
    }

    /// The partition of the log that one of its shards is written through, if it is.
    pub fn partition_of(&self, shard: u64) -> Option<u32> {
        let place = self.shards.iter().position(|it| it.id == shard).filter(|_| self.is_logged())?;
        u32::try_from(place).ok()
    }

    /// The shard that holds the series whose key hashes to `series_hash`.
    pub fn shard_for(&self, series_hash: u64) -> &Shard {
        &self.shards[(series_hash % self.shards.len() as u64) as usize]
    }
}

/// One shard and the nodes that own a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Unique in the catalogue, never reused.
    pub id: u64,
    /// Nodes that own a copy.
    pub owners: Vec<NodeId>,
    /// Owners that lack what was written before they became one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joining: Vec<NodeId>,
    /// The number of each of those, as they were added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joining_marks: Vec<u64>,
    /// Copies that went with nodes that were removed, and that no other node has been given yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u32,
}

impl Shard {
    /// Of these nodes, all of them whole.
    pub const fn new(id: u64, owners: Vec<NodeId>) -> Self {
        Self { id, owners, joining: Vec::new(), joining_marks: Vec::new(), lost: 0 }
    }

    /// The number under which a node is joining, for [`Command::ConfirmShardOwner`](crate::Command::ConfirmShardOwner). To be
    /// looked up before what it says is found out.
    pub fn joining_mark(&self, node: NodeId) -> Option<u64> {
        let place = self.joining.iter().position(|joining| *joining == node)?;
        self.joining_marks.get(place).copied()
    }

    /// Owners that have what was written before they became one.
    pub fn whole_owners(&self) -> impl Iterator<Item = NodeId> {
        self.owners.iter().copied().filter(|owner| !self.joining.contains(owner))
    }

    /// Whether a node owns a copy.
    pub fn is_owned_by(&self, node: NodeId) -> bool {
        self.owners.contains(&node)
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}
