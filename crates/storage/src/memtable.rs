//! What has been written and not yet flushed, readable at once.
//!
//! Rows stay in the columns they arrived in: a *chunk* holds rows of one layout, in order of arrival, so that taking
//! in a batch is one copy per column. A series is a list of row numbers (chunk and row), which a scan gathers, and
//! sorts if they did not arrive in order. Rows are never changed: a row for the same time is one more row, and the
//! scan lets the greater version win.
//!
//! A snapshot is the length of every chunk at the moment it was taken.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use skywatch_model::{Bitmap, Column, TimeRange, Values, Version};

use crate::{
    merge::{Rows, Versions},
    rows::{Buffer, FieldId, Group, Layout, RowSet, SeriesId},
};

/// A chunk that has this many rows gets no more.
const CHUNK_ROWS: usize = 8192;
/// What a series costs besides its rows: its slot, its entry in the table, its first list of rows.
const SERIES_BYTES: usize = 128;
/// What a chunk costs besides its rows.
const CHUNK_BYTES: usize = 256;
/// A row number, and room for the list to grow.
const ROW_REF_BYTES: usize = 12;

/// Position of a row: chunk in the upper half, row in the lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct RowRef(u64);

impl RowRef {
    const fn new(chunk: u32, row: u32) -> Self {
        Self((chunk as u64) << 32 | row as u64)
    }
    const fn chunk(self) -> usize {
        (self.0 >> 32) as usize
    }
    const fn row(self) -> usize {
        self.0 as u32 as usize
    }
}

/// Rows of one layout in order of arrival.
#[derive(Debug)]
struct Chunk {
    layout: Arc<Layout>,
    times: Vec<i64>,
    columns: Vec<Buffer>,
    /// Version of the rows from a row on, ascending by row.
    versions: Vec<(u32, Version)>,
}

#[derive(Debug)]
struct Slot {
    rows: Vec<RowRef>,
    last_time: i64,
    /// Times have ascended strictly so far.
    ordered: bool,
}

#[derive(Debug, Default)]
struct Tables {
    chunks: Vec<Chunk>,
    open: FxHashMap<Box<[FieldId]>, u32>,
    slot_of: FxHashMap<SeriesId, u32>,
    slots: Vec<(SeriesId, Slot)>,
    latest_version: Version,
}

/// Memory shared by the memtables of a store; given back when a memtable goes.
#[derive(Debug, Default)]
pub(crate) struct MemoryGauge(AtomicU64);

impl MemoryGauge {
    /// Bytes held by all memtables.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct MemTable {
    tables: RwLock<Tables>,
    size_bytes: AtomicU64,
    rows: AtomicU64,
    gauge: Arc<MemoryGauge>,
}

impl Drop for MemTable {
    fn drop(&mut self) {
        self.gauge.0.fetch_sub(self.size_bytes(), Ordering::Relaxed);
    }
}

impl MemTable {
    pub(crate) fn new(gauge: Arc<MemoryGauge>) -> Self {
        Self { tables: RwLock::default(), size_bytes: AtomicU64::new(0), rows: AtomicU64::new(0), gauge }
    }

    /// Bytes held, estimated from above but for the growth reserve of its lists.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.load(Ordering::Acquire) == 0
    }

    /// Takes rows in.
    pub(crate) fn insert(&self, rows: &RowSet) {
        let mut tables = self.tables.write();
        let added = tables.insert(rows) as u64;
        self.size_bytes.fetch_add(added, Ordering::Relaxed);
        self.gauge.0.fetch_add(added, Ordering::Relaxed);
        self.rows.fetch_add(rows.len() as u64, Ordering::Release);
    }

    /// What is in it now.
    pub(crate) fn view(self: &Arc<Self>) -> MemView {
        let lens = self.tables.read().chunks.iter().map(|chunk| chunk.times.len() as u32).collect();
        MemView { table: Arc::clone(self), lens }
    }

    /// Its series, unsorted.
    pub(crate) fn series(&self) -> Vec<SeriesId> {
        self.tables.read().slots.iter().map(|(id, _)| *id).collect()
    }

    /// The fields its rows have, sorted.
    pub(crate) fn fields(&self) -> Vec<FieldId> {
        let tables = self.tables.read();
        let mut fields: Vec<FieldId> = tables.open.keys().flat_map(|fields| fields.iter().copied()).collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    /// The greatest version of its rows.
    pub(crate) fn latest_version(&self) -> Version {
        self.tables.read().latest_version
    }
}

