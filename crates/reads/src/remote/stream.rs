//! One series of a scan: the blocks that were fetched of it, and those after them.

use std::{ops::Range, sync::Arc};

use skywatch_model::{RowBlock, TimeRange};
use skywatch_storage::{BlockStream, ReadError, ScanBlock, ScanCost, SeriesRef, WindowStats};

use super::{
    fetch::Fetched,
    scanner::{ROWS_PER_CALL, RemoteScanner},
};
use crate::windows::Windows;

/// Reads one series on.
pub(super) struct RemoteStream<'a> {
    pub(super) scanner: &'a RemoteScanner<'a>,
    pub(super) series: SeriesRef,
    /// What was asked for.
    pub(super) range: TimeRange,
    /// What is still to be asked for.
    pub(super) rest: Option<TimeRange>,
    pub(super) descending: bool,
    pub(super) answer: Option<Arc<Vec<Fetched>>>,
    /// Which series of the answer.
    pub(super) place: usize,
    /// The next block of it.
    pub(super) next: usize,
    /// Rows to ask for.
    pub(super) rows: u64,
}

impl RemoteStream<'_> {
    /// Goes on with what was fetched of the series.
    pub(super) fn take(&mut self, answer: Arc<Vec<Fetched>>, place: usize) {
        self.rest = match (&answer[place], self.rest) {
            (Fetched::Rows { blocks, more: true }, Some(range)) => match blocks.last() {
                Some(last) if self.descending => {
                    let first = last.times.first().copied().unwrap_or(range.start);
                    Some(TimeRange::new(range.start, first.saturating_sub(1)))
                }
                Some(last) => {
                    let last = last.times.last().copied().unwrap_or(range.end);
                    Some(TimeRange::new(last.saturating_add(1), range.end))
                }
                None => Some(range),
            },
            _ => None,
        };
        self.rest = self.rest.filter(|rest| !rest.is_empty());
        (self.answer, self.place, self.next) = (Some(answer), place, 0);
    }
}

impl BlockStream for RemoteStream<'_> {
    /// Of all of it, whatever has been read already; nothing where it cannot be told, which an `EXPLAIN` can live with.
    fn cost(&self) -> ScanCost {
        let told = self.scanner.cost(self.series, self.range);
        told.unwrap_or_else(|error| {
            tracing::warn!(%error, "what reading elsewhere would cost cannot be told");
            ScanCost::default()
        })
    }

    fn next_block(&mut self) -> Result<Option<Box<dyn ScanBlock + '_>>, ReadError> {
        loop {
            if let Some(answer) = self.answer.clone() {
                let here = self.next;
                self.next += 1;
                match &answer[self.place] {
                    Fetched::Rows { blocks, .. } if here < blocks.len() => {
                        return Ok(Some(Box::new(RowsBlock { answer, place: self.place, index: here })));
                    }
                    Fetched::Windows(windows, first) if here == 0 => {
                        let (scanner, series) = (self.scanner, self.series);
                        let fields = *first..*first + scanner.fields();
                        if let Some(range) = span_of(windows, fields.clone()) {
                            let windows = Arc::clone(windows);
                            return Ok(Some(Box::new(WindowsBlock {
                                scanner,
                                series,
                                windows,
                                fields,
                                range,
                            })));
                        }
                    }
                    Fetched::Rows { .. } | Fetched::Windows(..) => {}
                }
                self.answer = None;
            }
            let Some(rest) = self.rest.filter(|_| !self.scanner.shard.is_lost()) else { return Ok(None) };
            self.rows = self.rows.saturating_mul(4).clamp(64, ROWS_PER_CALL);
            let answer = self.scanner.fetch_rows(self.series, rest, self.descending, self.rows);
            match self.scanner.shard.or_nothing(answer.map(Some), || None)? {
                Some(answer) => self.take(answer, 0),
                None => return Ok(None),
            }
        }
    }
}

/// The times around all windows of these fields.
fn span_of(windows: &Windows, fields: Range<usize>) -> Option<TimeRange> {
    let all = fields.filter_map(|field| {
        let times = windows.field(field)?.times;
        Some(TimeRange::new(times.first()?.start, times.last()?.end))
    });
    all.reduce(TimeRange::hull)
}

/// Rows that were fetched.
struct RowsBlock {
    answer: Arc<Vec<Fetched>>,
    place: usize,
    index: usize,
}

impl RowsBlock {
    fn rows(&self) -> &RowBlock {
        static NONE: RowBlock = RowBlock { times: Vec::new(), columns: Vec::new() };
        match &self.answer[self.place] {
            Fetched::Rows { blocks, .. } => &blocks[self.index],
            Fetched::Windows(..) => &NONE,
        }
    }
}

impl ScanBlock for RowsBlock {
    fn time_range(&self) -> TimeRange {
        let times = &self.rows().times;
        TimeRange::new(times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(-1))
    }

    fn stats(&self, _: usize) -> Option<&skywatch_storage::BlockStats> {
        None
    }

    fn decode_within(&self, range: TimeRange) -> Result<RowBlock, ReadError> {
        Ok(self.rows().clone().within(range))
    }
}

/// Statistics that were fetched.
struct WindowsBlock<'a> {
    scanner: &'a RemoteScanner<'a>,
    series: SeriesRef,
    windows: Arc<Windows>,
    /// Those of its fields.
    fields: Range<usize>,
    range: TimeRange,
}

impl ScanBlock for WindowsBlock<'_> {
    fn time_range(&self) -> TimeRange {
        self.range
    }

    fn stats(&self, _: usize) -> Option<&skywatch_storage::BlockStats> {
        None
    }

    fn summary(&self, field_index: usize) -> Option<WindowStats<'_>> {
        self.windows.field(self.fields.clone().nth(field_index)?)
    }

    /// The rows themselves, should somebody want them after all.
    fn decode_within(&self, within: TimeRange) -> Result<RowBlock, ReadError> {
        let within = self.range.intersect(within);
        let (mut all, mut rest) = (RowBlock::default(), Some(within).filter(|it| !it.is_empty()));
        while let Some(range) = rest {
            let fetched = self.scanner.fetch_rows(self.series, range, false, ROWS_PER_CALL);
            let fetched = self.scanner.shard.or_nothing(fetched, || Arc::new(Vec::new()))?;
            let Some(Fetched::Rows { blocks, more }) = fetched.first() else { break };
            rest = blocks
                .last()
                .and_then(|last| last.times.last())
                .filter(|last| *more && **last < range.end)
                .map(|last| TimeRange::new(*last + 1, range.end));
            for block in blocks {
                join(&mut all, block.clone());
            }
        }
        Ok(all)
    }
}

/// Appends rows that come after those.
pub(crate) fn join(all: &mut RowBlock, more: RowBlock) {
    let (before, after) = (all.times.len(), all.times.len() + more.times.len());
    if before == 0 {
        *all = more;
        return;
    }
    all.times.extend(&more.times);
    for (own, column) in all.columns.iter_mut().zip(more.columns) {
        match (own.as_mut(), column) {
            (Some(own), Some(column)) => own.append(column),
            (Some(own), None) => own.pad(after),
            (None, Some(column)) => {
                let mut padded = skywatch_model::Column {
                    values: skywatch_model::Values::empty(column.values.field_type()),
                    valid: None,
                };
                padded.pad(before);
                padded.append(column);
                *own = Some(padded);
            }
            (None, None) => {}
        }
    }
}
