//! A consistent view of a shard.

use std::{path::Path, sync::Arc};

use parking_lot::RwLock;
use skywatch_model::{FieldType, TimeRange};

use super::{SegmentSlot, Shard};
use crate::{
    BlockStream, Order, ReadError, ScanRequest, Scanner, SeriesRef, SeriesSketch, SeriesStamp, ShardRead,
    TagPredicate,
    index::{self, Bounds, Index},
    memtable::{MemScan, MemView},
    rows::{FieldId, SeriesId},
    scan::{Scan, Source},
    segment::{BLOCK_ROWS, Columns},
    tombstone::Tombstones,
};

/// Keeps alive what it reads: memtables, and segment files even when compaction has replaced them.
#[derive(Debug)]
pub(super) struct Snapshot {
    range: TimeRange,
    pub(super) index: Arc<RwLock<Index>>,
    pub(super) bounds: Bounds,
    /// Oldest first.
    pub(super) segments: Arc<[SegmentSlot]>,
    /// Oldest first; younger than the segments.
    pub(super) memory: Vec<MemView>,
    tombstones: Tombstones,
}

impl Shard {
    pub(super) fn take_snapshot(&self) -> Snapshot {
        let tables = self.tables.read();
        let mut memory: Vec<MemView> = tables.frozen.iter().map(|frozen| frozen.table.view()).collect();
        if !tables.active.table.is_empty() {
            memory.push(tables.active.table.view());
        }
        let segments = Arc::clone(&tables.segments);
        let tombstones = tables.tombstones.clone();
        // After the rows: a row's series and fields are defined before it is inserted.
        let bounds = self.index.read().bounds();
        Snapshot { range: self.range, index: Arc::clone(&self.index), bounds, segments, memory, tombstones }
    }
}

impl ShardRead for Snapshot {
    fn time_range(&self) -> TimeRange {
        self.range
    }

    fn measurements(&self) -> Result<Vec<Arc<str>>, ReadError> {
        Ok(self.index.read().measurement_names(self.bounds))
    }

    fn fields(&self, measurement: &str) -> Result<Vec<(Arc<str>, FieldType)>, ReadError> {
        Ok(self.index.read().fields_of(measurement, self.bounds))
    }

    fn tag_keys(&self, measurement: &str) -> Result<Vec<Arc<str>>, ReadError> {
        Ok(self.index.read().tag_keys(measurement, self.bounds))
    }

    fn tag_values(&self, measurement: &str, key: &str) -> Result<Vec<Arc<str>>, ReadError> {
        Ok(index::tag_values(&self.index, measurement, key, self.bounds))
    }

    fn select_series(
        &self,
        measurement: &str,
        predicate: &TagPredicate,
    ) -> Result<Vec<SeriesRef>, ReadError> {
        let selected = index::select(&self.index, measurement, predicate, self.bounds);
        Ok(selected.into_iter().map(|id| SeriesRef(id.0)).collect())
    }

    fn series_stamp(&self) -> Option<SeriesStamp> {
        Some(self.index.read().stamp(self.bounds))
    }

    fn find_series(&self, _: &str, keys: &[&str]) -> Result<Vec<Option<SeriesRef>>, ReadError> {
        let index = self.index.read();
        let find = |key: &&str| index.find_series(key).filter(|id| id.0 < self.bounds.series);
        Ok(keys.iter().map(|key| find(key).map(|id| SeriesRef(id.0))).collect())
    }

    fn count_series(&self, measurement: &str, predicate: &TagPredicate) -> Result<u64, ReadError> {
        Ok(index::count_series(&self.index, measurement, predicate, self.bounds))
    }

    fn series_sketch(&self) -> Result<Option<SeriesSketch>, ReadError> {
        Ok(Some(self.index.read().sketch()))
    }

    fn tag_value_count(&self, measurement: &str, key: &str) -> Result<u64, ReadError> {
        Ok(index::tag_value_count(&self.index, measurement, key, self.bounds))
    }

    fn series_tags(&self, series: SeriesRef) -> Vec<(Arc<str>, Arc<str>)> {
        let mut tags = Vec::new();
        self.index
            .read()
            .tags_of(SeriesId(series.0), |key, value| tags.push((Arc::clone(key), value.into())));
        tags
    }

    fn series_key(&self, series: SeriesRef) -> Arc<str> {
        self.index.read().series_key(SeriesId(series.0)).unwrap_or_default()
    }

