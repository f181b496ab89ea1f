//! Tables: columns of equal length, and the group key whose values are the same in every row.

mod key;

use std::{rc::Rc, sync::Arc};

pub use key::{GroupKey, KeyColumn};

use crate::{Column, Context, Error, Kind, Record, Value};

/// A table. Clones share their cells.
#[derive(Debug, Clone)]
pub struct Table {
    key: GroupKey,
    columns: Vec<Column>,
    rows: usize,
}

/// What a stream consists of: no two tables have one key.
pub type Tables = Vec<Table>;

impl Table {
    /// Of columns, which are equally long. Every column of the key is among them.
    pub fn new(key: GroupKey, columns: Vec<Column>) -> Self {
        let rows = columns.first().map_or(0, Column::rows);
        debug_assert!(columns.iter().all(|column| column.rows() == rows), "columns differ in length");
        Self { key, columns, rows }
    }

    /// What it is grouped by.
    pub const fn key(&self) -> &GroupKey {
        &self.key
    }

    /// In their order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How many rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Whether it has no rows.
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The column of that name.
    pub fn column(&self, label: &str) -> Option<&Column> {
        self.columns.iter().find(|column| **column.label() == *label)
    }

    /// The column of that name, which has to exist.
    pub(crate) fn existing(&self, context: &Context<'_>, label: &str) -> Result<&Column, Error> {
        self.column(label).ok_or_else(|| context.error(format!("column \"{label}\" does not exist")))
    }

    /// The type of the column of that name.
    pub fn kind_of(&self, label: &str) -> Option<Kind> {
        self.column(label).map(Column::kind)
    }

    /// A cell; null where there is no such column or row.
    pub fn get(&self, label: &str, row: usize) -> Value {
        self.column(label).map_or(Value::Null, |column| column.get(row))
    }

    /// Every row as a record that shares the table.
    pub fn records(&self) -> impl Iterator<Item = Record> + use<> {
        let table = Rc::new(self.clone());
        (0..self.rows).map(move |row| Record::Row { table: Rc::clone(&table), row })
    }

    /// The given rows, in that order; the key stays.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Self {
        let columns = self.columns.iter().map(|column| column.take(rows)).collect();
        Self { key: self.key.clone(), columns, rows: rows.len() }
    }

    /// Only the columns of the key, one row or none.
    pub fn key_columns(&self, rows: usize) -> Vec<Column> {
        self.key.columns(rows)
    }

    /// With a column in the place of the one of its name, or after all others. A column of the key keeps its place in
    /// the key only with its value: this changes cells, not the key.
    #[must_use]
    pub fn with_column(mut self, column: Column) -> Self {
        match self.columns.iter_mut().find(|known| known.label() == column.label()) {
            Some(known) => *known = column,
            None => self.columns.push(column),
        }
        self
    }

    /// With another key.
    #[must_use]
    pub fn with_key(mut self, key: GroupKey) -> Self {
        self.key = key;
        self
    }

    /// Memory that its cells take, in bytes.
    pub fn size_bytes(&self) -> usize {
        const TABLE_BYTES: usize = 256;
        TABLE_BYTES + self.columns.iter().map(Column::size_bytes).sum::<usize>()
    }
}

/// Empty cells of a type under a name.
pub fn empty_column(label: Arc<str>, kind: Kind) -> Column {
    crate::ColumnBuilder::new(label, kind).finish()
}
