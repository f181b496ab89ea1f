//! The WHERE of statements about the schema: which series of a measurement it is about.
//!
//! Only tags and times choose series. InfluxDB reads what else stands there measurement by measurement, and so do we:
//!
//! ```text
//! region = 'eu'    chooses by a tag
//! usage = 'x'      where usage is a field of the measurement: every series; elsewhere a tag of that name
//! free = 5         no tag compares with a number: every series
//! usage > 5        refused
//! _name = 'cpu'    the measurement itself
//! ```

use std::{collections::BTreeSet, sync::Arc};

use jiff::tz::TimeZone;
use skywatch_influxql::{BinaryExpr, BinaryOp, DataType, Expr, VarRef, split_condition};
use skywatch_model::TimeRange;
use skywatch_storage::{ShardRead, TagPredicate};

use super::Context;
use crate::{QueryError, plan};

/// What stands for the name of the measurement.
const MEASUREMENT_NAME: &str = "_name";

/// A condition on the schema, its times taken apart.
#[derive(Debug)]
pub(super) struct Condition {
    rest: Option<Expr>,
    pub(super) range: TimeRange,
    /// Whether it bounds the time at all.
    pub(super) mentions_time: bool,
}

impl Condition {
    pub(super) fn of(context: &Context<'_>, condition: Option<&Expr>) -> Result<Self, QueryError> {
        let (rest, bounds) = split_condition(condition, context.request.now_ns, &TimeZone::UTC)
            .map_err(|error| QueryError::invalid(error.to_string()))?;
        Ok(Self { rest, range: bounds.range(), mentions_time: !bounds.is_unbounded() })
    }

    /// As a condition on tags and nothing else, the same for every measurement.
    pub(super) fn tags(&self) -> Result<TagPredicate, QueryError> {
        self.rest.as_ref().map_or(Ok(TagPredicate::All), |rest| plan::tags_only(rest).ok_or_else(refused))
    }

    /// The series of a measurement that it is about.
    pub(super) fn series_of(
        &self,
        measurement: &str,
        shards: &[Arc<dyn ShardRead>],
    ) -> Result<TagPredicate, QueryError> {
        let Some(rest) = &self.rest else { return Ok(TagPredicate::All) };
        let mut fields: BTreeSet<Arc<str>> = BTreeSet::new();
        for shard in shards {
            fields.extend(shard.fields(measurement)?.into_iter().map(|(field, _)| field));
        }
        let has_field = |name: &str| fields.contains(name);
        Reading { measurement, has_field: &has_field, whole: false }.predicate(rest)
    }

    /// What it asks of a measurement as a whole. Fields are not looked at.
    pub(super) fn measurement(&self, measurement: &str) -> Result<TagPredicate, QueryError> {
        let Some(rest) = &self.rest else { return Ok(TagPredicate::All) };
        Reading { measurement, has_field: &|_| false, whole: true }.predicate(rest)
    }
}

fn refused() -> QueryError {
    QueryError::invalid("invalid tag comparison operator")
}

/// A condition being read for one measurement.
struct Reading<'a> {
    measurement: &'a str,
    has_field: &'a dyn Fn(&str) -> bool,
    /// For the measurement as a whole, where every comparison has to be with a tag.
    whole: bool,
}

impl Reading<'_> {
    fn predicate(&self, expr: &Expr) -> Result<TagPredicate, QueryError> {
        match expr {
            Expr::Paren(inner) => self.predicate(inner),
            Expr::Binary(binary) => match binary.op {
                BinaryOp::And => Ok(TagPredicate::And(self.both(binary)?)),
                BinaryOp::Or => Ok(TagPredicate::Or(self.both(binary)?)),
                _ => self.comparison(binary, expr),
            },
            other => plan::tags_only(other).ok_or_else(refused),
        }
    }

    fn both(&self, binary: &BinaryExpr) -> Result<Vec<TagPredicate>, QueryError> {
        Ok(vec![self.predicate(&binary.lhs)?, self.predicate(&binary.rhs)?])
    }

    fn comparison(&self, binary: &BinaryExpr, expr: &Expr) -> Result<TagPredicate, QueryError> {
        let is_negated = match binary.op {
            BinaryOp::Eq | BinaryOp::EqRegex => false,
            BinaryOp::NotEq | BinaryOp::NotEqRegex => true,
            _ => return Err(refused()),
        };
        let (name, value) = match (&binary.lhs, &binary.rhs) {
            (Expr::VarRef(name), value) => (name, value),
            _ if self.whole => {
                let text = format!("left side of '{}' must be a tag key", binary.op.symbol());
                return Err(QueryError::invalid(text));
            }
            (value, Expr::VarRef(name)) => (name, value),
            _ => return Err(refused()),
        };
        if name.name == MEASUREMENT_NAME {
            return Ok(self.name(value, is_negated));
        }
        if self.is_field(name) || matches!(value, Expr::VarRef(other) if self.is_field(other)) {
            return Ok(TagPredicate::All);
        }
        match value {
            Expr::String(_) | Expr::Regex(_) => plan::tags_only(expr).ok_or_else(refused),
            _ if self.whole => {
                let text = format!("right side of '{}' must be a tag value string", binary.op.symbol());
                Err(QueryError::invalid(text))
            }
            // Of two tags, one is absent here unless both are there; that is for rows to tell.
            Expr::VarRef(_) => Ok(TagPredicate::None),
            _ => Ok(TagPredicate::All),
        }
    }

    fn name(&self, value: &Expr, is_negated: bool) -> TagPredicate {
        let matches = match value {
            Expr::String(name) => name == self.measurement,
            Expr::Regex(regex) => regex.is_match(self.measurement),
            _ => false,
        };
        if matches == is_negated { TagPredicate::None } else { TagPredicate::All }
    }

    fn is_field(&self, name: &VarRef) -> bool {
        match name.cast {
            Some(DataType::Tag) => false,
            Some(_) => true,
            None => (self.has_field)(&name.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, whole: bool) -> String {
        let statement = format!("SELECT f FROM m WHERE {text}");
        let query = skywatch_influxql::parse_query(&statement).unwrap();
        let skywatch_influxql::Statement::Select(select) = &query.statements[0] else { unreachable!() };
        let has_field = |name: &str| !whole && name == "usage";
        let reading = Reading { measurement: "cpu", has_field: &has_field, whole };
        match reading.predicate(select.condition.as_ref().unwrap()) {
            Ok(predicate) => format!("{predicate:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_no_tag_chooses_every_series_or_none() {
        for text in
            ["usage = 'x'", "usage =~ /x/", "nothing = 5", "host = usage", "_name = 'cpu'", "_name =~ /c/"]
        {
            assert_eq!(read(text, false), "All", "{text}");
        }
        for text in ["host = other", "_name = 'mem'", "_name != 'cpu'", "_name !~ /c/"] {
            assert_eq!(read(text, false), "None", "{text}");
        }
        assert!(read("host = 'a'", false).starts_with("Equal"));
        assert!(read("host = 'a' AND usage = 'x'", false).contains("All"));
        for text in ["usage > 5", "host > 'a'", "usage + 1 = 2"] {
            assert_eq!(read(text, false), "invalid tag comparison operator", "{text}");
        }
    }

    #[test]
    fn a_measurement_as_a_whole_is_compared_by_tags() {
        assert_eq!(read("usage = 5", true), "right side of '=' must be a tag value string");
        assert_eq!(read("usage + 1 != 5", true), "left side of '!=' must be a tag key");
        assert_eq!(read("_name = 'cpu'", true), "All");
        assert!(read("usage = 'x'", true).starts_with("Equal"));
    }
}
