//! Databases, retention policies, continuous queries, subscriptions. Durations are in nanoseconds; 0 is forever.

use super::Select;

/// `CREATE DATABASE name [WITH ...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateDatabase {
    /// Its name.
    pub name: String,
    /// The `WITH` clause; describes the default retention policy.
    pub retention_policy: Option<RetentionPolicySpec>,
}

/// `WITH [DURATION d] [REPLICATION n] [SHARD DURATION d] [NAME name]`; at least one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RetentionPolicySpec {
    /// How long data is kept, ns; 0 is forever.
    pub duration: Option<i64>,
    /// Number of copies.
    pub replication: Option<u32>,
    /// Time covered by one shard group, ns; 0 lets the server choose.
    pub shard_duration: Option<i64>,
    /// Its name.
    pub name: Option<String>,
}

/// `DROP DATABASE name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropDatabase {
    /// Its name.
    pub name: String,
}

/// `CREATE RETENTION POLICY name ON database DURATION d REPLICATION n [SHARD DURATION d] [DEFAULT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRetentionPolicy {
    /// Its name.
    pub name: String,
    /// Of which database.
    pub database: String,
    /// How long data is kept, ns; 0 is forever.
    pub duration: i64,
    /// Number of copies.
    pub replication: u32,
    /// Time covered by one shard group, ns; 0 lets the server choose.
    pub shard_duration: i64,
    /// Becomes the database's default.
    pub default: bool,
}

/// `ALTER RETENTION POLICY name ON database ...`: at least one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterRetentionPolicy {
    /// Its name.
    pub name: String,
    /// Of which database.
    pub database: String,
    /// How long data is kept, ns; 0 is forever.
    pub duration: Option<i64>,
    /// Number of copies.
    pub replication: Option<u32>,
    /// Time covered by one shard group, ns.
    pub shard_duration: Option<i64>,
    /// Becomes the database's default.
    pub default: bool,
}

/// `DROP RETENTION POLICY name ON database`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropRetentionPolicy {
    /// Its name.
    pub name: String,
    /// Of which database.
    pub database: String,
}

/// `CREATE CONTINUOUS QUERY name ON database [RESAMPLE [EVERY d] [FOR d]] BEGIN select END`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateContinuousQuery {
    /// Its name.
    pub name: String,
    /// In which database it runs.
    pub database: String,
    /// How often it runs, ns; `None` is every `GROUP BY time` interval.
    pub resample_every: Option<i64>,
    /// How far back it looks, ns.
    pub resample_for: Option<i64>,
    /// A `SELECT ... INTO` that groups by time.
    pub select: Box<Select>,
}

/// `DROP CONTINUOUS QUERY name ON database`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropContinuousQuery {
    /// Its name.
    pub name: String,
    /// In which database.
    pub database: String,
}

/// To how many destinations a subscription sends each write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubscriptionMode {
    /// To every one.
    All,
    /// To one, in turn.
    Any,
}

/// `CREATE SUBSCRIPTION name ON database.policy DESTINATIONS ALL|ANY 'url', ...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateSubscription {
    /// Its name.
    pub name: String,
    /// Which database's writes.
    pub database: String,
    /// Which retention policy's writes.
    pub retention_policy: String,
    /// All or any.
    pub mode: SubscriptionMode,
    /// URLs.
    pub destinations: Vec<String>,
}

/// `DROP SUBSCRIPTION name ON database.policy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropSubscription {
    /// Its name.
    pub name: String,
    /// Of which database.
    pub database: String,
    /// Of which retention policy.
    pub retention_policy: String,
}
