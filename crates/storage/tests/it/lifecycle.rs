//! Opening, closing, dropping, limits, damage, and what people are told about them.

use std::{path::Path, sync::Arc, time::Duration};

use regex::Regex;
use skywatch_model::{FieldType, FieldValue, TimeRange, Version};
use skywatch_storage::{
    Consumer, Durability, ErrorClass, MemoryBudget, OpenError, ReadError, SeriesRef, ShardId, ShardRead,
    Store, StoreOptions, TagPredicate, WriteError,
    fs::{Fs, SimFs},
};

use crate::support::{DIR, Point, SHARD, cells, expected, manual, open, shard, simple, write};

fn dir() -> std::path::PathBuf {
    Path::new(DIR).join(SHARD.to_string())
}

/// The one file of the shard whose name ends thus.
fn file(fs: &SimFs, suffix: &str) -> std::path::PathBuf {
    let mut names: Vec<_> =
        fs.list(&dir()).unwrap().into_iter().filter(|entry| entry.name.ends_with(suffix)).collect();
    // The log has an empty successor once it was reopened.
    names.sort_by_key(|entry| std::cmp::Reverse(entry.len));
    dir().join(&names[0].name)
}

fn flip(fs: &SimFs, path: &Path, offset: usize) {
    let mut bytes = fs.read(path).unwrap();
    bytes[offset] ^= 0x40;
    fs.overwrite(path, bytes).unwrap();
}

#[test]
fn a_second_process_is_told_who_holds_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/data");
    let store = Store::open(&path, manual()).unwrap();
    let error = Store::open(&path, manual()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { pid: Some(pid), .. } if pid == std::process::id()));
    let text = error.to_string();
    for part in
        [path.to_str().unwrap(), &std::process::id().to_string(), "stop it, or choose another directory"]
    {
        assert!(text.contains(part), "{text}");
    }
    store.close().unwrap();
    Store::open(&path, manual()).unwrap();
}

#[test]
fn a_directory_that_cannot_be_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, "in the way").unwrap();
    let text = Store::open(&path, manual()).unwrap_err().to_string();
    assert!(text.contains(path.to_str().unwrap()) && text.contains("cannot be written"), "{text}");
}

#[test]
fn shards_are_created_once_and_dropped_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), manual()).unwrap();
    let range = TimeRange::new(0, 99);
    let first = store.create_shard(SHARD, range).unwrap();
    assert!(Arc::ptr_eq(&first, &store.create_shard(SHARD, TimeRange::ALL).unwrap()));
    assert_eq!(first.time_range(), range);
    write(&first, &[simple(1, 5, 1.0)], 1).unwrap();
    first.flush().unwrap();
    write(&first, &[simple(1, 6, 2.0)], 2).unwrap();
    let snapshot = first.snapshot();
    store.drop_shard(SHARD).unwrap();
    store.drop_shard(SHARD).unwrap();
    assert!(store.shard(SHARD).is_none());
    assert!(matches!(write(&first, &[simple(1, 7, 3.0)], 3), Err(WriteError::Closed)));
    assert_eq!(cells(&*snapshot).unwrap().len(), 2, "a snapshot outlives its shard");
    let names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["LOCK"]);
    let again = store.create_shard(SHARD, range).unwrap();
    assert!(cells(&*again.snapshot()).unwrap().is_empty());
}

#[test]
fn leftovers_of_crashes_are_removed() {
    let fs = SimFs::default();
    let store = open(&fs, manual());
    shard(&store);
    drop(store);
    for name in ["MANIFEST.tmp", "0000000099.seg", "0000000098.idx"] {
        fs.create(&dir().join(name)).unwrap();
    }
    fs.create_dir_all(&Path::new(DIR).join("9.dropped")).unwrap();
    fs.create_dir_all(&Path::new(DIR).join("10")).unwrap();
    let store = open(&fs, manual());
    assert_eq!(store.shards().len(), 1);
    let names: Vec<_> = fs.list(&dir()).unwrap().into_iter().map(|entry| entry.name).collect();
    assert!(names.iter().all(|name| name == "MANIFEST" || name.ends_with(".wal")), "{names:?}");
    assert_eq!(fs.list(Path::new(DIR)).unwrap().len(), 1, "one shard, and nothing of the others");
}

