//! `/api/v2/query` and `/api/v2/query/analyze`: Flux in, annotated CSV out.
//!
//! ```text
//! POST /api/v2/query            Content-Type: application/vnd.flux   the text
//! POST /api/v2/query            Content-Type: application/json       {"query": "...", "dialect": {...}, "now": "..."}
//! POST /api/v2/query/analyze    {"query": "..."}                     -> {"errors": [{"line", "column", "message"}]}
//! ```
//!
//! Organisations are not looked at. `node_id`, `partial` and `position` mean what they do for `/query`.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use hyper::{
    StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use serde::Deserialize;
use serde_json::json;
use skywatch_flux_runtime::{Error, ErrorClass, MemoryAccount, NoMemory, Request, analyze, parse_time, run};
use skywatch_model::wall_clock_ns;
use skywatch_query::CancelToken;
use skywatch_storage::{Consumer, Reservation};
use tokio::sync::{mpsc, oneshot};

use crate::{
    app::{App, Head, RequestBody},
    flux::{AskedDialect, Asker, Buckets, CsvWriter, Dialect, extern_options},
    handlers::{
        query::Reader,
        streaming::{KillOnDrop, PARTS_AHEAD, break_stream, broken, count_abandoned, outlet, streamed},
    },
    request_counts::Kind,
    response::{Answer, Failure, StreamItem, answer},
};

/// A query as a client sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Question {
    query: String,
    #[serde(rename = "type")]
    language: Option<String>,
    dialect: Option<AskedDialect>,
    now: Option<String>,
    /// A syntax tree of options, which clients of 2.x can send beside the text.
    r#extern: Option<serde_json::Value>,
    params: serde_json::Map<String, serde_json::Value>,
}

/// A query that can be run.
struct Job {
    question: Question,
    now_ns: i64,
    dialect: Dialect,
    asker: Asker,
    gzip: bool,
}

/// `POST /api/v2/query`
pub(crate) async fn query(
    app: &Arc<App>,
    head: &Head<'_>,
    body: &mut RequestBody,
) -> Result<Answer, Failure> {
    refuse_if_disabled(app)?;
    app.requests.count(head.identity.user_name(), head.peer, Kind::Query);
    let question = question(app, head, body).await?;
    if app.config.flux_log {
        let user = head.identity.user_name().unwrap_or_default();
        tracing::info!(user, query = question.query, "a query in Flux");
    }
    let tree = tree_memory(app, &question.query)?;
    let job = Job::new(head, question)?;
    let permit = app.queries.enter().await?;
    let cancel = CancelToken::new();
    let kill = KillOnDrop(cancel.clone());
    let (parts_in, parts) = mpsc::channel(PARTS_AHEAD);
    let (failed, failure) = oneshot::channel();
    let gzip = job.gzip;
    let worker = Arc::clone(app);
    tokio::task::spawn_blocking(move || {
        let _held = (permit, tree);
        work(&worker, job, &cancel, &parts_in, failed);
    });
    streamed(parts, failure, kill, "text/csv; charset=utf-8", gzip).await
}

/// `POST /api/v2/query/analyze`
pub(crate) async fn analyze_query(
    app: &Arc<App>,
    head: &Head<'_>,
    body: &mut RequestBody,
) -> Result<Answer, Failure> {
    refuse_if_disabled(app)?;
    let question = question(app, head, body).await?;
    let _tree = tree_memory(app, &question.query)?;
    let permit = app.queries.enter().await?;
    let analyzed = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        analyze(&question.query)
    });
    let errors = match analyzed.await.map_err(|_| broken())? {
        Err(Error::Text(error)) => {
            let at = error.span.start;
            vec![json!({"line": at.line, "column": at.column, "character": 0, "message": error.message})]
        }
        Err(error) => vec![json!({"line": 0, "column": 0, "character": 0, "message": error.to_string()})],
        Ok(()) => Vec::new(),
    };
    Ok(answer(StatusCode::OK, "application/json; charset=utf-8", json!({"errors": errors}).to_string()))
}

