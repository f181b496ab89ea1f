//! Columns of tables: cells of one type, each of which may lack its value.

mod builder;
mod compare;
mod concat;

use std::{rc::Rc, sync::Arc};

pub use builder::ColumnBuilder;
pub(crate) use compare::Occurrence;
pub(crate) use concat::{Part, codes_of};

use crate::{Kind, Value};

/// A named column. Clones share the cells.
#[derive(Debug, Clone)]
pub struct Column {
    label: Arc<str>,
    values: Rc<Values>,
}

/// The cells of a column.
#[derive(Debug)]
pub enum Values {
    /// The same in every row: what a table is grouped by, the bounds of its time.
    Repeat {
        /// Of the column, even where the value is null.
        kind: Kind,
        /// In each row.
        value: Value,
        /// How many.
        rows: usize,
    },
    /// `bool`
    Bool(Cells<bool>),
    /// `int`
    Int(Cells<i64>),
    /// `uint`
    Uint(Cells<u64>),
    /// `float`
    Float(Cells<f64>),
    /// `string`
    String(Cells<Arc<str>>),
    /// `time`
    Time(Cells<i64>),
    /// `duration`, `bytes`: seldom, and never stored.
    Other(Kind, Vec<Value>),
}

/// Cells of one Rust type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cells<T> {
    /// One a row; arbitrary where not valid.
    pub values: Vec<T>,
    /// Which rows have a value; `None`: all.
    pub valid: Option<Vec<bool>>,
}

impl<T> Cells<T> {
    /// Every row has a value.
    pub const fn all(values: Vec<T>) -> Self {
        Self { values, valid: None }
    }

    /// The value of a row, if it has one.
    pub fn get(&self, row: usize) -> Option<&T> {
        let has = self.valid.as_ref().is_none_or(|valid| valid.get(row).copied().unwrap_or(false));
        self.values.get(row).filter(|_| has)
    }

    /// Row by row.
    pub fn iter(&self) -> impl Iterator<Item = Option<&T>> {
        (0..self.values.len()).map(|row| self.get(row))
    }

    fn take(&self, rows: &[usize]) -> Self
    where
        T: Clone,
    {
        Self {
            values: rows.iter().filter_map(|&row| self.values.get(row).cloned()).collect(),
            valid: self
                .valid
                .as_ref()
                .map(|valid| rows.iter().filter_map(|&row| valid.get(row).copied()).collect()),
        }
    }
}

impl Column {
    /// Of cells.
    pub fn new(label: Arc<str>, values: Values) -> Self {
        Self { label, values: Rc::new(values) }
    }

    /// The same value in every row; of `kind` where it is null.
    pub fn repeat(label: Arc<str>, kind: Kind, value: Value, rows: usize) -> Self {
        Self::new(label, Values::Repeat { kind, value, rows })
    }

    /// Its name.
    pub const fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// Its cells.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The same cells under another name.
    #[must_use]
    pub fn renamed(&self, label: Arc<str>) -> Self {
        Self { label, values: Rc::clone(&self.values) }
    }

    /// The type of its cells.
    pub fn kind(&self) -> Kind {
        match self.values() {
            Values::Repeat { kind, .. } | Values::Other(kind, _) => *kind,
            Values::Bool(_) => Kind::Bool,
            Values::Int(_) => Kind::Int,
            Values::Uint(_) => Kind::Uint,
            Values::Float(_) => Kind::Float,
            Values::String(_) => Kind::String,
            Values::Time(_) => Kind::Time,
        }
    }

    /// How many cells.
    pub fn rows(&self) -> usize {
        match self.values() {
            Values::Repeat { rows, .. } => *rows,
            Values::Bool(cells) => cells.values.len(),
            Values::Int(cells) | Values::Time(cells) => cells.values.len(),
            Values::Uint(cells) => cells.values.len(),
            Values::Float(cells) => cells.values.len(),
            Values::String(cells) => cells.values.len(),
            Values::Other(_, values) => values.len(),
        }
    }

    /// The cell of a row; null beyond the last.
    pub fn get(&self, row: usize) -> Value {
        fn found<T: Clone>(cells: &Cells<T>, row: usize, value: fn(T) -> Value) -> Value {
            cells.get(row).cloned().map_or(Value::Null, value)
        }
        match self.values() {
            Values::Repeat { value, rows, .. } => {
                if row < *rows {
                    value.clone()
                } else {
                    Value::Null
                }
            }
            Values::Bool(cells) => found(cells, row, Value::Bool),
            Values::Int(cells) => found(cells, row, Value::Int),
            Values::Uint(cells) => found(cells, row, Value::Uint),
            Values::Float(cells) => found(cells, row, Value::Float),
            Values::String(cells) => found(cells, row, Value::String),
            Values::Time(cells) => found(cells, row, Value::Time),
            Values::Other(_, values) => values.get(row).cloned().unwrap_or(Value::Null),
        }
    }

    /// The cells of the given rows, in that order.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Self {
        let values = match self.values() {
            Values::Repeat { kind, value, .. } => {
                Values::Repeat { kind: *kind, value: value.clone(), rows: rows.len() }
            }
            Values::Bool(cells) => Values::Bool(cells.take(rows)),
            Values::Int(cells) => Values::Int(cells.take(rows)),
            Values::Uint(cells) => Values::Uint(cells.take(rows)),
            Values::Float(cells) => Values::Float(cells.take(rows)),
            Values::String(cells) => Values::String(cells.take(rows)),
            Values::Time(cells) => Values::Time(cells.take(rows)),
            Values::Other(kind, values) => {
                let taken = rows.iter().filter_map(|&row| values.get(row).cloned()).collect();
                Values::Other(*kind, taken)
            }
        };
        Self::new(Arc::clone(&self.label), values)
    }

    /// Every cell in turn.
    pub fn iter(&self) -> impl Iterator<Item = Value> + '_ {
        (0..self.rows()).map(|row| self.get(row))
    }

    /// Its cells as numbers, row by row: `None` where there is none. Only of numeric columns.
    pub fn numbers(&self) -> Option<Vec<Option<f64>>> {
        match self.values() {
            Values::Float(cells) => Some(cells.iter().map(Option::<&f64>::copied).collect()),
            Values::Int(cells) => Some(cells.iter().map(|value| value.map(|&value| value as f64)).collect()),
            Values::Uint(cells) => Some(cells.iter().map(|value| value.map(|&value| value as f64)).collect()),
            Values::Repeat { kind: Kind::Float | Kind::Int | Kind::Uint, value, rows } => {
                Some(vec![value.as_float(); *rows])
            }
            _ => None,
        }
    }

    /// Memory that its cells take, in bytes.
    pub fn size_bytes(&self) -> usize {
        const OTHER_BYTES: usize = 64;
        fn cells<T>(cells: &Cells<T>) -> usize {
            size_of::<T>() * cells.values.capacity() + cells.valid.as_ref().map_or(0, Vec::capacity)
        }
        match self.values() {
            Values::Repeat { .. } => OTHER_BYTES,
            Values::Bool(values) => cells(values),
            Values::Int(values) | Values::Time(values) => cells(values),
            Values::Uint(values) => cells(values),
            Values::Float(values) => cells(values),
            Values::String(values) => {
                // Counted for each cell, though equal neighbours share theirs.
                cells(values) + values.values.iter().map(|text| text.len() + 16).sum::<usize>()
            }
            Values::Other(_, values) => OTHER_BYTES * values.capacity(),
        }
    }
}
