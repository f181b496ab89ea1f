//! Owners that have seen the same writes and deletes have equal digests; owners that have not become alike by exchanging
//! deletes and cells.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use proptest::prelude::*;
use regex::Regex;
use skywatch_model::{FieldValue, TimeRange, Version};
use skywatch_storage::{
    CellBatch, Digest, ImportReport, ListedField, SeriesClasses, Shard, ShardDigest, Store, StoreOptions,
    TagPredicate, TimeBucket, VersionPolicy,
    fs::{Fault, SimFs},
    wire::Reader,
};

use crate::support::{Cells, DIR, Point, SHARD, cells, manual, open, shard, write};

/// Half a bucket of time.
const STEP: i64 = 1 << 39;
const LATEST: Version = Version(u64::MAX);

pub(crate) fn keeping() -> StoreOptions {
    StoreOptions { versions: VersionPolicy::Keep, ..manual() }
}

/// What a batch does; its version is its number and one.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Write(Vec<Point>),
    Delete(TagPredicate, TimeRange),
}

fn point() -> impl Strategy<Value = Point> {
    let fields = prop::sample::subsequence(vec!["float", "integer", "text"], 1..4);
    (0..4u32, -2i64..6, fields, 0..4usize).prop_map(|(series, time, fields, value)| {
        let of = |name: &&str| {
            let value = match *name {
                "float" => FieldValue::Float([0.0, -0.0, 1.5, f64::MIN_POSITIVE][value]),
                "integer" => FieldValue::Integer([0, -1, i64::MAX, 7][value]),
                _ => FieldValue::String(["", "a", "b", "a\0"][value].into()),
            };
            ((*name).to_owned(), value)
        };
        (format!("m,host=h{series}"), time * STEP, fields.iter().map(of).collect())
    })
}

fn predicate() -> impl Strategy<Value = TagPredicate> {
    let host = |name: &str| TagPredicate::Equal { key: "host".into(), value: name.into() };
    let early = TagPredicate::Matches { key: "host".into(), regex: Arc::new(Regex::new("h[01]$").unwrap()) };
    prop::sample::select(vec![TagPredicate::All, host("h1"), host("h9"), early])
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    let range = prop_oneof![
        Just(TimeRange::ALL),
        (-2i64..6, 0i64..4).prop_map(|(start, len)| TimeRange::new(start * STEP, (start + len) * STEP))
    ];
    prop_oneof![
        3 => prop::collection::vec(point(), 1..8).prop_map(Operation::Write),
        1 => (predicate(), range).prop_map(|(predicate, range)| Operation::Delete(predicate, range)),
    ]
}

/// What an owner does after an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then {
    Nothing,
    Flush,
    Compact,
    Restart,
    Digest,
}

pub(crate) fn then() -> impl Strategy<Value = Then> {
    prop_oneof![
        5 => Just(Then::Nothing),
        2 => Just(Then::Flush),
        1 => Just(Then::Compact),
        1 => Just(Then::Restart),
        2 => Just(Then::Digest),
    ]
}

/// An owner of the shard.
pub(crate) struct Owner {
    pub(crate) fs: SimFs,
    store: Option<Store>,
}

impl Owner {
    pub(crate) fn new() -> Self {
        let fs = SimFs::default();
        let store = open(&fs, keeping());
        shard(&store);
        Self { fs, store: Some(store) }
    }

    /// That remembers so many deletes at most.
    pub(crate) fn limited(deletes_max: usize) -> Self {
        let fs = SimFs::default();
        let store = open(&fs, StoreOptions { deletes_max, ..keeping() });
        shard(&store);
        Self { fs, store: Some(store) }
    }

    /// After some operations, by number.
    fn after(operations: &[Operation], deliveries: &[(usize, Then)]) -> Self {
        let mut owner = Self::new();
        for (number, then) in deliveries {
            owner.apply(&operations[*number], *number as u64 + 1);
            owner.then(*then);
        }
        owner
    }

    pub(crate) fn shard(&self) -> Arc<Shard> {
        self.store.as_ref().unwrap().shard(SHARD).unwrap()
    }

