//! `/user` and `/role`, by which Chronograf administers users.
//!
//! In its terms a user has permissions: under the empty name those of an administrator, under the name of a database
//! `ReadData` and `WriteData`. The first user is made an administrator, the others only if they are given everything:
//! otherwise whoever makes a user by this API would make an administrator. Hashes of passwords are not shown.

use std::collections::BTreeMap;

use axum::{
    extract::{Query, State},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use skywatch_meta::{Command, Privilege, User};

use super::{Answer, Api, Parameters, Problem, fields::Content, json, optional};

/// What an administrator may do, in Chronograf's words; all or nothing.
const OF_ADMINS: [&str; 17] = [
    "ViewAdmin",
    "ViewChronograf",
    "CreateDatabase",
    "CreateUserAndRole",
    "AddRemoveNode",
    "DropDatabase",
    "DropData",
    "ReadData",
    "WriteData",
    "Rebalance",
    "ManageShard",
    "ManageContinuousQuery",
    "ManageQuery",
    "ManageSubscription",
    "Monitor",
    "CopyShard",
    "KapacitorAPI",
];

type Permissions = BTreeMap<String, Vec<String>>;

#[derive(Debug, Serialize)]
struct Users {
    users: Vec<ShownUser>,
}

#[derive(Debug, Serialize)]
struct ShownUser {
    name: String,
    permissions: Permissions,
}

/// What is asked for.
#[derive(Deserialize)]
pub(super) struct Change {
    #[serde(default)]
    action: String,
    #[serde(default)]
    user: Option<Named>,
}

/// Neither shown nor logged: it may hold a password.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
    password: String,
    permissions: Permissions,
}

pub(super) async fn list(State(api): State<Api>, Query(parameters): Query<Parameters>) -> Answer {
    let catalogue = api.node.catalogue().1;
    let wanted = optional(&parameters, "name");
    let users: Vec<ShownUser> = catalogue
        .users()
        .iter()
        .filter(|user| wanted.is_none_or(|name| user.name == name))
        .map(|user| ShownUser { name: user.name.clone(), permissions: permissions_of(user) })
        .collect();
    if let (Some(_), true) = (wanted, users.is_empty()) {
        return Err(Problem::Error(axum::http::StatusCode::NOT_FOUND, "user not found".into()));
    }
    json(&Users { users })
}

fn permissions_of(user: &User) -> Permissions {
    let mut permissions = Permissions::new();
    if user.admin {
        permissions.insert(String::new(), OF_ADMINS.iter().map(|name| (*name).to_owned()).collect());
    }
    for (database, held) in &user.privileges {
        let names: &[&str] = match held {
            Some(Privilege::Read) => &["ReadData"],
            Some(Privilege::Write) => &["WriteData"],
            Some(Privilege::All) => &["ReadData", "WriteData"],
            None => continue,
        };
        permissions.insert(database.clone(), names.iter().map(|name| (*name).to_owned()).collect());
    }
    permissions
}

pub(super) async fn change(State(api): State<Api>, Content(change): Content<Change>) -> Answer {
    let Named { name, password, permissions } = change.user.unwrap_or_default();
    if name.is_empty() {
        return Err(Problem::invalid("invalid user: username required"));
    }
    api.node.lead().await?;
    match change.action.as_str() {
        "create" => {
            let wanted = wishes(&permissions)?;
            let is_first = !api.node.catalogue().1.has_admin();
            let admin = is_first || wanted.contains(&Wish::Admin);
            let password = hash(&api, password).await?;
            api.change(Command::CreateUser { name: name.clone(), password, admin }).await?;
            if let Err(problem) = apply(&api, &name, &wanted, true).await {
                // Either with all permissions or not at all, so that it can be tried again.
                drop(api.change(Command::DropUser { name }).await);
                return Err(problem);
            }
        }
        "delete" => {
            api.change(Command::DropUser { name }).await?;
        }
        "change-password" => {
            let password = hash(&api, password).await?;
            api.change(Command::SetPassword { name, password }).await?;
        }
        "add-permissions" => apply(&api, &name, &wishes(&permissions)?, true).await?,
        "remove-permissions" => apply(&api, &name, &wishes(&permissions)?, false).await?,
        other => {
            return Err(Problem::invalid(format!(
                "invalid action: {other}: expected create, delete, change-password, add-permissions or remove-permissions"
            )));
        }
    }
    // Chronograf takes only 200 for a yes; what else succeeds here is 204.
    Ok(axum::http::StatusCode::OK.into_response())
}

