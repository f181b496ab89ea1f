//! Statements that change the catalogue or remove data.

use std::{collections::BTreeSet, sync::Arc};

use skywatch_influxql::{
    AlterRetentionPolicy, CreateDatabase, CreateRetentionPolicy, DataType, Delete, DropMeasurement,
    DropSeries, Expr, Source, Statement, VarRef,
};
use skywatch_model::TimeRange;
use skywatch_storage::ShardRead;

use super::{Context, administration, schema_condition::Condition, tags, unsupported};
use crate::{
    BackendError, DeleteRequest, NewRetentionPolicy, QueryError, RetentionPolicyUpdate, plan::policy_of,
};

/// The shortest retention there is: one hour.
const RETENTION_MIN_NS: i64 = 3_600_000_000_000;

pub(super) fn run(context: &Context<'_>, statement: &Statement) -> Result<(), QueryError> {
    match statement {
        Statement::CreateDatabase(create) => create_database(context, create),
        Statement::DropDatabase(drop) => Ok(context.backend.drop_database(&drop.name)?),
        Statement::CreateRetentionPolicy(create) => create_retention_policy(context, create),
        Statement::AlterRetentionPolicy(alter) => alter_retention_policy(context, alter),
        Statement::DropRetentionPolicy(drop) => {
            Ok(context.backend.drop_retention_policy(&drop.database, &drop.name)?)
        }
        Statement::DropMeasurement(drop) => drop_measurement(context, drop),
        Statement::DropSeries(drop) => drop_series(context, drop),
        Statement::DropShard(drop) => Ok(context.backend.drop_shard(drop.id)?),
        Statement::DropContinuousQuery(_)
        | Statement::CreateSubscription(_)
        | Statement::DropSubscription(_)
        | Statement::CreateUser(_)
        | Statement::DropUser(_)
        | Statement::SetPassword(_)
        | Statement::Grant(_)
        | Statement::GrantAdmin(_)
        | Statement::Revoke(_)
        | Statement::RevokeAdmin(_) => administration::run(context, statement),
        Statement::Select(_)
        | Statement::Explain(_)
        | Statement::Delete(_)
        | Statement::CreateContinuousQuery(_)
        | Statement::KillQuery(_)
        | Statement::Show(_) => Err(unsupported("this statement")),
    }
}

fn create_database(context: &Context<'_>, create: &CreateDatabase) -> Result<(), QueryError> {
    let policy = create.retention_policy.as_ref().map(|spec| NewRetentionPolicy {
        // An empty one counts as none.
        name: spec.name.clone().filter(|name| !name.is_empty()),
        duration_ns: spec.duration,
        shard_group_duration_ns: spec.shard_duration,
        replica_n: spec.replication,
        make_default: true,
    });
    if let Some(policy) = &policy {
        check_durations(policy.duration_ns, policy.shard_group_duration_ns)?;
    }
    Ok(context.backend.create_database(&create.name, policy.as_ref())?)
}

/// InfluxDB looks at the durations before it looks whether the database exists.
fn check_durations(duration: Option<i64>, shard_duration: Option<i64>) -> Result<(), BackendError> {
    let duration = duration.unwrap_or(0);
    if duration != 0 && duration < RETENTION_MIN_NS {
        return Err(BackendError::RetentionPolicyDurationTooLow);
    }
    if duration != 0 && duration < shard_duration.unwrap_or(0) {
        return Err(BackendError::IncompatibleDurations);
    }
    Ok(())
}

fn create_retention_policy(context: &Context<'_>, create: &CreateRetentionPolicy) -> Result<(), QueryError> {
    check_durations(Some(create.duration), Some(create.shard_duration))?;
    let policy = NewRetentionPolicy {
        name: Some(create.name.clone()),
        duration_ns: Some(create.duration),
        shard_group_duration_ns: Some(create.shard_duration),
        replica_n: Some(create.replication),
        make_default: create.default,
    };
    Ok(context.backend.create_retention_policy(&create.database, &policy)?)
}

fn alter_retention_policy(context: &Context<'_>, alter: &AlterRetentionPolicy) -> Result<(), QueryError> {
    let update = RetentionPolicyUpdate {
        duration_ns: alter.duration,
        shard_group_duration_ns: alter.shard_duration,
        replica_n: alter.replication,
        make_default: alter.default,
    };
    let policy = if alter.name.is_empty() {
        // Which is how InfluxDB looks policies up: without a name, the default one.
        policy_of(context.backend, &alter.database, None)?.name
    } else {
        alter.name.clone()
    };
    Ok(context.backend.alter_retention_policy(&alter.database, &policy, &update)?)
}

fn drop_measurement(context: &Context<'_>, drop: &DropMeasurement) -> Result<(), QueryError> {
    let database = context.database(None)?;
    Ok(context.backend.drop_measurement(database, &drop.name)?)
}

fn drop_series(context: &Context<'_>, drop: &DropSeries) -> Result<(), QueryError> {
    remove(context, &drop.from, drop.condition.as_ref(), |bounded| {
        if bounded {
            return Err(QueryError::invalid("DROP SERIES doesn't support time in WHERE clause"));
        }
        Ok(())
    })
}

/// DELETE.
pub(super) fn delete(context: &Context<'_>, delete: &Delete) -> Result<(), QueryError> {
    remove(context, &delete.from, delete.condition.as_ref(), |_| Ok(()))
}

fn remove(
    context: &Context<'_>,
    from: &[Source],
    condition: Option<&Expr>,
    check_times: impl Fn(bool) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let database = context.database(None)?;
    // Of all shards, whatever the times: one that lacks a field would take it for a tag that no series has.
    let (measurements, shards) = tags::measurements(context, database, from, TimeRange::ALL)?;
    if let Some(condition) = condition {
        refuse_fields(condition, &measurements, &shards)?;
    }
    let condition = Condition::of(context, condition)?;
    check_times(condition.range != TimeRange::ALL)?;
    if measurements.is_empty() {
        return Ok(());
    }
    let request = DeleteRequest {
        retention_policy: None,
        measurements,
        predicate: condition.tags()?,
        range: condition.range,
    };
    Ok(context.backend.delete(database, &request)?)
}

/// A condition on a field chooses points, and points are deleted by series and time only. Taken for a tag that no
/// series has, the field would choose all of them or none.
fn refuse_fields(
    condition: &Expr,
    measurements: &[Arc<str>],
    shards: &[Arc<dyn ShardRead>],
) -> Result<(), QueryError> {
    let mut fields: BTreeSet<Arc<str>> = BTreeSet::new();
    for shard in shards {
        for measurement in measurements {
            fields.extend(shard.fields(measurement)?.into_iter().map(|(field, _)| field));
        }
    }
    let is_field = |name: &VarRef| match name.cast {
        Some(DataType::Tag) => false,
        Some(_) => true,
        None => fields.contains(name.name.as_str()),
    };
    let mut found = false;
    condition.walk(&mut |part| {
        if let Expr::VarRef(name) = part {
            found |= name.name != "time" && is_field(name);
        }
    });
    if found {
        return Err(QueryError::invalid("fields not supported in WHERE clause during deletion"));
    }
    Ok(())
}
