//! Masks against the plainest reading of what they mean; bytes there and back.

use proptest::prelude::*;
use skywatch_model::{Column, Values};

use super::{samples, wire::depth, *};
use crate::{
    merge::{Rows, Versions, merge},
    wire::Reader,
};

fn mask_strategy() -> impl Strategy<Value = Mask> {
    (-2i64..12, 0i64..8, 0u64..6).prop_map(|(start, len, version)| Mask {
        range: TimeRange::new(start, start + len),
        version: Version(version),
    })
}

fn rows_strategy() -> impl Strategy<Value = Rows> {
    let cell = prop::option::weighted(0.8, -100i64..100);
    let row = (prop::collection::vec((cell, 0u64..6), 2), 0u64..6);
    (prop::collection::btree_map(0i64..10, row, 0..8), 0..3).prop_map(|(rows, kind)| {
        let times: Vec<i64> = rows.keys().copied().collect();
        let column = |index: usize| {
            let cells: Vec<Option<i64>> = rows.values().map(|(cells, _)| cells[index].0).collect();
            if cells.iter().all(Option::is_none) {
                return None;
            }
            let mut valid = skywatch_model::Bitmap::filled(cells.len(), true);
            cells.iter().enumerate().for_each(|(row, cell)| valid.set(row, cell.is_some()));
            Some(Column {
                values: Values::Integer(cells.iter().map(|cell| cell.unwrap_or(0)).collect()),
                valid: Some(valid),
            })
        };
        let versions = match kind {
            0 => Versions::Uniform(Version(rows.values().next().map_or(0, |(_, version)| *version))),
            1 => Versions::Rows(rows.values().map(|(_, version)| Version(*version)).collect()),
            _ => Versions::Cells(
                (0..2)
                    .map(|index| rows.values().map(|(cells, _)| Version(cells[index].1)).collect())
                    .collect(),
            ),
        };
        Rows { times, columns: vec![column(0), column(1)], versions }
    })
}

/// Every cell: time, column, value, version.
fn cells(rows: &Rows) -> Vec<(i64, usize, i64, u64)> {
    let mut cells = Vec::new();
    for (row, time) in rows.times.iter().enumerate() {
        for (index, column) in rows.columns.iter().enumerate() {
            if let Some(Column { values: Values::Integer(values), .. }) = column
                && column.as_ref().is_some_and(|column| column.is_valid(row))
            {
                cells.push((*time, index, values[row], rows.versions.get(index, row).0));
            }
        }
    }
    cells
}

proptest! {
    #[test]
    fn a_mask_takes_the_cells_it_covers_and_no_others(
        rows in rows_strategy(),
        masks in prop::collection::vec(mask_strategy(), 0..4),
    ) {
        let lives = |cell: &(i64, usize, i64, u64)| {
            !masks.iter().any(|mask| mask.range.contains(cell.0) && cell.3 < mask.version.0)
        };
        let expected: Vec<_> = cells(&rows).into_iter().filter(lives).collect();
        let masked = mask(rows.clone(), &masks);
        prop_assert_eq!(&cells(&masked), &expected);
        if matches!(rows.versions, Versions::Cells(_)) {
            prop_assert_eq!(survives(&rows, &masks), !expected.is_empty());
        }
        prop_assert_eq!(cells(&mask(masked.clone(), &masks)), expected, "again changes nothing");
        // What the block's head says agrees with its rows.
        if let (Some(first), Some(last), Versions::Uniform(version)) =
            (rows.times.first(), rows.times.last(), &rows.versions)
        {
            match fate(&masks, TimeRange::new(*first, *last), Some(*version)) {
                Fate::Whole => prop_assert_eq!(masked, rows),
                Fate::Gone => prop_assert_eq!(masked.times, Vec::<i64>::new()),
                Fate::Part => {}
            }
        }
    }

    /// Batches and deletes in any order, any of them repeated: what is left is the same, since each batch may meet
    /// each delete before or after it is merged.
    #[test]
    fn merging_and_masking_commute(
        batches in prop::collection::vec(rows_strategy(), 1..4),
        masks in prop::collection::vec(mask_strategy(), 1..3),
        order in any::<prop::sample::Index>(),
    ) {
        // One version for each batch, as there is in life: equal versions come from equal batches.
        let batches: Vec<Rows> = batches
            .into_iter()
            .enumerate()
            .map(|(number, rows)| Rows { versions: Versions::Uniform(Version(1 + number as u64)), ..rows })
            .collect();
        let early = merge(batches.iter().map(|rows| mask(rows.clone(), &masks)).collect(), true);
        let mut shuffled = batches.clone();
        let at = order.index(shuffled.len());
        shuffled.rotate_left(at);
        shuffled.push(batches[at].clone());
        let late = mask(merge(shuffled, true), &masks);
        prop_assert_eq!(cells(&early), cells(&late));
    }

    #[test]
    fn noise_is_no_tombstone_and_no_panic(noise: Vec<u8>) {
        let _ignored = take_tombstone(&mut Reader::new(&noise));
    }
}

