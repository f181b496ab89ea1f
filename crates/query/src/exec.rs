//! Runs a plan: scans, filters, merges or aggregates, and hands out series piece by piece.

mod aggregate;
mod block;
mod early;
mod edge;
mod exclude;
mod fill;
mod frame;
mod groups;
mod partial;
mod pool;
mod raw;
mod request;
mod row_filter;
mod span;
mod ties;
mod transform;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

pub use aggregate::run_length;
use parking_lot::Mutex;
pub(crate) use pool::Pool;
pub use row_filter::RowFilter;
use skywatch_model::{Column, TimeRange, Values};
use skywatch_storage::{BlockStream, Consumer, MemoryBudget, Order, ReadError, Reservation, ScanRequest};

use crate::{
    CancelToken, Limits, OutputColumn, QueryError, ResultSeries,
    plan::{NamedSource, SelectPlan},
};

/// What a running query may use and has used.
#[derive(Debug)]
pub(crate) struct Usage<'a> {
    /// How it is stopped.
    pub(crate) cancel: &'a CancelToken,
    limits: &'a Limits,
    points: AtomicU64,
    bytes: AtomicUsize,
    /// What covers the bytes, taken in steps from what all queries share.
    reserved: Mutex<Reservation>,
    reserved_bytes: AtomicU64,
}

/// Bytes held by a running query, given back on drop.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    usage: &'a Usage<'a>,
    bytes: usize,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.usage.release(self.bytes);
    }
}

/// Steps in which a query takes memory from what all of them share.
const RESERVATION_STEP_BYTES: u64 = 1 << 20;
/// What a query may keep of it without need.
const RESERVATION_SLACK_BYTES: u64 = 4 << 20;

impl<'a> Usage<'a> {
    pub(crate) fn new(cancel: &'a CancelToken, limits: &'a Limits, memory: &Arc<MemoryBudget>) -> Self {
        Self {
            cancel,
            limits,
            points: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            reserved: Mutex::new(memory.empty(Consumer::Queries)),
            reserved_bytes: AtomicU64::new(0),
        }
    }

    /// Counts points read, and stops the query when it has to.
    fn read_points(&self, points: u64) -> Result<(), QueryError> {
        self.cancel.check()?;
        let total = self.points.fetch_add(points, Ordering::Relaxed) + points;
        let limit = self.limits.max_select_point;
        if limit > 0 && total > limit {
            return Err(QueryError::LimitExceeded(format!(
                // InfluxDB's own spelling.
                "max-select-point limit exceeed: ({total}/{limit})"
            )));
        }
        Ok(())
    }

    /// Points read so far.
    pub(crate) fn points_read(&self) -> u64 {
        self.points.load(Ordering::Relaxed)
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
        if total as u64 > self.reserved_bytes.load(Ordering::Relaxed) {
            self.cover(total as u64)
        } else {
            Ok(())
        }
    }

