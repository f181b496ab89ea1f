//! Rows in, rows out; views that do not move; memory that is accounted for.

use std::sync::Arc;

use skywatch_model::{FieldType, Values};

use super::*;
use crate::rows::Layout;

fn layout(fields: &[(u32, FieldType)]) -> Arc<Layout> {
    Arc::new(Layout {
        fields: fields.iter().map(|(id, _)| FieldId(*id)).collect(),
        types: fields.iter().map(|(_, field_type)| *field_type).collect(),
    })
}

fn floats() -> Arc<Layout> {
    layout(&[(0, FieldType::Float)])
}

fn rows(version: u64, layout: &Arc<Layout>, points: &[(u32, i64, f64)]) -> RowSet {
    let mut rows = RowSet::default();
    rows.version = Version(version);
    for (series, time, value) in points {
        let (number, group) = rows.group_for(layout);
        group.series.push(SeriesId(*series));
        group.times.push(*time);
        for column in &mut group.columns {
            match column {
                Buffer::Float(values) => values.push(*value),
                Buffer::String(values) => values.push(&value.to_string()),
                other => panic!("{other:?}"),
            }
        }
        rows.add_rows(number, 1);
    }
    rows.check();
    rows
}

fn table() -> (Arc<MemTable>, Arc<MemoryGauge>) {
    let gauge = Arc::new(MemoryGauge::default());
    (Arc::new(MemTable::new(Arc::clone(&gauge))), gauge)
}

fn read(view: &MemView, series: u32, field: u32) -> (Vec<i64>, Option<Column>) {
    let found = view.series_rows(SeriesId(series), TimeRange::ALL);
    let gathered = view.gather(&found, &[Some(FieldId(field))]);
    (gathered.times, gathered.columns.into_iter().next().flatten())
}

#[test]
fn a_view_does_not_see_what_comes_later() {
    let (table, _) = table();
    table.insert(&rows(1, &floats(), &[(1, 10, 1.0), (2, 10, 2.0), (1, 5, 3.0)]));
    let view = table.view();
    table.insert(&rows(2, &floats(), &[(1, 11, 9.0), (3, 1, 9.0)]));
    table.insert(&rows(3, &layout(&[(7, FieldType::Float)]), &[(1, 12, 9.0)]));
    let (times, column) = read(&view, 1, 0);
    assert_eq!(times, [5, 10], "sorted, though they did not arrive so");
    assert_eq!(column.unwrap().values, Values::Float(vec![3.0, 1.0]));
    assert_eq!(read(&view, 3, 0), (vec![], None));
    assert_eq!(read(&table.view(), 1, 0).0, [5, 10, 11, 12]);
    assert_eq!(table.latest_version(), Version(3));
}

#[test]
fn fields_of_other_layouts_are_missing_values() {
    let (table, _) = table();
    table.insert(&rows(1, &floats(), &[(1, 1, 1.0)]));
    table.insert(&rows(2, &layout(&[(4, FieldType::String), (0, FieldType::Float)]), &[(1, 2, 2.5)]));
    let view = table.view();
    let text = read(&view, 1, 4).1.unwrap();
    assert!(!text.is_valid(0) && text.is_valid(1));
    let number = read(&view, 1, 0).1.unwrap();
    assert_eq!(number.values, Values::Float(vec![1.0, 2.5]));
    assert_eq!(view.fields(&view.series_rows(SeriesId(1), TimeRange::ALL)), [FieldId(0), FieldId(4)]);
    assert_eq!(table.fields(), [FieldId(0), FieldId(4)]);
}

#[test]
fn equal_times_stay_in_one_piece_in_order_of_arrival() {
    let (table, _) = table();
    let points: Vec<_> = (0..10).map(|index| (1, i64::from(index / 4), f64::from(index))).collect();
    table.insert(&rows(1, &floats(), &points));
    let view = table.view();
    let pieces = view.series_rows(SeriesId(1), TimeRange::ALL).pieces(3);
    let lens: Vec<usize> = pieces.iter().map(|piece| view.gather(piece, &[]).times.len()).collect();
    assert_eq!(lens, [4, 4, 2]);
    assert_eq!(pieces[0].time_range(), Some(TimeRange::new(0, 0)));
    let first = view.gather(&pieces[0], &[Some(FieldId(0))]).columns[0].clone().unwrap();
    assert_eq!(first.values, Values::Float(vec![0.0, 1.0, 2.0, 3.0]));
}

#[test]
fn many_rows_fill_many_chunks() {
    let (table, _) = table();
    for version in 0..30u64 {
        let points: Vec<_> = (0..1000).map(|series| (series, version as i64, version as f64)).collect();
        table.insert(&rows(version + 1, &floats(), &points));
    }
    let view = table.view();
    let (times, column) = read(&view, 999, 0);
    assert_eq!(times, (0..30).collect::<Vec<i64>>());
    assert_eq!(column.unwrap().values, Values::Float((0..30).map(f64::from).collect()));
    let found = view.series_rows(SeriesId(5), TimeRange::new(10, 12));
    let gathered = view.gather(&found, &[Some(FieldId(0))]);
    assert_eq!((0..3).map(|row| gathered.versions.get(0, row).0).collect::<Vec<_>>(), [11, 12, 13]);
}

#[test]
fn memory_is_counted_and_given_back() {
    let (table, gauge) = table();
    table.insert(&rows(1, &floats(), &[(1, 1, 1.0)]));
    assert!(table.size_bytes() > 8 && gauge.used_bytes() == table.size_bytes());
    let view = table.view();
    drop(table);
    assert!(gauge.used_bytes() > 0, "a view holds its memory");
    drop(view);
    assert_eq!(gauge.used_bytes(), 0);
}
