//! Reading backups to see that they are whole. Needs no node.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use skywatch_cluster::backup::{FileCopy, Hasher};

use crate::{Error, Part, Progress, Task, directory::Directory, format::Record};

/// A file that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

/// One backup of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Its number.
    pub number: u64,
    /// When it was made, RFC 3339; empty if its record is damaged.
    pub created: String,
    /// Names of its databases.
    pub databases: Vec<String>,
    /// Which part of them it holds.
    pub part: Part,
    /// Its files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What is damaged; a backup with any is refused by a restore.
    pub problems: Vec<Problem>,
    /// Files that were missing or unreadable on the node already, with their shard.
    pub lacking: Vec<String>,
}

/// Reads every byte of every backup in `dir`. Bytes that several backups share are read for each.
pub fn verify(dir: &Path, progress: Progress) -> Result<Vec<Verification>, Error> {
    let directory = Directory::open(dir);
    let numbers = directory.numbers()?;
    if numbers.is_empty() {
        return Err(Error::NoBackup(dir.to_owned()));
    }
    numbers.into_iter().map(|number| verify_one(&directory, number, progress)).collect()
}

/// The backups in `dir` as their records describe them. Their files are not looked at, so only records can be damaged.
pub fn list(dir: &Path) -> Result<Vec<Verification>, Error> {
    let directory = Directory::open(dir);
    let numbers = directory.numbers()?;
    if numbers.is_empty() {
        return Err(Error::NoBackup(dir.to_owned()));
    }
    numbers.into_iter().map(|number| describe(&directory, number).map(|(described, _)| described)).collect()
}

fn verify_one(directory: &Directory, number: u64, progress: Progress) -> Result<Verification, Error> {
    let (mut verification, record) = describe(directory, number)?;
    let Some(record) = record else { return Ok(verification) };
    let mut task = progress.task(&format!("backup {number}"), verification.bytes);
    verification.problems = check_files(directory, record.files(), &mut task)?;
    task.finish();
    Ok(verification)
}

/// What the record of a backup says, and the record, if it is whole.
fn describe(directory: &Directory, number: u64) -> Result<(Verification, Option<Record>), Error> {
    let mut verification = Verification {
        number,
        created: String::new(),
        databases: Vec::new(),
        part: Part::default(),
        files: 0,
        bytes: 0,
        problems: Vec::new(),
        lacking: Vec::new(),
    };
    let record = match directory.record(number) {
        Ok(record) => record,
        Err(Error::DamagedRecord { path, reason }) => {
            verification.problems.push(Problem { path, reason });
            return Ok((verification, None));
        }
        Err(error) => return Err(error),
    };
    verification.files = record.files().count();
    verification.bytes =
        record.files().fold(0, |bytes: u64, (_, file)| bytes.saturating_add(file.size_bytes));
    let damaged = record.shards.iter().flat_map(|shard| shard.damaged.iter().map(|name| (shard.id, name)));
    verification.lacking = damaged.map(|(shard, name)| format!("{shard}/{name}")).collect();
    verification.created.clone_from(&record.created);
    verification.part = record.part.clone();
    verification.databases = record.databases.iter().map(|database| database.name.clone()).collect();
    Ok((verification, Some(record)))
}

/// Reads files and compares lengths and checksums with the record.
pub(crate) fn check_files<'a>(
    directory: &Directory,
    files: impl Iterator<Item = (u64, &'a FileCopy)>,
    task: &mut Task,
) -> Result<Vec<Problem>, Error> {
    let mut problems = Vec::new();
    for (shard, file) in files {
        let (mut size_bytes, mut hasher) = (0, Hasher::default());
        let read = directory.read_file(shard, file, |piece| {
            size_bytes += piece.len() as u64;
            hasher.update(piece);
            task.add(piece.len() as u64);
            Ok(())
        });
        let reason = match read {
            Ok(()) if size_bytes != file.size_bytes => {
                format!("has {size_bytes} bytes, expected {}", file.size_bytes)
            }
            Ok(()) if hasher.finish() != file.checksum => {
                format!("has checksum {}, expected {}", hasher.finish(), file.checksum)
            }
            Ok(()) => continue,
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                "is missing".to_owned()
            }
            Err(Error::Io { source, .. }) => format!("cannot be read: {source}"),
            Err(error) => return Err(error),
        };
        problems.push(Problem { path: directory.file_path(shard, file), reason });
    }
    Ok(problems)
}
