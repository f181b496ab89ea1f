//! `POST /api/v2/delete?bucket=db/rp` with `{"start": ..., "stop": ..., "predicate": ...}`.

use std::sync::Arc;

use hyper::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use skywatch_model::{MAX_TIME, MIN_TIME, TimeRange, wall_clock_ns};
use skywatch_query::{BackendError, CancelToken, DeleteRequest, QueryRequest};

use crate::{
    app::{App, Head, RequestBody},
    auth,
    bucket::Bucket,
    delete_predicate::DeletePredicate,
    handlers::write::with_causes,
    response::{Answer, Failure, no_content},
    small_query::{ask, texts},
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DeleteBody {
    start: String,
    stop: String,
    predicate: String,
}

/// Deletes the points of a bucket between two times, both included, to which the predicate applies. Without a policy
/// in the bucket's name those of the default one.
pub(crate) async fn delete(
    app: &Arc<App>,
    head: &Head<'_>,
    body: &mut RequestBody,
) -> Result<Answer, Failure> {
    let bucket = Bucket::parse(head.url.get("bucket"))
        .map_err(|error| Failure::new(StatusCode::NOT_FOUND, format!("delete - bucket: {error}")))?;
    auth::check_write(&head.identity, &bucket.database)?;
    let body = app.bodies.read(body).await?;
    let wanted: DeleteBody = serde_json::from_slice(&body)
        .map_err(|error| Failure::bad_request(format!("delete - cannot parse request body: {error}")))?;
    let (start, end) = (time(&wanted.start, "start")?, time(&wanted.stop, "stop")?);
    let predicate = DeletePredicate::parse(&wanted.predicate).map_err(|error| {
        Failure::bad_request(format!("delete - cannot parse predicate {:?}: {error}", wanted.predicate))
    })?;
    if start > end {
        return Err(Failure::bad_request(format!(
            "delete - start {} is after stop {}",
            wanted.start, wanted.stop
        )));
    }
    let range = TimeRange::new(start, end);
    let permit = app.queries.enter().await?;
    let job = Arc::clone(app);
    let deleted = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        run(&job, &bucket, &predicate, range)
    });
    deleted.await.unwrap_or_else(|_panicked| {
        Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; see the server's log"))
    })?;
    Ok(no_content(head.format))
}

fn time(text: &str, name: &str) -> Result<i64, Failure> {
    if text.is_empty() {
        return Err(Failure::bad_request(format!(
            "delete - {name} is missing: start and stop are required, as RFC3339 times"
        )));
    }
    let parsed: Timestamp = text.parse().map_err(|_| {
        Failure::bad_request(format!(
            "delete - {name} {text:?} is no RFC3339 time, such as 2026-05-01T00:00:00Z"
        ))
    })?;
    let earliest = i128::from(MIN_TIME);
    let clamped = parsed.as_nanosecond().clamp(earliest, i128::from(MAX_TIME));
    Ok(i64::try_from(clamped).unwrap_or(MAX_TIME))
}

/// Blocking.
fn run(app: &App, bucket: &Bucket, predicate: &DeletePredicate, range: TimeRange) -> Result<(), Failure> {
    let question = QueryRequest::new("SHOW MEASUREMENTS", &bucket.database, wall_clock_ns());
    let known = ask(app, &question, &CancelToken::new())?;
    let wanted = texts(&known, "name").into_iter().filter(|name| predicate.wants_measurement(name));
    let request = DeleteRequest {
        retention_policy: Some(bucket.retention_policy.clone()),
        measurements: wanted.map(Arc::from).collect(),
        predicate: predicate.tags(),
        range,
    };
    app.engine.delete(&bucket.database, &request).map_err(|error| match error {
        BackendError::DatabaseNotFound(_) | BackendError::RetentionPolicyNotFound(_) => {
            Failure::new(StatusCode::NOT_FOUND, error.to_string())
        }
        other => {
            let text = with_causes(&other);
            tracing::error!(error = text, "a delete failed");
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    })
}
