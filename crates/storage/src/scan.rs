//! Reading one series from all of a snapshot's sources, in blocks that do not overlap.
//!
//! A source is a block of a segment or a piece of a memtable, or what deletes leave of one. Sources that overlap in
//! time are merged when decoded; one that stands alone is handed out as it is, with its statistics, and so is what a block
//! has where no other has anything.

mod cut;

use std::{collections::VecDeque, ops::Deref, sync::Arc};

use skywatch_model::{Column, FieldValue, RowBlock, TimeRange};

use crate::{
    BlockStats, BlockStream, End, Order, ReadError, ScanBlock, ScanCost, SpanStats,
    memtable::{MemRows, MemScan},
    merge::{Rows, gather, merge},
    rows::FieldId,
    segment::{BlockHead, Segment},
    tombstone::{Fate, Mask, Place, SeriesMasks, fate, mask},
};
use cut::{Piece, cut};

/// Something with rows of the series.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// A block on disk.
    Block(&'a Segment, Head<'a>),
    /// Rows in memory.
    Memory(&'a MemScan, MemRows),
    /// One of these, partly deleted.
    Masked(Box<Source<'a>>, Vec<Mask>),
}

/// What is known of a block: statistics are decoded once, also if it is read in several pieces.
#[derive(Debug)]
pub(crate) enum Head<'a> {
    Own(BlockHead<'a>),
    Shared(Arc<BlockHead<'a>>),
}

impl<'a> Deref for Head<'a> {
    type Target = BlockHead<'a>;

    fn deref(&self) -> &BlockHead<'a> {
        match self {
            Self::Own(head) => head,
            Self::Shared(head) => head,
        }
    }
}

impl<'a> Source<'a> {
    /// A block on disk.
    pub(crate) const fn block(segment: &'a Segment, head: BlockHead<'a>) -> Self {
        Self::Block(segment, Head::Own(head))
    }

    /// First and last time of its rows.
    pub(crate) fn time_range(&self) -> TimeRange {
        match self {
            Self::Block(_, block) => block.time_range(),
            Self::Memory(_, rows) => rows.time_range(),
            Self::Masked(source, _) => source.time_range(),
        }
    }

    /// What a series' tombstones leave of it; `None` if nothing.
    pub(crate) fn masked(self, masks: &SeriesMasks) -> Option<Self> {
        if masks.is_empty() {
            return Some(self);
        }
        let (place, version) = match &self {
            Self::Block(segment, block) => (Place::Segment(segment.meta().number), block.version()),
            Self::Memory(..) | Self::Masked(..) => (Place::Memory, None),
        };
        let range = self.time_range();
        let masks = masks.at(place, range);
        match fate(&masks, range, version) {
            Fate::Whole => Some(self),
            Fate::Part => Some(Self::Masked(Box::new(self), masks)),
            Fate::Gone => None,
        }
    }

    /// The ranges at whose ends it may be cut.
    fn parts(&self) -> Vec<TimeRange> {
        match self {
            Self::Block(_, block) => block.parts(),
            Self::Memory(..) | Self::Masked(..) => vec![self.time_range()],
        }
    }

    /// The same, of which [`Self::again`] can be had if it is a block.
    fn shared(self) -> Self {
        match self {
            Self::Block(segment, Head::Own(head)) => Self::Block(segment, Head::Shared(Arc::new(head))),
            source => source,
        }
    }

    /// The same once more, if it is a block that is shared.
    fn again(&self) -> Option<Self> {
        match self {
            Self::Block(segment, Head::Shared(head)) => {
                Some(Self::Block(segment, Head::Shared(Arc::clone(head))))
            }
            _ => None,
        }
    }

    /// Adds what reading it costs.
    fn add_cost(&self, cost: &mut ScanCost) {
        match self {
            Self::Block(segment, block) => {
                cost.segments.insert(segment.meta().number);
                let (blocks, bytes) = block.field_blocks();
                cost.blocks += blocks;
                cost.block_bytes += bytes;
            }
            Self::Memory(scan, rows) => {
                let rows = scan.gather(rows, false);
                let values = rows.columns.iter().flatten().map(Column::count_values);
                cost.cached_values += values.sum::<usize>() as u64;
            }
            Self::Masked(source, _) => source.add_cost(cost),
        }
    }

    /// Its rows inside `range`; of memory, those that were asked for in the first place.
    pub(crate) fn decode(&self, range: TimeRange, with_versions: bool) -> Result<Rows, ReadError> {
        match self {
            Self::Block(segment, block) => segment.decode(block, range, with_versions),
            Self::Memory(scan, rows) => Ok(scan.gather(rows, with_versions)),
            Self::Masked(source, masks) => Ok(mask(source.decode(range, true)?, masks)),
        }
    }
}

/// A source in its place among the others.
#[derive(Debug)]
struct Placed<'a> {
    range: TimeRange,
    /// Position from oldest to youngest.
    age: usize,
    /// Whether all before it in time end before it begins.
    starts_cluster: bool,
    source: Source<'a>,
}

