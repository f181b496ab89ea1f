//! SELECT: plan, run, send.

use super::{Context, subquery::Nested};
use crate::{
    QueryError,
    exec::{self, Emit, Usage},
    executor::Sender,
    plan::{self, SourceContext, Subqueries},
};
use skywatch_influxql::Select;

pub(super) fn run(context: &Context<'_>, select: &Select, sender: &mut Sender<'_>) -> Result<(), QueryError> {
    let usage = context.usage();
    let subqueries = Nested::new(context, &usage);
    let Some(plan) = plan::plan_select(select, &sources(context, &subqueries))? else { return Ok(()) };
    sender.zone.clone_from(&plan.zone);
    exec::run(&plan, sender.piece_rows(), &usage, context.pool, &mut |series| sender.series(series))
}

/// Plans and runs a SELECT; `emit` gets its series, in pieces of at most `piece_rows` rows.
pub(super) fn each_series(
    context: &Context<'_>,
    select: &Select,
    piece_rows: usize,
    usage: &Usage<'_>,
    emit: &mut Emit<'_>,
) -> Result<(), QueryError> {
    let subqueries = Nested::new(context, usage);
    match plan::plan_select(select, &sources(context, &subqueries))? {
        Some(plan) => exec::run(&plan, piece_rows, usage, context.pool, emit),
        None => Ok(()),
    }
}

/// What FROM is resolved against.
pub(super) fn sources<'a>(context: &Context<'a>, subqueries: &'a dyn Subqueries) -> SourceContext<'a> {
    SourceContext {
        backend: context.backend,
        reading: context.reading,
        database: &context.request.database,
        retention_policy: &context.request.retention_policy,
        now_ns: context.request.now_ns,
        readable: None,
        inherits_interval: false,
        max_buckets: context.limits.max_select_buckets,
        subqueries,
    }
}
