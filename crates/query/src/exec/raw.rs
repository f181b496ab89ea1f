//! Rows as they are stored: the series of a group merged by time.
//!
//! Series of one cluster of shards are merged; clusters follow each other. Rows of equal time come in the order in
//! which InfluxDB's heap leaves them: by the selected strings, in the order of their names, up to the first selected
//! thing that is no string; then as [`GoHeap`] does. Where tags alone order all series, sorting gives the same order
//! sooner: see [`sorted`]. Rows of a subquery that selects without `GROUP BY time()` are all of one window, and come
//! series by series.

use std::{ops::Range, vec::IntoIter};

use super::{
    Emit, Run,
    groups::Group,
    pool,
    ties::{Item, Ties},
};
use crate::{QueryError, go_heap::GoHeap, plan::RowOrder};

mod append;
mod gather;
mod sorted;
mod stream;

pub(super) use append::Appender;
pub(super) use gather::Gather;
use sorted::Sorted;
use stream::{Stream, advance_all};

/// Groups that one task reads.
const GROUPS_PER_TASK_MAX: usize = 64;
/// From so many series on, rows are merged on one thread while another writes them.
const MEMBERS_TO_PIPELINE: usize = 16;
/// Rows that a heap merges between two looks at whether the query is to go on.
const ROWS_PER_STEP: usize = 4096;

pub(super) fn run(run: &Run<'_>, groups: &[Group], emit: &mut Emit<'_>) -> Result<(), QueryError> {
    if let [group] = groups
        && group.members.len() >= MEMBERS_TO_PIPELINE
    {
        return Merge::new(run, group).pipelined(emit);
    }
    let per_task = (groups.len() / (run.pool.threads() * 4)).clamp(1, GROUPS_PER_TASK_MAX);
    let tasks: Vec<&[Group]> = groups.chunks(per_task).collect();
    let work = |task: usize, emit: &mut Emit<'_>| {
        tasks[task].iter().try_for_each(|group| Merge::new(run, group).run(emit))
    };
    super::in_order(run, tasks.len(), &work, emit)
}

/// The merge of one group, step by step.
pub(super) struct Merge<'a> {
    run: &'a Run<'a>,
    group: &'a Group,
    /// Clusters of shards still to come, in the order of the query.
    clusters: IntoIter<Range<usize>>,
    /// The one being merged.
    cluster: Option<Cluster<'a>>,
    quota: Quota,
}

/// What OFFSET and LIMIT leave.
#[derive(Clone, Copy)]
struct Quota {
    /// Rows still to skip.
    skip: u64,
    /// Rows still wanted.
    wanted: u64,
}

impl Quota {
    /// What is left of the next rows.
    fn cut(&mut self, rows: Range<usize>) -> Range<usize> {
        let skipped = (self.skip as usize).min(rows.len());
        let taken =
            rows.len().saturating_sub(skipped).min(usize::try_from(self.wanted).unwrap_or(usize::MAX));
        self.skip -= skipped as u64;
        self.wanted -= taken as u64;
        rows.start + skipped..rows.start + skipped + taken
    }
}

impl<'a> Merge<'a> {
    pub(super) fn new(run: &'a Run<'a>, group: &'a Group) -> Self {
        let wanted = if run.plan.limit == 0 { u64::MAX } else { run.plan.limit };
        let mut clusters = group.clusters.clone();
        if !run.plan.ascending {
            clusters.reverse();
        }
        let quota = Quota { skip: run.plan.offset, wanted };
        Self { run, group, clusters: clusters.into_iter(), cluster: None, quota }
    }

    fn run(mut self, emit: &mut Emit<'_>) -> Result<(), QueryError> {
        let mut gather = Gather::new(self.run, self.group);
        while self.step(&mut gather, emit)? {}
        gather.finish(emit)
    }

    /// Merges some more rows; false when there are none left.
    pub(super) fn step(&mut self, gather: &mut Gather<'_>, emit: &mut Emit<'_>) -> Result<bool, QueryError> {
        if self.cluster.is_none() {
            self.cluster = self.next_cluster()?;
        }
        let Some(cluster) = &mut self.cluster else { return Ok(false) };
        if !cluster.step(self.run, &mut self.quota, gather, emit)? {
            self.cluster = None;
        }
        Ok(true)
    }

