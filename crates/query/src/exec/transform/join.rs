//! Slots joined by time. Of several points of one slot at one time each has a row of its own, beside those that other
//! slots have there: the first beside the first.

use skywatch_model::FieldValue;

use super::{
    super::{
        Emit, Run,
        frame::{self, apply_default},
        groups::Group,
        raw::Appender,
    },
    feed::{Feed, Output},
};
use crate::{
    QueryError,
    expr::{Frame, Vector},
};

/// Rows of one group being joined.
pub(super) struct Join<'a> {
    run: &'a Run<'a>,
    group: &'a Group,
    feeds: Vec<Feed<'a>>,
    /// Rows collected so far.
    times: Vec<i64>,
    /// One per slot; `None` where nothing will ever be.
    columns: Vec<Option<Appender>>,
    /// Last values of the rows before, for `fill(previous)`.
    carry: Vec<Option<FieldValue>>,
}

/// Rows that are alike: the same slots have points at them.
struct Stretch {
    rows: usize,
    /// Where the outputs are that have points: feed and output.
    outputs: Vec<(usize, usize)>,
}

impl<'a> Join<'a> {
    pub(super) fn new(run: &'a Run<'a>, group: &'a Group, feeds: Vec<Feed<'a>>) -> Self {
        let mut columns: Vec<Option<Appender>> = run.plan.branch_types.iter().map(|_| None).collect();
        for output in feeds.iter().flat_map(|feed| &feed.outputs) {
            columns[output.slot] = output.field_type.map(Appender::new);
        }
        Self { run, group, feeds, times: Vec::new(), columns, carry: Vec::new() }
    }

    pub(super) fn run(mut self, emit: &mut Emit<'_>) -> Result<(), QueryError> {
        while let Some(time) = self.next_time()? {
            if self.times.len() >= self.run.piece_rows {
                // Only now is it known that more follows.
                self.flush(true, emit)?;
            }
            let stretch = self.stretch(time);
            self.take(&stretch);
        }
        if self.times.is_empty() { Ok(()) } else { self.flush(false, emit) }
    }

    /// The time of the next row, once nothing can come before it or at it that is not there.
    fn next_time(&mut self) -> Result<Option<i64>, QueryError> {
        loop {
            let heads = self.outputs().filter_map(|(_, output)| output.waiting().first().copied());
            let next = heads.reduce(|a, b| if self.precedes(b, a) { b } else { a });
            let is_awaited = |feed: &Feed<'_>| {
                let is_behind = match (next, feed.reached()) {
                    (Some(next), Some(reached)) => !self.precedes(next, reached),
                    _ => true,
                };
                !feed.has_ended()
                    && is_behind
                    && feed.outputs.iter().any(|output| output.waiting().is_empty())
            };
            match self.feeds.iter().position(is_awaited) {
                Some(feed) => self.feeds[feed].advance()?,
                None => return Ok(next),
            }
        }
    }

    /// The rows from `time` on that are alike, as many as the piece has room for.
    fn stretch(&self, time: i64) -> Stretch {
        let mut outputs = Vec::new();
        // The row at which some other slot may have a point.
        let mut bound: Option<i64> = None;
        for ((feed, index), output) in self.outputs() {
            match output.waiting().first() {
                Some(head) if *head == time => outputs.push((feed, index)),
                Some(head) => bound = self.nearer(bound, Some(*head)),
                None if self.feeds[feed].has_ended() => {}
                None => bound = self.nearer(bound, self.feeds[feed].reached()),
            }
        }
        let waiting = |(feed, index): &(usize, usize)| self.feeds[*feed].outputs[*index].waiting();
        let Some((first, rest)) = outputs.split_first() else { return Stretch { rows: 0, outputs } };
        let times = waiting(first);
        let room = (self.run.piece_rows - self.times.len()).max(1);
        let alike = |(row, time): (usize, &i64)| {
            bound.is_none_or(|bound| self.precedes(*time, bound))
                && rest.iter().all(|output| waiting(output).get(row) == Some(time))
        };
        let more = times.iter().enumerate().skip(1).take(room - 1).take_while(|row| alike(*row)).count();
        Stretch { rows: 1 + more, outputs }
    }

    fn take(&mut self, stretch: &Stretch) {
        let rows = stretch.rows;
        let mut has_points = vec![false; self.columns.len()];
        for (position, (feed, index)) in stretch.outputs.iter().enumerate() {
            let output = &mut self.feeds[*feed].outputs[*index];
            let range = output.next..output.next + rows;
            if position == 0 {
                self.times.extend_from_slice(&output.ready.times[range.clone()]);
            }
            if let Some(column) = &mut self.columns[output.slot] {
                column.rows(Some(&output.ready.column), range);
            }
            has_points[output.slot] = true;
            output.next += rows;
        }
        for (column, has_points) in self.columns.iter_mut().zip(has_points) {
            if let Some(column) = column.as_mut().filter(|_| !has_points) {
                column.rows(None, 0..rows);
            }
        }
    }

    fn flush(&mut self, partial: bool, emit: &mut Emit<'_>) -> Result<(), QueryError> {
        self.run.usage.cancel.check()?;
        let times = std::mem::take(&mut self.times);
        let slot =
            |column: &mut Option<Appender>| column.as_mut().map_or(Vector::Null, Appender::take_vector);
        let mut frame = Frame { len: times.len(), slots: self.columns.iter_mut().map(slot).collect() };
        apply_default(&mut frame, self.run.plan, &mut self.carry);
        let mut series = self.run.series(self.group);
        series.values = frame::columns(self.run.plan, times, frame);
        series.partial = partial;
        emit(series)
    }

    /// Outputs with their places.
    fn outputs(&self) -> impl Iterator<Item = ((usize, usize), &Output<'a>)> {
        self.feeds.iter().enumerate().flat_map(|(feed, item)| {
            item.outputs.iter().enumerate().map(move |(index, output)| ((feed, index), output))
        })
    }

    fn nearer(&self, a: Option<i64>, b: Option<i64>) -> Option<i64> {
        match (a, b) {
            (Some(a), Some(b)) => Some(if self.precedes(b, a) { b } else { a }),
            (a, b) => a.or(b),
        }
    }

    /// Whether one time comes before another in the order of the query.
    const fn precedes(&self, a: i64, b: i64) -> bool {
        if self.run.plan.ascending { a < b } else { a > b }
    }
}