/// Memory for the syntax tree of a text, which is much larger than the text.
fn tree_memory(app: &App, text: &str) -> Result<Reservation, Failure> {
    const TREE_BYTES_PER_BYTE: u64 = 64;
    let bytes = TREE_BYTES_PER_BYTE * text.len() as u64;
    app.config.memory.reserve(Consumer::Queries, bytes).map_err(|full| match full.is_hopeless() {
        true => Failure::bad_request(format!("the query is too long: {full}")),
        false => Failure::unavailable(full.to_string(), 1),
    })
}

fn refuse_if_disabled(app: &App) -> Result<(), Failure> {
    if app.config.flux {
        return Ok(());
    }
    let text =
        "Flux query service disabled. Verify flux-enabled=true in the [http] section of the configuration";
    Err(Failure::new(StatusCode::FORBIDDEN, text))
}

async fn question(app: &Arc<App>, head: &Head<'_>, body: &mut RequestBody) -> Result<Question, Failure> {
    let mut bytes = app.bodies.read(body).await?;
    if head.header(&CONTENT_ENCODING).trim().eq_ignore_ascii_case("gzip") {
        let unpacking = Arc::clone(app);
        let unpacked = tokio::task::spawn_blocking(move || unpacking.bodies.gunzip(&bytes));
        bytes = unpacked.await.map_err(|_| broken())??;
    }
    let content_type = head.header(&CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    let question: Question = if content_type.eq_ignore_ascii_case("application/vnd.flux") {
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| Failure::bad_request(format!("the query is not UTF-8: {error}")))?;
        Question { query: text.to_owned(), ..Question::default() }
    } else {
        serde_json::from_slice(&bytes).map_err(|error| {
            Failure::bad_request(format!(
                "failed to decode request body: {error}; send JSON, or the text with Content-Type application/vnd.flux"
            ))
        })?
    };
    if question.query.trim().is_empty() {
        return Err(Failure::bad_request("request body requires query"));
    }
    match question.language.as_deref() {
        None | Some("" | "flux") => {}
        Some(other) => {
            let text = format!("unknown query type: {other}; only flux is answered here, InfluxQL at /query");
            return Err(Failure::bad_request(text));
        }
    }
    Ok(question)
}

impl Job {
    fn new(head: &Head<'_>, question: Question) -> Result<Self, Failure> {
        names_of(&question)?;
        let now_ns = match question.now.as_deref().filter(|now| !now.is_empty()) {
            None => wall_clock_ns(),
            Some(text) => parse_time(text)
                .ok_or_else(|| Failure::bad_request(format!("now: {text:?} is not a time of RFC 3339")))?,
        };
        let Reader { node_id, allows_partial, position } = Reader::of(&head.url)?;
        let identity = head.identity.clone();
        Ok(Self {
            now_ns,
            dialect: question.dialect.as_ref().map_or_else(|| Ok(Dialect::default()), Dialect::of)?,
            question,
            asker: Asker { identity, now_ns, node_id, allows_partial, position },
            gzip: head.accepts_gzip(),
        })
    }
}

/// What comes beside the text: options of `extern`, and the record `params`.
fn names_of(question: &Question) -> Result<Vec<(Arc<str>, skywatch_flux_runtime::Value)>, Failure> {
    let mut names = match &question.r#extern {
        None | Some(serde_json::Value::Null) => Vec::new(),
        Some(tree) => extern_options(tree).map_err(|reason| {
            Failure::bad_request(format!("extern: {reason}; write options into the query"))
        })?,
    };
    if !question.params.is_empty() {
        let params = question.params.iter().map(|(name, value)| (Arc::from(name.as_str()), bound(value)));
        names.push(("params".into(), skywatch_flux_runtime::Record::new(params).into()));
    }
    Ok(names)
}

