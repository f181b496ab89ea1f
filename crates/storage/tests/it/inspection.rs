//! Inspection reads files as they are: nothing is found in healthy ones, and damage anywhere is named by file.

use std::{path::Path, sync::Arc};

use skywatch_storage::{
    Store,
    fs::{Fs, SimFs},
    inspect::{Description, InspectError, Report, describe, size_bytes, verify},
};

use crate::support::{DIR, manual, open, shard, simple, write};

/// Segments, an index and a log with two records; open all the time.
fn store(fs: &SimFs) -> Store {
    let store = open(fs, manual());
    let shard = shard(&store);
    for round in 0..4 {
        write(&shard, &[simple(1, round, 1.5), simple(2, round, 2.5)], round as u64 + 1).unwrap();
        if round < 2 {
            shard.flush().unwrap();
        }
    }
    store
}

fn check(fs: &SimFs, path: &str) -> Report {
    let fs: Arc<dyn Fs> = Arc::new(fs.clone());
    let mut told = 0;
    let report = verify(&fs, Path::new(path), &mut |bytes| told += bytes).unwrap();
    assert_eq!(told, report.bytes, "progress tells of every byte");
    report
}

#[test]
fn healthy_files_are_found_healthy_beside_a_store_that_is_open() {
    let fs = SimFs::default();
    let store = store(&fs);
    let before = fs.operations();
    for path in [DIR, "data/7", "data/7/MANIFEST"] {
        let report = check(&fs, path);
        assert_eq!((report.findings, report.notes), (vec![], vec![]), "{path}");
        assert_eq!(report.bytes, size_bytes(&fs, Path::new(path)).unwrap(), "{path}");
    }
    assert_eq!(fs.operations(), before, "nothing was changed");
    drop(store);
    let unknown = verify(&(Arc::new(fs) as Arc<dyn Fs>), Path::new("else"), &mut |_| {});
    assert!(matches!(unknown, Err(InspectError::Unknown(_))));
}

#[test]
fn a_flipped_byte_anywhere_is_named_with_its_file() {
    let fs = SimFs::default();
    drop(store(&fs));
    let dir = Path::new("data/7");
    for entry in fs.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        let good = fs.read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x20;
            fs.overwrite(&path, bad).unwrap();
            let report = check(&fs, DIR);
            // The end of a log may be torn: that is worth a note.
            let is_tail =
                entry.name.ends_with(".wal") && report.notes.iter().any(|note| note.contains(&entry.name));
            let is_named = report.findings.iter().any(|finding| finding.path == path);
            assert!(is_named || is_tail, "{} at {at}: {report:?}", entry.name);
            assert!(report.findings.iter().all(|finding| finding.path == path), "{} at {at}", entry.name);
        }
        fs.overwrite(&path, good).unwrap();
    }
    assert_eq!(check(&fs, DIR).findings, []);
}

#[test]
fn descriptions_count_what_was_written() {
    let fs = SimFs::default();
    let _store = store(&fs);
    let on: Arc<dyn Fs> = Arc::new(fs);
    let Description::Store { shards } = describe(&on, Path::new(DIR)).unwrap() else { panic!("no store") };
    let shard = &shards[0];
    assert_eq!(shard.segments.iter().map(|segment| segment.rows).sum::<u64>(), 4);
    assert_eq!(shard.log.iter().map(|log| (log.rows, log.torn_bytes)).collect::<Vec<_>>(), [(4, 0)]);
    assert_eq!((shard.log[0].version_first, shard.log[0].version_last), (3, 4));
    assert_eq!(
        (shard.index.series, shard.index.tags[0].key.as_str(), shard.index.tags[0].values),
        (2, "host", 2)
    );
    let columns = &shard.segments[0].columns;
    assert_eq!((columns.len(), columns[0].field_type, columns[0].values), (1, "float", 2));
    assert_eq!(shard.segments[0].measurements[0].fields, ["value float"]);
}
