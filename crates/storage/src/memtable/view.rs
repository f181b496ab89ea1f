//! A memtable as it was when the view was taken, and the rows of one series in it.

use std::{cmp::Reverse, collections::BinaryHeap, ops::Range, sync::Arc};

use skywatch_model::{Bitmap, Column, TimeRange, Values};

use super::{
    sorted::{SortedChunk, ViewChunk},
    stamp::Stamp,
};
use crate::{
    End,
    merge::{Rows, Versions},
    rows::{Buffer, FieldId, Layout, SeriesId},
};

/// See the module's header.
#[derive(Debug, Clone)]
pub(crate) struct MemView {
    chunks: Arc<[ViewChunk]>,
}

impl MemView {
    pub(super) const fn new(chunks: Arc<[ViewChunk]>) -> Self {
        Self { chunks }
    }

    /// The layouts of its chunks, some perhaps several times.
    pub(crate) fn layouts(&self) -> impl Iterator<Item = &Layout> {
        self.chunks.iter().map(ViewChunk::layout)
    }

    /// From its earliest row to its latest; `None` without rows.
    pub(crate) fn time_range(&self) -> Option<TimeRange> {
        let ranges = self.chunks.iter().map(|chunk| chunk.sorted().range()).filter(|range| !range.is_empty());
        ranges.reduce(TimeRange::hull)
    }

    /// What it has of some fields, `None` for those the measurement lacks.
    pub(crate) fn scan(&self, fields: &[Option<FieldId>]) -> MemScan {
        self.scan_of(0..self.chunks.len(), fields)
    }

    /// As [`Self::scan`], of some of its chunks, by their positions in [`Self::layouts`].
    pub(crate) fn scan_of(
        &self,
        chunks: impl IntoIterator<Item = usize>,
        fields: &[Option<FieldId>],
    ) -> MemScan {
        let mut found = Vec::new();
        for chunk in chunks.into_iter().map(|index| &self.chunks[index]) {
            let columns: Box<[Option<usize>]> =
                fields.iter().map(|field| chunk.position((*field)?)).collect();
            if columns.iter().any(Option::is_some) {
                found.push(Chunk { chunk: chunk.clone(), columns });
            }
        }
        MemScan { chunks: found, width: fields.len() }
    }
}

/// The chunks of a view that have some of the wanted fields.
#[derive(Debug)]
pub(crate) struct MemScan {
    /// Those of one layout in order of arrival.
    chunks: Vec<Chunk>,
    width: usize,
}

#[derive(Debug)]
struct Chunk {
    chunk: ViewChunk,
    /// Where the wanted fields are in the chunk.
    columns: Box<[Option<usize>]>,
}

/// Rows of one series that follow one another in a chunk; never none.
#[derive(Debug, Clone, Copy)]
struct Run {
    chunk: u32,
    start: u32,
    end: u32,
}

impl Run {
    const fn len(self) -> usize {
        (self.end - self.start) as usize
    }
}

/// Rows of one series: times ascend, equal times are in order of arrival.
#[derive(Debug, Clone)]
pub(crate) struct MemRows {
    runs: Vec<Run>,
    range: TimeRange,
}

impl MemRows {
    /// Times of the first and the last row.
    pub(crate) const fn time_range(&self) -> TimeRange {
        self.range
    }
}

impl MemScan {
    /// The series that have rows, ascending.
    pub(crate) fn series(&self) -> Vec<SeriesId> {
        let mut series: Vec<SeriesId> = Vec::new();
        for chunk in &self.chunks {
            series.extend_from_slice(chunk.chunk.sorted().directory().series());
            // Keeps what is held near what there is, and is cheap on what is mostly sorted.
            series.sort();
            series.dedup();
        }
        series
    }

