//! Which files a directory of configurations holds.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Every `*.conf` below a directory, in lexical order, and the directories that could not be read. Directories below
/// whose name starts with `..` are skipped: Kubernetes keeps old versions there.
pub(crate) fn below(directory: &Path) -> (Vec<PathBuf>, Vec<(PathBuf, io::Error)>) {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    look(directory, &mut found, &mut unreadable);
    (found, unreadable)
}

fn look(directory: &Path, found: &mut Vec<PathBuf>, unreadable: &mut Vec<(PathBuf, io::Error)>) {
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(source) => return unreadable.push((directory.to_owned(), source)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !name.starts_with("..") {
                look(&path, found, unreadable);
            }
        } else if name.ends_with(".conf") {
            found.push(path);
        }
    }
}
