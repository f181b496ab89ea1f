//! Shards of which this node may lack something that it once acknowledged: their directory is gone, files in it are
//! damaged, or the end of the log is. Queries about them go to other owners until they have been compared.
//!
//! What is in doubt, and which shards had a directory, is on disk, so that neither a second crash nor the loss of a
//! directory while the node is down makes it forget. A shard that never had a directory has nothing to lose.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use skywatch_meta::{Catalogue, NodeId};
use skywatch_storage::{
    ShardId, Store,
    fs::{Fs, FsError, replace_file},
};
use tokio::sync::Notify;

const FILE: &str = "owned-shards.json";

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Record {
    /// Shards that have had a directory.
    present: BTreeSet<u64>,
    /// Shards in doubt.
    doubted: BTreeSet<u64>,
}

/// See the module's header.
#[derive(Debug)]
pub struct Doubts {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    record: Mutex<Record>,
    /// Told when a shard comes into doubt.
    pub(super) added: Notify,
}

impl Doubts {
    /// Finds out, after a start, what is in doubt. Without a record of earlier days everything is that the catalogue gives
    /// to this node and that has no directory.
    pub fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        store: &Store,
        catalogue: &Catalogue,
        me: NodeId,
    ) -> Result<Self, FsError> {
        let path = dir.join(FILE);
        let kept = match fs.map(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .inspect_err(|error| tracing::error!(file = %path.display(), %error, "cannot be read; every shard without a directory is in doubt"))
                .ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(FsError::on("read", &path)(error)),
        };
        let had_directory =
            |shard: u64| kept.as_ref().is_none_or(|kept: &Record| kept.present.contains(&shard));
        let owned = || owned_with_others(catalogue, me);
        let mut record = Record::default();
        for shard in owned() {
            let known = kept.as_ref().is_some_and(|kept| kept.doubted.contains(&shard));
            let is_suspect = match store.shard(ShardId(shard)) {
                // What a crash cut off was not acknowledged; what damage cut off may have been, and looks the same.
                Some(shard) => shard.recovery().has_damage() || shard.recovery().torn_bytes > 0,
                None => had_directory(shard),
            };
            if known || is_suspect {
                record.doubted.insert(shard);
            }
        }
        record.present = kept.map_or_else(BTreeSet::new, |kept| kept.present);
        let doubts = Self { fs, path, record: Mutex::new(record), added: Notify::new() };
        doubts.follow(store, catalogue, me)?;
        doubts.change(|_| true)?;
        Ok(doubts)
    }

    /// Whether this node may lack something of a shard.
    pub fn has(&self, shard: u64) -> bool {
        self.record.lock().doubted.contains(&shard)
    }

    /// Shards in doubt.
    pub fn all(&self) -> BTreeSet<u64> {
        self.record.lock().doubted.clone()
    }

    /// A shard turned out to lack something.
    pub(crate) fn add(&self, shard: u64) -> Result<(), FsError> {
        self.change(|record| record.doubted.insert(shard))?;
        self.added.notify_one();
        Ok(())
    }

    /// A shard has everything that others have.
    pub(super) fn remove(&self, shard: u64) -> Result<(), FsError> {
        self.change(|record| record.doubted.remove(&shard))
    }

    /// A shard is about to get a directory: if that is gone later, something was lost with it.
    pub(crate) fn expect(&self, shard: u64) -> Result<(), FsError> {
        self.change(|record| record.present.insert(shard))
    }

    /// Changes the record, and writes it if `change` says so.
    fn change(&self, change: impl FnOnce(&mut Record) -> bool) -> Result<(), FsError> {
        let mut record = self.record.lock();
        if change(&mut record) { self.write(&record) } else { Ok(()) }
    }

    /// Follows what shards there are, and which of them are this node's.
    pub(super) fn follow(&self, store: &Store, catalogue: &Catalogue, me: NodeId) -> Result<(), FsError> {
        let owned: BTreeSet<u64> = owned_with_others(catalogue, me).collect();
        let has_directory = |shard: &u64| store.shard(ShardId(*shard)).is_some();
        // One that this copy of the catalogue has not seen given out yet may have a directory already.
        let is_kept = |shard: &u64| owned.contains(shard) || *shard > catalogue.shard_id_last();
        self.change(|record| {
            let before = record.clone();
            record.present.retain(is_kept);
            record.present.extend(owned.iter().copied().filter(has_directory));
            record.doubted.retain(|shard| owned.contains(shard));
            *record != before
        })
    }

    fn write(&self, record: &Record) -> Result<(), FsError> {
        let bytes = serde_json::to_vec(record).map_err(|error| FsError {
            action: "encode",
            path: self.path.clone(),
            source: io::Error::other(error),
        })?;
        replace_file(&*self.fs, &self.path, &bytes)
    }
}

/// Shards of which a node and others own a copy.
pub(super) fn owned_with_others(catalogue: &Catalogue, me: NodeId) -> impl Iterator<Item = u64> {
    let is_shared = move |shard: &&skywatch_meta::Shard| shard.is_owned_by(me) && shard.owners.len() > 1;
    catalogue.live_shards().filter(is_shared).map(|shard| shard.id)
}
