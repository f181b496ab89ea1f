//! SHOW MEASUREMENTS: of a database, of one of its retention policies, of all.

use std::{collections::BTreeSet, sync::Arc};

use skywatch_influxql::{Measurement, ShowMeasurements, Source};
use skywatch_storage::{ReadError, ShardRead, TagPredicate};

use super::{
    Context, Shards, cut,
    schema_condition::Condition,
    show::{is_open, names},
    strings, table,
};
use crate::{BackendError, QueryError, executor::Sender, plan::expand_measurements};

pub(super) fn run(
    context: &Context<'_>,
    show: &ShowMeasurements,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let database = if show.all_databases { None } else { Some(context.database(show.database.as_deref())?) };
    let condition = Condition::of(context, show.condition.as_ref())?;
    if condition.mentions_time {
        return Err(QueryError::invalid("SHOW MEASUREMENTS doesn't support time in WHERE clause"));
    }
    let is_open = show.source.as_ref().is_none_or(|source| is_open(std::slice::from_ref(source)));
    let wanted = |name: &str| match &show.source {
        _ if is_open => true,
        Some(Source::Measurement(Measurement { name: wanted, .. })) => names(wanted, name),
        Some(Source::Subquery(_)) | None => true,
    };
    let found = |shards: &Shards| -> Result<Vec<Arc<str>>, QueryError> {
        let mut names = Vec::new();
        for name in expand_measurements(shards, wanted)? {
            if has_tags(shards, &name, &condition.measurement(&name)?)? {
                names.push(name);
            }
        }
        Ok(names)
    };
    if !show.all_databases && !show.all_retention_policies {
        let shards =
            of_database(context, database.unwrap_or(""), show.retention_policy.as_deref(), &condition)?;
        let names = cut(found(&shards)?, show.offset, show.limit);
        return match names.is_empty() {
            true => Ok(()),
            false => sender.series(table("measurements", &["name"], vec![strings(names)])),
        };
    }
    let mut databases = match database {
        Some(name) => vec![name.to_owned()],
        None => context.backend.databases()?,
    };
    // Of every database means of every one that may be read.
    databases.retain(|name| context.request.identity.may_read(name));
    let mut rows: BTreeSet<[Arc<str>; 3]> = BTreeSet::new();
    for database in databases {
        context.cancel.check()?;
        for policy in context.backend.retention_policies(&database)? {
            if show.retention_policy.as_ref().is_some_and(|wanted| *wanted != policy.name) {
                continue;
            }
            let shards = context.backend.shards(&database, &policy.name, condition.range, context.reading)?;
            let place: [Arc<str>; 2] = [database.as_str().into(), policy.name.as_str().into()];
            let row = |name| [name, Arc::clone(&place[0]), Arc::clone(&place[1])];
            rows.extend(found(&shards)?.into_iter().map(row));
        }
    }
    let rows = cut(rows, show.offset, show.limit);
    if rows.is_empty() {
        return Ok(());
    }
    let values = (0..3).map(|column| strings(rows.iter().map(|row| Arc::clone(&row[column]))));
    sender.series(table("measurements", &["name", "database", "retention policy"], values.collect()))
}

/// The shards of a database, or of one of its retention policies.
fn of_database(
    context: &Context<'_>,
    database: &str,
    policy: Option<&str>,
    condition: &Condition,
) -> Result<Shards, QueryError> {
    if let Some(policy) = policy {
        return Ok(context.backend.shards(database, policy, condition.range, context.reading)?);
    }
    match context.all_shards(database, condition.range) {
        // Of a database that is not there, InfluxDB shows nothing.
        Err(QueryError::Backend(BackendError::DatabaseNotFound(_))) => Ok(Vec::new()),
        shards => shards,
    }
}

/// Whether a measurement as a whole satisfies a condition on tags. InfluxDB looks at each comparison by itself: `=`
/// wants some series with that value, `!=` wants the tag to exist and no series with that value.
fn has_tags(
    shards: &[Arc<dyn ShardRead>],
    measurement: &str,
    predicate: &TagPredicate,
) -> Result<bool, ReadError> {
    let values = |key: &str| -> Result<Vec<Arc<str>>, ReadError> {
        let mut values = Vec::new();
        for shard in shards {
            values.extend(shard.tag_values(measurement, key)?);
        }
        Ok(values)
    };
    Ok(match predicate {
        TagPredicate::All => true,
        TagPredicate::None => false,
        TagPredicate::Equal { key, value } => values(key)?.contains(value),
        TagPredicate::Matches { key, regex } => values(key)?.iter().any(|value| regex.is_match(value)),
        TagPredicate::And(all) => {
            for inner in all {
                if !has_tags(shards, measurement, inner)? {
                    return Ok(false);
                }
            }
            true
        }
        TagPredicate::Or(any) => {
            for inner in any {
                if has_tags(shards, measurement, inner)? {
                    return Ok(true);
                }
            }
            false
        }
        TagPredicate::Not(inner) => {
            if let TagPredicate::Equal { key, .. } | TagPredicate::Matches { key, .. } = &**inner
                && values(key)?.is_empty()
            {
                return Ok(false);
            }
            !has_tags(shards, measurement, inner)?
        }
    })
}
