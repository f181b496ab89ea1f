//! Copying databases out of a node and into one.
//!
//! [`Backups`] is what both sides of the conversation see: the node implements it, and so does a client that reaches
//! a node over the network, so that whoever copies does not care where the node is. A conversation is a *session*:
//! a backup session holds the files of a moment, a restore session gathers files until they become a database.
//! Sessions are few and end by themselves when nobody uses them.

mod checksum;
mod desk;
mod export;
mod import;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skywatch_meta::Database;
use skywatch_model::TimeRange;

pub use checksum::{Checksum, Hasher};
pub(crate) use desk::Desk;

/// Names a session.
pub type SessionId = String;

/// Bytes handed over at once when a file is read.
pub const PIECE_BYTES: usize = 256 << 10;

/// What a backup session holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Listing {
    /// To name in what follows.
    pub session: SessionId,
    /// The databases with their policies and live shard groups.
    pub databases: Vec<Database>,
    /// Files of their shards. A shard that was never written to is not among them.
    pub shards: Vec<ShardListing>,
    /// The node's number in its cluster, where others hold the other shards; none of a single server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<u64>,
    /// Shards that the node owns and does not hold all of, which are not among the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<u64>,
    /// Of a whole cluster: shards that no node which answers holds all of, and why; they are not among the others either.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unheld: BTreeMap<u64, String>,
}

/// The files of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardListing {
    /// The shard's id where it comes from.
    pub id: u64,
    /// All of them.
    pub files: Vec<FileListing>,
    /// Names of files that are missing or unreadable on the node: the copy will be as damaged as the original.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
}

/// A file that can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileListing {
    /// Unique within the shard.
    pub name: String,
    /// Length.
    pub size_bytes: u64,
}

/// The files of a shard, checksums known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardCopy {
    /// The shard's id where it comes from.
    pub id: u64,
    /// All of them.
    pub files: Vec<FileCopy>,
    /// See [`ShardListing::damaged`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
}

/// A file, its checksum known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCopy {
    /// Unique within the shard.
    pub name: String,
    /// Length.
    pub size_bytes: u64,
    /// Of the whole.
    pub checksum: Checksum,
}

/// A database to be made of files that will be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePlan {
    /// Under the name it is to have; shards by the ids that `shards` and [`FileRef`]s use.
    pub database: Database,
    /// What will be sent.
    pub shards: Vec<ShardCopy>,
    /// Points of other times are left out, though they are in the files; none are if this is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
}

/// Times of points, as JSON: nanoseconds since the epoch, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// The first.
    pub start_ns: i64,
    /// The last.
    pub end_ns: i64,
}

impl Times {
    /// The same as a range.
    pub const fn range(self) -> TimeRange {
        TimeRange::new(self.start_ns, self.end_ns)
    }
}

impl From<TimeRange> for Times {
    fn from(range: TimeRange) -> Self {
        Self { start_ns: range.start, end_ns: range.end }
    }
}

/// A file of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRef<'a> {
    /// The session.
    pub session: &'a str,
    /// The shard's id in the session.
    pub shard: u64,
    /// The file's name.
    pub name: &'a str,
}

/// Takes a file's bytes piece by piece; an error ends the reading.
pub type ByteSink<'a> = &'a mut dyn FnMut(&[u8]) -> std::io::Result<()>;

