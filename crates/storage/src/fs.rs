//! The narrow door to the disk. Everything the engine does to files goes through [`Fs`], so that tests can tear
//! writes, refuse syncs, fill the disk and cut the power ([`SimFs`]); production uses [`OsFs`].
//!
//! What survives a power cut, and what the engine therefore relies on:
//! - the bytes of a file up to its last successful [`File::sync`];
//! - the names in a directory (created, renamed, removed) up to the last successful [`Fs::sync_dir`] of it;
//! - a rename is atomic: afterwards the name shows either the old file or the new one.

mod os;
mod sim;

use std::{
    fmt, io,
    ops::{Deref, Range},
    path::{Path, PathBuf},
    sync::Arc,
};

pub use os::OsFs;
pub use sim::{Fault, SimFs};

/// A file being appended to. Closed on drop, without a sync.
pub trait File: Send + Sync + fmt::Debug {
    /// Appends all of `bytes`. After an error any prefix of them may have been written; see [`Self::truncate`].
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything appended so far survive a power cut. After an error the state of the file's pages is
    /// unknown, and no later sync can be trusted.
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file to `len` bytes; later appends continue there.
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// File name without its directory.
    pub name: String,
    /// Whether it is itself a directory.
    pub is_dir: bool,
    /// Length in bytes; 0 for directories.
    pub len: u64,
}

/// A lock on a directory, given up on drop.
pub trait DirLock: Send + Sync + fmt::Debug {}

/// Why a directory lock was not taken.
#[derive(Debug)]
pub enum LockError {
    /// Another process (its id, if it could be read) or another store of this one holds it.
    Held(Option<u32>),
    /// The lock file could not be made.
    Io(io::Error),
}

/// The operations the engine needs of a file system.
pub trait Fs: Send + Sync + fmt::Debug {
    /// Creates `dir` and its parents where missing, so that they survive a power cut.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Creates a new file; an error if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Opens an existing file for appending.
    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// The whole of a file that no longer changes, mapped into memory where the system can.
    fn map(&self, path: &Path) -> io::Result<FileBytes>;
    /// At most `len` bytes of a file that may still grow, from `offset` on; fewer where it ends.
    fn read_at(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>>;
    /// Gives a file (or directory) another name in the same directory, replacing a file of that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory with everything in it.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in `dir` survive a power cut.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// The names in `dir`, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Takes the lock file at `path` and writes the process id into it.
    fn lock(&self, path: &Path) -> Result<Box<dyn DirLock>, LockError>;
}

/// The bytes of a file, mapped or held.
#[derive(Clone)]
pub struct FileBytes(Repr);

#[derive(Clone)]
enum Repr {
    Mapped(Arc<memmap2::Mmap>),
    Held(Arc<[u8]>),
}

impl From<Vec<u8>> for FileBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Repr::Held(bytes.into()))
    }
}

impl From<memmap2::Mmap> for FileBytes {
    fn from(map: memmap2::Mmap) -> Self {
        Self(Repr::Mapped(Arc::new(map)))
    }
}

impl FileBytes {
    /// Says that these bytes are read here and there, so that the system need not read ahead.
    pub(crate) fn expect_random(&self, range: Range<usize>) {
        if let Repr::Mapped(map) = &self.0
            && let Err(error) = map.advise_range(memmap2::Advice::Random, range.start, range.len())
        {
            tracing::debug!(%error, "the system takes no advice on a mapped file");
        }
    }

    /// Lets pages of a mapped file leave memory; they come back when they are read.
    pub(crate) fn forget(&self, range: Range<usize>) {
        if let Repr::Mapped(map) = &self.0 {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: the mapping is of a file and only read, so that a page given up is read again from the file.
            // Advice that the system does not take changes nothing.
            let _taken = unsafe { map.unchecked_advise_range(advice, range.start, range.len()) };
        }
    }
}

impl Deref for FileBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Mapped(map) => map,
            Repr::Held(bytes) => bytes,
        }
    }
}

impl fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileBytes({} bytes)", self.len())
    }
}

/// A failed operation on a file, with what was being done to which.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct FsError {
    /// The operation, as a verb.
    pub action: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl FsError {
    /// For `map_err`.
    pub fn on(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, path: path.to_owned(), source }
    }
}

/// Writes a whole file so that after a crash the name shows the old content or all of the new: see [`Replacement`].
pub fn replace_file(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    let replacement = Replacement::begin(fs, path)?;
    replacement.append(bytes)?;
    replacement.finish()
}

/// A file that is written under a temporary name and takes its own, whole and durable, when it is finished: temporary file,
/// sync, rename, sync of the directory.
#[derive(Debug)]
pub(crate) struct Replacement<'a> {
    fs: &'a dyn Fs,
    path: &'a Path,
    temporary: PathBuf,
    file: Arc<dyn File>,
}

impl<'a> Replacement<'a> {
    /// What was begun before for this name is gone.
    pub(crate) fn begin(fs: &'a dyn Fs, path: &'a Path) -> Result<Self, FsError> {
        let temporary = temporary_name(path);
        if let Err(error) = fs.remove_file(&temporary)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(FsError { action: "remove", path: temporary, source: error });
        }
        let file = fs.create(&temporary).map_err(FsError::on("create", &temporary))?;
        Ok(Self { fs, path, temporary, file })
    }

    pub(crate) fn append(&self, bytes: &[u8]) -> Result<(), FsError> {
        self.file.append(bytes).map_err(FsError::on("write", &self.temporary))
    }

    pub(crate) fn finish(self) -> Result<(), FsError> {
        self.file.sync().map_err(FsError::on("sync", &self.temporary))?;
        self.fs.rename(&self.temporary, self.path).map_err(FsError::on("rename", &self.temporary))?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        self.fs.sync_dir(dir).map_err(FsError::on("sync", dir))
    }
}

/// Files whose name ends thus are leftovers of a crash and are removed at open.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

pub(crate) fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY_SUFFIX);
    name.into()
}

#[cfg(test)]
mod tests;
