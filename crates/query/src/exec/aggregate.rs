//! Aggregation: every series of a group into a [`Partial`], partials merged, windows filled, rows computed.

use std::{ops::Range, sync::Arc};

use skywatch_model::{FieldValue, RowBlock, TimeRange};
use skywatch_storage::{Order, ScanBlock};

use super::{
    Emit, Run,
    block::reversed,
    edge, fill, frame,
    groups::{Group, Member},
    partial::Partial,
    pool,
};
use crate::{
    QueryError,
    kernel::{AuxColumn, AuxSource, Run as Rows},
    plan::{Bound, Reference},
};

/// Members that one task of a divided group aggregates.
const MEMBERS_PER_TASK: usize = 32;
/// Groups that one task aggregates.
const GROUPS_PER_TASK_MAX: usize = 64;

pub(super) fn run(run: &Run<'_>, groups: &[Group], emit: &mut Emit<'_>) -> Result<(), QueryError> {
    if groups.len() >= run.pool.threads() * 2 {
        return many_groups(run, groups, emit);
    }
    for group in groups {
        let partial = one_group(run, group)?;
        finish(run, group, partial, emit)?;
    }
    Ok(())
}

/// Whole groups are the tasks.
fn many_groups(run: &Run<'_>, groups: &[Group], emit: &mut Emit<'_>) -> Result<(), QueryError> {
    let per_task = (groups.len() / (run.pool.threads() * 4)).clamp(1, GROUPS_PER_TASK_MAX);
    let tasks: Vec<&[Group]> = groups.chunks(per_task).collect();
    let work = |task: usize, emit: &mut Emit<'_>| {
        for group in tasks[task] {
            let partial = whole_group(run, group)?;
            finish(run, group, partial, emit)?;
        }
        Ok(())
    };
    pool::ordered(run.pool, tasks.len(), &work, emit)
}

/// The members of one group are shared out.
fn one_group(run: &Run<'_>, group: &Group) -> Result<Partial, QueryError> {
    let calls = scanned_calls(run);
    let mut total = edges(run, group)?;
    if calls.is_empty() {
        return Ok(total);
    }
    let mut starts: Vec<usize> = (0..group.members.len()).step_by(MEMBERS_PER_TASK).collect();
    if !run.plan.ascending {
        starts.reverse();
    }
    let work = |task: usize, emit: &mut dyn FnMut(Partial) -> Result<(), QueryError>| {
        let end = (starts[task] + MEMBERS_PER_TASK).min(group.members.len());
        emit(scan_members(run, group, starts[task]..end, &calls)?)
    };
    pool::ordered(run.pool, starts.len(), &work, &mut |partial: Partial| {
        total.merge(partial);
        Ok(())
    })?;
    Ok(total)
}

/// One after the other, on this thread.
fn whole_group(run: &Run<'_>, group: &Group) -> Result<Partial, QueryError> {
    let calls = scanned_calls(run);
    let mut total = edges(run, group)?;
    if !calls.is_empty() {
        total.merge(scan_members(run, group, 0..group.members.len(), &calls)?);
    }
    Ok(total)
}

/// Calls that have to see every row.
fn scanned_calls(run: &Run<'_>) -> Vec<usize> {
    let calls = run.plan.calls.iter().enumerate();
    calls
        .filter(|(_, call)| call.argument.is_some() && !edge::applies(run, call))
        .map(|(call, _)| call)
        .collect()
}

/// The answers of calls for which the ends of the series suffice.
fn edges(run: &Run<'_>, group: &Group) -> Result<Partial, QueryError> {
    let mut total = Partial::new(&run.plan.calls, run.plan.ascending);
    for (index, call) in run.plan.calls.iter().enumerate() {
        if edge::applies(run, call) {
            total.merge(edge::find(run, group, index)?);
        }
    }
    Ok(total)
}

fn scan_members(
    run: &Run<'_>,
    group: &Group,
    range: Range<usize>,
    calls: &[usize],
) -> Result<Partial, QueryError> {
    let mut total = Partial::new(&run.plan.calls, run.plan.ascending);
    let members = &group.members[range];
    for position in 0..members.len() {
        // Descending, everything comes the other way round: that decides between equals, and how floats round.
        let position = if run.plan.ascending { position } else { members.len() - 1 - position };
        let member = &members[position];
        let mut partial = Partial::new(&run.plan.calls, run.plan.ascending);
        Scan::new(run, member).run(calls, &mut partial)?;
        partial.hold(run.usage)?;
        total.merge(partial);
    }
    Ok(total)
}

/// Fills, limits and emits the rows of a group.
fn finish(run: &Run<'_>, group: &Group, partial: Partial, emit: &mut Emit<'_>) -> Result<(), QueryError> {
    let held = partial.held();
    let points = partial.finish();
    let mut calls = Vec::with_capacity(points.len());
    for (call, points) in run.plan.calls.iter().zip(points) {
        calls.push(fill::apply(run.plan, call, points, run.usage)?);
    }
    let (times, frame) = frame::of_calls(run.plan, calls);
    run.usage.release(held);
    frame::emit(run, group, times, frame, emit)
}

