//! Names in full. A continuous query runs without a request, so that its text has to say which database and retention
//! policy each measurement is of; and InfluxDB shows statements with their names in full.

use skywatch_influxql::{CreateContinuousQuery, Measurement, MeasurementName, Select, Source};

use super::Context;
use crate::{Backend, BackendError, QueryError, RetentionPolicyInfo};

/// The statement with every source and the target in full, or why one of them cannot be.
///
/// As in InfluxDB the request's database comes before the statement's own, and the request's retention policy counts in
/// every database. Databases are looked at first, in the order they are written; then the retention policies.
pub(super) fn continuous_query(
    context: &Context<'_>,
    create: &CreateContinuousQuery,
) -> Result<CreateContinuousQuery, QueryError> {
    let requested = context.request.database.as_str();
    let names = Names {
        database: if requested.is_empty() { &create.database } else { requested },
        ..Names::of_request(context)
    };
    let mut full = create.clone();
    visit(&mut full.select, &mut |database, policy| names.complete(database, policy))?;
    visit(&mut full.select, &mut |database, policy| names.check(database, policy))?;
    Ok(full)
}

/// The statement with every source and the target in full. Whether the retention policies exist is not looked at.
pub(super) fn select(context: &Context<'_>, select: &Select) -> Result<Select, QueryError> {
    let names = Names::of_request(context);
    let mut full = select.clone();
    visit(&mut full, &mut |database, policy| names.complete(database, policy))?;
    Ok(full)
}

/// Whether every source has a name and a database, which InfluxDB looks at before anything else of a SELECT.
pub(super) fn check(context: &Context<'_>, select: &Select) -> Result<(), QueryError> {
    let names = Names::of_request(context);
    for source in &select.from {
        match source {
            Source::Measurement(measurement) => {
                check_name(measurement)?;
                names.policies(given(&measurement.database).unwrap_or(names.database))?;
            }
            Source::Subquery(select) => check(context, select)?,
        }
    }
    Ok(())
}

/// Refuses the empty name.
pub(super) fn check_name(measurement: &Measurement) -> Result<(), QueryError> {
    match &measurement.name {
        MeasurementName::Name(name) if name.is_empty() => Err(QueryError::invalid("invalid measurement")),
        MeasurementName::Name(_) | MeasurementName::Regex(_) => Ok(()),
    }
}

/// What names that are left out stand for.
struct Names<'a> {
    backend: &'a dyn Backend,
    database: &'a str,
    retention_policy: &'a str,
}

impl<'a> Names<'a> {
    fn of_request(context: &Context<'a>) -> Self {
        Self {
            backend: context.backend,
            database: &context.request.database,
            retention_policy: &context.request.retention_policy,
        }
    }

    fn complete(&self, database: &mut Option<String>, policy: &mut Option<String>) -> Result<(), QueryError> {
        let database = database.insert(given(database).unwrap_or(self.database).to_owned());
        let policies = self.policies(database)?;
        let named = given(policy).or_else(|| Some(self.retention_policy).filter(|name| !name.is_empty()));
        let default = policies.iter().find(|policy| policy.is_default).map(|policy| policy.name.as_str());
        let found = named.or(default);
        let found = found.ok_or_else(|| {
            QueryError::invalid(format!("default retention policy not set for: {database}"))
        })?;
        *policy = Some(found.to_owned());
        Ok(())
    }

    fn check(&self, database: &mut Option<String>, policy: &mut Option<String>) -> Result<(), QueryError> {
        let (database, policy) = (given(database).unwrap_or(""), given(policy).unwrap_or(""));
        if self.policies(database)?.iter().any(|known| known.name == policy) {
            return Ok(());
        }
        Err(BackendError::RetentionPolicyNotFound(format!("{database}.{policy}")).into())
    }

    fn policies(&self, database: &str) -> Result<Vec<RetentionPolicyInfo>, QueryError> {
        if database.is_empty() {
            return Err(QueryError::DatabaseRequired);
        }
        Ok(self.backend.retention_policies(database)?)
    }
}

/// A name that is there; an empty one counts as none.
fn given(name: &Option<String>) -> Option<&str> {
    name.as_deref().filter(|name| !name.is_empty())
}

/// Looks at, or changes, a database and a retention policy.
type See<'a> = dyn FnMut(&mut Option<String>, &mut Option<String>) -> Result<(), QueryError> + 'a;

/// Shows database and retention policy of the target, of every source, and of those of subqueries.
fn visit(select: &mut Select, see: &mut See<'_>) -> Result<(), QueryError> {
    if let Some(target) = &mut select.into {
        see(&mut target.database, &mut target.retention_policy)?;
    }
    for source in &mut select.from {
        match source {
            Source::Measurement(measurement) => {
                check_name(measurement)?;
                see(&mut measurement.database, &mut measurement.retention_policy)?;
            }
            Source::Subquery(select) => visit(select, see)?,
        }
    }
    Ok(())
}
