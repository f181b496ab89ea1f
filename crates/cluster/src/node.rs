//! A data node: opens the catalogue and the store, takes writes, gives the query engine its view, and keeps
//! retention. Blocking; shells call it from threads of their own.
//!
//! On disk, below the data directory:
//!
//! ```text
//! meta/catalogue.json     databases, policies, shard groups (skywatch_meta)
//! data/<shard id>/        one directory per shard            (skywatch_storage)
//! data/LOCK               held while a process uses the directory
//! ```

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use skywatch_meta::{CatalogueHost, Command, HostError, NodeId};
use skywatch_model::{
    Clock, TimeRange, Version,
    line::{LineError, ParseOptions, PointBatch, parse},
};
use skywatch_monitor::Monitor;
use skywatch_query::{Backend, BackendError, Executor, Limits, NewRetentionPolicy};
use skywatch_replication::{Entropy, Member, log::PositionToken, offload};
use skywatch_rpc::Router;
use skywatch_storage::{
    CardinalityLimits, Consumer, Durability, Exhausted, MemoryBudget, OpenError, Reservation, Shard, ShardId,
    Store, StoreOptions, VersionPolicy,
};

use crate::{
    accounts::VerifiedPasswords,
    backup::Desk,
    cardinality::SeriesLimits,
    clustered::Membership,
    colleagues,
    forward::Forwarder,
    keeper::Keeper,
    monitored::{self, NodeSource},
    overview,
    reading::OwnShards,
    router::{Route, ShardPart, plan_route},
    statistics::{NodeStatistics, WriteCounters, add},
    upkeep::{Upkeep, UpkeepSettings},
    write::{PointsRequest, WriteError, WriteErrorClass, WriteRequest, WriteSummary},
};

/// The number of a single server.
pub(crate) const SINGLE_NODE: NodeId = NodeId(1);

/// Seconds a client is asked to wait when the store names no time.
pub(crate) const RETRY_AFTER_SECS: u32 = 1;

/// What a parsed line takes, and each of its fields and tags; those of new series are counted once parsed.
const BYTES_PER_LINE: u64 = 32;
const BYTES_PER_VALUE: u64 = 8;

/// How long a write waits for memory to be parsed into.
const BATCH_PATIENCE: Duration = Duration::from_secs(2);

/// How a node runs.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Everything is stored below it; created if missing.
    pub data_dir: PathBuf,
    /// When a write is acknowledged.
    pub durability: Durability,
    /// What writes, queries and shards take their memory from.
    pub memory: Arc<MemoryBudget>,
    /// Limits of every database.
    pub cardinality: CardinalityLimits,
    /// Bounds on queries.
    pub limits: Limits,
    /// How often retention and shard groups ahead are looked after.
    pub upkeep: UpkeepSettings,
    /// What the node adds its numbers to.
    pub monitor: Arc<Monitor>,
}

/// Why a node did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The store did not open.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The catalogue did not open.
    #[error(transparent)]
    Catalogue(#[from] HostError),
    /// What is kept for other nodes did not open.
    #[error(transparent)]
    Hints(#[from] skywatch_storage::fs::FsError),
    /// The cluster writes through another log than this node is set to.
    #[error(transparent)]
    WriteLog(#[from] skywatch_meta::CatalogueError),
    /// Shards without a catalogue: opening would give their points no names, and then drop them.
    #[error(
        "{} holds shard {shard}, which {} does not know: the catalogue is missing or older than the data; \
         restore it from the same backup as the data",
        data.display(), catalogue.display()
    )]
    StrayShard {
        /// Directory of the shards.
        data: PathBuf,
        /// Directory of the catalogue.
        catalogue: PathBuf,
        /// A shard that was never given out.
        shard: u64,
    },
}

/// One data node. Dropping it without [`Node::close`] is what a crash does: nothing acknowledged is lost.
#[derive(Debug)]
pub struct Node {
    pub(crate) core: Arc<NodeCore>,
    executor: Executor,
    upkeep: Mutex<Option<Upkeep>>,
}

