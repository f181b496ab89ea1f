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
//! host = region    two tags: the series that have both
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
        match &self.rest {
            None => Ok(TagPredicate::All),
            Some(Expr::Boolean(false)) => Ok(TagPredicate::None),
            Some(rest) => plan::tags_only(rest).ok_or_else(refused),
        }
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

    /// The series of a measurement that are counted where it stands in a statement that counts. There it is as in a
    /// SELECT of rows that have no fields: whatever is no comparison of tags is true of none of them.
    pub(super) fn counted_series_of(
        &self,
        measurement: &str,
        shards: &[Arc<dyn ShardRead>],
    ) -> Result<TagPredicate, QueryError> {
        let Some(rest) = &self.rest else { return Ok(TagPredicate::All) };
        let (mut fields, mut tags) = (BTreeSet::new(), BTreeSet::new());
        for shard in shards {
            fields.extend(shard.fields(measurement)?.into_iter().map(|(field, _)| field));
            tags.extend(shard.tag_keys(measurement)?);
        }
        Counting { measurement, fields, tags, shards }.predicate(rest)
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
            Expr::Boolean(false) => Ok(TagPredicate::None),
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
            return Ok(of_measurement(self.measurement, value, is_negated));
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
            // Two tags are not compared: InfluxDB looks which series have them.
            Expr::VarRef(other) => Ok(which_have(&name.name, &other.name, is_negated)),
            _ => Ok(TagPredicate::All),
        }
    }

    fn is_field(&self, name: &VarRef) -> bool {
        match name.cast {
            Some(DataType::Tag) => false,
            Some(_) => true,
            None => (self.has_field)(&name.name),
        }
    }
}

/// Series that have both tags; negated, those that have the first one only.
fn which_have(first: &str, second: &str, is_negated: bool) -> TagPredicate {
    let lacks = |key: &str| TagPredicate::Equal { key: key.into(), value: Arc::from("") };
    let has = |key: &str| TagPredicate::Not(Box::new(lacks(key)));
    TagPredicate::And(vec![has(first), if is_negated { lacks(second) } else { has(second) }])
}

/// A condition of a statement that counts, being read for one measurement.
struct Counting<'a> {
    measurement: &'a str,
    fields: BTreeSet<Arc<str>>,
    tags: BTreeSet<Arc<str>>,
    shards: &'a [Arc<dyn ShardRead>],
}

impl Counting<'_> {
    fn predicate(&self, expr: &Expr) -> Result<TagPredicate, QueryError> {
        match expr {
            Expr::Paren(inner) => self.predicate(inner),
            Expr::Boolean(true) => Ok(TagPredicate::All),
            Expr::Binary(binary) => match binary.op {
                BinaryOp::And => Ok(TagPredicate::And(self.both(binary)?)),
                BinaryOp::Or => Ok(TagPredicate::Or(self.both(binary)?)),
                _ => self.comparison(binary, expr),
            },
            _ => Ok(TagPredicate::None),
        }
    }

    fn both(&self, binary: &BinaryExpr) -> Result<Vec<TagPredicate>, QueryError> {
        Ok(vec![self.predicate(&binary.lhs)?, self.predicate(&binary.rhs)?])
    }

    fn comparison(&self, binary: &BinaryExpr, expr: &Expr) -> Result<TagPredicate, QueryError> {
        let is_negated = matches!(binary.op, BinaryOp::NotEq | BinaryOp::NotEqRegex);
        match (strip(&binary.lhs), strip(&binary.rhs)) {
            (Expr::VarRef(name), value) | (value, Expr::VarRef(name)) if name.name == MEASUREMENT_NAME => {
                Ok(of_measurement(self.measurement, value, is_negated))
            }
            (Expr::VarRef(left), Expr::VarRef(right)) => match binary.op {
                BinaryOp::Eq | BinaryOp::NotEq if self.is_tag(left) && self.is_tag(right) => {
                    let equal = self.equal(&left.name, &right.name)?;
                    Ok(if is_negated { TagPredicate::Not(Box::new(equal)) } else { equal })
                }
                _ => Ok(TagPredicate::None),
            },
            (Expr::VarRef(name), _) | (_, Expr::VarRef(name)) if self.fields.contains(name.name.as_str()) => {
                // A tag of a field's name has to be asked for.
                match name.cast {
                    Some(DataType::Tag) => Ok(plan::tags_only(expr).unwrap_or(TagPredicate::None)),
                    _ => Ok(TagPredicate::None),
                }
            }
            _ => Ok(plan::tags_only(expr).unwrap_or(TagPredicate::None)),
        }
    }

    /// Series in which two tags have one value; a tag that a series lacks is empty.
    fn equal(&self, left: &str, right: &str) -> Result<TagPredicate, QueryError> {
        let values = |key: &str| -> Result<BTreeSet<Arc<str>>, QueryError> {
            let mut values = BTreeSet::from([Arc::from("")]);
            for shard in self.shards {
                values.extend(shard.tag_values(self.measurement, key)?);
            }
            Ok(values)
        };
        let (left_values, right_values) = (values(left)?, values(right)?);
        let has =
            |key: &str, value: &Arc<str>| TagPredicate::Equal { key: key.into(), value: Arc::clone(value) };
        let both = |value| TagPredicate::And(vec![has(left, value), has(right, value)]);
        Ok(TagPredicate::Or(left_values.intersection(&right_values).map(both).collect()))
    }

    fn is_tag(&self, name: &VarRef) -> bool {
        let name_is = |names: &BTreeSet<Arc<str>>| names.contains(name.name.as_str());
        match name.cast {
            None => name_is(&self.tags) && !name_is(&self.fields),
            Some(cast) => cast == DataType::Tag && name_is(&self.tags),
        }
    }
}

fn strip(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(inner) => strip(inner),
        other => other,
    }
}

/// Every series, if a condition on the name of the measurement is true of this one.
fn of_measurement(measurement: &str, wanted: &Expr, is_negated: bool) -> TagPredicate {
    let matches = match wanted {
        Expr::String(name) => name == measurement,
        Expr::Regex(regex) => regex.is_match(measurement),
        _ => false,
    };
    if matches == is_negated { TagPredicate::None } else { TagPredicate::All }
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
        for text in ["false", "_name = 'mem'", "_name != 'cpu'", "_name !~ /c/"] {
            assert_eq!(read(text, false), "None", "{text}");
        }
        assert!(read("host = 'a'", false).starts_with("Equal"));
        assert!(read("host = other", false).starts_with("And"));
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
