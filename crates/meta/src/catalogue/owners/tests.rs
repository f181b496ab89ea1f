use proptest::prelude::*;

use super::*;
use crate::{
    Command,
    fixture::{cluster, create_group, done, groups, owners, refused},
};

fn add(shard: u64, node: u64, joining: bool) -> Command {
    Command::AddShardOwner { shard, node: NodeId(node), joining }
}

fn confirm(shard: u64, node: u64) -> Command {
    Command::ConfirmShardOwner { shard, node: NodeId(node), mark: None }
}

fn remove(shard: u64, node: u64) -> Command {
    Command::RemoveShardOwner { shard, node: NodeId(node), at_ns: 7 }
}

fn delete_node(id: u64) -> Command {
    Command::DeleteDataNode { id: NodeId(id), at_ns: 7 }
}

fn shards(catalogue: &Catalogue) -> Vec<(u64, Vec<u64>)> {
    catalogue.live_shards().map(|shard| (shard.id, owners(shard))).collect()
}

/// One group of the policy `p`.
fn with_group(racks: &[&str], replica_n: u32) -> Catalogue {
    let mut catalogue = cluster(racks, replica_n);
    done(&mut catalogue, &create_group("p", 0, &[]));
    catalogue
}

#[test]
fn an_owner_joins_and_is_confirmed() {
    let mut catalogue = with_group(&["", "", ""], 1);
    let (id, first) = shards(&catalogue)[0].clone();
    let new = (1..=3).find(|node| !first.contains(node)).unwrap();
    assert!(done(&mut catalogue, &add(id, new, true)).changed);
    assert!(!done(&mut catalogue, &add(id, new, false)).changed, "again: still joining");
    let shard = catalogue.live_shard(id).unwrap();
    assert!(shard.owners.is_sorted() && shard.is_owned_by(NodeId(new)));
    assert_eq!((shard.joining.clone(), shard.whole_owners().count()), (vec![NodeId(new)], 1));
    assert_eq!(
        refused(&mut catalogue, &remove(id, first[0])),
        CatalogueError::LastWholeOwner { shard: id, node: first[0] },
        "nobody else has it all"
    );
    assert!(done(&mut catalogue, &confirm(id, new)).changed);
    assert!(!done(&mut catalogue, &confirm(id, new)).changed, "again");
    assert!(
        !done(&mut catalogue, &add(id, new, true)).changed,
        "a late one does not make it less than whole"
    );
    assert!(done(&mut catalogue, &remove(id, first[0])).changed);
    assert_eq!(owners(catalogue.live_shard(id).unwrap()), [new]);
}

/// It was confirmed, the answer got lost, it was removed and added anew, and now the request arrives a second time.
#[test]
fn a_late_confirmation_does_not_make_an_owner_whole() {
    let mut catalogue = with_group(&["", ""], 1);
    let (id, first) = shards(&catalogue)[0].clone();
    let new = NodeId(3 - first[0]);
    let mark = |catalogue: &Catalogue| catalogue.live_shard(id).unwrap().joining_mark(new);
    let confirm = |mark| Command::ConfirmShardOwner { shard: id, node: new, mark };
    done(&mut catalogue, &add(id, new.0, true));
    let earlier = mark(&catalogue);
    done(&mut catalogue, &confirm(earlier));
    assert_eq!(mark(&catalogue), None);
    done(&mut catalogue, &remove(id, new.0));
    done(&mut catalogue, &add(id, new.0, true));
    assert!(!done(&mut catalogue, &confirm(earlier)).changed);
    let later = mark(&catalogue);
    assert!(later.is_some());
    assert!(done(&mut catalogue, &confirm(later)).changed);
}

#[test]
fn refusals_name_shard_and_node() {
    let mut catalogue = with_group(&["", ""], 1);
    let (id, first) = shards(&catalogue)[0].clone();
    let other = 3 - first[0];
    for (command, refusal) in [
        (add(99, 1, true), CatalogueError::ShardNotFound(99)),
        (add(id, 9, true), CatalogueError::NodeNotFound(9)),
        (confirm(99, 1), CatalogueError::ShardNotFound(99)),
        (confirm(id, other), CatalogueError::NotAnOwner { shard: id, node: other }),
        (remove(99, 1), CatalogueError::ShardNotFound(99)),
        (remove(id, other), CatalogueError::NotAnOwner { shard: id, node: other }),
    ] {
        assert_eq!(refused(&mut catalogue, &command), refusal);
    }
}

