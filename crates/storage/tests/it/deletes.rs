//! Deletes, one at a time: what is listed afterwards, what may be written again, and that the disk gets its space back.

use skywatch_model::{FieldType, FieldValue, TimeRange, Version};
use skywatch_storage::{Shard, TagPredicate, fs::SimFs};

use crate::support::{Point, cells, manual, open, shard, simple, write};

fn delete(shard: &Shard, predicate: &TagPredicate, range: TimeRange, version: u64) -> (u64, u64) {
    let report = shard.delete(&["m".into()], predicate, range, Version(version)).unwrap();
    (report.series, report.retired)
}

fn host(name: &str) -> TagPredicate {
    TagPredicate::Equal { key: "host".into(), value: name.into() }
}

/// A series with values that do not compress away.
fn noise(series: u32, rows: i64) -> Vec<Point> {
    let value = |row: i64| (row * 7919 + i64::from(series)) as f64 * 1.000_000_1e-3;
    (0..rows).map(|row| simple(series, row, value(row).sin())).collect()
}

#[test]
fn the_disk_shrinks_when_series_or_times_are_deleted() {
    let fs = SimFs::default();
    let store = open(&fs, manual());
    let shard = shard(&store);
    for series in 0..4 {
        write(&shard, &noise(series, 5000), 1).unwrap();
    }
    shard.flush().unwrap();
    let full = shard.stats().segment_bytes;
    assert_eq!(delete(&shard, &host("h1"), TimeRange::ALL, 2), (1, 1));
    assert_eq!(shard.compact().unwrap(), 1, "a quarter is deleted");
    let three_quarters = shard.stats().segment_bytes;
    assert!(three_quarters * 10 < full * 8, "{three_quarters} of {full} bytes");
    assert_eq!(delete(&shard, &TagPredicate::All, TimeRange::new(0, 2499), 3), (3, 0));
    assert_eq!(shard.stats().tombstones, 1);
    assert_eq!(shard.compact().unwrap(), 1);
    let rest = shard.stats().segment_bytes;
    assert!(rest * 10 < three_quarters * 6, "{rest} of {three_quarters} bytes");
    assert_eq!(cells(&*shard.snapshot()).unwrap().len(), 3 * 2500);
    shard.flush().unwrap();
    assert_eq!((shard.stats().tombstones, shard.compact().unwrap()), (0, 0), "done once and for all");
}

#[test]
fn a_measurement_without_points_is_forgotten_and_comes_back_with_other_types() {
    let fs = SimFs::default();
    let store = open(&fs, manual());
    let shard = shard(&store);
    write(&shard, &[simple(1, 5, 1.0), simple(2, 50, 2.0)], 1).unwrap();
    shard.flush().unwrap();
    assert_eq!(delete(&shard, &TagPredicate::All, TimeRange::new(0, 10), 2), (2, 1), "h1 has nothing left");
    assert_eq!(*shard.snapshot().tag_values("m", "host").unwrap(), ["h2".into()]);
    assert_eq!(delete(&shard, &TagPredicate::All, TimeRange::new(0, 60), 3), (1, 1));
    assert!(
        shard.snapshot().measurements().unwrap().is_empty()
            && shard.snapshot().fields("m").unwrap().is_empty()
    );
    let text: Point = ("m,host=h1".into(), 5, vec![("value".into(), FieldValue::String("x".into()))]);
    assert_eq!(write(&shard, std::slice::from_ref(&text), 4).unwrap().rejected, []);
    drop((shard, store));
    fs.restart();
    let store = open(&fs, manual());
    let shard = self::shard(&store);
    assert_eq!(shard.snapshot().fields("m").unwrap(), [("value".into(), FieldType::String)]);
    assert_eq!(cells(&*shard.snapshot()).unwrap(), crate::support::expected(&[text]));
}
