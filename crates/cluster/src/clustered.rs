//! A node that is a member of a cluster: blocking calls from the threads of writes and queries become calls to other
//! nodes, and what changes in the catalogue is followed.

use std::{
    collections::BTreeSet,
    fmt,
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use skywatch_meta::{Applied, Catalogue, Command, HostError, NodeId};
use skywatch_model::{Clock, SystemClock, TimeRange, Version, line::PointBatch};
use skywatch_query::BackendError;
use skywatch_reads::{Patience, Remembered, Unreachable};
use skywatch_replication::{
    Admission, Catalogues, Consistency, Entropy, EntropySettings, ExecuteError, Member, MemberSettings,
    Outcome as Replicated, Owners, Part, Parts, Pending,
    log::{LogPath, LogSettings, WriteLog},
    operation::Target,
    restore_copies,
};
use skywatch_rpc::{CallCounts, Transport};
use skywatch_storage::{Rule, ShardId, Store, fs::OsFs};
use tokio::{runtime::Handle, task::JoinHandle};

use crate::{
    logged,
    node::{NodeCore, NodeError, Outcome, RETRY_AFTER_SECS},
    router::ShardPart,
    statistics::{LogStatistics, ReplicationStatistics},
    write::WriteError,
};

/// How long a query waits for the catalogue, and how often it looks.
const CURRENT_LIMIT: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How many commands of one write are under way at a time: a batch that begins hundreds of shard groups must not wait for each
/// of them, nor crowd out others.
const COMMANDS_AT_ONCE: usize = 16;

/// What a node needs to be a member of a cluster.
#[derive(Clone)]
pub struct Membership {
    /// Its number.
    pub me: NodeId,
    /// How it reaches others.
    pub transport: Arc<dyn Transport>,
    /// The catalogue.
    pub catalogues: Arc<dyn Catalogues>,
    /// Where its asynchronous work runs.
    pub runtime: Handle,
    /// How it takes part.
    pub settings: MemberSettings,
    /// How it compares its shards with those of others.
    pub entropy: EntropySettings,
    /// How long a write waits for owners, all in all.
    pub write_timeout: Duration,
    /// The log that writes go through, if this node is set to one.
    pub log: Option<WriteThrough>,
}

/// A log that writes go through.
#[derive(Debug, Clone)]
pub struct WriteThrough {
    /// Its name, the same for all nodes: the topic's.
    pub name: String,
    /// The log.
    pub log: Arc<dyn WriteLog>,
    /// How it is read and served.
    pub settings: LogSettings,
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership").field("me", &self.me).finish_non_exhaustive()
    }
}

impl Membership {
    /// Shards of which another node has all that this one has.
    pub(crate) fn replaceable(&self) -> BTreeSet<ShardId> {
        let catalogue = self.catalogues.current();
        let is_elsewhere = |shard: &&skywatch_meta::Shard| {
            let is_whole = |owner: &NodeId| *owner != self.me && !shard.joining.contains(owner);
            shard.is_owned_by(self.me) && shard.owners.iter().any(is_whole)
        };
        catalogue.live_shards().filter(is_elsewhere).map(|shard| ShardId(shard.id)).collect()
    }

    /// Opens what is kept for other nodes, below `data_dir`.
    pub(crate) fn enter(
        self,
        data_dir: &Path,
        store: &Arc<Store>,
        clock: &Arc<Clock>,
        admission: Arc<dyn Admission>,
    ) -> Result<Clustered, NodeError> {
        let Self { me, transport, catalogues, runtime, settings, entropy, write_timeout, log } = self;
        if let Some(error) = logged::mismatch(&catalogues.current(), log.as_ref().map(|log| &*log.name)) {
            return Err(error.into());
        }
        let parts = Parts {
            me,
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            wall: Arc::new(SystemClock),
            fs: Arc::new(OsFs),
            transport,
            catalogues,
            admission,
        };
        let member = Member::open(parts, &data_dir.join("hh"), settings)?;
        if let Some(WriteThrough { name, log, settings }) = log {
            let dir = data_dir.join("meta");
            member.write_through(LogPath::open(&member, Arc::new(OsFs), &dir, (&name, log), settings)?);
        }
        let entropy = Entropy::open(Arc::clone(&member), Arc::new(OsFs), &data_dir.join("meta"), entropy)?;
        Ok(Clustered {
            member,
            entropy,
            runtime,
            write_timeout,
            unreachable: Arc::default(),
            remembered: Arc::default(),
            calls: CallCounts::default(),
            patience: Patience::default(),
            tasks: Mutex::default(),
        })
    }
}