/// Why a step of a backup or a restore failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// No database of that name.
    #[error("database not found: {0}")]
    DatabaseNotFound(String),
    /// A restore never touches what exists.
    #[error("database \"{0}\" exists already; restore it under another name with --new-db, or drop it first")]
    DatabaseExists(String),
    /// Ended, expired, or of an earlier life of the server.
    #[error("session {0} does not exist (it may have expired, or the server was restarted); begin again")]
    NoSession(String),
    /// As many as there may be are under way.
    #[error("{0} sessions are under way already; wait until one has ended")]
    TooManySessions(usize),
    /// The session has no such file.
    #[error("the session has no file {name} of shard {shard}")]
    NoFile {
        /// The shard.
        shard: u64,
        /// The file.
        name: String,
    },
    /// A piece does not follow the one before.
    #[error("{name} continues at byte {expected}, not at {found}")]
    WrongOffset {
        /// The file.
        name: String,
        /// Where the next piece begins.
        expected: u64,
        /// Where the piece sent begins.
        found: u64,
    },
    /// What arrived is not what was announced.
    #[error("{name} of shard {shard} has checksum {found}, expected {expected}: it was damaged on its way")]
    Checksum {
        /// The shard.
        shard: u64,
        /// The file.
        name: String,
        /// As announced.
        expected: Checksum,
        /// Of what arrived.
        found: Checksum,
    },
    /// Files are missing, or contradict each other.
    #[error("{0}")]
    Inconsistent(String),
    /// The node cannot store or read.
    #[error("{0}")]
    Storage(String),
    /// The other side cannot be reached, or the conversation broke off.
    #[error("{0}")]
    Unreachable(String),
    /// The other side refused, in its words.
    #[error("{0}")]
    Refused(String),
    /// The receiver of bytes gave up.
    #[error("cannot pass on what was read: {0}")]
    Sink(#[source] std::io::Error),
}

/// Who can be backed up and restored to. Every call may block.
pub trait Backups: Send + Sync {
    /// Whether somebody is there, found out in a few seconds; [`BackupError::Unreachable`] if nobody has said so by then, which a node
    /// under load may fail to do. A node of this process is there.
    fn probe(&self) -> Result<(), BackupError> {
        Ok(())
    }

    /// Begins a backup of some databases (of all, if none is named) as of now: every write acknowledged before is in it.
    fn begin_backup(&self, databases: &[String]) -> Result<Listing, BackupError>;

    /// Reads a whole file, in pieces of [`PIECE_BYTES`] at most.
    fn read_file(&self, file: FileRef<'_>, sink: ByteSink<'_>) -> Result<(), BackupError>;

    /// Checksum of a file.
    fn checksum(&self, file: FileRef<'_>) -> Result<Checksum, BackupError>;

    /// Lets the files go.
    fn end_backup(&self, session: &str) -> Result<(), BackupError>;

    /// Begins to gather the files of a new database.
    fn begin_restore(&self, plan: &RestorePlan) -> Result<SessionId, BackupError>;

    /// The next piece of a file, which begins at `offset`. With the last one the file is checked and made durable; one
    /// that fails the check may be sent again from its beginning.
    fn put(&self, file: FileRef<'_>, offset: u64, bytes: &[u8]) -> Result<(), BackupError>;

    /// Makes the database of what was sent; it is there with all its points, or not at all.
    fn commit_restore(&self, session: &str) -> Result<(), BackupError>;

    /// Forgets what was sent.
    fn abort_restore(&self, session: &str) -> Result<(), BackupError>;
}

impl Backups for crate::Node {
    fn begin_backup(&self, databases: &[String]) -> Result<Listing, BackupError> {
        self.core.begin_backup(databases)
    }

    fn read_file(&self, file: FileRef<'_>, sink: ByteSink<'_>) -> Result<(), BackupError> {
        self.core.read_file(file, sink)
    }

    fn checksum(&self, file: FileRef<'_>) -> Result<Checksum, BackupError> {
        self.core.checksum(file)
    }

    fn end_backup(&self, session: &str) -> Result<(), BackupError> {
        self.core.end_backup(session)
    }

    fn begin_restore(&self, plan: &RestorePlan) -> Result<SessionId, BackupError> {
        self.core.begin_restore(plan)
    }

    fn put(&self, file: FileRef<'_>, offset: u64, bytes: &[u8]) -> Result<(), BackupError> {
        self.core.put(file, offset, bytes)
    }

    fn commit_restore(&self, session: &str) -> Result<(), BackupError> {
        self.core.commit_restore(session)
    }

    fn abort_restore(&self, session: &str) -> Result<(), BackupError> {
        self.core.abort_restore(session)
    }
}

#[cfg(test)]
mod tests;
