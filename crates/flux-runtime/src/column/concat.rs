//! Columns one after the other, and which cells of one are equal.

use std::{collections::BTreeMap, sync::Arc};

use rustc_hash::FxHashMap;

use super::{Cells, Column, Values};
use crate::{
    ColumnBuilder, Kind, Value,
    value::{Ordered, total},
};

/// Rows of a column in the making: a column's, or so many without a value.
#[derive(Debug, Clone)]
pub(crate) enum Part<'a> {
    /// Its cells are of the kind of the whole, or all without a value.
    Cells(&'a Column),
    /// Cells without a value.
    Missing(usize),
}

impl Part<'_> {
    fn rows(&self) -> usize {
        match self {
            Self::Cells(column) => column.rows(),
            Self::Missing(rows) => *rows,
        }
    }
}

impl Column {
    /// The value that every cell has, if the column is made so.
    pub(crate) fn repeated(&self) -> Option<&Value> {
        match self.values() {
            Values::Repeat { value, .. } => Some(value),
            _ => None,
        }
    }

    /// Whether it was made without any value: then its type says little, and any other may take its place.
    pub(crate) fn has_no_values(&self) -> bool {
        self.repeated().is_some_and(Value::is_null)
    }

    /// One column of several parts.
    pub(crate) fn concat(label: Arc<str>, kind: Kind, parts: &[Part<'_>]) -> Self {
        let rows = parts.iter().map(Part::rows).sum();
        if let [Part::Cells(column)] = parts
            && column.kind() == kind
        {
            return column.renamed(label);
        }
        if let Some(value) = common(parts) {
            return Self::repeat(label, kind, value, rows);
        }
        let values = match kind {
            Kind::Bool => Values::Bool(joined(
                parts,
                rows,
                |values| if let Values::Bool(cells) = values { Some(cells) } else { None },
                |value| if let Value::Bool(value) = value { Some(*value) } else { None },
            )),
            Kind::Int => Values::Int(joined(
                parts,
                rows,
                |values| if let Values::Int(cells) = values { Some(cells) } else { None },
                |value| if let Value::Int(value) = value { Some(*value) } else { None },
            )),
            Kind::Time => Values::Time(joined(
                parts,
                rows,
                |values| if let Values::Time(cells) = values { Some(cells) } else { None },
                |value| if let Value::Time(value) = value { Some(*value) } else { None },
            )),
            Kind::Uint => Values::Uint(joined(
                parts,
                rows,
                |values| if let Values::Uint(cells) = values { Some(cells) } else { None },
                |value| if let Value::Uint(value) = value { Some(*value) } else { None },
            )),
            Kind::Float => Values::Float(joined(
                parts,
                rows,
                |values| if let Values::Float(cells) = values { Some(cells) } else { None },
                |value| if let Value::Float(value) = value { Some(*value) } else { None },
            )),
            Kind::String => Values::String(joined(
                parts,
                rows,
                |values| if let Values::String(cells) = values { Some(cells) } else { None },
                |value| if let Value::String(value) = value { Some(Arc::clone(value)) } else { None },
            )),
            _ => return one_by_one(label, kind, parts),
        };
        Self::new(label, values)
    }

    /// A number for each row, the same for rows whose cells are equal; numbers begin at 0 and grow with the rows.
    pub(crate) fn codes(&self) -> Vec<u32> {
        match self.values() {
            Values::Repeat { rows, .. } => vec![0; *rows],
            Values::Bool(cells) => coded(cells.iter().map(Option::<&bool>::copied)),
            Values::Int(cells) | Values::Time(cells) => coded(cells.iter().map(Option::<&i64>::copied)),
            Values::Uint(cells) => coded(cells.iter().map(Option::<&u64>::copied)),
            // Both zeros are equal, and so is all that is no number.
            Values::Float(cells) => coded(cells.iter().map(|value| {
                value.map(|&value| if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() })
            })),
            Values::String(cells) => coded(cells.iter().map(|text| text.map(|text| &**text))),
            Values::Other(_, values) => {
                let mut known = BTreeMap::new();
                let codes = values.iter().map(|value| {
                    let next = known.len() as u32;
                    *known.entry(Ordered(value.clone())).or_insert(next)
                });
                codes.collect()
            }
        }
    }
}

/// The same as [`Column::codes`] of rows that are equal in several columns.
pub(crate) fn codes_of(columns: &[Column], rows: usize) -> Vec<u32> {
    let mut varying = columns.iter().filter(|column| column.repeated().is_none());
    let Some(first) = varying.next() else { return vec![0; rows] };
    varying.fold(first.codes(), |codes, column| coded(codes.into_iter().zip(column.codes())))
}

