//! Files on disk: whatever is in them, looking at one tells what is wrong with it and ends.
//!
//! A log, a segment, an index or a manifest is read to its last byte, every block decoded, as `skywatch inspect` does,
//! from a file system in memory. Checksums catch most damage first, so half of the inputs have theirs put right (`checksums`).

use std::{path::Path, sync::Arc};

use skywatch_backup::Progress;
use skywatch_meta::CatalogueHost;
use skywatch_storage::{
    fs::{Fs, SimFs},
    inspect,
};

pub(crate) fn wal(bytes: &[u8]) {
    inspect_file("0000000001.wal", bytes);
}

pub(crate) fn segment(bytes: &[u8]) {
    inspect_file("0000000001.seg", bytes);
}

pub(crate) fn index(bytes: &[u8]) {
    inspect_file("0000000001.idx", bytes);
}

pub(crate) fn manifest(bytes: &[u8]) {
    inspect_file("MANIFEST", bytes);
}

fn inspect_file(name: &str, bytes: &[u8]) {
    let disk = Arc::new(SimFs::new(1));
    let shard = Path::new("shard");
    let path = shard.join(name);
    disk.create_dir_all(shard).expect("an empty disk has room");
    drop(disk.create(&path).expect("the name is free"));
    disk.overwrite(&path, bytes.to_vec()).expect("the file is there");
    let fs: Arc<dyn Fs> = disk;
    // Both may refuse the file; neither may panic.
    let verified = inspect::verify(&fs, &path, &mut |_| {});
    let described = inspect::describe(&fs, &path);
    // What is whole can be described.
    if verified.is_ok_and(|report| report.findings.is_empty()) {
        described.expect("a file without findings");
    }
}

/// A catalogue that opens is used: what it holds is consistent enough to be listed.
pub(crate) fn catalogue(bytes: &[u8]) {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    std::fs::write(directory.path().join("catalogue.json"), bytes).expect("the directory is ours");
    if let Ok(host) = CatalogueHost::open(directory.path()) {
        let catalogue = host.current();
        for database in catalogue.databases() {
            assert!(catalogue.database(&database.name).is_some(), "{} is listed only", database.name);
        }
        let _live = catalogue.live_shards().count();
    }
}

/// The record of a backup whose files are gone: they are looked for, and each is told.
pub(crate) fn backup(bytes: &[u8]) {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    std::fs::write(directory.path().join("backup-0000000001.json"), bytes).expect("the directory is ours");
    if let Ok(backups) = skywatch_backup::verify(directory.path(), Progress::Quiet) {
        for backup in backups {
            assert!(
                backup.problems.len() >= backup.files,
                "{} files and {:?}",
                backup.files,
                backup.problems
            );
        }
    }
}