/// Sources in order of time. Those that overlap, directly or through others, form a cluster; clusters do not.
#[derive(Debug)]
struct Clusters<'a>(VecDeque<Placed<'a>>);

impl<'a> Clusters<'a> {
    /// Of `sources`, oldest first.
    fn new(sources: impl IntoIterator<Item = Source<'a>>) -> Self {
        let place = |(age, source): (usize, Source<'a>)| Placed {
            range: source.time_range(),
            age,
            starts_cluster: true,
            source,
        };
        let mut placed: Vec<Placed<'a>> = sources.into_iter().enumerate().map(place).collect();
        placed.sort_by_key(|placed| (placed.range.start, placed.age));
        let mut end = None;
        for placed in &mut placed {
            placed.starts_cluster = end.is_none_or(|end| end < placed.range.start);
            end = end.max(Some(placed.range.end));
        }
        Self(placed.into())
    }

    /// The first or the last cluster left, its sources oldest first.
    fn next(&mut self, order: Order) -> Option<Sources<'a>> {
        let mut taken = Vec::new();
        let first = match order {
            Order::Ascending => {
                let first = self.0.pop_front()?;
                while let Some(next) = self.0.pop_front_if(|placed| !placed.starts_cluster) {
                    taken.push(next);
                }
                first
            }
            Order::Descending => {
                let mut first = self.0.pop_back()?;
                while !first.starts_cluster
                    && let Some(before) = self.0.pop_back()
                {
                    taken.push(std::mem::replace(&mut first, before));
                }
                first
            }
        };
        if taken.is_empty() {
            return Some(Sources::Alone(first.source));
        }
        taken.push(first);
        taken.sort_by_key(|placed| placed.age);
        Some(Sources::Overlapping(taken.into_iter().map(|placed| placed.source).collect()))
    }
}

/// A cluster's sources.
#[derive(Debug)]
enum Sources<'a> {
    Alone(Source<'a>),
    /// Oldest first.
    Overlapping(Vec<Source<'a>>),
}

/// The blocks of a scan.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    clusters: Clusters<'a>,
    /// What is left of a cluster that was cut, in order of time.
    pieces: VecDeque<Piece<'a>>,
    fields: &'a [Option<FieldId>],
    range: TimeRange,
    order: Order,
}

impl<'a> Scan<'a> {
    /// Of `sources`, oldest first.
    pub(crate) fn new(
        sources: impl IntoIterator<Item = Source<'a>>,
        fields: &'a [Option<FieldId>],
        range: TimeRange,
        order: Order,
    ) -> Self {
        Self { clusters: Clusters::new(sources), pieces: VecDeque::new(), fields, range, order }
    }

    /// The next sources that overlap with none that come after them, and the range to read them in.
    fn next_piece(&mut self) -> Option<Piece<'a>> {
        loop {
            let piece = match self.order {
                Order::Ascending => self.pieces.pop_front(),
                Order::Descending => self.pieces.pop_back(),
            };
            if piece.is_some() {
                return piece;
            }
            match self.clusters.next(self.order)? {
                alone @ Sources::Alone(_) => return Some((alone, self.range)),
                Sources::Overlapping(sources) => {
                    self.pieces = cut(sources);
                    self.pieces.iter_mut().for_each(|(_, range)| *range = range.intersect(self.range));
                    self.pieces.retain(|(_, range)| !range.is_empty());
                }
            }
        }
    }

    /// The rows of the next block with the versions of their cells.
    pub(crate) fn next_versioned(&mut self) -> Result<Option<Rows>, ReadError> {
        let next = self.clusters.next(self.order);
        let rows = next.map(|sources| {
            let sources = match sources {
                Sources::Alone(source) => vec![source],
                Sources::Overlapping(sources) => sources,
            };
            let decode = |source: &Source<'_>| source.decode(self.range, true);
            Ok(merge(sources.iter().map(decode).collect::<Result<_, _>>()?, true))
        });
        rows.transpose()
    }
}

impl BlockStream for Scan<'_> {
    fn next_block(&mut self) -> Result<Option<Box<dyn ScanBlock + '_>>, ReadError> {
        let fields = self.fields;
        let block =
            |(sources, range)| Box::new(Cluster { sources, fields, range }) as Box<dyn ScanBlock + '_>;
        Ok(self.next_piece().map(block))
    }

    fn cost(&self) -> ScanCost {
        let mut cost = ScanCost::default();
        self.clusters.0.iter().for_each(|placed| placed.source.add_cost(&mut cost));
        cost
    }
}

