//! The replicated log that writes go through where a cluster has one: what is asked of it, whoever keeps it.
//!
//! A log has partitions; what is appended to one gets the next offset there and keeps it. Everybody who reads a partition
//! reads the same records in the same order, so that owners who have read equally far hold the same cells. Its implementation
//! for Apache Kafka is in `skywatch-kafka`; tests and the simulation use [`MemoryLog`].
//!
//! ```text
//! client ── LogPath::write ── log ─┬─ LogPath::run (this node) ── Owner ── shards
//!                                  └─ LogPath::run (another)   ── Owner ── shards
//! ```

mod applying;
mod calls;
mod memory;
mod path;
mod peers;
mod positions;
mod progress;
mod sending;
mod token;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

pub use calls::{LagAnswer, PartitionLag};
pub use memory::{Fate, MemoryLog};
pub use path::{LogPath, LogSettings, LogStats};
pub use peers::lag_of;
pub use positions::positions_in;
pub use sending::LogPart;
pub use token::{InvalidToken, PositionToken};

/// A place in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Which partition, from 0.
    pub partition: u32,
    /// How many records of it are before this place.
    pub offset: u64,
}

/// What is to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// To which partition.
    pub partition: u32,
    /// What consumers get.
    pub body: Bytes,
}

/// What was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it is.
    pub position: Position,
    /// When it was appended, by the log's clock (or its producer's); milliseconds since the epoch.
    pub appended_ms: u64,
    /// Its key, if its producer gave it one.
    pub key: Option<Bytes>,
    /// What it says.
    pub body: Bytes,
}

/// Why records were not, or may not have been, appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// There is no room for them at the moment, or the log is known to be out of reach: none of them is in it.
    #[error("{reason}")]
    Unavailable {
        /// What is wrong, in words for the client.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// Some may be in the log and others not: appending all of them again is safe, since they carry their versions.
    #[error("{reason}")]
    InDoubt {
        /// What is wrong, in words for the client.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// One of them is larger than any record may be.
    #[error("{0}")]
    TooLarge(String),
    /// The log will never take them: they are too large, or this node may not write to it.
    #[error("{0}")]
    Refused(String),
}

/// Why a log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It cannot be reached now; reading goes on by itself when it can.
    #[error("the log cannot be reached: {0}")]
    Unavailable(String),
    /// Records from this offset on are wanted, and the log keeps only later ones: what lies between is lost to this reader.
    #[error("partition {} begins at offset {first}, and {} is wanted: the records between are gone", wanted.partition, wanted.offset)]
    Expired {
        /// What was asked for.
        wanted: Position,
        /// What is there.
        first: u64,
    },
    /// It will not get better by itself.
    #[error("{0}")]
    Refused(String),
}

/// A log that writes go through.
#[async_trait]
pub trait WriteLog: Send + Sync + fmt::Debug {
    /// How many partitions it has. It may grow while the node runs, and never shrinks.
    fn partitions(&self) -> u32;

    /// The largest body of a record.
    fn body_bytes_max(&self) -> usize;

    /// Appends records, and returns where each is when the log has made all of them durable, on as many of its nodes as it
    /// was told to.
    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>, AppendError>;

    /// The places after the last records of all partitions, as the log says now.
    async fn ends(&self) -> Result<Vec<Position>, ReadError>;

    /// Puts a record that cannot be applied where somebody will look at it, with the reason.
    async fn set_aside(&self, record: &Record, reason: &str) -> Result<(), AppendError>;

    /// A reader of its own, which reads nothing yet.
    fn reader(&self) -> Result<Box<dyn LogReader>, ReadError>;
}

/// Reads partitions of a log. Blocks.
pub trait LogReader: Send + fmt::Debug {
    /// Reads these partitions from these places from now on, and no others. Partitions that were read before and are at the
    /// same place go on undisturbed.
    fn assign(&mut self, from: &[Position]) -> Result<(), ReadError>;

    /// What comes next: waits for something at most `patience`; returns at most about `bytes` of bodies at once.
    fn poll(&mut self, patience: Duration, bytes: usize) -> Result<Read, ReadError>;
}

/// What a reader got.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Read {
    /// Of each partition in order.
    pub records: Vec<Record>,
    /// For partitions that are read: the place after the last record of it in the log, as far as the reader has heard. A
    /// partition that is not named has told nothing new.
    pub ends: Vec<Position>,
    /// Partitions of which nothing can be read, and why.
    pub problems: Vec<(u32, ReadError)>,
}
