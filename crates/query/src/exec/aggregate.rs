//! Aggregation: every series of a group into a [`Partial`], partials merged, windows filled, rows computed.

use std::{ops::Range, sync::Arc};

use skywatch_model::{FieldValue, RowBlock, TimeRange};
use skywatch_storage::{Order, ScanBlock};

use super::{
    Emit, Run,
    block::reversed,
    early::Attempts,
    edge, fill, frame,
    groups::{Group, Member},
    partial::Partial,
    pool,
    span::{Pending, SpanReader},
};
use crate::{
    QueryError,
    kernel::{AuxColumn, AuxSource, MemberId, Points, Run as Rows},
    plan::{Bound, Reference},
};

/// Members that one task of a divided group aggregates.
const MEMBERS_PER_TASK: usize = 32;
/// Groups that one task aggregates.
const GROUPS_PER_TASK_MAX: usize = 64;

pub(super) fn run(run: &Run<'_>, groups: &[Group], emit: &mut Emit<'_>) -> Result<(), QueryError> {
    let shared = Shared::new(run);
    if groups.len() >= run.pool.threads() * 2 {
        return many_groups(run, &shared, groups, emit);
    }
    let mut worker = Worker::new(run, &shared);
    for group in groups {
        let points = worker.group(group, true)?;
        finish(run, group, points, emit)?;
    }
    Ok(())
}

/// What each call answers in one group; the members are shared out among threads if `divide`.
pub(super) fn answers(
    run: &Run<'_>,
    shared: &Shared,
    group: &Group,
    divide: bool,
) -> Result<Vec<Points>, QueryError> {
    Worker::new(run, shared).group(group, divide)
}

/// Whole groups are the tasks.
fn many_groups(
    run: &Run<'_>,
    shared: &Shared,
    groups: &[Group],
    emit: &mut Emit<'_>,
) -> Result<(), QueryError> {
    let per_task = (groups.len() / (run.pool.threads() * 4)).clamp(1, GROUPS_PER_TASK_MAX);
    let tasks: Vec<&[Group]> = groups.chunks(per_task).collect();
    let work = |task: usize, emit: &mut Emit<'_>| {
        let mut worker = Worker::new(run, shared);
        for group in tasks[task] {
            let points = worker.group(group, false)?;
            finish(run, group, points, emit)?;
        }
        Ok(())
    };
    super::in_order(run, tasks.len(), &work, emit)
}

/// What is the same for all groups.
pub(super) struct Shared {
    /// Calls that have to see every row.
    scanned: Vec<usize>,
    /// Calls for which the ends of the series suffice.
    edges: Vec<usize>,
    attempts: Attempts,
}

impl Shared {
    pub(super) fn new(run: &Run<'_>) -> Self {
        let asked = (0..run.plan.calls.len()).filter(|call| run.plan.calls[*call].argument.is_some());
        let (edges, scanned) = asked.partition(|call| edge::applies(run.plan, &run.plan.calls[*call]));
        Self { scanned, edges, attempts: Attempts::new(run.plan) }
    }
}

/// Aggregates group after group.
struct Worker<'a> {
    run: &'a Run<'a>,
    shared: &'a Shared,
    /// Of the group.
    total: Partial,
    /// Of one member; kept without windows from member to member.
    member: Partial,
    reader: SpanReader,
}

impl<'a> Worker<'a> {
    fn new(run: &'a Run<'a>, shared: &'a Shared) -> Self {
        let partial = || Partial::new(&run.plan.calls, run.plan.ascending);
        Self { run, shared, total: partial(), member: partial(), reader: SpanReader::default() }
    }

    /// What each call answers in a group; the members are shared out among threads if `divide`.
    fn group(&mut self, group: &Group, divide: bool) -> Result<Vec<Points>, QueryError> {
        let mut points = Vec::new();
        for range in &self.shared.attempts.ranges {
            for call in &self.shared.edges {
                self.total.merge(&mut edge::find(self.run, group, *call)?);
            }
            if !self.shared.scanned.is_empty() {
                if divide && group.members.len() > MEMBERS_PER_TASK {
                    self.divided(group, *range)?;
                } else {
                    self.members(group, 0..group.members.len(), *range)?;
                }
            }
            points = self.total.finish(self.run.usage);
            if self.shared.attempts.suffice(&self.run.plan.calls, &points) {
                break;
            }
        }
        Ok(points)
    }

    fn divided(&mut self, group: &Group, range: TimeRange) -> Result<(), QueryError> {
        let (run, shared) = (self.run, self.shared);
        let mut starts: Vec<usize> = (0..group.members.len()).step_by(MEMBERS_PER_TASK).collect();
        if !run.plan.ascending {
            starts.reverse();
        }
        let work = |task: usize, emit: &mut dyn FnMut(Partial) -> Result<(), QueryError>| {
            let end = (starts[task] + MEMBERS_PER_TASK).min(group.members.len());
            let mut worker = Worker::new(run, shared);
            worker.members(group, starts[task]..end, range)?;
            emit(worker.total)
        };
        pool::ordered(run.pool, starts.len(), &work, &mut |mut partial: Partial| {
            self.total.merge(&mut partial);
            self.total.account(run.usage)
        })
    }

    fn members(&mut self, group: &Group, range: Range<usize>, times: TimeRange) -> Result<(), QueryError> {
        let members = range.len();
        for position in 0..members {
            // Descending, everything comes the other way round: that decides between equals, and how floats round.
            let position = if self.run.plan.ascending { position } else { members - 1 - position };
            let scan = Scan::new(self.run, group, range.start + position);
            scan.run(times, &self.shared.scanned, &mut self.member, &mut self.reader)?;
            self.member.account(self.run.usage)?;
            self.total.merge(&mut self.member);
            if members > 1 {
                self.total.account(self.run.usage)?;
            }
        }
        Ok(())
    }
}

