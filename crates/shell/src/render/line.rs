//! Answers as line protocol, to be written again.
//!
//! JSON does not say whether `3` was an integer or a float, nor whether a column was a tag. So the fields and tag keys of
//! each measurement are asked for beforehand ([`Lines::needs`], [`Lines::learn`]); what a function made of a field has the
//! field's type or the function's own. Points without a time or without any field are no points: they are counted.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Write},
};

use skywatch_influxql::{Expr, Field, Source, Statement, parse_query};
use skywatch_model::{FieldRef, line::PointBatch, series::make_key};

use crate::{
    answer::{Cell, Series},
    render::Render,
};

/// The type of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberKind {
    Float,
    Integer,
    Unsigned,
}

/// What a measurement has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldKinds {
    /// Fields with numbers.
    pub(crate) numbers: HashMap<String, NumberKind>,
    pub(crate) tags: HashSet<String>,
}

/// What a column is called when it does not carry the name of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Computed {
    As(NumberKind),
    LikeField(String),
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Lines {
    kinds: HashMap<String, FieldKinds>,
    computed: HashMap<String, Computed>,
    text: String,
    left_out: u64,
}

/// Where a column goes.
enum Role<'s> {
    Time,
    Tag(&'s str),
    Field(&'s str, NumberKind),
}

impl Lines {
    /// For the answer to `statement`.
    pub(crate) fn new(statement: &str) -> Self {
        Self {
            kinds: HashMap::new(),
            computed: computed_columns(statement),
            text: String::new(),
            left_out: 0,
        }
    }

    /// Whether a measurement's fields must be learnt first.
    pub(crate) fn needs(&self, measurement: &str) -> bool {
        !self.kinds.contains_key(measurement)
    }

    pub(crate) fn learn(&mut self, measurement: &str, kinds: FieldKinds) {
        self.kinds.insert(measurement.to_owned(), kinds);
    }

    /// Rows that are no points.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }

    fn role<'s>(&self, measurement: &str, column: &'s str) -> Role<'s> {
        let kinds = self.kinds.get(measurement);
        let kind_of = |field: &str| kinds.and_then(|kinds| kinds.numbers.get(field)).copied();
        if column == "time" {
            Role::Time
        } else if let Some(kind) = kind_of(column) {
            Role::Field(column, kind)
        } else if kinds.is_some_and(|kinds| kinds.tags.contains(column)) {
            Role::Tag(column)
        } else {
            let kind = match self.computed.get(column) {
                Some(Computed::As(kind)) => Some(*kind),
                Some(Computed::LikeField(field)) => kind_of(field),
                // `first(*)` makes `first_usage` of `usage`.
                None => column.split_once('_').and_then(|(function, field)| match function_kind(function) {
                    Some(kind) => Some(kind),
                    None => kind_of(field),
                }),
            };
            Role::Field(column, kind.unwrap_or(NumberKind::Float))
        }
    }
}

impl Render for Lines {
    fn series(&mut self, series: Series, out: &mut dyn Write) -> io::Result<()> {
        let roles: Vec<Role<'_>> =
            series.columns.iter().map(|column| self.role(&series.name, column)).collect();
        let mut batch = PointBatch::new();
        let mut left_out = 0;
        for row in &series.values {
            let mut time = None;
            let mut tags: Vec<(&str, &str)> =
                series.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let mut fields = Vec::with_capacity(row.len());
            for (role, cell) in roles.iter().zip(row) {
                match (role, cell) {
                    (Role::Time, Cell::Integer(ns)) => time = Some(*ns),
                    (Role::Tag(key), Cell::Text(value)) => tags.push((key, value)),
                    (Role::Field(name, kind), cell) => {
                        fields.extend(field(cell, *kind).map(|value| (*name, value)));
                    }
                    (Role::Time | Role::Tag(_), _) => {}
                }
            }
            let is_point = time.is_some_and(|time| {
                !fields.is_empty() && batch.push(&make_key(&series.name, tags), time, fields).is_ok()
            });
            left_out += u64::from(!is_point);
        }
        self.left_out += left_out;
        self.text.clear();
        batch.points().for_each(|point| point.append_line(&mut self.text));
        out.write_all(self.text.as_bytes())
    }

    fn finish(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a float was printed without a fraction; it reads back as that float"
)]
fn field(cell: &Cell, kind: NumberKind) -> Option<FieldRef<'_>> {
    match (cell, kind) {
        (Cell::Null, _) => None,
        (Cell::Boolean(value), _) => Some(FieldRef::Boolean(*value)),
        (Cell::Text(value), _) => Some(FieldRef::String(value)),
        (Cell::Float(value), _) => Some(FieldRef::Float(*value)),
        (Cell::Integer(value), NumberKind::Float) => Some(FieldRef::Float(*value as f64)),
        (Cell::Unsigned(value), NumberKind::Float) => Some(FieldRef::Float(*value as f64)),
        (Cell::Integer(value), NumberKind::Integer) => Some(FieldRef::Integer(*value)),
        (Cell::Integer(value), NumberKind::Unsigned) => u64::try_from(*value).ok().map(FieldRef::Unsigned),
        (Cell::Unsigned(value), NumberKind::Integer | NumberKind::Unsigned) => {
            Some(FieldRef::Unsigned(*value))
        }
    }
}

