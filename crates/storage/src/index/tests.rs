//! The index against a plain map, through files, merges, retirements and restarts; its files, whole and damaged.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use parking_lot::RwLock;
use proptest::prelude::*;
use regex::Regex;
use skywatch_model::series::{make_key, parse_key};

use super::*;
use crate::{TagPredicate, fs::SimFs};

fn add(index: &mut Index, key: &str) -> SeriesId {
    index.find_series(key).unwrap_or_else(|| index.add_series(key).id)
}

/// Retires series and what goes with them; returns the numbers of their fields.
fn drop_series(index: &mut Index, series: RoaringBitmap) -> RoaringBitmap {
    let retired = index.retirement(series);
    index.retire(&retired);
    retired.fields
}

fn sample() -> Index {
    let mut index = Index::with_seed(7);
    for series in 0..40 {
        add(&mut index, &format!("cpu,dc=d{},host=h{series}", series % 3));
        add(&mut index, &format!("mem,host=h{series}"));
    }
    index.add_field("cpu", "idle", FieldType::Float);
    index.add_field("mem", "used", FieldType::Unsigned);
    index
}

/// What stands for the series of an index changes whenever a predicate could select others, and is no other index's.
#[test]
fn a_stamp_stands_for_the_series_that_there_are() {
    let mut index = sample();
    let (early, stamp) = (index.bounds(), index.stamp(index.bounds()));
    assert_eq!(index.stamp(index.bounds()), stamp);
    assert_ne!(sample().stamp(early), stamp, "the same series, in another index");
    file_of(&mut index);
    assert_eq!(index.stamp(index.bounds()), stamp, "where they lie does not matter");
    add(&mut index, "cpu,host=new");
    assert_ne!(index.stamp(index.bounds()), stamp, "there is one more");
    assert_eq!(index.stamp(early), stamp, "an earlier snapshot does not see it");
    let one = RoaringBitmap::from_iter([0]);
    drop_series(&mut index, one);
    assert_ne!(index.stamp(early), stamp, "nor what has been dropped");
}

/// Everything there is to see.
fn dump(index: Index) -> Vec<String> {
    let index = RwLock::new(index);
    let bounds = index.read().bounds();
    let mut dump = Vec::new();
    for name in index.read().measurement_names(bounds) {
        dump.push(format!("{name} {:?}", index.read().fields_of(&name, bounds)));
        let all = select(&index, &name, &TagPredicate::All, bounds);
        dump.extend(all.iter().map(|id| format!("{id:?} {:?}", index.read().series_key(*id))));
        for key in index.read().tag_keys(&name, bounds) {
            for value in tag_values(&index, &name, &key, bounds) {
                let equal = TagPredicate::Equal { key: Arc::clone(&key), value: Arc::clone(&value) };
                dump.push(format!("{key}={value} {:?}", select(&index, &name, &equal, bounds)));
            }
        }
    }
    dump
}

/// The bytes of the file of everything that is in no file yet.
fn file_of(index: &mut Index) -> Vec<u8> {
    let fs = SimFs::default();
    let pending = index.freeze().unwrap();
    let written = pending.write(&fs, Path::new("f"), pending.range).unwrap();
    index.install(written);
    fs.map(Path::new("f")).unwrap().to_vec()
}

#[test]
fn every_flipped_byte_is_noticed() {
    let bytes = file_of(&mut sample());
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x04;
        assert!(
            matches!(Index::default().load(bytes.into()), Err(IndexFileError::Damaged { .. })),
            "flip at {at}"
        );
    }
    for len in 0..bytes.len() {
        assert!(Index::default().load(bytes[..len].to_vec().into()).is_err(), "cut to {len}");
    }
}

