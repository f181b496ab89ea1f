//! A column in the making, cell by cell.

use std::sync::Arc;

use super::{Cells, Column, Values};
use crate::{Kind, Value};

/// Takes cells of one type. The type may be left open until the first value comes.
#[derive(Debug)]
pub struct ColumnBuilder {
    label: Arc<str>,
    kind: Kind,
    values: Values,
    rows: usize,
}

impl ColumnBuilder {
    /// Of a type; [`Kind::Null`] leaves it to the first value.
    pub fn new(label: Arc<str>, kind: Kind) -> Self {
        Self { label, kind, values: empty(kind), rows: 0 }
    }

    /// Its name.
    pub const fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// How many cells it has taken.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The type of its cells; [`Kind::Null`] while it is open.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Adds a cell without a value.
    pub fn push_null(&mut self) {
        fn add<T: Default>(cells: &mut Cells<T>) {
            let rows = cells.values.len();
            cells.values.push(T::default());
            cells.valid.get_or_insert_with(|| vec![true; rows]).push(false);
        }
        match &mut self.values {
            Values::Bool(cells) => add(cells),
            Values::Int(cells) | Values::Time(cells) => add(cells),
            Values::Uint(cells) => add(cells),
            Values::Float(cells) => add(cells),
            Values::String(cells) => {
                let rows = cells.values.len();
                // The neighbour's: no cell of its own is made for nothing.
                cells.values.push(cells.values.last().cloned().unwrap_or_else(|| Arc::from("")));
                cells.valid.get_or_insert_with(|| vec![true; rows]).push(false);
            }
            Values::Other(_, values) => values.push(Value::Null),
            Values::Repeat { rows, .. } => *rows += 1,
        }
        self.rows += 1;
    }

    /// Adds a cell. A value of another type than the column's, or of one that no column holds, is
    /// an error: both types.
    pub fn push(&mut self, value: Value) -> Result<(), (Kind, Kind)> {
        fn add<T>(cells: &mut Cells<T>, value: T) {
            cells.values.push(value);
            if let Some(valid) = &mut cells.valid {
                valid.push(true);
            }
        }
        if value.is_null() {
            self.push_null();
            return Ok(());
        }
        if matches!(
            value,
            Value::Array(_)
                | Value::Dictionary(_)
                | Value::Record(_)
                | Value::Function(_)
                | Value::Stream(_)
                | Value::Regex(_)
        ) {
            return Err((self.kind, value.kind()));
        }
        if self.kind == Kind::Null {
            let missing = self.rows;
            *self = Self::new(Arc::clone(&self.label), value.kind());
            (0..missing).for_each(|_| self.push_null());
        }
        if value.kind() != self.kind {
            return Err((self.kind, value.kind()));
        }
        match (&mut self.values, value) {
            (Values::Bool(cells), Value::Bool(value)) => add(cells, value),
            (Values::Int(cells), Value::Int(value)) | (Values::Time(cells), Value::Time(value)) => {
                add(cells, value);
            }
            (Values::Uint(cells), Value::Uint(value)) => add(cells, value),
            (Values::Float(cells), Value::Float(value)) => add(cells, value),
            (Values::String(cells), Value::String(value)) => add(cells, value),
            (Values::Other(_, values), value) => values.push(value),
            (_, value) => return Err((self.kind, value.kind())),
        }
        self.rows += 1;
        Ok(())
    }

    /// The column. One that never got a value and whose type was left open is of texts.
    pub fn finish(self) -> Column {
        if self.kind == Kind::Null {
            return Column::repeat(self.label, Kind::String, Value::Null, self.rows);
        }
        Column::new(self.label, self.values)
    }
}

fn empty(kind: Kind) -> Values {
    match kind {
        Kind::Bool => Values::Bool(Cells::all(Vec::new())),
        Kind::Int => Values::Int(Cells::all(Vec::new())),
        Kind::Uint => Values::Uint(Cells::all(Vec::new())),
        Kind::Float => Values::Float(Cells::all(Vec::new())),
        Kind::String => Values::String(Cells::all(Vec::new())),
        Kind::Time => Values::Time(Cells::all(Vec::new())),
        Kind::Null => Values::Repeat { kind, value: Value::Null, rows: 0 },
        other => Values::Other(other, Vec::new()),
    }
}
