//! What the query engine asks of the rest of the node: the catalogue, shard snapshots and schema changes.
//!
//! The engine neither knows where shards live nor how the catalogue is replicated; an implementer answers from
//! what this node holds, and blocks until it can. Names are exact, never empty, unless stated otherwise.

mod administration;
mod cluster;

use std::{fmt, sync::Arc};

pub use administration::{Administration, ContinuousQueryInfo, GrantInfo, SubscriptionInfo, UserInfo};
pub use cluster::{ClusterNode, ClusterView};
use skywatch_model::{TimeRange, line::PointBatch};
use skywatch_storage::{ReadError, ShardRead, TagPredicate, WriteError};

use crate::Reading;

/// A retention policy as `SHOW RETENTION POLICIES` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPolicyInfo {
    /// Unique within its database.
    pub name: String,
    /// How long points are kept, in nanoseconds; 0 keeps them for ever.
    pub duration_ns: i64,
    /// Range of time of one shard group, in nanoseconds.
    pub shard_group_duration_ns: i64,
    /// Number of copies of each shard.
    pub replica_n: u32,
    /// Whether queries and writes that name no policy use this one.
    pub is_default: bool,
}

/// A live shard group as `SHOW SHARDS` and `SHOW SHARD GROUPS` list it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardGroupInfo {
    /// Its number.
    pub id: u64,
    /// Its database.
    pub database: String,
    /// Its retention policy.
    pub retention_policy: String,
    /// First nanosecond.
    pub start_ns: i64,
    /// First nanosecond after it.
    pub end_ns: i64,
    /// How long points are kept, in nanoseconds; 0 keeps them for ever.
    pub retention_ns: i64,
    /// Its shards.
    pub shards: Vec<ShardInfo>,
}

/// A shard as `SHOW SHARDS` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardInfo {
    /// Its number.
    pub id: u64,
    /// Numbers of the nodes that hold it; none on a server that is no cluster, as in InfluxDB.
    pub owners: Vec<u64>,
}

/// Settings of a retention policy to create; `None` leaves the choice to the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewRetentionPolicy {
    /// Name; `None` (only in `CREATE DATABASE`) means the default name `autogen`.
    pub name: Option<String>,
    /// 0 keeps points for ever, in nanoseconds.
    pub duration_ns: Option<i64>,
    /// In nanoseconds; `None` or 0 derives it from the duration.
    pub shard_group_duration_ns: Option<i64>,
    /// Number of copies; `None` means 1.
    pub replica_n: Option<u32>,
    /// Whether it becomes the default policy of its database.
    pub make_default: bool,
}

/// What `ALTER RETENTION POLICY` changes; `None` leaves as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RetentionPolicyUpdate {
    /// See [`NewRetentionPolicy::duration_ns`].
    pub duration_ns: Option<i64>,
    /// See [`NewRetentionPolicy::shard_group_duration_ns`].
    pub shard_group_duration_ns: Option<i64>,
    /// See [`NewRetentionPolicy::replica_n`].
    pub replica_n: Option<u32>,
    /// Make it the default policy of its database.
    pub make_default: bool,
}

/// What `DELETE` and `DROP SERIES` remove from a database.
#[derive(Debug, Clone)]
pub struct DeleteRequest {
    /// Only from this retention policy; `None`, which is all that InfluxQL can say, removes from every one.
    pub retention_policy: Option<String>,
    /// Measurements, already expanded from regexes; only those that exist.
    pub measurements: Vec<Arc<str>>,
    /// Series concerned.
    pub predicate: TagPredicate,
    /// Times concerned, both ends inclusive; [`TimeRange::ALL`] removes the series from the index too.
    pub range: TimeRange,
}

/// The node, seen by the query engine.
pub trait Backend: Administration + Send + Sync + fmt::Debug {
    /// Names of all databases, in the order they were created.
    fn databases(&self) -> Result<Vec<String>, BackendError>;

    /// Retention policies of a database, in the order they were created;
    /// [`BackendError::DatabaseNotFound`] without the database.
    fn retention_policies(&self, database: &str) -> Result<Vec<RetentionPolicyInfo>, BackendError>;

    /// A snapshot of every live shard whose range overlaps `range`, sorted by range, in an order that does not
    /// change between calls; where this node does not hold them, of other nodes, as `reading` says. A series lies in at most one of the shards that cover a given time.
    fn shards(
        &self,
        database: &str,
        retention_policy: &str,
        range: TimeRange,
        reading: &Reading,
    ) -> Result<Vec<Arc<dyn ShardRead>>, BackendError>;