/// What the columns of the first SELECT are made of, as far as they are not named like fields.
fn computed_columns(statement: &str) -> HashMap<String, Computed> {
    let Ok(query) = parse_query(statement) else { return HashMap::new() };
    let Some(Statement::Select(select)) = query.statements.first() else { return HashMap::new() };
    select.fields.iter().filter_map(computed_column).collect()
}

fn computed_column(field: &Field) -> Option<(String, Computed)> {
    let alias = field.alias.clone();
    match &field.expr {
        Expr::VarRef(reference) => Some((alias?, Computed::LikeField(reference.name.clone()))),
        Expr::Distinct(name) => {
            Some((alias.unwrap_or_else(|| "distinct".to_owned()), Computed::LikeField(name.clone())))
        }
        Expr::Call(call) => {
            let computed = match (function_kind(&call.name), call.args.first()) {
                (Some(kind), _) => Computed::As(kind),
                (None, Some(Expr::VarRef(reference))) => Computed::LikeField(reference.name.clone()),
                (None, _) => return None,
            };
            Some((alias.unwrap_or_else(|| call.name.clone()), computed))
        }
        _ => None,
    }
}

/// The type a function answers with whatever it is given; `None` if it is that of its argument.
fn function_kind(name: &str) -> Option<NumberKind> {
    match name {
        "count" | "elapsed" => Some(NumberKind::Integer),
        "distinct"
        | "sum"
        | "mode"
        | "spread"
        | "first"
        | "last"
        | "min"
        | "max"
        | "percentile"
        | "sample"
        | "top"
        | "bottom"
        | "difference"
        | "non_negative_difference"
        | "cumulative_sum"
        | "abs" => None,
        _ => Some(NumberKind::Float),
    }
}

/// The database and policy that a statement reads from, where it says so itself.
pub(crate) fn source_of(statement: &str) -> (Option<String>, Option<String>) {
    let Ok(query) = parse_query(statement) else { return (None, None) };
    let Some(Statement::Select(select)) = query.statements.first() else { return (None, None) };
    let mut source = select.from.first();
    while let Some(Source::Subquery(inner)) = source {
        source = inner.from.first();
    }
    match source {
        Some(Source::Measurement(measurement)) => {
            (measurement.database.clone(), measurement.retention_policy.clone())
        }
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(statement: &str, answers: &[&str]) -> (String, u64) {
        let mut lines = Lines::new(statement);
        let numbers = [("n", NumberKind::Integer), ("u", NumberKind::Unsigned), ("f", NumberKind::Float)];
        let kinds = FieldKinds {
            numbers: numbers.map(|(name, kind)| (name.to_owned(), kind)).into(),
            tags: HashSet::from(["host".to_owned()]),
        };
        lines.learn("c p", kinds);
        let mut out = Vec::new();
        for json in answers {
            lines.series(serde_json::from_str(json).unwrap(), &mut out).unwrap();
        }
        (String::from_utf8(out).unwrap(), lines.left_out())
    }

    #[test]
    fn types_and_tags_are_kept() {
        let grouped = r#"{"name":"c p","tags":{"host":"a b","empty":""},"columns":["time","f","n","u","s","b"],
            "values":[[1,1,2,3,"q\"\n",true],[2,1.5,null,null,null,null],[3,null,null,null,null,null]]}"#;
        let plain = r#"{"name":"c p","columns":["time","host","n"],"values":[[1,"x",7]]}"#;
        assert_eq!(
            lines("select * from \"c p\" group by *", &[grouped, plain]),
            ("c\\ p,host=a\\ b f=1,n=2i,u=3u,s=\"q\\\"\n\",b=true 1\nc\\ p,host=a\\ b f=1.5 2\nc\\ p,host=x n=7i 1\n".to_owned(), 1)
        );
    }

    #[test]
    fn what_functions_make_has_a_type() {
        let answer =
            r#"{"name":"c p","columns":["time","count","mean","most","last_n"],"values":[[1,2,3,4,5]]}"#;
        assert_eq!(
            lines("select count(f), mean(n), max(n) as most, last(*) from x", &[answer]).0,
            "c\\ p count=2i,mean=3,most=4i,last_n=5i 1\n"
        );
    }

    #[test]
    fn the_source_is_found_in_the_statement() {
        assert_eq!(source_of("select a from (select a from d.w.m)"), (Some("d".into()), Some("w".into())));
        assert_eq!(source_of("select a from m"), (None, None));
        assert_eq!(source_of("show databases"), (None, None));
    }
}