/// Fills, limits and emits the rows of a group.
fn finish(run: &Run<'_>, group: &Group, points: Vec<Points>, emit: &mut Emit<'_>) -> Result<(), QueryError> {
    let mut calls = Vec::with_capacity(points.len());
    for (call, points) in run.plan.calls.iter().zip(points) {
        calls.push(fill::apply(run.plan, call, points, run.usage)?);
    }
    let (times, frame) = frame::of_calls(run.plan, calls);
    frame::emit(run, group, times, frame, emit)
}

/// The scan of one series.
pub(super) struct Scan<'a> {
    run: &'a Run<'a>,
    member: &'a Member,
    id: MemberId,
    aux: Vec<AuxColumn>,
}

impl<'a> Scan<'a> {
    /// Of member number `place` of a group.
    pub(super) fn new(run: &'a Run<'a>, group: &'a Group, place: usize) -> Self {
        let member = &group.members[place];
        let id = MemberId { place, unique: (member.shard as u64) << 32 | u64::from(member.series.0) };
        let aux = run.plan.references.iter().map(|reference| match reference {
            Reference::Field(index) => AuxColumn::Field(*index),
            Reference::Tag(tag) => {
                AuxColumn::Const(run.layout.tag(member, tag).map(Arc::clone).map(FieldValue::String))
            }
            Reference::Unknown => AuxColumn::Const(None),
        });
        Self { run, member, id, aux: aux.collect() }
    }

    fn run(
        &self,
        range: TimeRange,
        calls: &[usize],
        partial: &mut Partial,
        reader: &mut SpanReader,
    ) -> Result<(), QueryError> {
        let order = if self.run.plan.ascending { Order::Ascending } else { Order::Descending };
        let mut stream = self.run.scan(self.member, range, order)?;
        while let Some(block) = stream.next_block()? {
            self.block(block.as_ref(), calls, partial, reader)?;
        }
        Ok(())
    }

    fn block(
        &self,
        block: &dyn ScanBlock,
        calls: &[usize],
        partial: &mut Partial,
        reader: &mut SpanReader,
    ) -> Result<(), QueryError> {
        // A summary is of the rows that count.
        let stands_for_rows = matches!(self.member.rows, Bound::All) || block.summary(0).is_some();
        let known = stands_for_rows && reader.take(self.run, block, calls, partial)?;
        if known && reader.pending.is_empty() {
            return Ok(());
        }
        let range = if known { reader.pending_range() } else { TimeRange::ALL };
        let rows = self.run.layout.load_within(block, &self.member.rows, range)?;
        let rows = if self.run.plan.ascending { rows } else { reversed(rows) };
        self.run.usage.read_points(rows.times.len() as u64)?;
        if known {
            self.pending_rows(&rows, &reader.pending, partial);
        } else {
            self.rows(&rows, calls, partial);
        }
        partial.account(self.run.usage)
    }

    /// Takes the rows that statistics did not stand for.
    fn pending_rows(&self, block: &RowBlock, pending: &[Pending], partial: &mut Partial) {
        let times = block.times.as_slice();
        let aux = AuxSource { columns: &self.aux, block };
        for pending in pending {
            let Some((field, _)) = self.run.plan.calls[pending.call].argument else { continue };
            let (Some(column), Some(kernel)) = (&block.columns[field], partial.kernel(pending.call)) else {
                continue;
            };
            let TimeRange { start, end } = pending.times;
            let rows = if self.run.plan.ascending {
                times.partition_point(|time| *time < start)..times.partition_point(|time| *time <= end)
            } else {
                times.partition_point(|time| *time > end)..times.partition_point(|time| *time >= start)
            };
            kernel.update(pending.window, &Rows { times, column, rows, aux, member: self.id });
        }
    }

    /// Takes rows into the windows they belong to.
    pub(super) fn rows(&self, block: &RowBlock, calls: &[usize], partial: &mut Partial) {
        let times = block.times.as_slice();
        let aux = AuxSource { columns: &self.aux, block };
        let mut start = 0;
        while let Some(time) = times.get(start) {
            let (window, end) = self.run.window(*time);
            let count = if self.run.plan.windows.is_none() {
                // The one window is called after the lower bound, or 1970, which rows may precede.
                times.len() - start
            } else if self.run.plan.ascending {
                run_length(&times[start..], |time| time < end)
            } else {
                run_length(&times[start..], |time| time >= window)
            };
            let position = partial.open(window);
            for &call in calls {
                let Some((field, _)) = self.run.plan.calls[call].argument else { continue };
                let (Some(column), Some(kernel)) = (&block.columns[field], partial.kernel(call)) else {
                    continue;
                };
                kernel.update(
                    position,
                    &Rows { times, column, rows: start..start + count, aux, member: self.id },
                );
            }
            start += count;
        }
    }
}

/// How many leading times are inside; the first one is. Looks at twice as many each time, since windows may hold
/// one row or all of them.
pub fn run_length(times: &[i64], inside: impl Fn(i64) -> bool) -> usize {
    let mut bound = 1;
    while bound < times.len() && inside(times[bound]) {
        bound *= 2;
    }
    let low = bound / 2;
    low + times[low..bound.min(times.len())].partition_point(|time| inside(*time))
}
