//! The operating system's files.

use std::{
    fs,
    io::{self, Read, Seek, Write},
    path::Path,
    sync::Arc,
};

use super::{DirLock, Entry, File, FileBytes, Fs, LockError};

/// Files of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsFs;

#[derive(Debug)]
struct OsFile(fs::File);

impl File for OsFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.0).write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

#[derive(Debug)]
struct OsLock {
    /// Holds the flock until dropped. The file stays: removing it would let two processes lock different files.
    _file: fs::File,
}

impl DirLock for OsLock {}

impl Fs for OsFs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let missing: Vec<&Path> =
            dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
        for dir in missing.into_iter().rev() {
            match fs::create_dir(dir) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => created?,
            }
            let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
            // Made for good or not at all: a later attempt would not sync what it finds.
            self.sync_dir(parent.unwrap_or(Path::new("."))).inspect_err(|_| drop(fs::remove_dir(dir)))?;
        }
        // A name taken by something else shows here.
        fs::read_dir(dir).map(drop)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new().append(true).create_new(true).open(path)?;
        Ok(Arc::new(OsFile(file)))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(OsFile(fs::OpenOptions::new().append(true).open(path)?)))
    }

    fn map(&self, path: &Path) -> io::Result<FileBytes> {
        let file = fs::File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(FileBytes::from(Vec::new()));
        }
        // SAFETY: the engine maps only files it has finished writing, never truncates or rewrites them while
        // mapped, and holds the directory's lock, so that no other store does. (A file removed stays mapped.)
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(FileBytes::from(map))
    }

    fn read_at(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut file = fs::File::open(path)?;
        let there = file.metadata()?.len().saturating_sub(offset);
        let mut bytes = Vec::with_capacity(len.min(usize::try_from(there).unwrap_or(usize::MAX)));
        file.seek(io::SeekFrom::Start(offset))?;
        file.take(len as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            entries.push(Entry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_dir: metadata.is_dir(),
                len: if metadata.is_dir() { 0 } else { metadata.len() },
            });
        }
        entries.sort();
        Ok(entries)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DirLock>, LockError> {
        let mut file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                let holder = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(LockError::Held(holder));
            }
            Err(fs::TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        let mut record = || -> io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())?;
            file.sync_data()
        };
        record().map_err(LockError::Io)?;
        Ok(Box::new(OsLock { _file: file }))
    }
}
