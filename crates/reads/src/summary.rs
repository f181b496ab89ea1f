//! Statistics of one series by windows, from those of blocks where they are exact, else from rows.
//!
//! Floats are added in the order of time, beginning with zero in each window: a block's own sum serves only where it is
//! the first of its window.

use skywatch_model::{Column, FieldValue, RowBlock, TimeRange, Values};
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

    fn take_rows(&mut self, rows: &RowBlock, column: &Column) {
        for (row, time) in rows.times.iter().enumerate() {
            if !column.is_valid(row) {
                continue;
            }
            let value = column.values.get(row);
            let point = Some((*time, value.clone()));
            let sum = match &column.values {
                Values::Float(values) => Sum::Float(0.0 + values[row]),
                Values::Integer(values) => Sum::Integer(values[row]),
                Values::Unsigned(values) => Sum::Unsigned(values[row]),
                Values::String(_) | Values::Boolean(_) => Sum::None,
            };
            let has_order = !matches!(sum, Sum::None);
            self.take(WindowStats {
                times: TimeRange::new(*time, *time),
                field_type: value.field_type(),
                count: 1,
                sum,
                min: point.clone().filter(|_| has_order && self.wanted.min),
                max: point.clone().filter(|_| has_order && self.wanted.max),
                first: point.clone().filter(|_| self.wanted.first),
                last: point.filter(|_| self.wanted.last),
            });
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