    fn tag_values_of(&self, series: SeriesRef, keys: &[Arc<str>]) -> Vec<Arc<str>> {
        let mut values = vec![None; keys.len()];
        self.index.read().tags_of(SeriesId(series.0), |key, value| {
            let mut made = None;
            for (wanted, found) in keys.iter().zip(&mut values).filter(|(wanted, _)| *wanted == key) {
                debug_assert_eq!(wanted, key);
                *found = Some(Arc::clone(made.get_or_insert_with(|| Arc::<str>::from(value))));
            }
        });
        values.into_iter().map(Option::unwrap_or_default).collect()
    }

    fn scanner<'a>(&'a self, request: &ScanRequest<'_>) -> Result<Box<dyn Scanner + 'a>, ReadError> {
        let ScanRequest { measurement, fields, .. } = *request;
        let fields: Box<[Option<FieldId>]> = {
            let index = self.index.read();
            let number =
                |name: &Arc<str>| index.find_field(measurement, name).filter(|id| id.0 < self.bounds.fields);
            fields.iter().map(number).collect()
        };
        Ok(Box::new(self.scanner_of(measurement, fields)))
    }
}

impl Snapshot {
    /// Reads these fields of a measurement.
    pub(super) fn scanner_of<'a>(
        &'a self,
        measurement: &str,
        fields: Box<[Option<FieldId>]>,
    ) -> SeriesScanner<'a> {
        let prepare = |slot: &'a SegmentSlot| match slot {
            SegmentSlot::Ready(segment) => {
                let columns = segment.columns(measurement, &fields)?;
                columns.has_wanted_fields().then_some((segment.meta().range, Prepared::Columns(columns)))
            }
            SegmentSlot::Damaged { meta, path, reason } => {
                Some((meta.range, Prepared::Damaged { path, reason }))
            }
        };
        let segments = self.segments.iter().filter_map(prepare).collect();
        let memory = self.memory.iter().map(|view| view.scan(&fields)).collect();
        SeriesScanner { snapshot: self, segments, memory, fields }
    }
}

/// Reads some fields of one measurement.
#[derive(Debug)]
pub(super) struct SeriesScanner<'a> {
    snapshot: &'a Snapshot,
    /// Those that have some of the fields, and those of which nobody knows; oldest first.
    segments: Vec<(TimeRange, Prepared<'a>)>,
    /// Oldest first; younger than the segments.
    memory: Vec<MemScan>,
    fields: Box<[Option<FieldId>]>,
}

#[derive(Debug)]
enum Prepared<'a> {
    Columns(Columns<'a>),
    Damaged { path: &'a Path, reason: &'a str },
}

impl Scanner for SeriesScanner<'_> {
    fn scan(
        &self,
        series: SeriesRef,
        range: TimeRange,
        order: Order,
    ) -> Result<Box<dyn BlockStream + '_>, ReadError> {
        Ok(Box::new(self.scan_of(SeriesId(series.0), range, order)?))
    }
}

impl Snapshot {
    fn without_deleted<'a>(
        &self,
        series: SeriesId,
        range: TimeRange,
        sources: Vec<Source<'a>>,
    ) -> Vec<Source<'a>> {
        let key = || self.index.read().series_key(series);
        let masks = self.tombstones.of_series(series, range, key);
        sources.into_iter().filter_map(|source| source.masked(&masks)).collect()
    }
}

impl<'a> SeriesScanner<'a> {
    pub(super) fn scan_of(
        &self,
        series: SeriesId,
        range: TimeRange,
        order: Order,
    ) -> Result<Scan<'_>, ReadError> {
        let mut sources: Vec<Source<'_>> = Vec::new();
        self.add_segments(series, range, &mut sources)?;
        for scan in &self.memory {
            let pieces = scan.rows(series, range, BLOCK_ROWS).into_iter();
            sources.extend(pieces.map(|rows| Source::Memory(scan, rows)));
        }
        if !self.snapshot.tombstones.is_empty() {
            sources = self.snapshot.without_deleted(series, range, sources);
        }
        Ok(Scan::new(sources, &self.fields, range, order))
    }

    fn add_segments(
        &self,
        series: SeriesId,
        range: TimeRange,
        sources: &mut Vec<Source<'a>>,
    ) -> Result<(), ReadError> {
        let mut blocks = Vec::new();
        for (_, segment) in self.segments.iter().filter(|(of_segment, _)| of_segment.overlaps(range)) {
            match segment {
                Prepared::Columns(columns) => {
                    columns.blocks(series, range, &mut blocks)?;
                    let segment = columns.segment;
                    sources.extend(blocks.drain(..).map(|block| Source::block(segment, block)));
                }
                Prepared::Damaged { path, reason } => {
                    let (file, reason) = (path.display().to_string(), (*reason).to_owned());
                    return Err(ReadError::Corrupt { file, offset: 0, reason });
                }
            }
        }
        Ok(())
    }
}
