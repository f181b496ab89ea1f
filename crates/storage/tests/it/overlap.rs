//! Files that overlap a little: all cells are there once, the youngest of each, and what need not be merged keeps its statistics.

use std::sync::Arc;

use proptest::prelude::*;
use skywatch_model::{FieldValue, TimeRange, Version};
use skywatch_storage::{Order, ScanRequest, Shard, TagPredicate, fs::SimFs};

use crate::support::{Cells, Point, cells_in, manual, open, shard, write};

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * SECOND;
const KEY: &str = "m,host=h1";

/// Rows that were written together.
#[derive(Debug, Clone)]
struct Rows {
    start: i64,
    step: i64,
    count: i64,
    /// Every so manieth row has no value of the second field; 0: none has.
    gaps: i64,
    /// Added to some times, so that rows are not equally far apart.
    jitter: i64,
}

impl Rows {
    fn points(&self, value: f64) -> Vec<Point> {
        let point = |row: i64| {
            let time = self.start + row * self.step + if row % 7 == 3 { self.jitter } else { 0 };
            let mut fields = vec![("a".to_owned(), FieldValue::Float(value + row as f64 / 4.0))];
            if self.gaps != 0 && row % self.gaps != 0 {
                fields.push(("b".to_owned(), FieldValue::Integer(row)));
            }
            (KEY.to_owned(), time, fields)
        };
        (0..self.count).map(point).collect()
    }
}

fn put(cells: &mut Cells, points: &[Point]) {
    for (key, time, fields) in points {
        for (name, value) in fields {
            cells.insert((key.clone(), name.clone(), *time), value.clone());
        }
    }
}

fn rows() -> impl Strategy<Value = Rows> {
    let step = prop_oneof![Just(SECOND), Just(10 * SECOND), Just(37 * SECOND)];
    (
        0..30 * 60_i64,
        step,
        1..1_500_i64,
        prop_oneof![Just(0), Just(1), 2..5_i64],
        prop_oneof![3 => Just(0), 1 => Just(SECOND / 3)],
    )
        .prop_map(|(minute, step, count, gaps, jitter)| Rows {
            start: minute * 60 * SECOND,
            step,
            count,
            gaps,
            jitter,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn all_cells_are_there_once_whatever_overlaps(
        files in prop::collection::vec((prop::collection::vec(rows(), 1..4), prop::bool::weighted(0.8)), 2..6),
        deleted in prop::option::of((0..40_i64, 1..5_i64)),
        cut in (0..30 * 60_i64, 1..600_i64),
    ) {
        let store = open(&SimFs::new(1), manual());
        let shard = shard(&store);
        let mut want = Cells::new();
        for (number, (runs, is_flushed)) in files.iter().enumerate() {
            for (place, rows) in runs.iter().enumerate() {
                let points = rows.points(number as f64 * 1000.0 + place as f64 * 0.01);
                write(&shard, &points, number as u64 + 1).unwrap();
                put(&mut want, &points);
            }
            if number == 1 && let Some((hour, hours)) = deleted {
                let gone = TimeRange::new(hour * HOUR, (hour + hours) * HOUR);
                shard.delete(&["m".into()], &TagPredicate::All, gone, Version(2)).unwrap();
                want.retain(|(_, _, time), _| !gone.contains(*time));
            }
            if *is_flushed {
                shard.flush().unwrap();
            }
        }
        let start = cut.0 * 60 * SECOND;
        let part = TimeRange::new(start, start + cut.1 * 60 * SECOND);
        for range in [TimeRange::ALL, part] {
            let inside: Cells =
                want.iter().filter(|((_, _, time), _)| range.contains(*time)).map(|(k, v)| (k.clone(), v.clone())).collect();
            for order in [Order::Ascending, Order::Descending] {
                prop_assert_eq!(&cells_in(&*shard.snapshot(), range, order).unwrap(), &inside);
            }
        }
    }
}

/// Rows of blocks whose statistics are known, and of the others.
fn known_and_not(shard: &Arc<Shard>) -> (usize, usize) {
    let snapshot = shard.snapshot();
    let series = snapshot.select_series("m", &TagPredicate::All).unwrap()[0];
    let names = [Arc::from("a")];
    let scanner = snapshot.scanner(&ScanRequest::new("m", &names)).unwrap();
    let mut scan = scanner.scan(series, TimeRange::ALL, Order::Ascending).unwrap();
    let (mut known, mut unknown) = (0, 0);
    while let Some(block) = scan.next_block().unwrap() {
        let rows = block.decode().unwrap().times.len();
        if block.spans(0).is_some() { known += rows } else { unknown += rows }
    }
    (known, unknown)
}

#[test]
fn what_lies_outside_of_the_overlap_keeps_its_statistics() {
    let store = open(&SimFs::new(1), manual());
    let shard = shard(&store);
    let regular = |start, count| Rows { start, step: 10 * SECOND, count, gaps: 0, jitter: 0 };
    // Ten hours, and ten more that begin a minute before the first end.
    let first = regular(0, 3600);
    let second = regular(10 * HOUR - 60 * SECOND, 3600);
    for (number, rows) in [first, second].iter().enumerate() {
        write(&shard, &rows.points(0.0), number as u64 + 1).unwrap();
        shard.flush().unwrap();
    }
    // The last hour of the first, which the second has a minute of.
    assert_eq!(known_and_not(&shard), (9 * 360 + 3600 - 6, 360));
    // What is still in memory is merged with what it overlaps alone.
    write(&shard, &regular(20 * HOUR - 120 * SECOND, 100).points(0.0), 9).unwrap();
    let (known, unknown) = known_and_not(&shard);
    assert_eq!(known, 9 * 360 + 3600 - 6 - 354, "the last hour of the second has to be merged");
    assert_eq!(unknown, 360 + 354 + 100 - 6, "12 of the rows in memory replace others");
}

#[test]
fn what_came_late_is_merged_with_what_is_around_it_alone() {
    let store = open(&SimFs::new(1), manual());
    let shard = shard(&store);
    let regular = |start, count| Rows { start, step: 10 * SECOND, count, gaps: 0, jitter: 0 }.points(0.0);
    let (late, minute) = (5 * HOUR + 600 * SECOND, 60 * SECOND);
    // Ten hours without a minute, which comes with the ten hours after them.
    write(&shard, &regular(0, 1860), 1).unwrap();
    write(&shard, &regular(late + minute, 3600 - 1866), 2).unwrap();
    shard.flush().unwrap();
    write(&shard, &regular(10 * HOUR, 3600), 3).unwrap();
    write(&shard, &regular(late, 6), 4).unwrap();
    shard.flush().unwrap();
    assert_eq!(known_and_not(&shard), (7200 - 360, 360));
    // A whole hour that comes late is merged with nothing.
    let store = open(&SimFs::new(1), manual());
    let shard = crate::support::shard(&store);
    write(&shard, &regular(0, 1800), 1).unwrap();
    write(&shard, &regular(6 * HOUR, 1440), 2).unwrap();
    shard.flush().unwrap();
    write(&shard, &regular(10 * HOUR, 3600), 3).unwrap();
    write(&shard, &regular(5 * HOUR, 360), 4).unwrap();
    shard.flush().unwrap();
    assert_eq!(known_and_not(&shard), (7200, 0));
}
