//! Conditions: constants folded, bounds on `time` taken out of a `WHERE`.
//!
//! InfluxQL mixes both in one expression: `time > now() - 1h AND host = 'a'`. [`split_condition`] gives the range of time
//! and what is left. As in InfluxDB there is no "or" for times: bounds on either side of an `OR` are all applied.

mod fold;

use jiff::tz::TimeZone;
use skywatch_model::{MAX_TIME, MIN_TIME, TimeRange};

pub use fold::fold;

use crate::{
    ast::{BinaryOp, Expr},
    time::{looks_like_time, parse_time},
};

/// Bounds on time, in ns since the epoch, both inclusive; `None` where the condition sets none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TimeBounds {
    /// No earlier.
    pub min: Option<i64>,
    /// No later.
    pub max: Option<i64>,
}

impl TimeBounds {
    /// As a range; every storable time where there is no bound.
    pub fn range(self) -> TimeRange {
        TimeRange::new(self.min.unwrap_or(MIN_TIME), self.max.unwrap_or(MAX_TIME))
    }

    /// Whether both bounds hold at once.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        let tighter =
            |mine: Option<i64>, theirs: Option<i64>, choose: fn(i64, i64) -> i64| match (mine, theirs) {
                (Some(mine), Some(theirs)) => Some(choose(mine, theirs)),
                (mine, theirs) => mine.or(theirs),
            };
        Self { min: tighter(self.min, other.min, i64::max), max: tighter(self.max, other.max, i64::min) }
    }

    /// Whether there is neither bound.
    pub const fn is_unbounded(self) -> bool {
        self.min.is_none() && self.max.is_none()
    }
}

/// Why a condition on time makes no sense; the wording is InfluxDB's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// A string that begins like a date is none.
    #[error("invalid timestamp string")]
    InvalidTimestamp,
    /// A time that no point may carry.
    #[error("time {time} {direction} time literal")]
    OutOfRange {
        /// The time, RFC 3339.
        time: String,
        /// `overflows` or `underflows`.
        direction: &'static str,
    },
    /// `time` compared with something that is no time. The type has InfluxDB's internal name.
    #[error("invalid operation: time and {type_name} are not compatible")]
    NotATime {
        /// Such as `*influxql.StringLiteral`.
        type_name: &'static str,
    },
    /// `time != ...`, `time =~ ...`, `time + ...`.
    #[error("invalid time comparison operator: {0}")]
    Operator(&'static str),
    /// Neither a comparison nor `AND`, `OR`, parentheses or a boolean.
    #[error("invalid condition expression: {0}")]
    NotACondition(String),
}

/// Splits a condition into what it demands of `time` and the rest (`None` when nothing is left). `now` in ns.
pub fn split_condition(
    condition: Option<&Expr>,
    now: i64,
    zone: &TimeZone,
) -> Result<(Option<Expr>, TimeBounds), ConditionError> {
    let Some(condition) = condition else { return Ok((None, TimeBounds::default())) };
    let (rest, bounds) = split(condition, now, zone)?;
    let rest = match rest {
        Some(Expr::Paren(inner)) => Some(*inner),
        rest => rest,
    };
    Ok((rest.filter(|rest| *rest != Expr::Boolean(true)), bounds))
}

fn split(condition: &Expr, now: i64, zone: &TimeZone) -> Result<(Option<Expr>, TimeBounds), ConditionError> {
    match condition {
        Expr::Binary(binary) if matches!(binary.op, BinaryOp::And | BinaryOp::Or) => {
            let (lhs, lhs_bounds) = split(&binary.lhs, now, zone)?;
            let (rhs, rhs_bounds) = split(&binary.rhs, now, zone)?;
            let rest = match (lhs, rhs) {
                (Some(lhs), Some(rhs)) => Some(fold::binary(binary.op, lhs, rhs, zone)?),
                (lhs, rhs) => lhs.or(rhs),
            };
            Ok((rest, lhs_bounds.intersect(rhs_bounds)))
        }
        Expr::Binary(binary) if is_time(&binary.lhs) => {
            Ok((None, time_bounds(binary.op, &binary.rhs, now, zone)?))
        }
        Expr::Binary(binary) if is_time(&binary.rhs) => {
            Ok((None, time_bounds(mirrored(binary.op), &binary.lhs, now, zone)?))
        }
        Expr::Binary(_) => Ok((Some(fold(condition, now, zone)?), TimeBounds::default())),
        Expr::Paren(inner) => {
            let (rest, bounds) = split(inner, now, zone)?;
            Ok((rest.map(fold::paren), bounds))
        }
        Expr::Boolean(_) => Ok((Some(condition.clone()), TimeBounds::default())),
        _ => Err(ConditionError::NotACondition(condition.to_string())),
    }
}

