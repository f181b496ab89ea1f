//! Data nodes under faults.

use skywatch_simulation::{check, data_cluster::DataCluster};

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
