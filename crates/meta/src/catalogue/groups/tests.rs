use proptest::prelude::*;

use super::*;
use crate::{
    Catalogue, Command, RetentionPolicyChange,
    fixture::{HOUR, cluster, create_group, done, groups, owners, refused},
};

const DAY: i64 = 24 * HOUR;

fn truncate(at_ns: i64) -> Command {
    Command::TruncateShardGroups { at_ns }
}

fn spans(catalogue: &Catalogue) -> Vec<(i64, i64)> {
    groups(catalogue).iter().map(|group| (group.start_ns / HOUR, group.cut_end_ns() / HOUR)).collect()
}

fn alter_group_duration(hours: i64) -> Command {
    let shard_group_duration_ns = Some(hours * HOUR);
    Command::AlterRetentionPolicy {
        database: "db".into(),
        name: "p".into(),
        change: RetentionPolicyChange { shard_group_duration_ns, ..RetentionPolicyChange::default() },
    }
}

/// The facts of a truncation: the current group ends then, one of the future where it begins, one of the past stays;
/// the next point goes to a group from there to the old end, with the nodes of then.
#[test]
fn a_truncation_ends_groups_and_what_follows_is_on_the_nodes_of_then() {
    let mut catalogue = cluster(&["", ""], 2);
    for day in [-2, 0, 1] {
        done(&mut catalogue, &create_group("p", day * DAY, &[]));
    }
    done(&mut catalogue, &crate::fixture::add_data_node("d3", ""));
    assert!(done(&mut catalogue, &truncate(6 * HOUR)).changed);
    assert_eq!(spans(&catalogue), [(-48, -24), (0, 6), (24, 24)]);
    for hour in [5, 6, 30] {
        done(&mut catalogue, &create_group("p", hour * HOUR, &[]));
    }
    assert_eq!(spans(&catalogue), [(-48, -24), (0, 6), (6, 24), (24, 24), (24, 48)]);
    let shards: Vec<usize> = groups(&catalogue).iter().map(|group| group.shards.len()).collect();
    assert_eq!(shards, [1, 1, 3, 1, 3]);
}

/// It would cut groups that have been made for the first, and have points.
#[test]
fn a_truncation_that_comes_twice_cuts_once() {
    let mut catalogue = cluster(&[""], 1);
    done(&mut catalogue, &create_group("p", 0, &[]));
    done(&mut catalogue, &truncate(6 * HOUR));
    done(&mut catalogue, &create_group("p", 6 * HOUR, &[]));
    assert!(!done(&mut catalogue, &truncate(6 * HOUR)).changed);
    assert_eq!(spans(&catalogue), [(0, 6), (6, 24)]);
    done(&mut catalogue, &truncate(3 * HOUR));
    assert_eq!(spans(&catalogue), [(0, 3), (6, 6)], "an earlier one is another one");
    for hour in [4, 6] {
        done(&mut catalogue, &create_group("p", hour * HOUR, &[]));
    }
    assert_eq!(spans(&catalogue), [(0, 3), (3, 24), (6, 6)], "what takes nothing is in nobody's way");
}

#[test]
fn groups_reach_to_the_ends_of_time_and_no_further() {
    let mut catalogue = cluster(&[""], 1);
    for time_ns in [MIN_TIME, MAX_TIME] {
        done(&mut catalogue, &create_group("p", time_ns, &[]));
        assert!(groups(&catalogue).iter().any(|group| group.contains(time_ns)));
    }
    for time_ns in [MIN_TIME - 1, MAX_TIME + 1] {
        let refusal = refused(&mut catalogue, &create_group("p", time_ns, &[]));
        assert_eq!(refusal, CatalogueError::TimeOutOfRange(time_ns));
    }
    done(&mut catalogue, &truncate(i64::MIN));
    done(&mut catalogue, &truncate(i64::MAX));
    assert_eq!(catalogue.check(), Ok(()));
}

#[test]
fn only_nodes_of_the_cluster_get_shards() {
    let mut catalogue = cluster(&["", "", ""], 3);
    done(&mut catalogue, &create_group("p", 0, &[3, 1, 9]));
    let shards = &groups(&catalogue)[0].shards;
    let mut named = owners(&shards[0]);
    named.sort_unstable();
    assert_eq!((shards.len(), named), (1, vec![1, 3]), "of those that were named and are there");
    assert_eq!(refused(&mut catalogue, &create_group("p", 2 * DAY, &[9])), CatalogueError::NoDataNodes);
    assert!(!done(&mut catalogue, &create_group("p", 1, &[9])).changed, "there is one for that time");
    for (database, policy) in [("none", "p"), ("db", "none")] {
        let nodes = Vec::new();
        let (database, retention_policy) = (database.to_owned(), policy.to_owned());
        refused(&mut catalogue, &Command::CreateShardGroup { database, retention_policy, time_ns: 0, nodes });
    }
}

#[test]
fn a_cluster_without_data_nodes_has_no_place_for_shards() {
    let mut catalogue = cluster(&[], 1);
    assert_eq!(refused(&mut catalogue, &create_group("p", 0, &[])), CatalogueError::NoDataNodes);
    done(&mut catalogue, &create_group("p", 0, &[1]));
    assert_eq!(owners(&groups(&catalogue)[0].shards[0]), [1], "a single server names itself");
}

