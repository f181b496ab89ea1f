//! Data nodes under faults.

use std::sync::Arc;

use skywatch_simulation::{Plan, Scenario, check, data_cluster::DataCluster, run_one};

#[test]
fn two_data_nodes() {
    let summary = check(DataCluster::new("two_data_nodes", 2), 30);
    println!("{summary:?}");
}

#[test]
fn three_data_nodes() {
    let summary = check(DataCluster::new("three_data_nodes", 3), 30);
    println!("{summary:?}");
}

#[test]
fn three_data_nodes_and_a_catalogue_that_dies() {
    let name = "three_data_nodes_and_a_catalogue_that_dies";
    let summary = check(DataCluster { catalogue_dies: true, ..DataCluster::new(name, 3) }, 30);
    println!("{summary:?}");
}

#[test]
fn three_data_nodes_cut_off_from_the_catalogue() {
    let name = "three_data_nodes_cut_off_from_the_catalogue";
    let scenario = DataCluster {
        sheltered: false,
        groups_exist: false,
        catalogue_dies: true,
        ..DataCluster::new(name, 3)
    };
    println!("{:?}", check(scenario, 30));
}

#[test]
fn three_data_nodes_with_failing_disks() {
    let name = "three_data_nodes_with_failing_disks";
    println!("{:?}", check(DataCluster { disks_fail: true, ..DataCluster::new(name, 3) }, 20));
}

#[test]
fn three_meta_nodes_and_three_data_nodes() {
    let name = "three_meta_nodes_and_three_data_nodes";
    let scenario = DataCluster { metas: 3, catalogue_dies: true, ..DataCluster::new(name, 3) };
    println!("{:?}", check(scenario, 15));
}

#[test]
fn three_meta_nodes_and_three_data_nodes_all_of_them_cut_off() {
    let name = "three_meta_nodes_and_three_data_nodes_all_of_them_cut_off";
    let metas = DataCluster { metas: 3, catalogue_dies: true, ..DataCluster::new(name, 3) };
    println!("{:?}", check(DataCluster { sheltered: false, groups_exist: false, ..metas }, 15));
}

#[test]
fn two_data_nodes_that_write_through_a_log() {
    let name = "two_data_nodes_that_write_through_a_log";
    println!("{:?}", check(DataCluster { partitions: 3, ..DataCluster::new(name, 2) }, 30));
}

#[test]
fn three_data_nodes_that_write_through_a_log_with_failing_disks() {
    let name = "three_data_nodes_that_write_through_a_log_with_failing_disks";
    let cluster =
        DataCluster { partitions: 4, disks_fail: true, catalogue_dies: true, ..DataCluster::new(name, 3) };
    println!("{:?}", check(cluster, 20));
}

#[test]
fn two_data_nodes_and_a_log_that_forgets() {
    let name = "two_data_nodes_and_a_log_that_forgets";
    println!(
        "{:?}",
        check(DataCluster { partitions: 2, log_expires: true, ..DataCluster::new(name, 2) }, 20)
    );
}

#[test]
fn three_data_nodes_that_forget_deletes() {
    let name = "three_data_nodes_that_forget_deletes";
    println!("{:?}", check(DataCluster { forgets: true, ..DataCluster::new(name, 3) }, 30));
}

#[test]
fn three_data_nodes_that_forget_deletes_with_failing_disks_and_catalogue() {
    let name = "three_data_nodes_that_forget_deletes_with_failing_disks_and_catalogue";
    let cluster = DataCluster { forgets: true, disks_fail: true, ..DataCluster::new(name, 3) };
    println!("{:?}", check(DataCluster { sheltered: false, catalogue_dies: true, ..cluster }, 30));
}

/// What the two before look at does happen.
#[test]
fn deletes_are_forgotten_in_simulations() {
    let name = "deletes_are_forgotten_in_simulations";
    let scenario = Arc::new(DataCluster { forgets: true, ..DataCluster::new(name, 2) });
    let forgets = |seed: &u64| {
        let plan = Plan { seed: *seed, script: scenario.script(*seed) };
        let outcome = run_one(&scenario, &plan);
        assert!(outcome.violation.is_none(), "seed {seed}: {:?}", outcome.violation);
        !outcome.trace.story(&["forgets"]).is_empty()
    };
    assert!((1..12).filter(forgets).count() >= 3);
}

#[test]
fn queries_of_three_data_nodes_that_are_cut_off_from_the_catalogue() {
    let name = "queries_of_three_data_nodes_that_are_cut_off_from_the_catalogue";
    let one = DataCluster { sheltered: false, catalogue_dies: true, ..DataCluster::new(name, 3) };
    println!("{:?}", check(one, 20));
}

/// Each of them alone with clients in its turn, which is where assurances and the age of the catalogue are needed.
#[test]
fn queries_of_three_data_nodes_that_only_clients_reach() {
    let name = "queries_of_three_data_nodes_that_only_clients_reach";
    let cluster = DataCluster { sheltered: false, cuts_off: true, ..DataCluster::new(name, 3) };
    println!("{:?}", check(cluster.clone(), 20));
    println!("{:?}", check(DataCluster { replicas: 3, ..cluster }, 20));
    println!("{:?}", check(DataCluster { metas: 3, replicas: 3, ..cluster }, 10));
}

#[test]
fn queries_of_a_whole_cluster_all_of_it_cut_off() {
    let name = "queries_of_a_whole_cluster_all_of_it_cut_off";
    let cluster =
        DataCluster { metas: 3, sheltered: false, catalogue_dies: true, ..DataCluster::new(name, 3) };
    println!("{:?}", check(cluster, 15));
}

#[test]
fn a_whole_cluster_repeats_itself() {
    let cluster = DataCluster::new("a_whole_cluster_repeats_itself", 3);
    let scenario = Arc::new(DataCluster { metas: 3, sheltered: false, catalogue_dies: true, ..cluster });
    for seed in 1..4 {
        let plan = Plan { seed, script: scenario.script(seed) };
        let [first, second] = [(); 2].map(|()| run_one(&scenario, &plan).trace.digest());
        assert_eq!(first, second, "seed {seed}");
    }
}
