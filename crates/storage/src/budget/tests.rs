use std::{thread, time::Duration};

use super::*;

const MIB: u64 = 1 << 20;

fn budget(bytes: u64) -> Arc<MemoryBudget> {
    Arc::new(MemoryBudget::new(bytes))
}

#[test]
fn everybody_has_a_share_that_others_cannot_take() {
    let budget = budget(160 * MIB);
    let share = |consumer| budget.limit_bytes(consumer) / MIB;
    assert_eq!(Consumer::ALL.map(share), [80, 50, 40, 30, 20, 10, 10]);
    let _bodies = budget.reserve(Consumer::Bodies, 20 * MIB).unwrap();
    let refused = budget.reserve(Consumer::Bodies, 1).unwrap_err();
    assert_eq!((refused.used_bytes, refused.limit_bytes), (20 * MIB, 20 * MIB));
    assert_eq!(budget.refused(Consumer::Bodies), 1);
    let _queries = budget.reserve(Consumer::Queries, 40 * MIB).unwrap();
    let _memtables = budget.reserve(Consumer::Memtables, 50 * MIB).unwrap();
    assert_eq!(budget.used_bytes_total(), 110 * MIB);
}

#[test]
fn bytes_come_back_on_drop() {
    let budget = budget(160 * MIB);
    let mut held = budget.reserve(Consumer::Queries, 10 * MIB).unwrap();
    held.grow_to(40 * MIB).unwrap();
    assert!(held.grow_to(41 * MIB).is_err());
    assert_eq!(held.bytes(), 40 * MIB, "a refusal changes nothing");
    held.shrink_to(5 * MIB);
    assert_eq!(budget.used_bytes(Consumer::Queries), 5 * MIB);
    drop(held);
    assert_eq!(budget.used_bytes_total(), 0);
}

#[test]
fn one_large_piece_is_possible_where_many_are_not() {
    let budget = budget(160 * MIB);
    let large = budget.reserve(Consumer::Batches, 100 * MIB).unwrap();
    assert!(budget.reserve(Consumer::Batches, 1).is_err());
    // Not beyond the whole, though.
    assert!(budget.reserve(Consumer::Bodies, 70 * MIB).is_err());
    drop(large);
    let small = budget.reserve(Consumer::Batches, 1).unwrap();
    assert!(budget.reserve(Consumer::Batches, 100 * MIB).is_err());
    drop(small);
    assert!(budget.reserve(Consumer::Batches, 161 * MIB).is_err());
}

#[test]
fn what_the_index_holds_the_others_share_no_more() {
    let budget = budget(320 * MIB);
    let mut index = budget.empty(Consumer::Index);
    assert_eq!(budget.limit_bytes(Consumer::Memtables), 100 * MIB);
    index.set(160 * MIB);
    assert_eq!(budget.limit_bytes(Consumer::Memtables), 50 * MIB);
    // An index beyond its half (recovered with a smaller budget, say) leaves the others theirs.
    index.set(300 * MIB);
    assert_eq!(budget.limit_bytes(Consumer::Memtables), 50 * MIB);
    assert!(budget.reserve(Consumer::Index, 1).is_err());
    assert!(budget.reserve(Consumer::Memtables, 50 * MIB).is_ok());
    index.set(0);
    assert_eq!(budget.used_bytes_total(), 0);
}

#[test]
fn a_ceiling_holds_below_the_share() {
    let budget = MemoryBudget::new(160 * MIB).with_ceiling(Consumer::Memtables, 7 * MIB);
    assert_eq!(budget.limit_bytes(Consumer::Memtables), 7 * MIB);
    assert_eq!(MemoryBudget::unlimited().limit_bytes(Consumer::Index), u64::MAX / 32);
}

#[test]
fn a_waiter_gets_what_another_gives_back_and_gives_up_in_time() {
    let budget = budget(160 * MIB);
    let held = budget.reserve(Consumer::Answers, 10 * MIB).unwrap();
    let never = || false;
    let short = Duration::from_millis(30);
    assert!(budget.reserve_within(Consumer::Answers, MIB, short, &never).is_err());
    assert!(budget.reserve_within(Consumer::Answers, MIB, Duration::from_secs(60), &|| true).is_err());
    let long = Duration::from_secs(60);
    assert!(
        budget.reserve_within(Consumer::Answers, 200 * MIB, long, &never).unwrap_err().is_hopeless(),
        "what can never fit is not waited for"
    );
    thread::scope(|scope| {
        let waiter =
            scope.spawn(|| budget.reserve_within(Consumer::Answers, 10 * MIB, long, &never).map(drop));
        thread::sleep(short);
        drop(held);
        assert_eq!(waiter.join().unwrap(), Ok(()));
    });
}

#[test]
fn many_threads_never_exceed_a_share_and_leave_nothing_behind() {
    let budget = budget(16 * MIB);
    thread::scope(|scope| {
        for thread in 0..4u64 {
            let budget = &budget;
            scope.spawn(move || {
                for step in 0..2_000u64 {
                    let bytes = 1 + (thread * 7919 + step * 104_729) % (MIB / 2);
                    let held = budget.reserve(Consumer::Bodies, bytes);
                    assert!(budget.used_bytes(Consumer::Bodies) <= 2 * MIB);
                    drop(held);
                }
            });
        }
    });
    assert_eq!(budget.used_bytes_total(), 0);
}
