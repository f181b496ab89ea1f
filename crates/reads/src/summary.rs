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

use crate::{
    server::Work,
    windows::{Points, Window},
};

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
        let field =
            |wanted| Field { wanted, descends, window: TimeRange::ALL, done: Vec::new(), fits: Vec::new() };
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
            let rows = match self.look_at(block) {
                None => RowBlock::default(),
                Some(missing) if missing.covers(block.time_range()) => {
                    self.take_rows(&work.rows(block, None)?);
                    continue;
                }
                Some(missing) => work.rows_within(block, missing)?,
            };
            for (index, field) in self.fields.iter_mut().enumerate() {
                field.take_pieces(self.windows, block, index, &rows);
            }
        }
        if self.order == Order::Descending {
            self.fields.iter_mut().for_each(|field| field.done.reverse());
        }
        Ok(self.fields.iter().map(|field| (field.wanted, field.done.as_slice())))
    }

    /// The times of the rows without which some field is not known; `None` if statistics suffice for all of them.
    fn look_at(&mut self, block: &dyn ScanBlock) -> Option<TimeRange> {
        let windows = self.windows;
        let missing = |(index, field): (usize, &mut Field)| field.look_at(windows, block, index);
        self.fields.iter_mut().enumerate().filter_map(missing).reduce(TimeRange::hull)
    }

    /// Takes all rows of a block.
    fn take_rows(&mut self, rows: &RowBlock) {
        self.runs.clear();
        split(self.windows, &rows.times, 0..rows.times.len(), &mut self.runs);
        if self.order == Order::Descending {
            self.runs.reverse();
        }
        for (field, column) in self.fields.iter_mut().zip(&rows.columns) {
            let Some(column) = column else { continue };
            self.runs
                .iter()
                .for_each(|(run, window)| field.take_run(&rows.times, run.clone(), *window, column));
        }
    }
}

