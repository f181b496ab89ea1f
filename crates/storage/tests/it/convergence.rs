//! Owners that have seen the same batches, in whatever order and however often, hold the same cells.

use proptest::prelude::*;
use skywatch_model::FieldValue;
use skywatch_storage::{StoreOptions, VersionPolicy, fs::SimFs};

use crate::support::{Cells, Point, SHARD, cells, manual, open, shard, write};

fn points() -> impl Strategy<Value = Vec<Point>> {
    let fields = prop::sample::subsequence(vec!["a", "b", "c"], 1..4);
    let point = (0..2u32, 0i64..6, fields, any::<i32>()).prop_map(|(series, time, fields, value)| {
        let value = |name: &&str| (name.to_string(), FieldValue::Integer(i64::from(value)));
        (format!("m,host=h{series}"), time, fields.iter().map(value).collect())
    });
    prop::collection::vec(point, 1..8)
}

/// What an owner does after a batch.
#[derive(Debug, Clone, Copy)]
enum Then {
    Nothing,
    Flush,
    Compact,
    Restart,
}

/// The cells of an owner that has been sent these batches, by number: a batch's version is its number and one.
fn cells_after(batches: &[Vec<Point>], deliveries: &[(usize, Then)]) -> Cells {
    let fs = SimFs::default();
    let options = StoreOptions { versions: VersionPolicy::Keep, ..manual() };
    let mut store = open(&fs, options.clone());
    shard(&store);
    for (number, then) in deliveries {
        let current = store.shard(SHARD).unwrap();
        write(&current, &batches[*number], *number as u64 + 1).unwrap();
        match then {
            Then::Nothing => {}
            Then::Flush => current.flush().unwrap(),
            Then::Compact => {
                current.flush().unwrap();
                current.compact().unwrap();
            }
            Then::Restart => {
                drop((current, store));
                fs.restart();
                store = open(&fs, options.clone());
            }
        }
    }
    cells(&*store.shard(SHARD).unwrap().snapshot()).unwrap()
}

fn then() -> impl Strategy<Value = Then> {
    prop_oneof![
        6 => Just(Then::Nothing),
        2 => Just(Then::Flush),
        1 => Just(Then::Compact),
        1 => Just(Then::Restart)
    ]
}

/// Batches, and for an owner their numbers in some order, each at least once.
fn case() -> impl Strategy<Value = (Vec<Vec<Point>>, Vec<(usize, Then)>)> {
    prop::collection::vec(points(), 1..6).prop_flat_map(|batches| {
        let numbers: Vec<usize> = (0..batches.len()).collect();
        let again = prop::collection::vec(prop::sample::select(numbers.clone()), 0..4);
        let deliveries = again.prop_flat_map(move |again| {
            let all: Vec<usize> = numbers.iter().copied().chain(again).collect();
            let len = all.len();
            (Just(all).prop_shuffle(), prop::collection::vec(then(), len))
        });
        (Just(batches), deliveries.prop_map(|(numbers, then)| numbers.into_iter().zip(then).collect()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_order_and_repetition_gives_the_same_cells((batches, deliveries) in case()) {
        let in_order: Vec<_> = (0..batches.len()).map(|number| (number, Then::Nothing)).collect();
        prop_assert_eq!(cells_after(&batches, &deliveries), cells_after(&batches, &in_order));
    }
}
