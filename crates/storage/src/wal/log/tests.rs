//! The log by itself; together with the shard it is tested from outside.

use std::path::Path;

use skywatch_model::{FieldType, Version};

use super::*;
use crate::{
    fs::{Fault, SimFs},
    index::Retired,
    rows::{Buffer, FieldId, Layout, RowSet, SeriesId},
    tombstone::samples,
    wal::{Record, RowDecoder, scan},
};

fn create(fs: &SimFs) -> Log {
    Log::create(Arc::new(fs.clone()), Path::new(""), 1, Durability::Fsync).unwrap()
}

fn definition(id: u32) -> SeriesDefinition {
    SeriesDefinition { id: SeriesId(id), key: format!("m,n={id}").into() }
}

fn record(id: u32) -> Vec<u8> {
    Encoder::default().definitions(&[definition(id)], &[]).unwrap().to_vec()
}

/// The series defined in the log, in order.
fn logged(fs: &SimFs) -> Vec<u32> {
    let log = scan(fs, Path::new(""), 0).unwrap();
    assert!(log.repair().damage.is_empty());
    let bodies: Vec<_> =
        log.files.iter().flat_map(|file| file.records().map(|(_, body)| body.to_vec())).collect();
    bodies
        .iter()
        .flat_map(|body| match Record::decode(body).unwrap() {
            Record::Series(series) => series.into_iter().map(|it| it.id.0).collect::<Vec<_>>(),
            Record::Fields(_) => panic!("no test defines fields"),
            Record::Tombstone(tombstone) => vec![2000 + tombstone.id as u32],
            Record::Retired(retired) => vec![3000 + retired.series.len() as u32],
            Record::Rows(payload) => {
                vec![1000 + RowDecoder::default().decode(&payload).unwrap().len() as u32]
            }
        })
        .collect()
}

#[test]
fn definitions_precede_the_record_that_needs_them() {
    let fs = SimFs::default();
    let log = create(&fs);
    log.append(&record(1)).unwrap();
    log.define([definition(10)], Vec::new());
    log.define([definition(11)], Vec::new());
    let end = log.append(&record(2)).unwrap();
    log.wait(end).unwrap();
    log.append(&record(3)).unwrap();
    assert_eq!(logged(&fs), [1, 10, 11, 2, 3]);
}

#[test]
fn a_failed_append_leaves_no_trace_and_keeps_the_definitions() {
    let fs = SimFs::default();
    let log = create(&fs);
    log.append(&record(1)).unwrap();
    log.define([definition(10)], Vec::new());
    fs.fail_at(fs.operations(), Fault::DiskFull);
    assert!(matches!(log.append(&record(2)), Err(WriteError::Io(_))));
    assert_eq!(logged(&fs), [1]);
    fs.fail_at(fs.operations() + 1, Fault::DiskFull);
    assert!(log.append(&record(3)).is_err(), "the record fails after its definitions");
    log.append(&record(4)).unwrap();
    assert_eq!(logged(&fs), [1, 10, 4]);
}

#[test]
fn what_cannot_be_undone_poisons() {
    let fs = SimFs::default();
    let log = create(&fs);
    fs.fail_at(fs.operations(), Fault::Error);
    fs.fail_at(fs.operations() + 1, Fault::Error);
    assert!(matches!(log.append(&record(1)), Err(WriteError::Io(_))));
    assert!(matches!(log.append(&record(2)), Err(WriteError::Poisoned { .. })));
    assert!(matches!(log.rotate(), Err(WriteError::Poisoned { .. })));
}

#[test]
fn waiting_makes_earlier_files_durable_too() {
    let fs = SimFs::default();
    let log = create(&fs);
    log.append(&record(1)).unwrap();
    assert_eq!(log.rotate().unwrap(), 2);
    let end = log.append(&record(2)).unwrap();
    log.wait(end).unwrap();
    drop(log);
    fs.restart();
    assert_eq!(logged(&fs), [1, 2]);
}

