//! Columns of records, one record a row.

use std::sync::Arc;

use crate::{Column, ColumnBuilder, Context, Error, Kind, Value, memory::Charge};

/// Records become the rows of a table.
#[derive(Default)]
pub(in crate::functions) struct Rows {
    columns: Vec<(Arc<str>, ColumnBuilder)>,
    rows: usize,
    held: Vec<Charge>,
}

impl Rows {
    /// One more row. It has to be a record whose members can be cells.
    pub(in crate::functions) fn push(&mut self, context: &mut Context<'_>, row: Value) -> Result<(), Error> {
        const HELD_ROWS: usize = 8192;
        const CELL_BYTES: usize = 24;
        let Value::Record(record) = row else {
            let kind = row.kind().name();
            return Err(context.error(format!("the function has to return a record, but returned {kind}")));
        };
        let members = record.into_members();
        if self.rows.is_multiple_of(HELD_ROWS) && self.rows > 0 {
            self.held.push(context.hold(HELD_ROWS * CELL_BYTES * members.len())?);
        }
        for (at, (label, value)) in members.into_iter().enumerate() {
            if !is_cell(value.kind()) {
                let kind = value.kind().name();
                return Err(context.error(format!(
                    "column \"{label}\" cannot be of type {kind}: columns hold numbers, strings, booleans and times"
                )));
            }
            let at = self.column(at, &label);
            let Some((_, column)) = self.columns.get_mut(at) else { continue };
            if let Err((wanted, got)) = column.push(value) {
                let (wanted, got) = (wanted.name(), got.name());
                return Err(context.error(format!(
                    "column \"{label}\" is of type {wanted}, but the function returned {got} for one row"
                )));
            }
        }
        self.rows += 1;
        for (_, column) in &mut self.columns {
            if column.rows() < self.rows {
                column.push_null();
            }
        }
        Ok(())
    }

    /// How many rows it has taken.
    pub(in crate::functions) const fn rows(&self) -> usize {
        self.rows
    }

    /// Columns in the order in which they came first. Those that never got a value are of the kind that `kind_of` says.
    pub(in crate::functions) fn finish(self, kind_of: impl Fn(&str) -> Option<Kind>) -> Vec<Column> {
        let columns = self.columns.into_iter();
        columns
            .map(|(label, column)| match kind_of(&label) {
                Some(kind) if column.kind() == Kind::Null => {
                    Column::repeat(label, kind, Value::Null, column.rows())
                }
                _ => column.finish(),
            })
            .collect()
    }

    /// Where the column of a label is: most often where the label was in the record before.
    fn column(&mut self, at: usize, label: &Arc<str>) -> usize {
        match self.columns.get(at) {
            Some((known, _)) if Arc::ptr_eq(known, label) || known == label => return at,
            _ => {}
        }
        if let Some(at) = self.columns.iter().position(|(known, _)| known == label) {
            return at;
        }
        let mut column = ColumnBuilder::new(Arc::clone(label), Kind::Null);
        (0..self.rows).for_each(|_| column.push_null());
        self.columns.push((Arc::clone(label), column));
        self.columns.len() - 1
    }
}

const fn is_cell(kind: Kind) -> bool {
    matches!(kind, Kind::Null | Kind::Bool | Kind::Int | Kind::Uint | Kind::Float | Kind::String | Kind::Time)
}
