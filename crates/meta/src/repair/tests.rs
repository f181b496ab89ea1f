use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::fixture::{HOUR, add_data_node, cluster, create_group, create_policy, done, owners};

fn delete_node(id: u64) -> Command {
    Command::DeleteDataNode { id: NodeId(id), at_ns: 1 }
}

fn with_groups(racks: &[&str], replica_n: u32, days: i64) -> Catalogue {
    let mut catalogue = cluster(racks, replica_n);
    for day in 0..days {
        done(&mut catalogue, &create_group("p", day * 24 * HOUR, &[]));
    }
    catalogue
}

/// Carries a plan out and confirms every owner, until nothing is left to do. How many were added.
fn repair(catalogue: &mut Catalogue, gone: &[NodeId], at_once: usize) -> usize {
    let mut added = 0;
    loop {
        let plan = repair_plan(catalogue, gone, at_once);
        assert!(plan.len() <= at_once);
        assert_eq!(plan, repair_plan(catalogue, gone, at_once), "the same from the same");
        if plan.is_empty() {
            return added;
        }
        for command in plan {
            let Command::AddShardOwner { shard, node, joining: true } = command else {
                panic!("{command:?}")
            };
            assert!(done(catalogue, &command).changed, "{command:?}");
            assert!(repair_plan(catalogue, gone, 1).is_empty(), "one is being filled");
            done(catalogue, &Command::ConfirmShardOwner { shard, node, mark: None });
            added += 1;
        }
    }
}

#[test]
fn nothing_is_moved_without_a_loss() {
    let mut catalogue = with_groups(&["a", "b"], 2, 3);
    assert_eq!(repair_plan(&catalogue, &[], 100), []);
    done(&mut catalogue, &add_data_node("d3", "c"));
    assert_eq!(repair_plan(&catalogue, &[], 100), [], "a node that joins gets no old shards");
    let change = crate::RetentionPolicyChange { replica_n: Some(3), ..Default::default() };
    done(&mut catalogue, &Command::AlterRetentionPolicy { database: "db".into(), name: "p".into(), change });
    assert_eq!(repair_plan(&catalogue, &[], 100), [], "more copies are for groups to come");
}

#[test]
fn copies_of_a_removed_node_are_made_again_in_its_rack() {
    let mut catalogue = with_groups(&["a", "a", "b", "b"], 2, 6);
    done(&mut catalogue, &delete_node(3));
    let lost = catalogue.live_shards().filter(|shard| shard.lost > 0).count();
    assert!(lost > 0);
    assert_eq!(repair(&mut catalogue, &[], 3), lost);
    for shard in catalogue.live_shards() {
        assert!(shard.is_owned_by(NodeId(4)) && shard.owners.len() == 2, "{shard:?}: the only one in rack b");
    }
}

/// A restore sends the files to one node; the other copies come of themselves.
#[test]
fn a_database_restored_to_one_node_gets_the_copies_its_policy_wants() {
    let mut catalogue = with_groups(&["a", "b", "c"], 2, 3);
    let mut copy = catalogue.database("db").unwrap().clone();
    copy.name = "restored".into();
    let groups = copy.retention_policies.iter_mut().flat_map(|policy| &mut policy.shard_groups);
    let shards: Vec<_> = groups.flat_map(|group| &mut group.shards).collect();
    let count = shards.len();
    let ids = done(&mut catalogue, &Command::ReserveShards { count: count as u64 }).reserved_shards;
    shards.into_iter().zip(ids.clone()).for_each(|(shard, id)| shard.id = id);
    done(&mut catalogue, &Command::AdoptDatabase { database: copy, nodes: vec![NodeId(2)] });
    assert_eq!(repair(&mut catalogue, &[], 2), count);
    for id in ids {
        let shard = catalogue.live_shard(id).unwrap();
        assert!(shard.is_owned_by(NodeId(2)) && shard.owners.len() == 2 && shard.lost == 0, "{shard:?}");
    }
}

