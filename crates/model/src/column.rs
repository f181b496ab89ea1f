//! Columns of values and blocks of rows: what the storage engine hands to the query engine.

use std::{ops::Range, sync::Arc};

use crate::{FieldType, FieldValue, TimeRange};

/// Which positions of a column hold a value. Bit `i` is bit `i % 64` of word `i / 64`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bitmap {
    words: Vec<u64>,
    len: usize,
}

impl Bitmap {
    /// `len` positions, all `set`.
    pub fn filled(len: usize, set: bool) -> Self {
        let mut bitmap = Self { words: vec![if set { u64::MAX } else { 0 }; len.div_ceil(64)], len };
        bitmap.clear_tail();
        bitmap
    }

    /// Number of positions.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no positions.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether position `index` is set.
    pub fn get(&self, index: usize) -> bool {
        assert!(index < self.len, "bitmap position {index} of {}", self.len);
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    /// Sets or clears position `index`.
    pub fn set(&mut self, index: usize, set: bool) {
        assert!(index < self.len, "bitmap position {index} of {}", self.len);
        let mask = 1 << (index % 64);
        if set {
            self.words[index / 64] |= mask;
        } else {
            self.words[index / 64] &= !mask;
        }
    }

    /// Forgets the positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.words.truncate(self.len.div_ceil(64));
        self.clear_tail();
    }

    /// Appends a position.
    pub fn push(&mut self, set: bool) {
        if self.len.is_multiple_of(64) {
            self.words.push(0);
        }
        self.len += 1;
        if set {
            self.set(self.len - 1, true);
        }
    }

    /// Number of set positions.
    pub fn count_set(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The words, least significant bit first; bits past `len` are zero.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    fn clear_tail(&mut self) {
        let used = self.len % 64;
        if used > 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << used) - 1;
        }
    }
}

/// The values of a column, one per row; rows without a value hold an arbitrary placeholder.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// See [`FieldType::Float`].
    Float(Vec<f64>),
    /// See [`FieldType::Integer`].
    Integer(Vec<i64>),
    /// See [`FieldType::Unsigned`].
    Unsigned(Vec<u64>),
    /// See [`FieldType::String`].
    String(Vec<Arc<str>>),
    /// See [`FieldType::Boolean`].
    Boolean(Vec<bool>),
}

impl Values {
    /// No values of `field_type`.
    pub fn empty(field_type: FieldType) -> Self {
        match field_type {
            FieldType::Float => Self::Float(Vec::new()),
            FieldType::Integer => Self::Integer(Vec::new()),
            FieldType::Unsigned => Self::Unsigned(Vec::new()),
            FieldType::String => Self::String(Vec::new()),
            FieldType::Boolean => Self::Boolean(Vec::new()),
        }
    }

    /// The values' type.
    pub const fn field_type(&self) -> FieldType {
        match self {
            Self::Float(_) => FieldType::Float,
            Self::Integer(_) => FieldType::Integer,
            Self::Unsigned(_) => FieldType::Unsigned,
            Self::String(_) => FieldType::String,
            Self::Boolean(_) => FieldType::Boolean,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Float(values) => values.len(),
            Self::Integer(values) => values.len(),
            Self::Unsigned(values) => values.len(),
            Self::String(values) => values.len(),
            Self::Boolean(values) => values.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of row `index`, owned.
    pub fn get(&self, index: usize) -> FieldValue {
        match self {
            Self::Float(values) => FieldValue::Float(values[index]),
            Self::Integer(values) => FieldValue::Integer(values[index]),
            Self::Unsigned(values) => FieldValue::Unsigned(values[index]),
            Self::String(values) => FieldValue::String(Arc::clone(&values[index])),
            Self::Boolean(values) => FieldValue::Boolean(values[index]),
        }
    }
}

/// One field of a [`RowBlock`].
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// One value per row of the block.
    pub values: Values,
    /// Which rows have a value; `None` means all of them.
    pub valid: Option<Bitmap>,
}

impl Column {
    /// A column of one row, which has this value.
    pub fn of_one(value: FieldValue) -> Self {
        let values = match value {
            FieldValue::Float(value) => Values::Float(vec![value]),
            FieldValue::Integer(value) => Values::Integer(vec![value]),
            FieldValue::Unsigned(value) => Values::Unsigned(vec![value]),
            FieldValue::String(value) => Values::String(vec![value]),
            FieldValue::Boolean(value) => Values::Boolean(vec![value]),
        };
        Self { values, valid: None }
    }

    /// Puts the rows in the opposite order.
    pub fn reverse(&mut self) {
        match &mut self.values {
            Values::Float(values) => values.reverse(),
            Values::Integer(values) => values.reverse(),
            Values::Unsigned(values) => values.reverse(),
            Values::String(values) => values.reverse(),
            Values::Boolean(values) => values.reverse(),
        }
        if let Some(valid) = &mut self.valid {
            let mut reversed = Bitmap::filled(valid.len(), false);
            let rows = (0..valid.len()).rev().enumerate();
            rows.filter(|(_, from)| valid.get(*from)).for_each(|(to, _)| reversed.set(to, true));
            *valid = reversed;
        }
    }

