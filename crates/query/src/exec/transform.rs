//! Queries with transformations: what each branch reads goes through its transformations, group by group, and is joined
//! by time.
//!
//! Rows stream: a branch that reads a field as it is stored is read on only when a slot has run out of points that the
//! next row needs. Aggregates are there at once, as many as there are windows.

mod feed;
mod join;

use super::{Emit, Pool, Run, Usage, aggregate, block::Layout, groups, groups::Group, request::Scanners};
use crate::{
    QueryError,
    plan::{Branch, SelectPlan},
};

/// Groups that one task answers.
const GROUPS_PER_TASK_MAX: usize = 64;

/// Runs a plan with branches.
pub(super) fn run(
    plan: &SelectPlan,
    piece_rows: usize,
    usage: &Usage<'_>,
    pool: &Pool,
    emit: &mut Emit<'_>,
) -> Result<(), QueryError> {
    let layouts: Vec<Layout> = plan.branches.iter().map(|branch| Layout::new(&branch.plan)).collect();
    let mut order: Vec<usize> = (0..plan.sources.len()).collect();
    if !plan.ascending {
        order.reverse();
    }
    let mut series = 0;
    for index in order {
        let source = &plan.sources[index];
        usage.cancel.check()?;
        let mut parts = Vec::with_capacity(layouts.len());
        for (branch, layout) in plan.branches.iter().zip(&layouts) {
            let groups = groups::build(&branch.plan, source, layout, usage)?;
            let scanners = Scanners::new(&branch.plan, source, layout, &groups)?;
            parts.push((branch, layout, groups, scanners));
        }
        // What a query may touch is counted in series, however often it reads them.
        series += parts.first().map_or(0, |(_, _, groups, _)| members(groups));
        usage.check_series(series)?;
        if let Some(refusal) = plan.refusal.as_ref().filter(|_| series > 0) {
            return Err(QueryError::invalid(refusal.clone()));
        }
        let parts: Vec<Part<'_>> = parts
            .iter()
            .map(|(branch, layout, groups, scanners)| {
                let run = Run { plan: &branch.plan, layout, source, scanners, piece_rows, usage, pool };
                Part { branch, groups, run, calls: aggregate::Shared::new(&run) }
            })
            .collect();
        if let Some(first) = parts.first() {
            let whole = Run { plan, ..first.run };
            groups_in_order(&whole, &parts, emit)?;
        }
    }
    Ok(())
}

fn members(groups: &[Group]) -> usize {
    groups.iter().map(|group| group.members.len()).sum()
}

/// A branch over one source.
struct Part<'a> {
    branch: &'a Branch,
    /// The same groups in every branch: they depend on tags alone.
    groups: &'a [Group],
    run: Run<'a>,
    calls: aggregate::Shared,
}

/// Answers group after group; many of them on several threads, few of them one by one, each on all threads.
fn groups_in_order(run: &Run<'_>, parts: &[Part<'_>], emit: &mut Emit<'_>) -> Result<(), QueryError> {
    let groups = parts.first().map_or(0, |part| part.groups.len());
    if groups < run.pool.threads() * 2 {
        return (0..groups).try_for_each(|group| one_group(run, parts, group, true, emit));
    }
    let per_task = (groups / (run.pool.threads() * 4)).clamp(1, GROUPS_PER_TASK_MAX);
    let work = |task: usize, emit: &mut Emit<'_>| {
        let end = ((task + 1) * per_task).min(groups);
        (task * per_task..end).try_for_each(|group| one_group(run, parts, group, false, emit))
    };
    super::in_order(run, groups.div_ceil(per_task), &work, emit)
}

fn one_group(
    run: &Run<'_>,
    parts: &[Part<'_>],
    group: usize,
    divide: bool,
    emit: &mut Emit<'_>,
) -> Result<(), QueryError> {
    let mut feeds = Vec::with_capacity(parts.len());
    for part in parts {
        feeds.push(feed::Feed::new(run.plan, part, &part.groups[group], divide)?);
    }
    let Some(first) = parts.first() else { return Ok(()) };
    join::Join::new(run, &first.groups[group], feeds).run(emit)
}
