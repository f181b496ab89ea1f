//! Who asks, and what each statement needs: InfluxDB's rules, except where they let somebody see or change what was not
//! granted (docs/differences.md names those).

use std::{collections::BTreeMap, sync::Arc};

use skywatch_influxql::{CreateContinuousQuery, Privilege, Query, Select, Show, Source, Statement};

use crate::{Administration, QueryError, QueryRequest};

/// On whose behalf a query runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Identity {
    /// Nobody is asked for rights: authentication is off, or the node itself asks.
    #[default]
    Unrestricted,
    /// Somebody who has not logged in, since nobody can yet: may make the first administrator.
    Anonymous,
    /// A user who has logged in.
    User(Arc<UserRights>),
}

impl Identity {
    /// Whether points of a database may be read.
    pub fn may_read(&self, database: &str) -> bool {
        self.may(Privilege::Read, database)
    }

    /// Whether points may be written to a database.
    pub fn may_write(&self, database: &str) -> bool {
        self.may(Privilege::Write, database)
    }

    /// Whether everything is allowed.
    pub fn is_admin(&self) -> bool {
        match self {
            Self::Unrestricted => true,
            Self::Anonymous => false,
            Self::User(user) => user.admin,
        }
    }

    /// The user's name, if somebody has logged in.
    pub fn user_name(&self) -> Option<&str> {
        match self {
            Self::User(user) => Some(&user.name),
            Self::Unrestricted | Self::Anonymous => None,
        }
    }

    fn may(&self, wanted: Privilege, database: &str) -> bool {
        match self {
            Self::Unrestricted => true,
            Self::Anonymous => false,
            Self::User(user) => {
                let held = user.privileges.get(database);
                user.admin || held.is_some_and(|&held| held == wanted || held == Privilege::All)
            }
        }
    }
}

/// A user, and what was granted to it when it logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRights {
    /// Its name.
    pub name: String,
    /// May do everything.
    pub admin: bool,
    /// By database.
    pub privileges: BTreeMap<String, Privilege>,
}

/// What a statement needs.
#[derive(Debug, PartialEq, Eq)]
enum Need<'a> {
    /// To be an administrator.
    Admin,
    /// A privilege on a database; `None` is the request's.
    On(Privilege, Option<&'a str>),
}

/// Whether the whole query may run: it is refused, and nothing of it is done, for the first statement that may not.
pub(crate) fn authorize(
    query: &Query,
    request: &QueryRequest,
    node: &dyn Administration,
) -> Result<(), QueryError> {
    let user = match &request.identity {
        Identity::Unrestricted => return Ok(()),
        Identity::Anonymous => return authorize_first(query, node),
        Identity::User(user) if user.admin => return Ok(()),
        Identity::User(user) => user,
    };
    for statement in &query.statements {
        for need in needs(statement, &request.database) {
            let lacking = match need {
                Need::Admin => "admin privilege".to_owned(),
                Need::On(privilege, named) => {
                    let database = given(named).unwrap_or(&request.database);
                    if request.identity.may(privilege, database) {
                        continue;
                    }
                    format!("{privilege} on {database}")
                }
            };
            return Err(QueryError::Forbidden(format!(
                "{} not authorized to execute statement '{statement}', requires {lacking}",
                user.name
            )));
        }
    }
    Ok(())
}

/// As in InfluxDB a query that begins with making an administrator may do everything, while there are no users at all.
/// With users, but without an administrator, nothing goes.
fn authorize_first(query: &Query, node: &dyn Administration) -> Result<(), QueryError> {
    let makes_admin = matches!(query.statements.first(), Some(Statement::CreateUser(create)) if create.admin);
    let reason = match (node.users()?.is_empty(), makes_admin) {
        (true, true) => return Ok(()),
        (true, false) => "create admin user first or disable authentication",
        (false, _) => "no user provided",
    };
    Err(QueryError::Forbidden(reason.to_owned()))
}

fn given(name: Option<&str>) -> Option<&str> {
    name.filter(|name| !name.is_empty())
}

fn needs<'a>(statement: &'a Statement, requested: &'a str) -> Vec<Need<'a>> {
    match statement {
        Statement::Select(select) => select_needs(select, None),
        Statement::Explain(explain) => select_needs(&explain.select, None),
        Statement::Delete(_) | Statement::DropSeries(_) => vec![Need::On(Privilege::Write, None)],
        Statement::DropRetentionPolicy(drop) => vec![Need::On(Privilege::Write, Some(&drop.database))],
        Statement::CreateContinuousQuery(create) => continuous_query_needs(create, requested),
        Statement::DropContinuousQuery(drop) => vec![Need::On(Privilege::Write, Some(&drop.database))],
        Statement::Show(show) => show_needs(show),
        Statement::DropMeasurement(_)
        | Statement::DropShard(_)
        | Statement::CreateDatabase(_)
        | Statement::DropDatabase(_)
        | Statement::CreateRetentionPolicy(_)
        | Statement::AlterRetentionPolicy(_)
        | Statement::CreateSubscription(_)
        | Statement::DropSubscription(_)
        | Statement::CreateUser(_)
        | Statement::DropUser(_)
        | Statement::SetPassword(_)
        | Statement::Grant(_)
        | Statement::GrantAdmin(_)
        | Statement::Revoke(_)
        | Statement::RevokeAdmin(_)
        | Statement::KillQuery(_) => vec![Need::Admin],
    }
}