fn fields(fields: &[(&str, FieldValue)]) -> Vec<(String, FieldValue)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

#[test]
fn a_point_of_another_type_is_refused_alone_and_in_influxdbs_words() {
    let fs = SimFs::default();
    let store = open(&fs, manual());
    let shard = shard(&store);
    let points: Vec<Point> = vec![
        ("cpu,host=a".into(), 1, fields(&[("value", FieldValue::Float(1.0))])),
        ("cpu,host=a".into(), 2, fields(&[("value", FieldValue::Integer(1))])),
        ("cpu,host=b".into(), 3, fields(&[("idle", FieldValue::Boolean(true))])),
        (
            "cpu,host=new".into(),
            4,
            fields(&[("value", FieldValue::String("x".into())), ("fresh", FieldValue::Integer(1))]),
        ),
    ];
    let report = write(&shard, &points, 1).unwrap();
    assert_eq!(report.written, 2);
    assert_eq!(report.rejected.iter().map(|it| it.point).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(
        &*report.rejected[0].reason,
        "field type conflict: input field \"value\" on measurement \"cpu\" is type integer, already exists as type float"
    );
    let snapshot = shard.snapshot();
    assert_eq!(
        snapshot.fields("cpu").unwrap(),
        [("idle".into(), FieldType::Boolean), ("value".into(), FieldType::Float)],
        "a refused point defines nothing"
    );
    assert_eq!(snapshot.select_series("cpu", &TagPredicate::All).unwrap().len(), 2);
    // The type outlives flush and restart.
    shard.flush().unwrap();
    drop((snapshot, shard, store));
    fs.restart();
    let store = open(&fs, manual());
    let report = write(&store.shard(SHARD).unwrap(), &points[1..2], 2).unwrap();
    assert_eq!((report.written, report.rejected.len()), (0, 1));
}

#[test]
fn later_lines_and_later_versions_win_field_by_field() {
    let fs = SimFs::default();
    let store = open(&fs, manual());
    let shard = shard(&store);
    let at = |values: &[(&str, f64)]| -> Point {
        let values =
            values.iter().map(|(name, value)| ((*name).to_owned(), FieldValue::Float(*value))).collect();
        ("m,host=a".into(), 5, values)
    };
    write(&shard, &[at(&[("a", 1.0), ("b", 1.0)]), at(&[("a", 2.0)]), at(&[("a", 3.0), ("c", 3.0)])], 10)
        .unwrap();
    write(&shard, &[at(&[("b", 9.0), ("d", 9.0)])], 9).unwrap();
    let expected = expected(&[at(&[("a", 3.0), ("b", 1.0), ("c", 3.0), ("d", 9.0)])]);
    assert_eq!(cells(&*shard.snapshot()).unwrap(), expected);
    shard.flush().unwrap();
    assert_eq!(cells(&*shard.snapshot()).unwrap(), expected);
    assert_eq!(shard.latest_version(), Version(10));
    drop((shard, store));
    fs.restart();
    assert_eq!(open(&fs, manual()).latest_version(), Version(10));
}

#[test]
fn points_outside_the_range_are_refused() {
    let fs = SimFs::default();
    let store = open(&fs, manual());
    let shard = store.create_shard(SHARD, TimeRange::new(10, 20)).unwrap();
    let report = write(&shard, &[simple(1, 9, 1.0), simple(1, 10, 1.0), simple(2, 21, 1.0)], 1).unwrap();
    assert_eq!(report.written, 1);
    assert_eq!(&*report.rejected[1].reason, "time 21 is outside the shard's range 10 - 20");
    assert_eq!(shard.stats().series, 1, "a refused point makes no series");
}

fn memtables(bytes: u64) -> Arc<MemoryBudget> {
    Arc::new(MemoryBudget::new(1 << 30).with_ceiling(Consumer::Memtables, bytes))
}

#[test]
fn full_memory_refuses_writes_until_it_is_flushed() {
    let fs = SimFs::default();
    let store = open(&fs, StoreOptions { memory: memtables(20_000), ..manual() });
    let shard = shard(&store);
    let mut written = Vec::new();
    let error = loop {
        let point = simple(1, written.len() as i64, 1.0);
        match write(&shard, std::slice::from_ref(&point), 1 + written.len() as u64) {
            Ok(_) => written.push(point),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, WriteError::Overloaded { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::Retry);
    assert!((100..2000).contains(&written.len()), "{} points fit", written.len());
    shard.flush().unwrap();
    assert_eq!(store.memory_bytes(), 0);
    written.push(simple(1, -1, 2.0));
    write(&shard, &written[written.len() - 1..], 5000).unwrap();
    assert_eq!(cells(&*shard.snapshot()).unwrap(), expected(&written));
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what} did not happen within 12 s");
}

#[test]
fn memory_is_flushed_by_size_and_by_age_and_segments_are_merged() {
    let fs = SimFs::default();
    let options = StoreOptions {
        flush_bytes: 10_000,
        flush_age: Duration::from_millis(50),
        cold_after: Duration::from_millis(300),
        ..StoreOptions::default()
    };
    let store = open(&fs, options);
    let shard = shard(&store);
    for time in 0..600 {
        write(&shard, &[simple(1, time, 1.0)], 1 + time as u64).unwrap();
    }
    wait_until("a flush by size", || shard.stats().segments > 0);
    wait_until("a flush by age", || shard.stats().memory_bytes == 0);
    wait_until("a merge of a cold shard", || {
        shard.compact().unwrap();
        shard.stats().segments == 1
    });
    let stats = shard.stats();
    assert_eq!((stats.segment_rows, stats.segment_values, stats.series), (600, 600, 1));
    assert!(stats.disk_bytes() < 4000, "{stats:?}");
    assert_eq!(cells(&*shard.snapshot()).unwrap().len(), 600);
}

#[test]
fn an_idle_shard_is_flushed_unless_it_holds_little() {
    let fs = SimFs::default();
    let options = StoreOptions { flush_idle: Duration::from_millis(30), ..StoreOptions::default() };
    let store = open(&fs, options);
    let shard = shard(&store);
    let little: Vec<Point> = (0..1000).map(|time| simple(1, time, 1.0)).collect();
    write(&shard, &little, 1).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(shard.stats().segments, 0, "{:?}", shard.stats());
    let more: Vec<Point> = (1000..60_000).map(|time| simple(1, time, 1.0)).collect();
    write(&shard, &more, 2).unwrap();
    wait_until("a flush of what nobody adds to", || shard.stats().memory_bytes == 0);
    let stats = shard.stats();
    assert_eq!((stats.segments, stats.segment_rows), (1, 60_000));
    assert!(stats.log_bytes < 100, "{stats:?}");
}

#[test]
fn relaxed_durability_survives_a_kill() {
    for durability in [Durability::Interval(Duration::from_millis(5)), Durability::None] {
        let fs = SimFs::default();
        let store = open(&fs, StoreOptions { durability, ..manual() });
        let points: Vec<Point> = (0..50).map(|time| simple(1, time, 1.0)).collect();
        write(&shard(&store), &points, 1).unwrap();
        if durability != Durability::None {
            // Two intervals later it survives a power cut as well.
            std::thread::sleep(Duration::from_millis(200));
            drop(store);
            fs.restart();
        } else {
            drop(store);
            fs.kill();
        }
        let store = open(&fs, manual());
        assert_eq!(
            cells(&*store.shard(SHARD).unwrap().snapshot()).unwrap(),
            expected(&points),
            "{durability:?}"
        );
    }
}

#[test]
fn damage_inside_the_log_costs_one_record_and_is_reported() {
    let fs = SimFs::default();
    let store = open(&fs, manual());
    let written = shard(&store);
    let mut lens = Vec::new();
    for time in 0..5 {
        write(&written, &[simple(1, time, time as f64)], 1 + time as u64).unwrap();
        lens.push(fs.read(&file(&fs, ".wal")).unwrap().len());
    }
    drop((written, store));
    let path = file(&fs, ".wal");
    flip(&fs, &path, lens[2] - 1);
    let damaged = fs.read(&path).unwrap();
    let store = open(&fs, manual());
    let shard = store.shard(SHARD).unwrap();
    let report = shard.recovery();
    assert!(report.has_damage() && report.torn_bytes == 0, "{report:?}");
    assert_eq!(report.damaged_log.len(), 1);
    assert_eq!(report.damaged_log[0].offset_bytes as usize, lens[1]);
    let times: Vec<i64> = cells(&*shard.snapshot()).unwrap().into_keys().map(|(_, _, time)| time).collect();
    assert_eq!(times, [0, 1, 3, 4]);
    let copy = dir().join("quarantine").join(path.file_name().unwrap());
    assert_eq!(fs.read(&copy).unwrap(), damaged, "the damaged file is kept");
    shard.flush().unwrap();
    drop((shard, store));
    fs.restart();
    let store = open(&fs, manual());
    let shard = store.shard(SHARD).unwrap();
    assert!(!shard.recovery().has_damage());
    assert_eq!(cells(&*shard.snapshot()).unwrap().len(), 4);
}

#[test]
fn a_lost_definition_costs_its_rows_and_its_number_is_not_reused() {
    let fs = SimFs::default();
    let store = open(&fs, manual());
    let written = shard(&store);
    write(&written, &[simple(1, 1, 1.0)], 1).unwrap();
    let before = fs.read(&file(&fs, ".wal")).unwrap().len();
    write(&written, &[simple(2, 1, 1.0)], 2).unwrap();
    // One of its rows is lost with the definition, the other is not.
    write(&written, &[simple(1, 2, 1.0), simple(2, 2, 1.0)], 3).unwrap();
    drop((written, store));
    // The definition of the second series comes first in its append.
    flip(&fs, &file(&fs, ".wal"), before + 13);
    let store = open(&fs, manual());
    let shard = store.shard(SHARD).unwrap();
    assert_eq!(shard.recovery().damaged_log.len(), 3, "{:?}", shard.recovery());
    let two = [simple(1, 1, 1.0), simple(1, 2, 1.0)];
    assert_eq!(cells(&*shard.snapshot()).unwrap(), expected(&two));
    let more = [simple(3, 9, 9.0)];
    write(&shard, &more, 4).unwrap();
    shard.flush().unwrap();
    assert_eq!(cells(&*shard.snapshot()).unwrap(), expected(two.iter().chain(&more)));
}

#[test]
fn a_torn_tail_is_cut_and_is_no_damage() {
    let fs = SimFs::default();
    let store = open(&fs, manual());
    let written = shard(&store);
    write(&written, &[simple(1, 1, 1.0)], 1).unwrap();
    drop((written, store));
    let path = file(&fs, ".wal");
    let whole = fs.read(&path).unwrap();
    for torn in [&[0u8; 40][..], &whole[24..40], b"\xd5SW\xa9\xff\xff\xff\x7f"] {
        fs.overwrite(&path, [&whole, torn].concat()).unwrap();
        let store = open(&fs, manual());
        let shard = store.shard(SHARD).unwrap();
        assert_eq!(shard.recovery().torn_bytes, torn.len() as u64);
        assert!(!shard.recovery().has_damage());
        assert_eq!(cells(&*shard.snapshot()).unwrap().len(), 1);
        assert_eq!(fs.read(&path).unwrap(), whole, "cut back to its records");
    }
}

#[test]
fn a_damaged_segment_fails_queries_of_its_range_and_nothing_else() {
    let fs = SimFs::default();
    let store = open(&fs, manual());
    let written = shard(&store);
    write(&written, &[simple(1, 10, 1.0)], 1).unwrap();
    written.flush().unwrap();
    let path = file(&fs, ".seg");
    write(&written, &[simple(1, 1000, 2.0)], 2).unwrap();
    written.flush().unwrap();
    drop((written, store));
    let len = fs.read(&path).unwrap().len();
    flip(&fs, &path, len - 3);
    let store = open(&fs, manual());
    let shard = store.shard(SHARD).unwrap();
    assert_eq!(shard.recovery().damaged_segments, std::slice::from_ref(&path));
    assert_eq!(shard.stats().damaged_segments, 1);
    let error = cells(&*shard.snapshot()).unwrap_err();
    assert!(matches!(&error, ReadError::Corrupt { file, .. } if Path::new(file) == path), "{error}");
    let elsewhere = TimeRange::new(500, 2000);
    let found =
        crate::support::cells_in(&*shard.snapshot(), elsewhere, skywatch_storage::Order::Ascending).unwrap();
    assert_eq!(found, expected(&[simple(1, 1000, 2.0)]));
    write(&shard, &[simple(1, 1001, 3.0)], 3).unwrap();
    shard.flush().unwrap();
    shard.compact().unwrap();
    assert!(fs.read(&path).is_ok(), "the damaged file stays where it is");
}

/// Five segments, the second with a byte flipped where its values are, which opening does not read.
fn with_damage_inside(fs: &SimFs) -> std::path::PathBuf {
    let store = open(fs, manual());
    let written = shard(&store);
    for round in 0..5 {
        let points: Vec<Point> =
            (0..50).map(|row| simple(1, round * 1000 + row, (row * row) as f64 / 3.0)).collect();
        write(&written, &points, round as u64 + 1).unwrap();
        written.flush().unwrap();
    }
    drop((written, store));
    let segments: Vec<_> =
        fs.list(&dir()).unwrap().into_iter().filter(|entry| entry.name.ends_with(".seg")).collect();
    let path = dir().join(&segments[1].name);
    flip(fs, &path, 40);
    path
}

#[test]
fn damage_found_while_reading_is_counted_and_contained() {
    let fs = SimFs::default();
    let path = with_damage_inside(&fs);
    let store = open(&fs, manual());
    let shard = store.shard(SHARD).unwrap();
    assert_eq!(shard.stats().damaged_segments, 0, "not seen yet");
    let snapshot = shard.snapshot();
    let error = cells(&*snapshot).unwrap_err();
    assert!(matches!(&error, ReadError::Corrupt { file, .. } if Path::new(file) == path), "{error}");
    assert_eq!(shard.stats().damaged_segments, 1);
    let elsewhere = TimeRange::new(2000, 9000);
    let found = crate::support::cells_in(&*snapshot, elsewhere, skywatch_storage::Order::Descending).unwrap();
    assert_eq!(found.len(), 150);
    drop(snapshot);
    // Merges go on with what is beside it, and leave it where it is.
    let idle = StoreOptions { cold_after: Duration::ZERO, ..manual() };
    drop((shard, store));
    let store = open(&fs, idle);
    let shard = store.shard(SHARD).unwrap();
    assert_eq!(shard.compact().unwrap(), 1);
    let stats = shard.stats();
    assert_eq!((stats.segments, stats.damaged_segments), (3, 1), "one before it, it, and three in one");
    assert!(fs.read(&path).is_ok());
    assert_eq!(shard.compact().unwrap(), 0, "nor is it tried again");
    let found =
        crate::support::cells_in(&*shard.snapshot(), elsewhere, skywatch_storage::Order::Ascending).unwrap();
    assert_eq!(found.len(), 150);
    assert!(cells(&*shard.snapshot()).is_err());
}

#[test]
fn a_merge_stops_at_once_when_the_store_closes_and_starts_again_after() {
    let fs = SimFs::default();
    let slow = StoreOptions { compaction_bytes_per_sec: 1000, cold_after: Duration::ZERO, ..manual() };
    let store = open(&fs, slow.clone());
    let written = shard(&store);
    let mut all = Vec::new();
    for round in 0..2i64 {
        // Noise, so that there is something to write; short blocks, so that it is written again.
        let value = |row: i64| {
            let mixed = (row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            f64::from_bits(0x3ff0_0000_0000_0000 | mixed >> 12)
        };
        let points: Vec<Point> = (0..40_000)
            .map(|row| simple(row as u32 % 400, round * 1_000_000 + row, value(row + round)))
            .collect();
        write(&written, &points, round as u64 + 1).unwrap();
        written.flush().unwrap();
        all.extend(points);
    }
    let merging = {
        let written = Arc::clone(&written);
        std::thread::spawn(move || written.compact())
    };
    wait_until("the merge's output", || file_count(&fs, ".seg") > 2);
    std::thread::sleep(Duration::from_millis(50));
    assert!(!merging.is_finished(), "half a megabyte takes minutes at this rate");
    assert_eq!(cells(&*written.snapshot()).unwrap(), expected(&all), "queries go on");
    let closing = std::time::Instant::now();
    store.close().unwrap();
    assert!(closing.elapsed() < Duration::from_secs(5), "{:?}", closing.elapsed());
    assert!(matches!(merging.join().unwrap(), Err(skywatch_storage::MaintenanceError::Closed)));
    drop((written, store));
    assert_eq!(file_count(&fs, ".seg"), 2, "no half a segment stays");
    let store = open(&fs, StoreOptions { compaction_bytes_per_sec: 0, ..slow });
    let shard = store.shard(SHARD).unwrap();
    assert_eq!(shard.compact().unwrap(), 1);
    assert_eq!(shard.stats().segments, 1);
    assert_eq!(cells(&*shard.snapshot()).unwrap(), expected(&all));
}

fn file_count(fs: &SimFs, suffix: &str) -> usize {
    fs.list(&dir()).unwrap().iter().filter(|entry| entry.name.ends_with(suffix)).count()
}

#[test]
fn a_lost_index_is_rebuilt() {
    for remove in [false, true] {
        let fs = SimFs::default();
        let store = open(&fs, manual());
        let written = shard(&store);
        let points: Vec<Point> = (0..50).map(|series| simple(series, 1, 1.0)).collect();
        write(&written, &points[..30], 1).unwrap();
        written.flush().unwrap();
        write(&written, &points[30..], 2).unwrap();
        drop((written, store));
        let path = file(&fs, ".idx");
        if remove {
            fs.remove_file(&path).unwrap();
        } else {
            flip(&fs, &path, 50);
        }
        let store = open(&fs, manual());
        let shard = store.shard(SHARD).unwrap();
        assert_eq!(shard.recovery().damaged_index, std::slice::from_ref(&path));
        assert_eq!(cells(&*shard.snapshot()).unwrap(), expected(&points));
        assert_eq!(shard.snapshot().fields("m").unwrap(), [("value".into(), FieldType::Float)]);
        let copy = dir().join("quarantine").join(path.file_name().unwrap());
        assert_eq!(fs.read(&copy).is_ok(), !remove, "a damaged file is kept aside");
        // The next flush writes the whole index anew.
        let more: Vec<Point> = (0..60).map(|series| simple(series, 2, 2.0)).collect();
        write(&shard, &more, 3).unwrap();
        shard.flush().unwrap();
        drop((shard, store));
        let store = open(&fs, manual());
        let shard = store.shard(SHARD).unwrap();
        assert!(!shard.recovery().has_damage());
        let all: Vec<Point> = points.iter().chain(&more).cloned().collect();
        assert_eq!(cells(&*shard.snapshot()).unwrap(), expected(&all));
    }
}

fn select(snapshot: &dyn ShardRead, predicate: &TagPredicate) -> Vec<String> {
    let series: Vec<SeriesRef> = snapshot.select_series("m", predicate).unwrap();
    series.into_iter().map(|series| snapshot.series_key(series).to_string()).collect()
}

#[test]
fn the_index_answers_after_every_kind_of_restart() {
    let fs = SimFs::default();
    let store = open(&fs, manual());
    let written = shard(&store);
    let field = || fields(&[("v", FieldValue::Float(1.0))]);
    let keys = ["m,dc=x,host=a", "m,dc=x,host=b", "m,dc=y,host=c", "m,host=d\\ e", "other,host=a"];
    for (time, key) in keys.iter().enumerate() {
        write(&written, &[((*key).to_owned(), 1, field())], 1 + time as u64).unwrap();
        if time == 1 {
            written.flush().unwrap();
        }
    }
    let early = written.snapshot();
    write(&written, &[("m,dc=z,host=late".to_owned(), 1, field())], 9).unwrap();
    assert_eq!(
        early.tag_values("m", "dc").unwrap(),
        ["x".into(), "y".into()],
        "a snapshot does not see later series"
    );
    drop((early, written, store));
    fs.restart();
    let store = open(&fs, manual());
    let snapshot = store.shard(SHARD).unwrap().snapshot();
    let equal = |key: &str, value: &str| TagPredicate::Equal { key: key.into(), value: value.into() };
    let matches = |key: &str, regex: &str| TagPredicate::Matches {
        key: key.into(),
        regex: Arc::new(Regex::new(regex).unwrap()),
    };
    let not = |inner: TagPredicate| TagPredicate::Not(Box::new(inner));
    assert_eq!(snapshot.measurements().unwrap(), ["m".into(), "other".into()]);
    assert_eq!(snapshot.tag_keys("m").unwrap(), ["dc".into(), "host".into()]);
    assert_eq!(snapshot.tag_values("m", "dc").unwrap(), ["x".into(), "y".into(), "z".into()]);
    assert_eq!(snapshot.tag_values("m", "nothing").unwrap(), [] as [Arc<str>; 0]);
    let all = ["m,dc=x,host=a", "m,dc=x,host=b", "m,dc=y,host=c", "m,dc=z,host=late", "m,host=d\\ e"];
    assert_eq!(select(&*snapshot, &TagPredicate::All), all);
    assert_eq!(select(&*snapshot, &TagPredicate::None), [""; 0]);
    assert_eq!(select(&*snapshot, &equal("dc", "x")), all[..2]);
    assert_eq!(select(&*snapshot, &equal("dc", "")), all[4..]);
    assert_eq!(select(&*snapshot, &equal("nothing", "")), all);
    assert_eq!(select(&*snapshot, &not(equal("dc", "x"))), all[2..]);
    assert_eq!(select(&*snapshot, &matches("dc", "^[xy]$")), all[..3]);
    assert_eq!(select(&*snapshot, &matches("dc", "^$|z")), all[3..]);
    assert_eq!(select(&*snapshot, &not(matches("dc", "."))), all[4..]);
    assert_eq!(select(&*snapshot, &TagPredicate::And(vec![equal("dc", "x"), equal("host", "b")])), all[1..2]);
    assert_eq!(
        select(&*snapshot, &TagPredicate::Or(vec![equal("dc", "y"), equal("host", "d e")])),
        [all[2], all[4]]
    );
    let last = snapshot.select_series("m", &equal("host", "d e")).unwrap()[0];
    assert_eq!(snapshot.series_tags(last), [("host".into(), "d e".into())]);
    assert!(snapshot.select_series("missing", &TagPredicate::All).unwrap().is_empty());
}

#[test]
fn many_small_flushes_keep_few_files() {
    let fs = SimFs::default();
    let store = open(&fs, manual());
    let shard = shard(&store);
    let mut points = Vec::new();
    for round in 0..60u32 {
        let new: Vec<Point> =
            (0..3).map(|series| simple(round * 3 + series, i64::from(round), 1.0)).collect();
        write(&shard, &new, u64::from(round) + 1).unwrap();
        points.extend(new);
        shard.flush().unwrap();
        shard.compact().unwrap();
    }
    let names = fs.list(&dir()).unwrap();
    let count = |suffix: &str| names.iter().filter(|entry| entry.name.ends_with(suffix)).count();
    assert!(count(".seg") <= 12, "{} segments", count(".seg"));
    assert!(count(".idx") <= 8, "{} index files", count(".idx"));
    assert_eq!(cells(&*shard.snapshot()).unwrap(), expected(&points));
}

#[test]
fn several_shards_share_one_store() {
    let fs = SimFs::default();
    let store = open(&fs, manual());
    for id in 0..5 {
        let shard =
            store.create_shard(ShardId(id), TimeRange::new(id as i64 * 10, id as i64 * 10 + 9)).unwrap();
        write(&shard, &[simple(1, id as i64 * 10, 1.0)], id + 1).unwrap();
    }
    drop(store);
    fs.restart();
    let store = open(&fs, manual());
    assert_eq!(store.shards().iter().map(|shard| shard.id().0).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    for shard in store.shards() {
        assert_eq!(cells(&*shard.snapshot()).unwrap().len(), 1);
    }
}
