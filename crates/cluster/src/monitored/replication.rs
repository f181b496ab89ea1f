//! Statistics of a member of a cluster, under the names that InfluxDB's clusters use: what is kept for other nodes (`hh`,
//! `hh_processor`), what others asked of this one (`coordinator`), and how its shards compare (`ae`).

use skywatch_monitor::{Selection, Statistic};
use skywatch_replication::{Entropy, Member};

use crate::statistics::WriteStatistics;

/// Adds those that are selected.
pub(super) fn collect(
    member: &Member,
    entropy: &Entropy,
    selection: Selection<'_>,
    statistics: &mut Vec<Statistic>,
) {
    if selection.includes("coordinator") {
        let applied = member.applied();
        statistics.push(Statistic::new("coordinator").values([
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
                    ("writeDropped", stats.dropped),
                    ("writeNodeReq", stats.deliveries),
                    ("writeNodeReqFail", stats.failed_deliveries),
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
