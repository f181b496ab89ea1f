//! Out of a node: pinned files and their checksums.

use std::collections::BTreeMap;

use skywatch_meta::{Database, RetentionPolicy};
use skywatch_model::wall_clock_ns;
use skywatch_storage::PinnedFile;

use super::{BackupError, ByteSink, Checksum, FileListing, FileRef, Listing, PIECE_BYTES, ShardListing};
use crate::node::NodeCore;

/// The files of a backup session, by shard and name.
#[derive(Debug, Default)]
pub(crate) struct Pinned {
    files: BTreeMap<(u64, String), PinnedFile>,
}

impl Pinned {
    fn file(&self, file: FileRef<'_>) -> Result<&PinnedFile, BackupError> {
        let missing = || BackupError::NoFile { shard: file.shard, name: file.name.to_owned() };
        self.files.get(&(file.shard, file.name.to_owned())).ok_or_else(missing)
    }
}

impl NodeCore {
    pub(super) fn begin_backup(&self, wanted: &[String]) -> Result<Listing, BackupError> {
        // Before the shards: whatever was acknowledged by now went to a shard that is in it.
        let databases = self.backed_up(wanted)?;
        // Before the files are pinned, too: what is acknowledged from then on need not be in them.
        let lacking = self.host.lacking(&databases);
        let mut pinned = Pinned::default();
        let mut shards = Vec::new();
        for id in shard_ids(&databases).filter(|id| !lacking.contains(id)) {
            // A shard that nothing was written to yet has no files; neither has one dropped meanwhile.
            let Some(shard) = self.open_shard(id) else { continue };
            match shard.pin() {
                Ok(pin) => {
                    let files = pin.files.iter().map(|file| FileListing {
                        name: file.name().to_owned(),
                        size_bytes: file.bytes().len() as u64,
                    });
                    shards.push(ShardListing { id, files: files.collect(), damaged: pin.damaged });
                    let files = pin.files.into_iter().map(|file| ((id, file.name().to_owned()), file));
                    pinned.files.extend(files);
                }
                Err(_) if self.open_shard(id).is_none() => {}
                Err(error) => return Err(BackupError::Storage(format!("shard {id}: {error}"))),
            }
        }
        let session = self.desk.backups.begin(wall_clock_ns() as u64, pinned)?;
        let node = self.host.number_in_cluster();
        Ok(Listing { session, databases, shards, node, lacking, ..Listing::default() })
    }

    /// The databases named, or all; their deleted groups left out.
    fn backed_up(&self, wanted: &[String]) -> Result<Vec<Database>, BackupError> {
        let catalogue = self.host.current();
        let mut databases: Vec<Database> = if wanted.is_empty() {
            catalogue.databases().to_vec()
        } else {
            let find = |name: &String| {
                let found = catalogue.database(name).cloned();
                found.ok_or_else(|| BackupError::DatabaseNotFound(name.clone()))
            };
            wanted.iter().map(find).collect::<Result<_, _>>()?
        };
        for policy in databases.iter_mut().flat_map(|database| &mut database.retention_policies) {
            policy.shard_groups.retain(|group| group.deleted_at_ns.is_none());
        }
        Ok(databases)
    }

    pub(super) fn read_file(&self, file: FileRef<'_>, sink: ByteSink<'_>) -> Result<(), BackupError> {
        let pinned = self.desk.backups.get(file.session)?;
        for piece in pinned.file(file)?.bytes().chunks(PIECE_BYTES) {
            sink(piece).map_err(BackupError::Sink)?;
        }
        // The session was in use until now, however long that took.
        self.desk.backups.get(file.session).map(drop)
    }

    pub(super) fn checksum(&self, file: FileRef<'_>) -> Result<Checksum, BackupError> {
        let pinned = self.desk.backups.get(file.session)?;
        let bytes = pinned.file(file)?.bytes();
        // Segments and index files are never rewritten under their names; the manifest is.
        let is_immutable = file.name.ends_with(".seg") || file.name.ends_with(".idx");
        let key = (file.shard, file.name.to_owned());
        if let Some(known) = self.desk.checksums.lock().get(&key).filter(|_| is_immutable) {
            return Ok(*known);
        }
        let checksum = Checksum::of(bytes);
        if is_immutable {
            self.desk.checksums.lock().insert(key, checksum);
        }
        Ok(checksum)
    }

    pub(super) fn end_backup(&self, session: &str) -> Result<(), BackupError> {
        let ended = self.desk.backups.end(session)?;
        // Of the shards of this backup, remember the files there are; the others have been replaced.
        let shards: std::collections::BTreeSet<u64> = ended.files.keys().map(|(shard, _)| *shard).collect();
        let is_current = |key: &(u64, String)| {
            ended.files.contains_key(key) || (!shards.contains(&key.0) && self.open_shard(key.0).is_some())
        };
        self.desk.checksums.lock().retain(|key, _| is_current(key));
        Ok(())
    }
}

fn shard_ids(databases: &[Database]) -> impl Iterator<Item = u64> {
    databases
        .iter()
        .flat_map(|database| &database.retention_policies)
        .flat_map(RetentionPolicy::live_shard_groups)
        .flat_map(|group| &group.shards)
        .map(|shard| shard.id)
}
