//! Taking in shards that were copied from elsewhere.
//!
//! ```text
//! DIR/<n>.staged/    files arrive here; removed when given up, and at the next open
//! DIR/<id>.copying/  so do those of a copy of shard <id>, which outlive a restart: the copy goes on with them
//! DIR/<id>/          after Store::adopt_shard: a shard like any other
//! ```
//!
//! What lies in a `.copying` directory is no more than bytes that arrived, and after a crash perhaps not even that: whoever
//! goes on compares them with the source first ([`StagedFile::sums`]). A staged shard becomes one by a single rename after everything in it is durable. A crash before it leaves
//! nothing, one after it the whole shard; whether anybody knows of that shard is its owner's business.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use skywatch_model::TimeRange;

use super::{Inner, Store};
use crate::{
    OpenError, Shard, ShardId,
    fs::{File, Fs, FsError, TEMPORARY_SUFFIX},
    manifest::Manifest,
    segment,
    shard::index_path,
};

/// Ends the names of directories that are being filled.
pub(super) const STAGED_SUFFIX: &str = ".staged";
/// Ends the names of those that go on being filled after a restart.
pub(super) const COPYING_SUFFIX: &str = ".copying";

/// Why files did not become a shard.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] FsError),
    /// What arrived cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Not a name that a shard's file can have.
    #[error("{0:?} is not the name of a shard's file")]
    BadName(String),
    /// The files do not belong together.
    #[error("the files of a shard do not belong together: {file} {reason}")]
    Inconsistent {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The name is taken.
    #[error("shard {0} exists already")]
    Exists(ShardId),
}

/// A directory being filled with the files of a shard; removed when dropped before it was adopted, unless it is one that a
/// copy goes on with ([`Store::resume_copy`]).
#[derive(Debug)]
pub struct StagedShard {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    stays: bool,
}

/// A file being received.
#[derive(Debug)]
pub struct StagedFile {
    fs: Arc<dyn Fs>,
    file: Arc<dyn File>,
    path: PathBuf,
    len_bytes: u64,
}

impl StagedShard {
    /// Begins a file. `name` must be a plain one: nothing leads out of the directory.
    pub fn create_file(&self, name: &str) -> Result<StagedFile, AdoptError> {
        let path = self.path_of(name)?;
        let file = self.fs.create(&path).map_err(FsError::on("create", &path))?;
        Ok(StagedFile { fs: Arc::clone(&self.fs), file, path, len_bytes: 0 })
    }

    /// What has arrived: names and lengths.
    pub fn files(&self) -> Result<BTreeMap<String, u64>, FsError> {
        let entries = self.fs.list(&self.dir).map_err(FsError::on("list", &self.dir))?;
        Ok(entries.into_iter().map(|entry| (entry.name, entry.len)).collect())
    }

    /// Goes on with a file of which `len_bytes` have arrived.
    pub fn resume_file(&self, name: &str, len_bytes: u64) -> Result<StagedFile, AdoptError> {
        let path = self.path_of(name)?;
        let file = self.fs.open_append(&path).map_err(FsError::on("open", &path))?;
        Ok(StagedFile { fs: Arc::clone(&self.fs), file, path, len_bytes })
    }

    /// Makes the names of what has arrived durable.
    pub fn sync_names(&self) -> Result<(), FsError> {
        self.fs.sync_dir(&self.dir).map_err(FsError::on("sync", &self.dir))
    }

    /// Forgets a file that arrived.
    pub fn remove_file(&self, name: &str) -> Result<(), FsError> {
        let path = self.dir.join(name);
        self.fs.remove_file(&path).map_err(FsError::on("remove", &path))
    }

    /// Gives up what has arrived.
    pub fn discard(mut self) {
        self.stays = false;
    }