#[test]
fn the_block_that_is_damaged_is_named() {
    let mut index = Index::with_seed(7);
    for series in 0..60_000 {
        index.add_series(&format!("cpu,dc=d{},host=h{series}", series % 3));
    }
    let mut bytes = file_of(&mut index);
    assert!(bytes.len() > 2 << 20, "{} bytes", bytes.len());
    bytes[(1 << 20) + 5] ^= 1;
    let error = Index::default().load(bytes.into()).unwrap_err();
    assert_eq!(error, IndexFileError::Damaged { offset: 1 << 20, reason: Malformed("checksum differs") });
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// See the test of the same name in `segment`.
#[test]
fn the_format_is_the_documented_one() {
    let written = file_of(&mut sample());
    if std::env::var_os("SKYWATCH_WRITE_GOLDEN").is_some() {
        std::fs::write(golden("index-v2.idx"), &written).unwrap();
    }
    let kept = std::fs::read(golden("index-v2.idx")).unwrap();
    let mut read = Index::default();
    read.load(kept.clone().into()).unwrap();
    assert_eq!(dump(read), dump(sample()));
    assert!(written == kept, "the bytes of an index file have changed");
}

#[test]
fn files_of_version_1_are_read_and_become_files_of_today() {
    let kept = std::fs::read(golden("index-v1.idx")).unwrap();
    let mut read = Index::default();
    let range = read.load(kept.clone().into()).unwrap();
    assert_eq!(range, IndexFileMeta { from: Bounds::default(), to: sample().bounds() });
    let bytes = file_of(&mut read);
    assert_eq!(read.head.from(), 80);
    assert_eq!(dump(read), dump(sample()));
    let mut reread = Index::default();
    reread.load(bytes.into()).unwrap();
    assert_eq!(dump(reread), dump(sample()));
    for at in 0..kept.len() {
        let mut bytes = kept.clone();
        bytes[at] ^= 0x04;
        assert!(Index::default().load(bytes.into()).is_err(), "flip at {at}");
    }
}

#[test]
fn a_file_of_another_index_is_refused() {
    let mut first = sample();
    let bytes = file_of(&mut first);
    add(&mut first, "disk,host=a");
    let second = file_of(&mut first);
    let mut index = Index::default();
    assert!(index.load(second.clone().into()).is_err(), "the first is missing");
    index.load(bytes.into()).unwrap();
    index.load(second.into()).unwrap();
    assert_eq!((index.series_count(), index.bounds().series), (81, 81));
}

#[test]
fn numbers_lost_with_a_file_are_not_given_again() {
    let mut index = Index::default();
    index.reserve_series(SeriesId(4));
    assert_eq!(add(&mut index, "m").0, 5);
    assert_eq!((index.series_count(), index.series_key(SeriesId(2))), (1, None));
    file_of(&mut index);
    assert_eq!((add(&mut index, "m").0, index.series_key(SeriesId(2))), (5, None));
    assert_eq!(index.series_key(SeriesId(5)).as_deref(), Some("m"));
}

#[test]
fn layouts_are_shared_and_types_are_kept() {
    let mut index = sample();
    let fields = || [("idle", FieldType::Float)].into_iter();
    let ids = index.find_layout("cpu", fields()).unwrap().unwrap();
    let layout = index.intern_layout(ids.clone());
    assert!(Arc::ptr_eq(&layout, &index.intern_layout(ids)));
    assert_eq!(index.find_layout("cpu", [("new", FieldType::Float)].into_iter()), Ok(None));
    let conflict = index.find_layout("cpu", [("idle", FieldType::String)].into_iter()).unwrap_err();
    assert_eq!(
        conflict.to_string(),
        "field type conflict: input field \"idle\" on measurement \"cpu\" is type string, already exists as type float"
    );
}

#[test]
fn fields_go_with_the_last_series_of_their_measurement_and_may_change_their_type() {
    for in_file in [false, true] {
        let mut index = sample();
        if in_file {
            file_of(&mut index);
        }
        let bounds = index.bounds();
        let of_mem: RoaringBitmap = (0..80).filter(|id| id % 2 == 1).collect();
        assert!(drop_series(&mut index, [2].into()).is_empty());
        assert_eq!(drop_series(&mut index, of_mem).iter().collect::<Vec<_>>(), [1]);
        assert_eq!((index.series_count(), index.measurement_names(bounds)), (39, vec!["cpu".into()]));
        assert!(index.fields_of("mem", bounds).is_empty() && index.field(FieldId(1)).is_none());
        let again = add(&mut index, "mem,host=h1");
        assert_eq!(again, SeriesId(80));
        assert_eq!(index.add_field("mem", "used", FieldType::String).id, FieldId(2));
        index.insert_series(&SeriesDefinition { id: SeriesId(1), key: "mem,host=h0".into() });
        assert_eq!(index.find_series("mem,host=h0"), None, "a definition read later changes nothing");
        let bytes = file_of(&mut index);
        assert!(!bytes.is_empty() && index.find_series("mem,host=h1") == Some(again));
    }
}

#[test]
fn the_sketch_survives_in_the_file() {
    let mut index = sample();
    let before = index.sketch();
    assert!((79..=81).contains(&before.estimate()), "{before:?}");
    let bytes = file_of(&mut index);
    let mut read = Index::default();
    read.load(bytes.into()).unwrap();
    assert_eq!((index.sketch(), read.sketch()), (before.clone(), before));
}

/// A thousand values, so that the regular expression is matched without the lock.
#[test]
fn many_values_are_matched_by_regular_expressions() {
    let mut index = Index::default();
    for host in 0..1000 {
        add(&mut index, &format!("cpu,host=h{host}"));
    }
    let index = RwLock::new(index);
    let bounds = index.read().bounds();
    let matches =
        |text: &str| TagPredicate::Matches { key: "host".into(), regex: Arc::new(Regex::new(text).unwrap()) };
    let both = TagPredicate::And(vec![matches("^h99"), TagPredicate::Not(Box::new(matches("5$")))]);
    let expected: Vec<SeriesId> =
        [99, 990, 991, 992, 993, 994, 996, 997, 998, 999].into_iter().map(SeriesId).collect();
    assert_eq!(select(&index, "cpu", &both, bounds), expected);
    file_of(&mut index.write());
    assert_eq!(select(&index, "cpu", &both, bounds), expected);
    assert_eq!(count_series(&index, "cpu", &both, Bounds { series: 992, fields: 0 }), 3);
}

/// An index that is written to files as a shard does it, and what it must say.
struct Harness {
    fs: SimFs,
    index: RwLock<Index>,
    files: Vec<(PathBuf, IndexFileMeta)>,
    written: u32,
    /// All ever given out, as a log keeps them.
    log: Vec<SeriesDefinition>,
    live: BTreeMap<String, u32>,
    retired: RoaringBitmap,
}

#[derive(Debug, Clone)]
enum Action {
    Add(String),
    /// Those whose number has this remainder by 7.
    Retire(u32),
    /// Merging this many of the youngest files.
    Flush(usize),
    FailToFlush,
    Reopen,
}

fn keys() -> impl Strategy<Value = String> {
    let value = prop_oneof![4 => "[ab]{1,2}", 1 => "[a ,=#!+]{0,2}a"];
    let tags = prop::collection::btree_map(prop::sample::select(vec!["d c", "host", "x,"]), value, 0..4);
    (prop::sample::select(vec!["cpu", "m=, 1"]), tags).prop_map(|(name, tags)| make_key(name, tags))
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        20 => keys().prop_map(Action::Add),
        1 => (0u32..7).prop_map(Action::Retire),
        3 => (0usize..4).prop_map(Action::Flush),
        1 => Just(Action::FailToFlush),
        1 => Just(Action::Reopen),
    ];
    prop::collection::vec(action, 1..80)
}

