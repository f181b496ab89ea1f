//! From a request to its handler, and the headers every answer carries.
//!
//! Paths are exact, as in InfluxDB: `/query/` is no `/query`. Unknown paths and methods are answered as Go's own
//! handlers do; only below `/api/v2/`, whose clients expect JSON, the 404 is JSON.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures_util::FutureExt;
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    header::{ALLOW, EXPECT, HeaderName, HeaderValue, ORIGIN},
    http::request::Parts,
};

use crate::{
    app::{App, Head, RequestBody},
    auth::{self, Access},
    connection::Busy,
    encode::Format,
    handlers::{
        backup, buckets, debug, delete, flux, introspection, ping, prometheus, query, shard_repair, write,
    },
    peer::Peer,
    request_id::request_id,
    response::{Answer, Failure, answer, go_text},
    stats::{Active, Route},
};

/// The version clients take us for.
pub(crate) const INFLUXDB_VERSION: &str = "1.8.10";

/// What is served under a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Ping,
    Health,
    Ready,
    Query,
    Flux,
    AnalyzeFlux,
    Write,
    WriteV2,
    DeleteV2,
    Buckets,
    Bucket,
    PrometheusWrite,
    PrometheusRead,
    Vars,
    Metrics,
    Requests,
    Profiles,
    Backup(backup::Step),
    ShardRepair(shard_repair::Step),
}

impl Endpoint {
    fn of_path(path: &str) -> Option<Self> {
        Some(match path {
            "/ping" | "/status" => Self::Ping,
            "/health" => Self::Health,
            "/ready" => Self::Ready,
            "/query" => Self::Query,
            "/api/v2/query" => Self::Flux,
            "/api/v2/query/analyze" => Self::AnalyzeFlux,
            "/write" => Self::Write,
            "/api/v2/write" => Self::WriteV2,
            "/api/v2/delete" => Self::DeleteV2,
            "/api/v2/buckets" => Self::Buckets,
            "/api/v1/prom/write" => Self::PrometheusWrite,
            "/api/v1/prom/read" => Self::PrometheusRead,
            "/debug/vars" => Self::Vars,
            "/metrics" => Self::Metrics,
            "/debug/requests" => Self::Requests,
            bucket if buckets::is_bucket(bucket) => Self::Bucket,
            pprof if pprof == "/debug/pprof" || pprof.starts_with("/debug/pprof/") => Self::Profiles,
            other => {
                let backup = backup::Step::of_path(other).map(Self::Backup);
                backup.or_else(|| shard_repair::Step::of_path(other).map(Self::ShardRepair))?
            }
        })
    }

    const fn allow(self) -> &'static str {
        match self {
            Self::Ping
            | Self::Health
            | Self::Ready
            | Self::Vars
            | Self::Metrics
            | Self::Requests
            | Self::Profiles => "GET, HEAD",
            Self::Query => "GET, POST, OPTIONS",
            Self::Write | Self::WriteV2 => "POST, OPTIONS",
            Self::Flux
            | Self::AnalyzeFlux
            | Self::DeleteV2
            | Self::PrometheusWrite
            | Self::PrometheusRead => "POST",
            Self::Buckets => "GET, POST",
            Self::Bucket => "GET, DELETE",
            Self::Backup(step) => step.allow(),
            Self::ShardRepair(step) => step.allow(),
        }
    }

    fn allows(self, method: &Method) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method.as_str())
    }

    /// Whom it answers, with authentication on.
    fn access(self, app: &App) -> Access {
        match self {
            Self::Ping if app.config.auth.as_ref().is_some_and(|auth| auth.ping) => Access::User,
            Self::Ping | Self::Health | Self::Ready => Access::Open,
            Self::Query => Access::ByContentAndBody,
            Self::Write
            | Self::WriteV2
            | Self::Flux
            | Self::AnalyzeFlux
            | Self::DeleteV2
            | Self::Buckets
            | Self::Bucket
            | Self::PrometheusWrite
            | Self::PrometheusRead => Access::ByContent,
            // Numbers, and names of databases.
            Self::Vars | Self::Metrics => Access::User,
            // Names and addresses of others; every point there is.
            Self::Requests | Self::Profiles | Self::Backup(_) | Self::ShardRepair(_) => Access::Admin,
        }
    }

    /// Whether its clients read what went wrong as InfluxDB 2 tells it. Those that write do as well, but not from 1.8.
    const fn speaks_v2(self) -> bool {
        matches!(self, Self::Flux | Self::AnalyzeFlux | Self::DeleteV2 | Self::Buckets | Self::Bucket)
    }

    const fn route(self) -> Route {
        match self {
            Self::Ping | Self::Health | Self::Ready => Route::Ping,
            Self::Query | Self::Flux | Self::AnalyzeFlux | Self::DeleteV2 | Self::Buckets | Self::Bucket => {
                Route::Query
            }
            Self::PrometheusWrite => Route::PrometheusWrite,
            Self::PrometheusRead => Route::PrometheusRead,
            Self::Write | Self::WriteV2 => Route::Write,
            Self::Vars | Self::Metrics | Self::Requests | Self::Profiles | Self::ShardRepair(_) => {
                Route::Introspection
            }
            Self::Backup(_) => Route::Backup,
        }
    }
}