/// A parameter of the request as Flux sees it.
fn bound(value: &serde_json::Value) -> skywatch_flux_runtime::Value {
    use serde_json::Value as Json;
    use skywatch_flux_runtime::{Record, Value};
    match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::Int(value),
            (None, Some(value)) => Value::Uint(value),
            (None, None) => number.as_f64().map_or(Value::Null, Value::Float),
        },
        Json::String(text) => Value::text(text),
        Json::Array(values) => Value::array(values.iter().map(bound).collect()),
        Json::Object(members) => {
            let members = members.iter().map(|(name, value)| (Arc::from(name.as_str()), bound(value)));
            Record::new(members).into()
        }
    }
}

/// Counts a query's memory with that of other queries.
struct Account(Reservation);

impl MemoryAccount for Account {
    fn hold(&mut self, bytes: u64) -> Result<(), NoMemory> {
        if bytes <= self.0.bytes() {
            self.0.shrink_to(bytes);
            return Ok(());
        }
        self.0.grow_to(bytes).map_err(|full| NoMemory {
            message: format!("{full}; ask for fewer series, a shorter time, or an aggregate of windows"),
            is_hopeless: full.is_hopeless(),
        })
    }
}

/// Runs the query on the calling thread; `failed` is told why when nothing was sent.
fn work(
    app: &Arc<App>,
    job: Job,
    cancel: &CancelToken,
    parts: &mpsc::Sender<StreamItem>,
    failed: oneshot::Sender<Option<Failure>>,
) {
    let mut writer = CsvWriter::new(job.dialect, outlet(app, job.gzip, cancel, parts));
    // All that it asks for together, and what it makes of it.
    let timeout = app.engine.query_timeout();
    let bounded = match timeout.is_zero() {
        true => cancel.clone(),
        false => cancel.with_deadline(Instant::now() + timeout),
    };
    let _listed = app.engine.list_query(&job.question.query, cancel);
    let storage = Buckets { app, asker: job.asker, cancel: bounded };
    let account = Account(app.config.memory.empty(Consumer::Queries));
    // Read on the way in; values of Flux do not change threads.
    let names = names_of(&job.question).unwrap_or_default();
    let request = Request { text: &job.question.query, now_ns: job.now_ns, names, memory: Box::new(account) };
    let outcome = catch_unwind(AssertUnwindSafe(|| run(request, &storage, &mut writer)));
    let failure = match outcome {
        Ok(Ok(())) => {
            count_abandoned(app, writer.finish().is_err());
            None
        }
        Ok(Err(error)) => {
            count_abandoned(app, writer.is_closed || cancel.is_killed());
            let failure = failure_of(&error);
            if writer.has_sent() {
                writer.error(&error.to_string());
                // A client that has gone does not miss it.
                let _gone = writer.finish();
            }
            Some(failure)
        }
        Err(_panic) => {
            app.stats.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!(query = job.question.query, "a query panicked");
            if writer.has_sent() {
                break_stream(parts);
            }
            Some(broken())
        }
    };
    // Nobody waits for it once the answer has begun.
    drop(failed.send(failure));
}

/// A failed query as its client is told.
fn failure_of(error: &Error) -> Failure {
    let text = error.to_string();
    match error {
        Error::Text(_)
        | Error::Run { .. }
        | Error::Memory(NoMemory { is_hopeless: true, .. })
        | Error::Storage { class: ErrorClass::Invalid, .. } => Failure::bad_request(text),
        Error::Storage { class: ErrorClass::NotFound, .. } => Failure::new(StatusCode::NOT_FOUND, text),
        Error::Storage { class: ErrorClass::Forbidden, .. } => Failure::new(StatusCode::FORBIDDEN, text),
        Error::Storage { class: ErrorClass::Unavailable, .. } | Error::Memory(_) | Error::Stopped(_) => {
            Failure::unavailable(text, 1)
        }
        Error::Storage { class: ErrorClass::Internal, .. } => {
            tracing::error!(error = text, "a query failed");
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}
