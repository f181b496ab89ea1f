//! Appending to the log, and making what was appended durable.
//!
//! Writers append under a short lock and then wait for a sync that began after their append. One of the waiters
//! performs it for all (group commit): while it is in the kernel, the others queue up behind the next one.
//!
//! Lock order: `tail` is taken with nothing held, or with nothing but `commit` released; never both at once.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use parking_lot::{Condvar, Mutex};

use super::{
    file_path, frame,
    record::{Encoder, FieldDefinition, SeriesDefinition},
};
use crate::{
    Durability,
    error::WriteError,
    fs::{File, Fs, FsError},
};

/// A place in the log: bytes appended before it since the log was opened.
pub(crate) type Position = u64;

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Log {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    durability: Durability,
    tail: Mutex<Tail>,
    commit: Mutex<Commit>,
    committed: Condvar,
    /// Set once, when a sync or a repair after a failed append fails: from then on nothing is acknowledged.
    poison: OnceLock<Poison>,
}

#[derive(Debug)]
struct Tail {
    /// `None` until the disk, full when the log was opened, has room for it: the next append tries again.
    file: Option<Arc<dyn File>>,
    path: PathBuf,
    /// Number of `file`.
    sequence: u64,
    /// Number of the next file, counting attempts that failed.
    next_sequence: u64,
    len_bytes: u64,
    end: Position,
    /// Files rotated away from since the last sync.
    unsynced: Vec<(PathBuf, Arc<dyn File>)>,
    /// Defined in memory, not yet in the log. Whoever appends next writes them first, so that no row precedes the
    /// definition of its series or fields.
    series: Vec<SeriesDefinition>,
    fields: Vec<FieldDefinition>,
    encoder: Encoder,
}

#[derive(Debug, Default)]
struct Commit {
    durable: Position,
    syncing: bool,
}

#[derive(Debug)]
struct Poison {
    file: String,
    reason: String,
}

impl Log {
    /// Starts a log in `dir` with a new, empty file. A full disk does not keep it from starting: what it holds can
    /// be read, and the first append with room again creates the file.
    pub(crate) fn create(
        fs: Arc<dyn Fs>,
        dir: &Path,
        sequence: u64,
        durability: Durability,
    ) -> Result<Self, FsError> {
        let file = match create_file(&*fs, dir, sequence) {
            Ok(file) => Some(file),
            Err(error) if is_disk_full(&error) => {
                tracing::error!(%error, "the disk is full; writes are refused until it has room");
                None
            }
            Err(error) => return Err(error),
        };
        let tail = Tail {
            next_sequence: sequence + u64::from(file.is_some()),
            file,
            path: file_path(dir, sequence),
            sequence,
            len_bytes: frame::FILE_HEADER_LEN as u64,
            end: 0,
            unsynced: Vec::new(),
            series: Vec::new(),
            fields: Vec::new(),
            encoder: Encoder::default(),
        };
        Ok(Self {
            fs,
            dir: dir.to_owned(),
            durability,
            tail: Mutex::new(tail),
            commit: Mutex::default(),
            committed: Condvar::new(),
            poison: OnceLock::new(),
        })
    }

    /// Bytes of the file that appends go to.
    pub(crate) fn tail_bytes(&self) -> u64 {
        self.tail.lock().len_bytes
    }

    /// Queues definitions for the next append. Call it before the numbers are visible to any other writer.
    pub(crate) fn define(
        &self,
        series: impl IntoIterator<Item = SeriesDefinition>,
        fields: Vec<FieldDefinition>,
    ) {
        let mut tail = self.tail.lock();
        tail.series.extend(series);
        tail.fields.extend(fields);
    }

    /// Appends an encoded record, after any queued definitions. On an error nothing of it remains.
    pub(crate) fn append(&self, record: &[u8]) -> Result<Position, WriteError> {
        let mut tail = self.tail.lock();
        self.append_definitions(&mut tail)?;
        self.append_bytes(&mut tail, record)?;
        Ok(tail.end)
    }

    /// Appends definitions that are queued, if any are; returns the end.
    pub(crate) fn append_queued(&self) -> Result<Position, WriteError> {
        let mut tail = self.tail.lock();
        self.append_definitions(&mut tail)?;
        Ok(tail.end)
    }

    fn append_definitions(&self, tail: &mut Tail) -> Result<(), WriteError> {
        self.check_poison()?;
        if tail.series.is_empty() && tail.fields.is_empty() {
            return Ok(());
        }
        let mut encoder = std::mem::take(&mut tail.encoder);
        let appended = encoder
            .definitions(&tail.series, &tail.fields)
            .and_then(|definitions| self.append_bytes(tail, definitions));
        tail.encoder = encoder;
        appended?;
        tail.series.clear();
        tail.fields.clear();
        Ok(())
    }

    fn append_bytes(&self, tail: &mut Tail, bytes: &[u8]) -> Result<(), WriteError> {
        let file = self.file(tail)?;
        if let Err(source) = file.append(bytes) {
            // What was written of it must go, or the next record would follow garbage.
            if let Err(error) = file.truncate(tail.len_bytes) {
                self.poison_with(&tail.path, &error);
            }
            return Err(FsError { action: "write", path: tail.path.clone(), source }.into());
        }
        tail.len_bytes += bytes.len() as u64;
        tail.end += bytes.len() as u64;
        Ok(())
    }