/// Sources that overlap, or one that does not, as far as they lie in a range.
#[derive(Debug)]
struct Cluster<'a> {
    sources: Sources<'a>,
    fields: &'a [Option<FieldId>],
    range: TimeRange,
}

impl<'a> Cluster<'a> {
    /// The block on disk that it is, if it is one.
    fn block(&self) -> Option<&BlockHead<'a>> {
        match &self.sources {
            Sources::Alone(Source::Block(_, block)) => Some(block),
            Sources::Alone(Source::Memory(..) | Source::Masked(..)) | Sources::Overlapping(_) => None,
        }
    }
}

impl ScanBlock for Cluster<'_> {
    fn time_range(&self) -> TimeRange {
        let all = match &self.sources {
            Sources::Alone(source) => source.time_range(),
            Sources::Overlapping(sources) => {
                let ranges = sources.iter().map(Source::time_range);
                ranges.reduce(TimeRange::hull).unwrap_or(TimeRange::new(0, -1))
            }
        };
        all.intersect(self.range)
    }

    fn stats(&self, field_index: usize) -> Option<&BlockStats> {
        self.block().filter(|block| self.range.covers(block.time_range()))?.stats(field_index)
    }

    fn spans(&self, field_index: usize) -> Option<&[SpanStats]> {
        self.block()?.spans(field_index, self.range)
    }

    fn lacks(&self, field_index: usize) -> bool {
        self.block().is_some_and(|block| !block.has_field(field_index))
    }

    fn end_row(&self, end: End) -> Option<RowBlock> {
        if let Sources::Alone(Source::Memory(scan, rows)) = &self.sources {
            // All its rows lie inside the scan's range and have a value.
            let rows = merge(vec![scan.gather(&scan.end(rows, end), false)], false);
            return Some(RowBlock { times: rows.times, columns: rows.columns });
        }
        let block = self.block()?;
        let here = block.time_range();
        let is_inside = match end {
            End::First => self.range.start <= here.start,
            End::Last => here.end <= self.range.end,
        };
        if !is_inside {
            return None;
        }
        let cell = |index: usize| -> Option<Option<&(i64, FieldValue)>> {
            if !block.has_field(index) {
                return Some(None);
            }
            let stats = block.stats(index)?;
            Some(Some(if end == End::First { &stats.first } else { &stats.last }))
        };
        let cells: Vec<Option<&(i64, FieldValue)>> =
            (0..self.fields.len()).map(cell).collect::<Option<_>>()?;
        let times = cells.iter().flatten().map(|(time, _)| *time);
        let time = if end == End::First { times.min() } else { times.max() }?;
        // Fields that end before the last row (begin after the first) have no value in it.
        let column = |cell: &Option<&(i64, FieldValue)>| {
            let (_, value) = cell.filter(|(at, _)| *at == time)?;
            Some(Column::of_one(value.clone()))
        };
        self.range
            .contains(time)
            .then(|| RowBlock { times: vec![time], columns: cells.iter().map(column).collect() })
    }

    fn decode_within(&self, range: TimeRange) -> Result<RowBlock, ReadError> {
        let inside = self.range.intersect(range);
        let rows = match &self.sources {
            // Rows of a block on disk are distinct.
            Sources::Alone(source @ Source::Block(..)) => source.decode(inside, false)?,
            Sources::Alone(source) => merge(vec![source.decode(inside, false)?], false),
            Sources::Overlapping(sources) => {
                let decode = |source: &Source<'_>| source.decode(inside, true);
                merge(sources.iter().map(decode).collect::<Result<_, _>>()?, false)
            }
        };
        let rows = rows.without_empty_rows();
        // Rows in memory are those of the whole scan.
        Ok(RowBlock { times: rows.times, columns: rows.columns }.within(range))
    }
}

/// Rows `start..end`; columns without a value among them become absent.
pub(crate) fn slice(rows: &Rows, start: usize, end: usize) -> Rows {
    let picked = |column: &Column| {
        let picks: Vec<_> = (start..end).map(|row| column.is_valid(row).then_some((0, row))).collect();
        gather(&[Some(column)], picks.into_iter())
    };
    let columns = rows.columns.iter().map(|column| column.as_ref().and_then(picked)).collect();
    let versions = rows.versions.clone().slice(&(start..end));
    Rows { times: rows.times[start..end].to_vec(), columns, versions }
}
