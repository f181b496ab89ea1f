//! Rows as they are stored: the series of a group merged by time.
//!
//! Series of one cluster of shards are merged through a heap; clusters follow each other. Rows of equal time come
//! in the order in which InfluxDB's heap leaves them: by the selected strings, in the order of their names, up to
//! the first selected thing that is no string; then as [`GoHeap`] does.

use std::{ops::Range, sync::Arc};

use skywatch_model::{RowBlock, TimeRange};
use skywatch_storage::{BlockStream, Order};

use super::{
    Emit, Run,
    block::reversed,
    frame,
    go_heap::GoHeap,
    groups::{Group, Member},
    pool,
    ties::{Item, Ties},
};
use crate::QueryError;

mod gather;

use gather::Gather;

/// Groups that one task reads.
const GROUPS_PER_TASK_MAX: usize = 64;

pub(super) fn run(run: &Run<'_>, groups: &[Group], emit: &mut Emit<'_>) -> Result<(), QueryError> {
    let per_task = (groups.len() / (run.pool.threads() * 4)).clamp(1, GROUPS_PER_TASK_MAX);
    let tasks: Vec<&[Group]> = groups.chunks(per_task).collect();
    let work = |task: usize, emit: &mut Emit<'_>| {
        tasks[task].iter().try_for_each(|group| Merge::new(run, group).run(emit))
    };
    pool::ordered(run.pool, tasks.len(), &work, emit)
}

/// The merge of one group.
struct Merge<'a> {
    run: &'a Run<'a>,
    group: &'a Group,
    /// Rows still to skip.
    skip: u64,
    /// Rows still wanted.
    wanted: u64,
}

impl<'a> Merge<'a> {
    fn new(run: &'a Run<'a>, group: &'a Group) -> Self {
        let wanted = if run.plan.limit == 0 { u64::MAX } else { run.plan.limit };
        Self { run, group, skip: run.plan.offset, wanted }
    }

    fn run(mut self, emit: &mut Emit<'_>) -> Result<(), QueryError> {
        let mut gather = Gather::new(self.run, self.group);
        let mut clusters = self.group.clusters.clone();
        if !self.run.plan.ascending {
            clusters.reverse();
        }
        for cluster in clusters {
            if self.wanted == 0 {
                break;
            }
            self.cluster(cluster, &mut gather, emit)?;
        }
        gather.finish(emit)
    }

    fn cluster(
        &mut self,
        cluster: Range<usize>,
        gather: &mut Gather<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<(), QueryError> {
        let mut members: Vec<usize> = cluster.collect();
        if !self.run.plan.ascending {
            members.reverse();
        }
        let mut streams = members
            .iter()
            .map(|&member| Stream::open(self.run, &self.group.members[member], member))
            .collect::<Result<Vec<_>, _>>()?;
        if let [stream] = streams.as_mut_slice() {
            return self.single(stream, gather, emit);
        }
        let mut ready = Vec::with_capacity(streams.len());
        for stream in &mut streams {
            if stream.advance(self.run)? {
                ready.push(stream);
            }
        }
        self.merge(ready, gather, emit)
    }

    /// A lone series needs no heap: its blocks pass through.
    fn single(
        &mut self,
        stream: &mut Stream<'_>,
        gather: &mut Gather<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<(), QueryError> {
        while self.wanted > 0 && stream.advance(self.run)? {
            let rows = self.cut(0..stream.block.times.len());
            gather.rows(stream.member, &stream.block, rows, emit)?;
        }
        Ok(())
    }

    /// What OFFSET and LIMIT leave of the next rows.
    fn cut(&mut self, rows: Range<usize>) -> Range<usize> {
        let skipped = (self.skip as usize).min(rows.len());
        let taken =
            rows.len().saturating_sub(skipped).min(usize::try_from(self.wanted).unwrap_or(usize::MAX));
        self.skip -= skipped as u64;
        self.wanted -= taken as u64;
        rows.start + skipped..rows.start + skipped + taken
    }

    fn merge(
        &mut self,
        mut streams: Vec<&mut Stream<'_>>,
        gather: &mut Gather<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<(), QueryError> {
        let members: Vec<usize> = streams.iter().map(|stream| stream.member).collect();
        let ties = Ties::new(self.run, self.group, &members);
        let item = |stream: &Stream<'_>, index: usize| {
            ties.item(index, stream.block.times[stream.row], &stream.block, stream.row)
        };
        let items = streams.iter().enumerate().map(|(index, stream)| item(stream, index)).collect();
        let ascending = self.run.plan.ascending;
        let mut heap = GoHeap::new(items, |a: &Item, b: &Item| Item::less(a, b, ascending));
        while self.wanted > 0
            && let Some(next) = heap.pop()
        {
            let index = next.stream;
            let row = streams[index].row;
            let rows = self.cut(row..row + 1);
            gather.rows(streams[index].member, &streams[index].block, rows, emit)?;
            streams[index].row += 1;
            if streams[index].row < streams[index].block.times.len() || streams[index].advance(self.run)? {
                heap.push(item(streams[index], index));
            }
        }
        Ok(())
    }
}

/// One series being read.
struct Stream<'a> {
    member: usize,
    plan: &'a Member,
    blocks: Box<dyn BlockStream + 'a>,
    /// The block being merged, in the order of the query.
    block: Arc<RowBlock>,
    row: usize,
}

impl<'a> Stream<'a> {
    fn open(run: &Run<'a>, plan: &'a Member, member: usize) -> Result<Self, QueryError> {
        let order = if run.plan.ascending { Order::Ascending } else { Order::Descending };
        let range: TimeRange = run.plan.range;
        let blocks = run.scan(plan, range, order)?;
        Ok(Self { member, plan, blocks, block: Arc::default(), row: 0 })
    }

    /// Goes to the next block with rows; false at the end.
    fn advance(&mut self, run: &Run<'_>) -> Result<bool, QueryError> {
        self.row = 0;
        while let Some(block) = self.blocks.next_block()? {
            let rows = run.layout.keep_shown(run.layout.load(block.as_ref(), &self.plan.rows)?);
            run.usage.read_points(rows.times.len() as u64)?;
            if !rows.times.is_empty() {
                self.block = Arc::new(if run.plan.ascending { rows } else { reversed(rows) });
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Shared with the gathering of rows.
fn emit_rows(
    run: &Run<'_>,
    group: &Group,
    rows: (Vec<i64>, crate::expr::Frame),
    partial: bool,
    emit: &mut Emit<'_>,
) -> Result<(), QueryError> {
    let mut series = run.series(group);
    series.values = frame::columns(run.plan, rows.0, rows.1);
    series.partial = partial;
    emit(series)
}
