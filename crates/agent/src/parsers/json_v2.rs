//! `json_v2`: metrics put together from the parts of a document that paths lead to.
//!
//! ```text
//!  [[json_v2]]
//!    [[tag]], [[field]]   single values; arrays give a metric for each element
//!    [[object]]           everything an object holds
//! ```
//!
//! Fields are combined with each other, and the tags with all that comes of them: every element of one with every
//! element of the others. What an object holds besides its arrays is in each metric that they give.

mod expand;
mod options;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;
use skywatch_model::FieldValue;

use super::json_path;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::Metric;
use crate::parser::{Defaults, ParseError, Parser};
use options::{Item, Table};

/// Metrics of a document, at most: combining arrays multiplies their lengths.
const METRICS_MAX: usize = 1_000_000;

/// The parser.
#[derive(Debug, Clone)]
struct JsonV2 {
    tables: Arc<Vec<Table>>,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Parser>, ConfigError> {
    let tables = section.sections("json_v2", Table::from_section)?;
    if tables.is_empty() {
        return Err(section.bad("json_v2", "the format json_v2 needs at least one table [[...json_v2]]"));
    }
    Ok(Box::new(JsonV2 { tables: Arc::new(tables) }))
}

impl Parser for JsonV2 {
    fn parse(
        &mut self,
        data: &[u8],
        defaults: &Defaults<'_>,
        out: &mut Vec<Metric>,
    ) -> Result<(), ParseError> {
        let Some(text) = super::document(data)? else { return Ok(()) };
        json_path::parse(text).map_err(ParseError::new)?;
        let mut fault = None;
        // One table that does not fit the document leaves the others theirs.
        for table in self.tables.iter() {
            match table.metrics(text, defaults) {
                Ok(metrics) => out.extend(metrics),
                Err(why) => fault = fault.or(Some(ParseError::new(why))),
            }
        }
        fault.map_or(Ok(()), Err)
    }

    fn fresh(&self) -> Box<dyn Parser> {
        Box::new(self.clone())
    }
}

/// A metric in the making.
#[derive(Debug, Clone, Default)]
struct Row {
    tags: Vec<(String, String)>,
    fields: Vec<(String, FieldValue)>,
    time_ns: Option<i64>,
}

impl Row {
    fn join(&mut self, other: &Self) {
        self.tags.extend_from_slice(&other.tags);
        self.fields.extend_from_slice(&other.fields);
        self.time_ns = other.time_ns.or(self.time_ns);
    }

    fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.fields.is_empty()
    }
}

/// Every row of the one with every row of the other; where one side has none the other stands alone.
fn product(left: Vec<Row>, right: Vec<Row>) -> Result<Vec<Row>, String> {
    if left.is_empty() || right.is_empty() {
        return Ok(if left.is_empty() { right } else { left });
    }
    if left.len().saturating_mul(right.len()) > METRICS_MAX {
        return Err(format!("its arrays combine to more than {METRICS_MAX} metrics"));
    }
    let pairs = left.iter().flat_map(|left| right.iter().map(move |right| (left, right)));
    Ok(pairs
        .map(|(left, right)| {
            let mut row = left.clone();
            row.join(right);
            row
        })
        .collect())
}

impl Table {
    fn metrics(&self, text: &str, defaults: &Defaults<'_>) -> Result<Vec<Metric>, String> {
        let mut name = self.name.clone().unwrap_or_else(|| defaults.name.clone().into_owned());
        if let Some(path) = &self.name_path
            && let Some(found) = json_path::find(text, path)?.filter(|found| !found.is_null())
        {
            name = plain_text(&found);
        }
        let mut time_ns = defaults.now_ns;
        if let Some((path, format)) = &self.time {
            let found = json_path::find(text, path)?
                .ok_or_else(|| format!("timestamp_path {path:?} leads nowhere"))?;
            time_ns = format
                .parse(&plain_text(&found), defaults.now_ns)
                .map_err(|why| format!("{path:?}: {why}"))?;
        }
        let tags = combine(text, &self.tags, Role::Tag)?;
        let mut rows = Vec::new();
        let fields = combine(text, &self.fields, Role::Field)?;
        if !fields.is_empty() {
            rows = product(tags.clone(), fields)?;
        }
        for object in &self.objects {
            let expanded = object.rows(text, defaults.now_ns)?;
            if !expanded.is_empty() {
                rows.extend(product(tags.clone(), expanded)?);
            }
        }
        Ok(rows
            .into_iter()
            .map(|row| metric(&name, time_ns, row))
            .filter(|m| !m.fields().is_empty())
            .collect())
    }
}

