//! Statistics of one series by windows, from those of blocks where they are exact, else from rows.
//!
//! Floats are added in the order of time, beginning with zero in each window: a block's own sum serves only where it is
//! the first of its window.

use skywatch_model::{Column, FieldValue, RowBlock, TimeRange, Values};
use skywatch_query::run_length;
use skywatch_storage::{
    BlockStats, Order, ReadError, RegularWindows, ScanBlock, Scanner, SeriesRef, SpanStats, Sum, WantedStats,
    WindowStats,
};

/// What a series' statistics are, field by field.
#[derive(Debug)]
pub(crate) struct Summarised {
    pub(crate) fields: Vec<Vec<WindowStats>>,
}

/// Summarises a series over a range.
pub(crate) fn summarise(
    scanner: &dyn Scanner,
    series: SeriesRef,
    range: TimeRange,
    windows: Option<RegularWindows>,
    wanted: &[WantedStats],
) -> Result<Summarised, ReadError> {
    let mut fields: Vec<Field> =
        wanted.iter().map(|wanted| Field { wanted: *wanted, windows, done: Vec::new() }).collect();
    let mut stream = scanner.scan(series, range, Order::Ascending)?;
    while let Some(block) = stream.next_block()? {
        if take_known(block.as_ref(), &mut fields) {
            continue;
        }
        let rows = block.decode()?;
        for (field, column) in fields.iter_mut().zip(&rows.columns) {
            if let Some(column) = column {
                field.take_rows(&rows, column);
            }
        }
    }
    Ok(Summarised { fields: fields.into_iter().map(|field| field.done).collect() })
}

/// Takes a block without decoding it; false, and nothing taken, if what is known of it does not suffice.
fn take_known(block: &dyn ScanBlock, fields: &mut [Field]) -> bool {
    let mut pieces = Vec::with_capacity(fields.len());
    for (index, field) in fields.iter().enumerate() {
        let known = match (block.stats(index), block.spans(index)) {
            (Some(stats), _) if field.is_one_window(stats.first.0, stats.last.0) => {
                vec![WindowStats::from_block(stats)]
            }
            // When extremes of parts occur is not known.
            (_, Some(spans)) if !field.wanted.min && !field.wanted.max => {
                spans.iter().map(WindowStats::from_span).collect()
            }
            _ => return false,
        };
        if !field.can_take(&known) {
            return false;
        }
        pieces.push(known);
    }
    for (field, pieces) in fields.iter_mut().zip(pieces) {
        pieces.into_iter().for_each(|piece| field.take(piece));
    }
    true
}

trait FromStats<T> {
    fn from_block(stats: &BlockStats) -> T;
    fn from_span(span: &SpanStats) -> T;
}

impl FromStats<WindowStats> for WindowStats {
    fn from_block(stats: &BlockStats) -> WindowStats {
        WindowStats {
            times: TimeRange::new(stats.first.0, stats.last.0),
            field_type: stats.first.1.field_type(),
            count: stats.count,
            sum: stats.sum,
            min: stats.min.clone(),
            max: stats.max.clone(),
            first: Some(stats.first.clone()),
            last: Some(stats.last.clone()),
        }
    }

    fn from_span(span: &SpanStats) -> WindowStats {
        WindowStats {
            times: TimeRange::new(span.first.0, span.last.0),
            field_type: span.first.1.field_type(),
            count: span.count,
            sum: span.sum,
            min: None,
            max: None,
            first: Some(span.first.clone()),
            last: Some(span.last.clone()),
        }
    }
}

/// One field's windows so far, the last of which may go on.
#[derive(Debug)]
struct Field {
    wanted: WantedStats,
    windows: Option<RegularWindows>,
    done: Vec<WindowStats>,
}

impl Field {
    fn number(&self, time: i64) -> i128 {
        self.windows.map_or(0, |windows| windows.number(time))
    }

    fn is_one_window(&self, first: i64, last: i64) -> bool {
        self.number(first) == self.number(last)
    }

    fn continues(&self, time: i64) -> bool {
        self.done.last().is_some_and(|last| self.number(last.times.start) == self.number(time))
    }

    fn can_take(&self, pieces: &[WindowStats]) -> bool {
        let adds_floats = |piece: &WindowStats| self.wanted.sum && matches!(piece.sum, Sum::Float(_));
        let mut before: Option<i128> = None;
        pieces.iter().all(|piece| {
            let number = self.number(piece.times.start);
            let is_first = before != Some(number) && !self.continues(piece.times.start);
            before = Some(number);
            self.is_one_window(piece.times.start, piece.times.end) && (is_first || !adds_floats(piece))
        })
    }