/// What a node's parts share.
#[derive(Debug)]
pub(crate) struct NodeCore {
    pub(crate) host: Keeper,
    pub(crate) store: Arc<Store>,
    memory: Arc<MemoryBudget>,
    pub(crate) series_limits: Arc<SeriesLimits>,
    pub(crate) clock: Arc<Clock>,
    /// Backups and restores under way.
    pub(crate) desk: Desk,
    /// Who takes copies of writes, once it was told.
    pub(crate) forwarder: OnceLock<Arc<dyn Forwarder>>,
    /// Held while it is told what the catalogue says.
    pub(crate) telling_subscriptions: Mutex<()>,
    /// Passwords that were right.
    pub(crate) verified: VerifiedPasswords,
    pub(crate) counters: WriteCounters,
    closing: AtomicBool,
    /// Clients should go elsewhere; see [`Node::readiness`].
    pub(crate) is_draining: AtomicBool,
}

impl Node {
    /// Opens the data of a server that is no member of a cluster, recovering what a crash left, and starts its upkeep.
    pub fn open(config: NodeConfig) -> Result<Arc<Self>, NodeError> {
        Self::open_with(config, None)
    }

    /// As [`Self::open`], for a member of a cluster.
    pub fn enter(config: NodeConfig, membership: Membership) -> Result<Arc<Self>, NodeError> {
        Self::open_with(config, Some(membership))
    }

    fn open_with(config: NodeConfig, membership: Option<Membership>) -> Result<Arc<Self>, NodeError> {
        let (data, meta) = (config.data_dir.join("data"), config.data_dir.join("meta"));
        // The store first: its lock keeps other processes away from the catalogue too.
        let versions = if membership.is_some() { VersionPolicy::Keep } else { VersionPolicy::Strip };
        let store = Arc::new(Store::open(
            &data,
            StoreOptions {
                durability: config.durability,
                memory: Arc::clone(&config.memory),
                versions,
                replaceable: membership.as_ref().map(Membership::replaceable).unwrap_or_default(),
                ..StoreOptions::default()
            },
        )?);
        let series_limits = Arc::new(SeriesLimits::new(config.cardinality));
        let (host, clock) = match membership {
            None => {
                let host = CatalogueHost::open(&meta)?;
                drop_forgotten_shards(&store, &host, &data, &meta)?;
                let clock = Arc::new(Clock::new(SINGLE_NODE.0 as u16, store.latest_version()));
                (Keeper::Local(host), clock)
            }
            Some(membership) => {
                let clock = Arc::new(Clock::new(membership.me.0 as u16, store.latest_version()));
                let admission = Arc::clone(&series_limits) as _;
                let member = membership.enter(&config.data_dir, &store, &clock, admission)?;
                (Keeper::Cluster(member), clock)
            }
        };
        let core = Arc::new(NodeCore {
            host,
            store,
            memory: Arc::clone(&config.memory),
            series_limits,
            clock,
            desk: Desk::default(),
            forwarder: OnceLock::new(),
            telling_subscriptions: Mutex::default(),
            verified: VerifiedPasswords::default(),
            counters: WriteCounters::default(),
            closing: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
        });
        core.limit_series();
        let executor =
            Executor::new(Arc::clone(&core) as Arc<dyn Backend>, config.limits).with_memory(config.memory);
        let executor = executor.with_monitor(Arc::clone(&config.monitor));
        config.monitor.add(Arc::new(NodeSource::new(&core)));
        monitored::describe(&core, &config.monitor);
        if let Keeper::Cluster(clustered) = &core.host {
            clustered.start(&core);
        }
        let upkeep = Mutex::new(Some(Upkeep::start(Arc::clone(&core), config.upkeep)));
        Ok(Arc::new(Self { core, executor, upkeep }))
    }

    /// Stores a body of line protocol. When this returns `Ok`, every point is durable as far as the configured
    /// durability goes; see [`WriteError`] for what is when it does not.
    pub fn write(&self, request: &WriteRequest<'_>) -> Result<WriteSummary, WriteError> {
        add(&self.core.counters.bytes, request.body.len() as u64);
        self.core.counted(|| self.core.write(request))
    }

    /// Stores points that did not come as line protocol; otherwise as [`Self::write`]. The memory of the batch is the
    /// caller's to account for.
    pub fn write_points(
        &self,
        request: &PointsRequest<'_>,
        batch: &PointBatch<'_>,
    ) -> Result<WriteSummary, WriteError> {
        self.core.write_points(request, batch, None)
    }

