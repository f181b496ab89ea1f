//! The points of one branch in one group, transformed.

use std::collections::VecDeque;

use skywatch_model::{Column, FieldType, Values};

use super::{
    super::{
        aggregate, fill,
        groups::Group,
        raw::{Gather, Merge},
    },
    Part,
};
use crate::{
    OutputColumn, QueryError, ResultSeries,
    exec::Usage,
    expr::{Vector, VectorBuilder},
    kernel::Points,
    plan::{BranchOutput, SelectPlan},
    transform::{PointRun, Transform},
};

/// A branch being read.
pub(super) struct Feed<'a> {
    pub(super) outputs: Vec<Output<'a>>,
    /// Rows still to be read; `None` at the end of them, and for aggregates, whose points are all there.
    rows: Option<Rows<'a>>,
    /// No point to come has a time before this one.
    reached: Option<i64>,
    usage: &'a Usage<'a>,
}

/// Points on their way to one slot.
pub(super) struct Output<'a> {
    pub(super) slot: usize,
    /// Type of the points; `None` if they do not exist.
    pub(super) field_type: Option<FieldType>,
    transforms: Vec<Box<dyn Transform>>,
    types: Vec<FieldType>,
    /// Points that have come through, after OFFSET.
    pub(super) ready: PointRun,
    /// The next one of them.
    pub(super) next: usize,
    skip: u64,
    wanted: u64,
    /// Bytes of the states, counted against the query's memory.
    held: usize,
    usage: &'a Usage<'a>,
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        self.usage.release(self.held);
    }
}

impl<'a> Feed<'a> {
    /// The branch before its first row, or with all its points. `divide` tells that all threads may work on it.
    pub(super) fn new(
        plan: &SelectPlan,
        part: &'a Part<'a>,
        group: &'a Group,
        divide: bool,
    ) -> Result<Self, QueryError> {
        let usage = part.run.usage;
        let outputs = part.branch.outputs.iter().map(|output| Output::new(plan, output, usage)).collect();
        let mut feed = Self { outputs, rows: None, reached: None, usage };
        if part.run.plan.is_raw() {
            feed.rows = Some(Rows::new(part, group));
        } else {
            feed.take_aggregates(part, group, divide)?;
        }
        Ok(feed)
    }

    /// Whether all points have come through.
    pub(super) const fn has_ended(&self) -> bool {
        self.rows.is_none()
    }

    /// The time before which no more points come; `None` before the first row.
    pub(super) const fn reached(&self) -> Option<i64> {
        self.reached
    }

    /// Takes the next rows to the outputs.
    pub(super) fn advance(&mut self) -> Result<(), QueryError> {
        let rows = match &mut self.rows {
            Some(rows) if self.outputs.iter().any(Output::wants_more) => rows.next()?,
            _ => None,
        };
        let Some((times, column)) = rows else {
            self.rows = None;
            return self.outputs.iter_mut().try_for_each(Output::finish);
        };
        self.reached = times.last().copied().or(self.reached);
        self.outputs.iter_mut().try_for_each(|output| output.take(&times, &column))?;
        Ok(self.usage.cancel.check()?)
    }

    fn take_aggregates(&mut self, part: &Part<'_>, group: &Group, divide: bool) -> Result<(), QueryError> {
        let answers = aggregate::answers(&part.run, &part.calls, group, divide)?;
        let mut columns = Vec::with_capacity(answers.len());
        for (call, points) in part.run.plan.calls.iter().zip(answers) {
            let points = fill::apply(part.run.plan, call, points, self.usage)?;
            columns.push(column_of(points));
        }
        for (output, plan) in self.outputs.iter_mut().zip(&part.branch.outputs) {
            let answers = columns.get(plan.call).zip(plan.points);
            if let Some(((times, column), points)) = answers {
                match column {
                    Some(column) => output.take(times, column)?,
                    None => output.take(times, &nulls(points, times.len()))?,
                }
            }
            output.finish()?;
        }
        Ok(())
    }
}

/// Points as a column; `None` if all are null.
fn column_of(points: Points) -> (Vec<i64>, Option<Column>) {
    let mut values = VectorBuilder::with_capacity(points.values.len());
    points.values.into_iter().for_each(|value| values.push(value));
    match values.finish() {
        Vector::Column(column) => (points.times, Some(column)),
        _ => (points.times, None),
    }
}

/// As many nulls.
fn nulls(field_type: FieldType, len: usize) -> Column {
    let mut column = Column { values: Values::empty(field_type), valid: None };
    column.pad(len);
    column
}

