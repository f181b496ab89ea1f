//! How the console's own API fails: a status and `{"error": "..."}`, the shape of InfluxDB's errors.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Every way a request to the console's API can fail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ApiError {
    #[error("cannot reach the store at {url}: {reason}")]
    StoreUnreachable { url: String, reason: String },
    #[error("the request body could not be read or is larger than {max_bytes} bytes")]
    Body { max_bytes: usize },
    #[error("there is no dashboard {uid:?}")]
    NoSuchDashboard { uid: String },
    #[error("the dashboard file {file} cannot be used: {reason}")]
    BadDashboard { file: String, reason: String },
    #[error("there is nothing at {path}")]
    NotFound { path: String },
    #[error("requests from other sites are refused")]
    CrossSite,
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::StoreUnreachable { .. } => StatusCode::BAD_GATEWAY,
            Self::Body { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoSuchDashboard { .. } | Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::BadDashboard { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::CrossSite => StatusCode::FORBIDDEN,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status(), Json(json!({ "error": self.to_string() }))).into_response()
    }
}
