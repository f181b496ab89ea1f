//! `[databases]` and `[users]`.

use super::{
    did_you_mean,
    section::{Entry, Section},
    values,
};
use crate::cloud::{ADMIN, AGENT, Database, GRAFANA, Policy, User};

/// More copies than that are a mistake.
const COPIES_MAX: u64 = 16;
/// Copies of what says nothing, as a cluster makes them of a database without a number.
const COPIES_DEFAULT: usize = 2;
/// What a database keeps its points in unless told otherwise, as in InfluxDB.
const POLICY_DEFAULT: &str = "autogen";

/// The databases of the file, and that of the agents, if it is not among them.
pub(super) fn databases(file: &Section<'_>, of_agents: &str, data_nodes: usize) -> Vec<Database> {
    let copies = u32::try_from(data_nodes.clamp(1, COPIES_DEFAULT)).unwrap_or(1);
    let mut databases = Vec::new();
    if let Some(table) = file.section("databases", "[databases.telegraf]") {
        databases = table.entries().into_iter().filter_map(|entry| database(&table, entry, copies)).collect();
    }
    if !databases.iter().any(|database| database.name == of_agents) {
        let policy = Policy {
            name: POLICY_DEFAULT.to_owned(),
            duration: None,
            shard_duration: None,
            replication: copies,
            lines: file.lines(),
            path: format!("databases.{of_agents}"),
        };
        databases.push(Database { name: of_agents.to_owned(), policies: vec![policy] });
    }
    databases
}

fn database(table: &Section<'_>, entry: Entry<'_>, copies: u32) -> Option<Database> {
    let (key, ..) = entry;
    let section =
        Section::of(table.source(), table.path(key), entry, "{ duration = \"30d\", replication = 2 }")?;
    let name = values::identifier(key).map_err(|reason| table.error(key, reason)).ok()?;
    if name == "_internal" {
        table.error(key, "is made by the servers themselves: take it away");
    }
    let policy_name =
        section.parsed("policy", values::identifier).unwrap_or_else(|| POLICY_DEFAULT.to_owned());
    let default = policy(&section, policy_name, copies);
    let copies = default.replication;
    let mut policies = vec![default];
    if let Some(more) = section.section("policies", "year = { duration = \"365d\" }") {
        for entry in more.entries() {
            let (key, ..) = entry;
            let Some(own) = Section::of(more.source(), more.path(key), entry, "{ duration = \"365d\" }")
            else {
                continue;
            };
            match values::identifier(key) {
                Ok(name) if policies.iter().any(|policy| policy.name == name) => {
                    more.error(
                        key,
                        format!(
                            "is the name of the default policy already; `policy` of {} renames that",
                            section.path("")
                        ),
                    );
                }
                Ok(name) => policies.push(policy(&own, name, copies)),
                Err(reason) => more.error(key, reason),
            }
            own.finish();
        }
    }
    section.finish();
    Some(Database { name, policies })
}

fn policy(section: &Section<'_>, name: String, copies: u32) -> Policy {
    let replication = section.number("replication", 1..=COPIES_MAX);
    Policy {
        name,
        duration: section.parsed("duration", values::duration).flatten(),
        shard_duration: section.parsed("shard-duration", values::duration).flatten(),
        replication: replication.and_then(|number| u32::try_from(number).ok()).unwrap_or(copies),
        lines: section.lines(),
        path: section.path("").trim_end_matches('.').to_owned(),
    }
}

/// The users of the file, after those that are always there.
pub(super) fn users(
    file: &Section<'_>,
    databases: &[Database],
    of_agents: &str,
    has_grafana: bool,
) -> Vec<User> {
    let everything: Vec<String> = databases.iter().map(|database| database.name.clone()).collect();
    let user = |name: &str, admin, read, write| User { name: name.to_owned(), admin, read, write };
    let mut users = vec![
        user(ADMIN, true, Vec::new(), Vec::new()),
        user(AGENT, false, Vec::new(), vec![of_agents.to_owned()]),
    ];
    if has_grafana {
        users.push(user(GRAFANA, false, everything.clone(), Vec::new()));
    }
    let Some(table) = file.section("users", "[users] and below it reader = { read = [\"telegraf\"] }") else {
        return users;
    };
    for entry in table.entries() {
        let (key, ..) = entry;
        let Some(section) = Section::of(table.source(), table.path(key), entry, "{ read = [\"telegraf\"] }")
        else {
            continue;
        };
        let name = values::identifier(key).map_err(|reason| table.error(key, reason));
        if [ADMIN, AGENT, GRAFANA].contains(&key) {
            table.error(key, "is made in any case: take it away, or give yours another name");
        }
        let own = User {
            name: name.unwrap_or_default(),
            admin: section.flag("admin").unwrap_or(false),
            read: grants(&section, "read", &everything),
            write: grants(&section, "write", &everything),
        };
        section.finish();
        users.push(own);
    }
    users
}

fn grants(section: &Section<'_>, key: &'static str, databases: &[String]) -> Vec<String> {
    let names = section.texts(key).unwrap_or_default();
    for name in names.iter().filter(|name| !databases.contains(name)) {
        let meant = did_you_mean(name, databases.iter().map(String::as_str));
        section.error(key, format!("{name:?} is not among [databases]: {meant}"));
    }
    names
}
