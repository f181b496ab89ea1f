//! What a node tells the monitor of its databases, shards and writes, under InfluxDB's names.
//!
//! Each shard tells five statistics, named after the parts of InfluxDB's engine that ours stand for: `shard` itself,
//! `tsm1_engine` (flushes and merges), `tsm1_cache` (memtables), `tsm1_filestore` (segments), `tsm1_wal` (the log).
//! The tags `engine` and `indexType` say what InfluxDB says, since dashboards select by them.

mod replication;

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
};

use skywatch_meta::{Database, RetentionPolicy};
use skywatch_monitor::{Diagnostics, Monitor, Selection, Statistic, StatisticsSource};
use skywatch_storage::{Shard, ShardStats, ShardWork};

use crate::{keeper::Keeper, node::NodeCore, statistics::WriteStatistics};

/// Statistics of a shard, in InfluxDB's order.
const OF_SHARDS: [&str; 5] = ["shard", "tsm1_engine", "tsm1_cache", "tsm1_filestore", "tsm1_wal"];

/// Tells of a node for as long as it is open.
#[derive(Debug)]
pub(crate) struct NodeSource(Weak<NodeCore>);

impl NodeSource {
    pub(crate) fn new(core: &Arc<NodeCore>) -> Self {
        Self(Arc::downgrade(core))
    }
}

/// Adds what a member of a cluster shows besides.
pub(crate) fn describe(core: &Arc<NodeCore>, monitor: &Monitor) {
    if matches!(core.host, Keeper::Local(_)) {
        return;
    }
    let core = Arc::downgrade(core);
    monitor.describe("hh", move || match core.upgrade().as_deref().map(|core| &core.host) {
        Some(Keeper::Cluster(clustered)) => replication::diagnostics(clustered.member()),
        _ => Diagnostics::new(),
    });
}

impl StatisticsSource for NodeSource {
    fn collect(&self, selection: Selection<'_>, statistics: &mut Vec<Statistic>) {
        let Some(core) = self.0.upgrade() else { return };
        if selection.includes("database") {
            statistics.extend(core.database_statistics());
        }
        if OF_SHARDS.iter().any(|name| selection.includes(name)) {
            core.each_shard(|database, policy, shard| {
                statistics.extend(shard_statistics(database, policy, shard));
            });
        }
        if selection.includes("write") {
            let writes = core.counters.snapshot();
            statistics.push(match &core.host {
                Keeper::Local(_) => write_statistics(&writes),
                Keeper::Cluster(_) => replication::of_writes(write_statistics(&writes), &writes),
            });
        }
        if let Keeper::Cluster(clustered) = &core.host {
            let (member, entropy, calls) = (clustered.member(), clustered.entropy(), clustered.calls());
            replication::collect(member, entropy, calls, selection, statistics);
        }
        // InfluxDB tells it only when asked for.
        if selection.names("indexes") {
            let shards = core.store.shards();
            let bytes = shards.iter().map(|shard| shard.stats().index_memory_bytes).sum();
            statistics.push(Statistic::new("indexes").values([("memoryBytes", bytes)]));
        }
    }
}

impl NodeCore {
    fn database_statistics(&self) -> Vec<Statistic> {
        let catalogue = self.host.current();
        let of = |database: &Database| {
            let shards = live_shards(database).filter_map(|id| self.open_shard(id));
            // What cannot be read is not counted.
            let names = |shard: Arc<Shard>| shard.snapshot().measurements().unwrap_or_default();
            let measurements: BTreeSet<Arc<str>> = shards.flat_map(names).collect();
            let series = self.series_limits.of(&database.name).estimate();
            Statistic::new("database")
                .tag("database", &*database.name)
                .values([("numMeasurements", measurements.len() as u64), ("numSeries", series)])
        };
        catalogue.databases().iter().map(of).collect()
    }

    /// Calls with every shard that has files, its database and its policy.
    fn each_shard(&self, mut call: impl FnMut(&Database, &RetentionPolicy, &Shard)) {
        for database in self.host.current().databases() {
            for policy in &database.retention_policies {
                for shard in policy.live_shard_groups().flat_map(|group| &group.shards) {
                    if let Some(shard) = self.open_shard(shard.id) {
                        call(database, policy, &shard);
                    }
                }
            }
        }
    }
}

