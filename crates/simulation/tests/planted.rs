//! Mistakes in the software, made on purpose, are found.

use std::sync::Arc;

use skywatch_simulation::{
    data_cluster::{DataCluster, Planted},
    find,
};

/// Which invariant breaks for the first seed that finds the mistake.
fn broken_by(name: &'static str, planted: Planted) -> String {
    let scenario = Arc::new(DataCluster { planted, ..DataCluster::new(name, 2) });
    let found = find(&scenario, 1..400).expect_err("the mistake is found");
    found.violation.invariant.to_owned()
}

#[test]
fn hints_that_are_skipped() {
    assert_eq!(broken_by("hints_that_are_skipped", Planted::SkippedHints), "acknowledged is there");
}

#[test]
fn hints_that_are_not_synced() {
    assert_eq!(broken_by("hints_that_are_not_synced", Planted::UnsyncedHints), "acknowledged is there");
}

#[test]
fn a_log_that_is_noted_as_applied_too_early() {
    let name = "a_log_that_is_noted_as_applied_too_early";
    let planted = Planted::EarlyPositions;
    let scenario = Arc::new(DataCluster { planted, partitions: 2, ..DataCluster::new(name, 2) });
    let found = find(&scenario, 1..400).expect_err("the mistake is found");
    assert_eq!(found.violation.invariant, "acknowledged is there");
}

#[test]
fn marks_that_are_not_kept() {
    assert_eq!(broken_by("marks_that_are_not_kept", Planted::NoMarks), "acknowledged is there");
}

#[test]
fn assurances_that_nobody_gave() {
    let name = "assurances_that_nobody_gave";
    let planted = Planted::InventedAssurances;
    // Whoever is alone needs nobody else for a query.
    let cluster =
        DataCluster { sheltered: false, cuts_off: true, replicas: 3, planted, ..DataCluster::new(name, 3) };
    let found = find(&Arc::new(cluster), 1..400).expect_err("the mistake is found");
    assert_eq!(found.violation.invariant, "acknowledged is there");
}

#[test]
fn deletes_that_are_forgotten_without_asking() {
    let name = "deletes_that_are_forgotten_without_asking";
    let planted = Planted::ForgottenUnasked;
    let scenario = Arc::new(DataCluster { planted, forgets: true, ..DataCluster::new(name, 3) });
    let found = find(&scenario, 1..400).expect_err("the mistake is found");
    let broken = found.violation.invariant;
    assert!(["acknowledged is there", "deletes hold"].contains(&broken), "{broken}");
}
