//! A file system in memory that can fail and lose power on command, for tests.
//!
//! It is as unkind as POSIX allows: a power cut loses names that were not synced with their directory, and leaves
//! of a file its synced bytes followed by any prefix of what was appended since, the last byte of it perhaps wrong.
//! After a failed sync, later syncs of that file report success without saving anything, as Linux may.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{DirLock, Entry, File, FileBytes, Fs, LockError};

/// What goes wrong at one operation that changes the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The operation fails with "no space left on device"; an append writes half of its bytes first.
    DiskFull,
    /// The operation fails with an input/output error; an append writes half of its bytes first, a sync saves nothing.
    Error,
    /// The power fails: this operation (an append: half of it) and every later one fails until [`SimFs::restart`].
    PowerCut,
}

/// See the module's header. Clones share one disk.
#[derive(Debug, Clone)]
pub struct SimFs {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug)]
struct Disk {
    nodes: Vec<Node>,
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    reads: u64,
    failing_reads: BTreeSet<u64>,
    full_from: Option<u64>,
    power_is_off: bool,
    random: u64,
    locks: BTreeSet<PathBuf>,
}

#[derive(Debug)]
enum Node {
    Dir { live: BTreeMap<String, usize>, durable: BTreeMap<String, usize> },
    File { data: Vec<u8>, synced: Vec<u8>, sync_failed: bool },
}

const ROOT: usize = 0;

impl Node {
    const fn new_dir() -> Self {
        Self::Dir { live: BTreeMap::new(), durable: BTreeMap::new() }
    }
}

impl Default for SimFs {
    fn default() -> Self {
        Self::new(1)
    }
}

impl SimFs {
    /// An empty disk. `seed` decides how much of unsynced appends a power cut leaves.
    pub fn new(seed: u64) -> Self {
        Self {
            disk: Arc::new(Mutex::new(Disk {
                nodes: vec![Node::new_dir()],
                operations: 0,
                faults: BTreeMap::new(),
                reads: 0,
                failing_reads: BTreeSet::new(),
                full_from: None,
                power_is_off: false,
                random: seed | 1,
                locks: BTreeSet::new(),
            })),
        }
    }

    /// Number of operations that changed the disk or tried to.
    pub fn operations(&self) -> u64 {
        self.disk.lock().operations
    }

    /// Plans `fault` for the operation that finds [`Self::operations`] at `operation`.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.disk.lock().faults.insert(operation, fault);
    }

    /// Number of times a file was opened for reading or a directory listed, or was to be.
    pub fn reads(&self) -> u64 {
        self.disk.lock().reads
    }

    /// Lets the read that finds [`Self::reads`] at `read` fail with an input/output error.
    pub fn fail_read_at(&self, read: u64) {
        self.disk.lock().failing_reads.insert(read);
    }

    /// From `operation` on, every append and creation fails with a full disk until [`Self::free_space`].
    pub fn fill_disk_at(&self, operation: u64) {
        self.disk.lock().full_from = Some(operation);
    }

    /// Ends a full disk.
    pub fn free_space(&self) {
        self.disk.lock().full_from = None;
    }

    /// Whether a planned power cut has happened.
    pub fn power_is_off(&self) -> bool {
        self.disk.lock().power_is_off
    }

    /// Loses what was not synced, forgets planned faults and locks, and turns the power on.
    pub fn restart(&self) {
        let mut disk = self.disk.lock();
        let Disk { nodes, random, .. } = &mut *disk;
        for node in nodes {
            match node {
                Node::Dir { live, durable } => live.clone_from(durable),
                Node::File { data, synced, sync_failed } => {
                    lose_unsynced(data, synced, random);
                    *sync_failed = false;
                }
            }
        }
        disk.faults.clear();
        disk.failing_reads.clear();
        disk.full_from = None;
        disk.locks.clear();
        disk.power_is_off = false;
    }

    /// Kills the process, not the machine: locks and planned faults go, what was written stays.
    pub fn kill(&self) {
        let mut disk = self.disk.lock();
        disk.faults.clear();
        disk.failing_reads.clear();
        disk.locks.clear();
    }

    /// The bytes of a file as a reader sees them now.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let disk = self.disk.lock();
        disk.file(path).map(<[u8]>::to_vec)
    }

    /// Replaces the bytes of a file, durably: damage from outside.
    pub fn overwrite(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let node = disk.resolve(path)?;
        match &mut disk.nodes[node] {
            Node::File { data, synced, .. } => {
                synced.clone_from(&bytes);
                *data = bytes;
                Ok(())
            }
            Node::Dir { .. } => Err(io::ErrorKind::IsADirectory.into()),
        }
    }
}

