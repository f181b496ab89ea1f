//! A mark on answers of a node that knows of no leader: they are what the node has, and may be old.
//!
//! ```text
//! X-Skywatch-No-Leader: no leader: 1 of 3 meta nodes answer, 2 are needed: start the others
//! X-Skywatch-Age-Ms: 3120      how old what is answered may be; missing where that cannot be told
//! ```

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};

use super::Api;
use crate::node::ExecuteError;

const REASON: HeaderName = HeaderName::from_static("x-skywatch-no-leader");
const AGE: HeaderName = HeaderName::from_static("x-skywatch-age-ms");

/// Answers, and marks the answer if nobody leads.
pub(super) async fn mark(State(api): State<Api>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let node = &api.node;
    if !node.status().leader.is_empty() {
        return response;
    }
    let reason =
        if node.has_cluster() { node.no_leader(false).await } else { ExecuteError::NoCluster }.to_string();
    let headers = response.headers_mut();
    if let Ok(reason) = HeaderValue::from_str(&reason) {
        headers.insert(REASON, reason);
    }
    if let Some(age) = node.age() {
        headers.insert(AGE, HeaderValue::from(age.as_millis() as u64));
    }
    response
}
