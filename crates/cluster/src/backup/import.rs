//! Into a node: files gathered beside the shards, then adopted.
//!
//! Order of a commit, and what a crash after each step leaves:
//! 1. shard ids are reserved in the catalogue: nothing but a gap in the numbers;
//! 2. staged shards are renamed to those ids: shards that the catalogue does not know, removed at the next open;
//! 3. the catalogue takes the database in, in one change: everything.
//!
//! Of a backup of a range of time the shards at its ends hold points beyond it; these are deleted before the third step, so that
//! nobody ever sees them.
//!
//! In a cluster the node that was sent the files owns all shards at first; those that the policy wants more copies of get
//! more owners, as after the loss of a node.

use std::{collections::BTreeMap, error::Error, sync::Arc};

use parking_lot::Mutex;
use skywatch_meta::{Command, HostError};
use skywatch_model::{TimeRange, Version, wall_clock_ns};
use skywatch_storage::{AdoptError, Shard, ShardId, StagedFile, StagedShard, TagPredicate};

use super::{BackupError, FileRef, Hasher, RestorePlan, SessionId, ShardCopy};
use crate::node::NodeCore;

/// What a restore session has received.
#[derive(Debug)]
pub(crate) struct Gathering {
    plan: RestorePlan,
    /// By the ids of the plan; `None` once the session has been committed.
    shards: Mutex<Option<BTreeMap<u64, Incoming>>>,
}

#[derive(Debug)]
struct Incoming {
    files: BTreeMap<String, Received>,
    staged: StagedShard,
}

#[derive(Debug)]
struct Received {
    file: StagedFile,
    hasher: Hasher,
    is_complete: bool,
}

impl Received {
    fn new(file: StagedFile) -> Self {
        Self { file, hasher: Hasher::default(), is_complete: false }
    }

    fn restart(&mut self) -> Result<(), BackupError> {
        (self.hasher, self.is_complete) = (Hasher::default(), false);
        self.file.restart().map_err(storage_error)
    }
}

impl NodeCore {
    pub(super) fn begin_restore(&self, plan: &RestorePlan) -> Result<SessionId, BackupError> {
        self.refuse_existing(&plan.database.name)?;
        check_plan(plan)?;
        let stage = |shard: &ShardCopy| {
            let staged = self.store.stage_shard().map_err(storage_error)?;
            Ok((shard.id, Incoming { files: BTreeMap::new(), staged }))
        };
        let shards = plan.shards.iter().map(stage).collect::<Result<_, _>>()?;
        let gathering = Gathering { plan: plan.clone(), shards: Mutex::new(Some(shards)) };
        self.desk.restores.begin(wall_clock_ns() as u64, gathering)
    }

    fn refuse_existing(&self, database: &str) -> Result<(), BackupError> {
        match self.host.current().database(database) {
            Some(_) => Err(BackupError::DatabaseExists(database.to_owned())),
            None => Ok(()),
        }
    }

    pub(super) fn put(&self, file: FileRef<'_>, offset: u64, bytes: &[u8]) -> Result<(), BackupError> {
        let session = self.desk.restores.get(file.session)?;
        let missing = || BackupError::NoFile { shard: file.shard, name: file.name.to_owned() };
        let planned = session.plan.shards.iter().find(|shard| shard.id == file.shard).ok_or_else(missing)?;
        let planned = planned.files.iter().find(|planned| planned.name == file.name).ok_or_else(missing)?;
        let mut shards = session.shards.lock();
        let gone = || BackupError::NoSession(file.session.to_owned());
        let Incoming { files, staged } =
            shards.as_mut().ok_or_else(gone)?.get_mut(&file.shard).ok_or_else(missing)?;
        if !files.contains_key(file.name) {
            let created = staged.create_file(file.name).map_err(storage_error)?;
            files.insert(file.name.to_owned(), Received::new(created));
        }
        let received = files.get_mut(file.name).ok_or_else(missing)?;
        if offset == 0 && received.file.len_bytes() > 0 {
            received.restart()?;
        }
        let expected = received.file.len_bytes();
        if offset != expected || received.is_complete {
            return Err(BackupError::WrongOffset { name: file.name.to_owned(), expected, found: offset });
        }
        if expected + bytes.len() as u64 > planned.size_bytes {
            let text = format!("{} is longer than the {} bytes announced", file.name, planned.size_bytes);
            return Err(BackupError::Inconsistent(text));
        }
        if let Err(error) = received.file.append(bytes) {
            received.restart()?;
            return Err(storage_error(error));
        }
        received.hasher.update(bytes);
        if received.file.len_bytes() < planned.size_bytes {
            return Ok(());
        }
        let found = received.hasher.finish();
        if found != planned.checksum {
            received.restart()?;
            let (shard, name, expected) = (file.shard, file.name.to_owned(), planned.checksum);
            return Err(BackupError::Checksum { shard, name, expected, found });
        }
        received.file.sync().map_err(storage_error)?;
        received.is_complete = true;
        Ok(())
    }

    pub(super) fn commit_restore(&self, session: &str) -> Result<(), BackupError> {
        let gathering = self.desk.restores.get(session)?;
        let plan = &gathering.plan;
        self.refuse_existing(&plan.database.name)?;
        let shards = {
            let mut shards = gathering.shards.lock();
            shards.as_ref().map_or(Ok(()), |shards| check_complete(plan, shards))?;
            shards.take().ok_or_else(|| BackupError::NoSession(session.to_owned()))?
        };
        // From here on the session is used up, whatever comes of it.
        drop(self.desk.restores.end(session));
        let mut adopted = Vec::new();
        // Between reservation and adoption the catalogue names none of them, and they would be tidied away.
        let _adopting = self.desk.adopting.lock();
        self.adopt(plan, shards, &mut adopted).inspect_err(|_| self.drop_shards(&adopted))
    }

