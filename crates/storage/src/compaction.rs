//! Segments become fewer and larger. [`plan`] decides, purely; [`Merge`] does it, at a [`Pace`].
//!
//! Only neighbours are merged, since the order of segments is the order of settled cells.

mod pace;
mod series;

use std::{collections::BTreeMap, ops::Range, path::Path, sync::Arc, time::Duration};

use parking_lot::RwLock;

pub(crate) use pace::{Bucket, Pace};
use series::{Series, merge_series};
use skywatch_model::TimeRange;

use crate::{
    MaintenanceError, ReadError,
    fs::Fs,
    index::{Index, Retired},
    rows::{FieldId, SeriesId},
    segment::{Columns, Segment, SegmentField, SegmentMeta, SegmentWriter},
    tombstone::Tombstones,
};

/// So many segments of about the same size are merged into one.
const FAN_IN: usize = 4;
/// The most that are merged at once.
const MAX_FAN_IN: usize = 16;
/// Segments within this factor of each other are about the same size; those below the floor always are.
const TIER_FACTOR: u64 = 4;
const TIER_FLOOR_BYTES: u64 = 1 << 20;

/// What a shard may have merged after an idle time, whatever the sizes of its segments: a megabyte for each second,
/// and so much at once. However often a shard pauses and goes on, a late point, which makes a small segment beside a
/// large one, never costs more than that rate.
const COLD_BYTES_PER_SEC: u64 = 1 << 20;
const COLD_BYTES_LEAST: u64 = 64 << 20;

/// What a shard that pauses may have merged in one go, be it only because queries look into each segment: about a second's work.
const PAUSE_BYTES: u64 = 64 << 20;

/// How many bytes a shard that has been idle for so long may have merged regardless of their sizes.
pub(crate) fn cold_bytes(idle: Duration) -> u64 {
    COLD_BYTES_LEAST.max(idle.as_secs().saturating_mul(COLD_BYTES_PER_SEC))
}

/// How long a shard has got no writes, as far as it matters to [`plan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// It gets some.
    Busy,
    /// As long as an idle shard waits for its flush: maybe only until agents write again.
    Pausing,
    /// It is cold, and may have so many bytes merged: see [`cold_bytes`].
    Cold(u64),
}

/// Which neighbouring segments to merge next, oldest first; `None` for nothing to do. `usable` tells which can be
/// read. A cold shard is merged into as few as `max_bytes` and what it may have merged allow; one that pauses has merged what
/// queries would else merge time and again, and what is small enough.
pub(crate) fn plan(
    segments: &[SegmentMeta],
    usable: &[bool],
    rest: Rest,
    max_bytes: u64,
) -> Option<Range<usize>> {
    let best = |kind, max_bytes| best(segments, usable, kind, max_bytes);
    best(Kind::Alike, max_bytes).or_else(|| match rest {
        Rest::Busy => None,
        Rest::Pausing => best(Kind::AlikeAndOverlapping, max_bytes)
            .or_else(|| best(Kind::AlikeAndFew, max_bytes.min(PAUSE_BYTES))),
        Rest::Cold(bytes) => best(Kind::Any, max_bytes.min(bytes)),
    })
}

/// What segments are merged with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// So many of about the same size that each byte is rewritten once for each factor.
    Alike,
    /// Any number of about the same size, if two of them have times in common: each query of these times merges and decodes them.
    AlikeAndOverlapping,
    /// Any number of about the same size: each query looks for each series in each of them, and decodes where they meet.
    AlikeAndFew,
    Any,
}

impl Kind {
    fn fits(self, segments: &[SegmentMeta]) -> bool {
        match self {
            Self::Alike => segments.len() >= FAN_IN,
            Self::AlikeAndOverlapping => {
                let ranges = || segments.iter().map(|segment| segment.range);
                ranges()
                    .enumerate()
                    .any(|(place, range)| ranges().skip(place + 1).any(|it| it.overlaps(range)))
            }
            Self::AlikeAndFew | Self::Any => segments.len() >= 2,
        }
    }
}