/// See the module's header.
pub(crate) struct Clustered {
    member: Arc<Member>,
    entropy: Arc<Entropy>,
    runtime: Handle,
    write_timeout: Duration,
    unreachable: Arc<Unreachable>,
    remembered: Arc<Remembered>,
    calls: CallCounts,
    patience: Patience,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Clustered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clustered").field("member", &self.member).finish_non_exhaustive()
    }
}

/// Whether queries may miss what is written after it, if they do not know of it.
const fn is_new_group(command: &Command) -> bool {
    matches!(command, Command::CreateShardGroup { .. } | Command::CreateLoggedShardGroup { .. })
}

impl Clustered {
    pub(crate) const fn member(&self) -> &Arc<Member> {
        &self.member
    }

    pub(crate) const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Nodes that did not answer queries lately.
    pub(crate) const fn unreachable(&self) -> &Arc<Unreachable> {
        &self.unreachable
    }

    /// Series that other nodes told queries of.
    pub(crate) const fn remembered(&self) -> &Arc<Remembered> {
        &self.remembered
    }

    /// Calls of others that were answered.
    pub(crate) const fn calls(&self) -> &CallCounts {
        &self.calls
    }

    /// How long queries wait for other nodes.
    pub(crate) const fn patience(&self) -> Patience {
        self.patience
    }

    /// How long a write may take, all in all.
    pub(crate) const fn write_timeout(&self) -> Duration {
        self.write_timeout
    }

    pub(crate) const fn entropy(&self) -> &Arc<Entropy> {
        &self.entropy
    }

    pub(crate) fn current(&self) -> Arc<Catalogue> {
        self.member.catalogues().current()
    }

    pub(crate) fn execute(&self, command: &Command) -> Result<Applied, HostError> {
        let mut all = self.execute_each(std::slice::from_ref(command))?;
        Ok(all.pop().unwrap_or_default())
    }

    /// Carries out commands that do not depend on each other, and lets the other data nodes know once.
    pub(crate) fn execute_all(&self, commands: &[Command]) -> Result<(), HostError> {
        self.execute_each(commands).map(|_| ())
    }

    fn execute_each(&self, commands: &[Command]) -> Result<Vec<Applied>, HostError> {
        let as_made = |command| Ok(self.as_it_is_made(command)?.unwrap_or_else(|| command.clone()));
        let commands: Vec<Command> = commands.iter().map(as_made).collect::<Result<_, HostError>>()?;
        let executing = async {
            let catalogues = self.member.catalogues();
            let all: Vec<Result<Applied, ExecuteError>> = stream::iter(&commands)
                .map(|command| catalogues.execute(command))
                .buffered(COMMANDS_AT_ONCE)
                .collect()
                .await;
            let changed = |(command, applied): (&Command, &Result<Applied, ExecuteError>)| {
                applied.as_ref().is_ok_and(|applied| applied.changed).then(|| is_new_group(command))
            };
            // Also where others have failed.
            match commands.iter().zip(&all).filter_map(changed).max() {
                Some(true) => self.member.make_catalogue_known().await,
                Some(false) => self.member.spread_catalogue().await,
                None => {}
            }
            all.into_iter().collect::<Result<Vec<Applied>, ExecuteError>>()
        };
        self.runtime.block_on(executing).map_err(|error| match error {
            ExecuteError::Refused(refusal) => HostError::Refused(refusal),
            ExecuteError::Unavailable(reason) => HostError::Unavailable(reason),
            other => HostError::Unavailable(other.to_string()),
        })
    }

