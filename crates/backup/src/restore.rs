//! Sending a backup to a node.

use std::path::Path;

use skywatch_cluster::backup::{Backups, FileRef, RestorePlan};

use crate::{Error, Part, Progress, Selection, Task, directory::Directory, plan::plans, verify::check_files};

/// Bytes sent at once; servers take bodies of 25 MB unless told otherwise.
const SEND_BYTES: usize = 4 << 20;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RestoreSummary {
    /// The backup it came from.
    pub number: u64,
    /// When that one was made, RFC 3339.
    pub created: String,
    /// Which part of its databases that one holds.
    pub part: Part,
    /// Names of the databases that are there now.
    pub databases: Vec<String>,
    /// Files sent.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Makes databases of a backup in `dir`, after reading all of it once to see that it is whole. Each database is
/// there with all its points or not at all; one that exists already refuses everything.
pub fn restore(
    node: &dyn Backups,
    dir: &Path,
    selection: &Selection,
    progress: Progress,
) -> Result<RestoreSummary, Error> {
    let directory = Directory::open(dir);
    let (number, record) = directory.choose(selection.number, selection.database.as_deref())?;
    let plans = plans(&record, selection)?;
    let files = plans.iter().flat_map(|plan| &plan.shards);
    let files: Vec<_> = files.flat_map(|shard| shard.files.iter().map(|file| (shard.id, file))).collect();
    let total = files.iter().fold(0, |bytes: u64, (_, file)| bytes.saturating_add(file.size_bytes));
    let mut task = progress.task("checking", total);
    let problems = check_files(&directory, files.iter().copied(), &mut task)?;
    if !problems.is_empty() {
        return Err(Error::Damaged(problems));
    }
    task.finish();
    // A name that is taken is told before anything is sent.
    for plan in plans.iter().skip(1) {
        let session = node.begin_restore(plan)?;
        node.abort_restore(&session)?;
    }
    let mut summary = RestoreSummary {
        number,
        created: record.created,
        part: record.part,
        files: files.len(),
        bytes: total,
        ..Default::default()
    };
    let mut task = progress.task("restoring", total);
    for plan in &plans {
        if let Err(error) = restore_one(node, &directory, plan, &mut task) {
            if summary.databases.is_empty() {
                return Err(error);
            }
            let (done, database) = (summary.databases, plan.database.name.clone());
            return Err(Error::Partly { done, database, source: Box::new(error) });
        }
        summary.databases.push(plan.database.name.clone());
    }
    task.finish();
    Ok(summary)
}

fn restore_one(
    node: &dyn Backups,
    directory: &Directory,
    plan: &RestorePlan,
    task: &mut Task,
) -> Result<(), Error> {
    let session = node.begin_restore(plan)?;
    let outcome =
        send(node, directory, plan, &session, task).and_then(|()| Ok(node.commit_restore(&session)?));
    if outcome.is_err() {
        // If the node cannot be told, it forgets the session by itself.
        drop(node.abort_restore(&session));
    }
    outcome
}

fn send(
    node: &dyn Backups,
    directory: &Directory,
    plan: &RestorePlan,
    session: &str,
    task: &mut Task,
) -> Result<(), Error> {
    for shard in &plan.shards {
        for file in &shard.files {
            let target = FileRef { session, shard: shard.id, name: &file.name };
            let mut buffer = Vec::with_capacity(SEND_BYTES);
            let mut offset = 0;
            let mut put = |buffer: &mut Vec<u8>| -> Result<(), Error> {
                node.put(target, offset, buffer)?;
                offset += buffer.len() as u64;
                task.add(buffer.len() as u64);
                buffer.clear();
                Ok(())
            };
            directory.read_file(shard.id, file, |piece| {
                if buffer.len() + piece.len() > SEND_BYTES {
                    put(&mut buffer)?;
                }
                buffer.extend_from_slice(piece);
                Ok(())
            })?;
            if !buffer.is_empty() || file.size_bytes == 0 {
                put(&mut buffer)?;
            }
        }
    }
    Ok(())
}
