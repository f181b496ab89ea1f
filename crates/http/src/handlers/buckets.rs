//! `/api/v2/buckets`: databases and their retention policies as clients of 2.x see them.
//!
//! ```text
//! GET    /api/v2/buckets?name=&id=&limit=&offset=   every policy of every database, as "database/policy"
//! POST   /api/v2/buckets  {"name": "db/rp", "retentionRules": [{"everySeconds": 3600}]}   -> 201
//! GET    /api/v2/buckets/{id}                       one of them
//! DELETE /api/v2/buckets/{id}                       -> 204; with its last policy the database goes
//! ```
//!
//! Organisations are not looked at. Everything is done by statements, so that who may do what is decided in one place.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use skywatch_influxql::quote_ident;
use skywatch_model::{FieldValue, wall_clock_ns};
use skywatch_query::{CancelToken, Identity, QueryRequest, ResultSeries, StatementResult};

use crate::{
    app::{App, Head, RequestBody},
    bucket::Bucket,
    params::Params,
    response::{Answer, Failure, answer, no_content},
    small_query::{ask, texts},
};

const PATH: &str = "/api/v2/buckets/";
/// The policy of a bucket that names none.
const DEFAULT_POLICY: &str = "autogen";
/// Buckets in one answer unless `limit` says otherwise, and at most.
const LIMIT: usize = 20;
const LIMIT_MAX: usize = 100;

/// Whether a path names one bucket.
pub(crate) fn is_bucket(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|id| !id.is_empty())
}

/// One retention policy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Policy {
    database: String,
    name: String,
    duration_s: u64,
    shard_group_duration_s: u64,
    is_default: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NewBucket {
    name: String,
    retention_rules: Vec<RetentionRule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RetentionRule {
    every_seconds: u64,
    shard_group_duration_seconds: u64,
}

/// `GET` or `POST /api/v2/buckets`
pub(crate) async fn list_or_create(
    app: &Arc<App>,
    head: &Head<'_>,
    body: &mut RequestBody,
) -> Result<Answer, Failure> {
    if head.parts.method == Method::GET {
        let (params, identity) = (head.url.clone(), head.identity.clone());
        let page = run(app, move |app| list(app, &identity, &params)).await?;
        return Ok(json_answer(StatusCode::OK, &page.to_json()));
    }
    let body = app.bodies.read(body).await?;
    let new: NewBucket = serde_json::from_slice(&body)
        .map_err(|error| Failure::bad_request(format!("buckets - cannot parse request body: {error}")))?;
    let identity = head.identity.clone();
    let made = run(app, move |app| create(app, &identity, &new)).await?;
    Ok(json_answer(StatusCode::CREATED, &made.to_json()))
}

/// `GET` or `DELETE /api/v2/buckets/{id}`
pub(crate) async fn find_or_drop(app: &Arc<App>, head: &Head<'_>) -> Result<Answer, Failure> {
    let id = head.parts.uri.path().strip_prefix(PATH).unwrap_or_default();
    // The slash of "database/policy" arrives encoded; a plus is a plus here.
    let id = Params::parse(&format!("id={}", id.replace('+', "%2B"))).get("id").to_owned();
    let is_drop = head.parts.method == Method::DELETE;
    let identity = head.identity.clone();
    let found = run(app, move |app| {
        if is_drop {
            drop_bucket(app, &identity, &id).map(|()| None)
        } else {
            find(app, &identity, &id).map(Some)
        }
    });
    Ok(match found.await? {
        Some(policy) => json_answer(StatusCode::OK, &policy.to_json()),
        None => no_content(head.format),
    })
}

impl Policy {
    fn bucket_name(&self) -> String {
        format!("{}/{}", self.database, self.name)
    }

    fn is_named(&self, bucket: &str) -> bool {
        self.bucket_name() == bucket || (self.is_default && self.database == bucket)
    }

    fn to_json(&self) -> Value {
        let name = self.bucket_name();
        json!({
            "id": name,
            "type": "user",
            "name": name,
            "rp": self.name,
            "retentionRules": [{
                "type": "expire",
                "everySeconds": self.duration_s,
                "shardGroupDurationSeconds": self.shard_group_duration_s,
            }],
            "labels": [],
        })
    }
}

/// Some of the buckets, in their order.
struct Page {
    policies: Vec<Policy>,
    limit: usize,
    offset: usize,
    has_next: bool,
}

impl Page {
    /// Clients walk through all pages by whether there is a link to the next one.
    fn to_json(&self) -> Value {
        let buckets: Vec<Value> = self.policies.iter().map(Policy::to_json).collect();
        let link = |offset| format!("/api/v2/buckets?limit={}&offset={offset}", self.limit);
        let mut links = json!({ "self": link(self.offset) });
        if self.has_next {
            links["next"] = json!(link(self.offset + self.limit));
        }
        json!({ "links": links, "buckets": buckets })
    }
}

fn list(app: &App, identity: &Identity, params: &Params) -> Result<Page, Failure> {
    let number = |name: &str, default: usize| match params.get(name) {
        "" => Ok(default),
        text => text
            .parse::<usize>()
            .map_err(|_| Failure::bad_request(format!("buckets - {name} {text:?} is no number"))),
    };
    let (limit, offset) = (number("limit", LIMIT)?.clamp(1, LIMIT_MAX), number("offset", 0)?);
    let (name, id, after) = (params.get("name"), params.get("id"), params.get("after"));
    let wanted = |policy: &Policy| {
        (name.is_empty() || policy.is_named(name)) && (id.is_empty() || policy.is_named(id))
    };
    let mut found: Vec<Policy> = policies(app, identity)?.into_iter().filter(wanted).collect();
    if let Some(at) = found.iter().position(|policy| policy.is_named(after)) {
        found.drain(..=at);
    }
    let has_next = found.len() > offset.saturating_add(limit);
    let policies = found.into_iter().skip(offset).take(limit).collect();
    Ok(Page { policies, limit, offset, has_next })
}

fn find(app: &App, identity: &Identity, id: &str) -> Result<Policy, Failure> {
    let found = policies(app, identity)?.into_iter().find(|policy| policy.is_named(id));
    found.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, format!("bucket {id:?} not found")))
}