fn predicates() -> Vec<TagPredicate> {
    let equal = |key: &str, value: &str| TagPredicate::Equal { key: key.into(), value: value.into() };
    let matches = |key: &str, regex: &str| TagPredicate::Matches {
        key: key.into(),
        regex: Arc::new(Regex::new(regex).unwrap()),
    };
    vec![
        TagPredicate::All,
        TagPredicate::None,
        equal("host", "a"),
        equal("host", ""),
        equal("nothing", ""),
        matches("d c", "^a"),
        matches("x,", "^$|b"),
        TagPredicate::Not(Box::new(matches("host", "b"))),
        TagPredicate::And(vec![equal("host", "a"), TagPredicate::Not(Box::new(equal("d c", "b")))]),
        TagPredicate::Or(vec![equal("host", "b"), matches("d c", "[,=]"), TagPredicate::None]),
        TagPredicate::And(Vec::new()),
    ]
}

fn holds(predicate: &TagPredicate, tags: &BTreeMap<String, String>) -> bool {
    let value = |key: &str| tags.get(key).map_or("", String::as_str);
    match predicate {
        TagPredicate::All => true,
        TagPredicate::None => false,
        TagPredicate::Equal { key, value: wanted } => value(key) == &**wanted,
        TagPredicate::Matches { key, regex } => regex.is_match(value(key)),
        TagPredicate::Not(inner) => !holds(inner, tags),
        TagPredicate::And(all) => all.iter().all(|inner| holds(inner, tags)),
        TagPredicate::Or(any) => any.iter().any(|inner| holds(inner, tags)),
    }
}

/// Measurement and tags.
type Parsed = (String, BTreeMap<String, String>);

fn parsed(key: &str) -> Parsed {
    let (name, tags) = parse_key(key);
    (name.into_owned(), tags.into_iter().map(|(key, value)| (key.into_owned(), value.into_owned())).collect())
}

impl Harness {
    fn new() -> Self {
        Self {
            fs: SimFs::default(),
            index: RwLock::default(),
            files: Vec::new(),
            written: 0,
            log: Vec::new(),
            live: BTreeMap::new(),
            retired: RoaringBitmap::new(),
        }
    }

    fn apply(&mut self, action: &Action) {
        match action {
            Action::Add(key) => {
                let mut index = self.index.write();
                let id = index.find_series(key);
                assert_eq!(id.map(|id| id.0), self.live.get(key).copied(), "{key}");
                if id.is_none() {
                    let definition = index.add_series(key);
                    assert_eq!(definition.id.0 as usize, self.log.len(), "numbers ascend");
                    self.live.insert(key.clone(), definition.id.0);
                    self.log.push(definition);
                }
            }
            Action::Retire(remainder) => {
                let gone: RoaringBitmap =
                    self.live.values().copied().filter(|id| id % 7 == *remainder).collect();
                drop_series(&mut self.index.write(), gone.clone());
                self.live.retain(|_, id| !gone.contains(*id));
                self.retired |= gone;
            }
            Action::Flush(merged) => self.flush(*merged),
            Action::FailToFlush => drop(self.index.write().freeze()),
            Action::Reopen => self.reopen(),
        }
    }

