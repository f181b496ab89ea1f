//! `SELECT`, its clauses, and `EXPLAIN`.

use super::{Expr, RegexLiteral};

/// `SELECT fields [INTO target] FROM sources [WHERE] [GROUP BY] [fill()] [ORDER BY] [LIMIT ...] [tz()]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// What is selected; at least one.
    pub fields: Vec<Field>,
    /// `INTO`: where the result is written.
    pub into: Option<Target>,
    /// `FROM`; at least one.
    pub from: Vec<Source>,
    /// `WHERE`, time bounds included; see `split_condition`.
    pub condition: Option<Expr>,
    /// `GROUP BY`: `time(...)` calls, tags as references, `*`, regexes; anything else is for the engine to refuse.
    pub group_by: Vec<Expr>,
    /// `fill(...)`; null when not written.
    pub fill: Fill,
    /// `ORDER BY`; only `time` can be parsed.
    pub order_by: Vec<SortField>,
    /// Rows per series; 0 is no limit.
    pub limit: u64,
    /// Rows skipped per series.
    pub offset: u64,
    /// Number of series; 0 is no limit.
    pub slimit: u64,
    /// Series skipped.
    pub soffset: u64,
    /// `tz('...')`.
    pub time_zone: Option<TimeZone>,
}

impl Select {
    /// Whether rows come in ascending order of time.
    pub fn ascending(&self) -> bool {
        self.order_by.first().is_none_or(|field| field.ascending)
    }

    /// The interval of `GROUP BY time(interval, offset)` in ns; 0 without one.
    pub fn group_by_interval(&self) -> Result<i64, GroupByTimeError> {
        let time = self.group_by.iter().find_map(|dimension| match dimension {
            Expr::Call(call) if call.name == "time" => Some(call.args.as_slice()),
            _ => None,
        });
        match time {
            None => Ok(0),
            Some([Expr::Duration(interval)] | [Expr::Duration(interval), _]) => Ok(*interval),
            Some([_] | [_, _]) => Err(GroupByTimeError::NotADuration),
            Some(_) => Err(GroupByTimeError::ArgumentCount),
        }
    }
}

/// Why a `GROUP BY time(...)` has no interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupByTimeError {
    /// None or more than two arguments.
    #[error("{}", self.message())]
    ArgumentCount,
    /// The first argument is something else.
    #[error("{}", self.message())]
    NotADuration,
}

impl GroupByTimeError {
    /// InfluxDB's words.
    pub const fn message(self) -> &'static str {
        match self {
            Self::ArgumentCount => "time dimension expected 1 or 2 arguments",
            Self::NotADuration => "time dimension must have duration argument",
        }
    }
}

/// One selected expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// What to compute.
    pub expr: Expr,
    /// `AS "name"`.
    pub alias: Option<String>,
}

/// One source of rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A measurement, or all whose names match a regex.
    Measurement(Measurement),
    /// `( SELECT ... )`.
    Subquery(Box<Select>),
}

/// A measurement with its optional database and retention policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    /// `"db".."m"` or `"db"."rp"."m"`.
    pub database: Option<String>,
    /// `"rp"."m"` or `"db"."rp"."m"`.
    pub retention_policy: Option<String>,
    /// Name or regex.
    pub name: MeasurementName,
}

/// How a source names its measurements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeasurementName {
    /// Exactly this one.
    Name(String),
    /// All that match.
    Regex(RegexLiteral),
}

/// The target of `INTO`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Database, if written.
    pub database: Option<String>,
    /// Retention policy, if written.
    pub retention_policy: Option<String>,
    /// The measurement; `None` is `:MEASUREMENT`, that of each source.
    pub measurement: Option<String>,
}

/// What stands where a `GROUP BY time` bucket has no value.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Fill {
    /// A null (0 for `count`).
    #[default]
    Null,
    /// No row.
    None,
    /// The bucket before's value.
    Previous,
    /// On the line between the neighbours.
    Linear,
    /// This integer.
    Integer(i64),
    /// This number.
    Number(f64),
}

/// One term of `ORDER BY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortField {
    /// `time`; `None` for the bare `ORDER BY ASC`.
    pub name: Option<String>,
    /// `ASC` or nothing, not `DESC`.
    pub ascending: bool,
}

/// A time zone of the IANA database.
#[derive(Debug, Clone)]
pub struct TimeZone {
    pub(crate) name: String,
    pub(crate) zone: jiff::tz::TimeZone,
}

impl TimeZone {
    /// The zone of this name, to the letter; `""` is UTC, and `Local` that of this machine. `None` if the database has none
    /// such.
    pub fn named(name: &str) -> Option<Self> {
        let name = if name.is_empty() { "UTC" } else { name };
        let zone = match name {
            "UTC" => jiff::tz::TimeZone::UTC,
            "Local" => jiff::tz::TimeZone::system(),
            // The database does not mind the case of letters.
            name => jiff::tz::TimeZoneDatabase::bundled()
                .get(name)
                .ok()
                .filter(|zone| zone.iana_name() == Some(name))?,
        };
        Some(Self { name: name.to_owned(), zone })
    }

    /// Its name, such as `Europe/Berlin`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its rules.
    pub const fn zone(&self) -> &jiff::tz::TimeZone {
        &self.zone
    }
}

impl PartialEq for TimeZone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// `EXPLAIN [ANALYZE] SELECT ...`.
#[derive(Debug, Clone, PartialEq)]
pub struct Explain {
    /// Run it and measure.
    pub analyze: bool,
    /// The statement explained.
    pub select: Box<Select>,
}
