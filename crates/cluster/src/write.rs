//! What a write asks for and how it may fail. The wording of the errors is InfluxDB 1.8's, since clients parse it.

use std::time::Duration;

use skywatch_model::line::Precision;
use skywatch_replication::log::PositionToken;
pub use skywatch_replication::{Consistency, InvalidConsistency};

/// One body of line protocol on its way in.
#[derive(Debug, Clone, Copy)]
pub struct WriteRequest<'a> {
    /// Database to write to; it must exist.
    pub database: &'a str,
    /// Retention policy; `None` or empty means the database's default.
    pub retention_policy: Option<&'a str>,
    /// Unit of the timestamps in the body.
    pub precision: Precision,
    /// Line protocol, any number of lines.
    pub body: &'a [u8],
    /// Nanoseconds since the epoch when the request arrived: the time of points that carry none.
    pub received_at_ns: i64,
    /// How many owners must have the points; a single server always reaches every level.
    pub consistency: Consistency,
}

/// Where a batch of points goes that did not come as line protocol.
#[derive(Debug, Clone, Copy)]
pub struct PointsRequest<'a> {
    /// Database to write to; it must exist.
    pub database: &'a str,
    /// Retention policy; `None` or empty means the database's default.
    pub retention_policy: Option<&'a str>,
    /// Nanoseconds since the epoch when the points arrived.
    pub received_at_ns: i64,
    /// See [`WriteRequest::consistency`].
    pub consistency: Consistency,
}

/// What a successful write did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteSummary {
    /// Points made durable.
    pub points: u64,
    /// Where they are in the cluster's log; empty for what did not go through it.
    pub position: PositionToken,
}

/// Why a write failed, wholly or in part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The database does not exist; nothing was written.
    #[error("database not found: \"{0}\"")]
    DatabaseNotFound(String),
    /// The retention policy does not exist; nothing was written.
    #[error("retention policy not found: {0}")]
    RetentionPolicyNotFound(String),
    /// No line of the body could be parsed; nothing was written. One `unable to parse` line per bad line.
    #[error("{0}")]
    Unparsable(String),
    /// Some points are durable, others were refused for good: sending them again would fail again.
    #[error("partial write: {reason} dropped={dropped}")]
    Partial {
        /// Why, one reason a line.
        reason: String,
        /// Points that parsed and were refused.
        dropped: u64,
        /// Points made durable.
        written: u64,
    },
    /// Memory for writes is full; the same request will succeed later. Points may have been written in part,
    /// which sending again does not harm.
    #[error("{reason}; retry after {retry_after_secs} s")]
    Overloaded {
        /// Which limit was reached.
        reason: String,
        /// Seconds to wait before the next try.
        retry_after_secs: u32,
    },
    /// More memory than the node may ever give to one write; nothing, or a part that may be written again, was
    /// written.
    #[error(
        "the write needs {needed_bytes} bytes of memory where {limit_bytes} are the most for one: \
         send it in smaller pieces, or raise memory-budget"
    )]
    TooLarge {
        /// What it needs.
        needed_bytes: u64,
        /// The most for one write.
        limit_bytes: u64,
    },
    /// A point is larger than a record of the cluster's log may be; the others may have been written.
    #[error("{0}")]
    PointTooLarge(String),
    /// The node is stopping.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The catalogue could not record a new shard group.
    #[error("cannot create a shard group")]
    Catalogue(#[source] skywatch_meta::HostError),
    /// A shard could not store its part.
    #[error("write failed: {0}")]
    Storage(String),
    /// Owners have some of the points, but not as many of them as the consistency level asks for.
    #[error("{}", below_level(*stored, reason))]
    BelowLevel {
        /// Owners that have stored them, of the shard that fared worst.
        stored: usize,
        /// Owners they are kept for.
        hinted: usize,
        /// Owners that would have had to store them.
        needed: usize,
        /// What went wrong first.
        reason: String,
    },
    /// The owners took too long; the points may be stored.
    #[error("timeout")]
    Timeout {
        /// How long they were waited for.
        after: Duration,
    },
}

/// InfluxDB's words: clients look for them.
fn below_level(stored: usize, reason: &str) -> String {
    if stored > 0 { "partial write".to_owned() } else { format!("write failed: {reason}") }
}

/// What a client should do about a failed write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteErrorClass {
    /// The request names something that does not exist (404).
    NotFound,
    /// The request can never succeed as it is (400).
    Caller,
    /// The same request will succeed later (503 with Retry-After).
    Retry,
    /// The server is at fault (500).
    Fatal,
}

impl WriteError {
    /// What the client should do; one place decides, the HTTP layer maps it to a status.
    pub const fn class(&self) -> WriteErrorClass {
        match self {
            Self::DatabaseNotFound(_) => WriteErrorClass::NotFound,
            Self::Unparsable(_) | Self::Partial { .. } | Self::TooLarge { .. } | Self::PointTooLarge(_) => {
                WriteErrorClass::Caller
            }
            Self::Overloaded { .. } | Self::ShuttingDown => WriteErrorClass::Retry,
            Self::RetentionPolicyNotFound(_)
            | Self::Catalogue(_)
            | Self::Storage(_)
            | Self::BelowLevel { .. }
            | Self::Timeout { .. } => WriteErrorClass::Fatal,
        }
    }
}