    pub(crate) fn apply(&self, operation: &Operation, version: u64) {
        match operation {
            Operation::Write(points) => {
                assert_eq!(write(&self.shard(), points, version).unwrap().rejected, []);
            }
            Operation::Delete(predicate, range) => {
                self.shard().delete(&["m".into()], predicate, *range, Version(version)).unwrap();
            }
        }
    }

    pub(crate) fn then(&mut self, then: Then) {
        match then {
            Then::Nothing => {}
            Then::Flush => self.shard().flush().unwrap(),
            Then::Compact => {
                self.shard().flush().unwrap();
                self.shard().compact().unwrap();
            }
            Then::Restart => self.restart(),
            Then::Digest => drop(self.shard().digest().unwrap()),
        }
    }

    pub(crate) fn restart(&mut self) {
        drop(self.store.take());
        self.fs.restart();
        self.store = Some(open(&self.fs, keeping()));
    }

    /// The digest, which must be the same when it is read anew, and agree with its classes.
    fn digest(&mut self) -> ShardDigest {
        let kept = self.shard().digest().unwrap();
        assert_eq!(self.shard().refresh_digest().unwrap().left, 0, "nothing has been written");
        let buckets: BTreeSet<TimeBucket> = kept.times.keys().copied().collect();
        let classes = self.shard().class_digests(&buckets, LATEST).unwrap();
        let sums: BTreeMap<TimeBucket, Digest> = classes
            .into_iter()
            .map(|(bucket, classes)| {
                let mut all = Digest::default();
                classes.into_iter().for_each(|digest| all += digest);
                (bucket, all)
            })
            .collect();
        assert_eq!(sums, kept.times);
        self.restart();
        assert_eq!(self.shard().digest().unwrap(), kept, "read anew after a restart");
        kept
    }

    pub(crate) fn cells(&self) -> Cells {
        cells(&*self.shard().snapshot()).unwrap()
    }

    /// Series that are listed.
    fn listed(&self) -> BTreeSet<String> {
        let snapshot = self.shard().snapshot();
        let series = |name: &Arc<str>| snapshot.select_series(name, &TagPredicate::All).unwrap();
        let measurements = snapshot.measurements().unwrap();
        measurements.iter().flat_map(series).map(|id| snapshot.series_key(id).to_string()).collect()
    }
}

/// Carries what one owner has of some classes to another, in small pieces, each through its bytes.
fn carry(from: &Owner, to: &Owner, times: TimeRange, classes: SeriesClasses) -> ImportReport {
    for deletion in from.shard().deletions() {
        let mut bytes = Vec::new();
        deletion.encode(&mut bytes);
        let deletion = skywatch_storage::Deletion::decode(&mut Reader::new(&bytes)).unwrap();
        let rule = deletion.rule;
        to.shard().delete(&rule.measurements, &rule.predicate, deletion.range, deletion.version).unwrap();
    }
    let mut all = ImportReport::default();
    let mut after = None;
    loop {
        let (batch, next) = from.shard().export(times, classes, after.as_ref(), 100).unwrap();
        let mut bytes = Vec::new();
        batch.encode(&mut bytes);
        let batch = CellBatch::decode(&bytes).unwrap();
        assert!(batch.latest_version() <= from.shard().latest_version());
        let report = to.shard().import(&batch, to.shard().forgotten()).unwrap();
        assert_eq!(batch.cells(), report.stored + report.known + report.refused);
        all.stored += report.stored;
        all.known += report.known;
        all.refused += report.refused;
        let Some(next) = next else { return all };
        assert!(after.is_none_or(|after: skywatch_storage::Cursor| {
            (&after.series, after.time) < (&next.series, next.time)
        }));
        after = Some(next);
    }
}

pub(crate) fn carry_all(from: &Owner, to: &Owner) -> ImportReport {
    carry(from, to, TimeRange::ALL, SeriesClasses::ALL)
}

