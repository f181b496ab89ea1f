//! Reading one series from all of a snapshot's sources, in blocks that do not overlap.
//!
//! A source is a block of a segment or a piece of a memtable. Sources that overlap in time are merged when decoded;
//! one that stands alone is handed out as it is, with its statistics.

use std::sync::Arc;

use skywatch_model::{RowBlock, TimeRange};

use crate::{
    BlockStats, BlockStream, Order, ReadError, ScanBlock,
    memtable::{MemView, SeriesRows},
    merge::{Rows, gather, merge},
    rows::FieldId,
    segment::{BlockHead, Segment},
};

/// Something with rows of the series.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// A block on disk.
    Block(&'a Arc<Segment>, BlockHead),
    /// Rows in memory.
    Memory(&'a MemView, SeriesRows),
}

impl Source<'_> {
    fn time_range(&self) -> TimeRange {
        match self {
            Self::Block(_, block) => block.time_range(),
            Self::Memory(_, rows) => rows.time_range().unwrap_or(TimeRange::new(0, -1)),
        }
    }

    /// All its rows.
    pub(crate) fn decode(&self, fields: &[Option<FieldId>], with_versions: bool) -> Result<Rows, ReadError> {
        match self {
            Self::Block(segment, block) => segment.decode(block, with_versions),
            Self::Memory(view, rows) => Ok(view.gather(rows, fields)),
        }
    }
}

/// Groups sources, given oldest first, so that different groups do not overlap in time. Groups ascend; the sources
/// within one keep their order.
pub(crate) fn cluster(sources: Vec<Source<'_>>) -> Vec<Vec<Source<'_>>> {
    let mut ordered: Vec<(TimeRange, usize, Source<'_>)> =
        sources.into_iter().enumerate().map(|(age, source)| (source.time_range(), age, source)).collect();
    ordered.sort_by_key(|(range, age, _)| (range.start, *age));
    let mut clusters: Vec<(i64, Vec<(usize, Source<'_>)>)> = Vec::new();
    for (range, age, source) in ordered {
        match clusters.last_mut() {
            Some((end, cluster)) if range.start <= *end => {
                *end = range.end.max(*end);
                cluster.push((age, source));
            }
            Some(_) | None => clusters.push((range.end, vec![(age, source)])),
        }
    }
    clusters
        .into_iter()
        .map(|(_, mut cluster)| {
            cluster.sort_by_key(|(age, _)| *age);
            cluster.into_iter().map(|(_, source)| source).collect()
        })
        .collect()
}

/// The blocks of a scan.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    clusters: std::vec::IntoIter<Vec<Source<'a>>>,
    fields: Arc<[Option<FieldId>]>,
    range: TimeRange,
    order: Order,
}

impl<'a> Scan<'a> {
    /// Of `sources`, oldest first.
    pub(crate) fn new(
        sources: Vec<Source<'a>>,
        fields: Arc<[Option<FieldId>]>,
        range: TimeRange,
        order: Order,
    ) -> Self {
        Self { clusters: cluster(sources).into_iter(), fields, range, order }
    }
}

impl BlockStream for Scan<'_> {
    fn next_block(&mut self) -> Result<Option<Box<dyn ScanBlock + '_>>, ReadError> {
        let next = match self.order {
            Order::Ascending => self.clusters.next(),
            Order::Descending => self.clusters.next_back(),
        };
        Ok(next.map(|sources| {
            let block = Cluster { sources, fields: Arc::clone(&self.fields), range: self.range };
            Box::new(block) as Box<dyn ScanBlock + '_>
        }))
    }
}

/// Sources that overlap, or one that does not.
#[derive(Debug)]
struct Cluster<'a> {
    sources: Vec<Source<'a>>,
    fields: Arc<[Option<FieldId>]>,
    range: TimeRange,
}

impl Cluster<'_> {
    fn full_range(&self) -> TimeRange {
        let mut ranges = self.sources.iter().map(Source::time_range);
        let first = ranges.next().unwrap_or(TimeRange::new(0, -1));
        ranges.fold(first, |all, range| TimeRange::new(all.start.min(range.start), all.end.max(range.end)))
    }
}

impl ScanBlock for Cluster<'_> {
    fn time_range(&self) -> TimeRange {
        self.full_range().intersect(self.range)
    }

    fn stats(&self, field_index: usize) -> Option<&BlockStats> {
        match self.sources.as_slice() {
            [Source::Block(_, block)] if self.range.covers(block.time_range()) => block.stats(field_index),
            _ => None,
        }
    }

    fn decode(&self) -> Result<RowBlock, ReadError> {
        let overlap = self.sources.len() > 1;
        let mut rows = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            rows.push(clip(source.decode(&self.fields, overlap)?, self.range));
        }
        let merged = merge(rows, false).without_empty_rows();
        Ok(RowBlock { times: merged.times, columns: merged.columns })
    }
}

/// The rows inside `range`.
fn clip(rows: Rows, range: TimeRange) -> Rows {
    let start = rows.times.partition_point(|time| *time < range.start);
    let end = rows.times.partition_point(|time| *time <= range.end);
    if start == 0 && end == rows.times.len() { rows } else { slice(&rows, start, end) }
}

/// Rows `start..end`; columns without a value among them become absent.
pub(crate) fn slice(rows: &Rows, start: usize, end: usize) -> Rows {
    use crate::merge::Versions;
    let picked = |column: &skywatch_model::Column| {
        let picks: Vec<_> = (start..end).map(|row| column.is_valid(row).then_some((0, row))).collect();
        gather(&[Some(column)], picks.into_iter())
    };
    let columns = rows.columns.iter().map(|column| column.as_ref().and_then(picked)).collect();
    let versions = match &rows.versions {
        Versions::Uniform(version) => Versions::Uniform(*version),
        Versions::Rows(versions) => Versions::Rows(versions[start..end].to_vec()),
        Versions::Cells(cells) => Versions::Cells(
            cells
                .iter()
                .map(|versions| versions.get(start..end).map_or_else(Vec::new, <[_]>::to_vec))
                .collect(),
        ),
    };
    Rows { times: rows.times[start..end].to_vec(), columns, versions }
}
