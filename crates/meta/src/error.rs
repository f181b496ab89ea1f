//! Why a command on the catalogue was refused. The wording is InfluxDB 1.8's, since clients parse it.

/// Why a command was refused; the catalogue is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
}