/// Carries the fields that one owner lists to another, each through its bytes; how many were new to it.
pub(crate) fn carry_fields(from: &Owner, to: &Owner) -> u64 {
    let listed = from.shard().listed_fields();
    let mut bytes = Vec::new();
    listed.iter().for_each(|field| field.encode(&mut bytes));
    let mut reader = Reader::new(&bytes);
    let fields: Vec<ListedField> = listed.iter().map(|_| ListedField::decode(&mut reader).unwrap()).collect();
    assert_eq!(fields, listed);
    to.shard().adopt_fields(&fields, to.shard().retirements()).unwrap()
}

/// Operations, and for an owner their numbers in some order, each at least once.
fn all_delivered() -> impl Strategy<Value = (Vec<Operation>, Vec<(usize, Then)>)> {
    prop::collection::vec(operation(), 1..7).prop_flat_map(|operations| {
        let numbers: Vec<usize> = (0..operations.len()).collect();
        let again = prop::collection::vec(prop::sample::select(numbers.clone()), 0..4);
        let deliveries = again.prop_flat_map(move |again| {
            let all: Vec<usize> = numbers.iter().copied().chain(again).collect();
            let len = all.len();
            (Just(all).prop_shuffle(), prop::collection::vec(then(), len))
        });
        (Just(operations), deliveries.prop_map(|(numbers, then)| numbers.into_iter().zip(then).collect()))
    })
}

