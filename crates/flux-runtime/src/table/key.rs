//! Group keys: the columns whose values are the same in every row of a table.

use std::{cmp::Ordering, sync::Arc};

use crate::{Column, Kind, Value, value::total};

/// Names and values, in the order of the columns. Two keys are equal, and ordered, by name whatever that order is.
#[derive(Debug, Clone, Default)]
pub struct GroupKey {
    members: Vec<KeyColumn>,
}

/// A column of a key.
#[derive(Debug, Clone)]
pub struct KeyColumn {
    /// Its name.
    pub label: Arc<str>,
    /// Its type, even where the value is null.
    pub kind: Kind,
    /// The same in every row.
    pub value: Value,
}

impl GroupKey {
    /// Of columns.
    pub fn new(members: Vec<KeyColumn>) -> Self {
        Self { members }
    }

    /// Its columns in order.
    pub fn members(&self) -> &[KeyColumn] {
        &self.members
    }

    /// Whether tables are grouped by that column.
    pub fn has(&self, label: &str) -> bool {
        self.members.iter().any(|member| *member.label == *label)
    }

    /// The value of that column.
    pub fn get(&self, label: &str) -> Option<&Value> {
        self.members.iter().find(|member| *member.label == *label).map(|member| &member.value)
    }

    /// The columns that `keep` says.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self { members: self.members.iter().filter(|member| keep(&member.label)).cloned().collect() }
    }

    /// With a column in the place of the one of its name, or after all others.
    #[must_use]
    pub fn with(mut self, label: Arc<str>, kind: Kind, value: Value) -> Self {
        let column = KeyColumn { label, kind, value };
        match self.members.iter_mut().find(|member| member.label == column.label) {
            Some(member) => *member = column,
            None => self.members.push(column),
        }
        self
    }

    /// Its columns as those of a table.
    pub fn columns(&self, rows: usize) -> Vec<Column> {
        let columns = self.members.iter();
        columns
            .map(|member| Column::repeat(Arc::clone(&member.label), member.kind, member.value.clone(), rows))
            .collect()
    }

    fn sorted(&self) -> Vec<&KeyColumn> {
        let mut members: Vec<&KeyColumn> = self.members.iter().collect();
        members.sort_by(|left, right| left.label.cmp(&right.label));
        members
    }
}

impl PartialEq for GroupKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for GroupKey {}

impl PartialOrd for GroupKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for GroupKey {
    fn cmp(&self, other: &Self) -> Ordering {
        // Keys of one stream mostly have the same columns in the same order: then nothing has to be sorted.
        if self.members.len() == other.members.len() {
            let mut decisive: Option<(&str, Ordering)> = None;
            let mut alike = true;
            for (own, other) in self.members.iter().zip(&other.members) {
                if !Arc::ptr_eq(&own.label, &other.label) && own.label != other.label {
                    alike = false;
                    break;
                }
                let order = total(&own.value, &other.value);
                if order != Ordering::Equal && decisive.is_none_or(|(label, _)| *own.label < *label) {
                    decisive = Some((&own.label, order));
                }
            }
            if alike {
                return decisive.map_or(Ordering::Equal, |(_, order)| order);
            }
        }
        let (own, others) = (self.sorted(), other.sorted());
        for (own, other) in own.iter().zip(&others) {
            let order = own.label.cmp(&other.label).then_with(|| total(&own.value, &other.value));
            if order != Ordering::Equal {
                return order;
            }
        }
        own.len().cmp(&others.len())
    }
}
