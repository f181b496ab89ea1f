//! Looking into files without opening a store: [`verify`] reads every byte of them, [`describe`] says what is in
//! them. Nothing is changed, and no lock is taken: beside a running store, immutable files are as good as ever; only
//! the end of the log is moving, which shows as a torn tail, and files that go meanwhile are looked for again in the
//! manifest that replaced them.
//!
//! A path may be a data directory (shards in `data/`), a store's directory, a shard's, or a single file, which is
//! known by the end of its name.

mod describe;
mod index;
mod verify;

use std::{
    fmt,
    path::{Path, PathBuf},
};

pub use describe::{Description, LogDescription, ManifestDescription, ShardDescription, describe};
pub use index::{IndexDescription, IndexedMeasurement, TagDescription};
pub use verify::verify;

pub use crate::segment::{ColumnDescription, MeasurementDescription, SegmentDescription};
use crate::{
    fs::{Fs, FsError},
    segment, shard, wal,
};

/// Damage: where it is, what it means, what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: PathBuf,
    /// Where in it, in bytes; `None` for the file as a whole.
    pub offset_bytes: Option<u64>,
    /// What disagrees.
    pub problem: String,
    /// What a store makes of it.
    pub meaning: &'static str,
    /// What an operator can do.
    pub advice: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(offset) = self.offset_bytes {
            write!(f, " at offset {offset}")?;
        }
        write!(f, ": {}. {} {}", self.problem, self.meaning, self.advice)
    }
}

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Files read.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Damage.
    pub findings: Vec<Finding>,
    /// What is worth knowing and no damage.
    pub notes: Vec<String>,
}

/// Why nothing could be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] FsError),
    /// Not a file or directory of a store.
    #[error("{} is neither a data directory, a shard nor a .seg, .idx, .wal or MANIFEST file", .0.display())]
    Unknown(PathBuf),
    /// What was to be described cannot be read.
    #[error("{}: {reason}; skywatch inspect verify tells more", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Store,
    Shard,
    Segment(u64),
    Index,
    Log(u64),
    Manifest,
}

/// By its name, after the checksum that a backup puts before it.
fn kind_of_file(name: &str) -> Option<Kind> {
    let name = name.split_once('-').map_or(name, |(_, name)| name);
    if name == "MANIFEST" {
        return Some(Kind::Manifest);
    }
    segment::number_of(name)
        .map(Kind::Segment)
        .or_else(|| wal::sequence_of(name).map(Kind::Log))
        .or_else(|| shard::index_number(name).map(|_| Kind::Index))
}

/// The directory below which shards lie, if `path` is a data directory or a store's.
fn kind_of(fs: &dyn Fs, path: &Path) -> Result<(Kind, PathBuf), InspectError> {
    let unknown = || InspectError::Unknown(path.to_owned());
    let Ok(entries) = fs.list(path) else {
        let name = path.file_name().ok_or_else(unknown)?.to_string_lossy();
        let kind = kind_of_file(&name).ok_or_else(unknown)?;
        return Ok((kind, path.to_owned()));
    };
    let has = |name: &str| entries.iter().any(|entry| entry.name == name);
    if has("MANIFEST") || entries.iter().any(|entry| !entry.is_dir && kind_of_file(&entry.name).is_some()) {
        Ok((Kind::Shard, path.to_owned()))
    } else if has("LOCK") || entries.iter().any(|entry| entry.is_dir && entry.name.parse::<u64>().is_ok()) {
        Ok((Kind::Store, path.to_owned()))
    } else if has("data") {
        Ok((Kind::Store, path.join("data")))
    } else {
        Err(unknown())
    }
}

/// Directories of the shards of a store, by number.
fn shard_dirs(fs: &dyn Fs, dir: &Path) -> Result<Vec<PathBuf>, FsError> {
    let entries = fs.list(dir).map_err(FsError::on("list", dir))?;
    let mut numbers: Vec<u64> =
        entries.iter().filter(|entry| entry.is_dir).filter_map(|entry| entry.name.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers.into_iter().map(|number| dir.join(number.to_string())).collect())
}

/// Bytes of files that [`verify`] would read below `path`, for a progress bar; files may come and go meanwhile.
pub fn size_bytes(fs: &dyn Fs, path: &Path) -> Result<u64, InspectError> {
    let dirs = match kind_of(fs, path)? {
        (Kind::Store, dir) => shard_dirs(fs, &dir)?,
        (Kind::Shard, dir) => vec![dir],
        (Kind::Segment(_) | Kind::Index | Kind::Log(_) | Kind::Manifest, file) => {
            return Ok(fs.map(&file).map_err(FsError::on("read", &file))?.len() as u64);
        }
    };
    let mut bytes = 0;
    for dir in dirs {
        bytes += fs.list(&dir).map_err(FsError::on("list", &dir))?.iter().map(|entry| entry.len).sum::<u64>();
    }
    Ok(bytes)
}
