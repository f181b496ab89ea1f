//! The metrics a period holds, by group, and what a group is worth.

use std::collections::HashMap;

use crate::field_value;
use crate::metric::{Metric, Value};

/// How a group's values become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregation {
    Mean,
    Sum,
    Min,
    Max,
}

/// Every group of a period, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_key: HashMap<String, usize>,
    groups: Vec<Group>,
    held: usize,
}

/// The metrics of one group.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) metrics: Vec<Metric>,
}

impl Groups {
    pub(super) fn add(&mut self, key: String, metric: Metric) {
        let at = *self.by_key.entry(key).or_insert_with(|| {
            self.groups.push(Group::default());
            self.groups.len() - 1
        });
        self.groups[at].metrics.push(metric);
        self.held += 1;
    }

    /// How many metrics there are.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn into_groups(self) -> Vec<Group> {
        self.groups
    }
}

impl Group {
    /// The aggregate of a field; `None` if no metric has a number in it.
    pub(super) fn value(&self, field: &str, aggregation: Aggregation) -> Option<f64> {
        let numbers =
            self.metrics.iter().filter_map(|metric| field_value::number(metric.field_value(field)?));
        match aggregation {
            Aggregation::Mean => {
                let (sum, count) = numbers.fold((0.0, 0_u64), |(sum, count), n| (sum + n, count + 1));
                (count > 0).then(|| sum / count as f64)
            }
            Aggregation::Sum => numbers.reduce(|a, b| a + b),
            Aggregation::Min => numbers.reduce(f64::min),
            Aggregation::Max => numbers.reduce(f64::max),
        }
    }

    /// Adds a field to the group's metrics that have `field`.
    pub(super) fn mark(&mut self, field: &str, key: &str, value: impl Into<Value>) {
        let Value(value) = value.into();
        for metric in self.metrics.iter_mut().filter(|metric| metric.field_value(field).is_some()) {
            metric.set_field(key.to_owned(), Value(value.clone()));
        }
    }
}