/// The cheapest merge of one kind.
fn best(segments: &[SegmentMeta], usable: &[bool], kind: Kind, max_bytes: u64) -> Option<Range<usize>> {
    let size = |segment: &SegmentMeta| segment.size_bytes.max(TIER_FLOOR_BYTES);
    let mut found: Option<(u64, Range<usize>)> = None;
    for start in 0..segments.len() {
        let (mut low, mut high, mut total) = (u64::MAX, 0, 0u64);
        for end in start + 1..=segments.len().min(start + MAX_FAN_IN) {
            let added = &segments[end - 1];
            low = low.min(size(added));
            high = high.max(size(added));
            total += added.size_bytes;
            let alike = kind == Kind::Any || high <= low.saturating_mul(TIER_FACTOR);
            if !usable[end - 1] || !alike || total > max_bytes {
                break;
            }
            // The cheapest merge that removes the most files: least bytes a file.
            let files = end - start;
            let cost = total / files as u64;
            if kind.fits(&segments[start..end])
                && found.as_ref().is_none_or(|(least, range)| (files, *least) > (range.len(), cost))
            {
                found = Some((cost, start..end));
            }
        }
    }
    found.map(|(_, range)| range)
}

/// A merge to be done.
#[derive(Debug)]
pub(crate) struct Merge<'a> {
    /// Oldest first.
    pub(crate) inputs: &'a [Arc<Segment>],
    pub(crate) index: &'a RwLock<Index>,
    pub(crate) tombstones: &'a Tombstones,
    pub(crate) keep_versions: bool,
    pub(crate) pace: Pace<'a>,
}

impl Merge<'_> {
    /// Writes what the inputs say together, and is not deleted, to the file of segment `number`. The caller syncs the directory.
    pub(crate) fn write(
        &self,
        fs: &dyn Fs,
        path: &Path,
        number: u64,
    ) -> Result<SegmentMeta, MaintenanceError> {
        let mut writer = SegmentWriter::create(fs, path, number)?;
        let mut accounted = 0;
        let retired = self.index.read().retired();
        for (name, fields) in contents(self.inputs, &retired) {
            let ids: Vec<Option<FieldId>> = fields.iter().map(|field| Some(field.id)).collect();
            let inputs: Vec<Columns<'_>> =
                self.inputs.iter().filter_map(|input| input.columns(&name, &ids)).collect();
            writer.begin_measurement(&name, fields);
            for id in all_series(&inputs).filter(|id| !retired.series.contains(id.0)) {
                let key = self.index.read().series_key(id);
                let key = key.ok_or_else(|| ReadError::Corrupt {
                    file: path.display().to_string(),
                    offset: 0,
                    reason: format!("series {} has no key in the index", id.0),
                })?;
                let masks = self.tombstones.of_series(id, TimeRange::ALL, || Some(Arc::clone(&key)));
                let series = Series { id, key: &key, masks, keep_versions: self.keep_versions };
                let step = |written| self.pace.step(written, &mut accounted);
                merge_series(&mut writer, &inputs, &series, step)?;
            }
        }
        Ok(writer.finish()?)
    }
}

/// Fields of each measurement that are not retired, in order.
fn contents(inputs: &[Arc<Segment>], retired: &Retired) -> BTreeMap<Arc<str>, Vec<SegmentField>> {
    let mut contents: BTreeMap<Arc<str>, Vec<SegmentField>> = BTreeMap::new();
    for measurement in inputs.iter().flat_map(|segment| segment.measurements()) {
        let fields = contents.entry(Arc::clone(&measurement.name)).or_default();
        for field in measurement.fields.iter().filter(|field| !retired.fields.contains(field.id.0)) {
            if !fields.iter().any(|known| known.id == field.id) {
                fields.push(field.clone());
            }
        }
    }
    contents.retain(|_, fields| !fields.is_empty());
    for fields in contents.values_mut() {
        fields.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    }
    contents
}

/// The series of a measurement in any of the inputs, ascending.
fn all_series(inputs: &[Columns<'_>]) -> impl Iterator<Item = SeriesId> {
    let mut positions = vec![0; inputs.len()];
    std::iter::from_fn(move || {
        let least = inputs.iter().zip(&positions).filter_map(|(input, at)| input.series_at(*at)).min()?;
        for (input, at) in inputs.iter().zip(&mut positions) {
            *at += usize::from(input.series_at(*at) == Some(least));
        }
        Some(least)
    })
}

#[cfg(test)]
mod tests;