fn live_shards(database: &Database) -> impl Iterator<Item = u64> {
    let groups = database.retention_policies.iter().flat_map(RetentionPolicy::live_shard_groups);
    groups.flat_map(|group| &group.shards).map(|shard| shard.id)
}

fn shard_statistics(database: &Database, policy: &RetentionPolicy, shard: &Shard) -> [Statistic; 5] {
    let path = shard.dir().display().to_string();
    let (stats, work) = (shard.stats(), shard.work());
    let of = |name| {
        Statistic::new(name)
            .tag("database", &*database.name)
            .tag("engine", "tsm1")
            .tag("id", shard.id().to_string())
            .tag("indexType", "tsi1")
            .tag("path", &*path)
            .tag("retentionPolicy", &*policy.name)
            .tag("walPath", &*path)
    };
    let [shard, engine, cache, files, log] = OF_SHARDS.map(of);
    [
        shard_values(shard, &stats, &work),
        engine_values(engine, &work),
        cache_values(cache, &stats, &work),
        files.values([("diskBytes", stats.segment_bytes), ("numFiles", stats.segments)]),
        log_values(log, &stats, &work),
    ]
}

fn shard_values(statistic: Statistic, stats: &ShardStats, work: &ShardWork) -> Statistic {
    statistic.values([
        ("diskBytes", stats.disk_bytes()),
        ("fieldsCreate", work.fields_created),
        ("seriesCreate", stats.series),
        ("writePointsDropped", work.points_rejected),
        ("writePointsErr", work.points_failed),
        ("writePointsOk", work.points_written),
        ("writeReq", work.writes_ok + work.writes_failed),
        ("writeReqErr", work.writes_failed),
        ("writeReqOk", work.writes_ok),
    ])
}

/// Ours has one kind of merge; it stands where InfluxDB has its full compaction.
fn engine_values(statistic: Statistic, work: &ShardWork) -> Statistic {
    statistic
        .values([
            ("cacheCompactions", work.flushes.done),
            ("cacheCompactionsActive", work.flushes.active),
            ("cacheCompactionErr", work.flushes.failed),
            ("cacheCompactionDuration", work.flushes.duration_ns),
        ])
        .values([
            ("tsmFullCompactions", work.merges.done),
            ("tsmFullCompactionsActive", work.merges.active),
            ("tsmFullCompactionErr", work.merges.failed),
            ("tsmFullCompactionDuration", work.merges.duration_ns),
        ])
}

fn cache_values(statistic: Statistic, stats: &ShardStats, work: &ShardWork) -> Statistic {
    statistic.values([
        ("WALCompactionTimeMs", work.flushes.duration_ns / 1_000_000),
        ("cachedBytes", work.flushed_bytes),
        ("memBytes", stats.memory_bytes),
        ("snapshotCount", stats.flush_queue),
        ("writeErr", work.writes_failed),
        ("writeOk", work.writes_ok),
    ])
}

fn log_values(statistic: Statistic, stats: &ShardStats, work: &ShardWork) -> Statistic {
    statistic.values([
        ("currentSegmentDiskBytes", stats.log_tail_bytes),
        ("oldSegmentsDiskBytes", stats.log_bytes.saturating_sub(stats.log_tail_bytes)),
        ("writeErr", work.writes_failed),
        ("writeOk", work.writes_ok),
    ])
}

fn write_statistics(writes: &WriteStatistics) -> Statistic {
    let points = writes.points_written + writes.points_rejected;
    let failed = writes.failed + writes.overloaded;
    Statistic::new("write").values([
        ("pointReq", points),
        ("pointReqLocal", points),
        ("req", writes.requests),
        ("subWriteDrop", writes.copies_dropped),
        ("subWriteOk", writes.copies_taken),
        ("writeDrop", writes.points_rejected),
        ("writeError", failed),
        ("writeOk", writes.requests.saturating_sub(failed)),
    ])
}
