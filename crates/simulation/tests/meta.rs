//! Meta nodes under faults.

use std::sync::Arc;

use skywatch_simulation::{Plan, Scenario, Trace, check, find, meta_cluster::MetaCluster, run_one};

#[test]
fn three_meta_nodes() {
    println!("{:?}", check(MetaCluster::new("three_meta_nodes"), 20));
}

#[test]
fn raft_repeats_itself() {
    let scenario = Arc::new(MetaCluster::new("raft_repeats_itself"));
    for seed in 1..3 {
        let plan = Plan { seed, script: scenario.script(seed) };
        let [first, second] = [(); 2].map(|()| run_one(&scenario, &plan).trace);
        assert_eq!(first.digest(), second.digest(), "seed {seed}: {}", first_difference(&first, &second));
    }
}

/// Where two records part.
fn first_difference(one: &Trace, other: &Trace) -> String {
    let differs =
        |one: Vec<String>, other: Vec<String>| one.into_iter().zip(other).find(|(one, other)| one != other);
    let parts = [(one.story(&[]), other.story(&[])), (one.messages(&[]), other.messages(&[]))];
    format!("{:#?}", parts.map(|(one, other)| differs(one, other)))
}

#[test]
fn forgotten_syncs_are_found() {
    let name = "forgotten_syncs_are_found";
    let scenario = Arc::new(MetaCluster { forgets_syncs: true, ..MetaCluster::new(name) });
    find(&scenario, 1..60).expect_err("the mistake is found");
}
