//! The disk under a meta node's store: bytes at offsets, with power cuts.
//!
//! A write is in the page cache until the next sync. If the power fails before, each such write is lost, kept or torn by
//! itself, in no order. Every operation is also one on the machine's [`SimDisk`](crate::SimDisk), so that what is planned
//! for that one strikes here.

use std::{io, path::Path, sync::Arc};

use parking_lot::Mutex;
use redb::{Builder, Database, DatabaseError, StorageBackend};
use skywatch_meta_node::Disk;
use skywatch_storage::fs::Fs;

use crate::{Machine, random::Random, stream};

/// An operation on this disk is a sync of this directory on the other.
const SHADOW: &str = "raft";
/// Is there until the power fails: its name is never synced.
const SESSION: &str = "session";
const SECTOR: usize = 512;

/// The bytes that outlive processes.
#[derive(Debug, Default)]
struct Platter {
    /// As a process reads them.
    live: Vec<u8>,
    /// As they are after a power cut, if nothing of what came since is kept.
    synced: Vec<u8>,
    /// What came since.
    pending: Vec<Change>,
    was_opened: bool,
}

#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Resize(len) => bytes.resize(*len, 0),
            Self::Write(offset, data) => {
                let end = offset + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(data);
            }
        }
    }
}

impl Platter {
    /// The power failed.
    fn lose(&mut self, random: &mut Random) {
        for change in std::mem::take(&mut self.pending) {
            match (random.between(0, 2), change) {
                (0, _) => {}
                (1, Change::Write(offset, mut data)) => {
                    data.truncate(data.len() / 2 / SECTOR * SECTOR);
                    Change::Write(offset, data).apply(&mut self.synced);
                }
                (_, change) => change.apply(&mut self.synced),
            }
        }
        self.live.clone_from(&self.synced);
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.synced);
        }
    }
}

/// A machine's disk for a meta node's store. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct RaftDisk {
    platter: Arc<Mutex<Platter>>,
    forgets_syncs: bool,
}

impl RaftDisk {
    /// Empty. One that forgets syncs is a planted fault, to be found.
    pub fn new(forgets_syncs: bool) -> Self {
        Self { forgets_syncs, ..Self::default() }
    }

    /// The disk as a process on a machine sees it.
    pub fn of<'a>(&'a self, machine: &'a Machine) -> impl Disk + 'a {
        Mounted { disk: self.clone(), fs: Arc::clone(&machine.fs), seed: machine.seed }
    }
}

#[derive(Debug)]
struct Mounted {
    disk: RaftDisk,
    fs: Arc<dyn Fs>,
    seed: u64,
}

impl Mounted {
    fn mount(&self) -> io::Result<Handle> {
        self.fs.create_dir_all(Path::new(SHADOW))?;
        let has_session = self.fs.list(Path::new(""))?.iter().any(|entry| entry.name == SESSION);
        let mut platter = self.disk.platter.lock();
        if platter.was_opened && !has_session {
            platter.lose(&mut stream(self.seed, "power"));
        }
        if !has_session {
            self.fs.create(Path::new(SESSION))?;
        }
        platter.was_opened = true;
        Ok(Handle { disk: self.disk.clone(), fs: Arc::clone(&self.fs) })
    }
}

impl Disk for Mounted {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        builder.create_with_backend(self.mount()?)
    }

    fn name(&self) -> String {
        "a simulated disk".to_owned()
    }
}

#[derive(Debug)]
struct Handle {
    disk: RaftDisk,
    fs: Arc<dyn Fs>,
}

impl Handle {
    /// What is planned for the machine's disk strikes.
    fn operate(&self) -> io::Result<()> {
        self.fs.sync_dir(Path::new(SHADOW))
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.platter.lock().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.disk.platter.lock();
        let from = offset as usize;
        let bytes = platter.live.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.operate()?;
        self.disk.platter.lock().change(Change::Resize(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.operate()?;
        if !self.disk.forgets_syncs {
            self.disk.platter.lock().sync();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.operate()?;
        self.disk.platter.lock().change(Change::Write(offset as usize, data.to_vec()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_synced_stays_and_the_rest_may_go() {
        let mut outcomes = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let mut platter = Platter::default();
            platter.change(Change::Write(0, vec![1; 2048]));
            platter.sync();
            platter.change(Change::Write(0, vec![2; 2048]));
            platter.change(Change::Write(2048, vec![3; 10]));
            assert_eq!(platter.live.len(), 2058);
            platter.lose(&mut stream(seed, "test"));
            let twos = platter.live.iter().filter(|byte| **byte == 2).count();
            outcomes.insert((twos, platter.live.len()));
        }
        let lost_or_kept: Vec<_> = [0, 1024, 2048].into_iter().collect();
        assert!(outcomes.iter().all(|(twos, _)| lost_or_kept.contains(twos)), "{outcomes:?}");
        assert!(outcomes.contains(&(0, 2048)) && outcomes.contains(&(2048, 2058)), "{outcomes:?}");
        assert!(outcomes.iter().any(|(twos, len)| *twos < 2048 && *len == 2058), "in no order: {outcomes:?}");
    }
}