    /// As [`Self::write_points`], with a version that is not this node's to give: that of points which are the same points
    /// whoever stores them, and whenever.
    pub fn write_points_of(
        &self,
        request: &PointsRequest<'_>,
        batch: &PointBatch<'_>,
        version: Version,
    ) -> Result<WriteSummary, WriteError> {
        self.core.write_points(request, batch, Some(version))
    }

    /// Creates a database unless it exists; its default policy is called `retention_policy`, if that is not empty.
    pub fn ensure_database(&self, name: &str, retention_policy: &str) -> Result<(), BackendError> {
        if self.core.host.current().database(name).is_some() {
            return Ok(());
        }
        let named = NewRetentionPolicy { name: Some(retention_policy.to_owned()), ..Default::default() };
        let policy = (!retention_policy.is_empty()).then_some(&named);
        self.executor.backend().create_database(name, policy)
    }

    /// Gives copies of writes to `forwarder` from now on. Only the first call does anything.
    pub fn forward_to(&self, forwarder: Arc<dyn Forwarder>) {
        if self.core.forwarder.set(forwarder).is_ok() {
            self.core.tell_subscriptions();
        }
    }

    /// Runs queries on this node.
    pub const fn executor(&self) -> &Executor {
        &self.executor
    }

    /// What the node holds and has done.
    pub fn statistics(&self) -> NodeStatistics {
        let mut statistics = NodeStatistics {
            writes: self.core.counters.snapshot(),
            databases: self.core.host.current().databases().len() as u64,
            cardinality: self.core.cardinality(),
            ..NodeStatistics::default()
        };
        if let Keeper::Cluster(clustered) = &self.core.host {
            statistics.replication = Some(clustered.statistics());
        }
        for shard in self.core.store.shards() {
            let shard = shard.stats();
            statistics.shards += 1;
            statistics.series += shard.series;
            statistics.segments += shard.segments;
            statistics.segment_bytes += shard.segment_bytes;
            statistics.index_bytes += shard.index_bytes;
            statistics.wal_bytes += shard.log_bytes;
            statistics.memtable_bytes += shard.memory_bytes;
            statistics.damaged_segments += shard.damaged_segments;
            statistics.index_memory_bytes += shard.index_memory_bytes;
            statistics.tombstones += shard.tombstones;
            statistics.flush_queue += shard.flush_queue;
            statistics.compaction_backlog_bytes += shard.compaction_backlog_bytes;
        }
        statistics
    }

    /// The cluster it is a member of.
    pub fn member(&self) -> Option<&Arc<Member>> {
        match &self.core.host {
            Keeper::Local(_) => None,
            Keeper::Cluster(clustered) => Some(clustered.member()),
        }
    }

    /// How a member of a cluster compares its shards with those of others.
    pub fn entropy(&self) -> Option<&Arc<Entropy>> {
        match &self.core.host {
            Keeper::Local(_) => None,
            Keeper::Cluster(clustered) => Some(clustered.entropy()),
        }
    }

    /// The calls that a member of a cluster answers.
    pub fn calls(&self) -> Router {
        match &self.core.host {
            Keeper::Local(_) => Router::new(),
            Keeper::Cluster(clustered) => {
                let reads = skywatch_reads::router(OwnShards::new(&self.core), |work| offload(work));
                let own = clustered.member().router().and(clustered.entropy().all_routes());
                let calls =
                    own.and(reads).and(colleagues::router(&self.executor)).and(overview::router(&self.core));
                let calls = match clustered.member().log() {
                    Some(log) => calls.and(log.router()),
                    None => calls,
                };
                calls.counted(clustered.calls())
            }
        }
    }

    /// Refuses further writes, flushes what is in memory and releases the data directory.
    pub fn close(&self) {
        self.drain();
        self.core.closing.store(true, Ordering::Release);
        if let Keeper::Cluster(clustered) = &self.core.host {
            clustered.stop();
        }
        if let Some(upkeep) = self.upkeep.lock().take() {
            upkeep.stop();
        }
        self.core.desk.clear();
        if let Some(log) = self.member().and_then(|member| member.log()) {
            log.close();
        }
        if let Err(error) = self.core.store.close() {
            tracing::error!(%error, "could not flush everything; the write-ahead log still has it");
        }
    }
}