    /// Reads on all threads, then merges on one of them while this one emits.
    fn pipelined(mut self, emit: &mut Emit<'_>) -> Result<(), QueryError> {
        let (run, pool) = (self.run, self.run.pool);
        let mut gather = Gather::new(run, self.group);
        while let Some(cluster) = self.next_cluster()? {
            let state = parking_lot::Mutex::new((cluster, self.quota, gather));
            let work = |_: usize, emit: &mut Emit<'_>| {
                let (cluster, quota, gather) = &mut *state.lock();
                while cluster.step(run, quota, gather, emit)? {}
                Ok(())
            };
            pool::beside(pool, &work, emit)?;
            (_, self.quota, gather) = state.into_inner();
        }
        gather.finish(emit)
    }

    /// Opens the next cluster; `None` after the last, or when no more rows are wanted.
    fn next_cluster(&mut self) -> Result<Option<Cluster<'a>>, QueryError> {
        if self.quota.wanted == 0 {
            return Ok(None);
        }
        let Some(members) = self.clusters.next() else { return Ok(None) };
        let mut streams = self.open(members)?;
        if streams.len() == 1 || self.run.source.order == RowOrder::Series {
            streams.reverse();
            return Ok(Some(Cluster::InTurn(streams)));
        }
        let members: Vec<usize> = streams.iter().map(|stream| stream.member).collect();
        let ties = match self.run.source.order {
            RowOrder::Heap => Ties::new(self.run, self.group, &members),
            RowOrder::TimeThenSeries | RowOrder::Series => Ties::by_place(members.len()),
        };
        Ok(Some(match ties.total_order() {
            Some(ranks) if self.quota.skip == 0 && self.quota.wanted == u64::MAX => {
                Cluster::Sorted(Sorted::new(self.run, streams, ranks))
            }
            _ => Cluster::Heap(Heap::new(self.run, ties, streams)),
        }))
    }

    /// The series of a cluster that have rows, each at its first one.
    fn open(&self, cluster: Range<usize>) -> Result<Vec<Stream<'a>>, QueryError> {
        let mut members: Vec<usize> = cluster.collect();
        if !self.run.plan.ascending && self.run.source.order != RowOrder::Series {
            members.reverse();
        }
        let needed = self.quota.skip.saturating_add(self.quota.wanted);
        // Of a lone series more than its first row may be wanted at once.
        let heads = needed == 1 || (needed < u64::MAX && members.len() > 1);
        let open = |&member: &usize| Stream::new(&self.group.members[member], member, needed, heads);
        advance_all(self.run, members.iter().map(open).collect())
    }
}

/// The series of one cluster being merged.
enum Cluster<'a> {
    /// A lone one needs no merging: its blocks pass through. So do those of several that follow each other; the last
    /// comes first.
    InTurn(Vec<Stream<'a>>),
    /// Tags tell the order of rows of one time.
    Sorted(Sorted<'a>),
    /// As InfluxDB's heap leaves them.
    Heap(Heap<'a>),
}

impl<'a> Cluster<'a> {
    /// Merges some more rows; false when there are none left.
    fn step(
        &mut self,
        run: &Run<'a>,
        quota: &mut Quota,
        gather: &mut Gather<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<bool, QueryError> {
        match self {
            Self::InTurn(streams) => {
                let Some(stream) = streams.last_mut() else { return Ok(false) };
                let rows = quota.cut(0..stream.block.times.len());
                gather.rows(stream.member, &stream.block, rows, emit)?;
                if quota.wanted > 0 && !stream.advance(run)? {
                    streams.pop();
                }
                Ok(quota.wanted > 0 && !streams.is_empty())
            }
            Self::Sorted(sorted) => sorted.step(run, gather, emit),
            Self::Heap(heap) => heap.step(run, quota, gather, emit),
        }
    }
}

/// Whether an item of the heap precedes another.
type Less = fn(&Item, &Item) -> bool;

/// Series in a heap, each by its next row.
struct Heap<'a> {
    ties: Ties,
    streams: Vec<Stream<'a>>,
    heap: GoHeap<Item, Less>,
}

impl<'a> Heap<'a> {
    fn new(run: &Run<'a>, ties: Ties, streams: Vec<Stream<'a>>) -> Self {
        let item = |(index, stream): (usize, &Stream<'_>)| {
            ties.item(index, stream.block.times[stream.row], &stream.block, stream.row)
        };
        let items = streams.iter().enumerate().map(item).collect();
        let less: Less =
            if run.plan.ascending { |a, b| Item::less(a, b, true) } else { |a, b| Item::less(a, b, false) };
        Self { heap: GoHeap::new(items, less), ties, streams }
    }

    fn step(
        &mut self,
        run: &Run<'a>,
        quota: &mut Quota,
        gather: &mut Gather<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<bool, QueryError> {
        run.usage.cancel.check()?;
        for _ in 0..ROWS_PER_STEP {
            if quota.wanted == 0 {
                return Ok(false);
            }
            let Some(next) = self.heap.pop() else { return Ok(false) };
            let stream = &mut self.streams[next.stream];
            let rows = quota.cut(stream.row..stream.row + 1);
            gather.rows(stream.member, &stream.block, rows, emit)?;
            stream.row += 1;
            if stream.row < stream.block.times.len() || stream.advance(run)? {
                let time = stream.block.times[stream.row];
                self.heap.push(self.ties.item(next.stream, time, &stream.block, stream.row));
            }
        }
        Ok(true)
    }
}