impl<'a> Output<'a> {
    fn new(plan: &SelectPlan, output: &BranchOutput, usage: &'a Usage<'a>) -> Self {
        let (mut transforms, mut types) = (Vec::new(), Vec::new());
        let mut field_type = output.points;
        for call in &output.transforms {
            let Some(points) = field_type else { break };
            field_type = call.function.output(points);
            // What a function refuses ends the query before it comes here.
            if let (Some(state), Some(answers)) = (call.function.state(points, &call.settings), field_type) {
                transforms.push(state);
                types.push(answers);
            }
        }
        let ready = PointRun::new(field_type.unwrap_or(FieldType::Float));
        let wanted = if plan.limit == 0 { u64::MAX } else { plan.limit };
        let (slot, skip) = (output.slot, plan.offset);
        Self { slot, field_type, transforms, types, ready, next: 0, skip, wanted, held: 0, usage }
    }

    fn wants_more(&self) -> bool {
        self.wanted > 0 && self.field_type.is_some()
    }

    /// Points that are ready and not taken yet.
    pub(super) fn waiting(&self) -> &[i64] {
        &self.ready.times[self.next..]
    }

    /// Sends points through the transformations.
    fn take(&mut self, times: &[i64], column: &Column) -> Result<(), QueryError> {
        if !self.wants_more() {
            return Ok(());
        }
        let Some((first, rest)) = self.transforms.split_first_mut() else {
            self.deliver(PointRun { times: times.to_vec(), column: column.clone() });
            return Ok(());
        };
        let mut points = PointRun::new(self.types[0]);
        first.feed(times, column, &mut points);
        for (transform, field_type) in rest.iter_mut().zip(&self.types[1..]) {
            let mut answers = PointRun::new(*field_type);
            transform.feed(&points.times, &points.column, &mut answers);
            points = answers;
        }
        self.deliver(points);
        self.account()
    }

    /// Ends the transformations, and takes what they have to say then.
    fn finish(&mut self) -> Result<(), QueryError> {
        if !self.wants_more() {
            return Ok(());
        }
        let mut points: Option<PointRun> = None;
        for (transform, field_type) in self.transforms.iter_mut().zip(&self.types) {
            let mut answers = PointRun::new(*field_type);
            if let Some(points) = points {
                transform.feed(&points.times, &points.column, &mut answers);
            }
            transform.finish(self.usage, &mut answers)?;
            points = Some(answers);
        }
        if let Some(points) = points {
            self.deliver(points);
        }
        self.account()
    }

    /// Adds points to those that are ready, after OFFSET and up to LIMIT.
    fn deliver(&mut self, mut points: PointRun) {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(points.len());
        let taken = usize::try_from(self.wanted).unwrap_or(usize::MAX).min(points.len() - skipped);
        self.skip -= skipped as u64;
        self.wanted -= taken as u64;
        if skipped > 0 || skipped + taken < points.len() {
            points = points.slice(skipped..skipped + taken);
        }
        if self.next == self.ready.len() {
            self.ready = points;
        } else {
            let waiting = self.next..self.ready.len();
            self.ready = self.ready.slice(waiting).followed_by(points);
        }
        self.next = 0;
    }

    /// Counts what is held now.
    fn account(&mut self) -> Result<(), QueryError> {
        let bytes: usize = self.transforms.iter().map(|transform| transform.heap_bytes()).sum();
        if bytes > self.held {
            self.usage.hold(bytes - self.held)?;
        } else {
            self.usage.release(self.held - bytes);
        }
        self.held = bytes;
        Ok(())
    }
}

/// Rows of one field as they are stored, the series of the group merged by time.
struct Rows<'a> {
    merge: Merge<'a>,
    gather: Option<Gather<'a>>,
    ready: VecDeque<ResultSeries>,
}

impl<'a> Rows<'a> {
    fn new(part: &'a Part<'a>, group: &'a Group) -> Self {
        let gather = Some(Gather::new(&part.run, group));
        Self { merge: Merge::new(&part.run, group), gather, ready: VecDeque::new() }
    }

    /// The next rows; `None` after the last.
    fn next(&mut self) -> Result<Option<(Vec<i64>, Column)>, QueryError> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                if let Some(rows) = rows_of(piece) {
                    return Ok(Some(rows));
                }
                continue;
            }
            let Some(gather) = &mut self.gather else { return Ok(None) };
            let ready = &mut self.ready;
            let mut keep = |piece| {
                ready.push_back(piece);
                Ok(())
            };
            if self.merge.step(gather, &mut keep)? {
                gather.hand_out(&mut keep)?;
            } else if let Some(gather) = self.gather.take() {
                gather.finish(&mut keep)?;
            }
        }
    }
}

fn rows_of(piece: ResultSeries) -> Option<(Vec<i64>, Column)> {
    let mut columns = piece.values.into_iter();
    match (columns.next(), columns.next()) {
        (Some(OutputColumn::Time(times)), Some(OutputColumn::Values(column))) => Some((times, column)),
        _ => None,
    }
}
