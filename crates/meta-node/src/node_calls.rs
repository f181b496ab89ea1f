//! What a meta node asks of data nodes on 8088, beside what their seat answers
//! ([`seat`](skywatch_replication::seat)).
//!
//! What a data node has to do when the catalogue changes (remove a shard that it owns no more, forget what it kept for a
//! node that is gone) it does when it sees the catalogue change: nobody calls.

use serde::{Deserialize, Serialize};

/// Asks for the shards on a node's disk.
pub const LIST_SHARDS: &str = "node.list_shards";
/// Asks an owner to get a shard that it lacks from another, now.
pub const COPY_START: &str = "copy.start";
/// Asks for the copies to a node that are under way.
pub const COPY_STATUS: &str = "copy.status";
/// Asks a node to give a copy up.
pub const COPY_KILL: &str = "copy.kill";

/// Head of calls that ask for everything.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct All {}

/// Answer to [`LIST_SHARDS`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ListedShards {
    /// One for each shard directory.
    pub shards: Vec<ListedShard>,
}

/// A shard on a node's disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListedShard {
    /// Which.
    pub id: u64,
    /// Whether nothing is left to be done for it: all is on disk and merged.
    pub is_cold: bool,
    /// When it was last written to, nanoseconds since 1970.
    pub modified_ns: i64,
    /// Bytes on disk.
    pub bytes: u64,
    /// What is wrong with it, if anything.
    pub error: String,
}

/// Head of [`COPY_START`] and [`COPY_KILL`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Copy {
    /// The shard.
    pub shard: u64,
    /// `host:port` of the node to copy from; empty for any.
    pub source: String,
}

/// Answer to [`COPY_START`] and [`COPY_KILL`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    /// Whether there was something to do.
    pub done: bool,
}

/// Answer to [`COPY_STATUS`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Copies {
    /// One for each.
    pub copies: Vec<CopyStatus>,
}

/// A copy under way; an element of what `GET /copy-shard-status` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct CopyStatus {
    /// `host:port` of the node that has the shard.
    pub source: String,
    /// `host:port` of the node that gets it.
    pub dest: String,
    /// Its database.
    pub database: String,
    /// Its policy.
    pub policy: String,
    /// The shard.
    pub shard_id: u64,
    /// Bytes there are.
    pub total_size: u64,
    /// Bytes that have arrived.
    pub current_size: u64,
    /// When it began, nanoseconds since 1970.
    pub started_at: i64,
}