fn is_time(expr: &Expr) -> bool {
    match expr {
        Expr::Paren(inner) => is_time(inner),
        Expr::VarRef(var) => var.name.eq_ignore_ascii_case("time"),
        _ => false,
    }
}

/// The operator with its sides swapped.
const fn mirrored(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::GtEq => BinaryOp::LtEq,
        BinaryOp::Lt => BinaryOp::Gt,
        BinaryOp::LtEq => BinaryOp::GtEq,
        other => other,
    }
}

fn time_bounds(op: BinaryOp, value: &Expr, now: i64, zone: &TimeZone) -> Result<TimeBounds, ConditionError> {
    let value = match value {
        Expr::String(text) if looks_like_time(text) => Expr::Time(time_literal(text, zone)?),
        other => fold(other, now, zone)?,
    };
    let time = match value {
        Expr::Time(time) | Expr::Duration(time) | Expr::Integer(time) => time,
        #[expect(clippy::cast_possible_truncation, reason = "a fraction of a nanosecond is dropped")]
        Expr::Number(time) => time as i64,
        other => return Err(ConditionError::NotATime { type_name: type_name(&other) }),
    };
    let (min, max) = match op {
        BinaryOp::Gt => (Some(time.saturating_add(1)), None),
        BinaryOp::GtEq => (Some(time), None),
        BinaryOp::Lt => (None, Some(time.saturating_sub(1))),
        BinaryOp::LtEq => (None, Some(time)),
        BinaryOp::Eq => (Some(time), Some(time)),
        other => return Err(ConditionError::Operator(other.symbol())),
    };
    Ok(TimeBounds { min, max })
}

/// The time a string stands for.
fn time_literal(text: &str, zone: &TimeZone) -> Result<i64, ConditionError> {
    in_range(parse_time(text, zone).ok_or(ConditionError::InvalidTimestamp)?)
}

/// Times a point may carry, less the smallest, which InfluxDB keeps for itself.
fn in_range(time: i128) -> Result<i64, ConditionError> {
    let direction = if time > i128::from(MAX_TIME) { "overflows" } else { "underflows" };
    match i64::try_from(time) {
        Ok(time) if (MIN_TIME + 1..=MAX_TIME).contains(&time) => Ok(time),
        _ => {
            let time =
                jiff::Timestamp::from_second((time.div_euclid(1_000_000_000)).try_into().unwrap_or(i64::MAX))
                    .map_or_else(|_| "beyond year 9999".to_owned(), |time| time.to_string());
            Err(ConditionError::OutOfRange { time, direction })
        }
    }
}

/// What InfluxDB calls the type inside, as its error messages tell it.
pub const fn type_name(expr: &Expr) -> &'static str {
    match expr {
        Expr::Binary(_) => "*influxql.BinaryExpr",
        Expr::Paren(_) => "*influxql.ParenExpr",
        Expr::Call(_) => "*influxql.Call",
        Expr::VarRef(_) => "*influxql.VarRef",
        Expr::Distinct(_) => "*influxql.Distinct",
        Expr::Wildcard(_) => "*influxql.Wildcard",
        Expr::Regex(_) => "*influxql.RegexLiteral",
        Expr::Integer(_) => "*influxql.IntegerLiteral",
        Expr::Unsigned(_) => "*influxql.UnsignedLiteral",
        Expr::Number(_) => "*influxql.NumberLiteral",
        Expr::String(_) => "*influxql.StringLiteral",
        Expr::Boolean(_) => "*influxql.BooleanLiteral",
        Expr::Duration(_) => "*influxql.DurationLiteral",
        Expr::Time(_) => "*influxql.TimeLiteral",
        Expr::List(_) => "*influxql.ListLiteral",
    }
}

#[cfg(test)]
mod tests;