    fn flush(&mut self, merged: usize) {
        let Some(pending) = self.index.write().freeze() else { return };
        let kept = self.files.len().saturating_sub(merged);
        let mut range = pending.range;
        range.from = self.files.get(kept).map_or(range.from, |(_, file)| file.from);
        self.written += 1;
        let path = PathBuf::from(format!("{}.idx", self.written));
        let written = pending.write(&self.fs, &path, range).unwrap();
        self.index.write().install(written);
        self.files.truncate(kept);
        self.files.push((path, range));
    }

    /// As a shard is opened: the files, the log (of which more may be left than is needed), what is retired.
    fn reopen(&mut self) {
        let mut index = Index::default();
        for (path, range) in &self.files {
            assert_eq!(index.load(self.fs.map(path).unwrap()), Ok(*range));
        }
        let stored = index.bounds().series as usize;
        self.log[stored.saturating_sub(3)..].iter().for_each(|series| index.insert_series(series));
        drop_series(&mut index, self.retired.clone());
        self.index = RwLock::new(index);
    }

    fn check(&self) {
        let index = &self.index;
        let bounds = index.read().bounds();
        assert_eq!(bounds.series as usize, self.log.len());
        assert_eq!(index.read().series_count(), self.live.len() as u64);
        for (key, id) in &self.live {
            assert_eq!(index.read().find_series(key), Some(SeriesId(*id)), "{key}");
            assert_eq!(index.read().series_key(SeriesId(*id)).as_deref(), Some(key.as_str()));
            let mut tags = BTreeMap::new();
            index.read().tags_of(SeriesId(*id), |key, value| {
                tags.insert(key.to_string(), value.to_owned());
            });
            assert_eq!(tags, parsed(key).1);
        }
        for (series, bounds) in
            [bounds.series, bounds.series / 2].map(|series| (series, Bounds { series, fields: 0 }))
        {
            let visible = self.live.iter().filter(|(_, id)| **id < series);
            let visible: Vec<(&String, u32, Parsed)> =
                visible.map(|(key, id)| (key, *id, parsed(key))).collect();
            let names: BTreeSet<&str> = visible.iter().map(|(.., (name, _))| name.as_str()).collect();
            let found = index.read().measurement_names(bounds);
            assert!(found.iter().map(|name| &**name).eq(names.iter().copied()), "{found:?}");
            for name in ["cpu", "m=, 1"] {
                let here = || visible.iter().filter(|(.., (measurement, _))| measurement == name);
                for predicate in predicates() {
                    let wanted: Vec<u32> = here()
                        .filter(|(.., (_, tags))| holds(&predicate, tags))
                        .map(|(_, id, _)| *id)
                        .collect();
                    let found = select(index, name, &predicate, bounds);
                    assert!(
                        found.iter().map(|id| id.0).eq(wanted.iter().copied()),
                        "{predicate:?}: {found:?}, not {wanted:?}"
                    );
                    assert_eq!(count_series(index, name, &predicate, bounds), wanted.len() as u64);
                }
                let keys: BTreeSet<&str> =
                    here().flat_map(|(.., (_, tags))| tags.keys()).map(String::as_str).collect();
                assert!(
                    index.read().tag_keys(name, bounds).iter().map(|key| &**key).eq(keys.iter().copied())
                );
                for key in ["d c", "host", "x,", "nothing"] {
                    let values: BTreeSet<&str> =
                        here().filter_map(|(.., (_, tags))| tags.get(key)).map(String::as_str).collect();
                    let found = tag_values(index, name, key, bounds);
                    assert!(found.iter().map(|value| &**value).eq(values.iter().copied()), "{found:?}");
                    assert_eq!(tag_value_count(index, name, key, bounds), values.len() as u64);
                    assert!(values.iter().all(|value| index.read().has_tag_value(name, key, value)));
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn noise_is_no_index(noise: Vec<u8>) {
        prop_assert!(Index::default().load(noise.into()).is_err());
    }

    #[test]
    fn an_index_says_what_a_map_says(actions in actions()) {
        let mut harness = Harness::new();
        for action in &actions {
            harness.apply(action);
            if !matches!(action, Action::Add(_)) {
                harness.check();
            }
        }
        harness.check();
        harness.flush(usize::MAX);
        harness.check();
        harness.reopen();
        harness.check();
    }
}
