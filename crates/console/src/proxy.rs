//! `/api/query` (InfluxQL), `/api/v2/query` (Flux) and `/api/v2/query/analyze`: those of the store, passed through byte by
//! byte.
//!
//! The answer streams: nothing is held but the piece under way. When the browser goes away, the handler or the body is
//! dropped, with it the connection to the store, and the store stops the query.

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderName, Method, header},
    response::Response,
};
use bytes::Bytes;
use futures_util::stream;

use crate::{error::ApiError, router::Console};

/// Queries are text written by people and dashboards.
const QUERY_BYTES_MAX: usize = 1 << 20;

const REQUEST_HEADERS: [HeaderName; 4] =
    [header::ACCEPT, header::ACCEPT_ENCODING, header::CONTENT_TYPE, header::AUTHORIZATION];

const RESPONSE_HEADERS: [HeaderName; 7] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("x-influxdb-version"),
    HeaderName::from_static("x-skywatch-version"),
    HeaderName::from_static("request-id"),
];

/// Where the store takes queries.
#[derive(Debug, Clone, Copy)]
enum Endpoint {
    Influxql,
    Flux,
    FluxAnalysis,
}

impl Endpoint {
    fn path(self) -> &'static str {
        match self {
            Self::Influxql => "/query",
            Self::Flux => "/api/v2/query",
            Self::FluxAnalysis => "/api/v2/query/analyze",
        }
    }
}

pub(crate) async fn get_query(
    State(console): State<Console>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    forward(&console, Endpoint::Influxql, Method::GET, query.as_deref(), &headers, Bytes::new()).await
}

pub(crate) async fn post_query(
    State(console): State<Console>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    post(&console, Endpoint::Influxql, query.as_deref(), &headers, body).await
}

pub(crate) async fn post_flux(
    State(console): State<Console>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    post(&console, Endpoint::Flux, query.as_deref(), &headers, body).await
}

pub(crate) async fn post_flux_analysis(
    State(console): State<Console>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    post(&console, Endpoint::FluxAnalysis, query.as_deref(), &headers, body).await
}

/// The store's refusal of a statement of whoever sends these headers, if it refuses.
pub(crate) async fn refusal(
    console: &Console,
    headers: &HeaderMap,
    statement: &str,
) -> Result<Option<Response>, ApiError> {
    let query = format!("q={}", statement.replace(' ', "%20"));
    let response =
        forward(console, Endpoint::Influxql, Method::GET, Some(&query), headers, Bytes::new()).await?;
    Ok(Some(response).filter(|response| !response.status().is_success()))
}

async fn post(
    console: &Console,
    endpoint: Endpoint,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let body = axum::body::to_bytes(body, QUERY_BYTES_MAX)
        .await
        .map_err(|_| ApiError::Body { max_bytes: QUERY_BYTES_MAX })?;
    forward(console, endpoint, Method::POST, query, headers, body).await
}

async fn forward(
    console: &Console,
    endpoint: Endpoint,
    method: Method,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let base = console.config.upstream_url.trim_end_matches('/');
    let path = endpoint.path();
    let url = match query {
        Some(query) => format!("{base}{path}?{query}"),
        None => format!("{base}{path}"),
    };
    let request = console.http.request(method, url).headers(picked(headers, &REQUEST_HEADERS)).body(body);
    let upstream = request.send().await.map_err(|error| unreachable_store(base, &error))?;

    let mut response = Response::builder().status(upstream.status());
    if let Some(target) = response.headers_mut() {
        target.extend(picked(upstream.headers(), &RESPONSE_HEADERS));
        target.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    }
    response
        .body(streamed(upstream))
        .map_err(|error| ApiError::StoreUnreachable { url: base.to_owned(), reason: error.to_string() })
}

fn picked(from: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    names.iter().filter_map(|name| Some((name.clone(), from.get(name)?.clone()))).collect()
}

/// An error in the middle ends the body abruptly, which the browser reports as a failed request.
fn streamed(upstream: reqwest::Response) -> Body {
    Body::from_stream(stream::try_unfold(upstream, async |mut upstream| {
        let chunk: Option<Bytes> = upstream.chunk().await?;
        Ok::<_, reqwest::Error>(chunk.map(|chunk| (chunk, upstream)))
    }))
}

/// The innermost cause is what a person can act upon ("Connection refused").
pub(crate) fn unreachable_store(base: &str, error: &reqwest::Error) -> ApiError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    tracing::debug!(store = base, error = %cause, "the store did not answer");
    ApiError::StoreUnreachable { url: base.to_owned(), reason: cause.to_string() }
}