impl Tables {
    /// Returns the bytes it grew by.
    fn insert(&mut self, rows: &RowSet) -> usize {
        let mut bytes = 0;
        self.latest_version = self.latest_version.max(rows.version);
        // Where each group's rows begin, and how far the runs have come.
        let mut cursors: Vec<RowRef> = Vec::with_capacity(rows.groups().len());
        for group in rows.groups() {
            cursors.push(if group.len() == 0 {
                RowRef(0)
            } else {
                self.append(group, rows.version, &mut bytes)
            });
        }
        let mut taken = vec![0usize; cursors.len()];
        for run in rows.runs() {
            let group = run.group as usize;
            let source = &rows.groups()[group];
            for index in taken[group]..taken[group] + run.rows as usize {
                let row = RowRef(cursors[group].0 + index as u64);
                self.enter(source.series[index], source.times[index], row, &mut bytes);
            }
            taken[group] += run.rows as usize;
        }
        bytes
    }

    /// Copies a group's rows to the open chunk of its layout; returns where the first went.
    fn append(&mut self, group: &Group, version: Version, bytes: &mut usize) -> RowRef {
        let open = self.open.get(&*group.layout.fields).copied();
        let index = match open {
            Some(index) if self.chunks[index as usize].has_room(group.len()) => index,
            Some(_) | None => {
                let index = self.chunks.len() as u32;
                self.chunks.push(Chunk::new(Arc::clone(&group.layout)));
                self.open.insert(group.layout.fields.clone(), index);
                *bytes += CHUNK_BYTES;
                index
            }
        };
        let chunk = &mut self.chunks[index as usize];
        let first = RowRef::new(index, chunk.times.len() as u32);
        if chunk.versions.last().is_none_or(|(_, last)| *last != version) {
            chunk.versions.push((chunk.times.len() as u32, version));
            *bytes += 16;
        }
        chunk.times.extend_from_slice(&group.times);
        *bytes += group.times.len() * 8;
        for (column, more) in chunk.columns.iter_mut().zip(&group.columns) {
            column.extend(more);
            *bytes += more.size_bytes();
        }
        first
    }

    fn enter(&mut self, series: SeriesId, time: i64, row: RowRef, bytes: &mut usize) {
        let slots = &mut self.slots;
        let slot = *self.slot_of.entry(series).or_insert_with(|| {
            slots.push((series, Slot { rows: Vec::new(), last_time: i64::MIN, ordered: true }));
            *bytes += SERIES_BYTES;
            slots.len() as u32 - 1
        });
        let (_, slot) = &mut slots[slot as usize];
        slot.ordered &= slot.rows.is_empty() || time > slot.last_time;
        slot.last_time = slot.last_time.max(time);
        slot.rows.push(row);
        *bytes += ROW_REF_BYTES;
    }
}

impl Chunk {
    fn new(layout: Arc<Layout>) -> Self {
        let columns = layout.types.iter().map(|field_type| Buffer::new(*field_type)).collect();
        Self { layout, times: Vec::new(), columns, versions: Vec::new() }
    }

    fn has_room(&self, rows: usize) -> bool {
        let text_bytes: usize = self.columns.iter().map(Buffer::size_bytes).max().unwrap_or(0);
        self.times.len() + rows <= CHUNK_ROWS && text_bytes < 64 << 20
    }

    fn column(&self, field: FieldId) -> Option<&Buffer> {
        let index = self.layout.fields.iter().position(|id| *id == field)?;
        self.columns.get(index)
    }

    fn version(&self, row: usize) -> Version {
        let after = self.versions.partition_point(|(from, _)| *from as usize <= row);
        self.versions[after - 1].1
    }
}

/// A memtable as it was when the view was taken.
#[derive(Debug, Clone)]
pub(crate) struct MemView {
    table: Arc<MemTable>,
    lens: Arc<[u32]>,
}

/// The rows of one series in a view: times ascending, equal times in order of arrival.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeriesRows {
    rows: Vec<(i64, RowRef)>,
}

impl MemView {
    /// Rows of a series inside `range`.
    pub(crate) fn series_rows(&self, series: SeriesId, range: TimeRange) -> SeriesRows {
        let tables = self.table.tables.read();
        let Some(slot) = tables.slot_of.get(&series) else {
            return SeriesRows::default();
        };
        let (_, slot) = &tables.slots[*slot as usize];
        let visible = |row: &&RowRef| self.lens.get(row.chunk()).is_some_and(|len| (row.row() as u32) < *len);
        let timed = |row: &RowRef| (tables.chunks[row.chunk()].times[row.row()], *row);
        let mut rows: Vec<_> =
            slot.rows.iter().filter(visible).map(timed).filter(|(time, _)| range.contains(*time)).collect();
        if !slot.ordered {
            rows.sort_by_key(|(time, _)| *time);
        }
        SeriesRows { rows }
    }

