//! `/query`: InfluxQL in, rows out as they come.

use std::{
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
};

use hyper::{Method, StatusCode, header::CONTENT_TYPE};
use skywatch_cluster::PositionToken;
use skywatch_model::wall_clock_ns;
use skywatch_query::{
    CancelToken, Identity, QueryError, QueryErrorClass, QueryRequest, ResultSink, SinkClosed, StatementResult,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::{
    app::{App, Head, RequestBody},
    auth,
    bind::bound_parameters,
    encode::{EncodeOptions, Encoder, Outlet, TimeFormat},
    handlers::{
        streaming::{KillOnDrop, PARTS_AHEAD, break_stream, broken, count_abandoned, outlet, streamed},
        write::with_causes,
    },
    params::{Params, multipart_boundary, parse_multipart},
    redact::redacted_query,
    request_counts::Kind,
    response::{Answer, Failure, StreamItem, no_content},
    row_limit::RowLimit,
};

/// Rows of a chunk when the client names no number.
const DEFAULT_CHUNK_ROWS: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// `GET` or `POST /query?q=&db=&rp=&epoch=&pretty=&chunked=&chunk_size=&params=`
pub(crate) async fn query(
    app: &Arc<App>,
    head: &Head<'_>,
    body: &mut RequestBody,
) -> Result<Answer, Failure> {
    // A user the head does not name may be named by the form.
    let from_head = auth::of_head(app, head).await?;
    let params = read_params(app, head, body).await?;
    let identity = auth::of_head_or_params(app, from_head, &params).await?;
    app.requests.count(identity.user_name(), head.peer, Kind::Query);
    let pretty = params.is_true("pretty");
    let job = match Job::new(head, &params, identity) {
        Ok(job) => job,
        Err(failure) => return Ok(failure.into_answer(head.format, pretty)),
    };
    let permit = app.queries.enter().await?;
    if params.is_true("async") {
        return Ok(match run_unattended(app, job, permit).await {
            Ok(()) => no_content(head.format),
            Err(failure) => failure.into_answer(head.format, pretty),
        });
    }
    match run(app, job, permit).await {
        Ok(answer) => Ok(answer),
        Err(failure) => Ok(failure.into_answer(head.format, pretty)),
    }
}

/// The body's parameters come before the URL's if it is a form, after them if it is multipart, as in Go.
async fn read_params(app: &App, head: &Head<'_>, body: &mut RequestBody) -> Result<Params, Failure> {
    let mut url = head.url.clone();
    if head.parts.method != Method::POST {
        return Ok(url);
    }
    let content_type = head.header(&CONTENT_TYPE);
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let bytes = app.bodies.read(body).await?;
        let mut form = Params::parse(&String::from_utf8_lossy(&bytes));
        form.append(url);
        return Ok(form);
    }
    if let Some(boundary) = multipart_boundary(content_type) {
        let bytes = app.bodies.read(body).await?;
        url.append(parse_multipart(&bytes, boundary));
    }
    Ok(url)
}

/// A query and the form of its answer.
struct Job {
    request: QueryRequest,
    options: EncodeOptions,
    gzip: bool,
}

impl Job {
    fn new(head: &Head<'_>, params: &Params, identity: Identity) -> Result<Self, Failure> {
        let text = params.get("q").trim();
        if text.is_empty() {
            return Err(Failure::bad_request("missing required parameter \"q\""));
        }
        let bound = bound_parameters(params.get("params"))
            .map_err(|error| Failure::bad_request(error.to_string()))?;
        let chunked = params.is_true("chunked");
        let chunk_rows = params.get("chunk_size").parse().unwrap_or(DEFAULT_CHUNK_ROWS);
        let Reader { node_id, allows_partial, position } = Reader::of(params)?;
        let request = QueryRequest {
            position,
            node_id,
            allows_partial,
            params: bound,
            retention_policy: params.get("rp").to_owned(),
            chunk_rows: chunked.then_some(chunk_rows),
            read_only: head.parts.method == Method::GET,
            identity,
            ..QueryRequest::new(text, params.get("db"), wall_clock_ns())
        };
        let options = EncodeOptions {
            format: head.format,
            time: TimeFormat::from_epoch(params.get("epoch")),
            pretty: params.is_true("pretty"),
            chunked,
        };
        Ok(Self { request, options, gzip: head.accepts_gzip() })
    }
}

/// Which nodes of a cluster a query reads, whatever its language.
pub(crate) struct Reader {
    pub(crate) node_id: Option<u64>,
    pub(crate) allows_partial: bool,
    pub(crate) position: Option<String>,
}