    /// The rows of a series inside `range`, in order of time, in pieces of at most `limit` rows (at least 1) but for
    /// those of the last row's time. Nothing is copied.
    pub(crate) fn rows(&self, series: SeriesId, range: TimeRange, limit: usize) -> Vec<MemRows> {
        let mut runs: Vec<Run> = Vec::with_capacity(self.chunks.len());
        let mut is_ordered = true;
        for (index, chunk) in self.chunks.iter().enumerate() {
            let sorted = chunk.chunk.sorted();
            if !range.overlaps(sorted.range()) {
                continue;
            }
            let Some(rows) = sorted.rows_of(series).map(|rows| inside(sorted, rows, range)) else { continue };
            if rows.is_empty() {
                continue;
            }
            let run = Run { chunk: index as u32, start: rows.start as u32, end: rows.end as u32 };
            if let Some(last) = runs.last().filter(|_| is_ordered) {
                // Where a chunk ends before a run begins, the run before need not be looked at.
                let first_time = self.first_time(run);
                is_ordered =
                    self.sorted(*last).range().end < first_time || self.last_time(*last) < first_time;
            }
            runs.push(run);
        }
        if !is_ordered {
            runs = self.in_order(runs);
        }
        self.pieces(&runs, limit)
    }

    fn sorted(&self, run: Run) -> &SortedChunk {
        self.chunks[run.chunk as usize].chunk.sorted()
    }

    fn times(&self, run: Run) -> &[i64] {
        &self.sorted(run).times()[run.start as usize..run.end as usize]
    }

    fn first_time(&self, run: Run) -> i64 {
        self.times(run)[0]
    }

    fn last_time(&self, run: Run) -> i64 {
        self.times(run)[run.len() - 1]
    }

    /// Cuts runs that overlap, so that their rows are in order of time and stamps.
    fn in_order(&self, runs: Vec<Run>) -> Vec<Run> {
        let head =
            |run: Run| Reverse((self.first_time(run), self.sequence(run), run.chunk, run.start, run.end));
        let mut heap: BinaryHeap<_> = runs.into_iter().map(head).collect();
        let mut ordered: Vec<Run> = Vec::new();
        while let Some(Reverse((time, _, chunk, start, end))) = heap.pop() {
            let mut run = Run { chunk, start, end };
            if let Some(Reverse((next, ..))) = heap.peek() {
                let before = if *next == time { 1 } else { gallop(self.times(run), *next) };
                if before < run.len() {
                    run.end = start + before as u32;
                    heap.push(head(Run { chunk, start: run.end, end }));
                }
            }
            ordered.push(run);
        }
        ordered
    }

    fn sequence(&self, run: Run) -> u32 {
        self.sorted(run).stamp(run.start as usize).sequence
    }

    fn pieces(&self, runs: &[Run], limit: usize) -> Vec<MemRows> {
        let mut pieces = Vec::new();
        let mut piece: Vec<Run> = Vec::new();
        let mut rows = 0;
        for run in runs {
            let mut run = *run;
            while run.start < run.end {
                let room = limit.saturating_sub(rows);
                // A row of the same time as the last one belongs to it.
                let is_same = piece.last().is_some_and(|last| self.last_time(*last) == self.first_time(run));
                let taken = if room == 0 { usize::from(is_same) } else { run.len().min(room) };
                if taken == 0 {
                    pieces.push(self.piece(std::mem::take(&mut piece)));
                    rows = 0;
                    continue;
                }
                let cut = run.start + taken as u32;
                piece.push(Run { end: cut, ..run });
                run.start = cut;
                rows += taken;
            }
        }
        if !piece.is_empty() {
            pieces.push(self.piece(piece));
        }
        pieces
    }

    fn piece(&self, runs: Vec<Run>) -> MemRows {
        let range = TimeRange::new(self.first_time(runs[0]), self.last_time(runs[runs.len() - 1]));
        MemRows { runs, range }
    }

    /// The rows of the earliest or latest time.
    pub(crate) fn end(&self, rows: &MemRows, end: End) -> MemRows {
        let time = match end {
            End::First => rows.range.start,
            End::Last => rows.range.end,
        };
        let at_end = |run: &Run| match end {
            End::First => (self.first_time(*run) == time).then_some(Run { end: run.start + 1, ..*run }),
            End::Last => (self.last_time(*run) == time).then_some(Run { start: run.end - 1, ..*run }),
        };
        let mut runs: Vec<Run> = match end {
            End::First => rows.runs.iter().map_while(at_end).collect(),
            End::Last => rows.runs.iter().rev().map_while(at_end).collect(),
        };
        if end == End::Last {
            runs.reverse();
        }
        MemRows { runs, range: TimeRange::new(time, time) }
    }

