//! `SHOW ...` and `KILL QUERY`.

use super::{BinaryOp, Expr, RegexLiteral, SortField, Source};

/// Every `SHOW` statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Show {
    /// `SHOW CONTINUOUS QUERIES`
    ContinuousQueries,
    /// `SHOW DATABASES`
    Databases,
    /// `SHOW DIAGNOSTICS [FOR 'module']`
    Diagnostics(ShowDiagnostics),
    /// `SHOW FIELD KEYS ...`
    FieldKeys(ShowFieldKeys),
    /// `SHOW FIELD KEY [EXACT] CARDINALITY ...`
    FieldKeyCardinality(ShowCardinality),
    /// `SHOW GRANTS FOR user`
    Grants(ShowGrants),
    /// `SHOW MEASUREMENTS ...`
    Measurements(ShowMeasurements),
    /// `SHOW MEASUREMENT [EXACT] CARDINALITY ...`
    MeasurementCardinality(ShowCardinality),
    /// `SHOW QUERIES`
    Queries,
    /// `SHOW RETENTION POLICIES [ON database]`
    RetentionPolicies(ShowRetentionPolicies),
    /// `SHOW SERIES ...`
    Series(ShowSeries),
    /// `SHOW SERIES [EXACT] CARDINALITY ...`
    SeriesCardinality(ShowCardinality),
    /// `SHOW SERVERS`
    Servers,
    /// `SHOW SHARD GROUPS`
    ShardGroups,
    /// `SHOW SHARDS`
    Shards,
    /// `SHOW STATS [FOR 'module']`
    Stats(ShowStats),
    /// `SHOW SUBSCRIPTIONS`
    Subscriptions,
    /// `SHOW TAG KEYS ...`
    TagKeys(ShowTagKeys),
    /// `SHOW TAG KEY [EXACT] CARDINALITY ...`
    TagKeyCardinality(ShowCardinality),
    /// `SHOW TAG VALUES ... WITH KEY ...`
    TagValues(ShowTagValues),
    /// `SHOW TAG VALUES [EXACT] CARDINALITY ... WITH KEY ...`
    TagValuesCardinality(ShowTagValuesCardinality),
    /// `SHOW USERS`
    Users,
}

/// `SHOW DIAGNOSTICS [FOR 'module']`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShowDiagnostics {
    /// Only this module's.
    pub module: Option<String>,
}

/// `SHOW STATS [FOR 'module']`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShowStats {
    /// Only this module's.
    pub module: Option<String>,
}

/// `SHOW GRANTS FOR user`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowGrants {
    /// Whose.
    pub user: String,
}

/// `SHOW RETENTION POLICIES [ON database]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShowRetentionPolicies {
    /// Of which database; the request's if absent.
    pub database: Option<String>,
}

/// `SHOW MEASUREMENTS [ON db[.rp]] [WITH MEASUREMENT = m | =~ /re/] [WHERE] [ORDER BY] [LIMIT] [OFFSET]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShowMeasurements {
    /// Of which database; the request's if absent.
    pub database: Option<String>,
    /// `ON db.rp`: only measurements stored in this retention policy.
    pub retention_policy: Option<String>,
    /// `ON *.x`: every database; `database` is then absent.
    pub all_databases: bool,
    /// `ON x.*`: every retention policy, each shown; `retention_policy` is then absent.
    pub all_retention_policies: bool,
    /// `WITH MEASUREMENT`.
    pub source: Option<Source>,
    /// On tags.
    pub condition: Option<Expr>,
    /// Order.
    pub order_by: Vec<SortField>,
    /// 0 is no limit.
    pub limit: u64,
    /// Rows skipped.
    pub offset: u64,
}

/// `SHOW SERIES [ON db] [FROM] [WHERE] [ORDER BY] [LIMIT] [OFFSET]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShowSeries {
    /// Of which database; the request's if absent.
    pub database: Option<String>,
    /// Which measurements; empty means all.
    pub from: Vec<Source>,
    /// On tags.
    pub condition: Option<Expr>,
    /// Order.
    pub order_by: Vec<SortField>,
    /// 0 is no limit.
    pub limit: u64,
    /// Rows skipped.
    pub offset: u64,
}