/// Appends these rows window by window: most of them share theirs with the row before.
fn split(
    windows: Option<RegularWindows>,
    times: &[i64],
    rows: Range<usize>,
    runs: &mut Vec<(Range<usize>, TimeRange)>,
) {
    let mut start = rows.start;
    while start < rows.end {
        let window = around(windows, times[start]);
        let end = start + run_length(&times[start..rows.end], |time| time <= window.end);
        runs.push((start..end, window));
        start = end;
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
    /// The window of each piece of the block that was looked at last, in the order of the scan; `None` of one whose rows are
    /// needed.
    fits: Vec<Option<TimeRange>>,
}

/// Whether single values of a window are wanted.
const fn has_points(wanted: WantedStats) -> bool {
    wanted.min || wanted.max || wanted.first || wanted.last
}

/// What a block tells of a field without being decoded, piece by piece.
enum Known<'a> {
    Block(&'a BlockStats),
    Spans(&'a [SpanStats]),
}

impl Known<'_> {
    const fn len(&self) -> usize {
        match self {
            Self::Block(_) => 1,
            Self::Spans(spans) => spans.len(),
        }
    }

    /// Around the values of a piece, and their sum.
    fn outline(&self, place: usize) -> (TimeRange, Sum) {
        match self {
            Self::Block(stats) => (TimeRange::new(stats.first.0, stats.last.0), stats.sum),
            Self::Spans(spans) => {
                (TimeRange::new(spans[place].first.0, spans[place].last.0), spans[place].sum)
            }
        }
    }

    /// Whether what is wanted of a piece depends on a time that is not known: between the two zeros it decides.
    fn lacks_time(&self, place: usize, wanted: WantedStats) -> bool {
        let is_zero = |value: &Option<FieldValue>| *value == Some(FieldValue::Float(0.0));
        match self {
            Self::Block(_) => false,
            Self::Spans(spans) => {
                wanted.min && is_zero(&spans[place].min) || wanted.max && is_zero(&spans[place].max)
            }
        }
    }

    /// A piece that lies in one window.
    fn window(&self, place: usize, wanted: WantedStats) -> Window {
        let (times, sum) = self.outline(place);
        let (count, first, last) = match self {
            Self::Block(stats) => (stats.count, &stats.first, &stats.last),
            Self::Spans(spans) => (spans[place].count, &spans[place].first, &spans[place].last),
        };
        let some_time = |value: &Option<FieldValue>| value.clone().map(|value| (times.start, value));
        let points = || {
            let (min, max) = match self {
                Self::Block(stats) => (stats.min.clone(), stats.max.clone()),
                Self::Spans(spans) => (some_time(&spans[place].min), some_time(&spans[place].max)),
            };
            Box::new(Points {
                min: min.filter(|_| wanted.min),
                max: max.filter(|_| wanted.max),
                first: wanted.first.then(|| first.clone()),
                last: wanted.last.then(|| last.clone()),
            })
        };
        let field_type = first.1.field_type();
        Window { times, field_type, count, sum, points: has_points(wanted).then(points) }
    }
}

impl Field {
    fn known<'a>(
        &self,
        windows: Option<RegularWindows>,
        block: &'a dyn ScanBlock,
        index: usize,
    ) -> Option<Known<'a>> {
        let stats = block.stats(index);
        if let Some(stats) = stats.filter(|it| around(windows, it.first.0).contains(it.last.0)) {
            return Some(Known::Block(stats));
        }
        // When extremes of parts occur is not known.
        let parts_suffice = self.wanted.untimed || !self.wanted.min && !self.wanted.max;
        block.spans(index).filter(|_| parts_suffice).map(Known::Spans)
    }

    fn continues(&self, time: i64) -> bool {
        !self.done.is_empty() && self.window.contains(time)
    }

    /// Positions of so many pieces in the order of the scan.
    fn places(&self, pieces: usize) -> impl Iterator<Item = usize> + use<> {
        let descends = self.descends;
        (0..pieces).map(move |place| if descends { pieces - 1 - place } else { place })
    }

    /// The window of a piece, if it can be taken after values that end in window `before`: it does not lie in two, and no
    /// float is added in another order.
    fn fit(
        &self,
        windows: Option<RegularWindows>,
        before: Option<TimeRange>,
        (known, place): (&Known<'_>, usize),
    ) -> Option<TimeRange> {
        let (times, sum) = known.outline(place);
        let going_on = before.filter(|window| window.contains(times.start));
        let adds_floats = self.wanted.sum && matches!(sum, Sum::Float(_));
        // Whoever made the statistics has added floats as they ascend, beginning with zero.
        let is_in_order = !adds_floats || (!self.descends && going_on.is_none());
        let window = going_on.unwrap_or_else(|| around(windows, times.start));
        let is_known = window.contains(times.end) && !known.lacks_time(place, self.wanted);
        (is_in_order && is_known).then_some(window)
    }

    /// The window that was begun last.
    fn begun(&self) -> Option<TimeRange> {
        (!self.done.is_empty()).then_some(self.window)
    }

    /// Finds the windows of a block's pieces; the times of the rows in whose place its statistics do not suffice, `None` if they
    /// do for all.
    fn look_at(
        &mut self,
        windows: Option<RegularWindows>,
        block: &dyn ScanBlock,
        index: usize,
    ) -> Option<TimeRange> {
        self.fits.clear();
        let Some(known) = self.known(windows, block, index) else {
            return (!block.lacks(index)).then(|| block.time_range());
        };
        let (mut before, mut missing) = (self.begun(), None);
        for place in self.places(known.len()) {
            let (times, _) = known.outline(place);
            let fit = self.fit(windows, before, (&known, place));
            if fit.is_none() {
                missing = Some(missing.map_or(times, |missing: TimeRange| missing.hull(times)));
            }
            self.fits.push(fit);
            let last = if self.descends { times.start } else { times.end };
            before = fit.or_else(|| Some(around(windows, last)));
        }
        missing
    }

    /// Takes the block that was looked at, by its statistics, and by those of its rows that [`Self::look_at`] has named.
    fn take_pieces(
        &mut self,
        windows: Option<RegularWindows>,
        block: &dyn ScanBlock,
        index: usize,
        rows: &RowBlock,
    ) {
        let Some(known) = self.known(windows, block, index) else { return };
        for (number, place) in self.places(known.len()).enumerate() {
            if let Some(window) = self.fits[number] {
                self.take(window, known.window(place, self.wanted));
            } else if let Some(Some(column)) = rows.columns.get(index) {
                let (times, _) = known.outline(place);
                let start = rows.times.partition_point(|time| *time < times.start);
                let end = rows.times.partition_point(|time| *time <= times.end);
                let mut runs = Vec::new();
                split(windows, &rows.times, start..end, &mut runs);
                if self.descends {
                    runs.reverse();
                }
                runs.into_iter().for_each(|(run, window)| self.take_run(&rows.times, run, window, column));
            }
        }
    }

    /// Takes statistics that come after those taken in the order of the scan, of one window.
    fn take(&mut self, window: TimeRange, piece: Window) {
        if !self.continues(piece.times.start) {
            self.window = window;
            self.done.push(piece);
            return;
        }
        let descends = self.descends;
        let Some(own) = self.done.last_mut() else { return };
        own.times = own.times.hull(piece.times);
        own.count += piece.count;
        own.sum = match (own.sum, piece.sum) {
            (Sum::Float(own), Sum::Float(more)) => Sum::Float(own + more),
            (Sum::Integer(own), Sum::Integer(more)) => Sum::Integer(own.wrapping_add(more)),
            (Sum::Unsigned(own), Sum::Unsigned(more)) => Sum::Unsigned(own.wrapping_add(more)),
            (own, _) => own,
        };
        let (Some(own), Some(piece)) = (&mut own.points, piece.points) else { return };
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
                points: has_points(wanted).then(Box::default),
            });
        }
        let descends = self.descends;
        let Some(own) = self.done.last_mut() else { return };
        own.times = own.times.hull(TimeRange::new(times[first], times[last]));
        own.count += count as u64;
        if let Some(own) = &mut own.points {
            if wanted.first && (descends || own.first.is_none()) {
                own.first = Some(point(first));
            }
            if wanted.last && (!descends || own.last.is_none()) {
                own.last = Some(point(last));
            }
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
        let Some(own) = &mut own.points else { return };
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
    use std::{path::Path, sync::Arc};

    use skywatch_model::{FieldRef, Version, line::PointBatch};
    use skywatch_storage::{ScanRequest, ShardId, ShardRead, Store, StoreOptions, TagPredicate, fs::SimFs};

    use super::*;

    const MINUTE: i64 = 60_000_000_000;
    const HOUR: i64 = 60 * MINUTE;

    /// A float and an integer every ten seconds of some minutes, each number of them in a file of its own.
    fn files(minutes: &[Range<i64>]) -> Arc<dyn ShardRead> {
        let options = StoreOptions { background: false, ..StoreOptions::default() };
        let store = Store::open_on(Arc::new(SimFs::default()), Path::new("data"), options).unwrap();
        let shard = store.create_shard(ShardId(1), TimeRange::ALL).unwrap();
        for (number, minutes) in minutes.iter().enumerate() {
            let mut batch = PointBatch::new();
            for row in minutes.start * 6..minutes.end * 6 {
                let float = FieldRef::Float((row % 17) as f64 / 3.0 - 2.0);
                let integer = FieldRef::Integer(row % 13 - 6);
                batch.push("m,h=a", row * MINUTE / 6, [("f", float), ("i", integer)]).unwrap();
            }
            let all: Vec<u32> = (0..batch.len() as u32).collect();
            assert_eq!(shard.write(&batch, &all, Version(number as u64 + 1)).unwrap().rejected, []);
            shard.flush().unwrap();
        }
        shard.snapshot()
    }

    /// What is wanted of both fields by the hour, and how many values were decoded for that.
    fn summarised(read: &dyn ShardRead, order: Order, wanted: WantedStats) -> (Vec<Vec<Window>>, u64) {
        let fields: [Arc<str>; 2] = ["f".into(), "i".into()];
        let scanner = read.scanner(&ScanRequest::new("m", &fields)).unwrap();
        let series = read.select_series("m", &TagPredicate::All).unwrap()[0];
        let windows = Some(RegularWindows { every: HOUR, offset: 0 });
        let mut summariser = Summariser::new(windows, order, [wanted; 2].into_iter());
        let mut work = Work::of(fields.len());
        let done = summariser.series(&*scanner, series, TimeRange::ALL, None, &mut work).unwrap();
        let done = done.map(|(_, windows)| windows.to_vec()).collect();
        (done, work.done())
    }

    #[test]
    fn where_files_meet_within_a_window_only_its_rows_are_decoded() {
        let whole = files(std::slice::from_ref(&(0..600)));
        let parts = files(&[0..90, 90..600]);
        let sum = WantedStats { sum: true, ..WantedStats::default() };
        let (answer, decoded) = summarised(&*parts, Order::Ascending, sum);
        let (of_one_file, by_rows) = summarised(&*whole, Order::Ascending, sum);
        assert_eq!((answer, by_rows), (of_one_file, 0));
        let half_an_hour = 30 * 6 * 2;
        assert!((half_an_hour..half_an_hour + 10).contains(&decoded), "{decoded} decoded");
    }

    #[test]
    fn extremes_without_their_times_are_those_of_the_rows() {
        let wanted = WantedStats { min: true, max: true, ..WantedStats::default() };
        let untimed = WantedStats { untimed: true, ..wanted };
        for order in [Order::Ascending, Order::Descending] {
            let parts = files(&[0..90, 90..600]);
            let (timed, by_rows) = summarised(&*parts, order, wanted);
            let (answer, decoded) = summarised(&*parts, order, untimed);
            let values = |all: &[Vec<Window>]| -> Vec<_> {
                let value = |point: &Option<(i64, FieldValue)>| point.as_ref().map(|point| point.1.clone());
                let points = |it: &Window| it.points.as_deref().map(|it| (value(&it.min), value(&it.max)));
                all.iter().flatten().map(|it| (points(it), it.count)).collect()
            };
            assert_eq!(values(&answer), values(&timed));
            assert!(decoded == 0 && by_rows > 0, "{decoded} and {by_rows} decoded");
        }
    }

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