    /// The fields that some of these rows have, sorted.
    pub(crate) fn fields(&self, rows: &SeriesRows) -> Vec<FieldId> {
        let tables = self.table.tables.read();
        let mut chunks: Vec<usize> = rows.rows.iter().map(|(_, row)| row.chunk()).collect();
        chunks.sort_unstable();
        chunks.dedup();
        let mut fields: Vec<FieldId> =
            chunks.iter().flat_map(|chunk| tables.chunks[*chunk].layout.fields.iter().copied()).collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    /// The values of these rows; `None` for a wanted field the measurement lacks.
    pub(crate) fn gather(&self, rows: &SeriesRows, fields: &[Option<FieldId>]) -> Rows {
        let tables = self.table.tables.read();
        let columns = fields.iter().map(|field| tables.gather(&rows.rows, (*field)?)).collect();
        let versions =
            rows.rows.iter().map(|(_, row)| tables.chunks[row.chunk()].version(row.row())).collect();
        Rows {
            times: rows.rows.iter().map(|(time, _)| *time).collect(),
            columns,
            versions: Versions::Rows(versions),
        }
    }
}

impl SeriesRows {
    /// First and last time; `None` without rows.
    pub(crate) fn time_range(&self) -> Option<TimeRange> {
        Some(TimeRange::new(self.rows.first()?.0, self.rows.last()?.0))
    }

    /// Pieces of about `rows` rows, none ending between rows of the same time.
    pub(crate) fn pieces(&self, rows: usize) -> Vec<Self> {
        let mut pieces = Vec::new();
        let mut rest = self.rows.as_slice();
        while !rest.is_empty() {
            let mut end = rows.clamp(1, rest.len());
            while end < rest.len() && rest[end].0 == rest[end - 1].0 {
                end += 1;
            }
            let (piece, after) = rest.split_at(end);
            pieces.push(Self { rows: piece.to_vec() });
            rest = after;
        }
        pieces
    }
}

impl Tables {
    /// The values of one field in these rows; `None` if no row has it.
    fn gather(&self, rows: &[(i64, RowRef)], field: FieldId) -> Option<Column> {
        let runs = self.runs(rows, field);
        let field_type = runs.iter().find_map(|run| run.buffer.map(Buffer::field_type))?;
        let valid = runs.iter().any(|run| run.buffer.is_none()).then(|| {
            let mut valid = Bitmap::filled(rows.len(), true);
            for run in runs.iter().filter(|run| run.buffer.is_none()) {
                run.positions.clone().for_each(|position| valid.set(position, false));
            }
            valid
        });
        let mut values = Values::empty(field_type);
        for run in &runs {
            push_run(&mut values, run.buffer, &rows[run.positions.clone()]);
        }
        Some(Column { values, valid })
    }

    /// Neighbouring rows of one chunk, with the buffer of `field` there.
    fn runs(&self, rows: &[(i64, RowRef)], field: FieldId) -> Vec<GatherRun<'_>> {
        let mut runs: Vec<GatherRun<'_>> = Vec::new();
        let mut chunk = usize::MAX;
        for (position, (_, row)) in rows.iter().enumerate() {
            match runs.last_mut() {
                Some(run) if chunk == row.chunk() => run.positions.end = position + 1,
                Some(_) | None => {
                    chunk = row.chunk();
                    runs.push(GatherRun {
                        positions: position..position + 1,
                        buffer: self.chunks[chunk].column(field),
                    });
                }
            }
        }
        runs
    }
}

/// See [`Tables::runs`].
struct GatherRun<'a> {
    positions: Range<usize>,
    buffer: Option<&'a Buffer>,
}

/// Appends the values of rows of one chunk, or placeholders.
fn push_run(values: &mut Values, buffer: Option<&Buffer>, rows: &[(i64, RowRef)]) {
    let rows = rows.iter().map(|(_, row)| row.row());
    match (values, buffer) {
        (Values::Float(values), Some(Buffer::Float(from))) => values.extend(rows.map(|row| from[row])),
        (Values::Integer(values), Some(Buffer::Integer(from))) => values.extend(rows.map(|row| from[row])),
        (Values::Unsigned(values), Some(Buffer::Unsigned(from))) => values.extend(rows.map(|row| from[row])),
        (Values::Boolean(values), Some(Buffer::Boolean(from))) => values.extend(rows.map(|row| from[row])),
        (Values::String(values), Some(Buffer::String(from))) => {
            for row in rows {
                let text = from.get(row);
                // Neighbours are often equal; share them.
                match values.last() {
                    Some(last) if **last == *text => values.push(Arc::clone(last)),
                    Some(_) | None => values.push(text.into()),
                }
            }
        }
        (Values::Float(values), _) => values.extend(rows.map(|_| 0.0)),
        (Values::Integer(values), _) => values.extend(rows.map(|_| 0)),
        (Values::Unsigned(values), _) => values.extend(rows.map(|_| 0)),
        (Values::Boolean(values), _) => values.extend(rows.map(|_| false)),
        (Values::String(values), _) => values.extend(rows.map(|_| Arc::default())),
    }
}

#[cfg(test)]
mod tests;
