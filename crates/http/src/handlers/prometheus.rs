//! `/api/v1/prom/write` and `/api/v1/prom/read`: Prometheus keeps its samples here and asks for them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
};

use hyper::{
    StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue},
};
use skywatch_cluster::{Consistency, PointsRequest, WriteError};
use skywatch_model::{Column, Values, line::PointBatch, wall_clock_ns};
use skywatch_prometheus::{
    ReadError, ReadQuery, ReadResponse, WriteReport, compress, decode_read, decode_write,
};
use skywatch_query::{
    CancelToken, OutputColumn, QueryError, QueryRequest, ResultSeries, SinkClosed, StatementResult,
};
use skywatch_storage::{Consumer, Exhausted, Reservation};

use crate::{
    app::{App, Head, RequestBody},
    auth,
    handlers::{
        query::query_failure,
        streaming::{KillOnDrop, broken},
        write::{check_rights, consistency_of, count, failure},
    },
    request_counts::Kind,
    response::{Answer, AnswerBody, Failure, no_content},
    small_query::{ask, texts},
};

/// Largest read request, unpacked: queries are short.
const READ_REQUEST_BYTES_MAX: usize = 1 << 20;
/// Largest answer, before it is packed.
const READ_ANSWER_BYTES_MAX: usize = 256 << 20;

/// What a batch takes for each byte of the message that it is made from: the smallest sample is a dozen bytes there,
/// and a point and a value here.
const BATCH_BYTES_PER_BYTE: u64 = 4;

/// `POST /api/v1/prom/write?db=&rp=&consistency=`
pub(crate) async fn write(
    app: &Arc<App>,
    head: &Head<'_>,
    body: &mut RequestBody,
) -> Result<Answer, Failure> {
    let database = head.url.get("db").to_owned();
    if database.is_empty() {
        return Err(Failure::bad_request("database is required"));
    }
    app.requests.count(head.identity.user_name(), head.peer, Kind::Write);
    check_rights(app, &head.identity, &database)?;
    let consistency = consistency_of(head)?;
    let retention_policy = head.url.get("rp").to_owned();
    let body = app.bodies.read(body).await?;
    app.stats.write_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
    let permit = app.writes.enter().await?;
    let job = Arc::clone(app);
    // The write goes on if the client leaves: its points may be durable already.
    let stored = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        store(&job, &body, &database, &retention_policy, consistency)
    });
    match stored.await {
        Ok(outcome) => outcome.map(|()| no_content(head.format)),
        Err(_panicked) => {
            app.stats.panics.fetch_add(1, Ordering::Relaxed);
            Err(broken())
        }
    }
}

/// Blocking.
fn store(
    app: &App,
    packed: &[u8],
    database: &str,
    retention_policy: &str,
    consistency: Consistency,
) -> Result<(), Failure> {
    let message = app.bodies.unsnap(packed, usize::MAX)?;
    if app.config.write_tracing {
        tracing::info!(bytes = message.len(), "Prom write body received by handler");
    }
    let expected_bytes = BATCH_BYTES_PER_BYTE * message.len() as u64;
    let patience = app.config.write_queue_timeout;
    let mut held = app
        .config
        .memory
        .reserve_within(Consumer::Batches, expected_bytes, patience, &|| false)
        .map_err(|full| no_memory(&full))?;
    let mut batch = PointBatch::new();
    let report =
        decode_write(&message, &mut batch).map_err(|error| Failure::bad_request(error.to_string()))?;
    drop(message);
    held.grow_to(batch.size_bytes() as u64).map_err(|full| no_memory(&full))?;
    if report.not_finite > 0 && app.config.write_tracing {
        tracing::info!(count = report.not_finite, "Prom write: NaN and infinite values were left out");
    }
    let request = PointsRequest {
        database,
        retention_policy: Some(retention_policy).filter(|policy| !policy.is_empty()),
        received_at_ns: wall_clock_ns(),
        consistency,
    };
    let outcome = with_refused(app.engine.write_points(&request, &batch), &report);
    count(app, &outcome);
    outcome.map(drop).map_err(|error| failure(&error))
}

/// Samples that no point can hold are refused points, beside those that the node refuses.
fn with_refused(
    outcome: Result<skywatch_cluster::WriteSummary, WriteError>,
    report: &WriteReport,
) -> Result<skywatch_cluster::WriteSummary, WriteError> {
    let Some(reason) = report.reason else { return outcome };
    match outcome {
        Ok(summary) => Err(WriteError::Partial {
            reason: reason.to_string(),
            dropped: report.refused,
            written: summary.points,
        }),
        Err(WriteError::Partial { reason: first, dropped, written }) => Err(WriteError::Partial {
            reason: format!("{first}\n{reason}"),
            dropped: dropped + report.refused,
            written,
        }),
        Err(error) => Err(error),
    }
}

