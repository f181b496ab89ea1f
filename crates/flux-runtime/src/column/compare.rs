//! Which of a column's rows comes first, and which of its values occur how often.

use std::{cmp::Ordering, hash::Hash};

use rustc_hash::FxHashMap;

use super::{Cells, Column, Values};
use crate::value::Ordered;

/// A value of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Occurrence {
    /// The first row that has it.
    pub(crate) row: usize,
    /// How many have it.
    pub(crate) rows: usize,
    /// Whether it is null.
    pub(crate) is_null: bool,
}

impl Column {
    /// The order of two rows by this column, as Flux's `sort` has it: null comes after every value, NaN after every
    /// other number.
    pub(crate) fn compare(&self, left: usize, right: usize) -> Ordering {
        fn by<T>(cells: &Cells<T>, rows: (usize, usize), order: impl Fn(&T, &T) -> Ordering) -> Ordering {
            match (cells.get(rows.0), cells.get(rows.1)) {
                (Some(left), Some(right)) => order(left, right),
                (left, right) => left.is_none().cmp(&right.is_none()),
            }
        }
        let rows = (left, right);
        match self.values() {
            Values::Repeat { .. } => Ordering::Equal,
            Values::Bool(cells) => by(cells, rows, Ord::cmp),
            Values::Int(cells) | Values::Time(cells) => by(cells, rows, Ord::cmp),
            Values::Uint(cells) => by(cells, rows, Ord::cmp),
            Values::Float(cells) => by(cells, rows, |left, right| {
                left.partial_cmp(right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
            }),
            Values::String(cells) => by(cells, rows, Ord::cmp),
            Values::Other(..) => {
                let (left, right) = (self.get(left), self.get(right));
                left.is_null().cmp(&right.is_null()).then_with(|| Ordered(left).cmp(&Ordered(right)))
            }
        }
    }

    /// Its values, null among them, in the order in which they come first. NaN equals itself.
    pub(crate) fn occurrences(&self) -> Vec<Occurrence> {
        match self.values() {
            Values::Repeat { rows: 0, .. } => Vec::new(),
            Values::Repeat { value, rows, .. } => {
                vec![Occurrence { row: 0, rows: *rows, is_null: value.is_null() }]
            }
            Values::Bool(cells) => hashed(cells, |value| *value),
            Values::Int(cells) | Values::Time(cells) => hashed(cells, |value| *value),
            Values::Uint(cells) => hashed(cells, |value| *value),
            Values::Float(cells) => hashed(cells, |value| bits(*value)),
            Values::String(cells) => hashed(cells, |value| &**value),
            Values::Other(_, values) => {
                let mut rows: Vec<usize> = (0..values.len()).collect();
                rows.sort_by(|&left, &right| self.compare(left, right));
                let equal = rows.chunk_by(|&left, &right| self.compare(left, right).is_eq());
                let mut found: Vec<Occurrence> = equal
                    .filter_map(|rows| {
                        let row = *rows.first()?;
                        Some(Occurrence { row, rows: rows.len(), is_null: self.get(row).is_null() })
                    })
                    .collect();
                found.sort_by_key(|value| value.row);
                found
            }
        }
    }
}

fn hashed<'c, T, K: Hash + Eq>(cells: &'c Cells<T>, key: impl Fn(&'c T) -> K) -> Vec<Occurrence> {
    let mut known: FxHashMap<Option<K>, usize> = FxHashMap::default();
    let mut found = Vec::new();
    for (row, value) in cells.iter().enumerate() {
        let is_null = value.is_none();
        let at = *known.entry(value.map(&key)).or_insert(found.len());
        match found.get_mut(at) {
            Some(Occurrence { rows, .. }) => *rows += 1,
            None => found.push(Occurrence { row, rows: 1, is_null }),
        }
    }
    found
}

/// The same for numbers that are equal, and for all that are none.
fn bits(value: f64) -> u64 {
    if value == 0.0 {
        0
    } else if value.is_nan() {
        f64::NAN.to_bits()
    } else {
        value.to_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ColumnBuilder, Kind, Value};

    fn column(values: &[Value]) -> Column {
        let mut column = ColumnBuilder::new("c".into(), Kind::Null);
        values.iter().for_each(|value| column.push(value.clone()).unwrap());
        column.finish()
    }

    #[test]
    fn values_are_told_once_and_counted() {
        let zeros = [0.0.into(), Value::Null, f64::NAN.into(), (-0.0).into(), f64::NAN.into()];
        let found: Vec<_> = column(&zeros).occurrences().iter().map(|one| (one.row, one.rows)).collect();
        assert_eq!(found, [(0, 2), (1, 1), (2, 2)]);
        let texts = column(&["a".into(), "b".into(), "a".into()]);
        let found: Vec<_> = texts.occurrences().iter().map(|one| (one.row, one.rows)).collect();
        assert_eq!(found, [(0, 2), (1, 1)]);
        let bytes = column(&[b"b".as_slice(), b"a", b"b"].map(|bytes| Value::Bytes(bytes.into())));
        let found: Vec<_> = bytes.occurrences().iter().map(|one| (one.row, one.rows)).collect();
        assert_eq!(found, [(0, 2), (1, 1)]);
        assert_eq!(column(&[]).occurrences(), []);
        let nulls = column(&[Value::Null, Value::Null]);
        assert_eq!(nulls.occurrences(), [Occurrence { row: 0, rows: 2, is_null: true }]);
    }

    #[test]
    fn null_comes_last_and_nan_before_it() {
        let column = column(&[Value::Null, f64::NAN.into(), 2.0.into(), 1.0.into()]);
        let mut rows: Vec<usize> = (0..4).collect();
        rows.sort_by(|&left, &right| column.compare(left, right));
        assert_eq!(rows, [3, 2, 1, 0]);
    }
}
