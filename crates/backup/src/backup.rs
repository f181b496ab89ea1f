//! Making a backup.
//!
//! Order, so that an interruption at any point leaves the former backups whole: files under temporary names, their
//! own names once durable, the record last; only then are surplus records removed, and after them the files that no
//! record needs.

use std::path::Path;

use jiff::Timestamp;
use skywatch_cluster::backup::{Backups, FileCopy, FileListing, FileRef, Listing, ShardCopy};

use crate::{
    Error, Part, Progress, Task,
    directory::Directory,
    format::Record,
    plan::{Stock, surplus, unreferenced},
};

/// A transfer that comes out wrong is repeated so often.
const ATTEMPTS: usize = 2;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct BackupOptions {
    /// Databases; all, if empty.
    pub databases: Vec<String>,
    /// Which part of them.
    pub part: Part,
    /// How many backups of each database of the directory stay restorable, this one included.
    pub keep: usize,
    /// Where the node is, for the record.
    pub source: String,
    /// This release, for the record.
    pub skywatch_version: String,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BackupSummary {
    /// Number of the backup in its directory.
    pub number: u64,
    /// Databases in it.
    pub databases: usize,
    /// Its files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Of which copied now.
    pub copied_files: usize,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Files that are missing or unreadable on the node, with their shard.
    pub damaged: Vec<String>,
}

/// Copies into `dir` what it does not have, and records it as a backup.
pub fn backup(
    node: &dyn Backups,
    dir: &Path,
    options: &BackupOptions,
    progress: Progress,
) -> Result<BackupSummary, Error> {
    let directory = Directory::create(dir)?;
    directory.remove_partial()?;
    let created = Timestamp::now().to_string();
    let mut listing = node.begin_backup(&options.databases)?;
    let id = listing.session.clone();
    let session = Session { node, id: &id };
    refuse_part(&listing)?;
    options.part.choose(&mut listing)?;
    let mut copying = Copying {
        node,
        directory: &directory,
        session: &listing.session,
        stock: Stock::of(&directory.files()?),
        summary: BackupSummary { databases: listing.databases.len(), ..BackupSummary::default() },
    };
    let shards = copying.copy(&listing, progress)?;
    let mut summary = copying.summary;
    drop(session);
    let record = Record {
        created,
        source: options.source.clone(),
        skywatch_version: options.skywatch_version.clone(),
        selected: options.databases.clone(),
        part: options.part.clone(),
        databases: listing.databases,
        shards,
    };
    summary.number = directory.numbers()?.last().map_or(1, |last| last + 1);
    directory.commit(summary.number, &record)?;
    prune(&directory, options.keep)?;
    Ok(summary)
}

/// What a backup would hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Estimate {
    /// Databases.
    pub databases: usize,
    /// Files.
    pub files: usize,
    /// Their bytes; how many of them are copied depends on what the directory has already.
    pub bytes: u64,
}

/// What a backup of a part of these databases (of all, if none is named) would hold if it was made now.
pub fn estimate(node: &dyn Backups, databases: &[String], part: &Part) -> Result<Estimate, Error> {
    let mut listing = node.begin_backup(databases)?;
    let id = listing.session.clone();
    let _session = Session { node, id: &id };
    refuse_part(&listing)?;
    part.choose(&mut listing)?;
    let sizes = listing.shards.iter().flat_map(|shard| &shard.files).map(|file| file.size_bytes);
    Ok(Estimate { databases: listing.databases.len(), files: sizes.clone().count(), bytes: sizes.sum() })
}

/// One node of a cluster holds some of the shards, and would look like all of them.
fn refuse_part(listing: &Listing) -> Result<(), Error> {
    listing.node.map_or(Ok(()), |id| Err(Error::PartOfCluster(id)))
}

/// Removes surplus records, then files that none of the remaining ones needs.
fn prune(directory: &Directory, keep: usize) -> Result<(), Error> {
    let backups = directory.records()?;
    let surplus = surplus(&backups, keep);
    for number in &surplus {
        directory.remove_record(*number)?;
    }
    let remaining = backups.into_iter().filter(|(number, _)| !surplus.contains(number));
    // Nobody knows which files a damaged record needs: all of them stay.
    let Some(records) = remaining.map(|(_, record)| record).collect::<Option<Vec<_>>>() else {
        return Ok(());
    };
    for file in unreferenced(directory.files()?, &records) {
        directory.remove_file(&file)?;
    }
    Ok(())
}

/// Ends the session on the node, however the backup ends.
struct Session<'a> {
    node: &'a dyn Backups,
    id: &'a str,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // If the node cannot be told, it ends the session by itself.
        drop(self.node.end_backup(self.id));
    }
}

struct Copying<'a> {
    node: &'a dyn Backups,
    directory: &'a Directory,
    session: &'a str,
    stock: Stock,
    summary: BackupSummary,
}

impl Copying<'_> {
    fn copy(&mut self, listing: &Listing, progress: Progress) -> Result<Vec<ShardCopy>, Error> {
        let total = listing.shards.iter().flat_map(|shard| &shard.files).map(|file| file.size_bytes).sum();
        let mut task = progress.task("backing up", total);
        let mut shards = Vec::new();
        for shard in &listing.shards {
            let mut files = Vec::new();
            for file in &shard.files {
                files.push(match self.reuse(shard.id, file)? {
                    Some(copy) => {
                        task.add(copy.size_bytes);
                        copy
                    }
                    None => self.fetch(shard.id, file, &mut task)?,
                });
            }
            self.directory.sync_shard(shard.id)?;
            self.summary.files += files.len();
            self.summary.bytes += files.iter().map(|file| file.size_bytes).sum::<u64>();
            self.summary.damaged.extend(shard.damaged.iter().map(|name| format!("{}/{name}", shard.id)));
            shards.push(ShardCopy { id: shard.id, files, damaged: shard.damaged.clone() });
        }
        task.finish();
        Ok(shards)
    }

    fn file_ref<'b>(&'b self, shard: u64, name: &'b str) -> FileRef<'b> {
        FileRef { session: self.session, shard, name }
    }

    /// The file, if the directory has it.
    fn reuse(&self, shard: u64, file: &FileListing) -> Result<Option<FileCopy>, Error> {
        if !self.stock.may_have(shard, &file.name, file.size_bytes) {
            return Ok(None);
        }
        let checksum = self.node.checksum(self.file_ref(shard, &file.name))?;
        let copy = FileCopy { name: file.name.clone(), size_bytes: file.size_bytes, checksum };
        Ok(self.stock.has(shard, &copy).then_some(copy))
    }

    fn fetch(&mut self, shard: u64, file: &FileListing, task: &mut Task) -> Result<FileCopy, Error> {
        for _ in 0..ATTEMPTS {
            let mut receiving = self.directory.receive(shard, &file.name)?;
            self.node.read_file(self.file_ref(shard, &file.name), &mut |piece| {
                receiving.append(piece)?;
                task.add(piece.len() as u64);
                Ok(())
            })?;
            let checksum = self.node.checksum(self.file_ref(shard, &file.name))?;
            if (receiving.size_bytes, receiving.checksum()) == (file.size_bytes, checksum) {
                self.summary.copied_files += 1;
                self.summary.copied_bytes += file.size_bytes;
                return receiving.finish();
            }
        }
        Err(Error::Unfaithful { shard, name: file.name.clone() })
    }
}
