//! How much of a segment nobody can read any more, and when it is worth writing the rest anew.

use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;

use super::{MANY_TOMBSTONES, Tombstones};
use crate::segment::{Segment, SegmentMeta};

/// A segment of which so much is deleted is rewritten by itself, so that its disk space comes back.
const SHARE: f64 = 0.25;
/// The same where nothing is written any more, or where tombstones pile up.
const SHARE_AT_REST: f64 = 0.01;

/// Remembers which series a segment has, and what share of it is deleted until something more is.
#[derive(Debug, Default)]
pub(crate) struct Waste {
    segments: FxHashMap<u64, (RoaringBitmap, Option<f64>)>,
}

impl Waste {
    /// Something was deleted.
    pub(crate) fn forget_shares(&mut self) {
        self.segments.values_mut().for_each(|(_, share)| *share = None);
    }

    /// Forgets segments that are no more.
    pub(crate) fn retain(&mut self, lives: impl Fn(u64) -> bool) {
        self.segments.retain(|number, _| lives(*number));
    }

    /// Estimates which share of a segment is deleted, as if its rows were spread evenly over series and time.
    pub(crate) fn share(
        &mut self,
        segment: &Segment,
        tombstones: &Tombstones,
        retired: &RoaringBitmap,
    ) -> f64 {
        let meta = segment.meta();
        let (series, share) = self.segments.entry(meta.number).or_insert_with(|| (series_of(segment), None));
        *share.get_or_insert_with(|| estimate(meta, series, tombstones, retired))
    }
}

fn series_of(segment: &Segment) -> RoaringBitmap {
    let of = |measurement| (0..).map_while(move |index| segment.series_at(measurement, index));
    segment.measurements().iter().flat_map(of).map(|id| id.0).collect()
}

fn estimate(
    meta: &SegmentMeta,
    series: &RoaringBitmap,
    tombstones: &Tombstones,
    retired: &RoaringBitmap,
) -> f64 {
    if series.is_empty() {
        return 0.0;
    }
    let mut gone = series.intersection_len(retired) as f64;
    let span = |start: i64, end: i64| end.abs_diff(start) as f64 + 1.0;
    for tombstone in tombstones.iter().filter(|tombstone| meta.number < tombstone.barrier) {
        let range = tombstone.range.intersect(meta.range);
        if meta.range.overlaps(tombstone.range) {
            let time = span(range.start, range.end) / span(meta.range.start, meta.range.end);
            gone += time * series.intersection_len(&tombstone.series) as f64;
        }
    }
    (gone / series.len() as f64).min(1.0)
}

/// Which segment to rewrite by itself, by the share of each that is deleted; `None` for one that cannot be read. The
/// result holds nothing that is deleted now, so it is not chosen again for the same deletes.
pub(crate) fn worth_rewriting(shares: &[Option<f64>], at_rest: bool, tombstones: usize) -> Option<usize> {
    let least = if at_rest || tombstones > MANY_TOMBSTONES { SHARE_AT_REST } else { SHARE };
    let worth = shares.iter().enumerate().filter_map(|(index, share)| Some((index, (*share)?)));
    worth.filter(|(_, share)| *share >= least).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index)
}
