//! How retention policies are cut into shard groups: the arithmetic InfluxDB 1.x uses, so that groups lie alike.

use skywatch_model::{MAX_TIME, MIN_TIME};

use crate::records::{RetentionPolicy, ShardGroup};

pub(crate) const HOUR_NS: i64 = 3_600_000_000_000;
const DAY_NS: i64 = 24 * HOUR_NS;

/// The shortest retention a policy may have, other than none.
pub(crate) const RETENTION_NS_MIN: i64 = HOUR_NS;
/// The shortest shard group; shorter wishes are raised to it.
const SHARD_GROUP_NS_MIN: i64 = HOUR_NS;

/// Groups are aligned to multiples of their duration since 0001-01-01T00:00:00Z, a Monday, as Go's
/// `Time.Truncate` aligns: weekly groups begin on Mondays. This is 1970-01-01 seen from there.
const EPOCH_SINCE_YEAR_ONE_NS: i128 = 62_135_596_800 * 1_000_000_000;

/// The shard group duration of a policy that names none: an hour below two days of retention, a day below
/// half a year, else a week.
pub const fn default_shard_group_duration_ns(retention_ns: i64) -> i64 {
    if retention_ns == 0 || retention_ns >= 180 * DAY_NS {
        7 * DAY_NS
    } else if retention_ns >= 2 * DAY_NS {
        DAY_NS
    } else {
        HOUR_NS
    }
}

/// The duration actually used for a wanted one: 0 means "choose", too short is raised.
pub(crate) const fn effective_shard_group_duration_ns(wanted_ns: i64, retention_ns: i64) -> i64 {
    if wanted_ns == 0 {
        default_shard_group_duration_ns(retention_ns)
    } else if wanted_ns < SHARD_GROUP_NS_MIN {
        SHARD_GROUP_NS_MIN
    } else {
        wanted_ns
    }
}

/// Start (inside) and end (outside) of the group that `time_ns` falls into, before clipping to its neighbours.
fn aligned_span_ns(time_ns: i64, duration_ns: i64) -> (i64, i64) {
    let duration = i128::from(duration_ns);
    let since_year_one = i128::from(time_ns) + EPOCH_SINCE_YEAR_ONE_NS;
    let start = since_year_one.div_euclid(duration) * duration - EPOCH_SINCE_YEAR_ONE_NS;
    let clip = |time: i128| time.clamp(i128::from(MIN_TIME), i128::from(MAX_TIME) + 1) as i64;
    (clip(start), clip(start + duration))
}

/// Start (inside) and end (outside) of the group to create for `time_ns`, clipped so that it overlaps no live
/// group of the policy; where one was cut, the rest is open. The policy must have no live group at `time_ns`.
pub(crate) fn plan_span_ns(policy: &RetentionPolicy, time_ns: i64) -> (i64, i64) {
    let (mut start, mut end) = aligned_span_ns(time_ns, policy.shard_group_duration_ns);
    let takes_any = |group: &&ShardGroup| group.start_ns < group.cut_end_ns();
    for group in policy.live_shard_groups().filter(takes_any) {
        assert!(!group.contains(time_ns), "shard group {} already covers {time_ns}", group.id);
        if group.cut_end_ns() <= time_ns {
            start = start.max(group.cut_end_ns());
        } else {
            end = end.min(group.start_ns);
        }
    }
    (start, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(duration_ns: i64, spans: &[(i64, i64)]) -> RetentionPolicy {
        let shard_groups = spans
            .iter()
            .enumerate()
            .map(|(index, &(start_ns, end_ns))| ShardGroup {
                id: index as u64 + 1,
                start_ns,
                end_ns,
                deleted_at_ns: None,
                truncated_at_ns: None,
                shards: Vec::new(),
                log_starts: Vec::new(),
            })
            .collect();
        RetentionPolicy {
            name: "p".into(),
            duration_ns: 0,
            shard_group_duration_ns: duration_ns,
            replica_n: 1,
            shard_groups,
            subscriptions: Vec::new(),
        }
    }

    #[test]
    fn weekly_groups_begin_on_mondays() {
        // 1970-01-01 is a Thursday: its week began on Monday, 1969-12-29.
        assert_eq!(plan_span_ns(&policy(7 * DAY_NS, &[]), 0), (-3 * DAY_NS, 4 * DAY_NS));
        assert_eq!(plan_span_ns(&policy(7 * DAY_NS, &[]), -3 * DAY_NS - 1), (-10 * DAY_NS, -3 * DAY_NS));
    }

    #[test]
    fn groups_never_overlap_after_the_duration_changed() {
        // Hourly groups 0..1h and 3h..4h exist, the policy is daily now: the gap between them is filled.
        let policy = policy(DAY_NS, &[(0, HOUR_NS), (3 * HOUR_NS, 4 * HOUR_NS)]);
        assert_eq!(plan_span_ns(&policy, 2 * HOUR_NS), (HOUR_NS, 3 * HOUR_NS));
        assert_eq!(plan_span_ns(&policy, 4 * HOUR_NS), (4 * HOUR_NS, DAY_NS));
        assert_eq!(plan_span_ns(&policy, -1), (-DAY_NS, 0));
    }

    #[test]
    fn the_ends_of_time_are_inside() {
        for time in [MIN_TIME, MAX_TIME] {
            let (start, end) = plan_span_ns(&policy(7 * DAY_NS, &[]), time);
            assert!(start <= time && time < end, "{start} {end}");
        }
    }

    #[test]
    fn durations_follow_the_retention() {
        assert_eq!(default_shard_group_duration_ns(0), 7 * DAY_NS);
        assert_eq!(default_shard_group_duration_ns(HOUR_NS), HOUR_NS);
        assert_eq!(default_shard_group_duration_ns(2 * DAY_NS - 1), HOUR_NS);
        assert_eq!(default_shard_group_duration_ns(2 * DAY_NS), DAY_NS);
        assert_eq!(default_shard_group_duration_ns(180 * DAY_NS), 7 * DAY_NS);
        assert_eq!(effective_shard_group_duration_ns(1, 0), HOUR_NS);
    }
}