impl NodeCore {
    /// Counts a write and what became of it.
    fn counted(
        &self,
        write: impl FnOnce() -> Result<WriteSummary, WriteError>,
    ) -> Result<WriteSummary, WriteError> {
        let counters = &self.counters;
        add(&counters.requests, 1);
        let result = write();
        match &result {
            Ok(summary) => add(&counters.points_written, summary.points),
            Err(WriteError::Partial { written, dropped, .. }) => {
                add(&counters.points_written, *written);
                add(&counters.points_rejected, *dropped);
            }
            Err(WriteError::BelowLevel { .. }) => add(&counters.below_level, 1),
            Err(WriteError::Timeout { .. }) => add(&counters.timeouts, 1),
            Err(error) => match error.class() {
                WriteErrorClass::Retry => add(&counters.overloaded, 1),
                WriteErrorClass::Fatal => add(&counters.failed, 1),
                WriteErrorClass::Caller | WriteErrorClass::NotFound => {}
            },
        }
        result
    }

    fn write(&self, request: &WriteRequest<'_>) -> Result<WriteSummary, WriteError> {
        if self.closing.load(Ordering::Acquire) {
            return Err(WriteError::ShuttingDown);
        }
        let policy = request.retention_policy.unwrap_or("");
        self.check_target(request.database, policy)?;
        let mut parsed = self.memory_for(request.body)?;
        let mut batch = PointBatch::new();
        let options = ParseOptions { precision: request.precision, default_time_ns: request.received_at_ns };
        let bad_lines = parse(request.body, options, &mut batch);
        add(&self.counters.lines_unparsable, bad_lines.len() as u64);
        parsed.grow_to(batch.size_bytes().saturating_sub(request.body.len()) as u64).map_err(no_memory)?;
        if batch.is_empty() {
            return if bad_lines.is_empty() {
                Ok(WriteSummary::default())
            } else {
                Err(WriteError::Unparsable(join_lines(&bad_lines)))
            };
        }
        let target = PointsRequest {
            database: request.database,
            retention_policy: request.retention_policy,
            received_at_ns: request.received_at_ns,
            consistency: request.consistency,
        };
        self.store_batch(&target, &batch, &bad_lines, None)
    }

    /// See [`Node::write_points`] and [`Node::write_points_of`].
    pub(crate) fn write_points(
        &self,
        request: &PointsRequest<'_>,
        batch: &PointBatch<'_>,
        version: Option<Version>,
    ) -> Result<WriteSummary, WriteError> {
        self.counted(|| {
            if self.closing.load(Ordering::Acquire) {
                return Err(WriteError::ShuttingDown);
            }
            let policy = request.retention_policy.unwrap_or("");
            self.check_target(request.database, policy)?;
            if batch.is_empty() {
                return Ok(WriteSummary::default());
            }
            self.store_batch(request, batch, &[], version)
        })
    }

    fn store_batch(
        &self,
        request: &PointsRequest<'_>,
        batch: &PointBatch<'_>,
        bad_lines: &[LineError],
        version: Option<Version>,
    ) -> Result<WriteSummary, WriteError> {
        let PointsRequest { database, retention_policy, received_at_ns, consistency } = *request;
        let policy = retention_policy.unwrap_or("");
        let (parts, too_old) = self.route(database, policy, batch, received_at_ns)?;
        let pending = match &self.host {
            Keeper::Local(_) => None,
            Keeper::Cluster(clustered) => Some(clustered.begin_operation()),
        };
        let is_new = |version: &Version| pending.as_ref().is_none_or(|pending| *version >= pending.bound());
        // One that is older than what owners may have settled gets a version of its own: they would not take it.
        let version = match version.filter(is_new) {
            Some(version) => {
                // Whatever is written or deleted here after it is newer. One from the future is not: owners refuse it.
                self.clock.observe(version, u64::try_from(received_at_ns / 1_000_000).unwrap_or(0)).ok();
                version
            }
            None => self.next_version(received_at_ns),
        };
        let outcome = match &self.host {
            Keeper::Local(_) => self.write_parts(database, batch, &parts, version)?,
            Keeper::Cluster(clustered) => clustered.write(database, batch, &parts, version, consistency)?,
        };
        add(&self.counters.remote_points, outcome.remote_points);
        add(&self.counters.hinted_points, outcome.hinted_points);
        self.forward(database, policy, batch, &parts, &outcome.refused);
        outcome.conclude(too_old, bad_lines)
    }