fn lose_unsynced(data: &mut Vec<u8>, synced: &mut Vec<u8>, random: &mut u64) {
    if data.len() > synced.len() && data.starts_with(synced) {
        let extra = data.len() - synced.len();
        let kept = next_random(random) as usize % (extra + 1);
        data.truncate(synced.len() + kept);
        if kept > 0
            && next_random(random).is_multiple_of(2)
            && let Some(last) = data.last_mut()
        {
            *last ^= 0x55;
        }
        synced.clone_from(data);
    } else {
        data.clone_from(synced);
    }
}

/// Xorshift: enough to vary the damage, repeatable by seed.
fn next_random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 8
}

impl Disk {
    /// Counts an operation; says which fault, if any, strikes it.
    fn strike(&mut self, needs_space: bool) -> Option<Fault> {
        if self.power_is_off {
            return Some(Fault::PowerCut);
        }
        let operation = self.operations;
        self.operations += 1;
        let fault = match self.faults.get(&operation) {
            Some(fault) => Some(*fault),
            None if needs_space && self.full_from.is_some_and(|from| operation >= from) => {
                Some(Fault::DiskFull)
            }
            None => None,
        };
        self.power_is_off |= fault == Some(Fault::PowerCut);
        fault
    }

    /// Counts a read, unless it is to fail.
    fn look(&mut self) -> io::Result<()> {
        let read = self.reads;
        self.reads += 1;
        if self.failing_reads.contains(&read) { Err(error_of(Fault::Error)) } else { Ok(()) }
    }

    fn change(&mut self, needs_space: bool) -> io::Result<()> {
        self.strike(needs_space).map_or(Ok(()), |fault| Err(error_of(fault)))
    }

    fn resolve(&self, path: &Path) -> io::Result<usize> {
        let mut node = ROOT;
        for name in names(path) {
            match &self.nodes[node] {
                Node::Dir { live, .. } => {
                    node = *live.get(&name).ok_or(io::ErrorKind::NotFound)?;
                }
                Node::File { .. } => return Err(io::ErrorKind::NotADirectory.into()),
            }
        }
        Ok(node)
    }

    fn file(&self, path: &Path) -> io::Result<&[u8]> {
        match &self.nodes[self.resolve(path)?] {
            Node::File { data, .. } => Ok(data),
            Node::Dir { .. } => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn dir_mut(&mut self, path: &Path) -> io::Result<&mut BTreeMap<String, usize>> {
        let node = self.resolve(path)?;
        match &mut self.nodes[node] {
            Node::Dir { live, .. } => Ok(live),
            Node::File { .. } => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn sync_names(&mut self, path: &Path) -> io::Result<()> {
        let node = self.resolve(path)?;
        match &mut self.nodes[node] {
            Node::Dir { live, durable } => {
                durable.clone_from(live);
                Ok(())
            }
            Node::File { .. } => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn parent_mut(&mut self, path: &Path) -> io::Result<(&mut BTreeMap<String, usize>, String)> {
        let name = names(path).pop().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.dir_mut(path.parent().unwrap_or(Path::new("")))?, name))
    }
}

fn names(path: &Path) -> Vec<String> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
        })
        .collect()
}

fn error_of(fault: Fault) -> io::Error {
    match fault {
        Fault::DiskFull => io::ErrorKind::StorageFull.into(),
        Fault::Error => io::Error::other("injected fault"),
        Fault::PowerCut => io::Error::other("the power is off"),
    }
}

#[derive(Debug)]
struct SimFile {
    disk: Arc<Mutex<Disk>>,
    node: usize,
}

impl File for SimFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let was_off = disk.power_is_off;
        let fault = disk.strike(true);
        let written = match fault {
            None => bytes.len(),
            Some(_) if was_off => 0,
            Some(_) => bytes.len() / 2,
        };
        if let Node::File { data, .. } = &mut disk.nodes[self.node] {
            data.extend_from_slice(&bytes[..written]);
        }
        fault.map_or(Ok(()), |fault| Err(error_of(fault)))
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let fault = disk.strike(false);
        if let Node::File { data, synced, sync_failed } = &mut disk.nodes[self.node] {
            match fault {
                None if !*sync_failed => synced.clone_from(data),
                None => {}
                Some(_) => *sync_failed = true,
            }
        }
        fault.map_or(Ok(()), |fault| Err(error_of(fault)))
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.change(false)?;
        if let Node::File { data, .. } = &mut disk.nodes[self.node] {
            data.resize(len as usize, 0);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct SimLock {
    disk: Arc<Mutex<Disk>>,
    path: PathBuf,
}

impl DirLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.lock().locks.remove(&self.path);
    }
}

