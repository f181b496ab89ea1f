//! Reading a log back after a stop, orderly or not.
//!
//! [`scan`] only reads: it says which records are there, which bytes are damaged and where a torn tail begins.
//! [`LogScan::repair`] turns that into a list of steps and [`Repair::apply`] performs them. Opening a shard is
//! scan, replay, repair, in that order, and each may be repeated after a crash.
//!
//! A *torn tail* is what a crash leaves of unacknowledged writes: bytes at the end of a file that form no record.
//! *Damage* is a bad stretch with good records after it, or a file that has lost its header; it is never the effect
//! of a crash alone once the records after it were acknowledged, so the file is copied to `quarantine/` and reported.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use super::{
    file_path,
    frame::{self, Header},
    sequence_of,
};
use crate::{
    error::OpenError,
    fs::{FileBytes, Fs, FsError, replace_file},
};

/// Bytes of a log file that should be records and are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedLog {
    /// The file as found.
    pub path: PathBuf,
    /// First damaged byte.
    pub offset_bytes: u64,
    /// How many.
    pub len_bytes: u64,
}

/// One file of the log.
#[derive(Debug)]
pub(crate) struct ScannedFile {
    pub(crate) path: PathBuf,
    bytes: FileBytes,
    bodies: Vec<Range<usize>>,
    damaged: Vec<Range<usize>>,
    /// Where records end and a torn tail begins, if there is one.
    torn_from: Option<usize>,
}

impl ScannedFile {
    /// Length of the file.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Stretches that should be records and are not.
    pub(crate) fn damaged(&self) -> &[Range<usize>] {
        &self.damaged
    }

    /// Bytes of the torn tail.
    pub(crate) fn torn_bytes(&self) -> u64 {
        self.torn_from.map_or(0, |end| (self.bytes.len() - end) as u64)
    }

    /// The bodies of the undamaged records, with their offsets.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.bodies.iter().map(|range| (range.start as u64, &self.bytes[range.clone()]))
    }
}

/// The whole log, oldest file first.
#[derive(Debug, Default)]
pub(crate) struct LogScan {
    pub(crate) files: Vec<ScannedFile>,
    /// Files older than the floor, left by a crash during a flush.
    obsolete: Vec<PathBuf>,
    /// The greatest number in use.
    pub(crate) last_sequence: Option<u64>,
}

/// Reads the log files numbered `floor` and above in `dir`.
pub(crate) fn scan(fs: &dyn Fs, dir: &Path, floor: u64) -> Result<LogScan, OpenError> {
    let mut sequences: Vec<u64> = fs
        .list(dir)
        .map_err(FsError::on("list", dir))?
        .iter()
        .filter_map(|entry| sequence_of(&entry.name))
        .collect();
    sequences.sort_unstable();
    let mut log = LogScan { last_sequence: sequences.last().copied(), ..LogScan::default() };
    for sequence in sequences {
        let path = file_path(dir, sequence);
        if sequence < floor {
            log.obsolete.push(path);
        } else {
            let bytes = fs.map(&path).map_err(FsError::on("read", &path))?;
            log.files.push(scan_file(path, bytes, sequence)?);
        }
    }
    Ok(log)
}

/// Reads one log file, whatever log it belongs to.
pub(crate) fn scan_path(fs: &dyn Fs, path: &Path, sequence: u64) -> Result<ScannedFile, OpenError> {
    let bytes = fs.map(path).map_err(FsError::on("read", path))?;
    scan_file(path.to_owned(), bytes, sequence)
}

fn scan_file(path: PathBuf, bytes: FileBytes, sequence: u64) -> Result<ScannedFile, OpenError> {
    let header = frame::read_file_header(&bytes, sequence);
    if let Header::TooNew(found) = header {
        return Err(OpenError::TooNew { path, found, supported: frame::FILE_VERSION });
    }
    let start = if header == Header::Valid { frame::FILE_HEADER_LEN } else { 0 };
    let mut frames = frame::find_frames(&bytes, start);
    if header != Header::Valid && !frames.bodies.is_empty() && frames.damaged.is_empty() {
        frames.damaged.push(0..frame::FILE_HEADER_LEN.min(bytes.len()));
    }
    let torn_from = (frames.end < bytes.len()).then_some(frames.end);
    Ok(ScannedFile { path, bytes, bodies: frames.bodies, damaged: frames.damaged, torn_from })
}

