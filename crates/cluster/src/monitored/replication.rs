//! Statistics of a member of a cluster, under the names that InfluxDB's clusters use: what is kept for other nodes (`hh`,
//! `hh_processor`), what others asked of this one (`coordinator`), and how its shards compare (`ae`).

use std::{path::PathBuf, sync::Arc};

use skywatch_meta::NodeId;
use skywatch_monitor::{Cell, Diagnostics, Selection, Statistic};
use skywatch_replication::{Entropy, Member, hints::Queue};
use skywatch_rpc::CallCounts;

use crate::statistics::WriteStatistics;

/// Requests of InfluxDB's clusters, and the calls that stand for them here. Types of fields come with their names, and what an
/// owner has to give up it sees in the catalogue.
const OF_CALLS: [(&str, Option<&str>); 9] = [
    ("backupShardReq", Some("copy.begin")),
    ("copyShardReq", Some("copy.start")),
    ("createIteratorReq", Some("read.scan")),
    ("expandSourcesReq", Some("read.series")),
    ("fieldDimensionsReq", Some("read.schema")),
    ("iteratorCostReq", Some("read.cost")),
    ("listShardsReq", Some("node.list_shards")),
    ("mapTypeReq", None),
    ("removeShardReq", None),
];

/// Adds those that are selected.
pub(super) fn collect(
    member: &Member,
    entropy: &Entropy,
    calls: &CallCounts,
    selection: Selection<'_>,
    statistics: &mut Vec<Statistic>,
) {
    if selection.includes("coordinator") {
        let applied = member.applied();
        let answered =
            OF_CALLS.map(|(name, method)| (name, method.map_or(0, |method| calls.answered(method))));
        statistics.push(Statistic::new("coordinator").values(answered).values([
            ("writeShardFail", applied.failed),
            ("writeShardPointsReq", applied.points),
            ("writeShardReq", applied.requests),
        ]));
    }
    if selection.includes("ae") {
        let stats = entropy.stats();
        statistics.push(Statistic::new("ae").values([
            ("bytesRx", stats.bytes_rx),
            ("errors", stats.errors),
            ("jobs", stats.jobs),
            ("jobsActive", stats.jobs_active),
            ("repairedCells", stats.taken),
            ("shardsDiffering", stats.differing),
            ("shardsDoubted", stats.doubted),
        ]));
    }
    if selection.includes("hh") || selection.includes("hh_processor") {
        collect_hints(member, selection, statistics);
    }
}

/// The module `hh` of `SHOW DIAGNOSTICS`: a row for each queue.
pub(super) fn diagnostics(member: &Member) -> Diagnostics {
    let row = |(node, queue): (NodeId, Arc<Queue>)| {
        let ends = queue.ends();
        let path = |path: Option<&PathBuf>| path.map_or_else(String::new, |path| path.display().to_string());
        let modified_ns = ends.as_ref().map_or(0, |(_, _, ms)| i64::try_from(*ms).unwrap_or(0) * 1_000_000);
        Diagnostics::new()
            .with("node", node.0)
            .with("active", ends.is_some())
            .with("last modified", Cell::Time(modified_ns))
            .with("head", path(ends.as_ref().map(|(head, _, _)| head)))
            .with("tail", path(ends.as_ref().map(|(_, tail, _)| tail)))
    };
    Diagnostics::table(member.hints().queues().into_iter().map(row))
}

/// What writes have in a cluster besides.
pub(super) fn of_writes(statistic: Statistic, writes: &WriteStatistics) -> Statistic {
    statistic.values([
        ("pointReqHH", writes.hinted_points),
        ("pointReqRemote", writes.remote_points),
        ("writePartial", writes.below_level),
        ("writeTimeout", writes.timeouts),
    ])
}

fn collect_hints(member: &Member, selection: Selection<'_>, statistics: &mut Vec<Statistic>) {
    let (mut requests, mut points) = (0, 0);
    for (node, queue) in member.hints().queues() {
        let stats = queue.stats();
        requests += stats.appended;
        points += stats.points;
        if selection.includes("hh_processor") {
            let processor = Statistic::new("hh_processor")
                .tag("node", node.0.to_string())
                .tag("path", queue.dir().display().to_string())
                .values([
                    ("bytesRead", stats.bytes_read),
                    ("bytesWritten", stats.bytes_written),
                    ("hasGaps", u64::from(stats.has_gaps)),
                    ("queueBytes", stats.bytes),
                    ("queueDepth", stats.entries),
                    // Whoever writes waits for the disk: nothing is turned away for being too many at once.
                    ("writeBlocked", 0),
                    ("writeDropped", stats.dropped),
                    ("writeNodeReq", stats.deliveries),
                    ("writeNodeReqFail", stats.failed_deliveries),
                    ("writeNodeReqPoints", stats.delivered_points),
                    ("writeShardReq", stats.appended),
                    ("writeShardReqPoints", stats.points),
                ]);
            statistics.push(processor);
        }
    }
    if selection.includes("hh") {
        let path = member.hints().dir().display().to_string();
        let hh = Statistic::new("hh").tag("path", path);
        statistics.push(hh.values([("writeShardReq", requests), ("writeShardReqPoints", points)]));
    }
}
