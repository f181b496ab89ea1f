//! What has outlived its retention policy, and which shard groups are wanted soon. Pure plans from a catalogue
//! and a time; the node carries them out.

use skywatch_meta::{Catalogue, Command, NodeId};

/// Deleted groups are remembered this long, then forgotten.
const TOMBSTONE_KEPT_NS: i64 = 14 * 24 * 3_600 * 1_000_000_000;

/// What has expired at `now_ns`: groups to be deleted, old tombstones to be pruned.
pub(crate) fn plan_expiry(catalogue: &Catalogue, now_ns: i64) -> Vec<Command> {
    let mut commands = Vec::new();
    let mut oldest_tombstone_ns = i64::MAX;
    for database in catalogue.databases() {
        for policy in &database.retention_policies {
            let oldest_kept_ns = policy.oldest_kept_ns(now_ns);
            for group in &policy.shard_groups {
                if let Some(deleted_at_ns) = group.deleted_at_ns {
                    oldest_tombstone_ns = oldest_tombstone_ns.min(deleted_at_ns);
                } else if group.end_ns <= oldest_kept_ns {
                    commands.push(Command::DeleteShardGroup {
                        database: database.name.clone(),
                        retention_policy: policy.name.clone(),
                        id: group.id,
                        at_ns: now_ns,
                    });
                }
            }
        }
    }
    let forget_before_ns = now_ns.saturating_sub(TOMBSTONE_KEPT_NS);
    if oldest_tombstone_ns < forget_before_ns {
        commands.push(Command::PruneShardGroups { deleted_before_ns: forget_before_ns });
    }
    commands
}

/// The groups that begin within `advance_ns` of `now_ns`, to be created on `nodes` so that the first write of a new
/// period does not wait. Only a policy that is being written to now wants its next group.
pub(crate) fn plan_ahead(
    catalogue: &Catalogue,
    nodes: &[NodeId],
    now_ns: i64,
    advance_ns: i64,
) -> Vec<Command> {
    let mut commands = Vec::new();
    for database in catalogue.databases() {
        for policy in &database.retention_policies {
            if let Some(current) = policy.shard_group_at(now_ns)
                && current.cut_end_ns() - now_ns <= advance_ns
                && policy.shard_group_at(current.cut_end_ns()).is_none()
            {
                commands.push(Command::CreateShardGroup {
                    database: database.name.clone(),
                    retention_policy: policy.name.clone(),
                    time_ns: current.cut_end_ns(),
                    nodes: nodes.to_vec(),
                });
            }
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use skywatch_meta::RetentionPolicySpec;

    use super::*;

    const HOUR: i64 = 3_600_000_000_000;
    const NODE: &[NodeId] = &[NodeId(1)];

    fn catalogue(duration_ns: i64, group_times_ns: &[i64]) -> Catalogue {
        let mut catalogue = Catalogue::default();
        let policy = RetentionPolicySpec {
            name: "p".into(),
            duration_ns,
            shard_group_duration_ns: HOUR,
            replica_n: Some(1),
        };
        catalogue.apply(&Command::CreateDatabase { name: "db".into(), policy: Some(policy) }).unwrap();
        for &time_ns in group_times_ns {
            let command = Command::CreateShardGroup {
                database: "db".into(),
                retention_policy: "p".into(),
                time_ns,
                nodes: NODE.to_vec(),
            };
            catalogue.apply(&command).unwrap();
        }
        catalogue
    }

    fn apply_all(catalogue: &mut Catalogue, commands: &[Command]) {
        for command in commands {
            catalogue.apply(command).unwrap();
        }
    }

    #[test]
    fn a_group_goes_when_its_last_point_has_expired_and_not_before() {
        let mut catalogue = catalogue(2 * HOUR, &[0]);
        assert_eq!(plan_expiry(&catalogue, 3 * HOUR - 1), vec![]);
        let due = plan_expiry(&catalogue, 3 * HOUR);
        assert!(matches!(due[..], [Command::DeleteShardGroup { id: 1, .. }]), "{due:?}");
        apply_all(&mut catalogue, &due);
        assert_eq!(plan_expiry(&catalogue, 3 * HOUR), vec![], "planning again changes nothing");
    }

    #[test]
    fn tombstones_are_forgotten_after_a_fortnight() {
        let mut catalogue = catalogue(2 * HOUR, &[0]);
        let due = plan_expiry(&catalogue, 3 * HOUR);
        apply_all(&mut catalogue, &due);
        let later = plan_expiry(&catalogue, 3 * HOUR + TOMBSTONE_KEPT_NS + 1);
        assert!(matches!(later[..], [Command::PruneShardGroups { .. }]), "{later:?}");
        apply_all(&mut catalogue, &later);
        assert!(catalogue.databases()[0].retention_policies[0].shard_groups.is_empty());
    }

    #[test]
    fn the_next_group_is_created_ahead() {
        let mut catalogue = catalogue(0, &[0]);
        assert_eq!(plan_ahead(&catalogue, NODE, HOUR / 2 - 1, HOUR / 2), vec![]);
        let due = plan_ahead(&catalogue, NODE, HOUR / 2, HOUR / 2);
        assert!(matches!(due[..], [Command::CreateShardGroup { time_ns: HOUR, .. }]), "{due:?}");
        apply_all(&mut catalogue, &due);
        assert_eq!(plan_ahead(&catalogue, NODE, HOUR / 2, HOUR / 2), vec![]);
    }
}
