//! Merges what several segments have of one series, in one pass over time.
//!
//! A block that overlaps no other and is full enough is copied as it is; others are decoded and rewritten as full
//! blocks. Of each input no more than one block is held decoded, so that memory is bounded whatever the series' size.

use std::collections::VecDeque;

use skywatch_model::TimeRange;

use crate::{
    MaintenanceError,
    merge::{Rows, merge},
    rows::SeriesId,
    scan::{Source, slice},
    segment::{BLOCK_ROWS, BlockHead, Columns, Runs, SegmentWriter},
    tombstone::SeriesMasks,
};

/// A block with this many rows is full enough to be copied.
const FULL_ENOUGH: usize = BLOCK_ROWS / 2;

/// What is merged, and how.
#[derive(Debug)]
pub(super) struct Series<'a> {
    pub(super) id: SeriesId,
    pub(super) key: &'a str,
    /// What of it is deleted.
    pub(super) masks: SeriesMasks,
    pub(super) keep_versions: bool,
}

/// What one segment has of the series, in order of time.
#[derive(Debug)]
struct Input<'a> {
    columns: &'a Columns<'a>,
    runs: Runs<'a>,
    blocks: VecDeque<Source<'a>>,
}

impl<'a> Input<'a> {
    /// When its next block begins.
    fn next_start(&mut self, masks: &SeriesMasks) -> Result<Option<i64>, MaintenanceError> {
        let mut heads: Vec<BlockHead<'a>> = Vec::new();
        while self.blocks.is_empty() && self.columns.next_run(&mut self.runs, TimeRange::ALL, &mut heads)? {
            let segment = self.columns.segment;
            let sources = heads.drain(..).filter_map(|head| Source::block(segment, head).masked(masks));
            self.blocks.extend(sources);
        }
        Ok(self.blocks.front().map(|block| block.time_range().start))
    }
}

/// Writes the series; of one of which nothing is left, nothing. `step` is called after each block with the bytes
/// written so far.
pub(super) fn merge_series(
    writer: &mut SegmentWriter,
    inputs: &[Columns<'_>],
    series: &Series<'_>,
    mut step: impl FnMut(u64) -> Result<(), MaintenanceError>,
) -> Result<(), MaintenanceError> {
    let mut open = Vec::with_capacity(inputs.len());
    for columns in inputs {
        if let Some(runs) = columns.runs(series.id)? {
            open.push(Input { columns, runs, blocks: VecDeque::new() });
        }
    }
    let mut out = Output { series, has_begun: false, ready: Vec::new(), rows: 0 };
    // With the position of the input each is from, which is its age.
    let mut pending: Vec<(usize, Rows)> = Vec::new();
    while let Some((_, age)) = earliest(&mut open, &series.masks)? {
        let Some(block) = open.get_mut(age).and_then(|input| input.blocks.pop_front()) else { break };
        let next = earliest(&mut open, &series.masks)?.map(|(start, _)| start);
        let stands_alone = pending.is_empty() && next.is_none_or(|next| block.time_range().end < next);
        match &block {
            Source::Block(segment, head)
                if stands_alone
                    && head.rows() >= FULL_ENOUGH
                    // Else the rows before it would become a short block.
                    && (out.rows == 0 || out.rows >= FULL_ENOUGH)
                    && open.get(age).is_some_and(|it| it.columns.can_copy(head, series.keep_versions)) =>
            {
                out.write(writer, true)?;
                out.begin(writer);
                writer.copy_block(segment, head)?;
            }
            Source::Block(..) | Source::Memory(..) | Source::Masked(..) => {
                pending.push((age, block.decode(TimeRange::ALL, true)?));
                let complete = take_before(&mut pending, next);
                out.add(writer, merge(complete, series.keep_versions))?;
            }
        }
        step(writer.offset())?;
    }
    out.write(writer, true)?;
    if out.has_begun { Ok(writer.end_series()?) } else { Ok(()) }
}

/// When the earliest block left begins, and whose it is.
fn earliest(open: &mut [Input<'_>], masks: &SeriesMasks) -> Result<Option<(i64, usize)>, MaintenanceError> {
    let mut earliest = None;
    for (age, input) in open.iter_mut().enumerate() {
        if let Some(start) = input.next_start(masks)?
            && earliest.is_none_or(|(least, _)| start < least)
        {
            earliest = Some((start, age));
        }
    }
    Ok(earliest)
}

/// Takes the rows before `time`, all if there is none, oldest source first.
fn take_before(pending: &mut Vec<(usize, Rows)>, time: Option<i64>) -> Vec<Rows> {
    pending.sort_by_key(|(age, _)| *age);
    let mut taken = Vec::with_capacity(pending.len());
    for (age, rows) in std::mem::take(pending) {
        let len = rows.times.len();
        let before = time.map_or(len, |time| rows.times.partition_point(|row| *row < time));
        if before == len {
            taken.push(rows);
            continue;
        }
        if before > 0 {
            taken.push(slice(&rows, 0, before));
        }
        pending.push((age, slice(&rows, before, len)));
    }
    taken
}

/// Rows on their way to the writer.
#[derive(Debug)]
struct Output<'a> {
    series: &'a Series<'a>,
    has_begun: bool,
    /// Ascending, and no more than two blocks together.
    ready: Vec<Rows>,
    rows: usize,
}

impl Output<'_> {
    fn begin(&mut self, writer: &mut SegmentWriter) {
        if !self.has_begun {
            writer.begin_series(self.series.id, self.series.key);
            self.has_begun = true;
        }
    }

    /// Adds rows that are later than those before.
    fn add(&mut self, writer: &mut SegmentWriter, rows: Rows) -> Result<(), MaintenanceError> {
        self.rows += rows.times.len();
        if !rows.times.is_empty() {
            self.ready.push(rows);
        }
        if self.rows >= BLOCK_ROWS { self.write(writer, false) } else { Ok(()) }
    }

    /// Writes full blocks, and with `all` the last, shorter one too.
    fn write(&mut self, writer: &mut SegmentWriter, all: bool) -> Result<(), MaintenanceError> {
        if self.ready.is_empty() {
            return Ok(());
        }
        self.begin(writer);
        let rows = merge(std::mem::take(&mut self.ready), self.series.keep_versions);
        let len = rows.times.len();
        self.rows = 0;
        if len <= BLOCK_ROWS && (all || len == BLOCK_ROWS) {
            return Ok(writer.block(&rows)?);
        }
        let mut start = 0;
        while len - start >= BLOCK_ROWS || (all && start < len) {
            let end = len.min(start + BLOCK_ROWS);
            writer.block(&slice(&rows, start, end))?;
            start = end;
        }
        if start < len {
            self.rows = len - start;
            self.ready.push(slice(&rows, start, len));
        }
        Ok(())
    }
}