    /// Takes statistics that come after those taken, of one window.
    fn take(&mut self, piece: WindowStats) {
        if !self.continues(piece.times.start) {
            self.done.push(piece);
            return;
        }
        let Some(own) = self.done.last_mut() else { return };
        own.times = TimeRange::new(own.times.start, piece.times.end);
        own.count += piece.count;
        own.sum = match (own.sum, piece.sum) {
            (Sum::Float(own), Sum::Float(more)) => Sum::Float(own + more),
            (Sum::Integer(own), Sum::Integer(more)) => Sum::Integer(own.wrapping_add(more)),
            (Sum::Unsigned(own), Sum::Unsigned(more)) => Sum::Unsigned(own.wrapping_add(more)),
            (own, _) => own,
        };
        // Of equal values the earlier one stays.
        if let (Some(own), Some(other)) = (&mut own.min, piece.min)
            && is_less(&other.1, &own.1)
        {
            *own = other;
        }
        if let (Some(own), Some(other)) = (&mut own.max, piece.max)
            && is_less(&own.1, &other.1)
        {
            *own = other;
        }
        own.last = piece.last.or_else(|| own.last.take());
    }

    /// Takes rows window by window: most of them share theirs with the row before.
    fn take_rows(&mut self, rows: &RowBlock, column: &Column) {
        let times = rows.times.as_slice();
        let mut start = 0;
        while let Some(first) = times.get(start) {
            let number = self.number(*first);
            let count = run_length(&times[start..], |time| self.number(time) == number);
            self.take_run(&times[start..start + count], start, column);
            start += count;
        }
    }

    /// Takes rows of one window, the first of which is row `offset` of the column.
    fn take_run(&mut self, times: &[i64], offset: usize, column: &Column) {
        let valid = |at: &usize| column.is_valid(offset + *at);
        let Some(first) = (0..times.len()).find(valid) else { return };
        let last = (0..times.len()).rfind(valid).unwrap_or(first);
        let wanted = self.wanted;
        let point = |at: usize| (times[at], column.values.get(offset + at));
        if !self.continues(times[first]) {
            self.done.push(WindowStats {
                times: TimeRange::new(times[first], times[first]),
                field_type: point(first).1.field_type(),
                count: 0,
                sum: match &column.values {
                    Values::Float(_) => Sum::Float(0.0),
                    Values::Integer(_) => Sum::Integer(0),
                    Values::Unsigned(_) => Sum::Unsigned(0),
                    Values::String(_) | Values::Boolean(_) => Sum::None,
                },
                min: None,
                max: None,
                first: wanted.first.then(|| point(first)),
                last: None,
            });
        }
        let Some(own) = self.done.last_mut() else { return };
        own.times = TimeRange::new(own.times.start, times[last]);
        own.count += (first..=last).filter(valid).count() as u64;
        if wanted.last {
            own.last = Some(point(last));
        }
        let rows = || (first..=last).filter(valid).map(|at| offset + at);
        match (&column.values, &mut own.sum) {
            (Values::Float(values), Sum::Float(sum)) => {
                rows().for_each(|row| *sum += values[row]);
                extend_extremes(
                    own,
                    wanted,
                    &rows().map(|row| (row, values[row])),
                    times,
                    offset,
                    FieldValue::Float,
                );
            }
            (Values::Integer(values), Sum::Integer(sum)) => {
                rows().for_each(|row| *sum = sum.wrapping_add(values[row]));
                extend_extremes(
                    own,
                    wanted,
                    &rows().map(|row| (row, values[row])),
                    times,
                    offset,
                    FieldValue::Integer,
                );
            }
            (Values::Unsigned(values), Sum::Unsigned(sum)) => {
                rows().for_each(|row| *sum = sum.wrapping_add(values[row]));
                extend_extremes(
                    own,
                    wanted,
                    &rows().map(|row| (row, values[row])),
                    times,
                    offset,
                    FieldValue::Unsigned,
                );
            }
            _ => {}
        }
    }
}

/// The smallest and the greatest value, where they are wanted; of equal ones the earlier stays.
fn extend_extremes<T: PartialOrd + Copy>(
    own: &mut WindowStats,
    wanted: WantedStats,
    rows: &(impl Iterator<Item = (usize, T)> + Clone),
    times: &[i64],
    offset: usize,
    value: impl Fn(T) -> FieldValue,
) {
    let extreme = |beats: fn(&T, &T) -> bool| {
        let better = |best: (usize, T), next: (usize, T)| if beats(&next.1, &best.1) { next } else { best };
        rows.clone().reduce(better).map(|(row, found)| (times[row - offset], value(found)))
    };
    if wanted.min
        && let Some(found) = extreme(T::lt)
        && own.min.as_ref().is_none_or(|known| is_less(&found.1, &known.1))
    {
        own.min = Some(found);
    }
    if wanted.max
        && let Some(found) = extreme(T::gt)
        && own.max.as_ref().is_none_or(|known| is_less(&known.1, &found.1))
    {
        own.max = Some(found);
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
