//! Subqueries: their answers become a shard that the outer query reads.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use skywatch_influxql::{BinaryOp, Call, Expr, Fill, Select, SortField};
use skywatch_model::{Column, MAX_TIME, MIN_TIME, TimeRange};

use super::{Context, select::sources};
use crate::{
    OutputColumn, QueryError, ResultSeries,
    exec::{self, Usage},
    expr::{Vector, VectorBuilder},
    memory::MemoryShard,
    plan::{self, Answer, Outer, RowOrder, SourceContext, Subqueries},
};

/// Rows in a block of a subquery's answer.
const BLOCK_ROWS: usize = 4096;
/// How deep subqueries may nest.
const DEPTH_MAX: u32 = 16;

/// Runs subqueries on behalf of one statement.
pub(super) struct Nested<'a> {
    context: &'a Context<'a>,
    usage: &'a Usage<'a>,
    descent: Descent,
}

impl<'a> Nested<'a> {
    pub(super) const fn new(context: &'a Context<'a>, usage: &'a Usage<'a>) -> Self {
        Self { context, usage, descent: Descent::new() }
    }

    fn answer(
        &self,
        select: &Select,
        outer: &Outer<'_>,
        inherits_interval: bool,
    ) -> Result<Answer, QueryError> {
        let mut shard = MemoryShard::for_answer(BLOCK_ROWS);
        let context = SourceContext {
            subqueries: self,
            readable: Some(outer.readable),
            inherits_interval,
            ..sources(self.context, self)
        };
        let mut order = RowOrder::Heap;
        if let Some(mut plan) = plan::plan_select(select, &context)? {
            order = match (plan.is_raw(), &plan.windows) {
                _ if !plan.branches.is_empty() => RowOrder::TimeThenSeries,
                (true, _) => RowOrder::Heap,
                (false, None) => RowOrder::Series,
                (false, Some(_)) => RowOrder::TimeThenSeries,
            };
            plan.keeps_nan = true;
            // Whatever reads an answer relies on the order of its times.
            for source in plan.sources.iter_mut().filter(|source| source.order == RowOrder::Series) {
                source.order = RowOrder::TimeThenSeries;
            }
            let mut collected: Vec<ResultSeries> = Vec::new();
            exec::run(&plan, usize::MAX, self.usage, self.context.pool, &mut |series| {
                self.usage.hold(exec::series_bytes(&series))?;
                collected.push(series);
                Ok(())
            })?;
            for series in collected {
                add(&mut shard, series, plan.ascending);
            }
            for (name, field_type) in plan.columns.iter().skip(1).zip(&plan.types) {
                if let Some(field_type) = field_type {
                    shard.declare(name, *field_type);
                }
            }
        }
        Ok(Answer { shard: Arc::new(shard), order })
    }
}

impl Subqueries for Nested<'_> {
    fn run(&self, select: &Select, outer: &Outer<'_>) -> Result<Answer, QueryError> {
        self.descent.enter(select, outer, |select, inherits| self.answer(select, outer, inherits))
    }
}

/// The way down through subqueries.
pub(super) struct Descent {
    depth: Cell<u32>,
    /// `GROUP BY time()` of the nearest query around that has one.
    interval: RefCell<Option<Expr>>,
}

impl Descent {
    /// At the outermost query.
    pub(super) const fn new() -> Self {
        Self { depth: Cell::new(0), interval: RefCell::new(None) }
    }

    /// Goes one subquery down and back; `visit` sees it with what it takes over from the queries around it, and whether
    /// an interval is among that.
    pub(super) fn enter<T>(
        &self,
        select: &Select,
        outer: &Outer<'_>,
        visit: impl FnOnce(&Select, bool) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        if self.depth.get() == DEPTH_MAX {
            return Err(QueryError::invalid(format!("subqueries nest deeper than {DEPTH_MAX}")));
        }
        self.depth.set(self.depth.get() + 1);
        let own = outer.select.group_by.iter().find(|dimension| matches!(dimension, Expr::Call(_)));
        let around = self.interval.borrow().clone();
        if let Some(own) = own {
            self.interval.replace(Some(own.clone()));
        }
        let inherited = inherit(select, outer, self.interval.borrow().as_ref());
        let visited = inherited.and_then(|(select, inherits_interval)| visit(&select, inherits_interval));
        self.depth.set(self.depth.get() - 1);
        self.interval.replace(around);
        visited
    }
}

