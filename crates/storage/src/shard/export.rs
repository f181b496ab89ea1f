//! Pinning: the files that make up a shard at one moment, kept readable whatever becomes of their names.
//!
//! What is pinned is what a crash at that moment would leave: the manifest, the files it names, and the log from the
//! manifest's floor up to a cut between two writes. Opening it as a shard is ordinary recovery.
//!
//! Immutable files are mapped while the manifest cannot change, so that none of them can be replaced before its
//! bytes are held; afterwards a file may lose its name, and its bytes stay until the pin is dropped.

use std::{io, path::Path};

use super::{Shard, upkeep::index_path};
use crate::{
    MaintenanceError,
    fs::{FileBytes, FsError},
    manifest::Manifest,
    segment, wal,
};

/// A file that cannot change or go while this is held.
#[derive(Debug, Clone)]
pub struct PinnedFile {
    name: String,
    bytes: FileBytes,
}

impl PinnedFile {
    /// Its name within the shard's directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// See the module's header.
#[derive(Debug, Clone, Default)]
pub struct PinnedShard {
    /// In no particular order; together they are a whole shard.
    pub files: Vec<PinnedFile>,
    /// Names of files that the manifest names and that are missing or cannot be read; a copy of this shard lacks
    /// them too.
    pub damaged: Vec<String>,
}

impl Shard {
    /// Pins everything written so far (each write whole or not at all), after moving it into segments, so that the
    /// next pin shares as many files with this one as can be. Writers wait while the log is cut, not longer.
    pub fn pin(&self) -> Result<PinnedShard, MaintenanceError> {
        self.flush()?;
        let manifest = self.manifest.lock();
        let closed = self.gate.write();
        self.check_open()?;
        let log_end = self.log.cut()?;
        drop(closed);
        self.pin_files(&manifest, log_end).map_err(MaintenanceError::Io)
    }

    /// Called with the manifest held: what it names is not removed meanwhile.
    fn pin_files(&self, manifest: &Manifest, log_end: u64) -> Result<PinnedShard, FsError> {
        let mut pinned = PinnedShard::default();
        pinned.add(self, &Manifest::path(&self.dir))?;
        for segment in &manifest.segments {
            pinned.add(self, &segment::file_path(&self.dir, segment.number))?;
        }
        for file in &manifest.index_files {
            pinned.add(self, &index_path(&self.dir, file.number))?;
        }
        for entry in self.fs.list(&self.dir).map_err(FsError::on("list", &self.dir))? {
            let is_needed = |sequence| manifest.log_floor <= sequence && sequence < log_end;
            if wal::sequence_of(&entry.name).is_some_and(is_needed) {
                pinned.add(self, &self.dir.join(&entry.name))?;
            }
        }
        let slots = self.tables.read();
        let unreadable = slots.segments.iter().filter(|slot| !slot.is_intact());
        for name in unreadable.map(|slot| segment::file_path(Path::new(""), slot.meta().number)) {
            let name = name.display().to_string();
            if !pinned.damaged.contains(&name) {
                pinned.damaged.push(name);
            }
        }
        Ok(pinned)
    }
}

impl PinnedShard {
    fn add(&mut self, shard: &Shard, path: &Path) -> Result<(), FsError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match shard.fs.map(path) {
            Ok(bytes) => self.files.push(PinnedFile { name, bytes }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.damaged.push(name),
            Err(error) => return Err(FsError::on("read", path)(error)),
        }
        Ok(())
    }
}
