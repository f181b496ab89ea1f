//! InfluxQL 1.8: text -> syntax tree -> text. Pure: no I/O, no clock.
//!
//! [`parse_query`] reads statements, [`Statement`]'s `Display` writes InfluxDB's canonical text, which parses back to
//! the same tree. What a statement means (which functions exist, which fields a measurement has) is the query
//! engine's business; what the text says, wording and position of syntax errors included, is decided here.

mod ast;
mod condition;
mod display;
mod duration;
mod error;
mod lex;
mod params;
mod parse;
mod regex;
mod time;
mod token;

pub use ast::{
    AlterRetentionPolicy, BinaryExpr, BinaryOp, Call, CreateContinuousQuery, CreateDatabase,
    CreateRetentionPolicy, CreateSubscription, CreateUser, DataType, Delete, DropContinuousQuery,
    DropDatabase, DropMeasurement, DropRetentionPolicy, DropSeries, DropShard, DropSubscription, DropUser,
    Explain, Expr, Field, Fill, Grant, GrantAdmin, GroupByTimeError, KillQuery, Measurement, MeasurementName,
    Privilege, Query, RegexLiteral, RetentionPolicySpec, Revoke, RevokeAdmin, Select, SetPassword, Show,
    ShowCardinality, ShowDiagnostics, ShowFieldKeys, ShowGrants, ShowMeasurements, ShowRetentionPolicies,
    ShowSeries, ShowStats, ShowTagKeys, ShowTagValues, ShowTagValuesCardinality, SortField, Source,
    Statement, SubscriptionMode, TagKeyFilter, Target, TimeZone, VarRef, WildcardKind,
};
pub use condition::{ConditionError, TimeBounds, fold, split_condition, type_name};
pub use display::{quote_ident, quote_string};
pub use duration::{DurationError, format_duration, parse_duration};
pub use error::ParseError;
pub use lex::Position;
pub use params::{ParamValue, Params};
pub use parse::{parse_expr, parse_query, parse_query_with};
pub use regex::RegexError;
pub use time::format_time;