fn coded<T: std::hash::Hash + Eq + Copy>(cells: impl Iterator<Item = T>) -> Vec<u32> {
    let mut known: FxHashMap<T, u32> = FxHashMap::default();
    // Neighbours are often equal.
    let mut last: Option<(T, u32)> = None;
    cells
        .map(|cell| match last {
            Some((before, code)) if before == cell => code,
            _ => {
                let next = known.len() as u32;
                let code = *known.entry(cell).or_insert(next);
                last = Some((cell, code));
                code
            }
        })
        .collect()
}

/// The value that all parts repeat.
fn common(parts: &[Part<'_>]) -> Option<Value> {
    let mut common: Option<&Value> = None;
    for part in parts {
        let value = match part {
            Part::Missing(_) => &Value::Null,
            Part::Cells(column) => column.repeated()?,
        };
        match common {
            None => common = Some(value),
            Some(known) if total(known, value).is_ne() => return None,
            Some(_) => {}
        }
    }
    Some(common.cloned().unwrap_or(Value::Null))
}

fn joined<T: Clone + Default>(
    parts: &[Part<'_>],
    rows: usize,
    cells_of: impl Fn(&Values) -> Option<&Cells<T>>,
    value_of: impl Fn(&Value) -> Option<T>,
) -> Cells<T> {
    let mut all = Cells { values: Vec::with_capacity(rows), valid: None };
    let mut add = |values: &mut dyn Iterator<Item = T>, valid: Option<&[bool]>, has: bool| {
        let before = all.values.len();
        all.values.extend(values);
        let added = all.values.len() - before;
        if valid.is_some() || !has || all.valid.is_some() {
            let known = all.valid.get_or_insert_with(|| vec![true; before]);
            match valid {
                Some(valid) => known.extend_from_slice(valid),
                None => known.resize(known.len() + added, has),
            }
        }
    };
    for part in parts {
        let (value, rows) = match part {
            Part::Missing(rows) => (None, *rows),
            Part::Cells(column) => match cells_of(column.values()) {
                Some(cells) => {
                    add(&mut cells.values.iter().cloned(), cells.valid.as_deref(), true);
                    continue;
                }
                None => (column.repeated().and_then(&value_of), column.rows()),
            },
        };
        let has = value.is_some();
        add(&mut std::iter::repeat_n(value.unwrap_or_default(), rows), None, has);
    }
    all
}

fn one_by_one(label: Arc<str>, kind: Kind, parts: &[Part<'_>]) -> Column {
    let mut column = ColumnBuilder::new(label, kind);
    for part in parts {
        for row in 0..part.rows() {
            let value = match part {
                Part::Cells(cells) => cells.get(row),
                Part::Missing(_) => Value::Null,
            };
            if column.push(value).is_err() {
                column.push_null();
            }
        }
    }
    column.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::read::column_of;

    fn cells() -> impl Strategy<Value = Vec<Option<i64>>> {
        prop::collection::vec(prop::option::of(-3_i64..3), 0..6)
    }

    fn column(cells: &[Option<i64>]) -> Column {
        let values = cells.iter().map(|cell| cell.map_or(Value::Null, Value::Int));
        column_of("x", Kind::Int, values)
    }

    fn shown(column: &Column) -> Vec<Option<i64>> {
        let cells = column.iter().map(|value| if let Value::Int(value) = value { Some(value) } else { None });
        cells.collect()
    }

    proptest! {
        #[test]
        fn parts_follow_each_other(first in cells(), missing in 0_usize..3, repeated in cells()) {
            let ours = [column(&first), Column::repeat("y".into(), Kind::Int, Value::Int(7), repeated.len())];
            let parts = [Part::Cells(&ours[0]), Part::Missing(missing), Part::Cells(&ours[1])];
            let joined = Column::concat("x".into(), Kind::Int, &parts);
            let mut expected = first;
            expected.extend(vec![None; missing]);
            expected.extend(repeated.iter().map(|_| Some(7)));
            prop_assert_eq!(shown(&joined), expected);
        }

        #[test]
        fn equal_cells_have_one_code(one in cells(), seed in 0_usize..3) {
            let other: Vec<Option<i64>> = one.iter().map(|cell| cell.filter(|cell| *cell > seed as i64)).collect();
            let codes = codes_of(&[column(&one), column(&other)], one.len());
            for left in 0..one.len() {
                for right in 0..one.len() {
                    let equal = (one[left], other[left]) == (one[right], other[right]);
                    prop_assert_eq!(codes[left] == codes[right], equal);
                }
            }
        }
    }
}
