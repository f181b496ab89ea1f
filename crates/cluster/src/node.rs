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

mod writing;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use skywatch_meta::{CatalogueHost, HostError, NodeId};
use skywatch_model::{Clock, Version, line::PointBatch};
use skywatch_monitor::Monitor;
use skywatch_query::{Backend, BackendError, Executor, Limits, NewRetentionPolicy};
use skywatch_replication::{Entropy, Member, offload};
use skywatch_rpc::Router;
use skywatch_storage::{
    CardinalityLimits, Durability, MemoryBudget, OpenError, Shard, ShardId, Store, StoreOptions,
    VersionPolicy,
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
    statistics::{NodeStatistics, WriteCounters, add},
    upkeep::{Upkeep, UpkeepSettings},
    write::{PointsRequest, WriteError, WriteRequest, WriteSummary},
};
pub(crate) use writing::Outcome;

/// The number of a single server.
pub(crate) const SINGLE_NODE: NodeId = NodeId(1);

/// Seconds a client is asked to wait when the store names no time.
pub(crate) const RETRY_AFTER_SECS: u32 = 1;

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
    /// Whether databases that are created without a policy begin with `autogen`. In a cluster its meta nodes decide.
    pub autogen: bool,
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
                let host = CatalogueHost::open(&meta)?.with_autogen(config.autogen);
                drop_forgotten_shards(&store, &host, &data, &meta)?;
                let clock = Arc::new(Clock::new(SINGLE_NODE.0 as u16, store.latest_version()));
                (Keeper::Local(host), clock)
            }
            Some(membership) => {
                let clock = Arc::new(Clock::new(membership.me.0 as u16, store.latest_version()));
                let admission = Arc::clone(&series_limits) as _;
                let member = membership.enter(&config.data_dir, &store, &clock, admission)?;
                (Keeper::Cluster(Arc::new(member)), clock)
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
            statistics.set_aside_files += shard.set_aside_files;
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
