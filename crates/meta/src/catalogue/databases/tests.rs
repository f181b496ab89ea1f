use super::*;
use crate::{
    Command,
    fixture::{add_data_node, cluster, create_database, create_policy, done, refused},
};

const DAY: i64 = 24 * 3_600_000_000_000;

fn with(duration_ns: i64, replica_n: Option<u32>) -> Command {
    let spec =
        RetentionPolicySpec { name: "autogen".into(), duration_ns, shard_group_duration_ns: 0, replica_n };
    Command::CreateDatabase { name: "new".into(), policy: Some(spec) }
}

fn replica_n(catalogue: &Catalogue) -> u32 {
    catalogue.database("new").unwrap().retention_policy("").unwrap().replica_n
}

/// As many copies as there are data nodes, three at most and one at least; also where other settings are named.
#[test]
fn copies_that_are_not_named_are_as_many_as_the_nodes_allow() {
    for (nodes, expected) in [(0, 1), (1, 1), (2, 2), (3, 3), (4, 3), (9, 3)] {
        for command in [create_database("new"), with(3 * DAY, None)] {
            let mut catalogue = cluster(&vec![""; nodes], 1);
            done(&mut catalogue, &command);
            assert_eq!(replica_n(&catalogue), expected, "{nodes} nodes, {command:?}");
        }
        let mut catalogue = cluster(&vec![""; nodes], 1);
        done(&mut catalogue, &with(3 * DAY, Some(5)));
        assert_eq!(replica_n(&catalogue), 5, "more than there are nodes is allowed");
    }
}

#[test]
fn a_number_that_is_not_named_is_no_difference_and_one_that_is_named_is() {
    let mut catalogue = cluster(&[""], 1);
    done(&mut catalogue, &with(3 * DAY, None));
    done(&mut catalogue, &add_data_node("d2", ""));
    for same in [create_database("new"), with(3 * DAY, None), with(3 * DAY, Some(1))] {
        assert!(!done(&mut catalogue, &same).changed, "{same:?}");
    }
    for other in [with(4 * DAY, None), with(3 * DAY, Some(2))] {
        assert_eq!(refused(&mut catalogue, &other), CatalogueError::RetentionPolicyConflict, "{other:?}");
    }
    assert_eq!(refused(&mut catalogue, &with(3 * DAY, Some(0))), CatalogueError::ReplicationFactorTooLow);
}

#[test]
fn altering_to_what_is_there_changes_nothing() {
    let mut catalogue = cluster(&[], 1);
    let alter = |change: RetentionPolicyChange| Command::AlterRetentionPolicy {
        database: "db".into(),
        name: "p".into(),
        change,
    };
    let copies = |n| RetentionPolicyChange { replica_n: Some(n), ..Default::default() };
    let default = RetentionPolicyChange { make_default: true, ..Default::default() };
    for (change, changed) in
        [(copies(2), true), (copies(2), false), (default.clone(), true), (default, false)]
    {
        assert_eq!(done(&mut catalogue, &alter(change)).changed, changed);
    }
    assert!(!done(&mut catalogue, &create_policy("p", 2)).changed);
    assert_eq!(refused(&mut catalogue, &create_policy("p", 3)), CatalogueError::RetentionPolicyExists);
}