/// Operations, and which of them each of two owners has: every operation at least one.
fn partly_delivered() -> impl Strategy<Value = (Vec<Operation>, [Vec<(usize, Then)>; 2])> {
    let delivered = (operation(), 0u8..3, then(), then());
    prop::collection::vec(delivered, 1..9).prop_map(|all| {
        let of = |skipped: u8| {
            let mine = all.iter().enumerate().filter(move |(_, it)| it.1 != skipped);
            mine.map(|(number, it)| (number, if skipped == 0 { it.2 } else { it.3 })).collect()
        };
        (all.iter().map(|it| it.0.clone()).collect(), [of(0), of(1)])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_order_and_repetition_gives_the_same_digest((operations, deliveries) in all_delivered()) {
        let in_order: Vec<_> = (0..operations.len()).map(|number| (number, Then::Nothing)).collect();
        let mut one = Owner::after(&operations, &deliveries);
        let mut other = Owner::after(&operations, &in_order);
        prop_assert_eq!(one.cells(), other.cells());
        prop_assert_eq!(one.listed(), other.listed());
        let with_cells: BTreeSet<String> = one.cells().into_keys().map(|(series, ..)| series).collect();
        prop_assert_eq!(one.listed(), with_cells, "no series without a cell is listed");
        prop_assert_eq!(one.digest(), other.digest());
    }

    #[test]
    fn owners_become_alike_by_exchange((operations, [one, other]) in partly_delivered()) {
        let in_order: Vec<_> = (0..operations.len()).map(|number| (number, Then::Nothing)).collect();
        let mut whole = Owner::after(&operations, &in_order);
        let mut one = Owner::after(&operations, &one);
        let mut other = Owner::after(&operations, &other);
        carry_all(&one, &other);
        carry_all(&other, &one);
        // The first exchange may have carried cells that deletes of the other owner cover; nobody sees them.
        prop_assert_eq!(one.cells(), whole.cells());
        prop_assert_eq!(other.cells(), whole.cells());
        prop_assert_eq!(one.listed(), whole.listed());
        prop_assert_eq!(other.listed(), whole.listed());
        let digest = whole.digest();
        prop_assert_eq!(&one.digest(), &digest);
        prop_assert_eq!(&other.digest(), &digest);
        prop_assert_eq!(carry_all(&other, &one).stored, 0, "there is nothing left to carry");
        carry_fields(&one, &other);
        carry_fields(&other, &one);
        prop_assert_eq!(one.shard().listed_fields(), other.shard().listed_fields());
        prop_assert_eq!(one.shard().fields_digest(), other.shard().fields_digest());
        prop_assert_eq!(&one.digest(), &digest, "nor does a field change the cells");
    }
}

fn point_of(series: &str, time: i64, name: &str, value: FieldValue) -> Operation {
    Operation::Write(vec![(series.into(), time, vec![(name.into(), value)])])
}

fn host(name: &str) -> TagPredicate {
    TagPredicate::Equal { key: "host".into(), value: name.into() }
}

#[test]
fn points_that_come_after_their_delete_leave_what_they_would_leave_before_it() {
    let operations = [
        point_of("m,host=h1", 1, "text", FieldValue::String("a".into())),
        point_of("m,host=h2", 1, "v", FieldValue::Integer(1)),
        Operation::Delete(host("h1"), TimeRange::ALL),
        point_of("n,host=h1", 1, "v", FieldValue::String("a".into())),
    ];
    let (in_order, late) = (Owner::new(), Owner::new());
    for number in [0, 1, 2, 3] {
        in_order.apply(&operations[number], number as u64 + 1);
    }
    for number in [1, 2, 0, 3] {
        late.apply(&operations[number], number as u64 + 1);
    }
    assert_eq!(late.listed(), BTreeSet::from(["m,host=h2".to_owned(), "n,host=h1".to_owned()]));
    assert_eq!(late.listed(), in_order.listed());
    let fields = |owner: &Owner| owner.shard().snapshot().fields("m").unwrap();
    assert_eq!(fields(&late), fields(&in_order), "the measurement keeps its fields");
}

/// An owner with two fields in a measurement, of one of which no cell is left.
fn with_a_field_without_cells() -> Owner {
    let owner = Owner::new();
    owner.apply(&point_of("m,host=h1", 1, "text", FieldValue::String("a".into())), 1);
    owner.apply(&point_of("m,host=h1", 2, "v", FieldValue::Integer(1)), 2);
    owner.apply(&Operation::Delete(TagPredicate::All, TimeRange::new(1, 1)), 3);
    owner
}

#[test]
fn an_owner_that_was_filled_with_cells_takes_in_fields_without() {
    let from = with_a_field_without_cells();
    let mut to = Owner::new();
    carry_all(&from, &to);
    assert_eq!(to.shard().digest().unwrap(), from.shard().digest().unwrap());
    assert_ne!(to.shard().fields_digest(), from.shard().fields_digest());
    assert_eq!(carry_fields(&from, &to), 1);
    assert_eq!(carry_fields(&from, &to), 0);
    for what in [Then::Restart, Then::Flush, Then::Restart, Then::Compact, Then::Restart] {
        to.then(what);
        assert_eq!(to.shard().listed_fields(), from.shard().listed_fields(), "after {what:?}");
    }
    let of_another_type = ("m,host=h2".to_owned(), 9, vec![("text".to_owned(), FieldValue::Float(0.5))]);
    let report = write(&to.shard(), &[of_another_type], 9).unwrap();
    assert_eq!((report.rejected.len(), report.gave_way), (0, true), "as where its points had been");
}

#[test]
fn what_was_dropped_meanwhile_does_not_come_back() {
    let (from, to) = (with_a_field_without_cells(), Owner::new());
    carry_all(&from, &to);
    let (fields, seen) = (from.shard().listed_fields(), to.shard().retirements());
    to.apply(&Operation::Delete(TagPredicate::All, TimeRange::ALL), 8);
    to.apply(&point_of("m,host=h1", 5, "v", FieldValue::Integer(1)), 9);
    assert_eq!(to.shard().adopt_fields(&fields, seen).unwrap(), 0);
    assert_eq!(to.shard().listed_fields().len(), 1);
    // Nor does it come to measurements that are not there.
    to.apply(&Operation::Delete(TagPredicate::All, TimeRange::ALL), 10);
    assert_eq!(to.shard().adopt_fields(&fields, to.shard().retirements()).unwrap(), 0);
    assert_eq!(to.shard().listed_fields(), []);
}

#[test]
fn points_that_come_after_their_delete_contest_no_type() {
    let owner = Owner::new();
    owner.apply(&Operation::Delete(TagPredicate::All, TimeRange::ALL), 5);
    owner.apply(&point_of("m,host=h1", 1, "v", FieldValue::Integer(1)), 6);
    owner.apply(&point_of("m,host=h1", 2, "v", FieldValue::String("a".into())), 1);
    owner.apply(&point_of("m,host=h2", 2, "w", FieldValue::String("a".into())), 2);
    assert_eq!(owner.listed(), BTreeSet::from(["m,host=h1".to_owned()]));
    let fields = owner.shard().snapshot().fields("m").unwrap();
    assert_eq!(
        fields,
        [("v".into(), skywatch_model::FieldType::Integer)],
        "all of the measurement was deleted"
    );
    assert_eq!(owner.shard().stats().set_aside_files, 0, "nothing gave way");
    assert_eq!(owner.cells().len(), 1);
}

#[test]
fn a_crash_in_the_midst_of_a_delete_leaves_no_series_without_points() {
    for operation in 0.. {
        let mut owner = Owner::new();
        owner.apply(&point_of("m,host=h1", 1, "v", FieldValue::Integer(1)), 1);
        owner.apply(&point_of("m,host=h2", 1, "v", FieldValue::Integer(1)), 2);
        owner.shard().flush().unwrap();
        let before = owner.fs.operations();
        owner.fs.fail_at(before + operation, Fault::PowerCut);
        let done = owner.shard().delete(&["m".into()], &host("h1"), TimeRange::ALL, Version(3));
        let is_cut = owner.fs.power_is_off();
        owner.restart();
        let with_cells: BTreeSet<String> = owner.cells().into_keys().map(|(series, ..)| series).collect();
        assert_eq!(owner.listed(), with_cells, "cut at operation {operation}");
        if !is_cut {
            done.unwrap();
            assert_eq!(with_cells.len(), 1);
            return;
        }
    }
}

fn three_buckets() -> Owner {
    let owner = Owner::new();
    for bucket in 0..3i64 {
        let points: Vec<Point> = (0..40)
            .map(|series| {
                let value = FieldValue::Integer(bucket * i64::from(series));
                (format!("m,host=h{series}"), bucket * 2 * STEP + 5, vec![("v".to_owned(), value)])
            })
            .collect();
        owner.apply(&Operation::Write(points), bucket as u64 + 1);
        owner.shard().flush().unwrap();
    }
    owner
}

#[test]
fn only_what_differs_need_travel() {
    let one = three_buckets();
    let other = three_buckets();
    let mine = one.shard();
    let extra: Point = ("m,host=h7".into(), 2 * STEP + 6, vec![("v".into(), FieldValue::Integer(1))]);
    one.apply(&Operation::Write(vec![extra]), 9);
    let (here, there) = (mine.digest().unwrap(), other.shard().digest().unwrap());
    let differ: BTreeSet<TimeBucket> = here
        .times
        .iter()
        .filter(|(bucket, digest)| there.times.get(bucket) != Some(digest))
        .map(|it| *it.0)
        .collect();
    assert_eq!(differ, [TimeBucket::of(2 * STEP)].into());
    let (here, there) =
        (mine.class_digests(&differ, LATEST).unwrap(), other.shard().class_digests(&differ, LATEST).unwrap());
    let bucket = TimeBucket::of(2 * STEP);
    let classes = (0..32).filter(|class| here[&bucket][*class] != there[&bucket][*class]);
    let classes = SeriesClasses(classes.fold(0, |all, class| all | 1 << class));
    assert_eq!(classes.0.count_ones(), 1);
    let before = |shard: &Shard, version| shard.class_digests(&differ, Version(version)).unwrap();
    assert_eq!(before(&mine, 9), before(&other.shard(), 9), "the difference is of version 9");
    assert_ne!(before(&mine, 10), before(&other.shard(), 10));
    let report = carry(&one, &other, bucket.range(), classes);
    assert_eq!(report.stored, 1);
    assert!(report.known < 20, "{report:?}");
    assert_eq!(mine.digest().unwrap(), other.shard().digest().unwrap());
}

#[test]
fn what_is_not_written_to_is_not_read_again() {
    let owner = three_buckets();
    let shard = owner.shard();
    shard.digest().unwrap();
    assert_eq!(shard.refresh_digest().unwrap(), skywatch_storage::Refreshed::default());
    shard.compact().unwrap();
    assert_eq!(shard.refresh_digest().unwrap().cells, 0, "a merge changes nothing");
    owner.apply(
        &Operation::Write(vec![("m,host=x".into(), 5, vec![("v".into(), FieldValue::Integer(1))])]),
        9,
    );
    assert_eq!(shard.refresh_digest().unwrap().cells, 41, "one bucket of three");
    shard.flush().unwrap();
    assert_eq!(shard.refresh_digest().unwrap().cells, 0, "neither does a flush");
    owner.apply(&Operation::Delete(TagPredicate::All, TimeRange::new(6, 3 * STEP)), 10);
    assert_eq!(shard.refresh_digest().unwrap().cells, 41, "what is left of two buckets");
}

#[test]
fn a_field_of_a_younger_type_is_refused_by_name_and_the_rest_is_taken() {
    let one = Owner::new();
    let other = Owner::new();
    let fields = |value| vec![("a".to_owned(), value), ("b".to_owned(), FieldValue::Boolean(true))];
    one.apply(&Operation::Write(vec![("m".into(), 1, fields(FieldValue::Integer(1)))]), 5);
    other.apply(&Operation::Write(vec![("m".into(), 2, fields(FieldValue::Float(1.0)))]), 2);
    one.apply(&Operation::Write(vec![("n".into(), 1, fields(FieldValue::Integer(1)))]), 3);
    let report = carry_all(&one, &other);
    assert_eq!((report.stored, report.refused, report.known), (3, 1, 0));
    let (batch, _) = one.shard().export(TimeRange::ALL, SeriesClasses::ALL, None, 1 << 20).unwrap();
    let report = other.shard().import(&batch, other.shard().forgotten()).unwrap();
    assert_eq!(report.refused, 1);
    assert!(
        report.reasons[0]
            .contains("input field \"a\" on measurement \"m\" is type integer, already exists as type float")
    );
    assert_eq!(report.known, 3, "all others are here already");
}

/// Flips a byte of the values of the shard's only segment of a bucket.
fn damage(owner: &Owner, bucket: i64) -> PathBuf {
    let path = PathBuf::from(DIR).join(SHARD.to_string()).join(format!("{:010}.seg", 1 + bucket * 2));
    let mut bytes = owner.fs.read(&path).unwrap();
    bytes[40] ^= 1;
    owner.fs.overwrite(&path, bytes).unwrap();
    path
}

#[test]
fn what_a_damaged_segment_had_is_fetched_and_the_segment_given_up() {
    let source = three_buckets();
    let mut owner = three_buckets();
    let whole = source.shard().digest().unwrap();
    damage(&owner, 1);
    owner.restart();
    let shard = owner.shard();
    let digest = shard.digest().unwrap();
    let bucket = TimeBucket::of(2 * STEP);
    assert_eq!(digest.times.len(), 2);
    assert!(digest.is_unknown(bucket) && !digest.is_unknown(TimeBucket::of(0)));
    let damaged = shard.damaged_segments();
    assert_eq!(damaged.len(), 1);
    assert!(cells(&*shard.snapshot()).is_err());
    let report = carry(&source, &owner, damaged[0].times, SeriesClasses::ALL);
    assert_eq!((report.stored, report.known), (40, 0));
    assert!(cells(&*shard.snapshot()).is_err(), "it says so until all is there");
    shard.give_up_damaged(&[damaged[0].number]).unwrap();
    assert_eq!(shard.damaged_segments(), []);
    assert_eq!(owner.cells(), source.cells());
    assert_eq!(shard.digest().unwrap(), whole);
    owner.restart();
    assert!(!owner.shard().recovery().has_damage());
    assert_eq!(owner.cells(), source.cells());
}