/// Every database that is read, those of subqueries too; then the one that is written. Names that are left out stand for
/// `default`.
fn select_needs<'a>(select: &'a Select, default: Option<&'a str>) -> Vec<Need<'a>> {
    let mut needs = Vec::new();
    add_reads(select, default, &mut needs);
    if let Some(target) = &select.into {
        needs.push(Need::On(Privilege::Write, given(target.database.as_deref()).or(default)));
    }
    needs
}

fn add_reads<'a>(select: &'a Select, default: Option<&'a str>, needs: &mut Vec<Need<'a>>) {
    for source in &select.from {
        match source {
            Source::Measurement(measurement) => {
                needs.push(Need::On(Privilege::Read, given(measurement.database.as_deref()).or(default)));
            }
            Source::Subquery(select) => add_reads(select, default, needs),
        }
    }
}

/// It runs without anybody's rights later: all that it reads and writes is looked at now.
fn continuous_query_needs<'a>(create: &'a CreateContinuousQuery, requested: &'a str) -> Vec<Need<'a>> {
    let own = create.database.as_str();
    // As the names are completed: the request's database comes first.
    let default = given(Some(requested)).unwrap_or(own);
    let mut needs = vec![Need::On(Privilege::Read, Some(own))];
    needs.extend(select_needs(&create.select, Some(default)));
    needs
}

fn show_needs(show: &Show) -> Vec<Need<'_>> {
    match show {
        // Everybody may ask; what is shown depends on who does.
        Show::Databases => Vec::new(),
        Show::ContinuousQueries | Show::Queries => vec![Need::On(Privilege::Read, None)],
        Show::RetentionPolicies(show) => read(&show.database),
        Show::Measurements(show) => read(&show.database),
        Show::FieldKeys(show) => read_each(&show.database, &show.from),
        Show::Series(show) => read_each(&show.database, &show.from),
        Show::TagKeys(show) => read(&show.database),
        Show::TagValues(show) => read(&show.database),
        Show::SeriesCardinality(show)
        | Show::MeasurementCardinality(show)
        | Show::FieldKeyCardinality(show)
        | Show::TagKeyCardinality(show) => read_each(&show.database, &show.from),
        Show::TagValuesCardinality(show) => read_each(&show.cardinality.database, &show.cardinality.from),
        Show::Grants(_)
        | Show::Diagnostics(_)
        | Show::Servers
        | Show::ShardGroups
        | Show::Shards
        | Show::Stats(_)
        | Show::Subscriptions
        | Show::Users => vec![Need::Admin],
    }
}

/// Of statements whose sources may be of other databases than the one the statement is about.
fn read_each<'a>(database: &'a Option<String>, from: &'a [Source]) -> Vec<Need<'a>> {
    let named = |source: &'a Source| match source {
        Source::Measurement(measurement) => given(measurement.database.as_deref()),
        Source::Subquery(_) => None,
    };
    if from.is_empty() {
        return read(database);
    }
    from.iter().map(|source| Need::On(Privilege::Read, named(source).or(database.as_deref()))).collect()
}