/// `SHOW TAG KEYS [ON db] [FROM] [WHERE] [ORDER BY] [LIMIT] [OFFSET] [SLIMIT] [SOFFSET]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShowTagKeys {
    /// Of which database; the request's if absent.
    pub database: Option<String>,
    /// Which measurements; empty means all.
    pub from: Vec<Source>,
    /// On tags and time.
    pub condition: Option<Expr>,
    /// Order.
    pub order_by: Vec<SortField>,
    /// Rows per measurement; 0 is no limit.
    pub limit: u64,
    /// Rows skipped per measurement.
    pub offset: u64,
    /// Measurements; 0 is no limit.
    pub slimit: u64,
    /// Measurements skipped.
    pub soffset: u64,
}

/// `SHOW TAG VALUES [ON db] [FROM] WITH KEY ... [WHERE] [ORDER BY] [LIMIT] [OFFSET]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowTagValues {
    /// Of which database; the request's if absent.
    pub database: Option<String>,
    /// Which measurements; empty means all.
    pub from: Vec<Source>,
    /// `WITH KEY`.
    pub key: TagKeyFilter,
    /// On tags and time.
    pub condition: Option<Expr>,
    /// Order.
    pub order_by: Vec<SortField>,
    /// Rows per measurement; 0 is no limit.
    pub limit: u64,
    /// Rows skipped per measurement.
    pub offset: u64,
}

/// The keys a `WITH KEY` chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagKeyFilter {
    /// `= key`
    Equal(String),
    /// `!= key`
    NotEqual(String),
    /// `=~ /re/`
    Matches(RegexLiteral),
    /// `!~ /re/`
    NotMatches(RegexLiteral),
    /// `IN (a, b)`
    In(Vec<String>),
}

impl TagKeyFilter {
    /// Whether the key is chosen.
    pub fn accepts(&self, key: &str) -> bool {
        match self {
            Self::Equal(wanted) => key == wanted,
            Self::NotEqual(refused) => key != refused,
            Self::Matches(regex) => regex.is_match(key),
            Self::NotMatches(regex) => !regex.is_match(key),
            Self::In(keys) => keys.iter().any(|wanted| wanted == key),
        }
    }

    /// The operator, where it is one that expressions know too; `None` for `IN`.
    pub const fn op(&self) -> Option<BinaryOp> {
        match self {
            Self::Equal(_) => Some(BinaryOp::Eq),
            Self::NotEqual(_) => Some(BinaryOp::NotEq),
            Self::Matches(_) => Some(BinaryOp::EqRegex),
            Self::NotMatches(_) => Some(BinaryOp::NotEqRegex),
            Self::In(_) => None,
        }
    }
}

/// `SHOW FIELD KEYS [ON db] [FROM] [ORDER BY] [LIMIT] [OFFSET]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShowFieldKeys {
    /// Of which database; the request's if absent.
    pub database: Option<String>,
    /// Which measurements; empty means all.
    pub from: Vec<Source>,
    /// Order.
    pub order_by: Vec<SortField>,
    /// Rows per measurement; 0 is no limit.
    pub limit: u64,
    /// Rows skipped per measurement.
    pub offset: u64,
}

/// `SHOW SERIES | MEASUREMENT | TAG KEY | FIELD KEY [EXACT] CARDINALITY ...`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShowCardinality {
    /// Of which database; the request's if absent.
    pub database: Option<String>,
    /// Count rather than estimate.
    pub exact: bool,
    /// Which measurements; empty means all.
    pub from: Vec<Source>,
    /// On tags.
    pub condition: Option<Expr>,
    /// `GROUP BY`.
    pub group_by: Vec<Expr>,
    /// 0 is no limit.
    pub limit: u64,
    /// Rows skipped.
    pub offset: u64,
}

/// `SHOW TAG VALUES [EXACT] CARDINALITY ... WITH KEY ...`.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowTagValuesCardinality {
    /// The clauses it shares with the others.
    pub cardinality: ShowCardinality,
    /// `WITH KEY`.
    pub key: TagKeyFilter,
}

/// `KILL QUERY id [ON 'host']`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KillQuery {
    /// Its number, as `SHOW QUERIES` gives it.
    pub id: u64,
    /// On which node.
    pub host: Option<String>,
}