impl Fs for SimFs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let mut path = PathBuf::new();
        for name in names(dir) {
            let parent = path.clone();
            path.push(&name);
            if disk.resolve(&path).is_ok() {
                continue;
            }
            disk.change(true)?;
            let node = disk.nodes.len();
            disk.nodes.push(Node::new_dir());
            disk.dir_mut(&parent)?.insert(name.clone(), node);
            if let Err(error) = disk.change(false) {
                disk.dir_mut(&parent)?.remove(&name);
                return Err(error);
            }
            disk.sync_names(&parent)?;
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut disk = self.disk.lock();
        disk.change(true)?;
        let node = disk.nodes.len();
        let (dir, name) = disk.parent_mut(path)?;
        if dir.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        dir.insert(name, node);
        disk.nodes.push(Node::File { data: Vec::new(), synced: Vec::new(), sync_failed: false });
        Ok(Arc::new(SimFile { disk: Arc::clone(&self.disk), node }))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let disk = self.disk.lock();
        disk.file(path)?;
        Ok(Arc::new(SimFile { disk: Arc::clone(&self.disk), node: disk.resolve(path)? }))
    }

    fn map(&self, path: &Path) -> io::Result<FileBytes> {
        let mut disk = self.disk.lock();
        disk.look()?;
        if disk.power_is_off {
            return Err(error_of(Fault::PowerCut));
        }
        disk.file(path).map(|bytes| FileBytes::from(bytes.to_vec()))
    }

    fn read_at(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let bytes = self.map(path)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(len).min(bytes.len());
        Ok(bytes[start..end].to_vec())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.change(false)?;
        let (dir, name) = disk.parent_mut(from)?;
        let node = dir.remove(&name).ok_or(io::ErrorKind::NotFound)?;
        let (dir, name) = disk.parent_mut(to)?;
        dir.insert(name, node);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.file(path)?;
        disk.change(false)?;
        let (dir, name) = disk.parent_mut(path)?;
        dir.remove(&name);
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.dir_mut(path)?;
        disk.change(false)?;
        let (dir, name) = disk.parent_mut(path)?;
        dir.remove(&name);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.change(false)?;
        disk.sync_names(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut disk = self.disk.lock();
        disk.look()?;
        match &disk.nodes[disk.resolve(dir)?] {
            Node::Dir { live, .. } => Ok(live
                .iter()
                .map(|(name, node)| match &disk.nodes[*node] {
                    Node::Dir { .. } => Entry { name: name.clone(), is_dir: true, len: 0 },
                    Node::File { data, .. } => {
                        Entry { name: name.clone(), is_dir: false, len: data.len() as u64 }
                    }
                })
                .collect()),
            Node::File { .. } => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DirLock>, LockError> {
        let mut disk = self.disk.lock();
        if !disk.locks.insert(path.to_owned()) {
            return Err(LockError::Held(Some(std::process::id())));
        }
        Ok(Box::new(SimLock { disk: Arc::clone(&self.disk), path: path.to_owned() }))
    }
}
