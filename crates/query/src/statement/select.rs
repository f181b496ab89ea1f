//! SELECT: plan, run, send.

use super::{Context, subquery::Nested, unsupported};
use crate::{
    QueryError, exec,
    executor::Sender,
    plan::{self, SourceContext, Subqueries},
};
use skywatch_influxql::Select;

pub(super) fn run(context: &Context<'_>, select: &Select, sender: &mut Sender<'_>) -> Result<(), QueryError> {
    if select.into.is_some() {
        return Err(unsupported("SELECT INTO"));
    }
    let usage = context.usage();
    let subqueries = Nested::new(context, &usage);
    let Some(plan) = plan::plan_select(select, &sources(context, &subqueries))? else { return Ok(()) };
    sender.zone.clone_from(&plan.zone);
    exec::run(&plan, sender.piece_rows(), &usage, context.pool, &mut |series| sender.series(series))
}

/// What FROM is resolved against.
pub(super) fn sources<'a>(context: &Context<'a>, subqueries: &'a dyn Subqueries) -> SourceContext<'a> {
    SourceContext {
        backend: context.backend,
        database: &context.request.database,
        retention_policy: &context.request.retention_policy,
        now_ns: context.request.now_ns,
        max_buckets: context.limits.max_select_buckets,
        subqueries,
    }
}
