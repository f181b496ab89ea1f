//! Files of the index, whole and damaged; what selections return is tested through the store.

use parking_lot::RwLock;
use proptest::prelude::*;
use skywatch_model::series::fnv1a64;

use super::*;
use crate::TagPredicate;

fn add(index: &mut Index, key: &str) -> SeriesId {
    let hash = fnv1a64(key.as_bytes());
    index.find_series(key, hash).unwrap_or_else(|| index.add_series(key, hash).id)
}

fn sample() -> Index {
    let mut index = Index::default();
    for series in 0..40 {
        add(&mut index, &format!("cpu,dc=d{},host=h{series}", series % 3));
        add(&mut index, &format!("mem,host=h{series}"));
    }
    index.add_field("cpu", "idle", FieldType::Float);
    index.add_field("mem", "used", FieldType::Unsigned);
    index
}

/// Everything there is to see.
fn dump(index: &Index) -> Vec<String> {
    let bounds = index.bounds();
    let mut dump = Vec::new();
    for name in index.measurement_names(bounds) {
        dump.push(format!("{name} {:?}", index.fields_of(&name, bounds)));
        dump.extend(
            index
                .select(&name, &TagPredicate::All, bounds)
                .iter()
                .map(|id| format!("{id:?} {:?}", index.series_key(*id))),
        );
        for key in index.tag_keys(&name, bounds) {
            for value in index.tag_values(&name, &key, bounds) {
                let equal = TagPredicate::Equal { key: Arc::clone(&key), value: Arc::clone(&value) };
                dump.push(format!("{key}={value} {:?}", index.select(&name, &equal, bounds)));
            }
        }
    }
    dump
}

#[test]
fn files_of_consecutive_ranges_make_the_whole() {
    let index = sample();
    let end = index.bounds();
    for cut in [0, 1, 39, 80] {
        let middle = Bounds { series: cut, fields: cut.min(1) };
        let mut read = Index::default();
        for range in
            [IndexFileMeta { from: Bounds::default(), to: middle }, IndexFileMeta { from: middle, to: end }]
        {
            assert_eq!(decode_file(&mut read, &encode_file(&RwLock::new(sample()), range)), Ok(range));
        }
        assert_eq!(dump(&read), dump(&index), "cut at {cut}");
        assert_eq!(read.bounds(), end);
        assert_eq!(
            read.find_series("mem,host=h7", fnv1a64(b"mem,host=h7")),
            index.find_series("mem,host=h7", fnv1a64(b"mem,host=h7"))
        );
    }
}

#[test]
fn every_flipped_byte_is_noticed() {
    let index = sample();
    let range = IndexFileMeta { from: Bounds::default(), to: index.bounds() };
    let bytes = encode_file(&RwLock::new(sample()), range);
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x04;
        assert!(
            matches!(decode_file(&mut Index::default(), &bytes), Err(IndexFileError::Damaged { .. })),
            "flip at {at}"
        );
    }
    for len in 0..bytes.len() {
        assert!(decode_file(&mut Index::default(), &bytes[..len]).is_err(), "cut to {len}");
    }
}

/// See the test of the same name in `segment`.
#[test]
fn the_format_is_the_documented_one() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/index-v1.idx");
    let index = sample();
    let written =
        encode_file(&RwLock::new(sample()), IndexFileMeta { from: Bounds::default(), to: index.bounds() });
    if std::env::var_os("SKYWATCH_WRITE_GOLDEN").is_some() {
        std::fs::write(&golden, &written).unwrap();
    }
    let kept = std::fs::read(&golden).unwrap();
    let mut read = Index::default();
    decode_file(&mut read, &kept).unwrap();
    assert_eq!(dump(&read), dump(&index));
    assert!(written == kept, "the bytes of an index file have changed");
}

#[test]
fn numbers_lost_with_a_file_are_not_given_again() {
    let mut index = Index::default();
    index.reserve_series(SeriesId(4));
    assert_eq!(add(&mut index, "m").0, 5);
    assert_eq!((index.series_count(), index.series_key(SeriesId(2))), (1, None));
}

#[test]
fn retired_series_are_found_no_more_and_come_back_with_new_numbers() {
    let mut index = sample();
    let bounds = index.bounds();
    let mem: RoaringBitmap = index.select("mem", &TagPredicate::All, bounds).iter().map(|id| id.0).collect();
    let one = add(&mut index, "cpu,dc=d1,host=h1");
    assert!(index.retire_series(&[one.0].into_iter().collect()).is_empty());
    assert_eq!(index.retire_series(&mem).iter().collect::<Vec<_>>(), [1]);
    assert_eq!(index.series_count(), 39);
    assert_eq!(index.measurement_names(bounds), ["cpu".into()]);
    assert!(index.fields_of("mem", bounds).is_empty() && index.field(FieldId(1)).is_none());
    let host = TagPredicate::Equal { key: "host".into(), value: "h1".into() };
    assert!(index.select("cpu", &host, bounds).is_empty() && index.is_retired(one));
    assert_eq!(
        (index.count_series("cpu", &TagPredicate::All, bounds), index.tag_value_count("cpu", "host", bounds)),
        (39, 39)
    );
    let again = add(&mut index, "cpu,dc=d1,host=h1");
    assert!(again.0 >= bounds.series);
    assert_eq!(index.select("cpu", &host, index.bounds()), [again]);
    assert_eq!(index.add_field("mem", "used", FieldType::String).id, FieldId(bounds.fields));
    let definition = SeriesDefinition { id: one, key: "cpu,dc=d1,host=h1".into() };
    index.insert_series(&definition, fnv1a64(definition.key.as_bytes()));
    assert_eq!(
        index.select("cpu", &host, index.bounds()),
        [again],
        "a definition read later changes nothing"
    );
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

proptest! {
    #[test]
    fn noise_is_no_index(noise: Vec<u8>) {
        prop_assert!(decode_file(&mut Index::default(), &noise).is_err());
    }
}
