//! What has been written and not yet flushed, readable at once.
//!
//! Rows lie in *chunks*, each of one layout: a column for the series, one for the time, one for each field. Taking a
//! batch in is a copy per column and group. A chunk that is full is sorted by series and time by the writer that
//! filled it, outside the lock, and of rows of one series and time only the winner stays (all rows of a chunk have the
//! same fields, so a row wins wholly); a directory says where each series is.
//!
//! ```text
//! open     series, time, fields...   in order of arrival; grows to CHUNK_ROWS
//! closed   directory, time, fields...   by series, then time
//! ```
//!
//! A view is the closed chunks there are and the lengths of the open ones ([`sorted`] tells how those are read). A
//! series' rows in a view are ranges of chunks, which [`view`] strings together in order of time. Of rows for one time
//! in different chunks the merge of the scan keeps the winner of each cell, by their stamps ([`stamp`]).

mod charge;
mod kin;
mod open;
mod order;
mod sorted;
mod stamp;
mod view;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use skywatch_model::Version;

use charge::Charge;
use kin::Kinship;
use open::{CHUNK_ROWS, OpenChunk};
use sorted::{Prefix, SortedChunk, ViewChunk};
use stamp::Stamp;

pub(crate) use view::{MemRows, MemScan, MemView};

use crate::{
    MemoryBudget,
    rows::{FieldId, Group, Layout, RowSet},
};

/// What a layout costs in the tables of the memtable, besides its fields.
const LAYOUT_BYTES: usize = 160;
/// What one of its fields costs there.
const LAYOUT_FIELD_BYTES: usize = 16;

/// See the module's header.
#[derive(Debug)]
pub(crate) struct MemTable {
    tables: RwLock<Tables>,
    size_bytes: AtomicU64,
    rows: AtomicU64,
    budget: Arc<MemoryBudget>,
    /// Rows of a chunk.
    chunk_rows: usize,
}

#[derive(Debug)]
struct Tables {
    number_of: FxHashMap<Box<[FieldId]>, u32>,
    /// By number of the layout: the chunk that takes its rows, if there is one.
    open: Vec<Option<usize>>,
    kinship: Kinship,
    /// Those of one layout in order of arrival.
    chunks: Vec<Slot>,
    latest_version: Version,
    charge: Charge,
}

/// A chunk in one of its states.
#[derive(Debug)]
enum Slot {
    Open {
        chunk: Arc<RwLock<OpenChunk>>,
        /// What views taken since the latest row share.
        prefix: OnceLock<Arc<Prefix>>,
    },
    Closed(Arc<SortedChunk>),
}

impl Slot {
    fn size_bytes(&self) -> u64 {
        match self {
            Self::Open { chunk, .. } => chunk.read().charged_bytes(),
            Self::Closed(chunk) => chunk.charged_bytes(),
        }
    }
}

impl MemTable {
    pub(crate) fn new(budget: Arc<MemoryBudget>) -> Self {
        Self::with_chunks_of(CHUNK_ROWS, budget)
    }

    /// As [`Self::new`], with chunks of so many rows, at most [`CHUNK_ROWS`].
    fn with_chunks_of(chunk_rows: usize, budget: Arc<MemoryBudget>) -> Self {
        assert!((1..=CHUNK_ROWS).contains(&chunk_rows), "rows of a chunk are numbered by 16 bits");
        let tables = Tables {
            number_of: FxHashMap::default(),
            open: Vec::new(),
            kinship: Kinship::default(),
            chunks: Vec::new(),
            latest_version: Version::ZERO,
            charge: Charge::new(&budget, 0),
        };
        Self {
            tables: RwLock::new(tables),
            size_bytes: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            budget,
            chunk_rows,
        }
    }

    /// Bytes its rows occupy, room to grow included; what views hold besides is not.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.load(Ordering::Acquire) == 0
    }

    /// Takes rows in.
    pub(crate) fn insert(&self, rows: &RowSet) {
        let full = {
            let mut tables = self.tables.write();
            let (full, grown) = tables.insert(rows, self.chunk_rows, &self.budget);
            self.size_bytes.fetch_add(grown, Ordering::Relaxed);
            self.rows.fetch_add(rows.len() as u64, Ordering::Release);
            full
        };
        full.into_iter().for_each(|index| self.close(index));
    }

    /// Sorts the chunks that still take rows; called when no more will come.
    pub(crate) fn close_all(&self) {
        let chunks = self.tables.read().chunks.len();
        (0..chunks).for_each(|index| self.close(index));
    }

    /// Sorts a chunk, while others write and read, and puts the sorted one in its place.
    fn close(&self, index: usize) {
        let chunk = match &self.tables.read().chunks[index] {
            Slot::Open { chunk, .. } => Arc::clone(chunk),
            Slot::Closed(_) => return,
        };
        let sorted = Slot::Closed(Arc::new(SortedChunk::of_full(&chunk)));
        let mut tables = self.tables.write();
        let slot = &mut tables.chunks[index];
        let (before, after) = (slot.size_bytes(), sorted.size_bytes());
        let replaced = std::mem::replace(slot, sorted);
        drop(tables);
        self.size_bytes.fetch_add(after, Ordering::Relaxed);
        self.size_bytes.fetch_sub(before, Ordering::Relaxed);
        drop(replaced);
    }

    /// What is in it now.
    pub(crate) fn view(&self) -> MemView {
        MemView::new(self.tables.read().chunks.iter().map(Slot::view).collect())
    }

    /// The greatest version of its rows.
    pub(crate) fn latest_version(&self) -> Version {
        self.tables.read().latest_version
    }
}

