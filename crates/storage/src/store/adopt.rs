//! Taking in shards that were copied from elsewhere.
//!
//! ```text
//! DIR/<n>.staged/    files arrive here; removed when given up, and at the next open
//! DIR/<id>/          after Store::adopt_shard: a shard like any other
//! ```
//!
//! A staged shard becomes one by a single rename after everything in it is durable. A crash before it leaves
//! nothing, one after it the whole shard; whether anybody knows of that shard is its owner's business.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use skywatch_model::TimeRange;

use super::Store;
use crate::{
    OpenError, Shard, ShardId,
    fs::{File, Fs, FsError, TEMPORARY_SUFFIX},
    manifest::Manifest,
    segment,
    shard::index_path,
};

/// Ends the names of directories that are being filled.
pub(super) const STAGED_SUFFIX: &str = ".staged";

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

/// A directory being filled with the files of a shard; removed when dropped before it was adopted.
#[derive(Debug)]
pub struct StagedShard {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    is_adopted: bool,
}

/// A file being received.
#[derive(Debug)]
pub struct StagedFile {
    file: Arc<dyn File>,
    path: PathBuf,
    len_bytes: u64,
}

impl StagedShard {
    /// Begins a file. `name` must be a plain one: nothing leads out of the directory.
    pub fn create_file(&self, name: &str) -> Result<StagedFile, AdoptError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let is_good = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_plain);
        if !is_good || name.ends_with(TEMPORARY_SUFFIX) {
            return Err(AdoptError::BadName(name.to_owned()));
        }
        let path = self.dir.join(name);
        let file = self.fs.create(&path).map_err(FsError::on("create", &path))?;
        Ok(StagedFile { file, path, len_bytes: 0 })
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
        if !self.is_adopted
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
        self.file.truncate(0).map_err(FsError::on("truncate", &self.path))?;
        self.len_bytes = 0;
        Ok(())
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

impl Store {
    /// A place for the files of a shard to come.
    pub fn stage_shard(&self) -> Result<StagedShard, AdoptError> {
        let number = self.inner.staged.fetch_add(1, Ordering::Relaxed);
        let dir = self.inner.dir.join(format!("{number}{STAGED_SUFFIX}"));
        self.inner.fs.create_dir_all(&dir).map_err(FsError::on("create", &dir))?;
        Ok(StagedShard { fs: Arc::clone(&self.inner.fs), dir, is_adopted: false })
    }

    /// Makes the staged files, each of them synced, the shard `id` of `range`. `absent` names files that were missing
    /// or damaged where the shard came from; any other damage refuses the shard, and then nothing of it stays.
    pub fn adopt_shard(
        &self,
        mut staged: StagedShard,
        id: ShardId,
        range: TimeRange,
        absent: &[String],
    ) -> Result<Arc<Shard>, AdoptError> {
        let inner = &*self.inner;
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
        staged.is_adopted = true;
        inner.shards.write().insert(id, Arc::clone(&shard));
        Ok(shard)
    }
}
