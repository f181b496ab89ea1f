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
fn marks_that_are_not_kept() {
    assert_eq!(broken_by("marks_that_are_not_kept", Planted::NoMarks), "acknowledged is there");
}
