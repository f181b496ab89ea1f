//! What is merged, and what is left alone.

use skywatch_model::TimeRange;

use super::*;

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
    plan(&segments(sizes_mb), &vec![true; sizes_mb.len()], cold, 1000 * MB)
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
fn what_cannot_be_read_is_left_alone() {
    let segments = segments(&[10; 6]);
    let usable = [true, true, false, true, true, true];
    assert_eq!(plan(&segments, &usable, false, 1000 * MB), None);
    assert_eq!(plan(&segments, &usable, true, 1000 * MB), Some(3..6));
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
