//! What is merged, and what is left alone.

use std::{collections::BTreeMap, sync::atomic::AtomicBool};

use proptest::prelude::*;
use skywatch_model::{Column, FieldType, TimeRange, Values};

use super::*;
use crate::{
    StoreOptions,
    fs::SimFs,
    merge::{Rows, Versions},
    segment::BLOCK_ROWS,
    store::Shared,
    wal::SeriesDefinition,
};

const MB: u64 = 1 << 20;

fn segments(sizes_mb: &[u64]) -> Vec<SegmentMeta> {
    let meta = |(number, size): (usize, &u64)| SegmentMeta {
        number: number as u64,
        size_bytes: size * MB,
        rows: 1,
        cells: 1,
        series: 1,
        range: TimeRange::new(0, 0),
    };
    sizes_mb.iter().enumerate().map(meta).collect()
}

fn plan_of(sizes_mb: &[u64], cold: bool) -> Option<Range<usize>> {
    let rest = if cold { Rest::Cold(u64::MAX) } else { Rest::Busy };
    plan(&segments(sizes_mb), &vec![true; sizes_mb.len()], rest, 1000 * MB)
}

#[test]
fn neighbours_of_a_size_are_merged_once_there_are_enough() {
    assert_eq!(plan_of(&[], false), None);
    assert_eq!(plan_of(&[10, 10, 10], false), None);
    assert_eq!(plan_of(&[10, 10, 10, 10], false), Some(0..4));
    assert_eq!(plan_of(&[100, 10, 12, 9, 30], false), Some(1..5));
    assert_eq!(plan_of(&[10, 100, 10, 100, 10, 100], false), None, "sizes too different");
    assert_eq!(plan_of(&[200, 3, 3, 3, 3, 3], false), Some(1..6));
}

#[test]
fn a_cold_shard_becomes_one_segment_within_the_limit() {
    assert_eq!(plan_of(&[100, 1], true), Some(0..2));
    assert_eq!(plan_of(&[100], true), None);
    assert_eq!(plan_of(&[900, 50, 900], true), Some(0..2));
    assert_eq!(plan_of(&[900, 900], true), None);
}

#[test]
fn a_late_point_beside_much_waits_until_the_shard_has_been_idle_for_long() {
    let after = |seconds| {
        let cold = cold_bytes(Duration::from_secs(seconds));
        plan(&segments(&[600, 1]), &[true; 2], Rest::Cold(cold), 1000 * MB)
    };
    assert_eq!(after(60), None);
    assert_eq!(after(601), Some(0..2));
    let cold = Rest::Cold(cold_bytes(Duration::from_secs(60)));
    let small = plan(&segments(&[40, 1]), &[true; 2], cold, 1000 * MB);
    assert_eq!(small, Some(0..2));
}

/// The merge of segments of so many megabytes with times from one to another.
fn plan_of_placed(rest: Rest, all: &[(u64, i64, i64)]) -> Option<Range<usize>> {
    let mut segments = segments(&all.iter().map(|(size, ..)| *size).collect::<Vec<_>>());
    for (segment, (_, start, end)) in segments.iter_mut().zip(all) {
        segment.range = TimeRange::new(*start, *end);
    }
    plan(&segments, &vec![true; all.len()], rest, 10_000 * MB)
}

#[test]
fn what_overlaps_and_is_alike_is_merged_in_a_pause() {
    let of = plan_of_placed;
    let shared = [(400, 0, 9), (2, 10, 20), (3, 20, 30)];
    assert_eq!(of(Rest::Pausing, &shared), Some(1..3));
    assert_eq!(of(Rest::Busy, &shared), None);
    let apart = [(400, 0, 9), (40, 10, 19), (30, 20, 30)];
    assert_eq!(of(Rest::Pausing, &apart), None, "they are large and follow each other");
    assert_eq!(of(Rest::Pausing, &[(400, 0, 30), (2, 10, 19)]), None, "much would be rewritten for little");
    assert_eq!(of(Rest::Pausing, &[(5, 0, 9), (2, 20, 29), (3, 5, 6)]), Some(0..3), "of neighbours");
}

#[test]
fn what_is_small_and_alike_is_merged_in_a_pause() {
    let of = plan_of_placed;
    assert_eq!(of(Rest::Pausing, &[(400, 0, 9), (2, 10, 19), (3, 20, 30)]), Some(1..3));
    assert_eq!(of(Rest::Busy, &[(2, 10, 19), (3, 20, 30)]), None);
    assert_eq!(of(Rest::Pausing, &[(30, 0, 9), (2, 10, 19)]), None, "much would be rewritten for little");
}

