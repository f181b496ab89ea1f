//! Runs a plan: scans, filters, merges or aggregates, and hands out series piece by piece.

mod aggregate;
mod block;
mod early;
mod edge;
mod exclude;
mod fill;
mod frame;
mod go_heap;
mod groups;
mod partial;
mod pool;
mod raw;
mod span;
mod ties;

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

pub(crate) use pool::Pool;
use skywatch_model::TimeRange;
use skywatch_storage::{BlockStream, Order, ReadError, Scanner};

use crate::{CancelToken, Limits, QueryError, ResultSeries, plan::SelectPlan};

/// What a running query may use and has used.
#[derive(Debug)]
pub(crate) struct Usage<'a> {
    /// How it is stopped.
    pub(crate) cancel: &'a CancelToken,
    limits: &'a Limits,
    points: AtomicU64,
    bytes: AtomicUsize,
}

impl<'a> Usage<'a> {
    pub(crate) const fn new(cancel: &'a CancelToken, limits: &'a Limits) -> Self {
        Self { cancel, limits, points: AtomicU64::new(0), bytes: AtomicUsize::new(0) }
    }

    /// Counts points read, and stops the query when it has to.
    fn read_points(&self, points: u64) -> Result<(), QueryError> {
        self.cancel.check()?;
        let total = self.points.fetch_add(points, Ordering::Relaxed) + points;
        let limit = self.limits.max_select_point;
        if limit > 0 && total > limit {
            return Err(QueryError::LimitExceeded(format!(
                "max-select-point limit exceeded: ({total}/{limit})"
            )));
        }
        Ok(())
    }

    /// Counts bytes of intermediate values.
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), QueryError> {
        let total = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let limit = self.limits.max_query_memory_bytes;
        if limit > 0 && total > limit {
            return Err(QueryError::LimitExceeded(format!(
                "max-query-memory limit exceeded: the query needs more than {limit} bytes of intermediate values"
            )));
        }
        Ok(())
    }

    /// Gives bytes back.
    pub(crate) fn release(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn check_series(&self, series: usize) -> Result<(), QueryError> {
        let limit = self.limits.max_select_series;
        if limit > 0 && series as u64 > limit {
            return Err(QueryError::LimitExceeded(format!(
                "max-select-series limit exceeded: ({series}/{limit})"
            )));
        }
        Ok(())
    }
}

/// Where pieces of series go, in order.
pub(crate) type Emit<'a> = dyn FnMut(ResultSeries) -> Result<(), QueryError> + 'a;

/// Runs a plan. Series come out sorted by name and tags (reversed when descending), in pieces of at most
/// `piece_rows` rows; a piece followed by more of its series is marked partial.
pub(crate) fn run(
    plan: &SelectPlan,
    piece_rows: usize,
    usage: &Usage<'_>,
    pool: &Pool,
    emit: &mut Emit<'_>,
) -> Result<(), QueryError> {
    let layout = block::Layout::new(plan);
    let mut order: Vec<usize> = (0..plan.sources.len()).collect();
    if !plan.ascending {
        order.reverse();
    }
    let mut series = 0;
    for index in order {
        let source = &plan.sources[index];
        usage.cancel.check()?;
        let groups = groups::build(plan, source, &layout, usage)?;
        series += groups.iter().map(|group| group.members.len()).sum::<usize>();
        usage.check_series(series)?;
        if let Some(refusal) = plan.refusal.as_ref().filter(|_| series > 0) {
            return Err(QueryError::invalid(refusal.clone()));
        }
        let scanners: Vec<Box<dyn Scanner + '_>> =
            source.shards.iter().map(|shard| shard.scanner(&source.name, &layout.request)).collect();
        let run = Run { plan, layout: &layout, source, scanners: &scanners, piece_rows, usage, pool };
        if plan.is_raw() {
            raw::run(&run, &groups, emit)?;
        } else {
            aggregate::run(&run, &groups, emit)?;
        }
    }
    Ok(())
}

/// One source of a running plan.
#[derive(Clone, Copy)]
struct Run<'a> {
    plan: &'a SelectPlan,
    layout: &'a block::Layout,
    source: &'a crate::plan::NamedSource,
    /// One per shard of the source.
    scanners: &'a [Box<dyn Scanner + 'a>],
    piece_rows: usize,
    usage: &'a Usage<'a>,
    pool: &'a Pool,
}

impl<'a> Run<'a> {
    /// Opens a series.
    fn scan(
        &self,
        member: &groups::Member,
        range: TimeRange,
        order: Order,
    ) -> Result<Box<dyn BlockStream + 'a>, ReadError> {
        self.scanners[member.shard].scan(member.series, range, order)
    }

    /// The window that a time belongs to: first nanosecond, and first nanosecond after it. Without windows, the one
    /// that everything belongs to; rows may precede what it is called after.
    fn window(&self, time: i64) -> (i64, i64) {
        match &self.plan.windows {
            Some(windows) => windows.of(time),
            None => (self.plan.origin(), i64::MAX),
        }
    }

    /// A series' header without rows.
    fn series(&self, group: &groups::Group) -> ResultSeries {
        ResultSeries {
            name: Arc::clone(&self.source.name),
            tags: Arc::clone(&group.tags),
            columns: Arc::clone(&self.plan.columns),
            values: Vec::new(),
            partial: false,
        }
    }
}
