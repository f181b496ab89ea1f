//! Deletes that an owner forgets, once it has had all that is older, change nothing that anybody sees; and they go.

use proptest::prelude::*;
use skywatch_model::{TimeRange, Version};
use skywatch_storage::{TagPredicate, WriteError, fs::Fault};

use crate::{
    owners::{Operation, Owner, Then, operation, then},
    support::{simple, write},
};

fn delete(owner: &Owner, host: &str, version: u64) -> Result<(), WriteError> {
    let predicate = TagPredicate::Equal { key: "host".into(), value: host.into() };
    owner.shard().delete(&["m".into()], &predicate, TimeRange::ALL, Version(version)).map(drop)
}

fn tombstones(owner: &Owner) -> u64 {
    owner.shard().stats().tombstones
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// One owner forgets at some moment what it has had until then, another never does.
    #[test]
    fn what_is_seen_stays_the_same(
        operations in prop::collection::vec(operation(), 1..14),
        order in Just((0..14usize).collect::<Vec<_>>()).prop_shuffle(),
        thens in prop::collection::vec(then(), 28),
        cut in 0..14usize,
    ) {
        let cut = cut.min(operations.len());
        let (mut forgetful, mut other) = (Owner::new(), Owner::new());
        // Those below the cut come in any order, and before what is younger.
        let (early, late): (Vec<usize>, Vec<usize>) =
            order.into_iter().filter(|number| *number < operations.len()).partition(|number| *number < cut);
        let before = Version(cut as u64 + 1);
        let mut thens = thens.into_iter();
        for (position, number) in early.iter().chain(&late).enumerate() {
            if position == early.len() {
                forgetful.shard().forget_deletes(before).unwrap();
            }
            for owner in [&mut forgetful, &mut other] {
                owner.apply(&operations[*number], *number as u64 + 1);
                owner.then(thens.next().unwrap_or(Then::Nothing));
            }
            prop_assert_eq!(forgetful.cells(), other.cells());
        }
        forgetful.shard().forget_deletes(before).unwrap();
        prop_assert_eq!(forgetful.cells(), other.cells());
        // Whatever is delivered again is refused, and kept in mind to be refused.
        for number in early {
            forgetful.restart();
            let refused = match &operations[number] {
                Operation::Write(points) => write(&forgetful.shard(), points, number as u64 + 1).map(drop),
                Operation::Delete(predicate, range) => {
                    let version = Version(number as u64 + 1);
                    forgetful.shard().delete(&["m".into()], predicate, *range, version).map(drop)
                }
            };
            let is_settled = matches!(refused, Err(WriteError::Settled { .. }));
            prop_assert!(is_settled, "operation {}", number);
        }
        for owner in [&mut forgetful, &mut other] {
            owner.then(Then::Compact);
            owner.restart();
        }
        prop_assert_eq!(forgetful.cells(), other.cells());
        prop_assert_eq!(forgetful.shard().digest().unwrap().times, other.shard().digest().unwrap().times);
        prop_assert!(forgetful.shard().deletions().iter().all(|deletion| deletion.version >= before));
    }
}

#[test]
fn a_forgotten_delete_goes_when_nothing_is_left_that_it_hides() {
    let mut owner = Owner::new();
    for series in 0..40 {
        write(&owner.shard(), &[simple(series, 1, 1.0), simple(series, 2, 2.0)], 1).unwrap();
    }
    owner.shard().flush().unwrap();
    for series in 0..40u64 {
        delete(&owner, &format!("h{series}"), 10 + series).unwrap();
    }
    // Rows that come late, and are in memory when everything else is forgotten.
    write(&owner.shard(), &[simple(3, 9, 9.0)], 2).unwrap();
    let seen = owner.cells();
    assert_eq!(tombstones(&owner), 40);
    owner.shard().forget_deletes(Version(30)).unwrap();
    assert_eq!(owner.cells(), seen);
    assert_eq!(owner.shard().deletions().len(), 20, "others are told of those that are remembered");
    assert_eq!(tombstones(&owner), 40, "the segment has what they hide");
    owner.then(Then::Compact);
    assert_eq!(owner.cells(), seen);
    assert_eq!(tombstones(&owner), 20);
    owner.restart();
    assert_eq!((owner.cells(), tombstones(&owner)), (seen.clone(), 20));
    assert_eq!(owner.shard().forgotten(), Version(30));
    owner.shard().forget_deletes(Version(100)).unwrap();
    assert_eq!((owner.cells(), tombstones(&owner)), (seen, 0));
}