    /// The values of these rows. Versions are told only `with_versions`, or where rows have the same time.
    pub(crate) fn gather(&self, rows: &MemRows, with_versions: bool) -> Rows {
        let len = rows.runs.iter().map(|run| run.len()).sum();
        let mut times = Vec::with_capacity(len);
        rows.runs.iter().for_each(|run| times.extend_from_slice(self.times(*run)));
        let is_distinct = times.windows(2).all(|pair| pair[0] < pair[1]);
        let versions =
            if with_versions || !is_distinct { self.versions(rows, len) } else { Versions::SETTLED };
        let columns = (0..self.width).map(|index| self.column(rows, index, len)).collect();
        Rows { times, columns, versions }
    }

    fn versions(&self, rows: &MemRows, len: usize) -> Versions {
        let mut versions = Vec::with_capacity(len);
        let only: Option<Stamp> = self.sorted(rows.runs[0]).only_stamp();
        if let Some(only) = only
            && rows
                .runs
                .iter()
                .all(|run| self.sorted(*run).only_stamp().is_some_and(|stamp| stamp.version == only.version))
        {
            return Versions::Uniform(only.version);
        }
        for run in &rows.runs {
            let chunk = self.sorted(*run);
            versions.extend((run.start..run.end).map(|row| chunk.stamp(row as usize).version));
        }
        Versions::Rows(versions)
    }

    /// The values of one wanted field; `None` if no row has it.
    fn column(&self, rows: &MemRows, index: usize, len: usize) -> Option<Column> {
        let buffer = |run: &Run| -> Option<&Buffer> {
            let chunk = &self.chunks[run.chunk as usize];
            Some(chunk.chunk.sorted().column(chunk.columns[index]?))
        };
        let field_type = rows.runs.iter().find_map(buffer)?.field_type();
        let mut values = with_capacity(field_type, len);
        let mut valid: Option<Bitmap> = None;
        for run in &rows.runs {
            match buffer(run) {
                Some(buffer) => buffer.append_to(run.start as usize..run.end as usize, &mut values),
                None => {
                    let missing = values.len()..values.len() + run.len();
                    push_placeholders(&mut values, run.len());
                    let valid = valid.get_or_insert_with(|| Bitmap::filled(len, true));
                    missing.for_each(|row| valid.set(row, false));
                }
            }
        }
        Some(Column { values, valid })
    }
}

/// The rows of a series that lie inside `range`.
fn inside(chunk: &SortedChunk, rows: Range<usize>, range: TimeRange) -> Range<usize> {
    if range.covers(chunk.range()) {
        return rows;
    }
    let times = &chunk.times()[rows.clone()];
    let start = times.partition_point(|time| *time < range.start);
    let end = start + times[start..].partition_point(|time| *time <= range.end);
    rows.start + start..rows.start + end
}

/// How many of the ascending `times` are below `bound`; quick where there are few.
fn gallop(times: &[i64], bound: i64) -> usize {
    let mut step = 1;
    while step < times.len() && times[step] < bound {
        step *= 2;
    }
    let from = step / 2;
    let to = times.len().min(step + 1);
    from + times[from..to].partition_point(|time| *time < bound)
}

fn with_capacity(field_type: skywatch_model::FieldType, rows: usize) -> Values {
    let mut values = Values::empty(field_type);
    match &mut values {
        Values::Float(values) => values.reserve_exact(rows),
        Values::Integer(values) => values.reserve_exact(rows),
        Values::Unsigned(values) => values.reserve_exact(rows),
        Values::String(values) => values.reserve_exact(rows),
        Values::Boolean(values) => values.reserve_exact(rows),
    }
    values
}

fn push_placeholders(values: &mut Values, rows: usize) {
    let len = values.len() + rows;
    match values {
        Values::Float(values) => values.resize(len, 0.0),
        Values::Integer(values) => values.resize(len, 0),
        Values::Unsigned(values) => values.resize(len, 0),
        Values::String(values) => values.resize(len, Arc::default()),
        Values::Boolean(values) => values.resize(len, false),
    }
}
