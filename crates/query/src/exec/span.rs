//! Statistics in the place of rows: of a block that lies in one window, or of the parts of a block that each do.
//!
//! ```text
//!   windows   |        1h        |        1h        |
//!   block          [ span ][ span | span ][ span ]        every span lies in one window: nothing is decoded
//! ```
//!
//! What a call cannot take from statistics is left as [`Pending`]: the rows in whose place they stood.

use skywatch_model::TimeRange;
use skywatch_storage::{ScanBlock, SpanStats, WindowStats};

use super::{Run, partial::Partial};
use crate::{QueryError, kernel::Statistics};

/// What is known of the parts of a block.
#[derive(Debug, Clone, Copy)]
enum Pieces<'a> {
    /// As they are stored.
    Spans(&'a [SpanStats]),
    /// As they were asked for.
    Windows(WindowStats<'a>),
}

impl<'a> Pieces<'a> {
    fn of(run: &Run<'_>, block: &'a dyn ScanBlock, field: usize) -> Option<Self> {
        if run.plan.windows.as_ref().is_none_or(|windows| !windows.are_regular()) {
            return None;
        }
        block.summary(field).map(Self::Windows).or_else(|| block.spans(field).map(Self::Spans))
    }

    const fn len(self) -> usize {
        match self {
            Self::Spans(spans) => spans.len(),
            Self::Windows(windows) => windows.times.len(),
        }
    }

    fn times(self, index: usize) -> TimeRange {
        match self {
            Self::Spans(spans) => TimeRange::new(spans[index].first.0, spans[index].last.0),
            Self::Windows(windows) => windows.times[index],
        }
    }

    fn statistics(self, index: usize, latest_first: bool) -> Statistics<'a> {
        match self {
            Self::Spans(spans) => Statistics::of_span(&spans[index]),
            Self::Windows(windows) => Statistics::of_window(windows, index, latest_first),
        }
    }
}

/// Rows of a block that a call has still to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pending {
    /// Which call.
    pub(super) call: usize,
    /// Which rows; those of one window.
    pub(super) times: TimeRange,
    /// Position of their window.
    pub(super) window: usize,
}

/// Takes blocks by their statistics. Kept for many blocks, for its buffers.
#[derive(Debug, Default)]
pub(super) struct SpanReader {
    /// Windows that the spans of the block lie in, ascending: first nanosecond, and first nanosecond after it.
    windows: Vec<(i64, i64)>,
    /// What statistics did not tell.
    pub(super) pending: Vec<Pending>,
}

impl SpanReader {
    /// Takes what the calls can take. False, and nothing taken, if the statistics of some call are not known or do
    /// not fit the windows; else all is taken but what is left in `pending`, in the order of the query.
    pub(super) fn take(
        &mut self,
        run: &Run<'_>,
        block: &dyn ScanBlock,
        calls: &[usize],
        partial: &mut Partial,
    ) -> Result<bool, QueryError> {
        self.pending.clear();
        let range = block.time_range();
        let (start, end) = run.window(range.start);
        if range.end < end {
            let is_known = |call: &usize| {
                Self::field(run, *call).is_none_or(|field| block.stats(field).is_some() || block.lacks(field))
            };
            if calls.iter().all(is_known) {
                let window = partial.open(start);
                self.take_block(run, block, calls, window, partial)?;
                return Ok(true);
            }
        }
        if run.plan.windows.is_none() {
            return self.take_summary(run, block, calls, partial);
        }
        for &call in calls {
            let Some(field) = Self::field(run, call) else { continue };
            let Some(pieces) = Pieces::of(run, block, field) else {
                if block.lacks(field) {
                    continue;
                }
                self.windows.clear();
                return Ok(false);
            };
            if !self.find_windows(run, pieces) {
                self.windows.clear();
                return Ok(false);
            }
        }
        self.take_spans(run, block, calls, partial)?;
        self.windows.clear();
        Ok(true)
    }

    /// The times around all rows that are pending.
    pub(super) fn pending_range(&self) -> TimeRange {
        let times = self.pending.iter().map(|pending| pending.times);
        let around = times.reduce(TimeRange::hull);
        around.unwrap_or(TimeRange::new(0, -1))
    }

