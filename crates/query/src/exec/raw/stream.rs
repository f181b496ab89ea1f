//! One series being read, block by block.

use parking_lot::Mutex;
use skywatch_model::{RowBlock, TimeRange};
use skywatch_storage::{BlockStream, End, Order};

use super::{
    super::{
        Run, Usage,
        block::{bytes, reversed, take_rows},
        groups::Member,
    },
    pool,
};
use crate::{QueryError, plan::Bound};

/// Series that one task reads.
const STREAMS_PER_TASK: usize = 32;
/// Blocks of which the condition left fewer rows are joined with the next one.
const ROWS_MIN: usize = 256;

/// A series at one of its rows.
pub(super) struct Stream<'a> {
    /// Which member of the group.
    pub(super) member: usize,
    /// Rows being merged, in the order of the query.
    pub(super) block: RowBlock,
    /// The next one of them.
    pub(super) row: usize,
    /// Whether nothing follows the block.
    pub(super) ended: bool,
    plan: &'a Member,
    /// What is still to be read; opened when first needed.
    blocks: Option<Box<dyn BlockStream + 'a>>,
    /// Past which time to open it.
    beyond: Option<i64>,
    /// Rows of it that can be wanted at all.
    needed: u64,
    /// Whether the first row is to be had alone where that is cheap.
    head: bool,
    /// Bytes of the block, and where they are counted.
    held: Option<(&'a Usage<'a>, usize)>,
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        if let Some((usage, bytes)) = self.held.take() {
            usage.release(bytes);
        }
    }
}

impl<'a> Stream<'a> {
    /// A series before its first row, of which `needed` rows can be wanted.
    pub(super) fn new(plan: &'a Member, member: usize, needed: u64, head: bool) -> Self {
        let head = head && matches!(plan.rows, Bound::All);
        let block = RowBlock::default();
        Self {
            member,
            block,
            row: 0,
            ended: false,
            plan,
            blocks: None,
            beyond: None,
            needed,
            head,
            held: None,
        }
    }

    /// Goes to the next rows; false at the end.
    pub(super) fn advance(&mut self, run: &Run<'a>) -> Result<bool, QueryError> {
        self.row = 0;
        self.block = RowBlock::default();
        // Where all is wanted, few rows are joined; where some are, no more is read than it takes to go on.
        let least = if self.needed == u64::MAX { ROWS_MIN } else { 1 };
        while !self.ended && self.block.times.len() < least {
            if self.read(run)? {
                // One row may be all that is wanted.
                break;
            }
        }
        if let Some((usage, bytes)) = self.held.take() {
            usage.release(bytes);
        }
        let bytes = bytes(&self.block);
        self.held = Some((run.usage, bytes));
        run.usage.hold(bytes)?;
        Ok(!self.block.times.is_empty())
    }

    fn needed_rows(&self) -> usize {
        usize::try_from(self.needed).unwrap_or(usize::MAX)
    }

    /// Reads one more block; true if it was only a row.
    fn read(&mut self, run: &Run<'a>) -> Result<bool, QueryError> {
        let ascending = run.plan.ascending;
        let needed = self.needed_rows();
        let (order, end) =
            if ascending { (Order::Ascending, End::First) } else { (Order::Descending, End::Last) };
        let range = match self.beyond {
            None => run.plan.range,
            Some(time) if ascending => TimeRange::new(time.saturating_add(1), run.plan.range.end),
            Some(time) => TimeRange::new(run.plan.range.start, time.saturating_sub(1)),
        };
        let blocks = match &mut self.blocks {
            Some(blocks) => blocks,
            None => self.blocks.insert(run.scan(self.plan, range, order)?),
        };
        let Some(block) = blocks.next_block()? else {
            self.ended = true;
            return Ok(false);
        };
        if std::mem::take(&mut self.head)
            && let Some(row) = block.end_row(end)
        {
            let row = counting(run, run.layout.arrange(row, &Bound::All));
            if let Some(time) = row.times.first() {
                run.usage.read_points(1)?;
                self.beyond = Some(*time);
                self.block = row;
                drop(block);
                self.blocks = None;
                return Ok(true);
            }
        }
        let rows = run.layout.load(block.as_ref(), &self.plan.rows)?;
        let rows = counting(run, rows);
        run.usage.read_points(rows.times.len() as u64)?;
        let len = rows.times.len();
        let rows = if len <= needed {
            rows
        } else {
            let nearest = if ascending { 0..needed } else { len - needed..len };
            take_rows(rows, &nearest.map(|row| row as u32).collect::<Vec<_>>())
        };
        let rows = if ascending { rows } else { reversed(rows) };
        self.block = super::append::joined(std::mem::take(&mut self.block), rows);
        Ok(false)
    }
}

/// The rows that count: all of a subquery's answer, else those that hold something to show.
fn counting(run: &Run<'_>, rows: RowBlock) -> RowBlock {
    if run.source.is_answer { rows } else { run.layout.keep_shown(rows) }
}

/// Takes every stream to its next rows, on several threads if there are many; leaves out those that have ended.
pub(super) fn advance_all<'a>(
    run: &Run<'a>,
    streams: Vec<Stream<'a>>,
) -> Result<Vec<Stream<'a>>, QueryError> {
    let mut tasks = Vec::with_capacity(streams.len() / STREAMS_PER_TASK + 1);
    let mut rest = streams.into_iter();
    loop {
        let task: Vec<Stream<'a>> = rest.by_ref().take(STREAMS_PER_TASK).collect();
        if task.is_empty() {
            break;
        }
        tasks.push(Mutex::new(task));
    }
    let work = |task: usize, emit: &mut dyn FnMut(Vec<Stream<'a>>) -> Result<(), QueryError>| {
        let mut ready = Vec::with_capacity(STREAMS_PER_TASK);
        for mut stream in std::mem::take(&mut *tasks[task].lock()) {
            if stream.advance(run)? {
                ready.push(stream);
            }
        }
        emit(ready)
    };
    let mut ready = Vec::new();
    pool::ordered(run.pool, tasks.len(), &work, &mut |mut streams| {
        ready.append(&mut streams);
        Ok(())
    })?;
    Ok(ready)
}
