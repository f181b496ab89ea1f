//! `/write` and `/api/v2/write`: a body of line protocol, stored before it is answered.

use std::{
    error::Error,
    sync::{Arc, atomic::Ordering},
};

use hyper::{StatusCode, header::CONTENT_ENCODING};
use skywatch_cluster::{
    Consistency, InvalidConsistency, PositionToken, WriteError, WriteErrorClass, WriteRequest, WriteSummary,
};
use skywatch_model::{line::Precision, wall_clock_ns};
use skywatch_query::Identity;

use crate::{
    app::{App, Head, RequestBody},
    auth,
    body::BodyBytes,
    bucket::Bucket,
    request_counts::Kind,
    response::{Answer, Failure, no_content, with_position},
};

/// Where a body goes and how its times are to be read.
struct Target {
    database: String,
    retention_policy: String,
    precision: Precision,
    consistency: Consistency,
}

/// `POST /write?db=&rp=&precision=&consistency=`
pub(crate) async fn write_v1(
    app: &Arc<App>,
    head: &Head<'_>,
    body: &mut RequestBody,
) -> Result<Answer, Failure> {
    let precision = match head.url.get("precision") {
        "" | "n" | "ns" => Precision::Nanosecond,
        "u" | "us" | "µ" | "µs" => Precision::Microsecond,
        "ms" => Precision::Millisecond,
        "s" => Precision::Second,
        "m" => Precision::Minute,
        "h" => Precision::Hour,
        other => {
            let text = format!("invalid precision {other:?} (use n, u, ms, s, m or h)");
            return Err(Failure::bad_request(text));
        }
    };
    let (database, retention_policy) = (head.url.get("db").to_owned(), head.url.get("rp").to_owned());
    if database.is_empty() {
        return Err(Failure::bad_request("database is required"));
    }
    let consistency = consistency_of(head)?;
    write(app, head, body, Target { database, retention_policy, precision, consistency }).await
}

/// How many owners must have the points; one unless the request says otherwise.
pub(crate) fn consistency_of(head: &Head<'_>) -> Result<Consistency, Failure> {
    match head.url.get("consistency") {
        "" => Ok(Consistency::default()),
        level => level.parse().map_err(|error: InvalidConsistency| Failure::bad_request(error.to_string())),
    }
}

/// `POST /api/v2/write?bucket=db/rp&precision=`; the organisation is not looked at, as in InfluxDB 1.8.
pub(crate) async fn write_v2(
    app: &Arc<App>,
    head: &Head<'_>,
    body: &mut RequestBody,
) -> Result<Answer, Failure> {
    let precision = match head.url.get("precision") {
        "" | "ns" => Precision::Nanosecond,
        "us" => Precision::Microsecond,
        "ms" => Precision::Millisecond,
        "s" => Precision::Second,
        other => {
            let text = format!("invalid precision {other:?} (use ns, us, ms or s)");
            return Err(Failure::bad_request(text));
        }
    };
    let Bucket { database, retention_policy } = Bucket::parse(head.url.get("bucket"))
        .map_err(|error| Failure::new(StatusCode::NOT_FOUND, error.to_string()))?;
    let consistency = consistency_of(head)?;
    write(app, head, body, Target { database, retention_policy, precision, consistency }).await
}

async fn write(
    app: &Arc<App>,
    head: &Head<'_>,
    body: &mut RequestBody,
    target: Target,
) -> Result<Answer, Failure> {
    app.requests.count(head.identity.user_name(), head.peer, Kind::Write);
    check_rights(app, &head.identity, &target.database)?;
    let gzip = head.header(&CONTENT_ENCODING).eq_ignore_ascii_case("gzip");
    let body = app.bodies.read(body).await?;
    app.stats.write_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
    let permit = app.writes.enter().await?;
    let job = Arc::clone(app);
    // The write goes on if the client leaves: its points may be durable already.
    let stored = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        store(&job, &body, gzip, &target)
    });
    match stored.await {
        Ok(Ok(position)) => Ok(with_position(no_content(head.format), &position)),
        Ok(Err(failure)) => Err(failure),
        Err(_panicked) => {
            app.stats.panics.fetch_add(1, Ordering::Relaxed);
            Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; see the server's log"))
        }
    }
}

/// As InfluxDB a database that is not there is told before a right that is not.
pub(crate) fn check_rights(app: &App, identity: &Identity, database: &str) -> Result<(), Failure> {
    if *identity != Identity::Unrestricted && !app.engine.accounts().has_database(database) {
        return Err(failure(&WriteError::DatabaseNotFound(database.to_owned())));
    }
    auth::check_write(identity, database)
}

/// Blocking.
fn store(app: &App, received: &BodyBytes, gzip: bool, target: &Target) -> Result<PositionToken, Failure> {
    let unpacked = if gzip { Some(app.bodies.gunzip(received)?) } else { None };
    let body = unpacked.as_ref().unwrap_or(received);
    if app.config.write_tracing {
        tracing::info!(body = ?String::from_utf8_lossy(body), "Write body received by handler");
    }
    let request = WriteRequest {
        database: &target.database,
        retention_policy: Some(target.retention_policy.as_str()).filter(|policy| !policy.is_empty()),
        precision: target.precision,
        body,
        received_at_ns: wall_clock_ns(),
        consistency: target.consistency,
    };
    let outcome = app.engine.write(&request);
    count(app, &outcome);
    outcome.map(|summary| summary.position).map_err(|error| failure(&error))
}

/// Counts what became of a write.
pub(crate) fn count(app: &App, outcome: &Result<WriteSummary, WriteError>) {
    let (written, dropped) = match outcome {
        Ok(summary) => (summary.points, 0),
        Err(WriteError::Partial { dropped, written, .. }) => (*written, *dropped),
        Err(_) => (0, 0),
    };
    app.stats.points_written.fetch_add(written, Ordering::Relaxed);
    app.stats.points_dropped.fetch_add(dropped, Ordering::Relaxed);
}

/// A failed write as its client is told.
pub(crate) fn failure(error: &WriteError) -> Failure {
    let text = with_causes(error);
    match (error.class(), error) {
        (WriteErrorClass::NotFound, _) => Failure::new(StatusCode::NOT_FOUND, text),
        (_, WriteError::TooLarge { .. }) => Failure::new(StatusCode::PAYLOAD_TOO_LARGE, text),
        (WriteErrorClass::Caller, _) => Failure::bad_request(text),
        (WriteErrorClass::Retry, WriteError::Overloaded { retry_after_secs, .. }) => {
            Failure::unavailable(text, *retry_after_secs)
        }
        (WriteErrorClass::Retry, _) => Failure::unavailable(text, 1),
        (_, WriteError::BelowLevel { stored, hinted, needed, reason }) => {
            tracing::warn!(stored, hinted, needed, reason, "a write is below its consistency level");
            let durable = format!("stored={stored} hinted={hinted} needed={needed}");
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, text).with_durable(&durable)
        }
        (WriteErrorClass::Fatal, _) => {
            tracing::error!(error = text, "a write failed");
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}

/// An error and what caused it, on one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
