//! Statistics of one series by windows, from those of blocks where they are exact, else from rows.
//!
//! Floats are added in the order of the scan, beginning with zero in each window: a block's own sum serves only where it is
//! the first of its window, and the scan ascends.

use std::ops::Range;

use skywatch_model::{Column, FieldValue, RowBlock, TimeRange, Values};
use skywatch_query::{RowFilter, run_length};
use skywatch_storage::{
    BlockStats, Order, ReadError, RegularWindows, ScanBlock, Scanner, SeriesRef, SpanStats, Sum, WantedStats,
};

use crate::{server::Work, windows::Window};

/// Summarises series after series.
#[derive(Debug)]
pub(crate) struct Summariser {
    windows: Option<RegularWindows>,
    order: Order,
    fields: Vec<Field>,
    /// Rows of a block by window; kept for its memory.
    runs: Vec<(Range<usize>, TimeRange)>,
}

impl Summariser {
    /// Of these windows, with what is wanted of each field.
    pub(crate) fn new(
        windows: Option<RegularWindows>,
        order: Order,
        wanted: impl Iterator<Item = WantedStats>,
    ) -> Self {
        let descends = order == Order::Descending;
        let field = |wanted| Field { wanted, descends, window: TimeRange::ALL, done: Vec::new() };
        Self { windows, order, fields: wanted.map(field).collect(), runs: Vec::new() }
    }

    /// Summarises a series over a range, or what a condition leaves of it; of each field, what was wanted and the statistics
    /// by ascending windows. `work` counts what is decoded for that.
    pub(crate) fn series(
        &mut self,
        scanner: &dyn Scanner,
        series: SeriesRef,
        range: TimeRange,
        filter: Option<&RowFilter>,
        work: &mut Work,
    ) -> Result<impl Iterator<Item = (WantedStats, &[Window])>, ReadError> {
        self.fields.iter_mut().for_each(|field| field.done.clear());
        let mut stream = scanner.scan(series, range, self.order)?;
        while let Some(block) = stream.next_block()? {
            let block = block.as_ref();
            if filter.is_some() {
                self.take_rows(&work.rows(block, filter)?);
                continue;
            }
            let is_known = |(index, field): (usize, &Field)| field.can_take(self.windows, block, index);
            if self.fields.iter().enumerate().all(is_known) {
                for (index, field) in self.fields.iter_mut().enumerate() {
                    field.take_known(self.windows, block, index);
                }
            } else {
                self.take_rows(&work.rows(block, None)?);
            }
        }
        if self.order == Order::Descending {
            self.fields.iter_mut().for_each(|field| field.done.reverse());
        }
        Ok(self.fields.iter().map(|field| (field.wanted, field.done.as_slice())))
    }

    /// Takes rows window by window: most of them share theirs with the row before.
    fn take_rows(&mut self, rows: &RowBlock) {
        let times = rows.times.as_slice();
        self.runs.clear();
        let mut start = 0;
        while let Some(first) = times.get(start) {
            let window = around(self.windows, *first);
            let end = start + run_length(&times[start..], |time| time <= window.end);
            self.runs.push((start..end, window));
            start = end;
        }
        if self.order == Order::Descending {
            self.runs.reverse();
        }
        for (field, column) in self.fields.iter_mut().zip(&rows.columns) {
            let Some(column) = column else { continue };
            self.runs.iter().for_each(|(run, window)| field.take_run(times, run.clone(), *window, column));
        }
    }
}

/// Times of the window that a time lies in, as far as there are such times.
fn around(windows: Option<RegularWindows>, time: i64) -> TimeRange {
    let Some(RegularWindows { every, offset }) = windows else { return TimeRange::ALL };
    let into = match time.checked_sub(offset) {
        Some(since) => since.rem_euclid(every),
        // Below the length, which an i64 holds.
        None => (i128::from(time) - i128::from(offset)).rem_euclid(i128::from(every)) as i64,
    };
    TimeRange::new(time.saturating_sub(into), time.saturating_add(every - 1 - into))
}

/// One field's windows so far, the last of which may go on.
#[derive(Debug)]
struct Field {
    wanted: WantedStats,
    /// Whether the latest comes first.
    descends: bool,
    /// Times of the window that was begun last.
    window: TimeRange,
    done: Vec<Window>,
}