/// Answers one request. The answer holds `busy` until it is sent.
pub(crate) async fn handle(app: Arc<App>, request: Request<RequestBody>, busy: Busy, peer: Peer) -> Answer {
    let received = Instant::now();
    let active = Active::enter(&app.stats, |stats| &stats.requests_active);
    let (parts, mut body) = request.into_parts();
    let id = request_id(&parts.headers);
    let endpoint = Endpoint::of_path(parts.uri.path());
    let log_entry = app.access_log.as_ref().map(|log| {
        let is_write = endpoint
            .is_some_and(|endpoint| matches!(endpoint.route(), Route::Write | Route::PrometheusWrite));
        log.entry(peer, &parts, id.to_str().unwrap_or_default(), is_write)
    });
    let (route, mut answer) = match endpoint {
        Some(endpoint) if endpoint.allows(&parts.method) => {
            let mut answer = serve(&app, endpoint, &parts, &mut body, peer).await;
            identify(&mut answer, &parts.headers, id);
            (endpoint.route(), answer)
        }
        Some(endpoint) => (Route::Other, method_not_allowed(endpoint)),
        None => (Route::Other, not_found(parts.uri.path())),
    };
    let status = answer.status();
    discard_rest(&app, &parts, &mut body).await;
    brand(&app, answer.headers_mut());
    tracing::debug!(method = %parts.method, path = parts.uri.path(), status = status.as_u16(), "answered");
    answer.body_mut().hold((active, busy));
    answer.body_mut().at_end(move |sent_bytes| {
        let took = received.elapsed();
        app.stats.answered(route, status, took);
        if let (Some(log), Some(entry)) = (&app.access_log, &log_entry) {
            log.answered(entry, status.as_u16(), sent_bytes, took);
        }
    });
    answer
}