    fn path_of(&self, name: &str) -> Result<PathBuf, AdoptError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let is_good = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_plain);
        if !is_good || name.ends_with(TEMPORARY_SUFFIX) {
            return Err(AdoptError::BadName(name.to_owned()));
        }
        Ok(self.dir.join(name))
    }

    /// Checks that these are the files of a shard of `range`, none missing but those in `absent`.
    fn check(&self, range: TimeRange, absent: &[String]) -> Result<(), AdoptError> {
        let manifest_name = || "MANIFEST".to_owned();
        let inconsistent =
            |file: String, reason: &str| Err(AdoptError::Inconsistent { file, reason: reason.to_owned() });
        let Some(manifest) = Manifest::load(&*self.fs, &self.dir)? else {
            return inconsistent(manifest_name(), "is missing");
        };
        if manifest.range != range {
            return inconsistent(manifest_name(), "is of another range of time");
        }
        let entries = self.fs.list(&self.dir).map_err(FsError::on("list", &self.dir))?;
        let segments =
            manifest.segments.iter().map(|it| (segment::file_path(Path::new(""), it.number), it.size_bytes));
        let index =
            manifest.index_files.iter().map(|it| (index_path(Path::new(""), it.number), it.size_bytes));
        for (name, size_bytes) in segments.chain(index) {
            let name = name.display().to_string();
            match entries.iter().find(|entry| entry.name == name) {
                _ if absent.contains(&name) => {}
                None => return inconsistent(name, "is missing"),
                Some(entry) if entry.len != size_bytes => {
                    return inconsistent(name, "has not the length that the manifest says");
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

impl Drop for StagedShard {
    fn drop(&mut self) {
        if !self.stays
            && let Err(error) = self.fs.remove_dir_all(&self.dir)
        {
            tracing::warn!(dir = %self.dir.display(), %error, "a staged shard stays until the next start");
        }
    }
}

impl StagedFile {
    /// Appends; after an error, begin again with [`Self::restart`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.file.append(bytes).map_err(FsError::on("write", &self.path))?;
        self.len_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what was appended.
    pub fn restart(&mut self) -> Result<(), FsError> {
        self.cut(0)
    }

    /// Forgets what was appended beyond `len_bytes`.
    pub fn cut(&mut self, len_bytes: u64) -> Result<(), FsError> {
        self.file.truncate(len_bytes).map_err(FsError::on("truncate", &self.path))?;
        self.len_bytes = len_bytes;
        Ok(())
    }

    /// Hashes of what has arrived, block by block of `block_bytes`, from block `first` on, at most `count` of them.
    pub fn sums(&self, first: u64, count: usize, block_bytes: u64) -> Result<Vec<u64>, FsError> {
        let mut sums = Vec::with_capacity(count);
        for block in (first..).take(count) {
            let start = block.saturating_mul(block_bytes);
            let len = self.len_bytes.saturating_sub(start).min(block_bytes);
            if len == 0 {
                break;
            }
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            let bytes = self.fs.read_at(&self.path, start, len).map_err(FsError::on("read", &self.path))?;
            sums.push(sum_of_block(&bytes));
        }
        Ok(sums)
    }

    /// Makes it durable.
    pub fn sync(&self) -> Result<(), FsError> {
        self.file.sync().map_err(FsError::on("sync", &self.path))
    }

    /// Bytes appended so far.
    pub const fn len_bytes(&self) -> u64 {
        self.len_bytes
    }
}

/// Tells blocks of a file apart. Where both ends have the same, the bytes need not travel.
pub fn sum_of_block(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

impl Store {
    /// A place for the files of a shard to come.
    pub fn stage_shard(&self) -> Result<StagedShard, AdoptError> {
        let number = self.inner.staged.fetch_add(1, Ordering::Relaxed);
        let dir = self.inner.dir.join(format!("{number}{STAGED_SUFFIX}"));
        self.inner.fs.create_dir_all(&dir).map_err(FsError::on("create", &dir))?;
        Ok(StagedShard { fs: Arc::clone(&self.inner.fs), dir, stays: false })
    }

    /// The place for the files of a copy of shard `id`, with whatever has arrived in earlier attempts, also of earlier lives
    /// of this process. It stays when it is dropped.
    pub fn resume_copy(&self, id: ShardId) -> Result<StagedShard, AdoptError> {
        let dir = self.copying_dir(id);
        self.inner.fs.create_dir_all(&dir).map_err(FsError::on("create", &dir))?;
        Ok(StagedShard { fs: Arc::clone(&self.inner.fs), dir, stays: true })
    }

    /// Removes what has arrived of copies that nobody goes on with.
    pub fn forget_copies(&self, is_wanted: impl Fn(ShardId) -> bool) -> Result<(), FsError> {
        let Inner { fs, dir, .. } = &*self.inner;
        for entry in fs.list(dir).map_err(FsError::on("list", dir))? {
            let id = entry.name.strip_suffix(COPYING_SUFFIX).and_then(|id| id.parse().ok()).map(ShardId);
            if let Some(id) = id.filter(|id| entry.is_dir && !is_wanted(*id)) {
                let dir = self.copying_dir(id);
                fs.remove_dir_all(&dir).map_err(FsError::on("remove", &dir))?;
            }
        }
        Ok(())
    }

    fn copying_dir(&self, id: ShardId) -> PathBuf {
        self.inner.dir.join(format!("{id}{COPYING_SUFFIX}"))
    }

    /// Makes the staged files, each of them synced, the shard `id` of `range`. `absent` names files that were missing
    /// or damaged where the shard came from; any other damage refuses the shard, and then nothing of it stays, nor of
    /// what arrived.
    pub fn adopt_shard(
        &self,
        mut staged: StagedShard,
        id: ShardId,
        range: TimeRange,
        absent: &[String],
    ) -> Result<Arc<Shard>, AdoptError> {
        let inner = &*self.inner;
        // What makes no shard now would make none the next time either.
        staged.stays = false;
        staged.check(range, absent)?;
        let _changing = inner.changing.lock();
        if self.shard(id).is_some() {
            return Err(AdoptError::Exists(id));
        }
        let dir = inner.shard_dir(id);
        inner.fs.sync_dir(&staged.dir).map_err(FsError::on("sync", &staged.dir))?;
        inner.fs.rename(&staged.dir, &dir).map_err(FsError::on("rename", &staged.dir))?;
        // From here on the directory goes, if it must, under its new name.
        staged.dir.clone_from(&dir);
        inner.fs.sync_dir(&inner.dir).map_err(FsError::on("sync", &inner.dir))?;
        let shard = inner.open_shard(id, &dir)?;
        let report = shard.recovery();
        let is_known = |path: &PathBuf| {
            path.file_name().is_some_and(|name| absent.iter().any(|known| known.as_str() == name))
        };
        let damaged =
            report.damaged_segments.iter().chain(&report.damaged_index).find(|path| !is_known(path));
        let damaged = damaged.or(report.damaged_log.first().map(|log| &log.path));
        if let Some(path) = damaged {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Err(AdoptError::Inconsistent { file, reason: "is damaged".to_owned() });
        }
        staged.stays = true;
        inner.shards.write().insert(id, Arc::clone(&shard));
        Ok(shard)
    }
}
