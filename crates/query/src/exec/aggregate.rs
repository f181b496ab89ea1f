//! Aggregation: every series of a group into a [`Partial`], partials merged, windows filled, rows computed.

use std::{ops::Range, sync::Arc};

use skywatch_model::{FieldValue, RowBlock, TimeRange};
use skywatch_storage::{Order, ScanBlock};

use super::{
    Emit, Run, fill, frame,
    groups::{Group, Member},
    partial::Partial,
    pool,
};
use crate::{
    QueryError,
    kernel::{AuxColumn, AuxSource, Run as Rows, function::Seek},
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
            let partial = members(run, group, 0..group.members.len())?;
            finish(run, group, partial, emit)?;
        }
        Ok(())
    };
    pool::ordered(run.pool, tasks.len(), &work, emit)
}

/// The members of one group are shared out. When an end of time is enough, cluster after cluster from that end.
fn one_group(run: &Run<'_>, group: &Group) -> Result<Partial, QueryError> {
    let seek = seek(run);
    let mut total = Partial::new(&run.plan.calls);
    let mut clusters = group.clusters.clone();
    if seek == Seek::Last {
        clusters.reverse();
    } else if seek == Seek::No && !clusters.is_empty() {
        clusters = std::iter::once(0..group.members.len()).collect();
    }
    for cluster in clusters {
        let starts: Vec<usize> = cluster.clone().step_by(MEMBERS_PER_TASK).collect();
        let work = |task: usize, emit: &mut dyn FnMut(Partial) -> Result<(), QueryError>| {
            let end = (starts[task] + MEMBERS_PER_TASK).min(cluster.end);
            emit(scan_members(run, group, starts[task]..end)?)
        };
        pool::ordered(run.pool, starts.len(), &work, &mut |partial: Partial| {
            total.merge(partial);
            Ok(())
        })?;
        if seek != Seek::No && total.is_complete() {
            break;
        }
    }
    Ok(total)
}

/// One after the other, on this thread.
fn members(run: &Run<'_>, group: &Group, range: Range<usize>) -> Result<Partial, QueryError> {
    let seek = seek(run);
    if seek == Seek::No {
        return scan_members(run, group, range);
    }
    let mut total = Partial::new(&run.plan.calls);
    let count = group.clusters.len();
    for position in 0..count {
        let cluster = &group.clusters[if seek == Seek::First { position } else { count - 1 - position }];
        total.merge(scan_members(run, group, cluster.clone())?);
        if total.is_complete() {
            break;
        }
    }
    Ok(total)
}

fn scan_members(run: &Run<'_>, group: &Group, range: Range<usize>) -> Result<Partial, QueryError> {
    let mut total = Partial::new(&run.plan.calls);
    for member in &group.members[range] {
        let mut partial = Partial::new(&run.plan.calls);
        Scan::new(run, member).run(&mut partial)?;
        run.usage.hold(partial.bytes())?;
        total.merge(partial);
    }
    Ok(total)
}

/// Whether one end of time decides every call.
fn seek(run: &Run<'_>) -> Seek {
    let mut calls = run.plan.calls.iter().map(|call| call.function.seek);
    match calls.next() {
        Some(seek) if run.plan.windows.is_none() && calls.all(|other| other == seek) => seek,
        _ => Seek::No,
    }
}

/// Fills, limits and emits the rows of a group.
fn finish(run: &Run<'_>, group: &Group, partial: Partial, emit: &mut Emit<'_>) -> Result<(), QueryError> {
    let bytes = partial.bytes();
    let points = partial.finish(run.plan.ascending);
    let mut calls = Vec::with_capacity(points.len());
    for (call, points) in run.plan.calls.iter().zip(points) {
        calls.push(fill::apply(run.plan, call, points, run.usage)?);
    }
    let (times, frame) = frame::of_calls(run.plan, calls);
    run.usage.release(bytes);
    frame::emit(run, group, times, frame, emit)
}

/// The scan of one series.
struct Scan<'a> {
    run: &'a Run<'a>,
    member: &'a Member,
    aux: Vec<AuxColumn>,
}

impl<'a> Scan<'a> {
    fn new(run: &'a Run<'a>, member: &'a Member) -> Self {
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

    fn run(&self, partial: &mut Partial) -> Result<(), QueryError> {
        let seek = seek(self.run);
        let order = if seek == Seek::Last { Order::Descending } else { Order::Ascending };
        let shard = &self.run.source.shards[self.member.shard];
        let mut stream = self.run.layout.scan(shard.as_ref(), self.member, self.run.plan.range, order)?;
        while let Some(block) = stream.next_block()? {
            self.block(block.as_ref(), partial)?;
            if seek != Seek::No && partial.is_complete() {
                break;
            }
        }
        Ok(())
    }

    fn block(&self, block: &dyn ScanBlock, partial: &mut Partial) -> Result<(), QueryError> {
        let pending = match self.whole_window(block.time_range()) {
            Some(window) => {
                partial.open(window);
                self.from_stats(block, partial)?
            }
            None => (0..self.run.plan.calls.len()).collect(),
        };
        if pending.is_empty() {
            return Ok(());
        }
        let rows = self.run.layout.load(block, &self.member.rows)?;
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
    fn from_stats(&self, block: &dyn ScanBlock, partial: &mut Partial) -> Result<Vec<usize>, QueryError> {
        let mut pending = Vec::new();
        let mut points = 0;
        for (call, plan) in self.run.plan.calls.iter().enumerate() {
            let Some((field, _)) = plan.argument else { continue };
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

    fn rows(&self, block: &RowBlock, calls: &[usize], partial: &mut Partial) {
        let times = block.times.as_slice();
        let aux = AuxSource { columns: &self.aux, block };
        let mut start = 0;
        while let Some(time) = times.get(start) {
            let (window, end) = self.window(*time);
            let count = run_length(&times[start..], end);
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

/// How many leading times are before `end`; the first one is. Looks at twice as many each time, since windows
/// may hold one row or all of them.
fn run_length(times: &[i64], end: i64) -> usize {
    let mut bound = 1;
    while bound < times.len() && times[bound] < end {
        bound *= 2;
    }
    let low = bound / 2;
    low + times[low..bound.min(times.len())].partition_point(|time| *time < end)
}