/// The scan of one series.
pub(super) struct Scan<'a> {
    run: &'a Run<'a>,
    member: &'a Member,
    aux: Vec<AuxColumn>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(run: &'a Run<'a>, member: &'a Member) -> Self {
        let value = |tag: &Arc<str>| {
            let tags = member.tags.as_deref().unwrap_or_default();
            let value = tags.iter().find(|(key, _)| key == tag).map(|(_, value)| Arc::clone(value));
            value.map(FieldValue::String)
        };
        let aux = run.plan.references.iter().map(|reference| match reference {
            Reference::Field(index) => AuxColumn::Field(*index),
            Reference::Tag(tag) => AuxColumn::Const(value(tag)),
            Reference::Unknown => AuxColumn::Const(None),
        });
        Self { run, member, aux: aux.collect() }
    }

    fn run(&self, calls: &[usize], partial: &mut Partial) -> Result<(), QueryError> {
        let order = if self.run.plan.ascending { Order::Ascending } else { Order::Descending };
        let mut stream = self.run.scan(self.member, self.run.plan.range, order)?;
        while let Some(block) = stream.next_block()? {
            self.block(block.as_ref(), calls, partial)?;
        }
        Ok(())
    }

    fn block(&self, block: &dyn ScanBlock, calls: &[usize], partial: &mut Partial) -> Result<(), QueryError> {
        let pending = match self.whole_window(block.time_range()) {
            Some(window) => {
                partial.open(window);
                self.take_stats(block, calls, partial)?
            }
            None => calls.to_vec(),
        };
        if pending.is_empty() {
            return Ok(());
        }
        let rows = self.run.layout.load(block, &self.member.rows)?;
        let rows = if self.run.plan.ascending { rows } else { reversed(rows) };
        self.run.usage.read_points(rows.times.len() as u64)?;
        self.rows(&rows, &pending, partial);
        Ok(())
    }

    /// The window that a block lies in, if it lies in one and all of its rows count.
    fn whole_window(&self, range: TimeRange) -> Option<i64> {
        if !matches!(self.member.rows, Bound::All) {
            return None;
        }
        let (start, end) = self.window(range.start);
        (range.end < end).then_some(start)
    }

    /// Takes what statistics tell; returns the calls for which they do not suffice.
    fn take_stats(
        &self,
        block: &dyn ScanBlock,
        calls: &[usize],
        partial: &mut Partial,
    ) -> Result<Vec<usize>, QueryError> {
        let mut pending = Vec::new();
        let mut points = 0;
        for &call in calls {
            let Some((field, _)) = self.run.plan.calls[call].argument else { continue };
            let Some(kernel) = partial.kernel(call) else { continue };
            match block.stats(self.run.layout.index[field]) {
                Some(stats) if kernel.update_stats(stats) => points = points.max(stats.count),
                _ => pending.push(call),
            }
        }
        self.run.usage.read_points(points)?;
        Ok(pending)
    }

    fn window(&self, time: i64) -> (i64, i64) {
        match &self.run.plan.windows {
            Some(windows) => windows.of(time),
            None => (self.run.plan.origin(), i64::MAX),
        }
    }

    /// Takes rows into the windows they belong to.
    pub(super) fn rows(&self, block: &RowBlock, calls: &[usize], partial: &mut Partial) {
        let times = block.times.as_slice();
        let aux = AuxSource { columns: &self.aux, block };
        let mut start = 0;
        while let Some(time) = times.get(start) {
            let (window, end) = self.window(*time);
            let count = if self.run.plan.windows.is_none() {
                // The one window is called after the lower bound, or 1970, which rows may precede.
                times.len() - start
            } else if self.run.plan.ascending {
                run_length(&times[start..], |time| time < end)
            } else {
                run_length(&times[start..], |time| time >= window)
            };
            partial.open(window);
            for &call in calls {
                let Some((field, _)) = self.run.plan.calls[call].argument else { continue };
                let (Some(column), Some(kernel)) = (&block.columns[field], partial.kernel(call)) else {
                    continue;
                };
                kernel.update(&Rows { times, column, rows: start..start + count, aux });
            }
            start += count;
        }
    }
}

/// How many leading times are inside; the first one is. Looks at twice as many each time, since windows may hold
/// one row or all of them.
fn run_length(times: &[i64], inside: impl Fn(i64) -> bool) -> usize {
    let mut bound = 1;
    while bound < times.len() && inside(times[bound]) {
        bound *= 2;
    }
    let low = bound / 2;
    low + times[low..bound.min(times.len())].partition_point(|time| inside(*time))
}
