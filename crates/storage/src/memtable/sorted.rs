//! Rows of one layout by series and time, each series and time once.
//!
//! A full chunk is sorted for good. Of an open one, a view sorts the rows it sees when they are first asked for, and
//! each column when it is first read.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use parking_lot::RwLock;
use skywatch_model::TimeRange;

use super::{
    charge::Charge,
    open::OpenChunk,
    order::{Directory, Order},
    stamp::{Stamp, Stamps},
};
use crate::{
    MemoryBudget,
    rows::{Buffer, FieldId, Layout, SeriesId},
};

/// See the module's header.
#[derive(Debug)]
pub(super) struct SortedChunk {
    layout: Arc<Layout>,
    directory: Directory,
    times: Vec<i64>,
    /// Of all its rows.
    range: TimeRange,
    stamps: Stamps,
    columns: Box<[OnceLock<SortedColumn>]>,
    /// Where columns not yet sorted are taken from.
    origin: Option<Origin>,
    charge: Charge,
}

#[derive(Debug)]
struct SortedColumn {
    buffer: Buffer,
    charge: Charge,
}

#[derive(Debug)]
struct Origin {
    chunk: Arc<RwLock<OpenChunk>>,
    rows: Vec<u32>,
}

impl SortedChunk {
    /// Sorts the first `len` rows; columns follow when they are read.
    pub(super) fn of_prefix(chunk: &Arc<RwLock<OpenChunk>>, len: usize) -> Self {
        let open = chunk.read();
        let Order { rows, times, directory } = open.order(len);
        let stamps = open.stamps(&rows, len);
        let columns: Box<[_]> = open.layout().fields.iter().map(|_| OnceLock::new()).collect();
        let mut sorted = Self {
            layout: Arc::clone(open.layout()),
            directory,
            range: time_range(&times),
            times,
            stamps,
            columns,
            charge: Charge::new(open.budget(), 0),
            origin: Some(Origin { chunk: Arc::clone(chunk), rows }),
        };
        sorted.charge.set(sorted.held_bytes());
        sorted
    }

    /// Bytes held besides the columns.
    fn held_bytes(&self) -> usize {
        size_of::<Self>()
            + size_of_val(&*self.columns)
            + self.directory.capacity_bytes()
            + self.times.capacity() * 8
            + self.stamps.size_bytes()
            + self.origin.as_ref().map_or(0, |origin| origin.rows.capacity() * 4)
    }

    /// Sorts all of a chunk that takes no more rows, and lets go of it.
    pub(super) fn of_full(chunk: &Arc<RwLock<OpenChunk>>) -> Self {
        let len = chunk.read().len();
        let mut sorted = Self::of_prefix(chunk, len);
        for index in 0..sorted.columns.len() {
            sorted.column(index);
        }
        sorted.origin = None;
        sorted.charge.set(sorted.held_bytes());
        sorted
    }

    pub(super) const fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub(super) const fn directory(&self) -> &Directory {
        &self.directory
    }

    pub(super) fn times(&self) -> &[i64] {
        &self.times
    }

    /// First and last time of all rows.
    pub(super) const fn range(&self) -> TimeRange {
        self.range
    }

    pub(super) fn stamp(&self, row: usize) -> Stamp {
        self.stamps.get(row)
    }

    /// The one stamp that all rows have, if so.
    pub(super) const fn only_stamp(&self) -> Option<Stamp> {
        match &self.stamps {
            Stamps::One(stamp) => Some(*stamp),
            Stamps::Many { .. } => None,
        }
    }

    /// The rows of a series.
    pub(super) fn rows_of(&self, series: SeriesId) -> Option<Range<usize>> {
        self.directory.find(series)
    }

    /// The values of field `index` of the layout.
    pub(super) fn column(&self, index: usize) -> &Buffer {
        let column = self.columns[index].get_or_init(|| {
            let Some(origin) = &self.origin else {
                unreachable!("a chunk without origin has all columns");
            };
            let chunk = origin.chunk.read();
            let buffer = chunk.column(index).picked(&origin.rows);
            let charge = Charge::new(self.budget(), buffer.capacity_bytes());
            SortedColumn { buffer, charge }
        });
        &column.buffer
    }

    const fn budget(&self) -> &Arc<MemoryBudget> {
        self.charge.budget()
    }

    /// Bytes accounted for.
    pub(super) fn charged_bytes(&self) -> u64 {
        let columns = self.columns.iter().filter_map(OnceLock::get);
        self.charge.bytes() + columns.map(|column| column.charge.bytes()).sum::<u64>()
    }
}

fn time_range(times: &[i64]) -> TimeRange {
    let start = times.iter().min().copied().unwrap_or(0);
    TimeRange::new(start, times.iter().max().copied().unwrap_or(start - 1))
}

/// A chunk as a view sees it.
#[derive(Debug, Clone)]
pub(super) enum ViewChunk {
    /// All of it.
    Closed(Arc<SortedChunk>),
    /// Its first rows.
    Open(Arc<Prefix>),
}

impl ViewChunk {
    pub(super) fn layout(&self) -> &Layout {
        match self {
            Self::Closed(chunk) => chunk.layout(),
            Self::Open(prefix) => &prefix.layout,
        }
    }

    pub(super) fn sorted(&self) -> &SortedChunk {
        match self {
            Self::Closed(chunk) => chunk,
            Self::Open(prefix) => prefix.sorted(),
        }
    }

    /// The position of a field in its rows.
    pub(super) fn position(&self, field: FieldId) -> Option<usize> {
        self.layout().fields.iter().position(|id| *id == field)
    }
}

/// The first rows of an open chunk. The chunk may grow or be closed meanwhile: these rows stay what they are.
#[derive(Debug)]
pub(super) struct Prefix {
    chunk: Arc<RwLock<OpenChunk>>,
    layout: Arc<Layout>,
    len: usize,
    sorted: OnceLock<SortedChunk>,
}

impl Prefix {
    /// All rows there are now.
    pub(super) fn of(chunk: &Arc<RwLock<OpenChunk>>) -> Self {
        let open = chunk.read();
        let (layout, len) = (Arc::clone(open.layout()), open.len());
        Self { chunk: Arc::clone(chunk), layout, len, sorted: OnceLock::new() }
    }

    fn sorted(&self) -> &SortedChunk {
        self.sorted.get_or_init(|| SortedChunk::of_prefix(&self.chunk, self.len))
    }
}
