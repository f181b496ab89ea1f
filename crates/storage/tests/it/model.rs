//! Random actions on a store and on a map, compared after every scan.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use proptest::prelude::*;
use regex::Regex;
use skywatch_model::{FieldValue, TimeRange, Version};
use skywatch_storage::{Order, Shard, ShardRead, StoreOptions, TagPredicate, VersionPolicy, fs::SimFs};

use crate::support::{CellKey, Cells, Point, SHARD, cells, cells_of, manual, open, shard, write};

#[derive(Debug, Clone)]
enum Action {
    Write(Vec<Point>),
    /// A batch whose version is older than those before it.
    WriteLate(Vec<Point>),
    Delete(Delete),
    /// A delete whose version is older than those before it.
    DeleteLate(Delete),
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

#[derive(Debug, Clone)]
struct Delete {
    measurements: Vec<Arc<str>>,
    hosts: Hosts,
    range: TimeRange,
}

/// Conditions on tags, in a form that a test can evaluate by itself.
#[derive(Debug, Clone)]
enum Hosts {
    All,
    Is(u8),
    IsNot(u8),
    Rack(u8),
    Pattern,
}

impl Hosts {
    fn predicate(&self) -> TagPredicate {
        let equal = |key: &str, value: String| TagPredicate::Equal { key: key.into(), value: value.into() };
        match self {
            Self::All => TagPredicate::All,
            Self::Is(host) => equal("host", format!("h{host}")),
            Self::IsNot(host) => TagPredicate::Not(Box::new(equal("host", format!("h{host}")))),
            Self::Rack(rack) => TagPredicate::And(vec![TagPredicate::All, equal("rack", format!("r{rack}"))]),
            Self::Pattern => TagPredicate::Or(vec![TagPredicate::Matches {
                key: "host".into(),
                regex: Arc::new(Regex::new("h[02]").unwrap()),
            }]),
        }
    }

    fn matches(&self, key: &str) -> bool {
        let is = |host: u8| key.contains(&format!("host=h{host}"));
        match self {
            Self::All => true,
            Self::Is(host) => is(*host),
            Self::IsNot(host) => !is(*host),
            Self::Rack(rack) => key.contains(&format!("rack=r{rack}")),
            Self::Pattern => is(0) || is(2),
        }
    }
}

impl Delete {
    fn concerns(&self, key: &str, time: i64) -> bool {
        self.measurements.iter().any(|name| key.starts_with(&format!("{name},")))
            && self.hosts.matches(key)
            && self.range.contains(time)
    }
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

fn delete() -> impl Strategy<Value = Delete> {
    let hosts = prop_oneof![
        3 => Just(Hosts::All),
        2 => (0u8..3).prop_map(Hosts::Is),
        1 => (0u8..3).prop_map(Hosts::IsNot),
        1 => (0u8..2).prop_map(Hosts::Rack),
        1 => Just(Hosts::Pattern),
    ];
    let range = prop_oneof![
        1 => Just(TimeRange::ALL),
        1 => (0i64..45).prop_map(|end| TimeRange::new(TimeRange::ALL.start, end)),
        3 => (-5i64..45, 0i64..30).prop_map(|(start, len)| TimeRange::new(start, start + len)),
    ];
    let measurements = prop_oneof![
        Just(vec![Arc::from("m0")]),
        Just(vec![Arc::from("m1")]),
        Just(vec![Arc::from("m0"), Arc::from("m1"), Arc::from("nobody")]),
    ];
    (measurements, hosts, range).prop_map(|(measurements, hosts, range)| Delete {
        measurements,
        hosts,
        range,
    })
}

fn action() -> impl Strategy<Value = Action> {
    let range = (-5i64..45, 0i64..45).prop_map(|(start, len)| TimeRange::new(start, start + len));
    let order = prop_oneof![Just(Order::Ascending), Just(Order::Descending)];
    prop_oneof![
        8 => points().prop_map(Action::Write),
        2 => points().prop_map(Action::WriteLate),
        2 => delete().prop_map(Action::Delete),
        1 => delete().prop_map(Action::DeleteLate),
        3 => Just(Action::Flush),
        2 => Just(Action::Compact),
        1 => Just(Action::Kill),
        1 => Just(Action::PowerCut),
        1 => Just(Action::Close),
        6 => (range, order, any::<u8>()).prop_map(|(range, order, fields)| Action::Scan(range, order, fields)),
        1 => Just(Action::Hold),
    ]
}

/// A cell's value and the version it came with; and every delete, for cells that come too late.
#[derive(Debug, Default)]
struct Model {
    cells: BTreeMap<CellKey, (u64, FieldValue)>,
    deletes: Vec<(u64, Delete)>,
    /// By measurement: how often it was left without a point, and its fields with it.
    lives: BTreeMap<String, u32>,
}

fn measurement_of(key: &str) -> &str {
    key.split(',').next().unwrap()
}

impl Model {
    fn write(&mut self, points: &[Point], version: u64) {
        for (key, time, fields) in points {
            let is_deleted = |(of, delete): &(u64, Delete)| version < *of && delete.concerns(key, *time);
            if self.deletes.iter().any(is_deleted) {
                continue;
            }
            for (name, value) in fields {
                let cell = self.cells.entry((key.clone(), name.clone(), *time)).or_insert((0, value.clone()));
                if version >= cell.0 {
                    *cell = (version, value.clone());
                }
            }
        }
    }

