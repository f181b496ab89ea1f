//! Both file systems keep the promises of the trait; the simulated one also breaks what it may.

use std::{io, path::Path};

use super::*;

/// What every [`Fs`] must do.
fn conforms(fs: &dyn Fs, root: &Path) {
    let dir = root.join("a/b");
    fs.create_dir_all(&dir).unwrap();
    let path = dir.join("file");
    let file = fs.create(&path).unwrap();
    assert_eq!(fs.create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    file.append(b"hello ").unwrap();
    file.append(b"world").unwrap();
    file.sync().unwrap();
    assert_eq!(&*fs.map(&path).unwrap(), b"hello world");
    file.truncate(5).unwrap();
    fs.open_append(&path).unwrap().append(b"!").unwrap();
    assert_eq!(&*fs.map(&path).unwrap(), b"hello!");
    assert_eq!(fs.read_at(&path, 1, 3).unwrap(), b"ell");
    assert_eq!(fs.read_at(&path, 4, 100).unwrap(), b"o!", "fewer where it ends");
    assert_eq!(fs.read_at(&path, 7, 1).unwrap(), b"");
    let names: Vec<_> =
        fs.list(&dir).unwrap().into_iter().map(|entry| (entry.name, entry.is_dir, entry.len)).collect();
    assert_eq!(names, [("file".to_owned(), false, 6)]);
    replace_file(fs, &path, b"new").unwrap();
    assert_eq!(&*fs.map(&path).unwrap(), b"new");
    fs.remove_file(&path).unwrap();
    assert_eq!(fs.map(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    let lock = fs.lock(&dir.join("LOCK")).unwrap();
    assert!(
        matches!(fs.lock(&dir.join("LOCK")), Err(LockError::Held(Some(pid))) if pid == std::process::id())
    );
    drop(lock);
    drop(fs.lock(&dir.join("LOCK")).unwrap());
    fs.rename(&root.join("a"), &root.join("c")).unwrap();
    fs.remove_dir_all(&root.join("c")).unwrap();
    assert!(fs.list(root).unwrap().is_empty());
}

#[test]
fn the_systems_files_conform() {
    let dir = tempfile::tempdir().unwrap();
    conforms(&OsFs, dir.path());
}

#[test]
fn simulated_files_conform() {
    let fs = SimFs::default();
    conforms(&fs, Path::new(""));
}

#[test]
fn a_power_cut_loses_exactly_what_was_not_synced() {
    let fs = SimFs::default();
    fs.create_dir_all(Path::new("d")).unwrap();
    fs.sync_dir(Path::new("")).unwrap();
    let kept = fs.create(Path::new("d/kept")).unwrap();
    kept.append(b"synced").unwrap();
    kept.sync().unwrap();
    fs.sync_dir(Path::new("d")).unwrap();
    kept.append(b" and not").unwrap();
    fs.create(Path::new("d/unnamed")).unwrap().sync().unwrap();
    fs.restart();
    assert!(fs.read(Path::new("d/kept")).unwrap().starts_with(b"synced"));
    assert_eq!(fs.list(Path::new("d")).unwrap().len(), 1);
}

#[test]
fn after_a_failed_sync_later_ones_lie() {
    let fs = SimFs::default();
    let file = fs.create(Path::new("f")).unwrap();
    fs.sync_dir(Path::new("")).unwrap();
    file.append(b"x").unwrap();
    fs.fail_at(fs.operations(), Fault::Error);
    assert!(file.sync().is_err());
    file.truncate(0).unwrap();
    file.sync().unwrap();
    fs.restart();
    assert!(fs.read(Path::new("f")).unwrap().is_empty());
}

#[test]
fn a_faulty_append_leaves_half() {
    let fs = SimFs::default();
    let file = fs.create(Path::new("f")).unwrap();
    fs.fail_at(fs.operations(), Fault::DiskFull);
    assert_eq!(file.append(b"1234").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(fs.read(Path::new("f")).unwrap(), b"12");
}