#[test]
fn pauses_rewrite_little() {
    // A megabyte for each pause: with a late point each time, or none.
    for width in [1_000_000, 1] {
        let (mut placed, mut written): (Vec<(u64, i64, i64)>, u64) = (Vec::new(), 0);
        for start in 0..1000 {
            placed.push((1, start, start + width - 1));
            while let Some(range) = plan_of_placed(Rest::Pausing, &placed) {
                let merged = placed[range.clone()].iter().map(|(size, ..)| size).sum();
                written += merged;
                let (start, end) = (placed[range.start].1, placed[range.end - 1].2);
                placed.splice(range, [(merged, start, end)]);
            }
        }
        let sizes: Vec<u64> = placed.iter().map(|(size, ..)| *size).collect();
        assert!(sizes.len() < 20 && written < 12_500, "{written} MB written for 1000: {sizes:?}");
    }
}

#[test]
fn what_cannot_be_read_is_left_alone() {
    let segments = segments(&[10; 6]);
    let usable = [true, true, false, true, true, true];
    assert_eq!(plan(&segments, &usable, Rest::Busy, 1000 * MB), None);
    assert_eq!(plan(&segments, &usable, Rest::Cold(u64::MAX), 1000 * MB), Some(3..6));
}

#[test]
fn merging_ends() {
    let mut sizes: Vec<u64> = Vec::new();
    for size in std::iter::repeat_n(1, 1000) {
        sizes.push(size);
        while let Some(range) = plan_of(&sizes, false) {
            let merged = sizes[range.clone()].iter().sum();
            sizes.splice(range, [merged]);
        }
    }
    assert!(sizes.len() < 20, "{sizes:?}");
}

/// One field, by series and time.
type Cells = BTreeMap<(u32, i64), i64>;

const FIELD: FieldId = FieldId(0);

fn write(fs: &SimFs, number: u64, blocks: &BTreeMap<u32, Vec<Vec<(i64, i64)>>>) -> Arc<Segment> {
    let path = number.to_string();
    let mut writer = SegmentWriter::create(fs, Path::new(&path), number).unwrap();
    let field = SegmentField { id: FIELD, name: "value".into(), field_type: FieldType::Integer };
    writer.begin_measurement(&"m".into(), vec![field]);
    for (series, blocks) in blocks {
        writer.begin_series(SeriesId(*series), &format!("m,n={series}"));
        for block in blocks.iter().filter(|block| !block.is_empty()) {
            let values = Values::Integer(block.iter().map(|(_, value)| *value).collect());
            let times = block.iter().map(|(time, _)| *time).collect();
            let columns = vec![Some(Column { values, valid: None })];
            writer.block(&Rows { times, columns, versions: Versions::SETTLED }).unwrap();
        }
        writer.end_series().unwrap();
    }
    writer.finish().unwrap();
    open(fs, number)
}

fn open(fs: &SimFs, number: u64) -> Arc<Segment> {
    let fs: Arc<dyn Fs> = Arc::new(fs.clone());
    Arc::new(Segment::open(&fs, Path::new(&number.to_string()), number).unwrap())
}

fn read(segment: &Segment) -> (Cells, Vec<usize>) {
    let (mut cells, mut sizes) = (Cells::new(), Vec::new());
    let Some(columns) = segment.columns("m", &[Some(FIELD)]) else { return (cells, sizes) };
    for id in (0..).map_while(|index| columns.series_at(index)) {
        let mut blocks = Vec::new();
        columns.blocks(id, TimeRange::ALL, &mut blocks).unwrap();
        for block in &blocks {
            sizes.push(block.rows());
            let rows = segment.decode(block, TimeRange::ALL, true).unwrap();
            let Some(Column { values: Values::Integer(values), .. }) = &rows.columns[0] else { continue };
            cells.extend(rows.times.iter().zip(values).map(|(time, value)| ((id.0, *time), *value)));
        }
    }
    (cells, sizes)
}

fn merged(fs: &SimFs, inputs: &[Arc<Segment>]) -> Result<Arc<Segment>, MaintenanceError> {
    let mut index = Index::default();
    for id in 0..4 {
        let key: Arc<str> = format!("m,n={id}").into();
        index.insert_series(&SeriesDefinition { id: SeriesId(id), key });
    }
    let (shared, options, is_closed) = (Shared::default(), StoreOptions::default(), AtomicBool::new(false));
    let pace = Pace { shared: &shared, options: &options, is_closed: &is_closed };
    let (index, tombstones) = (RwLock::new(index), Tombstones::default());
    let merge = Merge { inputs, index: &index, tombstones: &tombstones, keep_versions: false, pace };
    merge.write(fs, Path::new("99"), 99)?;
    Ok(open(fs, 99))
}