async fn hash(api: &Api, password: String) -> Result<skywatch_meta::PasswordHash, Problem> {
    if password.is_empty() {
        return Err(Problem::invalid("password required"));
    }
    api.passwords.hash(password).await.map_err(|refusal| Problem::invalid(refusal.0))
}

/// What permissions come to here.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    Admin,
    Database(String, Privilege),
}

fn wishes(permissions: &Permissions) -> Result<Vec<Wish>, Problem> {
    let mut wishes = Vec::new();
    for (scope, names) in permissions {
        let has = |wanted: &str| names.iter().any(|name| name == wanted || name == "ALL");
        if scope.is_empty() {
            let is_all = names.iter().any(|name| name == "ALL") || OF_ADMINS.iter().all(|wanted| has(wanted));
            match (is_all, names.is_empty()) {
                (true, _) => wishes.push(Wish::Admin),
                (false, true) => {}
                (false, false) => {
                    return Err(Problem::invalid(
                        "permissions without a database cannot be given one by one: give ALL, which makes an administrator, \
                     or permissions on databases",
                    ));
                }
            }
            continue;
        }
        if let Some(other) =
            names.iter().find(|name| !["ReadData", "WriteData", "ALL"].contains(&name.as_str()))
        {
            return Err(Problem::invalid(format!(
                "permission {other:?} on database {scope:?} is not known here: expected ReadData, WriteData or ALL"
            )));
        }
        match (has("ReadData"), has("WriteData")) {
            (true, true) => wishes.push(Wish::Database(scope.clone(), Privilege::All)),
            (true, false) => wishes.push(Wish::Database(scope.clone(), Privilege::Read)),
            (false, true) => wishes.push(Wish::Database(scope.clone(), Privilege::Write)),
            (false, false) => {}
        }
    }
    Ok(wishes)
}

async fn apply(api: &Api, name: &str, wishes: &[Wish], is_given: bool) -> Result<(), Problem> {
    for wish in wishes {
        let command = match wish.clone() {
            Wish::Admin => Command::SetAdmin { name: name.to_owned(), admin: is_given },
            Wish::Database(database, privilege) if is_given => {
                let catalogue = api.node.catalogue().1;
                let held =
                    catalogue.user(name).and_then(|user| user.privileges.get(&database).copied().flatten());
                let privilege = match held {
                    Some(held) if held != privilege => Privilege::All,
                    _ => privilege,
                };
                Command::Grant { user: name.to_owned(), database, privilege }
            }
            Wish::Database(database, privilege) => {
                Command::Revoke { user: name.to_owned(), database, privilege }
            }
        };
        api.change(command).await?;
    }
    Ok(())
}

#[derive(Debug, Serialize)]
struct Roles {
    roles: [(); 0],
}

pub(super) async fn roles() -> Answer {
    json(&Roles { roles: [] })
}

pub(super) async fn change_role() -> Answer {
    Err(Problem::invalid("there are no roles here: give permissions to users"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wished(json: serde_json::Value) -> Result<Vec<Wish>, Problem> {
        wishes(&serde_json::from_value(json).unwrap())
    }

    #[test]
    fn permissions_become_privileges() {
        let database = |privilege| Wish::Database("db".into(), privilege);
        for (json, expected) in [
            (serde_json::json!({}), vec![]),
            (serde_json::json!({"": []}), vec![]),
            (serde_json::json!({"": ["ALL"]}), vec![Wish::Admin]),
            (serde_json::json!({"": OF_ADMINS}), vec![Wish::Admin]),
            (serde_json::json!({"db": ["ReadData"]}), vec![database(Privilege::Read)]),
            (serde_json::json!({"db": ["WriteData"]}), vec![database(Privilege::Write)]),
            (serde_json::json!({"db": ["WriteData", "ReadData"]}), vec![database(Privilege::All)]),
            (serde_json::json!({"db": ["ALL"]}), vec![database(Privilege::All)]),
        ] {
            assert_eq!(wished(json), Ok(expected));
        }
        assert!(wished(serde_json::json!({"": ["ReadData"]})).is_err());
        assert!(wished(serde_json::json!({"db": ["DropData"]})).is_err());
    }
}
