//! Records: named values, or a row of a table seen as such.

use std::{rc::Rc, sync::Arc};

use super::Nest;
use crate::{Table, Value};

/// Names and values.
pub type Members = Vec<(Arc<str>, Value)>;

/// Named values. A row of a table is one without being copied; it has every member, null where the table lacks the
/// column, since tables of one stream differ in their columns.
#[derive(Debug, Clone)]
pub enum Record {
    /// In the order of the text; names do not repeat.
    Members(Rc<Nest<Members>>),
    /// A row.
    Row {
        /// Of this table.
        table: Rc<Table>,
        /// From 0.
        row: usize,
    },
}

impl Record {
    /// Of members; the later one of two with one name counts, at the place of the first.
    pub fn new(members: impl IntoIterator<Item = (Arc<str>, Value)>) -> Self {
        let mut kept: Vec<(Arc<str>, Value)> = Vec::new();
        for (name, value) in members {
            match kept.iter_mut().find(|(known, _)| *known == name) {
                Some(member) => member.1 = value,
                None => kept.push((name, value)),
            }
        }
        Self::Members(Rc::new(Nest::members(kept)))
    }

    /// A member; `None` if a record that is no row lacks it.
    pub fn get(&self, name: &str) -> Option<Value> {
        match self {
            Self::Members(members) => {
                members.iter().find(|(known, _)| **known == *name).map(|(_, value)| value.clone())
            }
            Self::Row { table, row } => Some(table.get(name, *row)),
        }
    }

    /// All that there are.
    pub fn members(&self) -> Vec<(Arc<str>, Value)> {
        match self {
            Self::Members(members) => members.to_vec(),
            Self::Row { table, row } => {
                let columns = table.columns().iter();
                columns.map(|column| (Arc::clone(column.label()), column.get(*row))).collect()
            }
        }
    }

    /// All that there are, without copying those that nobody else has.
    pub(crate) fn into_members(self) -> Vec<(Arc<str>, Value)> {
        match self {
            Self::Members(members) => {
                Rc::try_unwrap(members).map_or_else(|members| members.to_vec(), Nest::into_inner)
            }
            Self::Row { .. } => self.members(),
        }
    }

    /// This one's members, and `others` in their place or after them.
    #[must_use]
    pub fn with(&self, others: impl IntoIterator<Item = (Arc<str>, Value)>) -> Self {
        let mut members = self.members();
        for (name, value) in others {
            match members.iter_mut().find(|(known, _)| *known == name) {
                Some(member) => member.1 = value,
                None => members.push((name, value)),
            }
        }
        Self::Members(Rc::new(Nest::members(members)))
    }
}