    /// Which field of the request a call reads.
    fn field(run: &Run<'_>, call: usize) -> Option<usize> {
        run.plan.calls[call].argument.map(|(field, _)| run.layout.index[field])
    }

    fn take_block(
        &mut self,
        run: &Run<'_>,
        block: &dyn ScanBlock,
        calls: &[usize],
        window: usize,
        partial: &mut Partial,
    ) -> Result<(), QueryError> {
        let mut points = 0;
        for &call in calls {
            let Some(field) = Self::field(run, call) else { continue };
            let (Some(kernel), Some(stats)) = (partial.kernel(call), block.stats(field)) else { continue };
            if kernel.update_statistics(window, &Statistics::of_block(stats)) {
                points = points.max(stats.count);
            } else {
                self.pending.push(Pending { call, times: block.time_range(), window });
            }
        }
        run.usage.read_points(points)
    }

    /// As [`Self::take`], where all is one window, from what a shard was asked for in the place of rows.
    fn take_summary(
        &mut self,
        run: &Run<'_>,
        block: &dyn ScanBlock,
        calls: &[usize],
        partial: &mut Partial,
    ) -> Result<bool, QueryError> {
        let is_known =
            |call: &usize| Self::field(run, *call).is_none_or(|field| block.summary(field).is_some());
        if !calls.iter().all(is_known) {
            return Ok(false);
        }
        let window = partial.open(run.window(block.time_range().start).0);
        let mut points = 0;
        for &call in calls {
            let Some(field) = Self::field(run, call) else { continue };
            let (Some(kernel), Some(all)) = (partial.kernel(call), block.summary(field)) else { continue };
            for (index, times) in all.times.iter().enumerate() {
                let statistics = Statistics::of_window(all, index, !run.plan.ascending);
                if kernel.update_statistics(window, &statistics) {
                    points = points.max(statistics.count);
                } else {
                    self.pending.push(Pending { call, times: *times, window });
                }
            }
        }
        run.usage.read_points(points)?;
        Ok(true)
    }

    /// Adds the windows of these pieces; false if one of them lies in two.
    fn find_windows(&mut self, run: &Run<'_>, pieces: Pieces<'_>) -> bool {
        let mut position = 0;
        for times in (0..pieces.len()).map(|index| pieces.times(index)) {
            while self.windows.get(position).is_some_and(|(_, end)| *end <= times.start) {
                position += 1;
            }
            if self.windows.get(position).is_none_or(|(start, _)| times.start < *start) {
                self.windows.insert(position, run.window(times.start));
            }
            if times.end >= self.windows[position].1 {
                return false;
            }
        }
        true
    }

    fn take_spans(
        &mut self,
        run: &Run<'_>,
        block: &dyn ScanBlock,
        calls: &[usize],
        partial: &mut Partial,
    ) -> Result<(), QueryError> {
        let ascending = run.plan.ascending;
        let Some(last) = self.windows.len().checked_sub(1) else { return Ok(()) };
        // Positions of consecutive windows follow each other.
        let mut first_position = None;
        for index in 0..=last {
            let index = if ascending { index } else { last - index };
            let position = partial.open(self.windows[index].0);
            first_position.get_or_insert(position);
        }
        let base = first_position.unwrap_or(0);
        let mut points = 0;
        for &call in calls {
            let Some(field) = Self::field(run, call) else { continue };
            let (Some(kernel), Some(pieces)) = (partial.kernel(call), Pieces::of(run, block, field)) else {
                continue;
            };
            let mut index = if ascending { 0 } else { last };
            let mut count = 0;
            for position in 0..pieces.len() {
                let place = if ascending { position } else { pieces.len() - 1 - position };
                let (times, statistics) = (pieces.times(place), pieces.statistics(place, !ascending));
                let time = times.start;
                while time < self.windows[index].0 || time >= self.windows[index].1 {
                    index = if ascending { index + 1 } else { index - 1 };
                }
                let window = base + if ascending { index } else { last - index };
                if kernel.update_statistics(window, &statistics) {
                    count += statistics.count;
                } else {
                    self.pending.push(Pending { call, times, window });
                }
            }
            points = points.max(count);
        }
        run.usage.read_points(points)
    }
}