#[test]
fn cells_that_were_asked_for_before_are_thrown_away() {
    let (owner, other) = (Owner::new(), Owner::new());
    write(&other.shard(), &[simple(1, 1, 1.0)], 5).unwrap();
    let export = || {
        other.shard().export(TimeRange::ALL, skywatch_storage::SeriesClasses::ALL, None, 1 << 20).unwrap().0
    };
    let (asked, stale) = (owner.shard().forgotten(), export());
    // Both get the delete; it is carried out at both, and forgotten, while the answer is on its way.
    for owner in [&owner, &other] {
        delete(owner, "h1", 9).unwrap();
        owner.shard().forget_deletes(Version(10)).unwrap();
    }
    assert!(owner.shard().import(&stale, asked).is_err());
    assert!(owner.cells().is_empty());
    owner.shard().import(&export(), owner.shard().forgotten()).unwrap();
    assert!(owner.cells().is_empty());
}

#[test]
fn a_disk_that_fails_or_loses_power_forgets_all_or_nothing() {
    let faults = [Fault::PowerCut, Fault::Error, Fault::DiskFull];
    for (step, fault) in (0..12).flat_map(|step| faults.map(|fault| (step, fault))) {
        let mut owner = Owner::new();
        write(&owner.shard(), &[simple(1, 1, 1.0), simple(2, 1, 1.0)], 1).unwrap();
        owner.shard().flush().unwrap();
        delete(&owner, "h1", 5).unwrap();
        let seen = owner.cells();
        owner.fs.fail_at(owner.fs.operations() + step, fault);
        drop(owner.shard().forget_deletes(Version(6)));
        owner.restart();
        assert_eq!(owner.cells(), seen, "step {step}");
        let (forgotten, remembered) = (owner.shard().forgotten(), owner.shard().deletions().len());
        assert!((forgotten, remembered) == (Version(6), 0) || (forgotten, remembered) == (Version::ZERO, 1));
        owner.then(Then::Compact);
        assert_eq!(owner.cells(), seen, "step {step}");
    }
}

#[test]
fn deletes_beyond_the_limit_are_refused_before_they_are_given_to_anybody() {
    let owner = Owner::limited(50);
    write(&owner.shard(), &[simple(1, 1, 1.0)], 1).unwrap();
    assert!(owner.shard().refuses_deletes().is_none());
    for version in 0..50u64 {
        delete(&owner, &format!("x{version}"), 10 + version).unwrap();
    }
    let refusal = owner.shard().refuses_deletes().expect("it is full");
    assert!(matches!(refusal, WriteError::TooManyDeletes { limit: 50 }));
    assert_eq!(
        refusal.to_string(),
        "50 deletes of a shard wait to be carried out; retry later, or delete more with one statement"
    );
    // What others have taken already is taken.
    for version in 0..50u64 {
        delete(&owner, &format!("y{version}"), 900 + version).unwrap();
    }
    assert!(matches!(delete(&owner, "z", 999), Err(WriteError::TooManyDeletes { limit: 100 })));
    owner.shard().flush().unwrap();
    owner.shard().forget_deletes(Version(1_000)).unwrap();
    owner.shard().compact().unwrap();
    assert_eq!(tombstones(&owner), 0);
    assert!(owner.shard().refuses_deletes().is_none());
}
