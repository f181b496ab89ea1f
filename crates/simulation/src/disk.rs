//! A machine's disk, and the handles of a process on it: they die with the process.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use skywatch_storage::fs::{DirLock, Entry, Fault, File, FileBytes, Fs, LockError, SimFs};

/// What a disk does not do although it says so: a planted fault of the software above it, for tests that want it found.
#[derive(Debug, Clone, Default)]
pub struct DiskPlan {
    /// Syncs of files in directories of this name are forgotten.
    pub forget_syncs_below: Option<&'static str>,
}

/// A machine's disk. It outlives the processes that use it.
#[derive(Debug, Clone)]
pub struct SimDisk {
    disk: SimFs,
    plan: Arc<DiskPlan>,
}

impl SimDisk {
    /// An empty disk; what a power cut leaves of it follows from the seed.
    pub fn new(seed: u64, plan: DiskPlan) -> Self {
        Self { disk: SimFs::new(seed), plan: Arc::new(plan) }
    }

    /// The disk as a new process sees it.
    pub(crate) fn open(&self) -> ProcessFs {
        ProcessFs(Access {
            disk: self.disk.clone(),
            plan: Arc::clone(&self.plan),
            process: Arc::new(Process { alive: AtomicBool::new(true) }),
        })
    }

    /// The disk itself, to look at or to damage.
    pub const fn raw(&self) -> &SimFs {
        &self.disk
    }

    pub(crate) fn fail_after(&self, operations: u64, fault: Fault) {
        self.disk.fail_at(self.disk.operations() + operations, fault);
    }

    pub(crate) fn fill(&self) {
        self.disk.fill_disk_at(self.disk.operations());
    }
}

#[derive(Debug)]
struct Process {
    alive: AtomicBool,
}

/// A process' view of a disk. Once the process is dead, nothing it still holds changes or reads anything.
#[derive(Debug, Clone)]
pub(crate) struct ProcessFs(Access);

#[derive(Debug, Clone)]
struct Access {
    disk: SimFs,
    plan: Arc<DiskPlan>,
    process: Arc<Process>,
}

impl ProcessFs {
    pub(crate) fn kill(&self) {
        self.0.process.alive.store(false, Ordering::Relaxed);
    }
}

impl Access {
    fn disk(&self) -> io::Result<&SimFs> {
        if self.process.alive.load(Ordering::Relaxed) {
            Ok(&self.disk)
        } else {
            Err(io::Error::other("the process is dead"))
        }
    }

    fn file(&self, path: &Path, file: Arc<dyn File>) -> Arc<dyn File> {
        let forgets = self.plan.forget_syncs_below.is_some_and(|dir| path.iter().any(|name| name == dir));
        Arc::new(ProcessFile { access: self.clone(), file, forgets })
    }
}

#[derive(Debug)]
struct ProcessFile {
    access: Access,
    file: Arc<dyn File>,
    forgets: bool,
}

impl File for ProcessFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.access.disk()?;
        self.file.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.access.disk()?;
        if self.forgets { Ok(()) } else { self.file.sync() }
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.access.disk()?;
        self.file.truncate(len)
    }
}

impl Fs for ProcessFs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.0.disk()?.create_dir_all(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(self.0.file(path, self.0.disk()?.create(path)?))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(self.0.file(path, self.0.disk()?.open_append(path)?))
    }

    fn map(&self, path: &Path) -> io::Result<FileBytes> {
        self.0.disk()?.map(path)
    }

    fn read_at(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.0.disk()?.read_at(path, offset, len)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.disk()?.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.disk()?.remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.0.disk()?.remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.disk()?.sync_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.0.disk()?.list(dir)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DirLock>, LockError> {
        self.0.disk().map_err(LockError::Io)?.lock(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_process_changes_nothing_and_the_next_one_finds_what_was_synced() {
        let disk = SimDisk::new(1, DiskPlan::default());
        let first = disk.open();
        let file = first.create(Path::new("f")).unwrap();
        file.append(b"synced").unwrap();
        file.sync().unwrap();
        first.sync_dir(Path::new("")).unwrap();
        first.kill();
        assert!(file.append(b"late").is_err());
        assert!(first.rename(Path::new("f"), Path::new("g")).is_err());
        disk.raw().restart();
        assert_eq!(&*disk.open().map(Path::new("f")).unwrap(), b"synced");
    }

    #[test]
    fn forgotten_syncs_lose_what_they_promised() {
        let disk = SimDisk::new(1, DiskPlan { forget_syncs_below: Some("queue") });
        let fs = disk.open();
        for (dir, survives) in [("queue", false), ("other", true)] {
            fs.create_dir_all(Path::new(dir)).unwrap();
            let path = Path::new(dir).join("f");
            let file = fs.create(&path).unwrap();
            fs.sync_dir(Path::new(dir)).unwrap();
            file.append(&[7; 1000]).unwrap();
            file.sync().unwrap();
            disk.raw().restart();
            assert_eq!(disk.raw().read(&path).unwrap().len() == 1000, survives, "{dir}");
        }
    }
}