    /// Waits until the copy of the catalogue is known to name every shard in which something was acknowledged.
    pub(crate) fn wait_until_current(&self) -> Result<(), BackendError> {
        let waiting = async {
            while !self.member.is_current() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let waited = self.runtime.block_on(async { tokio::time::timeout(CURRENT_LIMIT, waiting).await });
        waited.map_err(|_| {
            BackendError::Catalogue(format!(
                "node {} cannot tell which shards there are: neither a meta node nor every other data node answers",
                self.member.id().0
            ))
        })
    }

    /// Delivers hints, and follows the catalogue.
    pub(crate) fn start(&self, core: &Arc<NodeCore>) {
        let member = Arc::clone(&self.member);
        let delivering = self.runtime.spawn(async move { member.run().await });
        let member = Arc::clone(&self.member);
        let watching = self.runtime.spawn(async move { member.watch_wholeness().await });
        let member = Arc::clone(&self.member);
        let in_touch = self.runtime.spawn(async move { member.keep_in_touch().await });
        let entropy = Arc::clone(&self.entropy);
        let comparing = self.runtime.spawn(async move { entropy.run().await });
        let restoring = self.runtime.spawn(restore_copies(Arc::clone(&self.member)));
        let following =
            self.runtime.spawn(follow(Arc::downgrade(core), Arc::clone(self.member.catalogues())));
        let announcing = self.runtime.spawn(logged::announce(Arc::clone(&self.member)));
        let mut tasks = self.tasks.lock();
        tasks.extend([delivering, watching, in_touch, comparing, restoring, following, announcing]);
        if let Some(log) = self.member.log() {
            let [reading, watching, asking] = [(); 3].map(|()| Arc::clone(log));
            tasks.push(self.runtime.spawn(async move { reading.run().await }));
            tasks.push(self.runtime.spawn(async move { watching.watch_log().await }));
            tasks.push(self.runtime.spawn(async move { asking.watch_peers().await }));
        }
    }

    pub(crate) fn stop(&self) {
        self.tasks.lock().drain(..).for_each(|task| task.abort());
    }

    pub(crate) fn statistics(&self) -> ReplicationStatistics {
        let hints = self.member.hints().queues().into_iter().map(|(node, queue)| (node.0, queue.stats()));
        ReplicationStatistics {
            is_whole: self.member.is_whole(),
            hints: hints.collect(),
            entropy: self.entropy.stats(),
            log: self.member.log().map(|log| LogStatistics { done: log.stats(), lag: log.lag() }),
        }
    }

    /// Shards of the store that the catalogue has forgotten or given to others.
    pub(crate) fn shards_without_a_place(&self) -> Vec<u64> {
        let catalogue = self.current();
        let me = self.member.id();
        if catalogue.data_node(me).is_none() {
            // A node that was removed without being asked keeps what it has: there may be no other copy.
            return Vec::new();
        }
        let has_no_place = |id: &u64| match catalogue.live_shard(*id) {
            Some(shard) => !shard.is_owned_by(me),
            // One that this copy of the catalogue has not seen given out yet was created for another node's write.
            None => *id <= catalogue.shard_id_last(),
        };
        self.member.store().shards().iter().map(|shard| shard.id().0).filter(has_no_place).collect()
    }

    /// Writes the parts of a batch to their owners.
    pub(crate) fn write(
        &self,
        database: &str,
        batch: &PointBatch<'_>,
        parts: &[ShardPart],
        version: Version,
        level: Consistency,
    ) -> Result<Outcome, WriteError> {
        let (logged, direct): (Vec<&ShardPart>, Vec<&ShardPart>) =
            parts.iter().partition(|part| part.partition.is_some());
        let mut outcome = Outcome::default();
        if !logged.is_empty() {
            self.write_logged((database, batch), &logged, version, &mut outcome)?;
        }
        if direct.is_empty() {
            return Ok(outcome);
        }
        let wanted: Vec<Part<'_>> = direct
            .iter()
            .map(|part| Part {
                shard: part.shard,
                range: TimeRange::new(part.start_ns, part.end_ns - 1),
                points: &part.points,
                owners: &part.owners,
            })
            .collect();
        let writing = self.member.coordinator().write(database, batch, &wanted, version);
        let replicated = self
            .runtime
            .block_on(async { tokio::time::timeout(self.write_timeout, writing).await })
            .map_err(|_| WriteError::Timeout { after: self.write_timeout })?;
        for (part, replicated) in direct.iter().zip(replicated) {
            if !replicated.reaches(level) {
                return Err(below_level(replicated, level));
            }
            if replicated.is_gone {
                return Err(WriteError::Overloaded {
                    reason: "the shard was dropped while it was written to".to_owned(),
                    retry_after_secs: RETRY_AFTER_SECS,
                });
            }
            outcome.remote_points += (part.points.len() * replicated.stored_elsewhere) as u64;
            outcome.hinted_points += (part.points.len() * replicated.hinted) as u64;
            outcome.written += (part.points.len() - replicated.rejected.len()) as u64;
            if outcome.reason.is_none() {
                outcome.reason = replicated.rejected.values().next().map(ToString::to_string);
            }
            let refused = replicated.rejected.into_keys().filter_map(|point| part.points.get(point as usize));
            outcome.refused.extend(refused);
        }
        Ok(outcome)
    }

    /// Makes sure that the next version is greater than any that was given to a write acknowledged before.
    pub(crate) fn catch_up_clock(&self) {
        self.runtime.block_on(self.member.exchange_clocks());
    }

    /// An operation begins; see [`skywatch_replication::Pending`].
    pub(crate) fn begin_operation(&self) -> Pending {
        self.member.begin_operation()
    }

    /// Why a shard can take no further delete, if so, in words.
    pub(crate) fn refuses_deletes(&self, shard: u64, owners: &Owners) -> Option<String> {
        let asking = self.member.coordinator().refuses_deletes(shard, owners);
        self.runtime.block_on(async { tokio::time::timeout(self.write_timeout, asking).await.ok().flatten() })
    }

    /// Deletes cells of a shard at its owners; an owner that is away gets the delete later. Why not, in words.
    pub(crate) fn delete(
        &self,
        target: &Target<'_>,
        rule: &Rule,
        times: TimeRange,
        owners: &Owners,
    ) -> Result<(), String> {
        if let Some(refusal) = self.refuses_deletes(target.shard, owners) {
            return Err(refusal);
        }
        let deleting = self.member.coordinator().delete(target, rule, times, owners);
        let replicated = self
            .runtime
            .block_on(async { tokio::time::timeout(self.write_timeout, deleting).await })
            .map_err(|_| format!("the owners of shard {} did not answer in time", target.shard))?;
        if let Some(reason) = replicated.rejected.values().next() {
            return Err(format!("shard {} could not be deleted from: {reason}", target.shard));
        }
        if replicated.is_gone || (replicated.reaches(Consistency::Any) && replicated.hint_problem.is_none()) {
            return Ok(());
        }
        let problem = replicated.problem.unwrap_or_else(|| "no owner".to_owned());
        Err(format!(
            "shard {} could not be deleted from everywhere: {problem}; repeat the statement",
            target.shard
        ))
    }
}

impl Drop for Clustered {
    /// Its tasks would keep the store open.
    fn drop(&mut self) {
        self.stop();
    }
}

fn below_level(replicated: Replicated, level: Consistency) -> WriteError {
    let needed = level.needed(replicated.owners).max(1);
    let hint = replicated.hint_problem.map(|error| error.to_string());
    let reason = hint.or(replicated.problem).unwrap_or_else(|| "no owner".to_owned());
    if replicated.is_overloaded || replicated.is_untold {
        return WriteError::Overloaded { reason, retry_after_secs: RETRY_AFTER_SECS };
    }
    WriteError::BelowLevel { stored: replicated.stored, hinted: replicated.hinted, needed, reason }
}

/// Does what follows from every change of the catalogue.
async fn follow(core: Weak<NodeCore>, catalogues: Arc<dyn Catalogues>) {
    let mut changes = catalogues.changes();
    loop {
        let Some(core) = core.upgrade() else { return };
        let followed = tokio::task::spawn_blocking(move || core.follow_catalogue()).await;
        if followed.is_err() {
            tracing::error!("following the catalogue panicked");
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