    /// The file that appends go to; created now if the disk was full when the log was opened.
    fn file(&self, tail: &mut Tail) -> Result<Arc<dyn File>, WriteError> {
        match &tail.file {
            Some(file) => Ok(Arc::clone(file)),
            None => Ok(self.begin_file(tail)?),
        }
    }

    /// The end of everything appended so far.
    pub(crate) fn end(&self) -> Position {
        self.tail.lock().end
    }

    /// A number that no file of the log exceeds so far. Meaningful while the caller keeps [`Self::rotate`] out.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.tail.lock().next_sequence - 1
    }

    /// Returns when everything before `position` is as durable as this log's writers were promised.
    pub(crate) fn wait(&self, position: Position) -> Result<(), WriteError> {
        match self.durability {
            Durability::Fsync => self.wait_durable(position),
            Durability::Interval(_) | Durability::None => self.check_poison(),
        }
    }

    /// Syncs everything appended so far.
    pub(crate) fn sync(&self) -> Result<(), WriteError> {
        self.wait_durable(self.end())
    }

    fn wait_durable(&self, position: Position) -> Result<(), WriteError> {
        let mut commit = self.commit.lock();
        loop {
            if commit.durable >= position {
                return Ok(());
            }
            self.check_poison()?;
            if commit.syncing {
                self.committed.wait(&mut commit);
                continue;
            }
            commit.syncing = true;
            drop(commit);
            let synced = self.sync_files();
            commit = self.commit.lock();
            commit.syncing = false;
            if let Some(end) = synced {
                commit.durable = commit.durable.max(end);
            }
            self.committed.notify_all();
        }
    }

    /// Syncs outside every lock; `None` after poisoning the log.
    fn sync_files(&self) -> Option<Position> {
        let (end, current, earlier) = {
            let mut tail = self.tail.lock();
            (tail.end, (tail.path.clone(), tail.file.clone()), std::mem::take(&mut tail.unsynced))
        };
        let (path, file) = current;
        for (path, file) in earlier.into_iter().chain(file.map(|file| (path, file))) {
            if let Err(error) = file.sync() {
                self.poison_with(&path, &error);
                return None;
            }
        }
        Some(end)
    }

    /// Ends the current file and goes on in a new one, whose number it returns. Callers keep appends out.
    pub(crate) fn rotate(&self) -> Result<u64, WriteError> {
        self.rotate_tail(&mut self.tail.lock())
    }

    /// Makes sure that no file below the number returned will change. Callers keep appends out.
    pub(crate) fn cut(&self) -> Result<u64, WriteError> {
        let mut tail = self.tail.lock();
        if tail.len_bytes == frame::FILE_HEADER_LEN as u64 {
            return Ok(tail.sequence);
        }
        self.rotate_tail(&mut tail)
    }

    fn rotate_tail(&self, tail: &mut Tail) -> Result<u64, WriteError> {
        self.check_poison()?;
        self.begin_file(tail)?;
        Ok(tail.sequence)
    }

    /// Makes a new file the one that appends go to.
    fn begin_file(&self, tail: &mut Tail) -> Result<Arc<dyn File>, FsError> {
        let sequence = tail.next_sequence;
        tail.next_sequence += 1;
        let file = create_file(&*self.fs, &self.dir, sequence)?;
        let old_path = std::mem::replace(&mut tail.path, file_path(&self.dir, sequence));
        if let Some(old_file) = tail.file.replace(Arc::clone(&file))
            && self.durability != Durability::None
        {
            tail.unsynced.push((old_path, old_file));
        }
        tail.len_bytes = frame::FILE_HEADER_LEN as u64;
        tail.sequence = sequence;
        Ok(file)
    }

    /// An error if the log no longer acknowledges anything.
    pub(crate) fn check_poison(&self) -> Result<(), WriteError> {
        match self.poison.get() {
            None => Ok(()),
            Some(Poison { file, reason }) => {
                Err(WriteError::Poisoned { file: file.clone(), reason: reason.clone() })
            }
        }
    }

    fn poison_with(&self, path: &Path, error: &std::io::Error) {
        tracing::error!(file = %path.display(), %error, "sync of the log failed; the shard refuses writes from now on");
        let poison = Poison { file: path.display().to_string(), reason: error.to_string() };
        // The first failure is the one to report.
        drop(self.poison.set(poison));
    }
}

/// Creates a log file whose name and header survive a power cut together with the first record synced after them.
fn create_file(fs: &dyn Fs, dir: &Path, sequence: u64) -> Result<Arc<dyn File>, FsError> {
    let path = file_path(dir, sequence);
    let create = || -> Result<Arc<dyn File>, FsError> {
        let file = fs.create(&path).map_err(FsError::on("create", &path))?;
        file.append(&frame::file_header(sequence)).map_err(FsError::on("write", &path))?;
        fs.sync_dir(dir).map_err(FsError::on("sync", dir))?;
        Ok(file)
    };
    match create() {
        Ok(file) => Ok(file),
        Err(error) => {
            // Leave the name free for the next attempt, if the disk lets us; the error to report is the first.
            if error.source.kind() != std::io::ErrorKind::AlreadyExists {
                drop(fs.remove_file(&path));
            }
            Err(error)
        }
    }
}

fn is_disk_full(error: &FsError) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.source.kind(), StorageFull | QuotaExceeded)
}

#[cfg(test)]
mod tests;