    /// Takes memory for what the body will be parsed into, estimated from what it counts of lines and fields.
    fn memory_for(&self, body: &[u8]) -> Result<Reservation, WriteError> {
        let count = |wanted: u8| body.iter().filter(|byte| **byte == wanted).count() as u64;
        let bytes = (count(b'\n') + 1) * BYTES_PER_LINE + count(b'=') * BYTES_PER_VALUE;
        let closing = || self.closing.load(Ordering::Acquire);
        self.memory.reserve_within(Consumer::Batches, bytes, BATCH_PATIENCE, &closing).map_err(no_memory)
    }

    fn check_target(&self, database: &str, policy: &str) -> Result<(), WriteError> {
        let catalogue = self.host.current();
        let found =
            catalogue.database(database).ok_or_else(|| WriteError::DatabaseNotFound(database.to_owned()))?;
        match found.retention_policy(policy) {
            Some(_) => Ok(()),
            None => Err(WriteError::RetentionPolicyNotFound(policy.to_owned())),
        }
    }

    /// Plans the parts of a batch, creating the shard groups it needs.
    fn route(
        &self,
        database: &str,
        policy: &str,
        batch: &PointBatch<'_>,
        now_ns: i64,
    ) -> Result<(Vec<ShardPart>, u64), WriteError> {
        loop {
            let catalogue = self.host.current();
            let found = catalogue
                .database(database)
                .ok_or_else(|| WriteError::DatabaseNotFound(database.to_owned()))?
                .retention_policy(policy)
                .ok_or_else(|| WriteError::RetentionPolicyNotFound(policy.to_owned()))?;
            match plan_route(found, batch, now_ns) {
                Route::Complete { parts, too_old } => return Ok((parts, too_old)),
                Route::MissingGroups(times_ns) => {
                    let create = |time_ns| Command::CreateShardGroup {
                        database: database.to_owned(),
                        retention_policy: found.name.clone(),
                        time_ns,
                        nodes: self.host.placement(),
                    };
                    let commands: Vec<Command> = times_ns.into_iter().map(create).collect();
                    self.host.execute_all(&commands).map_err(WriteError::Catalogue)?;
                }
            }
        }
    }

    fn write_parts(
        &self,
        database: &str,
        batch: &PointBatch<'_>,
        parts: &[ShardPart],
        version: Version,
    ) -> Result<Outcome, WriteError> {
        let limit = self.series_limits.of(database);
        let mut outcome = Outcome::default();
        for part in parts {
            let range = TimeRange::new(part.start_ns, part.end_ns - 1);
            let shard = self.store.create_shard(ShardId(part.shard), range).map_err(storage_error)?;
            shard.limit_series(&limit);
            let report = shard.write(batch, &part.points, version).map_err(write_error)?;
            outcome.written += report.written;
            outcome.refused.extend(report.rejected.iter().map(|rejected| rejected.point));
            if outcome.reason.is_none() {
                outcome.reason =
                    report.rejected.into_iter().next().map(|rejected| rejected.reason.to_string());
            }
        }
        Ok(outcome)
    }

    pub(crate) fn next_version(&self, now_ns: i64) -> Version {
        self.clock.tick(u64::try_from(now_ns / 1_000_000).unwrap_or(0))
    }

    /// The shard with this id, if it has ever been written to.
    pub(crate) fn open_shard(&self, id: u64) -> Option<Arc<Shard>> {
        self.store.shard(ShardId(id))
    }

    /// Removes the files of shards that have lost their place in the catalogue. One that cannot be removed now
    /// is removed when the node opens again.
    pub(crate) fn drop_shards(&self, ids: &[u64]) {
        for &id in ids {
            if let Err(error) = self.store.drop_shard(ShardId(id)) {
                tracing::warn!(shard = id, %error, "could not remove a dropped shard; it goes at the next start");
            }
        }
    }