fn create(app: &App, identity: &Identity, new: &NewBucket) -> Result<Policy, Failure> {
    let bucket =
        Bucket::parse(&new.name).map_err(|error| Failure::bad_request(format!("buckets - {error}")))?;
    let policy = match bucket.retention_policy.as_str() {
        "" => DEFAULT_POLICY,
        named => named,
    };
    let rule = match new.retention_rules.as_slice() {
        [] => &RetentionRule::default(),
        [rule] => rule,
        _ => return Err(Failure::bad_request("buckets - more than one retention rule is not supported")),
    };
    let duration = match rule.every_seconds {
        0 => "INF".to_owned(),
        seconds => format!("{seconds}s"),
    };
    let shard_duration = match rule.shard_group_duration_seconds {
        0 => String::new(),
        seconds => format!(" SHARD DURATION {seconds}s"),
    };
    let known = policies(app, identity)?;
    let id = format!("{}/{policy}", bucket.database);
    if known.iter().any(|known| known.bucket_name() == id) {
        let text = format!("bucket with name {id:?} already exists");
        return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    let (database, policy) = (quote_ident(&bucket.database), quote_ident(policy));
    let statement = if known.iter().any(|known| known.database == bucket.database) {
        format!(
            "CREATE RETENTION POLICY {policy} ON {database} DURATION {duration} REPLICATION 1{shard_duration}"
        )
    } else {
        format!(
            "CREATE DATABASE {database} WITH DURATION {duration} REPLICATION 1{shard_duration} NAME {policy}"
        )
    };
    statement_done(app, identity, &statement)?;
    find(app, identity, &id)
}

fn drop_bucket(app: &App, identity: &Identity, id: &str) -> Result<(), Failure> {
    let found = find(app, identity, id)?;
    let database = quote_ident(&found.database);
    let is_last =
        policies(app, identity)?.iter().filter(|policy| policy.database == found.database).count() == 1;
    let statement = if is_last {
        format!("DROP DATABASE {database}")
    } else {
        format!("DROP RETENTION POLICY {} ON {database}", quote_ident(&found.name))
    };
    statement_done(app, identity, &statement)
}

fn statement_done(app: &App, identity: &Identity, statement: &str) -> Result<(), Failure> {
    ask(app, &asked_by(identity, statement), &CancelToken::new()).map(drop)
}

fn asked_by(identity: &Identity, statement: impl Into<String>) -> QueryRequest {
    QueryRequest { identity: identity.clone(), ..QueryRequest::new(statement, "", wall_clock_ns()) }
}

/// Every policy that the user may see.
fn policies(app: &App, identity: &Identity) -> Result<Vec<Policy>, Failure> {
    let question = |text: String| ask(app, &asked_by(identity, text), &CancelToken::new());
    let mut policies = Vec::new();
    let mut databases = texts(&question("SHOW DATABASES".to_owned())?, "name");
    // Who may only write to a database may not see how it is kept.
    databases.retain(|database| identity.may_read(database));
    for database in databases {
        let results = question(format!("SHOW RETENTION POLICIES ON {}", quote_ident(&database)))?;
        policies.extend(policies_of(&database, &results));
    }
    Ok(policies)
}

fn policies_of(database: &str, results: &[StatementResult]) -> Vec<Policy> {
    let rows = |series: &ResultSeries| {
        let column = |name: &str| series.columns.iter().position(|column| **column == *name);
        let cell = |row: usize, name: &str| column(name).and_then(|at| series.values[at].get(row));
        let text = |row: usize, name: &str| match cell(row, name) {
            Some(FieldValue::String(text)) => text.to_string(),
            _ => String::new(),
        };
        let seconds = |row, name| {
            skywatch_influxql::parse_duration(&text(row, name))
                .map_or(0, |ns| ns.unsigned_abs() / 1_000_000_000)
        };
        let policy = |row| Policy {
            database: database.to_owned(),
            name: text(row, "name"),
            duration_s: seconds(row, "duration"),
            shard_group_duration_s: seconds(row, "shardGroupDuration"),
            is_default: cell(row, "default") == Some(FieldValue::Boolean(true)),
        };
        (0..series.len()).map(policy).collect::<Vec<_>>()
    };
    results.iter().flat_map(|result| &result.series).flat_map(rows).collect()
}

/// Runs `work` on a thread for queries.
async fn run<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let permit = app.queries.enter().await?;
    let job = Arc::clone(app);
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work(&job)
    });
    done.await.unwrap_or_else(|_panicked| {
        Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; see the server's log"))
    })
}

fn json_answer(status: StatusCode, body: &Value) -> Answer {
    answer(status, "application/json; charset=utf-8", format!("{body}\n"))
}
