//! Writes rendered files below a directory: only what changed, each in one step, and never over what somebody changed by
//! hand since, unless told to. A list of what was written (`.rendered`) remembers that, and which files are left over.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::file::RenderedFile;

/// The list of what was written: a line `SHA256  PATH` for each file, as `sha256sum -c` reads it.
const LIST: &str = ".rendered";

/// Why nothing, or not all, was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The disk.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What became of a file, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It was not there.
    Created,
    /// It had another text, or other permissions.
    Changed,
    /// It is as it should be.
    Unchanged,
    /// Somebody changed it by hand: it stays until that is confirmed.
    ByHand,
    /// It was rendered once and is not any more.
    LeftOver,
}

/// What became of each file, or would, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// By path below the directory.
    pub changes: BTreeMap<String, Change>,
}

impl Report {
    /// How many files of a kind there are.
    #[must_use]
    pub fn count(&self, kind: Change) -> usize {
        self.of(kind).count()
    }

    /// The files of a kind.
    pub fn of(&self, kind: Change) -> impl Iterator<Item = &str> {
        self.changes.iter().filter(move |(_, change)| **change == kind).map(|(path, _)| path.as_str())
    }
}

/// What may be done to files that stand in the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Consent {
    /// Files that were changed by hand are written over.
    pub force: bool,
    /// Files that are left over are removed.
    pub prune: bool,
}

/// Looks what writing would do.
///
/// # Errors
/// When the directory cannot be read.
pub fn compare(dir: &Path, files: &[RenderedFile]) -> Result<Report, OutputError> {
    let written = read_list(dir)?;
    let mut report = Report::default();
    for file in files {
        let change = change_of(dir, file, written.get(&file.path))?;
        report.changes.insert(file.path.clone(), change);
    }
    for path in written.keys() {
        if !report.changes.contains_key(path) && dir.join(path).exists() {
            report.changes.insert(path.clone(), Change::LeftOver);
        }
    }
    Ok(report)
}

fn change_of(dir: &Path, file: &RenderedFile, written: Option<&String>) -> Result<Change, OutputError> {
    let path = dir.join(&file.path);
    let found = match fs::read(&path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Change::Created),
        Err(source) => return Err(OutputError::Io { what: "read", path, source }),
    };
    if found == file.text.as_bytes() {
        let metadata =
            fs::metadata(&path).map_err(|source| OutputError::Io { what: "look at", path, source })?;
        let is_right = metadata.permissions().mode() & 0o7777 == file.mode;
        return Ok(if is_right { Change::Unchanged } else { Change::Changed });
    }
    Ok(match written {
        Some(sum) if *sum == checksum(&found) => Change::Changed,
        _ => Change::ByHand,
    })
}

/// Writes what has to be written, and tells what became of each file. What needs consent and has none is left alone.
///
/// # Errors
/// When something cannot be written; what was written before is whole.
pub fn write(dir: &Path, files: &[RenderedFile], consent: Consent) -> Result<Report, OutputError> {
    let mut report = compare(dir, files)?;
    // Keys and passwords are below.
    make_private_dir(dir)?;
    let mut list = read_list(dir)?;
    for file in files {
        let change = report.changes.get(&file.path).copied().unwrap_or(Change::Created);
        if change == Change::ByHand && !consent.force {
            continue;
        }
        if change != Change::Unchanged {
            write_file(dir, file)?;
            if change == Change::ByHand {
                report.changes.insert(file.path.clone(), Change::Changed);
            }
        }
        list.insert(file.path.clone(), checksum(file.text.as_bytes()));
    }
    let left_over: Vec<String> = report.of(Change::LeftOver).map(str::to_owned).collect();
    if consent.prune {
        for path in &left_over {
            remove(dir, path)?;
            list.remove(path);
        }
    }
    // What is gone need not be remembered.
    list.retain(|path, _| report.changes.contains_key(path) && dir.join(path).exists());
    let text: String = list
        .iter()
        .map(|(path, sum)| {
            format!(
                "{sum}  {path}
"
            )
        })
        .collect();
    write_file(dir, &RenderedFile { path: LIST.to_owned(), mode: 0o600, text })?;
    Ok(report)
}

/// Writes a file in one step: it is there whole, or as it was.
///
/// # Errors
/// When it cannot be written.
pub fn write_file(dir: &Path, file: &RenderedFile) -> Result<(), OutputError> {
    let path = dir.join(&file.path);
    let beside =
        path.with_file_name(format!(".{}.new", path.file_name().unwrap_or_default().to_string_lossy()));
    if let Some(parent) = path.parent() {
        make_dir(parent, 0o755)?;
    }
    let failed = |what, path: &Path| {
        let path = path.to_path_buf();
        move |source| OutputError::Io { what, path, source }
    };
    // A leftover of a run that was killed may have other permissions.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", &beside)(error));
        }
        _ => {}
    }
    let mut new = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .map_err(failed("create", &beside))?;
    io::Write::write_all(&mut new, file.text.as_bytes()).map_err(failed("write", &beside))?;
    new.set_permissions(fs::Permissions::from_mode(file.mode))
        .map_err(failed("set permissions of", &beside))?;
    new.sync_all().map_err(failed("write", &beside))?;
    fs::rename(&beside, &path).map_err(failed("replace", &path))
}

/// Makes a directory that nobody but its owner looks into.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn make_private_dir(dir: &Path) -> Result<(), OutputError> {
    make_dir(dir, 0o700)
}

/// Makes a directory and those above it that are missing. All of them get the same permissions, whatever the umask: the
/// trees of hosts are copied with them.
fn make_dir(dir: &Path, mode: u32) -> Result<(), OutputError> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_dir(parent, 0o755)?;
    }
    let failed = |source| OutputError::Io { what: "create directory", path: dir.to_path_buf(), source };
    match fs::DirBuilder::new().mode(mode).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        result => result.map_err(failed)?,
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(mode)).map_err(failed)
}

/// Removes a file and the directories that are empty then.
fn remove(dir: &Path, path: &str) -> Result<(), OutputError> {
    let file = dir.join(path);
    fs::remove_file(&file).map_err(|source| OutputError::Io {
        what: "remove",
        path: file.clone(),
        source,
    })?;
    let mut above = file.parent();
    while let Some(parent) = above.filter(|parent| *parent != dir && fs::remove_dir(parent).is_ok()) {
        above = parent.parent();
    }
    Ok(())
}

fn read_list(dir: &Path) -> Result<BTreeMap<String, String>, OutputError> {
    let path = dir.join(LIST);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(source) => return Err(OutputError::Io { what: "read", path, source }),
    };
    // The list is ours, and only files below are looked at; a path that leads elsewhere is none of ours.
    let is_below = |path: &str| !path.starts_with('/') && !path.split('/').any(|part| part == "..");
    let lines = text.lines().filter_map(|line| line.split_once("  "));
    Ok(lines
        .filter(|(_, path)| is_below(path))
        .map(|(sum, path)| (path.to_owned(), sum.to_owned()))
        .collect())
}

fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
