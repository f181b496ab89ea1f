//! Rows as they are stored: the series of a group merged by time.
//!
//! Series of one cluster of shards are merged; clusters follow each other. Rows of equal time come in the order in
//! which InfluxDB's heap leaves them: by the selected strings, in the order of their names, up to the first selected
//! thing that is no string; then as [`GoHeap`] does. Where tags alone order all series, sorting gives the same order
//! sooner: see [`sorted`]. Rows of a subquery that selects without `GROUP BY time()` are all of one window, and come
//! series by series.

use std::ops::Range;

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

use gather::Gather;
use stream::{Stream, advance_all};

/// Groups that one task reads.
const GROUPS_PER_TASK_MAX: usize = 64;
/// From so many series on, rows are merged on one thread while another writes them.
const MEMBERS_TO_PIPELINE: usize = 16;
/// Rows merged between two looks at whether the query is to go on.
const ROWS_PER_CHECK: u64 = 4096;

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
        for cluster in self.clusters() {
            if self.wanted == 0 {
                break;
            }
            let streams = self.open(cluster)?;
            self.cluster(streams, &mut gather, emit)?;
        }
        gather.finish(emit)
    }

    /// Reads on all threads, then merges on one of them while this one emits.
    fn pipelined(mut self, emit: &mut Emit<'_>) -> Result<(), QueryError> {
        let pool = self.run.pool;
        let mut gather = Gather::new(self.run, self.group);
        for cluster in self.clusters() {
            if self.wanted == 0 {
                break;
            }
            let streams = self.open(cluster)?;
            let state = parking_lot::Mutex::new((self, gather, Some(streams)));
            let work = |_: usize, emit: &mut Emit<'_>| {
                let (merge, gather, streams) = &mut *state.lock();
                merge.cluster(streams.take().unwrap_or_default(), gather, emit)
            };
            pool::beside(pool, &work, emit)?;
            (self, gather, _) = state.into_inner();
        }
        gather.finish(emit)
    }

    /// Clusters of shards in the order of the query.
    fn clusters(&self) -> Vec<Range<usize>> {
        let mut clusters = self.group.clusters.clone();
        if !self.run.plan.ascending {
            clusters.reverse();
        }
        clusters
    }

    /// The series of a cluster that have rows, each at its first one.
    fn open(&self, cluster: Range<usize>) -> Result<Vec<Stream<'a>>, QueryError> {
        let mut members: Vec<usize> = cluster.collect();
        if !self.run.plan.ascending && self.run.source.order != RowOrder::Series {
            members.reverse();
        }
        let needed = self.skip.saturating_add(self.wanted);
        // Of a lone series more than its first row may be wanted at once.
        let heads = needed == 1 || (needed < u64::MAX && members.len() > 1);
        let open = |&member: &usize| Stream::new(&self.group.members[member], member, needed, heads);
        advance_all(self.run, members.iter().map(open).collect())
    }

    fn cluster(
        &mut self,
        mut streams: Vec<Stream<'a>>,
        gather: &mut Gather<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<(), QueryError> {
        if let [stream] = streams.as_mut_slice() {
            return self.single(stream, gather, emit);
        }
        if self.run.source.order == RowOrder::Series {
            return streams.iter_mut().try_for_each(|stream| self.single(stream, gather, emit));
        }
        let members: Vec<usize> = streams.iter().map(|stream| stream.member).collect();
        let ties = match self.run.source.order {
            RowOrder::Heap => Ties::new(self.run, self.group, &members),
            RowOrder::TimeThenSeries | RowOrder::Series => Ties::by_place(members.len()),
        };
        match ties.total_order() {
            Some(ranks) if self.skip == 0 && self.wanted == u64::MAX => {
                sorted::merge(self.run, streams, ranks, gather, emit)
            }
            _ => self.merge(&ties, streams, gather, emit),
        }
    }

    /// A lone series needs no heap: its blocks pass through.
    fn single(
        &mut self,
        stream: &mut Stream<'a>,
        gather: &mut Gather<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<(), QueryError> {
        loop {
            if self.wanted == 0 {
                return Ok(());
            }
            let rows = self.cut(0..stream.block.times.len());
            gather.rows(stream.member, &stream.block, rows, emit)?;
            if self.wanted == 0 || !stream.advance(self.run)? {
                return Ok(());
            }
        }
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
        ties: &Ties,
        mut streams: Vec<Stream<'a>>,
        gather: &mut Gather<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<(), QueryError> {
        let item = |stream: &Stream<'_>, index: usize| {
            ties.item(index, stream.block.times[stream.row], &stream.block, stream.row)
        };
        let items = streams.iter().enumerate().map(|(index, stream)| item(stream, index)).collect();
        let ascending = self.run.plan.ascending;
        let mut heap = GoHeap::new(items, |a: &Item, b: &Item| Item::less(a, b, ascending));
        let mut merged = 0u64;
        while self.wanted > 0
            && let Some(next) = heap.pop()
        {
            merged += 1;
            if merged.is_multiple_of(ROWS_PER_CHECK) {
                self.run.usage.cancel.check()?;
            }
            let index = next.stream;
            let stream = &mut streams[index];
            let rows = self.cut(stream.row..stream.row + 1);
            gather.rows(stream.member, &stream.block, rows, emit)?;
            stream.row += 1;
            if stream.row < stream.block.times.len() || stream.advance(self.run)? {
                heap.push(item(stream, index));
            }
        }
        Ok(())
    }
}
