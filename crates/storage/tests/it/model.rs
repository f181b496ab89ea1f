//! Random actions on a store and on a map, compared after every scan.

use proptest::prelude::*;
use skywatch_model::{FieldValue, TimeRange};
use skywatch_storage::{Order, StoreOptions, VersionPolicy, fs::SimFs};

use crate::support::{Cells, Point, SHARD, cells, cells_of, manual, open, shard, write};

#[derive(Debug, Clone)]
enum Action {
    Write(Vec<Point>),
    /// A batch whose version is older than those before it.
    WriteLate(Vec<Point>),
    Flush,
    Compact,
    /// Stop without any courtesy, start again.
    Kill,
    /// Lose what was not synced, start again.
    PowerCut,
    Close,
    /// Range, order, and which fields: bit `n` for field `n`.
    Scan(TimeRange, Order, u8),
    /// A snapshot taken now must not change any more.
    Hold,
}

fn value(field: usize) -> BoxedStrategy<FieldValue> {
    match field {
        0 => (-1000i32..1000).prop_map(|cents| FieldValue::Float(f64::from(cents) / 100.0)).boxed(),
        1 => any::<i64>().prop_map(FieldValue::Integer).boxed(),
        2 => (0u64..50).prop_map(FieldValue::Unsigned).boxed(),
        3 => "[a-z]{0,4}|.{0,20}".prop_map(|text| FieldValue::String(text.as_str().into())).boxed(),
        4 => any::<bool>().prop_map(FieldValue::Boolean).boxed(),
        _ => prop::num::f64::NORMAL.prop_map(FieldValue::Float).boxed(),
    }
}

fn fields() -> impl Strategy<Value = Vec<(String, FieldValue)>> {
    prop::sample::subsequence((0..6).collect::<Vec<_>>(), 1..4).prop_flat_map(|fields| {
        fields.into_iter().map(|field| (Just(format!("f{field}")), value(field))).collect::<Vec<_>>()
    })
}

fn points() -> impl Strategy<Value = Vec<Point>> {
    let key = (0..2, 0..3)
        .prop_map(|(measurement, host)| format!("m{measurement},host=h{host},rack=r{}", host % 2));
    prop::collection::vec((key, 0i64..40, fields()), 1..12)
}

fn action() -> impl Strategy<Value = Action> {
    let range = (-5i64..45, 0i64..45).prop_map(|(start, len)| TimeRange::new(start, start + len));
    let order = prop_oneof![Just(Order::Ascending), Just(Order::Descending)];
    prop_oneof![
        8 => points().prop_map(Action::Write),
        2 => points().prop_map(Action::WriteLate),
        3 => Just(Action::Flush),
        2 => Just(Action::Compact),
        1 => Just(Action::Kill),
        1 => Just(Action::PowerCut),
        1 => Just(Action::Close),
        6 => (range, order, any::<u8>()).prop_map(|(range, order, fields)| Action::Scan(range, order, fields)),
        1 => Just(Action::Hold),
    ]
}

/// A cell's value and the version it came with.
#[derive(Debug, Default)]
struct Model {
    cells: std::collections::BTreeMap<crate::support::CellKey, (u64, FieldValue)>,
}

impl Model {
    fn write(&mut self, points: &[Point], version: u64) {
        for (key, time, fields) in points {
            for (name, value) in fields {
                let cell = self.cells.entry((key.clone(), name.clone(), *time)).or_insert((0, value.clone()));
                if version >= cell.0 {
                    *cell = (version, value.clone());
                }
            }
        }
    }

    fn cells(&self, range: TimeRange) -> Cells {
        let inside = self.cells.iter().filter(|((_, _, time), _)| range.contains(*time));
        inside.map(|(key, (_, value))| (key.clone(), value.clone())).collect()
    }
}

fn run(actions: Vec<Action>, options: &StoreOptions, seed: u64) {
    let fs = SimFs::new(seed);
    let mut store = open(&fs, options.clone());
    shard(&store);
    let mut model = Model::default();
    let mut held = Vec::new();
    for (step, action) in actions.into_iter().enumerate() {
        let current = store.shard(SHARD).unwrap();
        let mut reopen = false;
        match action {
            Action::Write(points) => {
                let version = 1_000_000 + step as u64;
                let report = write(&current, &points, version).unwrap();
                assert_eq!(report.written, points.len() as u64);
                model.write(&points, version);
            }
            Action::WriteLate(points) => {
                // Only where versions are kept does an older one still lose after a flush.
                let version = if options.versions == VersionPolicy::Keep {
                    1 + step as u64
                } else {
                    1_000_000 + step as u64
                };
                write(&current, &points, version).unwrap();
                model.write(&points, version);
            }
            Action::Flush => current.flush().unwrap(),
            Action::Compact => {
                current.compact().unwrap();
            }
            Action::Kill => {
                drop(store);
                fs.kill();
                store = open(&fs, options.clone());
                reopen = true;
            }
            Action::PowerCut => {
                drop(store);
                fs.restart();
                store = open(&fs, options.clone());
                reopen = true;
            }
            Action::Close => {
                store.close().unwrap();
                fs.restart();
                store = open(&fs, options.clone());
                assert_eq!(store.shard(SHARD).unwrap().recovery().rows, 0, "an orderly stop leaves no log");
                reopen = true;
            }
            Action::Scan(range, order, fields) => {
                let wanted = |name: &str| name[1..].parse().is_ok_and(|field: u8| fields >> field & 1 == 1);
                let mut expected = model.cells(range);
                expected.retain(|(_, name, _), _| wanted(name));
                assert_eq!(cells_of(&*current.snapshot(), range, order, wanted).unwrap(), expected);
            }
            Action::Hold => held.push((current.snapshot(), model.cells(TimeRange::ALL))),
        }
        if reopen {
            let current = store.shard(SHARD).unwrap();
            assert!(!current.recovery().has_damage(), "{:?}", current.recovery());
            assert_eq!(cells(&*current.snapshot()).unwrap(), model.cells(TimeRange::ALL));
            held.clear();
        }
    }
    let current = store.shard(SHARD).unwrap();
    assert_eq!(cells(&*current.snapshot()).unwrap(), model.cells(TimeRange::ALL));
    for (snapshot, cells_then) in held {
        assert_eq!(cells(&*snapshot).unwrap(), cells_then, "a snapshot changed");
    }
}

proptest! {
    #[test]
    fn stripping_versions(actions in prop::collection::vec(action(), 1..40), seed: u64) {
        run(actions, &StoreOptions { cold_after: std::time::Duration::ZERO, ..manual() }, seed);
    }

    #[test]
    fn keeping_versions(actions in prop::collection::vec(action(), 1..40), seed: u64) {
        run(actions, &StoreOptions { versions: VersionPolicy::Keep, ..manual() }, seed);
    }
}