impl Slot {
    fn view(&self) -> ViewChunk {
        match self {
            Self::Closed(chunk) => ViewChunk::Closed(Arc::clone(chunk)),
            Self::Open { chunk, prefix } => {
                ViewChunk::Open(Arc::clone(prefix.get_or_init(|| Arc::new(Prefix::of(chunk)))))
            }
        }
    }
}

impl Tables {
    /// Returns the chunks that are now full, and the bytes it grew by.
    fn insert(&mut self, rows: &RowSet, chunk_rows: usize, budget: &Arc<MemoryBudget>) -> (Vec<usize>, u64) {
        self.latest_version = self.latest_version.max(rows.version);
        let tables_before = self.charge.bytes();
        let numbers: Vec<u32> = rows
            .groups()
            .iter()
            .map(|group| if group.len() == 0 { u32::MAX } else { self.number(&group.layout) })
            .collect();
        let stamps = self.stamps(rows, &numbers);
        let mut full = Vec::new();
        let mut grown = self.charge.bytes() - tables_before;
        for ((group, number), stamps) in rows.groups().iter().zip(numbers).zip(stamps) {
            if group.len() > 0 {
                let new_chunk = || OpenChunk::new(&group.layout, chunk_rows, budget);
                grown += self.append(group, number, &stamps, new_chunk, &mut full);
            }
        }
        (full, grown)
    }

    /// The number of a layout, given if it has none.
    fn number(&mut self, layout: &Layout) -> u32 {
        if let Some(number) = self.number_of.get(&layout.fields) {
            return *number;
        }
        let number = self.open.len() as u32;
        self.number_of.insert(layout.fields.clone(), number);
        self.open.push(None);
        self.kinship.add(layout);
        let bytes = self.charge.bytes() as usize + LAYOUT_BYTES + layout.fields.len() * LAYOUT_FIELD_BYTES;
        self.charge.set(bytes);
        number
    }

    /// By group, the stamps of its rows, each from a row on.
    fn stamps(&mut self, rows: &RowSet, numbers: &[u32]) -> Vec<Vec<(u32, Stamp)>> {
        let mut stamps: Vec<Vec<(u32, Stamp)>> = vec![Vec::new(); numbers.len()];
        let mut taken = vec![0; numbers.len()];
        for run in rows.runs() {
            let group = run.group as usize;
            let sequence = self.kinship.sequence(numbers[group]);
            if stamps[group].last().is_none_or(|(_, last)| last.sequence != sequence) {
                stamps[group].push((taken[group], Stamp { version: rows.version, sequence }));
            }
            taken[group] += run.rows;
        }
        stamps
    }

    /// Copies a group's rows to the open chunk of its layout, and to further ones as each gets full. Returns the bytes
    /// grown by.
    fn append(
        &mut self,
        group: &Group,
        number: u32,
        stamps: &[(u32, Stamp)],
        new_chunk: impl Fn() -> OpenChunk,
        full: &mut Vec<usize>,
    ) -> u64 {
        let mut grown = 0;
        let mut taken = 0;
        while taken < group.len() {
            let index = *self.open[number as usize].get_or_insert_with(|| {
                let chunk = new_chunk();
                grown += chunk.charged_bytes();
                self.chunks.push(Slot::Open { chunk: Arc::new(RwLock::new(chunk)), prefix: OnceLock::new() });
                self.chunks.len() - 1
            });
            let Slot::Open { chunk, prefix } = &mut self.chunks[index] else {
                unreachable!("a closed chunk takes rows");
            };
            *prefix = OnceLock::new();
            let mut chunk = chunk.write();
            let rows = chunk.room().min(group.len() - taken);
            let before = chunk.charged_bytes();
            chunk.append(group, taken..taken + rows, stamps);
            grown += chunk.charged_bytes() - before;
            taken += rows;
            if chunk.room() == 0 {
                self.open[number as usize] = None;
                full.push(index);
            }
        }
        grown
    }
}

#[cfg(test)]
mod tests;