/// What a block tells of a field without being decoded.
enum Known<'a> {
    Block(&'a BlockStats),
    Spans(&'a [SpanStats]),
}

impl Field {
    fn known<'a>(
        &self,
        windows: Option<RegularWindows>,
        block: &'a dyn ScanBlock,
        index: usize,
    ) -> Option<Known<'a>> {
        match (block.stats(index), block.spans(index)) {
            (Some(stats), _) if around(windows, stats.first.0).contains(stats.last.0) => {
                Some(Known::Block(stats))
            }
            // When extremes of parts occur is not known.
            (_, Some(spans)) if !self.wanted.min && !self.wanted.max => Some(Known::Spans(spans)),
            _ => None,
        }
    }

    fn continues(&self, time: i64) -> bool {
        !self.done.is_empty() && self.window.contains(time)
    }

    /// Whether what is known of a block suffices: no piece of it lies in two windows, and no float would be added in
    /// another order.
    fn can_take(&self, windows: Option<RegularWindows>, block: &dyn ScanBlock, index: usize) -> bool {
        let adds_floats = |sum: Sum| self.wanted.sum && matches!(sum, Sum::Float(_));
        match self.known(windows, block, index) {
            None => false,
            // Whoever made these has added floats as they ascend.
            Some(Known::Block(stats)) if self.descends => !adds_floats(stats.sum),
            Some(Known::Spans(spans)) if self.descends => spans
                .iter()
                .all(|span| around(windows, span.first.0).contains(span.last.0) && !adds_floats(span.sum)),
            Some(Known::Block(stats)) => !adds_floats(stats.sum) || !self.continues(stats.first.0),
            Some(Known::Spans(spans)) => {
                let mut window = (!self.done.is_empty()).then_some(self.window);
                spans.iter().all(|span| {
                    let begins = window.is_none_or(|window| !window.contains(span.first.0));
                    let now = match window {
                        Some(window) if !begins => window,
                        _ => around(windows, span.first.0),
                    };
                    window = Some(now);
                    now.contains(span.last.0) && (begins || !adds_floats(span.sum))
                })
            }
        }
    }

    /// Takes what [`Self::can_take`] has found to suffice.
    fn take_known(&mut self, windows: Option<RegularWindows>, block: &dyn ScanBlock, index: usize) {
        let wanted = self.wanted;
        match self.known(windows, block, index) {
            None => {}
            Some(Known::Block(stats)) => self.take(
                windows,
                Window {
                    times: TimeRange::new(stats.first.0, stats.last.0),
                    field_type: stats.first.1.field_type(),
                    count: stats.count,
                    sum: stats.sum,
                    min: stats.min.clone().filter(|_| wanted.min),
                    max: stats.max.clone().filter(|_| wanted.max),
                    first: wanted.first.then(|| stats.first.clone()),
                    last: wanted.last.then(|| stats.last.clone()),
                },
            ),
            Some(Known::Spans(spans)) => {
                for place in 0..spans.len() {
                    let span = &spans[if self.descends { spans.len() - 1 - place } else { place }];
                    let piece = Window {
                        times: TimeRange::new(span.first.0, span.last.0),
                        field_type: span.first.1.field_type(),
                        count: span.count,
                        sum: span.sum,
                        min: None,
                        max: None,
                        first: wanted.first.then(|| span.first.clone()),
                        last: wanted.last.then(|| span.last.clone()),
                    };
                    self.take(windows, piece);
                }
            }
        }
    }

    /// Takes statistics that come after those taken in the order of the scan, of one window.
    fn take(&mut self, windows: Option<RegularWindows>, piece: Window) {
        if !self.continues(piece.times.start) {
            self.window = around(windows, piece.times.start);
            self.done.push(piece);
            return;
        }
        let descends = self.descends;
        let Some(own) = self.done.last_mut() else { return };
        own.times = joined(own.times, piece.times);
        own.count += piece.count;
        own.sum = match (own.sum, piece.sum) {
            (Sum::Float(own), Sum::Float(more)) => Sum::Float(own + more),
            (Sum::Integer(own), Sum::Integer(more)) => Sum::Integer(own.wrapping_add(more)),
            (Sum::Unsigned(own), Sum::Unsigned(more)) => Sum::Unsigned(own.wrapping_add(more)),
            (own, _) => own,
        };
        take_extreme(&mut own.min, piece.min, descends, is_less);
        take_extreme(&mut own.max, piece.max, descends, |a, b| is_less(b, a));
        if descends {
            own.first = piece.first.or_else(|| own.first.take());
        } else {
            own.last = piece.last.or_else(|| own.last.take());
        }
    }

    /// Takes those rows of a block that lie in one window.
    fn take_run(&mut self, times: &[i64], run: Range<usize>, window: TimeRange, column: &Column) {
        let is_valid = |row: &usize| column.is_valid(*row);
        let (first, last, count) = match column.valid {
            None => (run.start, run.end - 1, run.len()),
            Some(_) => {
                let Some(first) = run.clone().find(is_valid) else { return };
                let last = { run }.rfind(is_valid).unwrap_or(first);
                (first, last, (first..=last).filter(is_valid).count())
            }
        };
        let wanted = self.wanted;
        let point = |row: usize| (times[row], column.values.get(row));
        if !self.continues(times[first]) {
            self.window = window;
            self.done.push(Window {
                times: TimeRange::new(times[first], times[first]),
                field_type: column.values.field_type(),
                count: 0,
                sum: match &column.values {
                    Values::Float(_) => Sum::Float(0.0),
                    Values::Integer(_) => Sum::Integer(0),
                    Values::Unsigned(_) => Sum::Unsigned(0),
                    Values::String(_) | Values::Boolean(_) => Sum::None,
                },
                min: None,
                max: None,
                first: None,
                last: None,
            });
        }
        let descends = self.descends;
        let Some(own) = self.done.last_mut() else { return };
        own.times = joined(own.times, TimeRange::new(times[first], times[last]));
        own.count += count as u64;
        if wanted.first && (descends || own.first.is_none()) {
            own.first = Some(point(first));
        }
        if wanted.last && (!descends || own.last.is_none()) {
            own.last = Some(point(last));
        }
        let is_dense = count == last + 1 - first;
        let rows = Rows { times, column, range: first..last + 1, is_dense, descends };
        match (&column.values, &mut own.sum) {
            (Values::Float(values), Sum::Float(sum)) => {
                if wanted.sum {
                    rows.fold(values, sum, |sum, value| *sum += value);
                }
                rows.extend_extremes(own, wanted, values, FieldValue::Float);
            }
            (Values::Integer(values), Sum::Integer(sum)) => {
                if wanted.sum {
                    rows.fold(values, sum, |sum, value| *sum = sum.wrapping_add(value));
                }
                rows.extend_extremes(own, wanted, values, FieldValue::Integer);
            }
            (Values::Unsigned(values), Sum::Unsigned(sum)) => {
                if wanted.sum {
                    rows.fold(values, sum, |sum, value| *sum = sum.wrapping_add(value));
                }
                rows.extend_extremes(own, wanted, values, FieldValue::Unsigned);
            }
            _ => {}
        }
    }
}

