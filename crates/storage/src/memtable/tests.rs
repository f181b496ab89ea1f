//! Rows in, rows out; views that do not move; memory that is accounted for.

use std::sync::Arc;

use skywatch_model::{Column, FieldType, TimeRange, Values};

use super::*;
use crate::{
    Consumer, End,
    rows::{Buffer, Layout, SeriesId},
};

mod model;

fn layout(fields: &[(u32, FieldType)]) -> Arc<Layout> {
    Arc::new(Layout {
        fields: fields.iter().map(|(id, _)| FieldId(*id)).collect(),
        types: fields.iter().map(|(_, field_type)| *field_type).collect(),
    })
}

fn floats() -> Arc<Layout> {
    layout(&[(0, FieldType::Float)])
}

fn push(rows: &mut RowSet, layout: &Arc<Layout>, series: u32, time: i64, value: f64) {
    let (number, group) = rows.group_for(layout);
    group.series.push(SeriesId(series));
    group.times.push(time);
    for column in &mut group.columns {
        match column {
            Buffer::Float(values) => values.push(value),
            Buffer::String(values) => values.push(&value.to_string()),
            other => panic!("{other:?}"),
        }
    }
    rows.add_rows(number, 1);
}

fn rows(version: u64, layout: &Arc<Layout>, points: &[(u32, i64, f64)]) -> RowSet {
    let mut rows = RowSet::default();
    rows.version = Version(version);
    points.iter().for_each(|(series, time, value)| push(&mut rows, layout, *series, *time, *value));
    rows.check();
    rows
}

fn table() -> (MemTable, Arc<MemoryBudget>) {
    let budget = Arc::new(MemoryBudget::unlimited());
    (MemTable::new(Arc::clone(&budget)), budget)
}

fn read(view: &MemView, series: u32, field: u32) -> (Vec<i64>, Option<Column>) {
    let scan = view.scan(&[Some(FieldId(field))]);
    let found = scan.rows(SeriesId(series), TimeRange::ALL, 1 << 20);
    let Some(only) = found.first() else { return (Vec::new(), None) };
    assert_eq!(found.len(), 1);
    let gathered = scan.gather(only, true);
    (gathered.times, gathered.columns.into_iter().next().flatten())
}

#[test]
fn a_view_does_not_see_what_comes_later() {
    let (table, _) = table();
    table.insert(&rows(1, &floats(), &[(1, 10, 1.0), (2, 10, 2.0), (1, 5, 3.0)]));
    let view = table.view();
    table.insert(&rows(2, &floats(), &[(1, 11, 9.0), (3, 1, 9.0), (1, 10, 9.0)]));
    table.insert(&rows(3, &layout(&[(7, FieldType::Float)]), &[(1, 12, 9.0)]));
    table.close_all();
    let (times, column) = read(&view, 1, 0);
    assert_eq!(times, [5, 10], "sorted, though they did not arrive so");
    assert_eq!(column.unwrap().values, Values::Float(vec![3.0, 1.0]));
    assert_eq!(read(&view, 3, 0), (vec![], None));
    assert_eq!(read(&table.view(), 1, 0).0, [5, 10, 11]);
    assert_eq!(read(&table.view(), 1, 7).0, [12]);
    assert_eq!(table.latest_version(), Version(3));
}

#[test]
fn fields_of_other_layouts_are_missing_values() {
    let (table, _) = table();
    table.insert(&rows(1, &floats(), &[(1, 1, 1.0)]));
    table.insert(&rows(2, &layout(&[(4, FieldType::String), (0, FieldType::Float)]), &[(1, 2, 2.5)]));
    let scan = table.view().scan(&[Some(FieldId(4)), None, Some(FieldId(0))]);
    let pieces = scan.rows(SeriesId(1), TimeRange::ALL, 10);
    let columns = scan.gather(&pieces[0], false).columns;
    let text = columns[0].as_ref().unwrap();
    assert!(!text.is_valid(0) && text.is_valid(1));
    assert_eq!(columns[1], None);
    assert_eq!(columns[2].as_ref().unwrap().values, Values::Float(vec![1.0, 2.5]));
    assert_eq!(scan.series(), [SeriesId(1)]);
    assert!(table.view().scan(&[Some(FieldId(9))]).series().is_empty());
}