/// One step of a repair.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Cut a torn tail off.
    Truncate { path: PathBuf, len_bytes: u64 },
    /// Remove a file that is not, or no longer, part of the log.
    Remove { path: PathBuf },
    /// Keep a copy of a damaged file for whoever investigates.
    Quarantine { path: PathBuf },
}

/// What has to change on disk before the log goes on, and what was found.
#[derive(Debug, Default)]
pub(crate) struct Repair {
    steps: Vec<Step>,
    /// Damage found; empty after a mere crash.
    pub(crate) damage: Vec<DamagedLog>,
    /// Bytes of torn tails to be cut off.
    pub(crate) torn_bytes: u64,
}

impl LogScan {
    /// Plans the repair; changes nothing.
    pub(crate) fn repair(&self) -> Repair {
        let mut repair = Repair::default();
        for file in &self.files {
            repair.damage.extend(file.damaged.iter().map(|range| DamagedLog {
                path: file.path.clone(),
                offset_bytes: range.start as u64,
                len_bytes: range.len() as u64,
            }));
            if !file.damaged.is_empty() {
                repair.steps.push(Step::Quarantine { path: file.path.clone() });
            }
            if let Some(end) = file.torn_from {
                repair.torn_bytes += (file.bytes.len() - end) as u64;
            }
            let path = file.path.clone();
            match file.torn_from {
                // No record was ever written whole.
                _ if file.bodies.is_empty() => repair.steps.push(Step::Remove { path }),
                Some(end) => repair.steps.push(Step::Truncate { path, len_bytes: end as u64 }),
                None => {}
            }
        }
        repair.steps.extend(self.obsolete.iter().map(|path| Step::Remove { path: path.clone() }));
        repair
    }
}

impl Repair {
    /// Adds damage found while decoding a record of `path`.
    pub(crate) fn quarantine(&mut self, path: &Path, offset_bytes: u64, len_bytes: u64) {
        self.damage.push(DamagedLog { path: path.to_owned(), offset_bytes, len_bytes });
        let step = Step::Quarantine { path: path.to_owned() };
        if !self.steps.contains(&step) {
            // Before the file is cut or removed.
            self.steps.insert(0, step);
        }
    }

    /// Performs the steps. Repeating them after a crash does no harm.
    pub(crate) fn apply(&self, fs: &dyn Fs, dir: &Path) -> Result<(), FsError> {
        for step in &self.steps {
            match step {
                Step::Truncate { path, len_bytes } => {
                    let file = fs.open_append(path).map_err(FsError::on("open", path))?;
                    file.truncate(*len_bytes).map_err(FsError::on("truncate", path))?;
                    file.sync().map_err(FsError::on("sync", path))?;
                }
                Step::Remove { path } => fs.remove_file(path).map_err(FsError::on("remove", path))?,
                Step::Quarantine { path } => keep_copy(fs, dir, path)?,
            }
        }
        if self.steps.is_empty() { Ok(()) } else { fs.sync_dir(dir).map_err(FsError::on("sync", dir)) }
    }
}

/// Copies `path` into `dir/quarantine/`, once.
pub(crate) fn keep_copy(fs: &dyn Fs, dir: &Path, path: &Path) -> Result<(), FsError> {
    let quarantine = dir.join("quarantine");
    fs.create_dir_all(&quarantine).map_err(FsError::on("create", &quarantine))?;
    let Some(name) = path.file_name() else {
        return Ok(());
    };
    let bytes = fs.map(path).map_err(FsError::on("read", path))?;
    replace_file(fs, &quarantine.join(name), &bytes)
}
