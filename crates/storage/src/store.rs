//! A node's shards in one directory, with the threads that keep them in order.
//!
//! ```text
//! DIR/LOCK        held while a store is open; names the process
//! DIR/<id>/       one shard
//! DIR/<id>.dropped   a dropped shard on its way out
//! DIR/<n>.staged     a shard being restored here; see [`adopt`]
//! DIR/<id>.copying   a shard being copied here
//! DIR/<id>.damaged   a shard that could not be opened, and of which others have copies; nothing reads it
//! ```

mod adopt;
mod background;
mod shared;

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    thread::JoinHandle,
};

use parking_lot::{Mutex, RwLock};
use skywatch_model::{TimeRange, Version};

pub use adopt::{AdoptError, StagedFile, StagedShard, sum_of_block};
pub(crate) use shared::Shared;

use crate::{
    Consumer, MaintenanceError, OpenError, Shard, ShardId, StoreOptions,
    fs::{DirLock, Fs, FsError, LockError, OsFs},
    manifest::Manifest,
    shard::Opening,
};

const DROPPED_SUFFIX: &str = ".dropped";
const DAMAGED_SUFFIX: &str = ".damaged";

/// See the module's header. Dropping it stops its threads; [`Store::close`] also flushes, which makes the next start
/// faster but saves nothing that would otherwise be lost.
pub struct Store {
    inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Given up when the store is closed.
    lock: Mutex<Option<Box<dyn DirLock>>>,
}

/// What the background threads share with the store.
#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    fs: Arc<dyn Fs>,
    options: Arc<StoreOptions>,
    shared: Arc<Shared>,
    shards: RwLock<BTreeMap<ShardId, Arc<Shard>>>,
    /// Held while shards are created or dropped.
    changing: Mutex<()>,
    /// Number of the next directory for a shard to be adopted.
    staged: AtomicU64,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("dir", &self.inner.dir).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in `dir`, which is created if it is not there, and recovers every shard in it.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(OsFs), dir, options)
    }

    /// As [`Self::open`], on another file system.
    pub fn open_on(fs: Arc<dyn Fs>, dir: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        let not_writable = |source: io::Error| OpenError::NotWritable { dir: dir.to_owned(), source };
        fs.create_dir_all(dir).map_err(not_writable)?;
        let lock = fs.lock(&dir.join("LOCK")).map_err(|error| match error {
            LockError::Held(pid) => OpenError::Locked { dir: dir.to_owned(), pid },
            LockError::Io(source) => OpenError::NotWritable { dir: dir.to_owned(), source },
        })?;
        let mut options = options;
        options.flush_bytes = options.flush_bytes.min(options.memory.limit_bytes(Consumer::Memtables) / 2);
        let inner = Inner {
            dir: dir.to_owned(),
            fs,
            shared: Arc::new(Shared::default()),
            options: Arc::new(options),
            shards: RwLock::default(),
            changing: Mutex::default(),
            staged: AtomicU64::new(0),
        };
        inner.open_shards()?;
        let inner = Arc::new(inner);
        let threads = Mutex::new(background::start(&inner).map_err(not_writable)?);
        Ok(Self { inner, threads, lock: Mutex::new(Some(lock)) })
    }

    /// The shard `id`, created for `range` if it is not there. The range of an existing shard stays as it is.
    pub fn create_shard(&self, id: ShardId, range: TimeRange) -> Result<Arc<Shard>, OpenError> {
        let _changing = self.inner.changing.lock();
        if let Some(shard) = self.shard(id) {
            return Ok(shard);
        }
        let dir = self.inner.shard_dir(id);
        Shard::create(&*self.inner.fs, &dir, range)?;
        let shard = self.inner.open_shard(id, &dir)?;
        self.inner.shards.write().insert(id, Arc::clone(&shard));
        Ok(shard)
    }

    /// The shard `id`, if there is one.
    pub fn shard(&self, id: ShardId) -> Option<Arc<Shard>> {
        self.inner.shards.read().get(&id).cloned()
    }

    /// All shards in order of their names.
    pub fn shards(&self) -> Vec<Arc<Shard>> {
        self.inner.shards.read().values().cloned().collect()
    }

    /// The greatest version in any shard; versions handed out from now on must exceed it.
    pub fn latest_version(&self) -> Version {
        self.shards().iter().map(|shard| shard.latest_version()).max().unwrap_or(Version::ZERO)
    }

    /// Memory of unflushed points of all shards, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.inner.options.memory.used_bytes(Consumer::Memtables)
    }

    /// Removes a shard with all its points; without it, nothing happens. Snapshots taken before stay readable.
    pub fn drop_shard(&self, id: ShardId) -> Result<(), MaintenanceError> {
        let _changing = self.inner.changing.lock();
        let Some(shard) = self.inner.shards.write().remove(&id) else {
            return Ok(());
        };
        shard.shut();
        let aside = with_suffix(shard.dir(), DROPPED_SUFFIX);
        let Inner { fs, dir, .. } = &*self.inner;
        // Once renamed it is gone for good; the files may take their time, and a crash leaves them to the next open.
        fs.rename(shard.dir(), &aside).map_err(FsError::on("rename", shard.dir()))?;
        fs.sync_dir(dir).map_err(FsError::on("sync", dir))?;
        fs.remove_dir_all(&aside).map_err(FsError::on("remove", &aside))?;
        Ok(())
    }

    /// Stops the threads, refuses further writes, flushes what is in memory and gives the directory up. The first
    /// failure is returned; the points concerned are in the log and come back at the next open.
    pub fn close(&self) -> Result<(), MaintenanceError> {
        self.stop_threads();
        let mut result = Ok(());
        for shard in self.shards() {
            shard.shut();
            result = result.and(shard.flush_closed());
        }
        drop(self.lock.lock().take());
        result
    }

    fn stop_threads(&self) {
        self.inner.shared.stop();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a background thread of the store panicked");
            }
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop_threads();
        // Whoever still holds a shard must not write to files that another process may open next.
        self.shards().iter().for_each(|shard| shard.shut());
    }
}

