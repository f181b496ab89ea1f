//! Points of two types for one field: owners choose the same one, in whatever order they hear of them.

use proptest::prelude::*;
use skywatch_model::{
    FieldValue, TimeRange, Version,
    line::{self, ParseOptions, PointBatch, Precision},
};
use skywatch_storage::{Precedence, TagPredicate};

use crate::{
    owners::{Operation, Owner, Then, carry_all, carry_fields, then},
    support::{Cells, Point, SHARD, batch, cells, manual, open, shard, write},
};

fn point(series: u32, time: i64, value: FieldValue) -> Point {
    (format!("m,host=h{series}"), time, vec![("v".to_owned(), value)])
}

fn integer(time: i64, value: i64) -> Point {
    point(0, time, FieldValue::Integer(value))
}

fn float(time: i64, value: f64) -> Point {
    point(0, time, FieldValue::Float(value))
}

fn of(points: &[Point]) -> Cells {
    let cell = |(key, time, fields): &Point| ((key.clone(), fields[0].0.clone(), *time), fields[0].1.clone());
    points.iter().map(cell).collect()
}

fn rejected(owner: &Owner, points: &[Point], version: u64) -> (usize, bool) {
    let report = write(&owner.shard(), points, version).unwrap();
    (report.rejected.len(), report.gave_way)
}

#[test]
fn the_older_type_counts_whichever_comes_first() {
    let (one, mut other) = (Owner::new(), Owner::new());
    let (older, younger) = ([integer(1, 7), integer(2, 8)], [float(1, 0.5), float(3, 1.5)]);
    assert_eq!(rejected(&one, &older, 1), (0, false));
    assert_eq!(rejected(&one, &younger, 2), (2, false), "as in a shard of one owner");
    assert_eq!(rejected(&other, &younger, 2), (0, false));
    other.then(Then::Flush);
    assert_eq!(rejected(&other, &older, 1), (0, true), "what it had is given up");
    assert_eq!((one.cells(), other.cells()), (of(&older), of(&older)));
    assert_eq!(one.shard().digest().unwrap(), other.shard().digest().unwrap());
    for what in [Then::Restart, Then::Flush, Then::Compact, Then::Restart] {
        other.then(what);
        assert_eq!(other.cells(), of(&older), "{what:?}");
        assert_eq!(rejected(&other, &[float(9, 1.0)], 9), (1, false), "{what:?}");
        assert_eq!(rejected(&other, &younger, 2), (2, false), "{what:?}");
    }
}

#[test]
fn series_that_had_nothing_else_are_gone_with_it() {
    let mut owner = Owner::new();
    let other = ("m,host=h2".to_owned(), 4, vec![("w".to_owned(), FieldValue::Float(1.0))]);
    assert_eq!(rejected(&owner, &[float(1, 0.5), point(1, 2, FieldValue::Float(1.5)), other], 5), (0, false));
    owner.then(Then::Flush);
    let hosts = |owner: &Owner| {
        let snapshot = owner.shard().snapshot();
        let series = snapshot.select_series("m", &TagPredicate::All).unwrap();
        series.into_iter().map(|series| snapshot.series_key(series).to_string()).collect::<Vec<_>>()
    };
    assert_eq!(hosts(&owner).len(), 3);
    assert_eq!(rejected(&owner, &[integer(1, 7)], 1), (0, true));
    for what in [Then::Restart, Then::Flush, Then::Compact] {
        let mut left = hosts(&owner);
        left.sort();
        assert_eq!(left, ["m,host=h0", "m,host=h2"], "before {what:?}");
        owner.then(what);
    }
}