    /// What follows from a changed catalogue: shards that have no place here any more go, limits and subscriptions are
    /// those of now.
    pub(crate) fn follow_catalogue(&self) {
        if let Keeper::Cluster(clustered) = &self.host {
            let _adopting = self.desk.adopting.lock();
            self.drop_shards(&clustered.shards_without_a_place());
        }
        self.limit_series();
        self.tell_subscriptions();
    }
}

/// What became of the points of one batch that had a shard.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) written: u64,
    /// Positions in the batch of those that do not fit their shard.
    pub(crate) refused: Vec<u32>,
    /// Why the first rejected point was.
    pub(crate) reason: Option<String>,
    /// Copies that went to other owners at once, and that are kept for them, in points.
    pub(crate) remote_points: u64,
    /// See [`Self::remote_points`].
    pub(crate) hinted_points: u64,
    /// Where they are in the log.
    pub(crate) position: PositionToken,
}

impl Outcome {
    /// The answer to the client. As in InfluxDB, a type conflict is told before points beyond retention, and
    /// both before lines that did not parse; here the later ones are told too.
    fn conclude(self, too_old: u64, bad_lines: &[LineError]) -> Result<WriteSummary, WriteError> {
        let mut reasons: Vec<String> = self.reason.into_iter().collect();
        if too_old > 0 {
            reasons.push("points beyond retention policy".to_owned());
        }
        if !bad_lines.is_empty() {
            reasons.push(join_lines(bad_lines));
        }
        if reasons.is_empty() {
            return Ok(WriteSummary { points: self.written, position: self.position });
        }
        Err(WriteError::Partial {
            reason: reasons.join("\n"),
            dropped: self.refused.len() as u64 + too_old,
            written: self.written,
        })
    }
}

fn no_memory(full: Exhausted) -> WriteError {
    if full.is_hopeless() {
        let limit_bytes = full.total_bytes / 2;
        return WriteError::TooLarge { needed_bytes: full.wanted_bytes, limit_bytes };
    }
    WriteError::Overloaded { reason: full.to_string(), retry_after_secs: RETRY_AFTER_SECS }
}

fn join_lines(errors: &[LineError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn storage_error(error: impl std::fmt::Display) -> WriteError {
    WriteError::Storage(error.to_string())
}

fn write_error(error: skywatch_storage::WriteError) -> WriteError {
    use skywatch_storage::WriteError as Storage;
    match error {
        Storage::Overloaded { retry_after, .. } | Storage::TooManyNewSeries { retry_after, .. } => {
            WriteError::Overloaded {
                reason: error.to_string(),
                retry_after_secs: (retry_after.as_millis().div_ceil(1000) as u32).max(RETRY_AFTER_SECS),
            }
        }
        Storage::TooLarge { bytes, limit_bytes } => WriteError::TooLarge { needed_bytes: bytes, limit_bytes },
        // Retention or DROP removed the shard between routing and writing: routed again, the points find
        // their new group or are too old.
        Storage::Closed => WriteError::Overloaded {
            reason: "the shard was dropped while it was written to".to_owned(),
            retry_after_secs: RETRY_AFTER_SECS,
        },
        other => WriteError::Storage(other.to_string()),
    }
}

/// Shards that the catalogue has forgotten (a crash came between dropping and removing) are removed now; a
/// shard that it never gave out means that the catalogue is not the one that belongs to this data.
fn drop_forgotten_shards(
    store: &Store,
    host: &CatalogueHost,
    data: &Path,
    meta: &Path,
) -> Result<(), NodeError> {
    let catalogue = host.current();
    let live: std::collections::HashSet<u64> = catalogue.live_shards().map(|shard| shard.id).collect();
    for shard in store.shards() {
        let id = shard.id().0;
        if id > catalogue.shard_id_last() {
            return Err(NodeError::StrayShard {
                data: data.to_path_buf(),
                catalogue: meta.to_path_buf(),
                shard: id,
            });
        }
        if !live.contains(&id)
            && let Err(error) = store.drop_shard(ShardId(id))
        {
            tracing::warn!(shard = id, %error, "could not remove a dropped shard; it goes at the next start");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