    fn adopt(
        &self,
        plan: &RestorePlan,
        mut shards: BTreeMap<u64, Incoming>,
        adopted: &mut Vec<u64>,
    ) -> Result<(), BackupError> {
        let mut database = plan.database.clone();
        let groups = database.retention_policies.iter_mut().flat_map(|policy| &mut policy.shard_groups);
        let places: Vec<_> = groups
            .flat_map(|group| {
                let range = TimeRange::new(group.start_ns, group.end_ns - 1);
                group.shards.iter_mut().map(move |shard| (range, shard))
            })
            .collect();
        let command = Command::ReserveShards { count: places.len() as u64 };
        let ids = self.host.execute(&command).map_err(catalogue_error)?.reserved_shards;
        for ((range, place), id) in places.into_iter().zip(ids) {
            let known = plan.shards.iter().find(|shard| shard.id == place.id);
            if let (Some(shard), Some(incoming)) = (known, shards.remove(&place.id)) {
                // Whatever fails from here on, it has to go.
                adopted.push(id);
                let adopted = self.adopt_shard(incoming.staged, id, range, shard)?;
                if let Some(times) = plan.times {
                    self.trim(&adopted, range, times.range()).map_err(|error| inconsistent(shard, error))?;
                }
            }
            place.id = id;
        }
        // All of it is here; in a cluster other nodes become owners after, and copy it.
        let command = Command::AdoptDatabase { database, nodes: vec![self.host.own_number()] };
        self.host.execute(&command).map_err(catalogue_error)?;
        Ok(())
    }

    fn adopt_shard(
        &self,
        staged: StagedShard,
        id: u64,
        range: TimeRange,
        copy: &ShardCopy,
    ) -> Result<Arc<Shard>, BackupError> {
        let shard = self
            .store
            .adopt_shard(staged, ShardId(id), range, &copy.damaged)
            .map_err(|error: AdoptError| inconsistent(copy, error))?;
        // Settled, so that writes from now on win over what was restored, however far ahead the other clock was.
        shard.flush().map_err(|error| inconsistent(copy, error))?;
        let now_ms = u64::try_from(wall_clock_ns() / 1_000_000).unwrap_or(0);
        if let Err(ahead) = self.clock.observe(shard.latest_version(), now_ms) {
            tracing::warn!(shard = id, %ahead, "the restored shard was written by a clock far ahead of this one");
        }
        Ok(shard)
    }

    /// Deletes the points of a shard of the times `held` that are not among those `wanted`.
    fn trim(
        &self,
        shard: &Shard,
        held: TimeRange,
        wanted: TimeRange,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        // Later than all that was restored, also where that is ahead of the clock.
        let version = self.next_version(wall_clock_ns()).max(Version(shard.latest_version().0 + 1));
        let before = TimeRange::new(held.start, wanted.start.saturating_sub(1));
        let after = TimeRange::new(wanted.end.saturating_add(1), held.end);
        for unwanted in [before, after].into_iter().filter(|range| !range.is_empty()) {
            let measurements = shard.snapshot().measurements()?;
            shard.delete(&measurements, &TagPredicate::All, unwanted, version)?;
        }
        Ok(())
    }

    pub(super) fn abort_restore(&self, session: &str) -> Result<(), BackupError> {
        self.desk.restores.end(session).map(drop)
    }
}

/// Every shard of the plan has a place in the database, and just one.
fn check_plan(plan: &RestorePlan) -> Result<(), BackupError> {
    let groups = plan.database.retention_policies.iter().flat_map(|policy| &policy.shard_groups);
    let mut places: Vec<u64> = groups.clone().flat_map(|group| &group.shards).map(|shard| shard.id).collect();
    places.sort_unstable();
    let refused = |text: String| Err(BackupError::Inconsistent(text));
    if let Some(pair) = places.windows(2).find(|pair| pair[0] == pair[1]) {
        return refused(format!("shard {} has two places", pair[0]));
    }
    if let Some(group) = groups.clone().find(|group| group.start_ns >= group.end_ns) {
        return refused(format!("shard group {} has no extent", group.id));
    }
    match plan.shards.iter().find(|shard| places.binary_search(&shard.id).is_err()) {
        Some(shard) => refused(format!("shard {} has no place in the database", shard.id)),
        None => Ok(()),
    }
}

fn check_complete(plan: &RestorePlan, shards: &BTreeMap<u64, Incoming>) -> Result<(), BackupError> {
    for shard in &plan.shards {
        let received = shards.get(&shard.id);
        let is_here =
            |name: &str| received.is_some_and(|it| it.files.get(name).is_some_and(|it| it.is_complete));
        if let Some(file) = shard.files.iter().find(|file| !is_here(&file.name)) {
            let text = format!("file {} of shard {} was not sent whole", file.name, shard.id);
            return Err(BackupError::Inconsistent(text));
        }
    }
    Ok(())
}

/// What is wrong with the files of a shard.
fn inconsistent(copy: &ShardCopy, error: impl std::fmt::Display) -> BackupError {
    BackupError::Inconsistent(format!("shard {} of the backup: {error}", copy.id))
}

fn storage_error(error: impl std::fmt::Display) -> BackupError {
    BackupError::Storage(error.to_string())
}

fn catalogue_error(error: HostError) -> BackupError {
    match error {
        HostError::Refused(refusal) => BackupError::Inconsistent(refusal.to_string()),
        other => BackupError::Storage(other.to_string()),
    }
}
