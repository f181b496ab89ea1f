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
fn a_whole_cluster_repeats_itself() {
    let cluster = DataCluster::new("a_whole_cluster_repeats_itself", 3);
    let scenario = Arc::new(DataCluster { metas: 3, sheltered: false, catalogue_dies: true, ..cluster });
    for seed in 1..4 {
        let plan = Plan { seed, script: scenario.script(seed) };
        let [first, second] = [(); 2].map(|()| run_one(&scenario, &plan).trace.digest());
        assert_eq!(first, second, "seed {seed}");
    }
}