fn read(database: &Option<String>) -> Vec<Need<'_>> {
    vec![Need::On(Privilege::Read, database.as_deref())]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `u` lacks for a query on `d`, on which it holds a privilege.
    fn lacks(held: Option<Privilege>, text: &str) -> Option<String> {
        lacks_on("d", held, text)
    }

    fn lacks_on(database: &str, held: Option<Privilege>, text: &str) -> Option<String> {
        let privileges = held.map(|held| ("d".to_owned(), held)).into_iter().collect();
        let rights = UserRights { name: "u".to_owned(), admin: false, privileges };
        let mut request = QueryRequest::new(text, database, 0);
        request.identity = Identity::User(Arc::new(rights));
        let query = skywatch_influxql::parse_query(text).unwrap();
        let refusal = authorize(&query, &request, &NoNode).err()?.to_string();
        Some(refusal.rsplit_once(", requires ").expect("says what").1.to_owned())
    }

    #[test]
    fn reading_and_writing_are_told_apart() {
        let (read, write) = (Some(Privilege::Read), Some(Privilege::Write));
        for (text, reader_lacks, writer_lacks) in [
            ("SELECT v FROM m", None, Some("READ on d")),
            ("SELECT v FROM m, o..m", Some("READ on o"), Some("READ on d")),
            ("SELECT v FROM (SELECT v FROM o..m)", Some("READ on o"), Some("READ on o")),
            ("SELECT v INTO x FROM m", Some("WRITE on d"), Some("READ on d")),
            ("SELECT v INTO o..x FROM m", Some("WRITE on o"), Some("READ on d")),
            ("EXPLAIN SELECT v FROM m", None, Some("READ on d")),
            ("DELETE FROM m", Some("WRITE on d"), None),
            ("DROP SERIES FROM m", Some("WRITE on d"), None),
            ("DROP RETENTION POLICY p ON o", Some("WRITE on o"), Some("WRITE on o")),
            ("SHOW DATABASES", None, None),
            ("SHOW TAG KEYS ON o", Some("READ on o"), Some("READ on o")),
            ("SHOW SERIES EXACT CARDINALITY ON o", Some("READ on o"), Some("READ on o")),
            ("SHOW SERIES EXACT CARDINALITY FROM o..m", Some("READ on o"), Some("READ on o")),
            ("SHOW SERIES FROM m, o..m", Some("READ on o"), Some("READ on d")),
            ("SHOW FIELD KEYS ON d FROM o..m", Some("READ on o"), Some("READ on o")),
            ("SHOW QUERIES", None, Some("READ on d")),
            ("SHOW USERS", Some("admin privilege"), Some("admin privilege")),
            ("SHOW DATABASES; DROP SHARD 1", Some("admin privilege"), Some("admin privilege")),
        ] {
            assert_eq!(lacks(read, text).as_deref(), reader_lacks, "{text}");
            assert_eq!(lacks(write, text).as_deref(), writer_lacks, "{text}");
        }
        assert_eq!(lacks(Some(Privilege::All), "SELECT v INTO x FROM m"), None);
        assert_eq!(lacks_on("", read, "SELECT v FROM m").as_deref(), Some("READ on "));
    }

    #[test]
    fn a_continuous_query_needs_all_that_it_will_do() {
        let create =
            |select: &str| format!("CREATE CONTINUOUS QUERY c ON d BEGIN {select} GROUP BY time(1m) END");
        let own = create("SELECT mean(v) INTO x FROM m");
        assert_eq!(lacks(Some(Privilege::Read), &own).as_deref(), Some("WRITE on d"));
        assert_eq!(lacks(Some(Privilege::All), &own), None);
        assert_eq!(lacks_on("", Some(Privilege::All), &own), None);
        assert_eq!(lacks_on("o", Some(Privilege::All), &own).as_deref(), Some("READ on o"));
        let others = create("SELECT mean(v) INTO x FROM (SELECT v FROM o..m)");
        assert_eq!(lacks(Some(Privilege::All), &others).as_deref(), Some("READ on o"));
    }

    #[test]
    fn passwords_are_not_in_refusals() {
        let text = "CREATE USER x WITH PASSWORD 'hush'";
        let query = skywatch_influxql::parse_query(text).unwrap();
        let rights = UserRights { name: "u".to_owned(), admin: false, privileges: BTreeMap::new() };
        let request =
            QueryRequest { identity: Identity::User(Arc::new(rights)), ..QueryRequest::new(text, "", 0) };
        assert_eq!(
            authorize(&query, &request, &NoNode).unwrap_err().to_string(),
            "error authorizing query: u not authorized to execute statement 'CREATE USER x WITH PASSWORD \
             [REDACTED]', requires admin privilege"
        );
    }

    #[test]
    fn the_first_administrator_is_made_by_anybody() {
        let first = |text: &str| {
            let query = skywatch_influxql::parse_query(text).unwrap();
            let request = QueryRequest { identity: Identity::Anonymous, ..QueryRequest::new(text, "", 0) };
            authorize(&query, &request, &NoNode).err().map(|error| error.to_string())
        };
        let make = "CREATE USER a WITH PASSWORD 'x' WITH ALL PRIVILEGES";
        assert_eq!(first(make), None);
        assert_eq!(first(&format!("{make}; CREATE DATABASE d")), None);
        let refusal =
            Some("error authorizing query: create admin user first or disable authentication".to_owned());
        for text in ["", "SHOW DATABASES", "CREATE USER a WITH PASSWORD 'x'", &format!("SHOW USERS; {make}")]
        {
            assert_eq!(first(text), refusal, "{text}");
        }
    }

    /// Has no users, and nothing else is asked of it.
    #[derive(Debug)]
    struct NoNode;

    impl Administration for NoNode {}
}