#[test]
fn equal_times_stay_in_one_piece_in_order_of_arrival() {
    let (table, _) = table();
    let other = layout(&[(1, FieldType::Float), (0, FieldType::Float)]);
    for index in 0..10 {
        let layout = if index % 2 == 0 { floats() } else { Arc::clone(&other) };
        table.insert(&rows(1, &layout, &[(1, i64::from(index / 2), f64::from(index))]));
    }
    let scan = table.view().scan(&[Some(FieldId(0))]);
    let pieces = scan.rows(SeriesId(1), TimeRange::ALL, 3);
    let gathered: Vec<_> = pieces.iter().map(|piece| scan.gather(piece, false)).collect();
    let times: Vec<_> = gathered.iter().map(|rows| rows.times.clone()).collect();
    assert_eq!(times, [vec![0, 0, 1, 1], vec![2, 2, 3, 3], vec![4, 4]]);
    assert_eq!(pieces[1].time_range(), TimeRange::new(2, 3));
    assert_eq!(gathered[0].columns[0].as_ref().unwrap().values, Values::Float(vec![0.0, 1.0, 2.0, 3.0]));
    let last = scan.gather(&scan.end(&pieces[1], End::Last), false);
    assert_eq!(last.times, [3, 3]);
    assert_eq!(last.columns[0].as_ref().unwrap().values, Values::Float(vec![6.0, 7.0]));
    assert_eq!(scan.gather(&scan.end(&pieces[1], End::First), false).times, [2, 2]);
}

#[test]
fn many_rows_fill_many_chunks() {
    let (table, budget) = table();
    for version in 0..150u64 {
        let points: Vec<_> = (0..1000).map(|series| (series, version as i64, version as f64)).collect();
        table.insert(&rows(version + 1, &floats(), &points));
    }
    let view = table.view();
    assert_eq!(view.layouts().count(), 3);
    let (times, column) = read(&view, 999, 0);
    assert_eq!(times, (0..150).collect::<Vec<i64>>());
    assert_eq!(column.unwrap().values, Values::Float((0..150).map(f64::from).collect()));
    let scan = view.scan(&[Some(FieldId(0))]);
    let found = scan.rows(SeriesId(5), TimeRange::new(64, 66), 10);
    let gathered = scan.gather(&found[0], true);
    assert_eq!((0..3).map(|row| gathered.versions.get(0, row).0).collect::<Vec<_>>(), [65, 66, 67]);
    drop((view, scan));
    table.close_all();
    // A row is 8 bytes of time, 8 of value, 2 of stamp.
    assert_eq!(budget.used_bytes(Consumer::Memtables), table.size_bytes());
    let expected = 150_000 * (8 + 8 + 2);
    assert!((expected..expected * 51 / 50).contains(&table.size_bytes()), "{budget:?} for {expected}");
}

#[test]
fn a_layout_with_one_row_is_small() {
    let (table, budget) = table();
    for field in 0..1000 {
        table.insert(&rows(1, &layout(&[(field, FieldType::Float)]), &[(1, 1, 1.0)]));
    }
    assert!(budget.used_bytes(Consumer::Memtables) < 1000 * 700, "{budget:?}");
}

#[test]
fn memory_is_counted_and_given_back() {
    let (table, budget) = table();
    table.insert(&rows(1, &floats(), &[(1, 1, 1.0)]));
    assert!(table.size_bytes() > 8 && budget.used_bytes(Consumer::Memtables) == table.size_bytes());
    let view = table.view();
    read(&view, 1, 0);
    assert!(budget.used_bytes(Consumer::Memtables) > table.size_bytes(), "what a view sorts counts too");
    drop(table);
    assert!(budget.used_bytes(Consumer::Memtables) > 0, "a view holds its memory");
    drop(view);
    assert_eq!(budget.used_bytes(Consumer::Memtables), 0);
}
