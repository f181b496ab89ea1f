//! Columns that grow row by row or run by run.

use std::{ops::Range, sync::Arc};

use skywatch_model::{Bitmap, Column, FieldType, RowBlock, Values};

use crate::expr::Vector;

/// A column being made.
#[derive(Debug)]
pub(in crate::exec) struct Appender {
    values: Values,
    /// Which rows have a value; `None` as long as all have.
    valid: Option<Bitmap>,
    any_valid: bool,
}

impl Appender {
    /// Without rows.
    pub(in crate::exec) fn new(field_type: FieldType) -> Self {
        Self { values: Values::empty(field_type), valid: None, any_valid: false }
    }

    /// Adds rows of a column; of one that is absent, as many nulls.
    pub(in crate::exec) fn rows(&mut self, column: Option<&Column>, rows: Range<usize>) {
        let Some(column) = column.filter(|column| column.values.field_type() == self.values.field_type())
        else {
            debug_assert!(column.is_none(), "a column of another type than {:?}", self.values.field_type());
            self.nulls(rows.len());
            return;
        };
        self.any_valid = true;
        if let Some(from) = &column.valid {
            let valid = self.valid.get_or_insert_with(|| Bitmap::filled(self.values.len(), true));
            rows.clone().for_each(|row| valid.push(from.get(row)));
        } else if let Some(valid) = &mut self.valid {
            rows.clone().for_each(|_| valid.push(true));
        }
        match (&mut self.values, &column.values) {
            (Values::Float(values), Values::Float(from)) => values.extend_from_slice(&from[rows]),
            (Values::Integer(values), Values::Integer(from)) => values.extend_from_slice(&from[rows]),
            (Values::Unsigned(values), Values::Unsigned(from)) => values.extend_from_slice(&from[rows]),
            (Values::String(values), Values::String(from)) => values.extend_from_slice(&from[rows]),
            (Values::Boolean(values), Values::Boolean(from)) => values.extend_from_slice(&from[rows]),
            _ => {}
        }
    }

    /// Adds the row of a column for each of `picks`, which name a column and its row.
    pub(super) fn scattered<'c>(&mut self, columns: &[Option<&'c Column>], picks: &[(u32, u32)]) {
        macro_rules! dense {
            ($variant:ident, $values:expr) => {{
                let slice = |column: &Option<&'c Column>| match *column {
                    Some(Column { values: Values::$variant(values), valid: None }) => Some(values.as_slice()),
                    None => Some([].as_slice()),
                    _ => None,
                };
                let slices: Option<Vec<_>> = columns.iter().map(slice).collect();
                let is_there = |(column, _): &(u32, u32)| columns[*column as usize].is_some();
                if let Some(slices) = slices.filter(|_| self.valid.is_none() && picks.iter().all(is_there)) {
                    let value = |(column, row): &(u32, u32)| slices[*column as usize][*row as usize].clone();
                    $values.extend(picks.iter().map(value));
                    self.any_valid = true;
                    return;
                }
            }};
        }
        match &mut self.values {
            Values::Float(values) => dense!(Float, values),
            Values::Integer(values) => dense!(Integer, values),
            Values::Unsigned(values) => dense!(Unsigned, values),
            Values::String(values) => dense!(String, values),
            Values::Boolean(values) => dense!(Boolean, values),
        }
        for (column, row) in picks {
            self.rows(columns[*column as usize], *row as usize..*row as usize + 1);
        }
    }

    fn nulls(&mut self, count: usize) {
        let len = self.values.len();
        let valid = self.valid.get_or_insert_with(|| Bitmap::filled(len, true));
        (0..count).for_each(|_| valid.push(false));
        let len = len + count;
        match &mut self.values {
            Values::Float(values) => values.resize(len, 0.0),
            Values::Integer(values) => values.resize(len, 0),
            Values::Unsigned(values) => values.resize(len, 0),
            Values::String(values) => values.resize(len, Arc::from("")),
            Values::Boolean(values) => values.resize(len, false),
        }
    }

    /// The column made so far, `None` if it has no value; goes on without rows.
    pub(super) fn take(&mut self) -> Option<Column> {
        let empty = Self::new(self.values.field_type());
        let made = std::mem::replace(self, empty);
        made.any_valid.then_some(Column { values: made.values, valid: made.valid })
    }

    /// As a vector.
    pub(in crate::exec) fn take_vector(&mut self) -> Vector {
        self.take().map_or(Vector::Null, Vector::Column)
    }
}

/// The rows of one block, then those of the other.
pub(super) fn joined(first: RowBlock, second: RowBlock) -> RowBlock {
    if first.times.is_empty() {
        return second;
    }
    if second.times.is_empty() {
        return first;
    }
    let columns = first.columns.iter().zip(&second.columns).map(|(a, b)| {
        let mut column = Appender::new(a.as_ref().or(b.as_ref())?.values.field_type());
        column.rows(a.as_ref(), 0..first.times.len());
        column.rows(b.as_ref(), 0..second.times.len());
        column.take()
    });
    RowBlock { columns: columns.collect(), times: [first.times, second.times].concat() }
}
