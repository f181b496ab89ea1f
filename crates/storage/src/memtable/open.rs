//! A chunk that takes rows in: one column each for series, time and every field, in order of arrival.

use std::{ops::Range, sync::Arc};

use super::{
    charge::Charge,
    order::{Order, order},
    stamp::{Stamp, StampRuns, Stamps},
};
use crate::{
    MemoryBudget,
    rows::{Buffer, Group, Layout, SeriesId},
};

/// Most rows of a chunk: a column of them fits a second-level cache, and their numbers fit 16 bits.
pub(super) const CHUNK_ROWS: usize = 1 << 16;
/// A chunk that has this many bytes of strings in a column takes no further batch.
const CHUNK_TEXT_BYTES: usize = 16 << 20;

/// See the module's header.
#[derive(Debug)]
pub(super) struct OpenChunk {
    layout: Arc<Layout>,
    series: Vec<SeriesId>,
    times: Vec<i64>,
    columns: Vec<Buffer>,
    stamps: StampRuns,
    max_rows: usize,
    charge: Charge,
}

impl OpenChunk {
    pub(super) fn new(layout: &Arc<Layout>, max_rows: usize, budget: &Arc<MemoryBudget>) -> Self {
        let columns = layout.types.iter().map(|field_type| Buffer::new(*field_type)).collect();
        let mut chunk = Self {
            layout: Arc::clone(layout),
            series: Vec::new(),
            times: Vec::new(),
            columns,
            stamps: StampRuns::default(),
            max_rows,
            charge: Charge::new(budget, 0),
        };
        chunk.charge.set(chunk.held_bytes());
        chunk
    }

    pub(super) const fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub(super) const fn budget(&self) -> &Arc<MemoryBudget> {
        self.charge.budget()
    }

    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// How many more rows it takes.
    pub(super) fn room(&self) -> usize {
        let is_heavy = self.columns.iter().any(|column| column.text_bytes() >= CHUNK_TEXT_BYTES);
        if is_heavy { 0 } else { self.max_rows - self.len() }
    }

    pub(super) fn column(&self, index: usize) -> &Buffer {
        &self.columns[index]
    }

    /// Bytes accounted for.
    pub(super) const fn charged_bytes(&self) -> u64 {
        self.charge.bytes()
    }

    /// Appends `rows` of a group, for which there is room. `stamps` are those of the group, each from a row on.
    pub(super) fn append(&mut self, group: &Group, rows: Range<usize>, stamps: &[(u32, Stamp)]) {
        self.reserve(rows.len());
        let first = self.len();
        let begun = stamps.partition_point(|(from, _)| *from as usize <= rows.start);
        for (from, stamp) in &stamps[begun - 1..] {
            let from = (*from as usize).max(rows.start);
            if from < rows.end {
                self.stamps.push(first + from - rows.start, *stamp);
            }
        }
        self.series.extend_from_slice(&group.series[rows.clone()]);
        self.times.extend_from_slice(&group.times[rows.clone()]);
        for (column, more) in self.columns.iter_mut().zip(&group.columns) {
            column.extend(more, rows.clone());
        }
        self.charge.set(self.held_bytes());
    }

    /// Doubles what it has room for, up to the limit, so that a chunk of one row is small.
    fn reserve(&mut self, rows: usize) {
        let wanted = self.len() + rows;
        if wanted <= self.times.capacity() {
            return;
        }
        let more = wanted.max(2 * self.times.capacity()).min(self.max_rows) - self.len();
        self.series.reserve_exact(more);
        self.times.reserve_exact(more);
        self.columns.iter_mut().for_each(|column| column.reserve(more));
    }

    fn held_bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(Buffer::capacity_bytes).sum();
        size_of::<Self>()
            + self.columns.capacity() * size_of::<Buffer>()
            + self.series.capacity() * 4
            + self.times.capacity() * 8
            + self.stamps.capacity_bytes()
            + columns
    }

    /// The first `len` rows in order.
    pub(super) fn order(&self, len: usize) -> Order {
        // Of rows of the same layout the later one wins unless its version is lower.
        let version = |row| self.stamps.of_row(row).version;
        order(&self.series[..len], &self.times[..len], |a, b| version(b) >= version(a))
    }

    /// The stamps of `rows`, all below `len`.
    pub(super) fn stamps(&self, rows: &[u32], len: usize) -> Stamps {
        self.stamps.picked(rows, len)
    }
}
