//! Merging against the definition: by cell, the greatest version, then the later source, then the later row.

use std::collections::BTreeMap;

use proptest::prelude::*;
use skywatch_model::{Bitmap, Column, FieldValue, Values, Version};

use super::*;

/// One row: time, version, a value or none for each of two fields.
type Row = (i64, u64, [Option<i64>; 2]);

fn source(rows: &[Row]) -> Rows {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|(time, ..)| *time);
    let columns = (0..2)
        .map(|column| {
            let mut valid = Bitmap::filled(rows.len(), false);
            let values = rows.iter().map(|(.., values)| values[column].unwrap_or(-1)).collect();
            rows.iter().enumerate().for_each(|(row, (.., values))| valid.set(row, values[column].is_some()));
            (valid.count_set() > 0).then_some(Column { values: Values::Integer(values), valid: Some(valid) })
        })
        .collect();
    let versions = rows.iter().map(|(_, version, _)| Version(*version)).collect();
    Rows { times: rows.iter().map(|(time, ..)| *time).collect(), columns, versions: Versions::Rows(versions) }
}

fn cells(rows: &Rows) -> BTreeMap<(i64, usize), i64> {
    let mut cells = BTreeMap::new();
    for (row, time) in rows.times.iter().enumerate() {
        for (index, column) in rows.columns.iter().enumerate() {
            if let Some(FieldValue::Integer(value)) = column.as_ref().and_then(|column| column.get(row)) {
                cells.insert((*time, index), value);
            }
        }
    }
    cells
}

fn row() -> impl Strategy<Value = Row> {
    let value = || prop::option::of(any::<i64>());
    (0i64..8, 1u64..5, [value(), value()])
}

proptest! {
    #[test]
    fn the_greatest_version_wins_then_the_later_source(sources in prop::collection::vec(prop::collection::vec(row(), 1..8), 1..4)) {
        let mut expected: BTreeMap<(i64, usize), (u64, i64)> = BTreeMap::new();
        for rows in &sources {
            let mut rows = rows.clone();
            rows.sort_by_key(|(time, ..)| *time);
            for (time, version, values) in rows {
                for (index, value) in values.iter().enumerate() {
                    let Some(value) = value else { continue };
                    let cell = expected.entry((time, index)).or_insert((0, 0));
                    if version >= cell.0 {
                        *cell = (version, *value);
                    }
                }
            }
        }
        let merged = merge(sources.iter().map(|rows| source(rows)).collect(), true);
        prop_assert!(merged.times.windows(2).all(|pair| pair[0] < pair[1]));
        let values: BTreeMap<_, _> = expected.iter().map(|(cell, (_, value))| (*cell, *value)).collect();
        prop_assert_eq!(cells(&merged), values);
        for (row, time) in merged.times.iter().enumerate() {
            for index in 0..2 {
                if let Some((version, _)) = expected.get(&(*time, index)) {
                    prop_assert_eq!(merged.versions.get(index, row), Version(*version));
                }
            }
        }
        // Merging is idempotent, and in two steps the same as in one.
        prop_assert_eq!(cells(&merge(vec![merged.clone(), merged.clone()], true)), cells(&merged));
        let (first, rest) = sources.split_at(1);
        let stepwise = merge(vec![merge(first.iter().map(|rows| source(rows)).collect(), true), if rest.is_empty() { source(&[]) } else { merge(rest.iter().map(|rows| source(rows)).collect(), true) }], true);
        prop_assert_eq!(cells(&stepwise), cells(&merged));
    }

    #[test]
    fn empty_rows_go_and_others_stay(rows in prop::collection::vec(row(), 0..10)) {
        let merged = merge(vec![source(&rows)], false);
        let kept = merged.clone().without_empty_rows();
        prop_assert_eq!(cells(&kept), cells(&merged));
        for row in 0..kept.times.len() {
            prop_assert!(kept.columns.iter().flatten().any(|column| column.is_valid(row)));
        }
    }
}

#[test]
fn versions_are_as_coarse_as_is_exact() {
    let merged = |rows: &[Row]| merge(vec![source(rows)], true).versions;
    assert_eq!(merged(&[(1, 7, [Some(1), None]), (2, 7, [Some(1), Some(1)])]), Versions::Uniform(Version(7)));
    let by_row = merged(&[(1, 7, [Some(1), None]), (2, 8, [Some(1), Some(1)])]);
    assert_eq!(by_row, Versions::Rows(vec![Version(7), Version(8)]));
    let by_cell = merged(&[(1, 7, [Some(1), None]), (1, 8, [None, Some(1)])]);
    assert_eq!(by_cell, Versions::Cells(vec![vec![Version(7)], vec![Version(8)]]));
}

fn floats(values: &[Option<f64>]) -> Option<Column> {
    let mut valid = Bitmap::filled(values.len(), true);
    for (index, value) in values.iter().enumerate() {
        valid.set(index, value.is_some());
    }
    let values = values.iter().map(|value| value.unwrap_or_default()).collect();
    Some(Column { values: Values::Float(values), valid: Some(valid) })
}

#[test]
fn dropping_empty_rows_leaves_the_gaps_of_the_others() {
    let rows = Rows {
        times: vec![0, 3, 4, 9],
        columns: vec![
            floats(&[Some(1.0), Some(2.0), None, None]),
            floats(&[Some(5.0), None, Some(6.0), None]),
            floats(&[None; 4]),
            None,
        ],
        versions: Versions::SETTLED,
    };
    let kept = rows.without_empty_rows();
    assert_eq!(kept.times, [0, 3, 4]);
    let cells = |column: usize| -> Vec<_> {
        let column = kept.columns[column].as_ref().unwrap();
        (0..3).map(|row| column.get(row)).collect()
    };
    let float = |value| Some(FieldValue::Float(value));
    assert_eq!(cells(0), [float(1.0), float(2.0), None]);
    assert_eq!(cells(1), [float(5.0), None, float(6.0)]);
    assert_eq!(&kept.columns[2..], [None, None]);
}