impl Inner {
    fn shard_dir(&self, id: ShardId) -> PathBuf {
        self.dir.join(id.to_string())
    }

    fn open_shard(&self, id: ShardId, dir: &Path) -> Result<Arc<Shard>, OpenError> {
        Shard::open(Opening {
            fs: Arc::clone(&self.fs),
            dir,
            id,
            options: Arc::clone(&self.options),
            shared: Arc::clone(&self.shared),
        })
        .map(Arc::new)
    }

    fn open_or_set_aside(&self, id: ShardId, dir: &Path) -> Result<(), OpenError> {
        match self.open_shard(id, dir) {
            Ok(shard) => {
                self.shards.write().insert(id, shard);
                Ok(())
            }
            Err(error @ OpenError::Damaged { .. }) if self.options.replaceable.contains(&id) => {
                let aside = with_suffix(dir, DAMAGED_SUFFIX);
                tracing::error!(shard = id.0, aside = %aside.display(), %error, "a shard cannot be opened; it is set aside, and copied from others");
                if self.fs.list(&aside).is_ok() {
                    self.fs.remove_dir_all(&aside).map_err(FsError::on("remove", &aside))?;
                }
                self.fs.rename(dir, &aside).map_err(FsError::on("rename", dir))?;
                Ok(self.fs.sync_dir(&self.dir).map_err(FsError::on("sync", &self.dir))?)
            }
            Err(error) => Err(error),
        }
    }

    fn open_shards(&self) -> Result<(), OpenError> {
        let fs = &*self.fs;
        for entry in fs.list(&self.dir).map_err(FsError::on("list", &self.dir))? {
            let dir = self.dir.join(&entry.name);
            if !entry.is_dir {
                continue;
            }
            if entry.name.ends_with(DROPPED_SUFFIX) || entry.name.ends_with(adopt::STAGED_SUFFIX) {
                fs.remove_dir_all(&dir).map_err(FsError::on("remove", &dir))?;
            } else if let Ok(id) = entry.name.parse() {
                if is_unfinished(fs, &dir)? {
                    fs.remove_dir_all(&dir).map_err(FsError::on("remove", &dir))?;
                } else {
                    self.open_or_set_aside(ShardId(id), &dir)?;
                }
            }
        }
        Ok(())
    }
}

fn with_suffix(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether a crash interrupted the creation of this shard: it has no manifest, and never had anything else.
fn is_unfinished(fs: &dyn Fs, dir: &Path) -> Result<bool, FsError> {
    let manifest = Manifest::path(dir);
    let temporary = crate::fs::temporary_name(&manifest);
    let entries = fs.list(dir).map_err(FsError::on("list", dir))?;
    Ok(entries.iter().all(|entry| temporary.file_name().is_some_and(|name| *name == *entry.name)))
}