    /// Forgets the rows from `len` on.
    pub fn truncate(&mut self, len: usize) {
        match &mut self.values {
            Values::Float(values) => values.truncate(len),
            Values::Integer(values) => values.truncate(len),
            Values::Unsigned(values) => values.truncate(len),
            Values::String(values) => values.truncate(len),
            Values::Boolean(values) => values.truncate(len),
        }
        if let Some(valid) = &mut self.valid {
            valid.truncate(len);
        }
    }

    /// Number of rows that have a value.
    pub fn count_values(&self) -> usize {
        self.valid.as_ref().map_or(self.values.len(), Bitmap::count_set)
    }

    /// Whether row `index` has a value.
    pub fn is_valid(&self, index: usize) -> bool {
        self.valid.as_ref().is_none_or(|valid| valid.get(index))
    }

    /// A run of its rows.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let valid = self.valid.as_ref().map(|valid| {
            let mut sliced = Bitmap::default();
            rows.clone().for_each(|row| sliced.push(valid.get(row)));
            sliced
        });
        let values = match &self.values {
            Values::Float(values) => Values::Float(values[rows].to_vec()),
            Values::Integer(values) => Values::Integer(values[rows].to_vec()),
            Values::Unsigned(values) => Values::Unsigned(values[rows].to_vec()),
            Values::String(values) => Values::String(values[rows].to_vec()),
            Values::Boolean(values) => Values::Boolean(values[rows].to_vec()),
        };
        Self { values, valid: valid.filter(|valid| valid.count_set() < valid.len()) }
    }

    /// Adds rows without a value until there are `len`.
    pub fn pad(&mut self, len: usize) {
        let before = self.values.len();
        if len <= before {
            return;
        }
        let valid = self.valid.get_or_insert_with(|| Bitmap::filled(before, true));
        (before..len).for_each(|_| valid.push(false));
        match &mut self.values {
            Values::Float(values) => values.resize(len, 0.0),
            Values::Integer(values) => values.resize(len, 0),
            Values::Unsigned(values) => values.resize(len, 0),
            Values::String(values) => values.resize(len, Arc::default()),
            Values::Boolean(values) => values.resize(len, false),
        }
    }

    /// Adds the rows of a column of the same type.
    pub fn append(&mut self, more: Self) {
        let (before, added) = (self.values.len(), more.values.len());
        if self.valid.is_some() || more.valid.is_some() {
            let valid = self.valid.get_or_insert_with(|| Bitmap::filled(before, true));
            (0..added).for_each(|row| valid.push(more.valid.as_ref().is_none_or(|more| more.get(row))));
        }
        match (&mut self.values, more.values) {
            (Values::Float(values), Values::Float(more)) => values.extend(more),
            (Values::Integer(values), Values::Integer(more)) => values.extend(more),
            (Values::Unsigned(values), Values::Unsigned(more)) => values.extend(more),
            (Values::String(values), Values::String(more)) => values.extend(more),
            (Values::Boolean(values), Values::Boolean(more)) => values.extend(more),
            (values, more) => {
                unreachable!("a column of {:?} cannot take {:?}", values.field_type(), more.field_type())
            }
        }
    }

    /// The value of row `index`, if it has one.
    pub fn get(&self, index: usize) -> Option<FieldValue> {
        self.is_valid(index).then(|| self.values.get(index))
    }
}

/// Rows of one series, ascending by time, times distinct. `columns` answer the requested fields in the order
/// asked; `None` where the block has no value of that field at all. Every row has a value in some column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RowBlock {
    /// Timestamps in nanoseconds, strictly ascending.
    pub times: Vec<i64>,
    /// One entry per requested field.
    pub columns: Vec<Option<Column>>,
}

impl RowBlock {
    /// Those of its rows whose times lie inside.
    pub fn within(self, range: TimeRange) -> Self {
        let start = self.times.partition_point(|time| *time < range.start);
        let end = self.times.partition_point(|time| *time <= range.end).max(start);
        if start == 0 && end == self.times.len() {
            return self;
        }
        let column = |column: &Option<Column>| {
            let column = column.as_ref().map(|column| column.slice(start..end))?;
            (column.count_values() > 0).then_some(column)
        };
        Self { columns: self.columns.iter().map(column).collect(), times: self.times[start..end].to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reversing_keeps_values_with_their_validity() {
        let mut column = Column::of_one(FieldValue::Integer(7));
        column.pad(3);
        column.reverse();
        let found: Vec<Option<FieldValue>> = (0..3).map(|row| column.get(row)).collect();
        assert_eq!(found, [None, None, Some(FieldValue::Integer(7))]);
        column.reverse();
        assert_eq!(column.get(0), Some(FieldValue::Integer(7)));
        assert!(!column.is_valid(1) && !column.is_valid(2));
    }
}