/// A range around both.
fn joined(a: TimeRange, b: TimeRange) -> TimeRange {
    TimeRange::new(a.start.min(b.start), a.end.max(b.end))
}

/// Takes an extreme of what comes after in the order of the scan: of equal values the earlier one stays.
fn take_extreme(
    own: &mut Option<(i64, FieldValue)>,
    other: Option<(i64, FieldValue)>,
    descends: bool,
    beats: impl Fn(&FieldValue, &FieldValue) -> bool,
) {
    let Some(other) = other else { return };
    let is_taken = own
        .as_ref()
        .is_none_or(|own| if descends { !beats(&own.1, &other.1) } else { beats(&other.1, &own.1) });
    if is_taken {
        *own = Some(other);
    }
}

/// Rows of one window.
struct Rows<'a> {
    times: &'a [i64],
    column: &'a Column,
    range: Range<usize>,
    /// Whether all of them have a value.
    is_dense: bool,
    /// Whether the latest comes first.
    descends: bool,
}

impl Rows<'_> {
    fn fold<T: Copy, S>(&self, values: &[T], state: &mut S, take: impl Fn(&mut S, T)) {
        let valid = self.range.clone().filter(|row| self.column.is_valid(*row));
        match (self.is_dense, self.descends) {
            (true, false) => values[self.range.clone()].iter().for_each(|value| take(state, *value)),
            (true, true) => values[self.range.clone()].iter().rev().for_each(|value| take(state, *value)),
            (false, false) => valid.for_each(|row| take(state, values[row])),
            (false, true) => valid.rev().for_each(|row| take(state, values[row])),
        }
    }

    /// The smallest and the greatest value, where they are wanted; of equal ones the earlier stays.
    fn extend_extremes<T: PartialOrd + Copy>(
        &self,
        own: &mut Window,
        wanted: WantedStats,
        values: &[T],
        value: impl Fn(T) -> FieldValue,
    ) {
        let extreme = |beats: fn(&T, &T) -> bool| {
            let better =
                |best: (usize, T), next: (usize, T)| if beats(&next.1, &best.1) { next } else { best };
            let valid = self.range.clone().filter(|row| self.is_dense || self.column.is_valid(*row));
            let found = valid.map(|row| (row, values[row])).reduce(better);
            found.map(|(row, found)| (self.times[row], value(found)))
        };
        if wanted.min {
            take_extreme(&mut own.min, extreme(T::lt), self.descends, is_less);
        }
        if wanted.max {
            take_extreme(&mut own.max, extreme(T::gt), self.descends, |a, b| is_less(b, a));
        }
    }
}

fn is_less(a: &FieldValue, b: &FieldValue) -> bool {
    match (a, b) {
        (FieldValue::Float(a), FieldValue::Float(b)) => a < b,
        (FieldValue::Integer(a), FieldValue::Integer(b)) => a < b,
        (FieldValue::Unsigned(a), FieldValue::Unsigned(b)) => a < b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_those_that_are_numbered() {
        for (every, offset) in [(10, 3), (7, -100), (3600, i64::MAX - 5), (1, 0), (i64::MAX, 12)] {
            let windows = RegularWindows { every, offset };
            for time in [i64::MIN, -101, -4, -1, 0, 1, 2, 3, 12, 13, 99, i64::MAX] {
                let window = around(Some(windows), time);
                let number = |time| windows.number(time);
                assert!(window.contains(time));
                assert_eq!(number(window.start), number(time), "{windows:?} {time}");
                assert_eq!(number(window.end), number(time), "{windows:?} {time}");
                let before = window.start.checked_sub(1).map(number);
                let after = window.end.checked_add(1).map(number);
                assert!(before.is_none_or(|before| before < number(time)), "{windows:?} {time}");
                assert!(after.is_none_or(|after| after > number(time)), "{windows:?} {time}");
            }
        }
        assert_eq!(around(None, 5), TimeRange::ALL);
    }
}