/// `POST /api/v1/prom/read?db=&rp=`
pub(crate) async fn read(app: &Arc<App>, head: &Head<'_>, body: &mut RequestBody) -> Result<Answer, Failure> {
    let database = head.url.get("db").to_owned();
    let retention_policy = head.url.get("rp").to_owned();
    app.requests.count(head.identity.user_name(), head.peer, Kind::Query);
    auth::check_read(&head.identity, &database)?;
    let packed = app.bodies.read(body).await?;
    let message = app.bodies.unsnap(&packed, READ_REQUEST_BYTES_MAX)?;
    let queries =
        decode_read(&message).map_err(|error: ReadError| Failure::bad_request(error.to_string()))?;
    drop((packed, message));
    if database.is_empty() {
        return Err(Failure::bad_request("no database"));
    }
    let permit = app.queries.enter().await?;
    let cancel = CancelToken::new();
    let _kill = KillOnDrop(cancel.clone());
    let job = Arc::clone(app);
    let answered = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let reader = Reader { app: &job, database: &database, retention_policy: &retention_policy, cancel };
        catch_unwind(AssertUnwindSafe(|| reader.answer(&queries))).unwrap_or_else(|_panic| {
            job.stats.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!("a remote read panicked");
            Err(broken())
        })
    });
    let (bytes, held) = answered.await.unwrap_or_else(|_| Err(broken()))?;
    app.stats.query_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    let mut body = AnswerBody::full(bytes);
    body.hold(held);
    let mut answer = hyper::Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
    Ok(answer)
}

/// Answers one request's queries; blocking.
struct Reader<'a> {
    app: &'a App,
    database: &'a str,
    retention_policy: &'a str,
    cancel: CancelToken,
}

/// An answer in the making, and the memory counted for it.
struct Collected {
    response: ReadResponse,
    held: Reservation,
    full: Option<Failure>,
    /// The latest piece ended in the middle of a series.
    open: bool,
}

impl Reader<'_> {
    fn answer(&self, queries: &[ReadQuery]) -> Result<(Vec<u8>, Reservation), Failure> {
        let memory = &self.app.config.memory;
        let mut collected = Collected {
            response: ReadResponse::default(),
            held: memory.empty(Consumer::Answers),
            full: None,
            open: false,
        };
        for query in queries {
            self.run(query, &mut collected)?;
            collected.response.end_query();
        }
        let Collected { response, mut held, .. } = collected;
        let message = response.into_bytes();
        // The packed copy exists beside the message for a moment.
        held.grow_to(2 * message.len() as u64).map_err(|full| no_memory(&full))?;
        let packed = compress(&message).map_err(|_| too_large())?;
        Ok((packed, held))
    }

    fn run(&self, query: &ReadQuery, collected: &mut Collected) -> Result<(), Failure> {
        let measurements = match query.measurement() {
            Some(only) if query.wants_measurement(only) => vec![only.to_owned()],
            Some(_) => Vec::new(),
            None => {
                let known = ask(self.app, &self.request("SHOW MEASUREMENTS".to_owned()), &self.cancel);
                let known = known.map_err(|failure| as_influxdb(&failure.text).unwrap_or(failure))?;
                texts(&known, "name").into_iter().filter(|name| query.wants_measurement(name)).collect()
            }
        };
        for measurement in measurements {
            let (text, params) = query.select(self.retention_policy, &measurement);
            let request = QueryRequest { params, ..self.request(text) };
            let mut statement_error = None;
            let mut sink = |result: StatementResult| {
                statement_error = result.error.as_ref().map(ToString::to_string);
                result.series.iter().try_for_each(|series| collected.take(series))
            };
            let outcome = self.app.engine.query(&request, &self.cancel, &mut sink);
            collected.open = false;
            match outcome {
                Ok(()) => {}
                Err(QueryError::Closed(_)) if collected.full.is_some() => {
                    return Err(collected.full.take().unwrap_or_else(too_large));
                }
                Err(error) => return Err(query_failure(&error)),
            }
            if let Some(text) = statement_error {
                return Err(as_influxdb(&text).unwrap_or_else(|| Failure::bad_request(text)));
            }
        }
        Ok(())
    }

    fn request(&self, text: String) -> QueryRequest {
        QueryRequest::new(text, self.database, wall_clock_ns())
    }
}

impl Collected {
    /// Adds the samples of a piece. Values that are no floats are passed over, as in InfluxDB: Prometheus has none.
    fn take(&mut self, series: &ResultSeries) -> Result<(), SinkClosed> {
        let [
            OutputColumn::Time(times),
            OutputColumn::Values(Column { values: Values::Float(values), valid }),
        ] = series.values.as_slice()
        else {
            return Ok(());
        };
        if !self.open {
            self.response.begin_series(&series.name, &series.tags);
        }
        self.open = series.partial;
        for (row, (time, value)) in times.iter().zip(values).enumerate() {
            if valid.as_ref().is_none_or(|valid| valid.get(row)) {
                self.response.sample(*time, *value);
            }
        }
        let bytes = self.response.size_bytes();
        let outcome = match self.held.grow_to(bytes as u64) {
            Ok(()) if bytes <= READ_ANSWER_BYTES_MAX => return Ok(()),
            Ok(()) => too_large(),
            Err(full) => no_memory(&full),
        };
        self.full = Some(outcome);
        Err(SinkClosed)
    }
}

/// What is not there, in the words of InfluxDB's endpoint.
fn as_influxdb(text: &str) -> Option<Failure> {
    if text.starts_with("database not found") {
        Some(Failure::bad_request("no database"))
    } else if text.starts_with("retention policy not found") {
        Some(Failure::bad_request("invalid retention policy"))
    } else {
        None
    }
}

fn no_memory(full: &Exhausted) -> Failure {
    if full.is_hopeless() { Failure::too_large() } else { Failure::unavailable(full.to_string(), 1) }
}

fn too_large() -> Failure {
    let text = format!(
        "the answer is larger than {READ_ANSWER_BYTES_MAX} bytes: ask for fewer series or a shorter time"
    );
    Failure::new(StatusCode::UNPROCESSABLE_ENTITY, text)
}