#[test]
fn a_group_is_deleted_once_and_forgotten_later() {
    let mut catalogue = cluster(&[""], 1);
    done(&mut catalogue, &create_group("p", 0, &[]));
    let delete =
        |id| Command::DeleteShardGroup { database: "db".into(), retention_policy: "p".into(), id, at_ns: 50 };
    assert_eq!(done(&mut catalogue, &delete(1)).dropped_shards, [1]);
    assert!(!done(&mut catalogue, &delete(1)).changed);
    assert_eq!(refused(&mut catalogue, &delete(2)), CatalogueError::ShardGroupNotFound(2));
    assert!(!done(&mut catalogue, &Command::PruneShardGroups { deleted_before_ns: 50 }).changed);
    assert!(done(&mut catalogue, &Command::PruneShardGroups { deleted_before_ns: 51 }).changed);
    assert_eq!(refused(&mut catalogue, &delete(1)), CatalogueError::ShardGroupNotFound(1));
}

/// A database of another cluster is spread as its policies ask for.
#[test]
fn an_adopted_database_is_spread_over_the_nodes_unless_owners_are_named() {
    let mut catalogue = cluster(&["a", "a", "b", "b"], 2);
    done(&mut catalogue, &create_group("p", 0, &[]));
    let mut database = catalogue.database("db").unwrap().clone();
    done(&mut catalogue, &Command::DropDatabase { name: "db".into() });
    database.retention_policies[1].shard_groups[0].shards.push(Shard::new(3, vec![NodeId(77)]));
    done(&mut catalogue, &Command::ReserveShards { count: 1 });
    let adopt = |nodes: &[u64]| Command::AdoptDatabase {
        database: database.clone(),
        nodes: nodes.iter().copied().map(NodeId).collect(),
    };
    let mut named = catalogue.clone();
    done(&mut named, &adopt(&[2]));
    assert!(named.live_shards().all(|shard| owners(shard) == [2]));
    done(&mut catalogue, &adopt(&[]));
    let racks = |shard: &Shard| owners(shard).iter().map(|node| node.div_ceil(2)).collect::<Vec<_>>();
    for shard in catalogue.live_shards() {
        let racks = racks(shard);
        assert!(racks.len() == 2 && racks[0] != racks[1], "{shard:?}");
    }
    assert_eq!(catalogue.copies_by_node().values().copied().collect::<Vec<_>>().iter().sum::<usize>(), 6);
    let mut nowhere = cluster(&[], 1);
    done(&mut nowhere, &Command::DropDatabase { name: "db".into() });
    done(&mut nowhere, &Command::ReserveShards { count: 3 });
    assert_eq!(refused(&mut nowhere, &adopt(&[])), CatalogueError::NoDataNodes);
}

#[test]
fn numbers_of_shards_are_not_squandered() {
    let mut catalogue = Catalogue::default();
    let reserve = |count| Command::ReserveShards { count };
    assert_eq!(done(&mut catalogue, &reserve(2)).reserved_shards, 1..3);
    assert!(!done(&mut catalogue, &reserve(0)).changed);
    assert_eq!(refused(&mut catalogue, &reserve(u64::MAX)), CatalogueError::TooManyShards(u64::MAX));
    assert_eq!(done(&mut catalogue, &reserve(1)).reserved_shards, 3..4);
}

#[derive(Debug, Clone)]
enum Step {
    Create { hour: i64 },
    Alter { group_hours: i64 },
    Truncate { minute: i64 },
    Delete { place: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (-60_i64..60).prop_map(|hour| Step::Create { hour }),
        1 => (1_i64..50).prop_map(|group_hours| Step::Alter { group_hours }),
        2 => (-3_600_i64..3_600).prop_map(|minute| Step::Truncate { minute }),
        1 => (0_usize..20).prop_map(|place| Step::Delete { place }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_time_belongs_to_one_group_at_most(steps in prop::collection::vec(step(), 1..40)) {
        let mut catalogue = cluster(&["", ""], 2);
        for step in steps {
            match step {
                Step::Create { hour } => {
                    let before = groups(&catalogue).iter().any(|group| group.contains(hour * HOUR));
                    let created = done(&mut catalogue, &create_group("p", hour * HOUR, &[]));
                    prop_assert_eq!(created.changed, !before);
                    prop_assert!(groups(&catalogue).iter().any(|group| group.contains(hour * HOUR)));
                }
                Step::Alter { group_hours } => {
                    done(&mut catalogue, &alter_group_duration(group_hours));
                }
                Step::Truncate { minute } => {
                    let at_ns = minute * HOUR / 60;
                    let is_new = done(&mut catalogue, &truncate(at_ns)).changed;
                    let takes_later = |group: &&ShardGroup| group.contains(at_ns.max(group.start_ns));
                    prop_assert!(!is_new || !groups(&catalogue).iter().any(takes_later));
                }
                Step::Delete { place } => {
                    let Some(id) = groups(&catalogue).get(place).map(|group| group.id) else { continue };
                    let (database, retention_policy) = ("db".to_owned(), "p".to_owned());
                    done(&mut catalogue, &Command::DeleteShardGroup { database, retention_policy, id, at_ns: 1 });
                }
            }
            let groups = groups(&catalogue);
            let edges = groups.iter().flat_map(|group| [group.start_ns, group.cut_end_ns(), group.end_ns]);
            for time in edges.flat_map(|edge| [edge - 1, edge, edge + 1]) {
                prop_assert!(groups.iter().filter(|group| group.contains(time)).count() <= 1, "{}", time);
            }
        }
    }
}
