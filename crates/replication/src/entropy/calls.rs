//! What owners of a shard ask each other: method names, questions and answers. Bodies are in `docs/formats/cells.md`.

use serde::{Deserialize, Serialize};
use skywatch_storage::Cursor;

/// The digest of a shard. Body of the answer: a digest, unless it is the one that is known.
pub const DIGEST: &str = "entropy.digest";
/// The classes of some buckets of time. Body of the answer: classes.
pub const CLASSES: &str = "entropy.classes";
/// Deletes that are remembered. Body of the answer: how many (varint), and each.
pub const DELETES: &str = "entropy.deletes";
/// Fields that are listed. Body of the answer: how many (varint), and each.
pub const FIELDS: &str = "entropy.fields";
/// Cells. Body of the answer: a batch of cells.
pub const FETCH: &str = "entropy.fetch";
/// The caller has something that the node lacks.
pub const DIFFERS: &str = "entropy.differs";
/// Asks a node to compare all its shards now, and whether it has.
pub const ROUND: &str = "entropy.round";
/// What differs, what is waiting, what is under way.
pub const STATUS: &str = "entropy.status";
/// Puts a shard in the queue.
pub const REPAIR: &str = "entropy.repair";
/// Takes a shard out of the queue, and ends its repair.
pub const KILL: &str = "entropy.kill";

/// Head of [`DIGEST`].
#[derive(Debug, Serialize, Deserialize)]
pub struct DigestQuestion {
    /// Which.
    pub shard: u64,
    /// The hash of the bytes of the digest that the caller has.
    #[serde(default)]
    pub known: Option<String>,
}

/// Answer to [`DIGEST`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DigestAnswer {
    /// Whether it is here at all.
    pub present: bool,
    /// Whether all of it has been read; if not, it will have been later.
    pub ready: bool,
    /// Whether it is what the caller knows.
    pub equal: bool,
    /// Whether everything that was acknowledged is here.
    pub whole: bool,
    /// About how large it is on disk; 0 from nodes of earlier releases.
    pub bytes: u64,
    /// Deletes of lower versions are not remembered any more; see the module `settle`.
    pub forgotten: u64,
    /// What tells the fields that are listed apart from others; empty from nodes of earlier releases.
    pub fields: String,
}

/// Asks a data node whether it has operations to send that are older than a version.
pub const FLOOR: &str = "entropy.floor";
/// Asks an owner which deletes it remembers that are older than a version.
pub const SETTLED: &str = "entropy.settled";
/// Tells an owner to forget deletes.
pub const FORGET: &str = "entropy.forget";

/// Head of [`FLOOR`].
#[derive(Debug, Serialize, Deserialize)]
pub struct FloorQuestion {
    /// The version.
    pub before: u64,
    /// The asker's clock.
    pub version: u64,
}

/// Answer to [`FLOOR`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FloorAnswer {
    /// That there is nothing, and will be nothing.
    pub clear: bool,
}

/// Head of [`SETTLED`] and [`FORGET`].
#[derive(Debug, Serialize, Deserialize)]
pub struct SettleQuestion {
    /// Which shard.
    pub shard: u64,
    /// The version.
    pub before: u64,
}

/// Answer to [`SETTLED`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SettledAnswer {
    /// Whether the owner has everything that was acknowledged, and keeps these deletes whatever becomes of its log.
    pub vouched: bool,
    /// What tells them apart from others.
    pub deletes: String,
}

/// Head of [`CLASSES`].
#[derive(Debug, Serialize, Deserialize)]
pub struct ClassesQuestion {
    /// Which.
    pub shard: u64,
    /// Numbers of buckets.
    pub buckets: Vec<i64>,
    /// Only cells of lower versions.
    pub before: u64,
}

/// Head of [`DELETES`].
#[derive(Debug, Serialize, Deserialize)]
pub struct DeletesQuestion {
    /// Which.
    pub shard: u64,
    /// How many have been answered before.
    #[serde(default)]
    pub skip: usize,
}

/// Answer to [`DELETES`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeletesAnswer {
    /// Whether these are the last.
    pub last: bool,
}

/// Head of [`FIELDS`].
#[derive(Debug, Serialize, Deserialize)]
pub struct FieldsQuestion {
    /// Which.
    pub shard: u64,
    /// How many have been answered before.
    #[serde(default)]
    pub skip: usize,
}

/// Answer to [`FIELDS`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FieldsAnswer {
    /// Whether these are the last.
    pub last: bool,
}

/// Head of [`FETCH`].
#[derive(Debug, Serialize, Deserialize)]
pub struct FetchQuestion {
    /// Which.
    pub shard: u64,
    /// First time.
    pub start: i64,
    /// Last time.
    pub end: i64,
    /// Classes of series, one bit each.
    pub classes: u32,
    /// Where to go on.
    #[serde(default)]
    pub after: Option<Cursor>,
    /// About how many bytes.
    pub bytes: usize,
}

/// Answer to [`FETCH`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FetchAnswer {
    /// Where to go on, unless these were the last.
    pub next: Option<Cursor>,
}

/// Names a shard; head of [`DIFFERS`], [`REPAIR`] and [`KILL`].
#[derive(Debug, Serialize, Deserialize)]
pub struct ShardQuestion {
    /// Which.
    pub shard: u64,
}

/// Whether there was something to do; answer to [`DIFFERS`], [`REPAIR`] and [`KILL`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DoneAnswer {
    /// Whether there was.
    pub done: bool,
}

/// Head of [`ROUND`].
#[derive(Debug, Serialize, Deserialize)]
pub struct RoundQuestion {
    /// A round that was asked for; `None` asks for one.
    #[serde(default)]
    pub round: Option<u64>,
}

/// Answer to [`ROUND`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RoundAnswer {
    /// The number of the round asked for.
    pub round: u64,
    /// Whether that round, or a later one, has ended with everything alike.
    pub done: bool,
    /// Whether it has ended otherwise.
    pub failed: bool,
}

/// Without content.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Nothing {}

/// Answer to [`STATUS`], and what `GET /shard-repair/status` says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RepairStatus {
    /// Shards that are not known to be alike at all owners.
    pub shards: Vec<ShardStatus>,
    /// Shards that wait for their repair.
    pub queued_shards: Vec<u64>,
    /// Shards that are being repaired.
    pub processing_shards: Vec<u64>,
}

/// A shard that is not known to be alike at all owners. Times are nanoseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ShardStatus {
    /// Its id.
    pub id: u64,
    /// Its database.
    pub database: String,
    /// Its policy.
    pub retention_policy: String,
    /// First time.
    pub start_time: i64,
    /// First time after the end.
    pub end_time: i64,
    /// When it is dropped; 0 for never.
    pub expires: i64,
    /// `diff`, `missing` or `repairing`.
    pub status: String,
    /// Why it cannot be repaired, if so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}
