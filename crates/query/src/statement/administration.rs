//! Users, continuous queries and subscriptions: made, removed, listed.

use std::sync::Arc;

use skywatch_influxql::{
    CreateContinuousQuery, CreateSubscription, CreateUser, Privilege, ShowGrants, Statement, SubscriptionMode,
};
use skywatch_model::{Column, Values};

use super::{Context, strings, table, unsupported};
use crate::{BackendError, OutputColumn, QueryError, SubscriptionInfo, executor::Sender};

/// Statements that change users and subscriptions, and remove continuous queries.
pub(super) fn run(context: &Context<'_>, statement: &Statement) -> Result<(), QueryError> {
    let backend = context.backend;
    match statement {
        Statement::CreateUser(CreateUser { name, password, admin }) => {
            backend.create_user(name, password, *admin)
        }
        Statement::DropUser(drop) => backend.drop_user(&drop.name),
        Statement::SetPassword(set) => backend.set_password(&set.name, &set.password),
        Statement::Grant(grant) => backend.grant(&grant.user, &grant.database, grant.privilege),
        Statement::GrantAdmin(grant) => backend.set_admin(&grant.user, true),
        Statement::Revoke(revoke) => backend.revoke(&revoke.user, &revoke.database, revoke.privilege),
        Statement::RevokeAdmin(revoke) => backend.set_admin(&revoke.user, false),
        Statement::DropContinuousQuery(drop) => backend.drop_continuous_query(&drop.database, &drop.name),
        Statement::CreateSubscription(create) => create_subscription(context, create),
        Statement::DropSubscription(drop) => {
            backend.drop_subscription(&drop.database, &drop.retention_policy, &drop.name)
        }
        _ => return Err(unsupported("this statement")),
    }
    .map_err(QueryError::from)
}

fn create_subscription(context: &Context<'_>, create: &CreateSubscription) -> Result<(), BackendError> {
    let subscription = SubscriptionInfo {
        retention_policy: create.retention_policy.clone(),
        name: create.name.clone(),
        mode: create.mode,
        destinations: create.destinations.clone(),
    };
    context.backend.create_subscription(&create.database, &subscription)
}

/// Keeps a continuous query whose names are all in full; see [`super::qualify`].
pub(super) fn create_continuous_query(
    context: &Context<'_>,
    create: &CreateContinuousQuery,
) -> Result<(), QueryError> {
    Ok(context.backend.create_continuous_query(&create.database, &create.name, &create.to_string())?)
}

pub(super) fn show_users(context: &Context<'_>, sender: &mut Sender<'_>) -> Result<(), QueryError> {
    let users = context.backend.users()?;
    let names = strings(users.iter().map(|user| user.name.as_str().into()));
    let admins = Values::Boolean(users.iter().map(|user| user.admin).collect());
    let admins = OutputColumn::Values(Column { values: admins, valid: None });
    sender.series(table("", &["user", "admin"], vec![names, admins]))
}

pub(super) fn show_grants(
    context: &Context<'_>,
    show: &ShowGrants,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let grants = context.backend.grants(&show.user)?;
    let databases = strings(grants.iter().map(|grant| grant.database.as_str().into()));
    let text = |privilege: Option<Privilege>| {
        privilege.map_or_else(|| "NO PRIVILEGES".into(), |privilege| privilege.to_string().into())
    };
    let privileges = strings(grants.iter().map(|grant| text(grant.privilege)));
    sender.series(table("", &["database", "privilege"], vec![databases, privileges]))
}

/// One table a database that may be read, empty ones too.
pub(super) fn show_continuous_queries(
    context: &Context<'_>,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    for database in context.backend.databases()? {
        if !context.request.identity.may_read(&database) {
            continue;
        }
        let queries = context.backend.continuous_queries(&database)?;
        let names = strings(queries.iter().map(|query| query.name.as_str().into()));
        let texts = strings(queries.iter().map(|query| query.text.as_str().into()));
        sender.series(table(&database, &["name", "query"], vec![names, texts]))?;
    }
    Ok(())
}

/// One table a database that has any.
pub(super) fn show_subscriptions(context: &Context<'_>, sender: &mut Sender<'_>) -> Result<(), QueryError> {
    for database in context.backend.databases()? {
        let found = context.backend.subscriptions(&database)?;
        if found.is_empty() {
            continue;
        }
        let column = |of: fn(&SubscriptionInfo) -> &str| strings(found.iter().map(|it| Arc::from(of(it))));
        let mode = |it: &SubscriptionInfo| match it.mode {
            SubscriptionMode::All => "ALL",
            SubscriptionMode::Any => "ANY",
        };
        let destinations =
            found.iter().map(|it| it.destinations.iter().map(|url| Arc::from(url.as_str())).collect());
        let values = vec![
            column(|it| &it.retention_policy),
            column(|it| &it.name),
            strings(found.iter().map(|it| mode(it).into())),
            OutputColumn::Lists(destinations.collect()),
        ];
        sender.series(table(&database, &["retention_policy", "name", "mode", "destinations"], values))?;
    }
    Ok(())
}