fn run(from: i64, rows: usize, value: i64) -> Vec<(i64, i64)> {
    (0..rows as i64).map(|row| (from + row, value + row % 7)).collect()
}

#[test]
fn full_blocks_that_overlap_nothing_are_copied_and_small_ones_joined() {
    let fs = SimFs::default();
    let full = run(0, BLOCK_ROWS - 100, 5);
    let small: Vec<_> = (0..6).map(|part| run(10_000 + part * 1000, 500, part)).collect();
    let late = [(10_001, -1), (100, -2)];
    let first = write(&fs, 1, &[(1, [vec![full], small[..3].to_vec()].concat())].into());
    let second = write(&fs, 2, &[(1, small[3..].to_vec()), (2, vec![run(0, 3, 0)])].into());
    let third = write(&fs, 3, &[(1, vec![late[..1].to_vec()])].into());
    let result = merged(&fs, &[first, second, third]).unwrap();
    let (cells, sizes) = read(&result);
    // Had it been decoded, the first block would have been filled up.
    assert_eq!(sizes, [BLOCK_ROWS - 100, 3000, 3]);
    assert_eq!(cells[&(1, 10_001)], -1, "the later segment wins");
    assert_eq!(cells.len(), BLOCK_ROWS - 100 + 3000 + 3);
    // One late point, and the block it falls in is rewritten.
    let fourth = write(&fs, 4, &[(1, vec![late[1..].to_vec()])].into());
    let (cells, sizes) = read(&merged(&fs, &[result, fourth]).unwrap());
    assert_eq!((cells[&(1, 100)], sizes), (-2, vec![BLOCK_ROWS - 100, 3000, 3]));
}

#[test]
fn a_damaged_input_is_named_also_where_it_would_only_be_copied() {
    let fs = SimFs::default();
    write(&fs, 1, &[(1, vec![run(0, BLOCK_ROWS, 1)])].into());
    let mut bytes = fs.read(Path::new("1")).unwrap();
    bytes[30] ^= 4;
    fs.overwrite(Path::new("1"), bytes).unwrap();
    let (damaged, good) = (open(&fs, 1), write(&fs, 2, &[(1, vec![run(9000, 5, 1)])].into()));
    let error = merged(&fs, &[Arc::clone(&damaged), Arc::clone(&good)]).unwrap_err();
    assert!(
        matches!(&error, MaintenanceError::Read(ReadError::Corrupt { file, .. }) if file == "1"),
        "{error}"
    );
    assert!(damaged.is_damaged() && !good.is_damaged());
}

proptest! {
    /// Whatever overlaps what: of each cell the youngest segment's value is kept, and blocks are full but for one.
    #[test]
    fn merging_keeps_the_youngest_value_of_every_cell(
        segments in prop::collection::vec(
            prop::collection::vec((0u32..3, 0i64..20_000, 1usize..5000, 1i64..4), 0..5),
            1..5,
        ),
    ) {
        let fs = SimFs::default();
        let mut expected = Cells::new();
        let mut inputs = Vec::new();
        for (number, runs) in segments.iter().enumerate() {
            let mut cells = Cells::new();
            for (series, from, rows, step) in runs {
                let value = |row: i64| (number as i64) << 32 | row;
                cells.extend((0..*rows as i64).map(|row| ((*series, from + row * step), value(row))));
            }
            let mut blocks: BTreeMap<u32, Vec<Vec<(i64, i64)>>> = BTreeMap::new();
            for ((series, time), value) in &cells {
                let blocks = blocks.entry(*series).or_default();
                match blocks.last_mut().filter(|last| last.len() < BLOCK_ROWS) {
                    Some(last) => last.push((*time, *value)),
                    None => blocks.push(vec![(*time, *value)]),
                }
            }
            inputs.push(write(&fs, number as u64, &blocks));
            expected.extend(cells);
        }
        let (found, sizes) = read(&merged(&fs, &inputs).unwrap());
        prop_assert!(found == expected, "cells differ");
        let least = expected.len().div_ceil(BLOCK_ROWS);
        prop_assert!(sizes.len() <= 2 * least + 3, "{} rows in blocks of {:?}", expected.len(), sizes);
    }
}