/// Replacing a node: nobody is left to take its copies until the new one is there.
#[test]
fn a_replacement_gets_what_was_lost() {
    let mut catalogue = with_groups(&["", ""], 2, 3);
    done(&mut catalogue, &delete_node(2));
    assert_eq!(repair_plan(&catalogue, &[], 100), []);
    done(&mut catalogue, &add_data_node("d3", ""));
    assert_eq!(repair(&mut catalogue, &[], 2), 3);
    assert!(catalogue.live_shards().all(|shard| owners(shard) == [1, 3]));
}

/// It may come back: then there is a copy more.
#[test]
fn a_node_that_is_gone_is_replaced_once() {
    let mut catalogue = with_groups(&["", "", ""], 2, 2);
    let owned = catalogue.live_shards().filter(|shard| shard.is_owned_by(NodeId(2))).count();
    assert_eq!(repair(&mut catalogue, &[NodeId(2)], 2), owned);
    assert_eq!(repair_plan(&catalogue, &[], 100), []);
    done(&mut catalogue, &delete_node(2));
    assert!(catalogue.live_shards().all(|shard| shard.lost == 0 && shard.owners.len() == 2));
}

#[test]
fn what_nobody_has_is_passed_over() {
    let mut catalogue = with_groups(&["", "", ""], 1, 1);
    assert_eq!(repair_plan(&catalogue, &[NodeId(1)], 100), [], "its only owner is gone");
    assert_eq!(repair_plan(&catalogue, &[NodeId(1), NodeId(2), NodeId(3)], 100), [], "nobody is left");
    done(&mut catalogue, &delete_node(1));
    assert_eq!(repair_plan(&catalogue, &[], 100), [], "an empty shard has taken its place");
}

#[test]
fn those_with_the_fewest_copies_come_first() {
    let mut catalogue = with_groups(&["", "", "", "", ""], 3, 2);
    done(&mut catalogue, &create_policy("q", 2));
    done(&mut catalogue, &create_group("q", 0, &[]));
    done(&mut catalogue, &delete_node(1));
    let plan = repair_plan(&catalogue, &[], 100);
    let copies: Vec<usize> = plan
        .iter()
        .map(|command| match command {
            Command::AddShardOwner { shard, .. } => catalogue.live_shard(*shard).unwrap().owners.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(copies.is_sorted() && copies.first() == Some(&1) && copies.last() == Some(&2), "{copies:?}");
    assert_eq!(repair_plan(&catalogue, &[], 2), plan[..2]);
}

proptest! {
    /// After nodes were removed, one after the other, every shard has as many copies again as there can be, on as many racks
    /// as there can be.
    #[test]
    fn the_number_of_copies_is_restored(
        racks in prop::collection::vec(0_u8..4, 3..8),
        replica_n in 2_u32..4,
        removed in prop::collection::vec(1_u64..8, 1..3),
        at_once in 1_usize..5,
    ) {
        let names: Vec<String> = racks.iter().map(|rack| format!("r{rack}")).collect();
        let mut catalogue = with_groups(&names.iter().map(String::as_str).collect::<Vec<_>>(), replica_n, 4);
        for node in removed {
            if catalogue.data_node(NodeId(node)).is_none() || catalogue.data_nodes().len() == 1 {
                continue;
            }
            done(&mut catalogue, &delete_node(node));
            repair(&mut catalogue, &[], at_once);
            let nodes = catalogue.data_nodes();
            let rack_of = |node: &NodeId| catalogue.data_node(*node).unwrap().labels["rack"].clone();
            let rack_count = nodes.iter().map(|node| node.labels["rack"].clone()).collect::<BTreeSet<_>>().len();
            for shard in catalogue.live_shards() {
                prop_assert_eq!(shard.owners.len(), nodes.len().min(replica_n as usize));
                let used: BTreeSet<String> = shard.owners.iter().map(rack_of).collect();
                prop_assert_eq!(used.len(), shard.owners.len().min(rack_count), "{:?}", shard);
            }
        }
    }
}