    /// As [`Self::hold`], until the answer is dropped.
    pub(crate) fn hold_while(&'a self, bytes: usize) -> Result<Held<'a>, QueryError> {
        let held = Held { usage: self, bytes };
        self.hold(bytes)?;
        Ok(held)
    }

    /// Takes from what all queries share.
    fn cover(&self, bytes: u64) -> Result<(), QueryError> {
        let mut reserved = self.reserved.lock();
        if bytes <= reserved.bytes() {
            return Ok(());
        }
        let step = bytes.next_multiple_of(RESERVATION_STEP_BYTES);
        reserved.grow_to(step).or_else(|_| reserved.grow_to(bytes)).map_err(|full| {
            QueryError::LimitExceeded(format!(
                "{full}: ask for less at once, or again when fewer queries run"
            ))
        })?;
        self.reserved_bytes.store(reserved.bytes(), Ordering::Relaxed);
        Ok(())
    }

    /// Gives bytes back.
    pub(crate) fn release(&self, bytes: usize) {
        let left = (self.bytes.fetch_sub(bytes, Ordering::Relaxed) - bytes) as u64;
        if left + RESERVATION_SLACK_BYTES < self.reserved_bytes.load(Ordering::Relaxed) {
            let mut reserved = self.reserved.lock();
            let needed = self.bytes.load(Ordering::Relaxed) as u64;
            reserved.shrink_to(needed.next_multiple_of(RESERVATION_STEP_BYTES));
            self.reserved_bytes.store(reserved.bytes(), Ordering::Relaxed);
        }
    }

    fn check_series(&self, series: usize) -> Result<(), QueryError> {
        let limit = self.limits.max_select_series;
        if limit > 0 && series as u64 > limit {
            // InfluxDB stops counting at the first one too many.
            return Err(QueryError::LimitExceeded(format!(
                "max-select-series limit exceeded: ({}/{limit})",
                limit + 1
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
    if !plan.branches.is_empty() {
        return transform::run(plan, piece_rows, usage, pool, emit);
    }
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
        let scanners = request::Scanners::new(plan, source, &layout, &groups)?;
        let run = Run { plan, layout: &layout, source, scanners: &scanners, piece_rows, usage, pool };
        if plan.is_raw() {
            raw::run(&run, &groups, emit)?;
        } else {
            aggregate::run(&run, &groups, emit)?;
        }
    }
    Ok(())
}

/// What a plan reads of one of its sources.
#[derive(Debug, Default)]
pub(crate) struct SourceCost {
    /// The measurement.
    pub(crate) name: Arc<str>,
    /// Its shards that have series of it.
    pub(crate) shards: u64,
    /// Its series, in every shard that has them.
    pub(crate) series: u64,
    /// See [`skywatch_storage::ScanCost`].
    pub(crate) cached_values: u64,
    /// Segments, counted once each.
    pub(crate) files: u64,
    /// See [`skywatch_storage::ScanCost`].
    pub(crate) blocks: u64,
    /// See [`skywatch_storage::ScanCost`].
    pub(crate) block_bytes: u64,
}

/// What a plan reads of those fields of its sources, without reading it.
pub(crate) fn cost(
    plan: &SelectPlan,
    sources: &[NamedSource],
    fields: &[Arc<str>],
    usage: &Usage<'_>,
) -> Result<Vec<SourceCost>, QueryError> {
    let layout = block::Layout::new(plan);
    let mut costs = Vec::new();
    for source in sources {
        let groups = groups::build(plan, source, &layout, usage)?;
        let request = ScanRequest::new(&source.name, fields);
        let scanners =
            source.shards.iter().map(|shard| shard.scanner(&request)).collect::<Result<Vec<_>, _>>()?;
        let mut cost = SourceCost { name: Arc::clone(&source.name), ..SourceCost::default() };
        let (mut shards, mut files) = (BTreeSet::new(), BTreeSet::new());
        for member in groups.iter().flat_map(|group| &group.members) {
            usage.cancel.check()?;
            let scan = scanners[member.shard].scan(member.series, plan.range, Order::Ascending)?.cost();
            shards.insert(member.shard);
            files.extend(scan.segments.into_iter().map(|segment| (member.shard, segment)));
            cost.series += 1;
            cost.cached_values += scan.cached_values;
            cost.blocks += scan.blocks;
            cost.block_bytes += scan.block_bytes;
        }
        (cost.shards, cost.files) = (shards.len() as u64, files.len() as u64);
        costs.push(cost);
    }
    Ok(costs)
}

/// Rows and pieces of series handed from thread to thread at a time.
const ROWS_PER_BATCH: usize = 2048;
const PIECES_PER_BATCH: usize = 256;

/// As [`pool::ordered`], of pieces of series: those that wait for their turn count against the query's memory. Small
/// ones are handed over many at a time, since each handing over may wake a thread.
fn in_order<'a>(
    run: &Run<'a>,
    tasks: usize,
    work: &(dyn Fn(usize, &mut Emit<'_>) -> Result<(), QueryError> + Sync),
    emit: &mut Emit<'_>,
) -> Result<(), QueryError> {
    let batched = |task: usize, emit: &mut dyn FnMut(Batch<'a>) -> Result<(), QueryError>| {
        let mut batch = Batch::default();
        work(task, &mut |series| {
            batch.rows += series.len();
            batch.held.push(run.usage.hold_while(series_bytes(&series))?);
            batch.pieces.push(series);
            if batch.rows < ROWS_PER_BATCH && batch.pieces.len() < PIECES_PER_BATCH {
                return Ok(());
            }
            emit(std::mem::take(&mut batch))
        })?;
        if batch.pieces.is_empty() { Ok(()) } else { emit(batch) }
    };
    pool::ordered(run.pool, tasks, &batched, &mut |batch| batch.pieces.into_iter().try_for_each(&mut *emit))
}

/// Pieces of series on their way from one thread to another.
#[derive(Default)]
struct Batch<'a> {
    pieces: Vec<ResultSeries>,
    rows: usize,
    /// What they count for, given back when they have been taken.
    held: Vec<Held<'a>>,
}

/// About what a value takes, text not counted.
const VALUE_BYTES: usize = 16;

/// About what a piece takes.
pub(crate) fn series_bytes(series: &ResultSeries) -> usize {
    let text = |values: &OutputColumn| match values {
        OutputColumn::Values(column) => text_bytes(column),
        _ => 0,
    };
    series.len() * series.values.len() * VALUE_BYTES + series.values.iter().map(text).sum::<usize>()
}

fn text_bytes(column: &Column) -> usize {
    match &column.values {
        Values::String(values) => values.iter().map(|value| value.len() + VALUE_BYTES).sum(),
        _ => 0,
    }
}

/// One source of a running plan.
#[derive(Clone, Copy)]
struct Run<'a> {
    plan: &'a SelectPlan,
    layout: &'a block::Layout,
    source: &'a NamedSource,
    scanners: &'a request::Scanners<'a>,
    piece_rows: usize,
    usage: &'a Usage<'a>,
    pool: &'a Pool,
}

impl<'a> Run<'a> {
    /// Opens a series where the ends of it are looked for.
    fn scan_edge(
        &self,
        member: &groups::Member,
        range: TimeRange,
        order: Order,
    ) -> Result<Box<dyn BlockStream + 'a>, ReadError> {
        self.scanners.edges[member.shard].scan(member.series, range, order)
    }

    /// Opens a series.
    fn scan(
        &self,
        member: &groups::Member,
        range: TimeRange,
        order: Order,
    ) -> Result<Box<dyn BlockStream + 'a>, ReadError> {
        self.scanners.all[member.shard].scan(member.series, range, order)
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
