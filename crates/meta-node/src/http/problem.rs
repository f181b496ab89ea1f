//! What goes wrong, as an answer.

use std::fmt;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use serde_json::json;
use skywatch_meta::CatalogueError;
use skywatch_rpc::{CallError, FailureKind};

use crate::node::{ExecuteError, MembershipError};

const ERROR_HEADER_BYTES_MAX: usize = 1_024;

/// An answer that is a "no", or "ask there".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// With these words.
    Error(StatusCode, String),
    /// The leader's HTTP address.
    Elsewhere(String),
    /// Who are you?
    Unknown(String),
}

impl Problem {
    pub(crate) fn invalid(text: impl fmt::Display) -> Self {
        Self::Error(StatusCode::BAD_REQUEST, text.to_string())
    }

    pub(crate) fn conflict(text: impl fmt::Display) -> Self {
        Self::Error(StatusCode::CONFLICT, text.to_string())
    }

    pub(crate) fn internal(text: impl fmt::Display) -> Self {
        Self::Error(StatusCode::INTERNAL_SERVER_ERROR, text.to_string())
    }

    pub(crate) fn unavailable(text: impl fmt::Display) -> Self {
        Self::Error(StatusCode::SERVICE_UNAVAILABLE, text.to_string())
    }

    pub(crate) fn not_found() -> Self {
        Self::Error(StatusCode::NOT_FOUND, "not found".into())
    }

    /// What another node said, in its own words; or that it said nothing.
    pub(crate) fn of_call(error: &CallError) -> Self {
        match error.failure() {
            Some(failure) => {
                let status = match failure.kind {
                    FailureKind::Invalid => StatusCode::BAD_REQUEST,
                    FailureKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::INTERNAL_SERVER_ERROR,
                };
                Self::Error(status, failure.text.clone())
            }
            None => Self::internal(error),
        }
    }
}

impl From<ExecuteError> for Problem {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Failed(text) => Self::internal(text),
            other => Self::unavailable(other),
        }
    }
}

impl From<MembershipError> for Problem {
    fn from(error: MembershipError) -> Self {
        match error {
            MembershipError::Elsewhere(leader) => Self::Elsewhere(leader.http_addr),
            MembershipError::Execute(error) => error.into(),
            error @ (MembershipError::OtherCluster { .. } | MembershipError::Last(_)) => {
                Self::conflict(error)
            }
            error @ (MembershipError::Dangled(_) | MembershipError::Unusable(_)) => Self::invalid(error),
            error => Self::internal(error),
        }
    }
}

impl From<CatalogueError> for Problem {
    fn from(error: CatalogueError) -> Self {
        Self::invalid(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Error(status, text) => (status, text),
            Self::Unknown(text) => (StatusCode::UNAUTHORIZED, text),
            // The gate turns it into the whole URL, which it knows.
            Self::Elsewhere(leader) => {
                let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
                if let Ok(leader) = HeaderValue::from_str(&leader) {
                    response.headers_mut().insert(LOCATION, leader);
                }
                return response;
            }
        };
        let mut header: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut end = header.len().min(ERROR_HEADER_BYTES_MAX);
        while !header.is_char_boundary(end) {
            end -= 1;
        }
        header.truncate(end);
        let mut response = (status, axum::Json(json!({ "error": text }))).into_response();
        if let Ok(header) = HeaderValue::from_str(&header) {
            response.headers_mut().insert(HeaderName::from_static("x-influxdb-error"), header);
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"InfluxDB\"");
            response.headers_mut().insert(axum::http::header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
