//! InfluxQL 1.8: text -> syntax tree -> text. Pure: no I/O, no clock.
//!
//! [`parse_query`] reads statements, [`Statement`]'s `Display` writes InfluxDB's canonical text, which parses back to
//! the same tree. What a statement means (which functions exist, which fields a measurement has) is the query
//! engine's business; what the text says, wording and position of syntax errors included, is decided here.

mod ast;

pub use ast::{
    AlterRetentionPolicy, BinaryExpr, BinaryOp, Call, CreateContinuousQuery, CreateDatabase,
    CreateRetentionPolicy, CreateSubscription, CreateUser, DataType, Delete, DropContinuousQuery,
    DropDatabase, DropMeasurement, DropRetentionPolicy, DropSeries, DropShard, DropSubscription, DropUser,
    Explain, Expr, Field, Fill, Grant, GrantAdmin, KillQuery, Measurement, MeasurementName, Privilege, Query,
    RegexLiteral, RetentionPolicySpec, Revoke, RevokeAdmin, Select, SetPassword, Show, ShowCardinality,
    ShowDiagnostics, ShowFieldKeys, ShowGrants, ShowMeasurements, ShowRetentionPolicies, ShowSeries,
    ShowStats, ShowTagKeys, ShowTagValues, ShowTagValuesCardinality, SortField, Source, Statement,
    SubscriptionMode, TagKeyFilter, Target, TimeZone, VarRef, WildcardKind,
};