/// The other series of the group stay in their shards.
#[test]
fn in_the_place_of_a_dropped_shard_comes_an_empty_one() {
    let mut catalogue = with_group(&["", "", ""], 2);
    let before = shards(&catalogue);
    let places: Vec<u64> = (0..9).map(|hash| groups(&catalogue)[0].shard_for(hash).id).collect();
    let drop = Command::DropShard { id: before[1].0, at_ns: 7 };
    assert_eq!(done(&mut catalogue, &drop).dropped_shards, [before[1].0]);
    assert!(!done(&mut catalogue, &drop).changed, "again");
    let after = shards(&catalogue);
    assert_eq!((&after[0], &after[2]), (&before[0], &before[2]));
    assert_eq!(after[1], (4, before[1].1.clone()), "the same owners, another id");
    assert_eq!((catalogue.live_shard(before[1].0), catalogue.live_shard(4).map(|it| it.id)), (None, Some(4)));
    for (hash, id) in (0..).zip(places) {
        let expected = if id == before[1].0 { 4 } else { id };
        assert_eq!(groups(&catalogue)[0].shard_for(hash).id, expected);
    }
}

#[test]
fn the_only_shard_of_a_group_goes_with_it() {
    let mut catalogue = with_group(&["", ""], 2);
    let drop = Command::DropShard { id: 1, at_ns: 7 };
    assert_eq!(done(&mut catalogue, &drop).dropped_shards, [1]);
    assert_eq!(groups(&catalogue).len(), 0);
    assert!(!done(&mut catalogue, &drop).changed, "again");
    assert!(done(&mut catalogue, &create_group("p", 0, &[])).changed, "a point of its time makes another");
}

/// What the last owner had is gone, so the place is taken by a node that is not the one that gave it up.
#[test]
fn the_last_owner_leaves_its_place_to_others() {
    let mut catalogue = with_group(&["", "", ""], 1);
    let (id, first) = shards(&catalogue)[0].clone();
    let removed = done(&mut catalogue, &remove(id, first[0]));
    assert_eq!(removed.dropped_shards, [id]);
    let after = shards(&catalogue);
    assert_eq!((after.len(), after[0].0, after[0].1.len()), (3, 4, 1));
    assert_ne!(after[0].1, first);
}

#[test]
fn a_removed_node_owns_nothing_and_what_only_it_had_begins_anew() {
    let mut catalogue = with_group(&["", "", ""], 1);
    let before = shards(&catalogue);
    let (lost, node) = (before[1].0, before[1].1[0]);
    let only: Vec<u64> = catalogue.shards_only_on(NodeId(node)).map(|shard| shard.id).collect();
    assert_eq!(only, [lost]);
    let deleted = done(&mut catalogue, &delete_node(node));
    assert_eq!((deleted.node, deleted.dropped_shards), (Some(NodeId(node)), vec![lost]));
    let after = shards(&catalogue);
    assert_eq!((after.len(), after[1].0), (3, 4), "as many shards as before, one of them new");
    assert!(after.iter().all(|(_, owners)| owners.len() == 1 && owners[0] != node));
    assert_eq!(refused(&mut catalogue, &delete_node(node)), CatalogueError::NodeNotFound(node));
}

#[test]
fn a_removed_node_leaves_copies_to_be_replaced_unless_there_are_enough() {
    let mut catalogue = with_group(&["", "", ""], 2);
    assert_eq!(shards(&catalogue), [(1, vec![2, 3]), (2, vec![1, 2]), (3, vec![3, 1])]);
    done(&mut catalogue, &add(1, 1, false));
    done(&mut catalogue, &delete_node(3));
    let lost: Vec<(usize, u32)> = catalogue.live_shards().map(|it| (it.owners.len(), it.lost)).collect();
    assert_eq!(lost, [(2, 0), (2, 0), (1, 1)], "the first had one more than the policy wants");
    done(&mut catalogue, &crate::fixture::add_data_node("d4", ""));
    done(&mut catalogue, &add(3, 4, true));
    assert_eq!(catalogue.live_shard(3).unwrap().lost, 0);
}