    fn delete(&mut self, delete: &Delete, version: u64) {
        let before = self.measurements();
        self.cells.retain(|(key, _, time), (of, _)| !(*of < version && delete.concerns(key, *time)));
        for name in before.difference(&self.measurements()) {
            *self.lives.entry(name.clone()).or_default() += 1;
        }
        self.deletes.push((version, delete.clone()));
    }

    fn measurements(&self) -> BTreeSet<String> {
        self.cells.keys().map(|(key, ..)| measurement_of(key).to_owned()).collect()
    }

    fn series(&self) -> BTreeSet<String> {
        self.cells.keys().map(|(key, ..)| key.clone()).collect()
    }

    fn cells(&self, range: TimeRange) -> Cells {
        let inside = self.cells.iter().filter(|((_, _, time), _)| range.contains(*time));
        inside.map(|(key, (_, value))| (key.clone(), value.clone())).collect()
    }

    /// In every other life of a measurement its fields are all strings: types do not outlive the fields.
    fn as_of_now(&self, mut points: Vec<Point>) -> Vec<Point> {
        for (key, _, fields) in &mut points {
            if self.lives.get(measurement_of(key)).is_some_and(|lives| lives % 2 == 1) {
                for (_, value) in fields {
                    *value = FieldValue::String(format!("{value:?}").into());
                }
            }
        }
        points
    }
}

/// The keys of all series that are listed.
fn listed(snapshot: &dyn ShardRead) -> BTreeSet<String> {
    let of = |name: &Arc<str>| snapshot.select_series(name, &TagPredicate::All).unwrap();
    let all = snapshot.measurements().unwrap().iter().flat_map(of).collect::<Vec<_>>();
    all.into_iter().map(|series| snapshot.series_key(series).to_string()).collect()
}

/// Everything there is to compare. A single owner lists exactly the series that have a point.
fn check(shard: &Shard, model: &Model, is_single: bool) {
    let snapshot = shard.snapshot();
    assert_eq!(cells(&*snapshot).unwrap(), model.cells(TimeRange::ALL));
    if is_single {
        assert_eq!(listed(&*snapshot), model.series());
        let names: BTreeSet<String> =
            snapshot.measurements().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, model.measurements());
        for name in snapshot.measurements().unwrap() {
            for key in snapshot.tag_keys(&name).unwrap() {
                for value in snapshot.tag_values(&name, &key).unwrap() {
                    let with = TagPredicate::Equal { key: Arc::clone(&key), value: Arc::clone(&value) };
                    assert!(
                        !snapshot.select_series(&name, &with).unwrap().is_empty(),
                        "{name} {key}={value}"
                    );
                }
            }
        }
    }
}

/// A snapshot shows what it showed, but for series that have been dropped since: nobody can ask for them any more.
fn check_held(snapshot: &dyn ShardRead, then: &Cells) {
    let listed = listed(snapshot);
    let mut expected = then.clone();
    expected.retain(|(key, ..), _| listed.contains(key));
    assert_eq!(cells(snapshot).unwrap(), expected, "a snapshot changed");
}

fn run(actions: Vec<Action>, options: &StoreOptions, seed: u64) {
    let fs = SimFs::new(seed);
    let mut store = open(&fs, options.clone());
    shard(&store);
    let is_single = options.versions == VersionPolicy::Strip;
    let mut model = Model::default();
    let mut held = Vec::new();
    for (step, action) in actions.into_iter().enumerate() {
        let current = store.shard(SHARD).unwrap();
        // Only where versions are kept does an older one still lose after a flush.
        let (now, late) = (1_000_000 + step as u64, if is_single { 1_000_000 } else { 1 } + step as u64);
        let mut reopen = false;
        match action {
            Action::Write(points) | Action::WriteLate(points) if is_single => {
                let points = model.as_of_now(points);
                let report = write(&current, &points, now).unwrap();
                assert_eq!(report.rejected, []);
                model.write(&points, now);
            }
            Action::Write(points) => {
                write(&current, &points, now).unwrap();
                model.write(&points, now);
            }
            Action::WriteLate(points) => {
                write(&current, &points, late).unwrap();
                model.write(&points, late);
            }
            Action::Delete(delete) => remove(&current, &mut model, &delete, now),
            Action::DeleteLate(delete) => remove(&current, &mut model, &delete, late),
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
                assert_eq!(
                    store.shard(SHARD).unwrap().recovery().records,
                    0,
                    "an orderly stop leaves no log"
                );
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
            check(&current, &model, is_single);
            held.clear();
        }
    }
    let current = store.shard(SHARD).unwrap();
    check(&current, &model, is_single);
    held.iter().for_each(|(snapshot, cells_then)| check_held(&**snapshot, cells_then));
    // In the end nothing of what is deleted is kept.
    current.flush().unwrap();
    current.compact().unwrap();
    check(&current, &model, is_single);
    if is_single && model.cells.is_empty() {
        assert_eq!(current.stats().segment_values, 0, "all is deleted and some of it is on disk");
    }
}

fn remove(shard: &Shard, model: &mut Model, delete: &Delete, version: u64) {
    let Delete { measurements, hosts, range } = delete;
    shard.delete(measurements, &hosts.predicate(), *range, Version(version)).unwrap();
    model.delete(delete, version);
}

fn single() -> StoreOptions {
    StoreOptions { cold_after: Duration::ZERO, ..manual() }
}

fn one_of_several() -> StoreOptions {
    StoreOptions { versions: VersionPolicy::Keep, ..manual() }
}

proptest! {
    #[test]
    fn stripping_versions(actions in prop::collection::vec(action(), 1..40), seed: u64) {
        run(actions, &single(), seed);
    }

    #[test]
    fn keeping_versions(actions in prop::collection::vec(action(), 1..40), seed: u64) {
        run(actions, &one_of_several(), seed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn a_long_life_stripping_versions(actions in prop::collection::vec(action(), 1000), seed: u64) {
        run(actions, &single(), seed);
    }

    #[test]
    fn a_long_life_keeping_versions(actions in prop::collection::vec(action(), 1000), seed: u64) {
        run(actions, &one_of_several(), seed);
    }
}

/// What one owner hears: a batch or a delete, each with its own version.
#[derive(Debug, Clone)]
enum Message {
    Batch(Vec<Point>),
    Delete(Delete),
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![3 => points().prop_map(Message::Batch), 2 => delete().prop_map(Message::Delete)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Owners that have heard the same, in whatever order and however often, hold the same cells, whatever they flush
    /// and merge in between.
    #[test]
    fn every_owner_holds_the_same_cells(
        messages in prop::collection::vec(message(), 1..10),
        order in prop::collection::vec((any::<prop::sample::Index>(), 0u8..4), 0..25),
        seed: u64,
    ) {
        let deliver = |shard: &Shard, number: usize| {
            let version = 1 + number as u64;
            match &messages[number] {
                Message::Batch(points) => drop(write(shard, points, version).unwrap()),
                Message::Delete(Delete { measurements, hosts, range }) => {
                    shard.delete(measurements, &hosts.predicate(), *range, Version(version)).unwrap();
                }
            }
        };
        let mut model = Model::default();
        for (number, message) in messages.iter().enumerate() {
            match message {
                Message::Batch(points) => model.write(points, 1 + number as u64),
                Message::Delete(delete) => model.delete(delete, 1 + number as u64),
            }
        }
        let fs = SimFs::new(seed);
        let store = open(&fs, one_of_several());
        let owner = shard(&store);
        for (index, then) in &order {
            deliver(&owner, index.index(messages.len()));
            match then {
                0 => owner.flush().unwrap(),
                1 => drop(owner.compact().unwrap()),
                _ => {}
            }
        }
        // Whatever has not come yet comes at last, the latest first.
        (0..messages.len()).rev().for_each(|number| deliver(&owner, number));
        prop_assert_eq!(cells(&*owner.snapshot()).unwrap(), model.cells(TimeRange::ALL));
        owner.flush().unwrap();
        owner.compact().unwrap();
        drop((owner, store));
        fs.restart();
        let store = open(&fs, one_of_several());
        let owner = store.shard(SHARD).unwrap();
        prop_assert_eq!(cells(&*owner.snapshot()).unwrap(), model.cells(TimeRange::ALL));
    }
}