#[test]
fn fate_joins_masks_that_touch() {
    let masks = |ranges: &[(i64, i64)]| -> Vec<Mask> {
        let mask =
            |(start, end): &(i64, i64)| Mask { range: TimeRange::new(*start, *end), version: Version(5) };
        ranges.iter().map(mask).collect()
    };
    let block = TimeRange::new(10, 20);
    let settled = Some(Version::ZERO);
    assert_eq!(fate(&masks(&[(0, 9), (21, 30)]), block, settled), Fate::Whole);
    assert_eq!(fate(&masks(&[(15, 30), (0, 14)]), block, settled), Fate::Gone);
    assert_eq!(fate(&masks(&[(0, 14), (16, 30)]), block, settled), Fate::Part);
    assert_eq!(fate(&masks(&[(0, 19)]), block, settled), Fate::Part);
    assert_eq!(fate(&masks(&[(11, 20)]), block, settled), Fate::Part);
    assert_eq!(fate(&masks(&[(i64::MIN, i64::MAX)]), block, settled), Fate::Gone);
    assert_eq!(fate(&masks(&[(0, 30)]), block, Some(Version(5))), Fate::Whole, "as young as the delete");
    assert_eq!(fate(&masks(&[(0, 30)]), block, None), Fate::Part, "several versions");
}

#[test]
fn a_rule_means_what_the_index_means() {
    let rule = samples::with_rule().rule.unwrap();
    assert!(rule.matches("cpu,host=a\\ b,rack=r12"));
    assert!(rule.matches("disk\\ io,dc=x,host=a\\ b"));
    assert!(!rule.matches("cpu,host=a\\ b"), "neither rack nor dc");
    assert!(!rule.matches("cpu,host=a,rack=r12"));
    assert!(!rule.matches("mem,host=a\\ b,rack=r12"));
}

#[test]
fn tombstones_come_back_from_bytes() {
    for tombstone in [samples::plain(), samples::with_rule()] {
        let mut bytes = Vec::new();
        put_tombstone(&mut bytes, &tombstone);
        let mut reader = Reader::new(&bytes);
        let back = take_tombstone(&mut reader).unwrap();
        reader.finish().unwrap();
        assert_eq!(format!("{back:?}"), format!("{tombstone:?}"));
        assert!(back.repeats(&tombstone));
        for end in 0..bytes.len() {
            assert!(take_tombstone(&mut Reader::new(&bytes[..end])).is_err(), "cut at {end}");
        }
    }
    let mut bytes = Vec::new();
    let rule = samples::with_rule().rule.unwrap();
    rule.encode(&mut bytes);
    let back = Rule::decode(&mut Reader::new(&bytes)).unwrap();
    assert_eq!(format!("{back:?}"), format!("{rule:?}"));
    let deep = (0..300).fold(TagPredicate::All, |inner, _| TagPredicate::Not(Box::new(inner)));
    assert_eq!(depth(&deep), 301);
}

#[test]
fn a_tombstone_goes_when_nothing_is_left_below_it() {
    let one = |number, start, end| SegmentMeta {
        number,
        size_bytes: 1,
        rows: 1,
        cells: 1,
        series: 1,
        range: TimeRange::new(start, end),
    };
    let all: Tombstones = [Arc::new(samples::plain())].into_iter().collect();
    let left = |floor, segments: &[SegmentMeta], retired: &[u32]| {
        all.needed(floor, segments.iter(), &retired.iter().copied().collect()).len()
    };
    assert_eq!(left(3, &[], &[]), 1, "a memtable may have older rows");
    assert_eq!(left(4, &[one(5, 0, 9)], &[]), 1, "a segment below the barrier");
    assert_eq!(left(4, &[one(5, -90, -9)], &[]), 0, "it has other times");
    assert_eq!(left(4, &[one(6, 0, 9)], &[]), 0, "written with the tombstone in mind");
    assert_eq!(left(0, &[one(5, 0, 9)], &[0, 2, 4, 100_000]), 0, "all its series are gone");
    let ruled: Tombstones = [Arc::new(samples::with_rule())].into_iter().collect();
    assert_eq!(
        ruled.needed(9, std::iter::empty(), &RoaringBitmap::new()).len(),
        1,
        "older points may yet come"
    );
}

#[test]
fn much_waste_is_rewritten_alone_and_little_waits() {
    assert_eq!(worth_rewriting(&[Some(0.2), None, Some(0.0)], false, 1), None);
    assert_eq!(worth_rewriting(&[Some(0.3), Some(0.6), None], false, 1), Some(1));
    assert_eq!(worth_rewriting(&[Some(0.2), Some(0.1)], true, 1), Some(0));
    assert_eq!(worth_rewriting(&[Some(0.2), Some(0.1)], false, MANY_TOMBSTONES + 1), Some(0));
    assert_eq!(worth_rewriting(&[Some(0.0)], true, MANY_TOMBSTONES + 1), None);
}
