//! `first()` and `last()` over everything: only the ends of the series are read.
//!
//! Where several series end at the same time, InfluxDB looks at two rows: the series are merged through its heap,
//! of the first two rows the one nearer to the end wins, and of equal times the greater value (for `first()` of
//! booleans, false).

use std::{cmp::Ordering, ops::Range};

use skywatch_model::{Column, FieldType, FieldValue, RowBlock, TimeRange};
use skywatch_storage::{End, Order, ScanBlock};

use super::{
    Run,
    aggregate::Scan,
    groups::{Group, Member},
    partial::Partial,
    ties::{Item, Ties},
};
use crate::{
    QueryError,
    go_heap::GoHeap,
    kernel::function::Seek,
    plan::{Bound, CallPlan, SelectPlan},
};

/// A series' row nearest to the end.
#[derive(Debug, Clone)]
struct Edge {
    member: usize,
    time: i64,
    value: FieldValue,
    /// All of it, where that came with the value.
    row: Option<RowBlock>,
}

/// Looks for the edge of one call.
pub(super) struct Search<'a> {
    run: &'a Run<'a>,
    group: &'a Group,
    field: usize,
    wanted: FieldType,
    seek: Seek,
}

/// Whether the ends of the series suffice for a call.
pub(super) fn applies(plan: &SelectPlan, call: &CallPlan) -> bool {
    call.function.seek != Seek::No && plan.windows.is_none() && !plan.reads_subquery
}

/// The answer of call number `call` in a group, if `applies`.
pub(super) fn find(run: &Run<'_>, group: &Group, call: usize) -> Result<Partial, QueryError> {
    let mut partial = Partial::new(&run.plan.calls, run.plan.ascending);
    let plan = &run.plan.calls[call];
    let Some((field, wanted)) = plan.argument else { return Ok(partial) };
    let search = Search { run, group, field, wanted, seek: plan.function.seek };
    let mut clusters = group.clusters.clone();
    if search.seek == Seek::Last {
        clusters.reverse();
    }
    for cluster in clusters {
        if let Some(edge) = search.cluster(cluster)? {
            let row = search.whole_row(&edge)?;
            Scan::new(run, group, edge.member).rows(&row, &[call], &mut partial);
            break;
        }
    }
    Ok(partial)
}