#[test]
fn a_rotation_that_fails_can_be_tried_again() {
    let fs = SimFs::default();
    let log = create(&fs);
    log.append(&record(1)).unwrap();
    for operation in 0..3 {
        fs.fail_at(fs.operations() + operation, Fault::DiskFull);
        assert!(log.rotate().is_err());
    }
    log.append(&record(2)).unwrap();
    assert_eq!(log.rotate().unwrap(), 5);
    let end = log.append(&record(3)).unwrap();
    log.wait(end).unwrap();
    fs.restart();
    assert_eq!(logged(&fs), [1, 2, 3]);
}

/// Thirty rows of two layouts, all types among them.
fn rows() -> RowSet {
    let layout = |fields: &[(u32, FieldType)]| {
        let (fields, types): (Vec<FieldId>, Vec<FieldType>) =
            fields.iter().map(|(id, field_type)| (FieldId(*id), *field_type)).unzip();
        Arc::new(Layout { fields: fields.into(), types: types.into() })
    };
    let all = layout(&[
        (0, FieldType::Float),
        (1, FieldType::Integer),
        (2, FieldType::Unsigned),
        (3, FieldType::String),
        (4, FieldType::Boolean),
    ]);
    let other = layout(&[(5, FieldType::Float)]);
    let mut rows = RowSet::default();
    rows.version = Version(1 << 50);
    for row in 0..30u32 {
        let (number, group) = rows.group_for(if row % 5 == 4 { &other } else { &all });
        group.series.push(SeriesId(row % 7));
        group.times.push(1_600_000_000_000_000_000 + i64::from(row) * 1_000_000_000);
        for column in &mut group.columns {
            match column {
                Buffer::Float(values) => values.push(f64::from(row) / 3.0),
                Buffer::Integer(values) => values.push(-i64::from(row)),
                Buffer::Unsigned(values) => values.push(u64::MAX - u64::from(row)),
                Buffer::String(values) => values.push(["up", "down"][row as usize % 2]),
                Buffer::Boolean(values) => values.push(row % 3 == 0),
            }
        }
        rows.add_rows(number, 1);
    }
    rows
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[test]
fn a_log_of_version_1_is_read() {
    let fs = SimFs::default();
    drop(create(&fs));
    fs.overwrite(Path::new("0000000001.wal"), std::fs::read(golden("wal-v1.wal")).unwrap()).unwrap();
    assert_eq!(logged(&fs), (0..40).chain([1030]).collect::<Vec<u32>>());
}

/// See the test of the same name in `segment`.
#[test]
fn the_format_is_the_documented_one() {
    let golden = golden("wal-v2.wal");
    let fs = SimFs::default();
    let log = create(&fs);
    for id in 0..40 {
        log.append(&record(id)).unwrap();
    }
    log.append(Encoder::default().rows(&rows()).unwrap()).unwrap();
    for tombstone in [samples::plain(), samples::with_rule()] {
        log.append(Encoder::default().tombstone(&tombstone).unwrap()).unwrap();
    }
    let retired = Retired { series: (1000..1300).chain([5]).collect(), fields: [3].into() };
    log.append(Encoder::default().retired(&retired).unwrap()).unwrap();
    let written = fs.read(Path::new("0000000001.wal")).unwrap();
    if std::env::var_os("SKYWATCH_WRITE_GOLDEN").is_some() {
        std::fs::write(&golden, &written).unwrap();
    }
    let kept = std::fs::read(&golden).unwrap();
    fs.overwrite(Path::new("0000000001.wal"), kept.clone()).unwrap();
    assert_eq!(logged(&fs), (0..40).chain([1030, 2005, 2006, 3301]).collect::<Vec<u32>>());
    assert!(written == kept, "the bytes of a log have changed");
}

#[test]
fn a_log_opened_on_a_full_disk_begins_with_the_first_append_that_finds_room() {
    let fs = SimFs::default();
    fs.fill_disk_at(fs.operations());
    let log = create(&fs);
    log.define([definition(10)], Vec::new());
    assert!(log.append(&record(1)).is_err());
    log.sync().expect("nothing was appended");
    fs.free_space();
    let end = log.append(&record(1)).unwrap();
    log.wait(end).unwrap();
    assert_eq!(logged(&fs), [10, 1]);
    assert_eq!(log.rotate().unwrap(), 3, "the number that found no room is not used again");
}
