//! Masks against the plainest reading of what they mean; bytes there and back.

use proptest::prelude::*;
use skywatch_model::{Column, Values, series::parse_key};

use super::{samples, *};
use crate::{
    merge::{Rows, Versions, merge},
    rows::SeriesId,
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
    let matches = |key: &str| {
        let (measurement, tags) = parse_key(key);
        rule.means(&measurement, &tags)
    };
    assert!(matches("cpu,host=a\\ b,rack=r12"));
    assert!(matches("disk\\ io,dc=x,host=a\\ b"));
    assert!(!matches("cpu,host=a\\ b"), "neither rack nor dc");
    assert!(!matches("cpu,host=a,rack=r12"));
    assert!(!matches("mem,host=a\\ b,rack=r12"));
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
    assert_eq!(deep.depth(), 301);
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
        all.needed((Forgotten::default(), floor), segments.iter(), &retired.iter().copied().collect()).len()
    };
    assert_eq!(left(3, &[], &[]), 1, "a memtable may have older rows");
    assert_eq!(left(4, &[one(5, 0, 9)], &[]), 1, "a segment below the barrier");
    assert_eq!(left(4, &[one(5, -90, -9)], &[]), 0, "it has other times");
    assert_eq!(left(4, &[one(6, 0, 9)], &[]), 0, "written with the tombstone in mind");
    assert_eq!(left(0, &[one(5, 0, 9)], &[0, 2, 4, 100_000]), 0, "all its series are gone");
    let ruled: Tombstones = [Arc::new(samples::with_rule())].into_iter().collect();
    assert_eq!(
        ruled.needed((Forgotten::default(), 9), std::iter::empty(), &RoaringBitmap::new()).len(),
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

fn predicate_strategy() -> impl Strategy<Value = TagPredicate> {
    let equal = |key: &str, value: u8| TagPredicate::Equal {
        key: key.into(),
        value: if value == 0 { "".into() } else { format!("v{value}").into() },
    };
    prop_oneof![
        Just(TagPredicate::All),
        (0u8..4).prop_map(move |value| equal("host", value)),
        (0u8..3, 0u8..3)
            .prop_map(move |(host, dc)| TagPredicate::And(vec![equal("dc", dc), equal("host", host)])),
        (1u8..3).prop_map(move |value| TagPredicate::Not(Box::new(equal("host", value)))),
    ]
}

/// Deletes as they come one after the other: series are numbered in the order of [`key`].
fn deletes_strategy() -> impl Strategy<Value = Vec<Tombstone>> {
    let delete = (prop::bool::ANY, predicate_strategy(), 0i64..4, 0i64..6, 1u64..9, 0u32..9);
    prop::collection::vec(delete, 0..12).prop_map(|deletes| {
        let tombstone =
            |(id, (both, predicate, start, len, version, resolved)): (usize, (bool, _, _, _, _, u32))| {
                let measurements = if both { vec!["cpu".into(), "mem".into()] } else { vec!["cpu".into()] };
                let rule = Rule { measurements, predicate };
                let known = (0..resolved).filter(|id| means(&rule, *id)).collect();
                let range = TimeRange::new(start, start + len);
                let (id, version) = (id as u64, Version(version));
                Tombstone {
                    id,
                    version,
                    range,
                    barrier: 5,
                    log: 1,
                    series: known,
                    resolved,
                    rule: Some(rule),
                }
            };
        deletes.into_iter().enumerate().map(tombstone).collect()
    })
}

fn key(series: u32) -> Arc<str> {
    let measurement = if series.is_multiple_of(3) { "mem" } else { "cpu" };
    let host = if series.is_multiple_of(4) { String::new() } else { format!(",host=v{}", series % 4) };
    format!("{measurement},dc=v{}{host}", series % 3).into()
}

fn means(rule: &Rule, series: u32) -> bool {
    let key = key(series);
    let (measurement, tags) = parse_key(&key);
    rule.means(&measurement, &tags)
}

proptest! {
    /// Whatever goes because something covers it, and in whichever order they come: what is deleted is what all of them
    /// together delete, and the same ones stay.
    #[test]
    fn what_is_covered_is_not_missed(deletes in deletes_strategy(), turn in any::<prop::sample::Index>()) {
        let list = |deletes: &[Tombstone]| {
            deletes.iter().cloned().fold(Tombstones::default(), |all, one| all.with(one))
        };
        let all = list(&deletes);
        let mut turned = deletes.clone();
        turned.rotate_left(if deletes.is_empty() { 0 } else { turn.index(deletes.len()) });
        let other = list(&turned);
        let said = |all: &Tombstones| {
            let mut said: Vec<String> = all
                .iter()
                .map(|it| format!("{:?} {:?} {:?}", it.version, it.range, it.rule))
                .collect();
            said.sort();
            said
        };
        prop_assert_eq!(said(&all), said(&other));
        for series in 0..9 {
            for time in 0..10 {
                let of = |all: &Tombstones| {
                    let range = TimeRange::new(time, time);
                    let masks = all.of_series(SeriesId(series), range, || Some(key(series)));
                    masks.at(Place::Memory, range).iter().map(|mask| mask.version).max()
                };
                let meant = deletes.iter().filter(|it| {
                    it.range.contains(time) && means(it.rule.as_ref().unwrap(), series)
                });
                prop_assert_eq!(of(&all), meant.map(|it| it.version).max(), "series {} at {}", series, time);
                prop_assert_eq!(of(&all), of(&other));
            }
        }
    }
}

#[test]
fn many_deletes_are_searched_by_what_they_name() {
    let one = |number: u32| {
        let predicate = TagPredicate::Equal { key: "host".into(), value: format!("h{number}").into() };
        let rule = Rule { measurements: vec!["cpu".into()], predicate };
        let (id, version) = (u64::from(number), Version(u64::from(number)));
        Tombstone {
            id,
            version,
            series: [number].into(),
            resolved: 5000,
            rule: Some(rule),
            ..samples::plain()
        }
    };
    let all: Tombstones = (0..3000).map(|number| Arc::new(one(number))).collect();
    let masks = |series: u32, host: u32| {
        let key = || Some(Arc::from(format!("cpu,host=h{host}")));
        all.of_series(SeriesId(series), TimeRange::ALL, key).at(Place::Memory, TimeRange::ALL)
    };
    let versions = |series, host| masks(series, host).iter().map(|it| it.version.0).collect::<Vec<_>>();
    assert_eq!(versions(1234, 0), [1234], "known at the time of the delete");
    assert_eq!(versions(4999, 17), [], "known, and not meant");
    assert_eq!(versions(7000, 17), [17], "it came later");
    let wide = Rule { measurements: vec!["cpu".into()], predicate: TagPredicate::All };
    let last = all.with(Tombstone { id: 9000, version: Version(9000), rule: Some(wide), ..one(1) });
    assert_eq!(last.len(), 1, "all others are covered");
}