async fn serve(
    app: &Arc<App>,
    endpoint: Endpoint,
    parts: &Parts,
    body: &mut RequestBody,
    peer: Peer,
) -> Answer {
    if parts.method == Method::OPTIONS {
        let mut options = answer(StatusCode::OK, "application/json", "");
        options.headers_mut().remove(hyper::header::CONTENT_TYPE);
        return options;
    }
    let mut head = Head::new(parts, peer);
    let (format, pretty) = (head.format, head.url.is_true("pretty"));
    let outcome = async {
        let admitted = auth::admit(app, endpoint.access(app), &head).await;
        head.identity =
            admitted.map_err(|refusal| if endpoint.speaks_v2() { refusal.into_v2() } else { refusal })?;
        match endpoint {
            Endpoint::Ping => Ok(ping::ping(&head)),
            Endpoint::Health => Ok(ping::health()),
            Endpoint::Ready => Ok(ping::ready(&app.engine, head.url.get("for"))),
            Endpoint::Query => query::query(app, &head, body).await,
            Endpoint::Flux => flux::query(app, &head, body).await.map_err(Failure::into_v2),
            Endpoint::AnalyzeFlux => flux::analyze_query(app, &head, body).await.map_err(Failure::into_v2),
            Endpoint::Write => write::write_v1(app, &head, body).await,
            Endpoint::WriteV2 => write::write_v2(app, &head, body).await,
            Endpoint::DeleteV2 => delete::delete(app, &head, body).await.map_err(Failure::into_v2),
            Endpoint::Buckets => buckets::list_or_create(app, &head, body).await.map_err(Failure::into_v2),
            Endpoint::Bucket => buckets::find_or_drop(app, &head).await.map_err(Failure::into_v2),
            Endpoint::PrometheusWrite => prometheus::write(app, &head, body).await,
            Endpoint::PrometheusRead => prometheus::read(app, &head, body).await,
            Endpoint::Vars => introspection::vars(app, &head).await,
            Endpoint::Metrics => introspection::metrics(app, &head).await,
            Endpoint::Requests => debug::requests(app, &head).await,
            Endpoint::Profiles => Ok(debug::profiles(app, &head)),
            Endpoint::Backup(step) => backup::serve(app, step, &head, body).await,
            Endpoint::ShardRepair(step) => shard_repair::serve(app, step, &head, body).await,
        }
    };
    // A bug in one request must not take the connection's other requests with it.
    let outcome = AssertUnwindSafe(outcome).catch_unwind().await.unwrap_or_else(|_| {
        app.stats.panics.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; see the server's log"))
    });
    outcome.unwrap_or_else(|failure| failure.into_answer(format, pretty))
}

/// Reads what the client still sends though nobody wants it; not if it waits for `100 Continue`, which reading would
/// send.
async fn discard_rest(app: &App, parts: &Parts, body: &mut RequestBody) {
    if !parts.headers.contains_key(EXPECT) {
        app.bodies.discard(body).await;
    }
}

fn method_not_allowed(endpoint: Endpoint) -> Answer {
    let mut answer = go_text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(endpoint.allow()));
    answer
}

fn not_found(path: &str) -> Answer {
    if !path.starts_with("/api/v2/") {
        return go_text(StatusCode::NOT_FOUND, "404 page not found\n");
    }
    let failure = Failure::new(StatusCode::NOT_FOUND, format!("{path} is not served here"));
    failure.into_v2().into_answer(Format::Json, false)
}

/// The request's name, and leave for browsers on other sites.
fn identify(answer: &mut Answer, request: &HeaderMap, id: HeaderValue) {
    let headers = answer.headers_mut();
    headers.insert(HeaderName::from_static("request-id"), id.clone());
    headers.insert(HeaderName::from_static("x-request-id"), id);
    if let Some(origin) = request.get(ORIGIN).filter(|origin| !origin.is_empty()) {
        headers.insert("access-control-allow-origin", origin.clone());
        for (name, value) in [
            ("access-control-allow-methods", "DELETE, GET, OPTIONS, POST, PUT"),
            (
                "access-control-allow-headers",
                "Accept, Accept-Encoding, Authorization, Content-Length, Content-Type, X-CSRF-Token, \
                 X-HTTP-Method-Override",
            ),
            ("access-control-expose-headers", "Date, X-InfluxDB-Version, X-InfluxDB-Build"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// Who answers, and the headers of the configuration.
fn brand(app: &App, headers: &mut HeaderMap) {
    headers.insert("x-influxdb-build", HeaderValue::from_static("OSS"));
    headers.insert("x-influxdb-version", HeaderValue::from_static(INFLUXDB_VERSION));
    if let Ok(version) = HeaderValue::from_str(&app.config.skywatch_version) {
        headers.insert("x-skywatch-version", version);
    }
    for (name, value) in &app.config.headers {
        headers.insert(name.clone(), value.clone());
    }
}
