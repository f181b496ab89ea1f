//! What nodes ask each other to copy a shard's files: method names, questions and answers.

use serde::{Deserialize, Serialize};

/// Pins the files of a shard.
pub const BEGIN: &str = "copy.begin";
/// Part of a pinned file. Body of the answer: its bytes.
pub const CHUNK: &str = "copy.chunk";
/// Asks what the source has of a file, in hashes, so that what has arrived of it earlier need not come again.
pub const SUMS: &str = "copy.sums";
/// Lets go of the files.
pub const END: &str = "copy.end";
/// Asks an owner that is joining to copy now, from a certain node first.
pub const START: &str = "copy.start";
/// Copies under way to this node.
pub const STATUS: &str = "copy.status";
/// Ends a copy to this node, which gives up the shard if it was joining.
pub const KILL: &str = "copy.kill";

/// Head of [`BEGIN`].
#[derive(Debug, Serialize, Deserialize)]
pub struct BeginQuestion {
    /// The shard.
    pub shard: u64,
}

/// Answer to [`BEGIN`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BeginAnswer {
    /// Names what is pinned.
    pub session: u64,
    /// First time the shard is for.
    pub start: i64,
    /// Last time.
    pub end: i64,
    /// What there is to fetch.
    pub files: Vec<FileEntry>,
    /// Files that are missing or damaged at the source.
    pub damaged: Vec<String>,
}

/// A file of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// Head of [`CHUNK`].
#[derive(Debug, Serialize, Deserialize)]
pub struct ChunkQuestion {
    /// What is pinned.
    pub session: u64,
    /// Of which file.
    pub name: String,
    /// From where.
    pub offset: u64,
    /// How much at most.
    pub bytes: u64,
}

/// Answer to [`CHUNK`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ChunkAnswer {
    /// CRC-32C of the body.
    pub crc: u32,
}

/// Head of [`SUMS`].
#[derive(Debug, Serialize, Deserialize)]
pub struct SumsQuestion {
    /// What is pinned.
    pub session: u64,
    /// Of which file.
    pub name: String,
    /// Of how much of its beginning.
    pub bytes: u64,
    /// Length of a block.
    pub block: u64,
    /// The first block.
    pub first: u64,
    /// How many at most.
    pub count: usize,
}

/// Answer to [`SUMS`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SumsAnswer {
    /// One for each block (XXH3, 64 bits); the last one may be shorter.
    pub sums: Vec<u64>,
}

/// Head of [`END`].
#[derive(Debug, Serialize, Deserialize)]
pub struct EndQuestion {
    /// What is pinned.
    pub session: u64,
}

/// Head of [`START`] and [`KILL`].
#[derive(Debug, Serialize, Deserialize)]
pub struct CopyQuestion {
    /// The shard.
    pub shard: u64,
    /// `host:port` of the node to copy from; empty for any.
    #[serde(default)]
    pub source: String,
}

/// Whether there was something to do.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DoneAnswer {
    /// Whether there was.
    pub done: bool,
}

/// Answer to [`START`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StartAnswer {
    /// Whether there was something to do.
    pub done: bool,
    /// See [`CopyStatus::trouble`].
    pub trouble: String,
}

/// Answer to [`STATUS`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusAnswer {
    /// One for each copy under way.
    pub copies: Vec<CopyStatus>,
}

/// A copy under way; an element of what `copy-shard-status` shows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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
    /// When it began, in nanoseconds since 1970.
    pub started_at: i64,
    /// Why it does not get on, if it does not: no owner that has all of the shard could be copied from the last time.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trouble: String,
}

/// Without content.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Nothing {}
