//! Random batches against a plain map: the greatest version wins, then the row that arrived later.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicI64},
    thread,
};

use proptest::prelude::*;
use skywatch_model::FieldValue;

use super::*;
use crate::{
    Consumer,
    merge::{Rows, merge},
};

/// Layouts that share fields 0 and 1 in different ways; the last is a stranger's.
const LAYOUTS: [&[u32]; 5] = [&[0], &[1, 0], &[1], &[2, 1], &[7]];

/// Position in [`LAYOUTS`], series, time.
type Row = (usize, u32, i64);

#[derive(Debug, Clone)]
enum Action {
    Insert(u64, Vec<Row>),
    Hold,
    CloseAll,
}

/// Series, field, time; version and value.
type Cells = BTreeMap<(u32, u32, i64), (u64, i64)>;

fn action() -> impl Strategy<Value = Action> {
    let row = (0..LAYOUTS.len(), 0u32..4, 0i64..12);
    // Often in order, as rows usually are.
    let rows = (prop::collection::vec(row, 1..12), any::<bool>()).prop_map(|(mut rows, sorted)| {
        if sorted {
            rows.sort_by_key(|(.., time)| *time);
        }
        rows
    });
    prop_oneof![
        8 => (1u64..6, rows).prop_map(|(version, rows)| Action::Insert(version, rows)),
        3 => Just(Action::Hold),
        1 => Just(Action::CloseAll),
    ]
}

fn cells(view: &MemView, fields: &[u32], range: TimeRange, limit: usize) -> Cells {
    let wanted: Vec<Option<FieldId>> = fields.iter().map(|id| Some(FieldId(*id))).chain([None]).collect();
    let scan = view.scan(&wanted);
    let mut cells = Cells::new();
    for series in 0..5 {
        let mut last = None;
        for piece in scan.rows(SeriesId(series), range, limit) {
            let merged = merge(vec![scan.gather(&piece, true)], true);
            let unversioned = merge(vec![scan.gather(&piece, false)], false);
            assert_eq!((&merged.times, &merged.columns), (&unversioned.times, &unversioned.columns));
            assert!(merged.times.len() <= limit && last < merged.times.first().copied());
            last = merged.times.last().copied();
            assert_eq!(piece.time_range(), TimeRange::new(merged.times[0], last.unwrap()));
            check_ends(&scan, &piece, &unversioned);
            for (row, time) in merged.times.iter().enumerate() {
                for (index, field) in fields.iter().enumerate() {
                    if let Some(FieldValue::Float(value)) =
                        merged.columns[index].as_ref().and_then(|column| column.get(row))
                    {
                        let cell = (merged.versions.get(index, row).0, value as i64);
                        assert_eq!(cells.insert((series, *field, *time), cell), None);
                    }
                }
                assert!(merged.columns.iter().flatten().any(|column| column.is_valid(row)));
            }
        }
    }
    cells
}

/// The row at each end is found without the others.
fn check_ends(scan: &MemScan, piece: &MemRows, all: &Rows) {
    for (end, row) in [(End::First, 0), (End::Last, all.times.len() - 1)] {
        let found = merge(vec![scan.gather(&scan.end(piece, end), false)], false);
        assert_eq!(found.times, [all.times[row]]);
        let values = |rows: &Rows, row| -> Vec<_> {
            rows.columns.iter().map(|column| column.as_ref()?.get(row)).collect()
        };
        assert_eq!(values(&found, 0), values(all, row));
    }
}

fn inside(cells: &Cells, fields: &[u32], range: TimeRange) -> Cells {
    let wanted = cells.iter().filter(|((_, field, time), _)| fields.contains(field) && range.contains(*time));
    wanted.map(|(key, cell)| (*key, *cell)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_memtable_says_what_a_map_says(
        actions in prop::collection::vec(action(), 1..25),
        chunk_rows in 1usize..30,
        limit in 1usize..6,
        start in 0i64..12,
    ) {
        let budget = Arc::new(MemoryBudget::unlimited());
        let table = MemTable::with_chunks_of(chunk_rows, Arc::clone(&budget));
        let layouts = LAYOUTS.map(|fields| {
            layout(&fields.iter().map(|id| (*id, FieldType::Float)).collect::<Vec<_>>())
        });
        let mut expected = Cells::new();
        let mut held = Vec::new();
        let mut number = 0;
        for action in actions {
            match action {
                Action::Insert(version, points) => {
                    let mut rows = RowSet::default();
                    rows.version = Version(version);
                    for (layout, series, time) in points {
                        number += 1;
                        push(&mut rows, &layouts[layout], series, time, f64::from(number));
                        for field in LAYOUTS[layout] {
                            let cell = expected.entry((series, *field, time)).or_insert((0, 0));
                            if version >= cell.0 {
                                *cell = (version, i64::from(number));
                            }
                        }
                    }
                    table.insert(&rows);
                }
                Action::Hold => held.push((table.view(), expected.clone())),
                Action::CloseAll => {
                    // As at a flush: no rows come after it, but views do.
                    table.close_all();
                    held.push((table.view(), expected.clone()));
                    break;
                }
            }
            let latest = table.view();
            let range = TimeRange::new(start, start + 4);
            prop_assert_eq!(cells(&latest, &[0, 2], range, limit), inside(&expected, &[0, 2], range));
        }
        held.push((table.view(), expected));
        for (view, expected) in &held {
            let fields = [1, 0, 2, 7];
            prop_assert_eq!(&cells(view, &fields, TimeRange::ALL, limit), expected);
        }
        held.clear();
        drop(table);
        prop_assert_eq!(budget.used_bytes(Consumer::Memtables), 0);
    }
}

/// Readers beside writers see all rows of every batch they know to be in, and none twice.
#[test]
fn readers_miss_nothing_while_chunks_close() {
    const WRITERS: u32 = 3;
    const BATCHES: i64 = 300;
    let table = MemTable::with_chunks_of(64, Arc::new(MemoryBudget::unlimited()));
    let done: Vec<AtomicI64> = (0..WRITERS).map(|_| AtomicI64::new(0)).collect();
    let is_over = AtomicBool::new(false);
    let floats = floats();
    let check = |least: &[i64]| {
        let scan = table.view().scan(&[Some(FieldId(0))]);
        for (series, least) in least.iter().enumerate() {
            let pieces = scan.rows(SeriesId(series as u32), TimeRange::ALL, 100);
            let times: Vec<i64> = pieces.iter().flat_map(|piece| scan.gather(piece, false).times).collect();
            assert!(times.len() as i64 >= 5 * least, "{} rows of {least} batches", times.len());
            assert!(times.iter().copied().eq(0..times.len() as i64), "{times:?}");
        }
    };
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (table, floats, done) = (&table, &floats, &done);
                scope.spawn(move || {
                    for number in 0..BATCHES {
                        let points: Vec<_> =
                            (0..5).map(|row| (writer, number * 5 + row, row as f64)).collect();
                        table.insert(&rows(number as u64 + 1, floats, &points));
                        done[writer as usize].store(number + 1, Ordering::Release);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                check(&done.iter().map(|done| done.load(Ordering::Acquire)).collect::<Vec<_>>());
            }
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        is_over.store(true, Ordering::Release);
    });
    check(&[BATCHES; WRITERS as usize]);
    assert_eq!(read(&table.view(), 0, 0).0.len() as i64, 5 * BATCHES);
}
