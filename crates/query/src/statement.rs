//! One statement: which part of the engine answers it.

mod administration;
mod cardinality;
mod change;
mod cluster;
mod explain;
mod into;
mod measurements;
mod monitor;
mod qualify;
mod schema_condition;
mod select;
mod shards;
mod show;
mod subquery;
mod tags;
mod union;

use std::{fmt::Display, sync::Arc};

pub(crate) use show::go_duration;

use skywatch_influxql::{Show, Statement};
use skywatch_model::{TimeRange, Values};
use skywatch_monitor::Monitor;
use skywatch_storage::{MemoryBudget, ShardRead};

use crate::{
    Backend, CancelToken, Limits, Message, OutputColumn, QueryError, QueryRequest, Reading, ResultSeries,
    exec::{Pool, Usage},
    executor::Sender,
    running::RunningQueries,
};

/// Snapshots of shards.
type Shards = Vec<Arc<dyn ShardRead>>;

/// What a statement runs against.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) backend: &'a dyn Backend,
    pub(crate) limits: &'a Limits,
    pub(crate) pool: &'a Pool,
    pub(crate) memory: &'a Arc<MemoryBudget>,
    pub(crate) running: &'a RunningQueries,
    pub(crate) monitor: &'a Monitor,
    pub(crate) request: &'a QueryRequest,
    pub(crate) cancel: &'a CancelToken,
    pub(crate) reading: &'a Reading,
}

/// Runs a statement; returns its warnings.
pub(crate) fn run(
    context: &Context<'_>,
    statement: &Statement,
    sender: &mut Sender<'_>,
) -> Result<Vec<Message>, QueryError> {
    match statement {
        Statement::Select(select) if select.into.is_some() => {
            let full = qualify::select(context, select)?;
            into::run(context, &full, sender)?;
            return Ok(read_only_warning(context, &full));
        }
        Statement::Select(select) => {
            qualify::check(context, select)?;
            select::run(context, select, sender)?;
        }
        Statement::Show(show) => show_statement(context, show, sender)?,
        Statement::Explain(explain) => explain::run(context, explain, sender)?,
        Statement::KillQuery(kill) => cluster::kill(context, kill)?,
        // InfluxDB warns of every other change, not of this one.
        Statement::Delete(delete) => change::delete(context, delete)?,
        Statement::CreateContinuousQuery(create) => {
            let full = qualify::continuous_query(context, create)?;
            administration::create_continuous_query(context, &full)?;
            return Ok(read_only_warning(context, &full));
        }
        other => {
            change::run(context, other)?;
            return Ok(read_only_warning(context, other));
        }
    }
    Ok(Vec::new())
}

fn read_only_warning(context: &Context<'_>, statement: &dyn Display) -> Vec<Message> {
    if !context.request.read_only {
        return Vec::new();
    }
    let text =
        format!("deprecated use of '{statement}' in a read only context, please use a POST request instead");
    vec![Message { level: "warning", text }]
}

fn unsupported(what: &str) -> QueryError {
    QueryError::Unsupported(what.to_owned())
}

fn show_statement(context: &Context<'_>, show: &Show, sender: &mut Sender<'_>) -> Result<(), QueryError> {
    match show {
        Show::Databases => show::databases(context, sender),
        Show::RetentionPolicies(show) => show::retention_policies(context, show, sender),
        Show::Measurements(show) => measurements::run(context, show, sender),
        Show::FieldKeys(show) => show::field_keys(context, show, sender),
        Show::Series(show) => show::series(context, show, sender),
        Show::TagKeys(show) => tags::keys(context, show, sender),
        Show::TagValues(show) => tags::values(context, show, sender),
        Show::SeriesCardinality(show) => cardinality::series(context, show, sender),
        Show::MeasurementCardinality(show) => cardinality::measurements(context, show, sender),
        Show::TagKeyCardinality(show) => cardinality::tag_keys(context, show, sender),
        Show::TagValuesCardinality(show) => cardinality::tag_values(context, show, sender),
        Show::FieldKeyCardinality(show) => cardinality::field_keys(context, show, sender),
        Show::Queries => cluster::queries(context, sender),
        Show::ContinuousQueries => administration::show_continuous_queries(context, sender),
        Show::Subscriptions => administration::show_subscriptions(context, sender),
        Show::Users => administration::show_users(context, sender),
        Show::Grants(show) => administration::show_grants(context, show, sender),
        Show::Servers => cluster::servers(context, sender),
        Show::Shards => shards::shards(context, sender),
        Show::ShardGroups => shards::groups(context, sender),
        Show::Stats(show) => monitor::statistics(context, show.module.as_deref(), sender),
        Show::Diagnostics(show) => monitor::diagnostics(context, show.module.as_deref(), sender),
    }
}

/// A whole series without tags.
fn table(name: &str, columns: &[&str], values: Vec<OutputColumn>) -> ResultSeries {
    ResultSeries {
        name: name.into(),
        tags: Arc::new([]),
        columns: columns.iter().map(|column| Arc::from(*column)).collect(),
        values,
        partial: false,
    }
}

fn strings(values: impl IntoIterator<Item = Arc<str>>) -> OutputColumn {
    OutputColumn::strings(values)
}

fn integers(values: impl IntoIterator<Item = i64>) -> OutputColumn {
    let values = Values::Integer(values.into_iter().collect());
    OutputColumn::Values(skywatch_model::Column { values, valid: None })
}

/// Cuts to OFFSET, then LIMIT (0: none).
fn cut<T>(items: impl IntoIterator<Item = T>, offset: u64, limit: u64) -> Vec<T> {
    let limit = if limit == 0 { usize::MAX } else { limit as usize };
    items.into_iter().skip(offset as usize).take(limit).collect()
}

impl Context<'_> {
    /// What this statement may use.
    fn usage(&self) -> Usage<'_> {
        Usage::new(self.cancel, self.limits, self.memory)
    }

    /// The database a statement is about: that which it names, if not by an empty name, or that of the request.
    fn database<'b>(&'b self, named: Option<&'b str>) -> Result<&'b str, QueryError> {
        match self.named_or_requested(named) {
            "" => Err(QueryError::DatabaseRequired),
            name => Ok(name),
        }
    }

    /// As [`Self::database`]; empty if there is none.
    fn named_or_requested<'b>(&'b self, named: Option<&'b str>) -> &'b str {
        named.filter(|name| !name.is_empty()).unwrap_or(&self.request.database)
    }

    /// Every shard of a database that overlaps the range, over all its retention policies.
    fn all_shards(&self, database: &str, range: TimeRange) -> Result<Shards, QueryError> {
        let mut shards = Vec::new();
        for policy in self.backend.retention_policies(database)? {
            shards.extend(self.backend.shards(database, &policy.name, range, self.reading)?);
        }
        Ok(shards)
    }
}