#[test]
fn groups_without_any_owner_left_are_deleted() {
    let mut catalogue = with_group(&["", ""], 1);
    let mut dropped = done(&mut catalogue, &delete_node(1)).dropped_shards;
    dropped.extend(done(&mut catalogue, &delete_node(2)).dropped_shards);
    dropped.sort_unstable();
    assert_eq!(dropped, [1, 2, 3], "two, and the one that took a place");
    assert_eq!(groups(&catalogue).len(), 0);
    assert_eq!(refused(&mut catalogue, &create_group("p", 0, &[])), CatalogueError::NoDataNodes);
}

/// Nobody has what it had: those that were being filled from it are as whole as can be.
#[test]
fn joining_owners_are_whole_once_nobody_is_left_to_fill_them() {
    let mut catalogue = with_group(&["", ""], 1);
    let (id, first) = shards(&catalogue)[0].clone();
    let other = 3 - first[0];
    done(&mut catalogue, &add(id, other, true));
    assert_eq!(catalogue.shards_only_on(NodeId(first[0])).map(|it| it.id).collect::<Vec<_>>(), [id]);
    let deleted = done(&mut catalogue, &delete_node(first[0]));
    assert_eq!(deleted.dropped_shards, Vec::<u64>::new());
    let shard = catalogue.live_shard(id).unwrap();
    assert_eq!((owners(shard), shard.joining.len()), (vec![other], 0));
}

/// Another owner that lacks acknowledged writes does not count.
#[test]
fn a_shard_is_only_on_a_node_if_the_others_are_behind() {
    let mut catalogue = with_group(&["", ""], 2);
    assert_eq!(catalogue.shards_only_on(NodeId(1)).count(), 0);
    done(&mut catalogue, &Command::MarkBehind { node: NodeId(2), holder: NodeId(1) });
    assert_eq!(catalogue.shards_only_on(NodeId(1)).count(), 1);
    assert_eq!(catalogue.shards_only_on(NodeId(2)).count(), 0);
}

proptest! {
    /// Whatever becomes of its shards, a group goes on to have as many of them, or goes.
    #[test]
    fn the_number_of_shards_of_a_group_never_changes(
        replica_n in 1_u32..4,
        steps in prop::collection::vec((0_u8..4, 0_usize..40, 1_u64..7), 1..30),
    ) {
        let mut catalogue = cluster(&["a", "a", "b", "b", "c", "c"], replica_n);
        for day in 0..3 {
            done(&mut catalogue, &create_group("p", day * 24 * crate::fixture::HOUR, &[]));
        }
        let count = groups(&catalogue)[0].shards.len();
        for (step, shard, node) in steps {
            let ids: Vec<u64> = catalogue.live_shards().map(|shard| shard.id).collect();
            let Some(&shard) = ids.get(shard % ids.len().max(1)) else { break };
            let command = match step {
                0 => Command::DropShard { id: shard, at_ns: 1 },
                1 => remove(shard, node),
                2 => add(shard, node, node % 2 == 0),
                _ => delete_node(node),
            };
            let before = catalogue.clone();
            match catalogue.apply(&command) {
                Ok(applied) => {
                    for id in applied.dropped_shards {
                        prop_assert!(before.live_shard(id).is_some() && catalogue.live_shard(id).is_none());
                    }
                }
                Err(_) => prop_assert_eq!(&before, &catalogue),
            }
            prop_assert_eq!(catalogue.check(), Ok(()));
            prop_assert!(groups(&catalogue).iter().all(|group| group.shards.len() == count));
            for shard in catalogue.live_shards() {
                prop_assert_eq!(catalogue.live_shard(shard.id), Some(shard));
            }
        }
    }
}
