//! Segments become fewer and larger. [`plan`] decides, purely; [`merge_segments`] does it.
//!
//! Only neighbours are merged, since the order of segments is the order of settled cells.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
    sync::Arc,
};

use parking_lot::RwLock;
use skywatch_model::TimeRange;

use crate::{
    MaintenanceError, ReadError,
    fs::Fs,
    index::Index,
    merge::{Rows, merge},
    rows::{FieldId, SeriesId},
    scan::{Clusters, Source, slice},
    segment::{BLOCK_ROWS, Segment, SegmentField, SegmentMeta, SegmentWriter},
};

/// So many segments of about the same size are merged into one.
const FAN_IN: usize = 4;
/// The most that are merged at once.
const MAX_FAN_IN: usize = 16;
/// Segments within this factor of each other are about the same size; those below the floor always are.
const TIER_FACTOR: u64 = 4;
const TIER_FLOOR_BYTES: u64 = 1 << 20;

/// Which neighbouring segments to merge next, oldest first; `None` for nothing to do. `usable` tells which can be
/// read. A cold shard, one that gets no more writes, is merged into as few as `max_bytes` allows.
pub(crate) fn plan(
    segments: &[SegmentMeta],
    usable: &[bool],
    cold: bool,
    max_bytes: u64,
) -> Option<Range<usize>> {
    let least = if cold { 2 } else { FAN_IN };
    let size = |segment: &SegmentMeta| segment.size_bytes.max(TIER_FLOOR_BYTES);
    let mut best: Option<(u64, Range<usize>)> = None;
    for start in 0..segments.len() {
        let (mut low, mut high, mut total) = (u64::MAX, 0, 0u64);
        for end in start + 1..=segments.len().min(start + MAX_FAN_IN) {
            let added = &segments[end - 1];
            low = low.min(size(added));
            high = high.max(size(added));
            total += added.size_bytes;
            let alike = cold || high <= low.saturating_mul(TIER_FACTOR);
            if !usable[end - 1] || !alike || total > max_bytes {
                break;
            }
            // The cheapest merge that removes the most files: least bytes a file.
            let files = end - start;
            let cost = total / files as u64;
            if files >= least
                && best.as_ref().is_none_or(|(least, range)| (files, *least) > (range.len(), cost))
            {
                best = Some((cost, start..end));
            }
        }
    }
    best.map(|(_, range)| range)
}

/// Writes what `inputs`, oldest first, say together to the file of segment `number`. The caller syncs the directory.
pub(crate) fn merge_segments(
    fs: &dyn Fs,
    path: &Path,
    number: u64,
    inputs: &[Arc<Segment>],
    index: &RwLock<Index>,
    keep_versions: bool,
) -> Result<SegmentMeta, MaintenanceError> {
    let mut writer = SegmentWriter::create(fs, path, number)?;
    for (name, (fields, series)) in contents(inputs) {
        let ids: Arc<[Option<FieldId>]> = fields.iter().map(|field| Some(field.id)).collect();
        writer.begin_measurement(&name, fields);
        for id in series {
            let key = index.read().series_key(id);
            let key = key.ok_or_else(|| ReadError::Corrupt {
                file: path.display().to_string(),
                offset: 0,
                reason: format!("series {} has no key in the index", id.0),
            })?;
            writer.begin_series(id, &key);
            merge_series(&mut writer, inputs, &name, id, &ids, keep_versions)?;
            writer.end_series()?;
        }
    }
    Ok(writer.finish()?)
}

/// Rewrites one series, holding no more than overlaps at a time.
fn merge_series(
    writer: &mut SegmentWriter,
    inputs: &[Arc<Segment>],
    measurement: &str,
    series: SeriesId,
    fields: &Arc<[Option<FieldId>]>,
    keep_versions: bool,
) -> Result<(), MaintenanceError> {
    let mut sources = Vec::new();
    for segment in inputs {
        let Some(columns) = segment.columns(measurement, fields) else { continue };
        let mut blocks = Vec::new();
        columns.blocks(series, TimeRange::ALL, &mut blocks)?;
        sources.extend(blocks.into_iter().map(|block| Source::Block(segment, block)));
    }
    let mut pending: Vec<Rows> = Vec::new();
    let mut pending_rows = 0;
    let mut clusters = Clusters::new(sources);
    while let Some(overlapping) = clusters.next_ascending() {
        for source in overlapping {
            let rows = source.decode(TimeRange::ALL, true)?;
            pending_rows += rows.times.len();
            pending.push(rows);
        }
        if pending_rows >= BLOCK_ROWS {
            let merged = merge(std::mem::take(&mut pending), keep_versions);
            let rest = write_blocks(writer, &merged, false)?;
            pending_rows = rest.times.len();
            pending.push(rest);
        }
    }
    if !pending.is_empty() {
        write_blocks(writer, &merge(pending, keep_versions), true)?;
    }
    Ok(())
}

/// Writes full blocks, and with `all` the last, shorter one too; returns the rows left.
fn write_blocks(writer: &mut SegmentWriter, rows: &Rows, all: bool) -> Result<Rows, MaintenanceError> {
    let len = rows.times.len();
    if len <= BLOCK_ROWS && all {
        writer.block(rows)?;
        return Ok(slice(rows, len, len));
    }
    let mut start = 0;
    while len - start >= BLOCK_ROWS || (all && start < len) {
        let end = len.min(start + BLOCK_ROWS);
        writer.block(&slice(rows, start, end))?;
        start = end;
    }
    Ok(slice(rows, start, len))
}

type Contents = (Vec<SegmentField>, BTreeSet<SeriesId>);

/// Fields and series of each measurement, in order.
fn contents(inputs: &[Arc<Segment>]) -> BTreeMap<Arc<str>, Contents> {
    let mut contents: BTreeMap<Arc<str>, Contents> = BTreeMap::new();
    for segment in inputs {
        for measurement in segment.measurements() {
            let (fields, series) = contents.entry(Arc::clone(&measurement.name)).or_default();
            for field in &measurement.fields {
                if !fields.iter().any(|known| known.id == field.id) {
                    fields.push(field.clone());
                }
            }
            series.extend((0..).map_while(|index| segment.series_at(measurement, index)));
        }
    }
    for (fields, _) in contents.values_mut() {
        fields.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    }
    contents
}

#[cfg(test)]
mod tests;
