//! Where a meta node's store lies: a file, or whatever a test puts in its place.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{
    Builder, Database, DatabaseError, StorageBackend,
    backends::{FileBackend, InMemoryBackend},
};

const FILE_NAME: &str = "raft.redb";

/// A place for one store.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens the store, or makes it; nobody else has it open. `builder` says how, this says over which backend.
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError>;

    /// What to call the place in messages.
    fn name(&self) -> String;
}

/// `raft.redb` in a directory.
#[derive(Debug, Clone)]
pub struct Directory(PathBuf);

impl Directory {
    /// Made when it is opened.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self(path.as_ref().to_path_buf())
    }

    /// The file.
    pub fn file(&self) -> PathBuf {
        self.0.join(FILE_NAME)
    }
}

impl Disk for Directory {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        std::fs::create_dir_all(&self.0)?;
        let mut options = std::fs::File::options();
        options.read(true).write(true).create(true).truncate(false);
        // It holds hashes of passwords.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(self.file())?;
        file.sync_all()?;
        std::fs::File::open(&self.0)?.sync_all()?;
        builder.create_with_backend(FileBackend::new(file)?)
    }

    fn name(&self) -> String {
        self.file().display().to_string()
    }
}

/// Bytes in memory that outlive the stores opened on them, as a disk outlives a process.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<InMemoryBackend>);

impl Memory {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Disk for Memory {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        builder.create_with_backend(SharedMemory(Arc::clone(&self.0)))
    }

    fn name(&self) -> String {
        "memory".into()
    }
}

#[derive(Debug)]
struct SharedMemory(Arc<InMemoryBackend>);

impl StorageBackend for SharedMemory {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}