    /// Creates a database. Without a `policy` it gets the catalogue's default one. Creating it again with the
    /// same settings is no error; with others it is [`BackendError::RetentionPolicyConflict`].
    fn create_database(&self, name: &str, policy: Option<&NewRetentionPolicy>) -> Result<(), BackendError>;

    /// Removes a database and its data; an unknown one is no error, as in InfluxDB.
    fn drop_database(&self, name: &str) -> Result<(), BackendError>;

    /// Adds a retention policy; again with the same settings is no error.
    fn create_retention_policy(
        &self,
        database: &str,
        policy: &NewRetentionPolicy,
    ) -> Result<(), BackendError>;

    /// Changes a retention policy.
    fn alter_retention_policy(
        &self,
        database: &str,
        name: &str,
        update: &RetentionPolicyUpdate,
    ) -> Result<(), BackendError>;

    /// Removes a retention policy and its data; an unknown one is no error, as in InfluxDB.
    fn drop_retention_policy(&self, database: &str, name: &str) -> Result<(), BackendError>;

    /// Removes a measurement from every retention policy of a database.
    fn drop_measurement(&self, database: &str, measurement: &str) -> Result<(), BackendError>;

    /// Removes points, or whole series, from a database.
    fn delete(&self, database: &str, request: &DeleteRequest) -> Result<(), BackendError>;

    /// Removes a shard and its points; an unknown one is no error, as in InfluxDB.
    fn drop_shard(&self, id: u64) -> Result<(), BackendError>;

    /// Shard groups of all databases, by database and retention policy in the order these were created, and by time.
    fn shard_groups(&self) -> Result<Vec<ShardGroupInfo>, BackendError> {
        Err(BackendError::Unsupported("SHOW SHARDS"))
    }

    /// The cluster that the node is a member of; `None` for a single server.
    fn cluster(&self) -> Option<&dyn ClusterView> {
        None
    }

    /// Stores points as any other write: `Ok` means that all of them are durable, an error may leave some stored, and
    /// writing the same again does no harm.
    fn write(
        &self,
        _database: &str,
        _retention_policy: &str,
        _points: &PointBatch<'_>,
    ) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("SELECT INTO"))
    }
}

/// Why the node refused; the wording is InfluxDB 1.8's, since clients parse it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// No such database.
    #[error("database not found: {0}")]
    DatabaseNotFound(String),
    /// No such retention policy.
    #[error("retention policy not found: {0}")]
    RetentionPolicyNotFound(String),
    /// No such measurement.
    #[error("measurement not found: {0}")]
    MeasurementNotFound(String),
    /// The policy exists with other settings.
    #[error("retention policy already exists")]
    RetentionPolicyExists,
    /// `CREATE DATABASE ... WITH` names settings that differ from those of the existing database.
    #[error("retention policy conflicts with an existing policy")]
    RetentionPolicyConflict,
    /// Shorter than the shortest retention.
    #[error("retention policy duration must be at least 1h0m0s")]
    RetentionPolicyDurationTooLow,
    /// Retention shorter than one shard group.
    #[error("retention policy duration must be greater than the shard duration")]
    IncompatibleDurations,
    /// Replication factor of zero.
    #[error("replication factor must be greater than 0")]
    ReplicationFactorTooLow,
    /// The name cannot be used.
    #[error("invalid name")]
    InvalidName,
    /// Another continuous query of that name exists.
    #[error("continuous query already exists")]
    ContinuousQueryExists,
    /// A subscription of that name exists.
    #[error("subscription already exists")]
    SubscriptionExists,
    /// No such subscription.
    #[error("subscription not found")]
    SubscriptionNotFound,
    /// No URL that writes can be forwarded to.
    #[error("invalid subscription URL: {0}")]
    InvalidSubscriptionUrl(String),
    /// A user needs a name.
    #[error("username required")]
    UsernameRequired,
    /// A user of that name exists.
    #[error("user already exists")]
    UserExists,
    /// No such user.
    #[error("user not found")]
    UserNotFound,
    /// The password cannot be used; the text tells why.
    #[error("{0}")]
    Password(String),
    /// The node does not do this.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// The catalogue refused or could not be reached; the text tells why.
    #[error("{0}")]
    Catalogue(String),
    /// Stored data could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Points that were written were refused for good, in the words of a write's answer.
    #[error("{0}")]
    PointsRefused(String),
    /// There is no room for points now; the same write will succeed later.
    #[error("{0}")]
    Overloaded(String),
    /// The points could not be stored through the server's fault.
    #[error("{0}")]
    WriteFailed(String),
    /// The delete could not be made durable. What of it was is known only when it has been repeated.
    #[error(transparent)]
    Delete(WriteError),
}
