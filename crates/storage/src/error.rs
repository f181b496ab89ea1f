//! How the engine fails: one enum per thing a caller can attempt.

use std::{io, path::PathBuf, time::Duration};

use skywatch_model::Version;

use crate::{ReadError, fs::FsError};

/// Why a store or a shard did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the directory.
    #[error(
        "data directory {} is in use by {}; stop it, or choose another directory with --data-dir",
        dir.display(),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// Who holds it, if its lock file says.
        pid: Option<u32>,
    },
    /// The directory cannot be created or written.
    #[error("data directory {} cannot be written; give this user write permission, or choose another directory with --data-dir", dir.display())]
    NotWritable {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file on which everything else depends is damaged.
    #[error("{} is damaged: {reason}; restore it from a backup or another replica", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What disagreed.
        reason: String,
    },
    /// A file was written by a later release.
    #[error("{} has format version {found}, this release reads up to {supported}; upgrade it", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest this release knows.
        supported: u32,
    },
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] FsError),
}

/// Why a write was not stored. Unless said otherwise, none of its points is, or will be after a restart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Memory for unflushed points is full and stayed so; the disk is slower than the writers.
    #[error("too many unflushed points ({used_bytes} of {budget_bytes} bytes of memory); retry in {} ms", retry_after.as_millis())]
    Overloaded {
        /// When it is worth trying again.
        retry_after: Duration,
        /// Memory held by unflushed points.
        used_bytes: u64,
        /// The most it may be.
        budget_bytes: u64,
    },
    /// Memory for series that are in no file yet is full; known series can be written.
    #[error("too many new series ({used_bytes} of {budget_bytes} bytes of memory); retry in {} ms", retry_after.as_millis())]
    TooManyNewSeries {
        /// When it is worth trying again.
        retry_after: Duration,
        /// Memory held by them.
        used_bytes: u64,
        /// The most it may be.
        budget_bytes: u64,
    },
    /// An earlier sync failed, so nothing more can be acknowledged until the shard is opened again. The write during
    /// which it failed may turn out stored.
    #[error("shard refuses writes since a sync of {file} failed ({reason}); check the disk, then restart")]
    Poisoned {
        /// The file.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// The log could not be extended (its disk is full, for instance); nothing of the batch remains.
    #[error(transparent)]
    Io(#[from] FsError),
    /// One batch too large to be one log record.
    #[error("batch of {bytes} bytes exceeds the limit of {limit_bytes}; split it")]
    TooLarge {
        /// Its encoded size.
        bytes: u64,
        /// The most that is taken.
        limit_bytes: u64,
    },
    /// It is older than what all owners have agreed on having, so that it has been here, or comes from a clock that is wrong.
    #[error(
        "an operation of {} ms since 1970 is older than what all owners of the shard have settled; look at the clock of the \
         node that took it",
        version.ms()
    )]
    Settled {
        /// The operation's version.
        version: Version,
    },
    /// Cells were asked for before deletes were forgotten that concern them; asked for again, they are as they should be.
    #[error("deletes were forgotten while cells were on their way; they are asked for again")]
    ForgottenMeanwhile,
    /// Deletes came faster than compaction, and the other owners, carry them out.
    #[error(
        "{limit} deletes of a shard wait to be carried out; retry later, or delete more with one statement"
    )]
    TooManyDeletes {
        /// The most that wait.
        limit: usize,
    },
    /// The condition of a delete that must be remembered is nested too deeply.
    #[error("condition is nested more than {limit} deep")]
    PredicateTooDeep {
        /// The deepest there may be.
        limit: usize,
    },
    /// The shard has been dropped or the store closed.
    #[error("shard is closed")]
    Closed,
}

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The request itself must change.
    Caller,
    /// The same request may succeed later.
    Retry,
    /// An operator must act.
    Fatal,
}

impl WriteError {
    /// What a caller can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::TooLarge { .. } | Self::PredicateTooDeep { .. } | Self::Settled { .. } => {
                ErrorClass::Caller
            }
            Self::Overloaded { .. }
            | Self::TooManyNewSeries { .. }
            | Self::TooManyDeletes { .. }
            | Self::ForgottenMeanwhile
            | Self::Closed => ErrorClass::Retry,
            Self::Io(error) if error.source.kind() == io::ErrorKind::StorageFull => ErrorClass::Retry,
            Self::Io(_) | Self::Poisoned { .. } => ErrorClass::Fatal,
        }
    }
}

/// Why cells of another owner were not taken in, or only some of them; doing it again does the rest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// What is here cannot be read, so that nobody knows which cells are younger.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The shard takes no writes.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why a flush, a compaction or another piece of upkeep failed. Nothing is lost by it; it is tried again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaintenanceError {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] FsError),
    /// What was to be rewritten cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The shard has been dropped.
    #[error("shard is closed")]
    Closed,
    /// The log refused to continue.
    #[error(transparent)]
    Log(#[from] WriteError),
}
