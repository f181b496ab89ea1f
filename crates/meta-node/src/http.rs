//! The HTTP API of a meta node (8091): what operators, `ctl` and Chronograf ask for, under the paths and keys of
//! InfluxDB's cluster.
//!
//! Only the leader changes anything; a follower points to it (307). Errors are `{"error": "..."}`, also in the header
//! `X-InfluxDB-Error`.

mod cluster;
mod data_nodes;
mod entropy;
mod fields;
mod gate;
mod lag;
mod patience;
mod problem;
mod shards;
mod unled;
mod users;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};

pub use gate::{Authority, Identified, Login, Passwords, Refusal};
pub(crate) use problem::Problem;

use crate::node::MetaNode;

/// What clients parse; [`crate::Settings::version`] is what runs.
const INFLUXDB_VERSION: &str = "1.8.10";

/// A form, or the query of a URL.
pub(crate) type Parameters = BTreeMap<String, String>;

type Answer = Result<Response, Problem>;

/// What every handler gets.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) node: MetaNode,
    /// Who may ask; without, everybody.
    pub(crate) authority: Option<Arc<dyn Authority>>,
    pub(crate) passwords: Arc<dyn Passwords>,
}

impl MetaNode {
    /// The HTTP API. With an `authority` it is open only to whom that one lets in.
    pub fn http(&self, passwords: Arc<dyn Passwords>, authority: Option<Arc<dyn Authority>>) -> Router {
        let api = Api { node: self.clone(), authority, passwords };
        // What they answer from, every node has, also one that knows of no leader; it says so.
        let tables = Router::new()
            .route("/status", get(cluster::status))
            .route("/show-cluster", get(cluster::show))
            .route("/show-shards", get(shards::show))
            .route("/show-lag", get(lag::show))
            .route("/copy-shard-status", get(shards::copies))
            .route("/shard-repair/status", get(entropy::show))
            .route_layer(middleware::from_fn_with_state(api.clone(), unled::mark));
        Router::new()
            .merge(tables)
            .route("/", get(cluster::follow))
            .route("/ping", get(cluster::ping).head(cluster::ping))
            .route("/leader", get(cluster::leader))
            .route("/peers", get(cluster::peers))
            .route("/snapshot", get(cluster::snapshot))
            .route("/join", post(cluster::join))
            .route("/leave", post(cluster::leave))
            .route("/remove", post(cluster::remove))
            .route("/lease", get(cluster::lease))
            .route("/announce", post(cluster::announce))
            .route("/add-data", post(data_nodes::add))
            .route("/remove-data", post(data_nodes::remove))
            .route("/update-data", post(data_nodes::update))
            .route("/node-labels", post(data_nodes::label))
            .route("/copy-shard", post(shards::copy))
            .route("/kill-copy-shard", post(shards::kill_copy))
            .route("/remove-shard", post(shards::remove))
            .route("/truncate-shards", post(shards::truncate))
            .route("/shard-repair/repair", post(entropy::repair))
            .route("/shard-repair/cancel-repair", post(entropy::cancel))
            .route("/user", get(users::list).post(users::change))
            .route("/role", get(users::roles).post(users::change_role))
            .fallback(async || Problem::not_found())
            .method_not_allowed_fallback(async || Problem::invalid("this path does not know the method"))
            .layer(DefaultBodyLimit::max(fields::BODY_BYTES_MAX))
            .layer(middleware::from_fn_with_state(api.clone(), gate::pass))
            .layer(middleware::from_fn_with_state(api.clone(), label))
            .with_state(api)
    }
}

/// The headers of every answer.
async fn label(State(api): State<Api>, request: Request, next: Next) -> Response {
    let id = request_id(request.headers()).unwrap_or_else(|| fresh_id(&api.node));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-request-id"), id.clone());
    headers.insert(HeaderName::from_static("request-id"), id);
    headers.insert(HeaderName::from_static("x-influxdb-version"), HeaderValue::from_static(INFLUXDB_VERSION));
    if let Ok(version) = HeaderValue::from_str(&api.node.settings().version) {
        headers.insert(HeaderName::from_static("x-skywatch-version"), version);
    }
    headers.insert(HeaderName::from_static("influxdb-metaindex"), api.node.catalogue().0.into());
    response
}

/// The one that the client gave.
fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let given = headers.get("x-request-id").or_else(|| headers.get("request-id"))?;
    (!given.is_empty() && given.len() <= 128).then(|| given.clone())
}

/// In the shape of a UUID.
fn fresh_id(node: &MetaNode) -> HeaderValue {
    let (a, b) = (node.draw(), node.draw());
    let text = format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a as u32,
        (a >> 32) as u16,
        (a >> 40) & 0xfff,
        b >> 48 & 0xfff,
        b & 0xffff_ffff_ffff
    );
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

fn json<T: serde::Serialize>(value: &T) -> Answer {
    let bytes = serde_json::to_vec(value).map_err(Problem::internal)?;
    Ok(([(CONTENT_TYPE, "application/json")], bytes).into_response())
}

fn done() -> Answer {
    Ok(axum::http::StatusCode::NO_CONTENT.into_response())
}

/// A parameter that has to be there.
fn required<'a>(parameters: &'a Parameters, name: &str, otherwise: &str) -> Result<&'a str, Problem> {
    optional(parameters, name).ok_or_else(|| Problem::invalid(otherwise))
}

fn optional<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

fn flag(parameters: &Parameters, name: &str) -> bool {
    optional(parameters, name)
        .is_some_and(|value| matches!(value, "true" | "1" | "t" | "T" | "TRUE" | "True"))
}
