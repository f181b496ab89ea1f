//! Rows on their way in: points of one batch, regrouped into columns by their set of fields.
//!
//! The log, the memtable and replay all work on a [`RowSet`]. Within a group columns are contiguous; the runs
//! remember in which order rows of different groups arrived, because of two rows of one batch that write the same
//! cell the later one wins.

mod buffer;

use std::sync::Arc;

use rustc_hash::FxHashMap;
use skywatch_model::{FieldType, Version};

pub(crate) use buffer::Buffer;

/// A series within one shard; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SeriesId(pub(crate) u32);

/// A field of a measurement within one shard; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FieldId(pub(crate) u32);

/// Which fields a row has, in which order. Fields are distinct.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) fields: Box<[FieldId]>,
    pub(crate) types: Box<[FieldType]>,
}

/// Rows with the same fields, in order of arrival.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) layout: Arc<Layout>,
    pub(crate) series: Vec<SeriesId>,
    pub(crate) times: Vec<i64>,
    /// One per field of the layout.
    pub(crate) columns: Vec<Buffer>,
}

impl Group {
    pub(crate) fn new(layout: Arc<Layout>) -> Self {
        let columns = layout.types.iter().map(|field_type| Buffer::new(*field_type)).collect();
        Self { layout, series: Vec::new(), times: Vec::new(), columns }
    }

    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    fn clear(&mut self) {
        self.series.clear();
        self.times.clear();
        self.columns.iter_mut().for_each(Buffer::clear);
    }
}

/// Consecutive rows of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) group: u32,
    pub(crate) rows: u32,
}

/// How many empty groups a cleared set keeps for its next use.
const KEPT_GROUPS: usize = 64;

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct RowSet {
    pub(crate) version: Version,
    groups: Vec<Group>,
    group_of: FxHashMap<usize, u32>,
    runs: Vec<Run>,
    rows: usize,
}

impl RowSet {
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Groups, some perhaps without rows.
    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Forgets the rows, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.rows = 0;
        if self.groups.len() > KEPT_GROUPS {
            self.groups.clear();
            self.group_of.clear();
        }
        self.groups.iter_mut().for_each(Group::clear);
    }

    /// The group of `layout`, to which the caller appends exactly one row (or several of which it then tells
    /// [`Self::add_rows`]).
    pub(crate) fn group_for(&mut self, layout: &Arc<Layout>) -> (u32, &mut Group) {
        let last = self.runs.last().map(|run| run.group);
        let index = match last {
            Some(last) if Arc::ptr_eq(&self.groups[last as usize].layout, layout) => last,
            _ => *self.group_of.entry(Arc::as_ptr(layout) as usize).or_insert_with(|| {
                self.groups.push(Group::new(Arc::clone(layout)));
                self.groups.len() as u32 - 1
            }),
        };
        (index, &mut self.groups[index as usize])
    }

    /// Records that `rows` rows were appended to `group`, after all others so far.
    pub(crate) fn add_rows(&mut self, group: u32, rows: u32) {
        self.rows += rows as usize;
        match self.runs.last_mut() {
            Some(run) if run.group == group => run.rows += rows,
            _ => self.runs.push(Run { group, rows }),
        }
    }

    /// The rows whose layout and series are accepted.
    pub(crate) fn filtered(
        &self,
        layouts: impl Fn(&Layout) -> bool,
        series: impl Fn(SeriesId) -> bool,
    ) -> Self {
        let mut kept = Self { version: self.version, ..Self::default() };
        let mut taken = vec![0; self.groups.len()];
        for run in &self.runs {
            let source = &self.groups[run.group as usize];
            let first = taken[run.group as usize];
            taken[run.group as usize] += run.rows as usize;
            for row in (first..first + run.rows as usize).filter(|row| series(source.series[*row])) {
                if layouts(&source.layout) {
                    let (number, group) = kept.group_for(&source.layout);
                    group.series.push(source.series[row]);
                    group.times.push(source.times[row]);
                    let columns = group.columns.iter_mut().zip(&source.columns);
                    columns.for_each(|(column, from)| column.push_from(from, row));
                    kept.add_rows(number, 1);
                }
            }
        }
        kept
    }

    /// States what every method relies on.
    pub(crate) fn check(&self) {
        let mut rows = vec![0; self.groups.len()];
        for run in &self.runs {
            rows[run.group as usize] += run.rows as usize;
        }
        for (group, rows) in self.groups.iter().zip(rows) {
            assert!(group.len() == rows && group.series.len() == rows, "runs and rows of a group disagree");
        }
    }
}