impl Reader {
    /// `node_id=&partial=&position=`
    pub(crate) fn of(params: &Params) -> Result<Self, Failure> {
        let node_id = match params.get("node_id") {
            // No node has the number 0: it stands for none, as in InfluxDB.
            "" | "0" => None,
            text => {
                let refused = |_| {
                    Failure::bad_request(format!("node_id must be the number of a data node, not {text:?}"))
                };
                Some(text.parse().map_err(refused)?)
            }
        };
        let position = match params.get("position") {
            "" => None,
            text => {
                let position = text.parse::<PositionToken>();
                Some(position.map_err(|error| Failure::bad_request(error.to_string()))?.to_string())
            }
        };
        Ok(Self { node_id, allows_partial: params.is_true("partial"), position })
    }
}

/// Encodes results into an outlet.
struct EncodingSink<'a> {
    encoder: Box<dyn Encoder>,
    outlet: Outlet<'a>,
    rows: RowLimit,
    /// The limit on rows ended the answer.
    is_cut: bool,
}

impl ResultSink for EncodingSink<'_> {
    fn send(&mut self, mut result: StatementResult) -> Result<(), SinkClosed> {
        self.is_cut = self.rows.apply(&mut result);
        self.encoder.piece(&result, &mut self.outlet)?;
        if self.is_cut {
            self.encoder.cut(&mut self.outlet);
            // The rest of the query would be for nothing.
            return Err(SinkClosed);
        }
        Ok(())
    }
}

async fn run(app: &Arc<App>, job: Job, permit: OwnedSemaphorePermit) -> Result<Answer, Failure> {
    let cancel = CancelToken::new();
    let kill = KillOnDrop(cancel.clone());
    let (parts_in, parts) = mpsc::channel(PARTS_AHEAD);
    let (failed, failure) = oneshot::channel();
    let (content_type, gzip) = (job.options.format.content_type(), job.gzip);
    let worker = Arc::clone(app);
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work(&worker, &job, &cancel, &parts_in, failed);
    });
    streamed(parts, failure, kill, content_type, gzip).await
}

/// Runs the query on the calling thread. Ends the stream, or breaks it if the query dies half-way; `failed` is told
/// why when nothing was sent.
fn work(
    app: &Arc<App>,
    job: &Job,
    cancel: &CancelToken,
    parts: &mpsc::Sender<StreamItem>,
    failed: oneshot::Sender<Option<Failure>>,
) {
    let outlet = outlet(app, job.gzip, cancel, parts);
    let rows = RowLimit::new(if job.options.chunked { 0 } else { app.config.max_row_limit });
    let mut sink = EncodingSink { encoder: job.options.encoder(), outlet, rows, is_cut: false };
    let outcome = catch_unwind(AssertUnwindSafe(|| app.engine.query(&job.request, cancel, &mut sink)));
    let failure = match outcome.map(|outcome| if sink.is_cut { Ok(()) } else { outcome }) {
        Ok(Ok(())) => {
            let ended = sink.encoder.finish(&mut sink.outlet).and_then(|()| sink.outlet.finish());
            count_abandoned(app, ended.is_err());
            None
        }
        Ok(Err(error)) => {
            count_abandoned(app, matches!(error, QueryError::Closed(_)) || cancel.is_killed());
            if sink.outlet.has_sent() {
                break_stream(parts);
            }
            Some(query_failure(&error))
        }
        Err(_panic) => {
            app.stats.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!(query = %redacted_query(&job.request.text), "a query panicked");
            if sink.outlet.has_sent() {
                break_stream(parts);
            }
            Some(broken())
        }
    };
    // Nobody waits for it once the answer has begun.
    drop(failed.send(failure));
}

/// `async=true`: what is wrong at first sight is told; after that the answer is nobody's business, only what the query does.
async fn run_unattended(app: &Arc<App>, job: Job, permit: OwnedSemaphorePermit) -> Result<(), Failure> {
    let app = Arc::clone(app);
    let (tell, told) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let checked = app.engine.check_query(&job.request);
        let is_wrong = checked.is_err();
        // A client that has gone meanwhile wants its query all the same.
        drop(tell.send(checked));
        if is_wrong {
            return;
        }
        let mut log_errors = |result: StatementResult| {
            if let Some(error) = result.error {
                let query = redacted_query(&job.request.text);
                tracing::warn!(%query, %error, "a statement of an asynchronous query failed");
            }
            Ok(())
        };
        if let Err(error) = app.engine.query(&job.request, &CancelToken::new(), &mut log_errors) {
            tracing::warn!(query = %redacted_query(&job.request.text), %error, "an asynchronous query failed");
        }
    });
    let ended = |_| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "the query ended before it began");
    told.await.map_err(ended)?.map_err(|error| query_failure(&error))
}

/// A failed query as its client is told.
pub(crate) fn query_failure(error: &QueryError) -> Failure {
    let text = with_causes(error);
    match error.class() {
        QueryErrorClass::Caller => Failure::bad_request(text),
        QueryErrorClass::Forbidden => Failure::new(StatusCode::FORBIDDEN, text),
        QueryErrorClass::Retry => Failure::unavailable(text, 1),
        QueryErrorClass::Fatal => {
            tracing::error!(error = text, "a query failed");
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}