/// The file that a field's points are kept in when it gives way.
fn set_aside(owner: &Owner, field: u32) -> Option<String> {
    let path = owner.shard().dir().join(format!("set-aside/field-{field}.lp"));
    owner.fs.read(&path).ok().map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn what_gives_way_is_kept_as_line_protocol() {
    let mut owner = Owner::new();
    let younger = [float(1, 0.5), point(1, 2, FieldValue::Float(1e300))];
    assert_eq!(rejected(&owner, &younger, 4), (0, false));
    owner.then(Then::Flush);
    assert_eq!(rejected(&owner, &[float(3, -0.0)], 5), (0, false));
    owner.shard().delete(&["m".into()], &TagPredicate::All, TimeRange::new(2, 2), Version(6)).unwrap();
    assert_eq!(set_aside(&owner, 0), None);
    assert_eq!(rejected(&owner, &[integer(1, 7)], 1), (0, true));
    let head = "# Points of shard 7 whose field \"v\" of measurement \"m\" is float here: it has given way to older points, \
                which have it as integer.\n";
    let kept = format!("{head}m,host=h0 v=0.5 1\nm,host=h0 v=-0 3\n");
    for what in [Then::Nothing, Then::Flush, Then::Compact, Then::Restart] {
        owner.then(what);
        assert_eq!(set_aside(&owner, 0).as_deref(), Some(&*kept), "{what:?}");
        assert_eq!(owner.shard().stats().set_aside_files, 1, "{what:?}");
    }
    assert_eq!(owner.cells(), of(&[integer(1, 7)]));
    // It can be written as it is, where the field has no other type.
    let options = ParseOptions { precision: Precision::Nanosecond, default_time_ns: 0 };
    let mut again = PointBatch::new();
    assert_eq!(line::parse(kept.as_bytes(), options, &mut again), []);
    assert_eq!(again.len(), 2);
}

#[test]
fn a_field_without_points_leaves_no_file() {
    let owner = Owner::new();
    let other = ("m,host=h0".to_owned(), 4, vec![("w".to_owned(), FieldValue::Float(1.0))]);
    assert_eq!(rejected(&owner, &[float(1, 0.5), other], 5), (0, false));
    owner.shard().delete(&["m".into()], &TagPredicate::All, TimeRange::new(1, 1), Version(6)).unwrap();
    assert_eq!(rejected(&owner, &[integer(3, 7)], 1), (0, true));
    assert_eq!(set_aside(&owner, 0), None);
    assert_eq!(owner.shard().stats().set_aside_files, 0);
}

#[test]
fn without_room_for_what_would_be_given_up_the_older_points_wait() {
    let steps = {
        let owner = Owner::new();
        assert_eq!(rejected(&owner, &[float(1, 0.5)], 5), (0, false));
        let before = owner.fs.operations();
        assert_eq!(rejected(&owner, &[integer(1, 7)], 1), (0, true));
        owner.fs.operations() - before
    };
    let mut refused = 0;
    for step in 0..steps {
        let mut owner = Owner::new();
        assert_eq!(rejected(&owner, &[float(1, 0.5)], 5), (0, false));
        owner.fs.fill_disk_at(owner.fs.operations() + step);
        let written = write(&owner.shard(), &[integer(1, 7)], 1);
        owner.fs.free_space();
        match written {
            Ok(report) => assert!(report.gave_way && report.rejected.is_empty(), "{report:?}"),
            Err(error) => {
                assert!(error.to_string().ends_with("no storage space"), "{error}");
                refused += 1;
                // Nothing of the younger type is gone before it is kept.
                assert!(
                    owner.cells() == of(&[float(1, 0.5)]) || set_aside(&owner, 0).is_some(),
                    "step {step}"
                );
                owner.then(Then::Restart);
                assert_eq!(rejected(&owner, &[integer(1, 7)], 1).0, 0, "step {step}");
            }
        }
        assert_eq!(owner.cells(), of(&[integer(1, 7)]));
        assert!(set_aside(&owner, 0).unwrap().ends_with("\nm,host=h0 v=0.5 1\n"), "step {step}");
    }
    assert!(refused > 3, "{refused} of {steps} steps");
}

#[test]
fn one_cell_that_is_older_keeps_the_type() {
    let owner = Owner::new();
    assert_eq!(rejected(&owner, &[point(1, 5, FieldValue::Integer(1))], 3), (0, false));
    assert_eq!(rejected(&owner, &[integer(1, 7)], 8), (0, false));
    assert_eq!(rejected(&owner, &[float(1, 0.5)], 5), (1, false));
    // Once that is deleted, it keeps nothing any more; what is deleted with it may not come back either way.
    let host = TagPredicate::Equal { key: "host".into(), value: "h1".into() };
    owner.shard().delete(&["m".into()], &host, TimeRange::ALL, Version(4)).unwrap();
    assert_eq!(rejected(&owner, &[float(1, 0.5)], 5), (0, true));
    assert_eq!(owner.cells(), of(&[float(1, 0.5)]));
}

#[test]
fn lines_of_one_body_keep_the_type_of_the_first() {
    let owner = Owner::new();
    assert_eq!(rejected(&owner, &[integer(1, 7), float(2, 0.5), integer(3, 8)], 4), (1, false));
    assert_eq!(owner.cells(), of(&[integer(1, 7), integer(3, 8)]));
    assert_eq!(rejected(&owner, &[float(2, 0.5)], 4), (1, false), "of one version: so it is everywhere");
}

#[test]
fn a_single_owner_keeps_the_type_that_came_first() {
    let fs = skywatch_storage::fs::SimFs::default();
    let store = open(&fs, manual());
    shard(&store);
    let only = store.shard(SHARD).unwrap();
    assert_eq!(write(&only, &[float(1, 0.5)], 5).unwrap().rejected.len(), 0);
    let report = write(&only, &[integer(1, 7)], 1).unwrap();
    assert_eq!((report.rejected.len(), report.gave_way), (1, false));
    assert_eq!(cells(&*only.snapshot()).unwrap(), of(&[float(1, 0.5)]));
}

#[test]
fn where_all_apply_in_one_order_the_first_counts() {
    let owner = Owner::new();
    let in_order = |points: &[Point], version| {
        let batch = batch(points);
        let all: Vec<u32> = (0..batch.len() as u32).collect();
        let reports =
            owner.shard().write_many(&[(&batch, &all, Version(version))], Precedence::Arrival).unwrap();
        (reports[0].rejected.len(), reports[0].gave_way)
    };
    assert_eq!(in_order(&[float(1, 0.5)], 5), (0, false));
    assert_eq!(in_order(&[integer(1, 7)], 1), (1, false));
    assert_eq!(owner.cells(), of(&[float(1, 0.5)]));
}

/// Writes of one series of two types, and deletes.
fn operation() -> impl Strategy<Value = Operation> {
    let value = prop_oneof![
        (0..3i64).prop_map(FieldValue::Integer),
        (0..3i8).prop_map(|value| FieldValue::Float(f64::from(value) + 0.5)),
    ];
    let points = prop::collection::vec((0..2u32, 0..4i64, value), 1..4);
    let range = (0..4i64, 0..4i64).prop_map(|(start, len)| TimeRange::new(start, start + len));
    prop_oneof![
        4 => points.prop_map(|all| {
            Operation::Write(all.into_iter().map(|(series, time, value)| point(series, time, value)).collect())
        }),
        1 => range.prop_map(|range| Operation::Delete(TagPredicate::All, range)),
    ]
}

/// Operations by their numbers, which of them each of two owners has, and in which order.
fn delivered() -> impl Strategy<Value = (Vec<Operation>, [Vec<(usize, Then)>; 2])> {
    prop::collection::vec(operation(), 1..8).prop_flat_map(|operations| {
        let numbers: Vec<usize> = (0..operations.len()).collect();
        let order = move || {
            let all = prop::sample::subsequence(numbers.clone(), 0..=numbers.len()).prop_shuffle();
            all.prop_flat_map(|all| {
                let len = all.len();
                (Just(all), prop::collection::vec(then(), len))
            })
            .prop_map(|(numbers, then)| numbers.into_iter().zip(then).collect())
        };
        (Just(operations), [order(), order()])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn owners_become_alike_by_exchange((operations, orders) in delivered()) {
        let [mut one, mut other] = orders.map(|order| {
            let mut owner = Owner::new();
            for (number, what) in order {
                match &operations[number] {
                    Operation::Write(points) => drop(rejected(&owner, points, number as u64 + 1)),
                    delete @ Operation::Delete(..) => owner.apply(delete, number as u64 + 1),
                }
                owner.then(what);
            }
            owner
        });
        for _ in 0..4 {
            carry_all(&one, &other);
            carry_all(&other, &one);
        }
        prop_assert_eq!(one.cells(), other.cells());
        prop_assert_eq!(one.shard().digest().unwrap(), other.shard().digest().unwrap());
        one.restart();
        other.restart();
        prop_assert_eq!(one.cells(), other.cells());
        prop_assert_eq!(carry_all(&one, &other).refused, 0, "nobody has anything that the other refuses");
        // One may have to give way before it takes in what the other lists.
        for _ in 0..2 {
            carry_fields(&one, &other);
            carry_fields(&other, &one);
        }
        prop_assert_eq!(one.shard().listed_fields(), other.shard().listed_fields());
        prop_assert_eq!(one.cells(), other.cells());
    }
}