/// What a subquery takes over from the query around it: times, order, grouping. An interval is that of the nearest query
/// around that has one; it is told whether there is such an interval.
fn inherit(
    select: &Select,
    outer: &Outer<'_>,
    interval: Option<&Expr>,
) -> Result<(Select, bool), QueryError> {
    let mut select = select.clone();
    if !select.order_by.is_empty() && select.ascending() != outer.select.ascending() {
        return Err(QueryError::invalid(
            "subqueries must be ordered in the same direction as the query itself",
        ));
    }
    if !outer.select.ascending() {
        select.order_by = vec![SortField { name: Some("time".to_owned()), ascending: false }];
    }
    bound_times(&mut select, outer.range);
    let is_time = |dimension: &Expr| matches!(dimension, Expr::Call(_));
    let grouped = select.group_by.iter().any(is_time);
    // What is null is no value to the query around it.
    if has_calls(&select) && select.fill == Fill::Null {
        select.fill = Fill::None;
    }
    for dimension in &outer.select.group_by {
        if matches!(dimension, Expr::VarRef(_)) && !select.group_by.contains(dimension) {
            select.group_by.push(dimension.clone());
        }
    }
    let interval = interval.filter(|_| !grouped && has_calls(&select));
    select.group_by.extend(interval.cloned());
    Ok((select, interval.is_some()))
}

fn bound_times(select: &mut Select, range: TimeRange) {
    let mut bound = |op, time: i64| {
        let bound = Expr::binary(op, Expr::var("time"), Expr::Time(time));
        select.condition = Some(match select.condition.take() {
            Some(condition) => Expr::binary(BinaryOp::And, Expr::Paren(Box::new(condition)), bound),
            None => bound,
        });
    };
    if range.start != MIN_TIME {
        bound(BinaryOp::GtEq, range.start);
    }
    if range.end != MAX_TIME {
        bound(BinaryOp::LtEq, range.end);
    }
}

fn has_calls(select: &Select) -> bool {
    let is_aggregate = |call: &Call| crate::expr::MathFunction::find(&call.name).is_none();
    select.fields.iter().any(|field| {
        let mut found = false;
        field.expr.walk(&mut |expr| {
            found |=
                matches!(expr, Expr::Distinct(_)) || matches!(expr, Expr::Call(call) if is_aggregate(call));
        });
        found
    })
}

/// Adds a series of an answer: its columns become fields.
fn add(shard: &mut MemoryShard, series: ResultSeries, ascending: bool) {
    let len = series.len();
    let mut times = Vec::new();
    let mut columns = Vec::new();
    for (name, values) in series.columns.iter().zip(series.values) {
        match values {
            OutputColumn::Time(values) => times = values,
            values => columns.extend(column(values, len).map(|column| (Arc::clone(name), column))),
        }
    }
    if !ascending {
        times.reverse();
        columns.iter_mut().for_each(|(_, column)| column.reverse());
    }
    // What was grouped by is a tag of every series, if an empty one.
    shard.add_series(&series.name, series.tags, times, columns);
}

/// As a column of one type: that of the first value. Values of others are left out.
fn column(values: OutputColumn, len: usize) -> Option<Column> {
    if let OutputColumn::Values(column) = values {
        return Some(column);
    }
    let wanted = (0..len).find_map(|row| values.get(row))?.field_type();
    let mut builder = VectorBuilder::with_capacity(len);
    (0..len).for_each(|row| builder.push(values.get(row).filter(|value| value.field_type() == wanted)));
    match builder.finish() {
        Vector::Column(column) => Some(column),
        _ => None,
    }
}