fn metric(name: &str, time_ns: i64, row: Row) -> Metric {
    let mut metric = Metric::new(name.to_owned(), row.time_ns.unwrap_or(time_ns));
    row.tags.into_iter().for_each(|(key, value)| metric.set_tag(key, value));
    row.fields.into_iter().for_each(|(key, value)| metric.set_field(key, value));
    metric
}

/// What becomes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Tag,
    Field,
}

/// The rows of several items, each combined with each.
fn combine(text: &str, items: &[Item], role: Role) -> Result<Vec<Row>, String> {
    items.iter().try_fold(Vec::new(), |rows, item| product(rows, item.rows(text, role)?))
}

impl Item {
    /// A row for each value that the path leads to.
    fn rows(&self, text: &str, role: Role) -> Result<Vec<Row>, String> {
        let mut rows = Vec::new();
        match json_path::find(text, &self.path)? {
            Some(found) => self.values(&found, role, &mut rows)?,
            None if self.is_optional => {}
            None => {
                let path = &self.path;
                return Err(format!("the path {path:?} leads nowhere; set optional = true if that may be"));
            }
        }
        Ok(rows)
    }

    fn values(&self, value: &Value, role: Role, rows: &mut Vec<Row>) -> Result<(), String> {
        let mut row = Row::default();
        match value {
            Value::Array(items) => return items.iter().try_for_each(|item| self.values(item, role, rows)),
            Value::Null => return Ok(()),
            Value::Object(_) => {
                let path = &self.path;
                return Err(format!("the path {path:?} leads to an object; a table [[object]] takes those"));
            }
            _ if role == Role::Tag => row.tags.push((self.name.clone(), plain_text(value))),
            _ => row.fields.push((self.name.clone(), field(value, self.of_type, &self.path)?)),
        }
        rows.push(row);
        Ok(())
    }
}

/// A value as a tag or a text.
fn plain_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value as a field: of its own type, or of the one that is asked for.
fn field(value: &Value, of_type: Option<super::scalar::Type>, place: &str) -> Result<FieldValue, String> {
    use super::scalar::Type;
    let read = |of_type: Type, text: &str| of_type.read(text).map_err(|why| format!("{place:?}: {why}"));
    match (of_type, value) {
        (None, Value::Number(number)) => Ok(FieldValue::Float(number.as_f64().unwrap_or(f64::NAN))),
        (None, Value::Bool(value)) => Ok(FieldValue::Boolean(*value)),
        (None, other) => Ok(FieldValue::String(plain_text(other).into())),
        (Some(Type::Integer), Value::Bool(value)) => Ok(FieldValue::Integer(i64::from(*value))),
        (Some(Type::Unsigned), Value::Bool(value)) => Ok(FieldValue::Unsigned(u64::from(*value))),
        (Some(Type::Float), Value::Bool(value)) => Ok(FieldValue::Float(f64::from(u8::from(*value)))),
        // A number with a fraction loses it where a whole one is asked for.
        (Some(Type::Integer), Value::Number(number)) if number.is_f64() => {
            Ok(FieldValue::Integer(number.as_f64().unwrap_or(0.0) as i64))
        }
        (Some(Type::Unsigned), Value::Number(number)) if number.is_f64() => {
            Ok(FieldValue::Unsigned(number.as_f64().unwrap_or(0.0) as u64))
        }
        (Some(of_type), other) => read(of_type, &plain_text(other)),
    }
}
