use super::*;
use crate::{
    Command,
    fixture::{cluster, done, refused},
};

fn acquire(owner: u64, unrenewed: Option<u64>) -> Command {
    Command::AcquireLease { name: "cq".into(), owner: NodeId(owner), duration_ms: 60_000, unrenewed }
}

fn release(owner: u64, renewals: Option<u64>) -> Command {
    Command::ReleaseLease { name: "cq".into(), owner: NodeId(owner), renewals }
}

/// Owner and count of renewals after a command.
fn after(catalogue: &mut Catalogue, command: &Command) -> (u64, u64) {
    let before = catalogue.lease("cq").cloned();
    let applied = done(catalogue, command);
    let lease = catalogue.lease("cq").unwrap();
    assert_eq!(applied.changed, before.as_ref() != Some(lease), "{command:?}");
    if matches!(command, Command::AcquireLease { .. }) {
        assert_eq!(applied.lease.as_ref(), Some(lease));
    }
    (lease.owner.0, lease.renewals)
}

#[test]
fn a_lease_is_held_renewed_and_goes_to_another_only_when_it_stands_still() {
    let mut catalogue = cluster(&["", ""], 1);
    assert_eq!(after(&mut catalogue, &acquire(1, None)), (1, 1));
    assert_eq!(after(&mut catalogue, &acquire(1, None)), (1, 2), "renewed");
    assert_eq!(after(&mut catalogue, &acquire(2, None)), (1, 2), "held");
    assert_eq!(after(&mut catalogue, &acquire(2, Some(1))), (1, 2), "renewed since it was seen at 1");
    assert_eq!(after(&mut catalogue, &acquire(2, Some(2))), (2, 3));
    assert_eq!(after(&mut catalogue, &acquire(1, Some(2))), (2, 3), "late");
}

#[test]
fn one_that_is_given_back_is_free_at_once() {
    let mut catalogue = cluster(&["", ""], 1);
    after(&mut catalogue, &acquire(1, None));
    assert_eq!(after(&mut catalogue, &release(2, None)), (1, 1), "not its lease");
    assert_eq!(after(&mut catalogue, &release(1, Some(1))), (0, 2));
    assert_eq!(after(&mut catalogue, &release(1, Some(1))), (0, 2), "again");
    assert_eq!(after(&mut catalogue, &acquire(2, None)), (2, 3));
    assert!(
        !done(&mut catalogue, &Command::ReleaseLease { name: "x".into(), owner: NodeId(1), renewals: None })
            .changed
    );
}

/// A node gives its lease back, starts again and takes it anew; then the first request arrives.
#[test]
fn a_late_release_takes_nothing_away() {
    let mut catalogue = cluster(&["", ""], 1);
    after(&mut catalogue, &acquire(1, None));
    after(&mut catalogue, &acquire(1, None));
    assert_eq!(after(&mut catalogue, &release(1, Some(1))), (1, 2));
    assert_eq!(after(&mut catalogue, &acquire(2, None)), (1, 2), "still held");
}

/// The count goes on, so that nobody takes the next holder's first renewal for one that has stood still for long.
#[test]
fn a_removed_node_keeps_its_lease_until_it_is_seen_not_to_renew_it() {
    let mut catalogue = cluster(&["", ""], 1);
    after(&mut catalogue, &acquire(1, None));
    done(&mut catalogue, &Command::DeleteDataNode { id: NodeId(1), at_ns: 1 });
    assert_eq!(refused(&mut catalogue, &acquire(1, None)), CatalogueError::NodeNotFound(1));
    assert_eq!(after(&mut catalogue, &acquire(2, None)), (1, 1));
    assert_eq!(after(&mut catalogue, &acquire(2, Some(1))), (2, 2));
}

#[test]
fn names_of_leases_are_few_and_short() {
    let mut catalogue = cluster(&[""], 1);
    let acquire =
        |name: String| Command::AcquireLease { name, owner: NodeId(1), duration_ms: 60_000, unrenewed: None };
    for name in [String::new(), "x".repeat(256)] {
        assert_eq!(refused(&mut catalogue, &acquire(name)), CatalogueError::InvalidName);
    }
    for n in 0..LEASES_MAX {
        done(&mut catalogue, &acquire(n.to_string()));
    }
    let refusal = refused(&mut catalogue, &acquire("more".into()));
    assert_eq!(refusal, CatalogueError::TooManyLeases(LEASES_MAX));
    assert!(done(&mut catalogue, &acquire("7".into())).changed, "those that are there are renewed");
}

#[test]
fn only_nodes_hold_leases() {
    let mut catalogue = cluster(&[""], 1);
    for nobody in [0, 9] {
        assert_eq!(refused(&mut catalogue, &acquire(nobody, None)), CatalogueError::NodeNotFound(nobody));
    }
    let mut single = Catalogue::default();
    assert_eq!(after(&mut single, &acquire(1, None)), (1, 1), "a single server is not in its catalogue");
}
