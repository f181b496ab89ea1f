//! Rows of a table as they come column by column, and the metrics they become. Pure.

use std::collections::{BTreeMap, HashMap};

use skywatch_model::FieldValue;

use super::options::{Field, Table};
use crate::field_value;
use crate::metric::{Metric, Value};

/// The rows of one table, by their index.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: BTreeMap<Index, Row>,
    /// Indices of this table by what the rows of another are numbered with.
    translated: HashMap<String, String>,
}

/// Orders indices as a device does: by their numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Index(Vec<u64>, String);

impl Index {
    fn new(text: &str) -> Self {
        Self(text.split('.').filter_map(|part| part.parse().ok()).collect(), text.to_owned())
    }
}

#[derive(Debug, Default)]
struct Row {
    tags: Vec<(String, String)>,
    fields: Vec<(String, FieldValue)>,
}

impl Rows {
    /// Takes one variable of a column; `index` has a leading dot.
    pub(super) fn add(&mut self, field: &Field, index: &str, value: FieldValue) {
        let Some(index) = field.index(index) else { return };
        let index = if field.secondary_index_use {
            match self.translated.get(&index) {
                Some(translated) => translated.clone(),
                None if field.secondary_outer_join => format!(".Secondary{index}"),
                None => return,
            }
        } else {
            if field.secondary_index_table {
                self.translated.insert(format!(".{}", field_value::text(&value)), index.clone());
            }
            index
        };
        // Nothing is said with an empty text, but the row is there.
        let row = self.rows.entry(Index::new(&index)).or_default();
        if matches!(&value, FieldValue::String(text) if text.is_empty()) {
            return;
        }
        if field.is_tag {
            row.tags.push((field.name.clone(), field_value::text(&value).into_owned()));
        } else {
            row.fields.push((field.name.clone(), value));
        }
    }

    /// A metric for every row that has fields; `top` has the agent's tag and those to inherit.
    pub(super) fn into_metrics(self, table: &Table, top: &Metric, host_tag: &str) -> Vec<Metric> {
        let mut metrics = Vec::with_capacity(self.rows.len());
        for (Index(_, index), row) in self.rows {
            let mut metric = Metric::new(table.name.clone(), top.time_ns);
            let inherited = table.inherit_tags.iter().map(String::as_str).chain([host_tag]);
            for tag in inherited {
                if let Some(value) = top.tag_value(tag) {
                    metric.set_tag(tag.to_owned(), value);
                }
            }
            if table.index_as_tag {
                metric.set_tag("index", index.trim_start_matches('.'));
            }
            row.tags.into_iter().for_each(|(key, value)| metric.set_tag(key, value));
            row.fields.into_iter().for_each(|(key, value)| metric.set_field(key, Value(value)));
            if !metric.fields().is_empty() {
                metrics.push(metric);
            }
        }
        metrics
    }
}

/// Sets a top-level field, as a tag if it is one.
pub(super) fn set(metric: &mut Metric, field: &Field, value: FieldValue) {
    if matches!(&value, FieldValue::String(text) if text.is_empty()) {
        return;
    }
    if field.is_tag {
        metric.set_tag(field.name.clone(), field_value::text(&value));
    } else {
        metric.set_field(field.name.clone(), Value(value));
    }
}
