//! The syntax tree of InfluxQL: one file per family of statements, [`Statement`] over all of them.
//!
//! The tree holds what was written, not what it means: names are not resolved, `GROUP BY time(...)` is still a call,
//! and parentheses stay. Absent names are `None`; a limit of zero means no limit, as in InfluxQL itself.

mod data;
mod database;
mod expr;
mod select;
mod show;
mod user;

pub use data::{Delete, DropMeasurement, DropSeries, DropShard};
pub use database::{
    AlterRetentionPolicy, CreateContinuousQuery, CreateDatabase, CreateRetentionPolicy, CreateSubscription,
    DropContinuousQuery, DropDatabase, DropRetentionPolicy, DropSubscription, RetentionPolicySpec,
    SubscriptionMode,
};
pub use expr::{BinaryExpr, BinaryOp, Call, DataType, Expr, RegexLiteral, VarRef, WildcardKind};
pub use select::{
    Explain, Field, Fill, GroupByTimeError, Measurement, MeasurementName, Select, SortField, Source, Target,
    TimeZone,
};
pub use show::{
    KillQuery, Show, ShowCardinality, ShowDiagnostics, ShowFieldKeys, ShowGrants, ShowMeasurements,
    ShowRetentionPolicies, ShowSeries, ShowStats, ShowTagKeys, ShowTagValues, ShowTagValuesCardinality,
    TagKeyFilter,
};
pub use user::{CreateUser, DropUser, Grant, GrantAdmin, Privilege, Revoke, RevokeAdmin, SetPassword};

/// The statements of one query text, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    /// May be empty: an empty text is a valid query.
    pub statements: Vec<Statement>,
}

/// One InfluxQL statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `SELECT ...`
    Select(Box<Select>),
    /// `EXPLAIN [ANALYZE] SELECT ...`
    Explain(Explain),
    /// `DELETE ...`: points of series, by time and tags.
    Delete(Delete),
    /// `DROP SERIES ...`
    DropSeries(DropSeries),
    /// `DROP MEASUREMENT ...`
    DropMeasurement(DropMeasurement),
    /// `DROP SHARD ...`
    DropShard(DropShard),
    /// `CREATE DATABASE ...`
    CreateDatabase(CreateDatabase),
    /// `DROP DATABASE ...`
    DropDatabase(DropDatabase),
    /// `CREATE RETENTION POLICY ...`
    CreateRetentionPolicy(CreateRetentionPolicy),
    /// `ALTER RETENTION POLICY ...`
    AlterRetentionPolicy(AlterRetentionPolicy),
    /// `DROP RETENTION POLICY ...`
    DropRetentionPolicy(DropRetentionPolicy),
    /// `CREATE CONTINUOUS QUERY ...`
    CreateContinuousQuery(CreateContinuousQuery),
    /// `DROP CONTINUOUS QUERY ...`
    DropContinuousQuery(DropContinuousQuery),
    /// `CREATE SUBSCRIPTION ...`
    CreateSubscription(CreateSubscription),
    /// `DROP SUBSCRIPTION ...`
    DropSubscription(DropSubscription),
    /// `CREATE USER ...`
    CreateUser(CreateUser),
    /// `DROP USER ...`
    DropUser(DropUser),
    /// `SET PASSWORD FOR ...`
    SetPassword(SetPassword),
    /// `GRANT ... ON ... TO ...`
    Grant(Grant),
    /// `GRANT ALL PRIVILEGES TO ...`
    GrantAdmin(GrantAdmin),
    /// `REVOKE ... ON ... FROM ...`
    Revoke(Revoke),
    /// `REVOKE ALL PRIVILEGES FROM ...`
    RevokeAdmin(RevokeAdmin),
    /// `KILL QUERY ...`
    KillQuery(KillQuery),
    /// `SHOW ...`
    Show(Show),
}
