//! Which shard each point of a batch goes to. Pure: the caller creates the shard groups that are missing.

use std::collections::BTreeMap;

use skywatch_meta::{RetentionPolicy, ShardGroup};
use skywatch_model::line::PointBatch;
use skywatch_replication::Owners;

/// The points of one batch for one shard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ShardPart {
    /// The shard's id.
    pub(crate) shard: u64,
    /// First time of its group.
    pub(crate) start_ns: i64,
    /// First time after its group.
    pub(crate) end_ns: i64,
    /// Positions in the batch, ascending.
    pub(crate) points: Vec<u32>,
    /// Who owns the shard.
    pub(crate) owners: Owners,
    /// The partition of the cluster's log that it is written through, if it is.
    pub(crate) partition: Option<u32>,
}

/// Where the points of a batch go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Each point has its shard, or is beyond the retention policy.
    Complete {
        /// One entry per shard concerned.
        parts: Vec<ShardPart>,
        /// Points older than the policy keeps.
        too_old: u64,
    },
    /// No live shard group covers these times, one of each group that is missing; create them and plan again.
    MissingGroups(Vec<i64>),
}

/// Plans the parts of a batch at `now_ns`. Points usually arrive in order of time, so the last group and shard
/// are tried before any search.
pub(crate) fn plan_route(policy: &RetentionPolicy, batch: &PointBatch<'_>, now_ns: i64) -> Route {
    let oldest_kept_ns = policy.oldest_kept_ns(now_ns);
    let mut parts: Vec<ShardPart> = Vec::new();
    let mut too_old = 0;
    let mut group: Option<&ShardGroup> = None;
    let mut part_index = 0;
    // By the number of the group that would be made.
    let mut missing: BTreeMap<i64, i64> = BTreeMap::new();
    for (index, point) in batch.points().enumerate() {
        let time_ns = point.time();
        if time_ns < oldest_kept_ns {
            too_old += 1;
            continue;
        }
        let current = match group {
            Some(current) if current.contains(time_ns) => current,
            _ => match policy.shard_group_at(time_ns) {
                Some(found) => found,
                None => {
                    missing.entry(time_ns.div_euclid(policy.shard_group_duration_ns)).or_insert(time_ns);
                    continue;
                }
            },
        };
        group = Some(current);
        let shard = current.shard_for(point.series_hash());
        if parts.get(part_index).is_none_or(|part| part.shard != shard.id) {
            part_index = parts.iter().position(|part| part.shard == shard.id).unwrap_or_else(|| {
                parts.push(ShardPart {
                    shard: shard.id,
                    owners: Owners::of(shard),
                    partition: current.partition_of(shard.id),
                    start_ns: current.start_ns,
                    end_ns: current.end_ns,
                    points: Vec::with_capacity(batch.len() - index),
                });
                parts.len() - 1
            });
        }
        parts[part_index].points.push(index as u32);
    }
    if missing.is_empty() {
        Route::Complete { parts, too_old }
    } else {
        Route::MissingGroups(missing.into_values().collect())
    }
}

#[cfg(test)]
mod tests {
    use skywatch_meta::{NodeId, Shard};
    use skywatch_model::line::{ParseOptions, Precision, parse};

    use super::*;

    fn policy(duration_ns: i64, shard_count: u64) -> RetentionPolicy {
        let group = |id: u64, start_ns: i64, end_ns: i64| ShardGroup {
            id,
            start_ns,
            end_ns,
            deleted_at_ns: None,
            truncated_at_ns: None,
            log_starts: Vec::new(),
            shards: (0..shard_count).map(|n| Shard::new(id * 10 + n, vec![NodeId(1)])).collect(),
        };
        RetentionPolicy {
            name: "p".into(),
            duration_ns,
            shard_group_duration_ns: 100,
            replica_n: 1,
            shard_groups: vec![group(1, 0, 100), group(2, 100, 200)],
            subscriptions: Vec::new(),
        }
    }

    fn route(policy: &RetentionPolicy, lines: &str, now_ns: i64) -> Route {
        let mut batch = PointBatch::new();
        let options = ParseOptions { precision: Precision::Nanosecond, default_time_ns: 0 };
        assert!(parse(lines.as_bytes(), options, &mut batch).is_empty());
        plan_route(policy, &batch, now_ns)
    }

    #[test]
    fn points_go_to_the_group_of_their_time() {
        let Route::Complete { parts, too_old } = route(&policy(0, 1), "m v=1 5\nm v=1 150\nm v=1 99", 0)
        else {
            panic!("a group is missing")
        };
        assert_eq!(too_old, 0);
        let points: Vec<_> = parts.iter().map(|part| (part.shard, part.points.clone())).collect();
        assert_eq!(points, vec![(10, vec![0, 2]), (20, vec![1])]);
    }

    #[test]
    fn series_are_dealt_by_the_hash_of_their_key() {
        let lines: String = (0..50).map(|n| format!("m,t={n} v=1 5\n")).collect();
        let Route::Complete { parts, .. } = route(&policy(0, 4), &lines, 0) else {
            panic!("a group is missing")
        };
        assert_eq!(parts.iter().map(|part| part.points.len()).sum::<usize>(), 50);
        assert_eq!(parts.len(), 4, "fifty series leave no shard of four empty");
        for part in &parts {
            for &point in &part.points {
                let key = format!("m,t={point}");
                assert_eq!(10 + skywatch_model::series::fnv1a64(key.as_bytes()) % 4, part.shard);
            }
        }
    }

    #[test]
    fn points_beyond_retention_are_counted_and_missing_groups_are_named() {
        let Route::Complete { parts, too_old } = route(&policy(50, 1), "m v=1 5\nm v=1 60", 110) else {
            panic!("a group is missing")
        };
        assert_eq!((too_old, parts.len()), (1, 1));
        let lines = "m v=1 5\nm v=1 250\nm v=1 207\nm v=1 -1\nm v=1 310";
        assert_eq!(route(&policy(0, 1), lines, 0), Route::MissingGroups(vec![-1, 250, 310]));
    }
}