impl Search<'_> {
    fn cluster(&self, cluster: Range<usize>) -> Result<Option<Edge>, QueryError> {
        let mut edges = Vec::new();
        for member in cluster {
            edges.extend(self.edge(member, self.run.plan.range)?);
        }
        if self.seek == Seek::Last {
            edges.reverse();
        }
        if edges.len() < 2 {
            return Ok(edges.pop());
        }
        let members: Vec<usize> = edges.iter().map(|edge| edge.member).collect();
        let ties = Ties::new(self.run, self.group, &members);
        let item = |index: usize, edge: &Edge| -> Result<Item, QueryError> {
            let row = if ties.reads_rows() { self.whole_row(edge)? } else { RowBlock::default() };
            Ok(ties.item(index, edge.time, &row, 0))
        };
        let mut items = Vec::with_capacity(edges.len());
        for (index, edge) in edges.iter().enumerate() {
            items.push(item(index, edge)?);
        }
        let ascending = self.seek == Seek::First;
        let mut heap = GoHeap::new(items, |a: &Item, b: &Item| Item::less(a, b, ascending));
        let Some(nearest) = heap.pop().map(|item| edges[item.stream].clone()) else { return Ok(None) };
        // Its series' next row goes back into the heap, and may shift what comes second.
        let position = edges.iter().position(|edge| edge.member == nearest.member);
        if let (Some(position), Some(next)) =
            (position, self.edge(nearest.member, self.beyond(nearest.time))?)
        {
            heap.push(item(position, &next)?);
            edges[position] = next;
        }
        Ok(heap.pop().map(|item| edges[item.stream].clone()).map_or(Some(nearest.clone()), |second| {
            let wins = second.time == nearest.time && self.prefers(&second.value, &nearest.value);
            Some(if wins { second } else { nearest })
        }))
    }

    /// Whether of two values at the same time this one is taken.
    fn prefers(&self, value: &FieldValue, other: &FieldValue) -> bool {
        match (value, other) {
            (FieldValue::Boolean(value), FieldValue::Boolean(other)) if self.seek == Seek::First => {
                value < other
            }
            (value, other) => greater(value, other),
        }
    }

    /// The times past an edge.
    fn beyond(&self, time: i64) -> TimeRange {
        let range = self.run.plan.range;
        match self.seek {
            Seek::Last => TimeRange::new(range.start, time.saturating_sub(1)),
            Seek::First | Seek::No => TimeRange::new(time.saturating_add(1), range.end),
        }
    }

    fn member(&self, member: usize) -> &Member {
        &self.group.members[member]
    }

    fn edge(&self, index: usize, range: TimeRange) -> Result<Option<Edge>, QueryError> {
        let member = self.member(index);
        let order = if self.seek == Seek::Last { Order::Descending } else { Order::Ascending };
        let mut stream = self.run.scan_edge(member, range, order)?;
        while let Some(block) = stream.next_block()? {
            if let Some(edge) = self.end_row(index, block.as_ref()) {
                self.run.usage.read_points(1)?;
                return Ok(Some(edge));
            }
            let stats = match member.rows {
                Bound::All => block.stats(self.run.layout.index[self.field]),
                Bound::Nothing | Bound::Rows(_) => None,
            };
            if let Some(stats) = stats.filter(|stats| stats.first.1.field_type() == self.wanted) {
                self.run.usage.read_points(1)?;
                let (time, value) = if self.seek == Seek::Last { &stats.last } else { &stats.first };
                return Ok(Some(Edge { member: index, time: *time, value: value.clone(), row: None }));
            }
            let rows = self.run.layout.load(block.as_ref(), &member.rows)?;
            self.run.usage.read_points(rows.times.len() as u64)?;
            if let Some(column) = &rows.columns[self.field] {
                let mut valid = (0..rows.times.len()).filter(|row| column.is_valid(*row));
                let row = if self.seek == Seek::Last { valid.next_back() } else { valid.next() };
                if let Some(row) = row {
                    let value = column.values.get(row);
                    return Ok(Some(Edge { member: index, time: rows.times[row], value, row: None }));
                }
            }
        }
        Ok(None)
    }

    /// The edge of a block that has a value in its last row and knows that row.
    fn end_row(&self, member: usize, block: &dyn ScanBlock) -> Option<Edge> {
        if !matches!(self.member(member).rows, Bound::All) {
            return None;
        }
        let row = block.end_row(if self.seek == Seek::Last { End::Last } else { End::First })?;
        let row = self.run.layout.arrange(row, &Bound::All);
        let value = row.columns[self.field].as_ref()?.get(0)?;
        Some(Edge { member, time: row.times[0], value, row: Some(row) })
    }

    /// The row of an edge, with every field that the query shows.
    fn whole_row(&self, edge: &Edge) -> Result<RowBlock, QueryError> {
        if let Some(row) = &edge.row {
            return Ok(row.clone());
        }
        if self.run.plan.references.is_empty() {
            let mut columns = vec![None; self.run.plan.scan_fields.len()];
            columns[self.field] = Some(Column::of_one(edge.value.clone()));
            return Ok(RowBlock { times: vec![edge.time], columns });
        }
        let member = self.member(edge.member);
        let range = TimeRange::new(edge.time, edge.time);
        let mut stream = self.run.scan_edge(member, range, Order::Ascending)?;
        match stream.next_block()? {
            Some(block) => Ok(self.run.layout.load(block.as_ref(), &member.rows)?),
            None => Ok(RowBlock::default()),
        }
    }
}

fn greater(a: &FieldValue, b: &FieldValue) -> bool {
    let order = match (a, b) {
        (FieldValue::Float(a), FieldValue::Float(b)) => a.partial_cmp(b),
        (FieldValue::Integer(a), FieldValue::Integer(b)) => Some(a.cmp(b)),
        (FieldValue::Unsigned(a), FieldValue::Unsigned(b)) => Some(a.cmp(b)),
        (FieldValue::String(a), FieldValue::String(b)) => Some(a.cmp(b)),
        (FieldValue::Boolean(a), FieldValue::Boolean(b)) => Some(a.cmp(b)),
        _ => None,
    };
    order == Some(Ordering::Greater)
}
