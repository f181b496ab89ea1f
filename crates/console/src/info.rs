//! `/api/info`: who we are and whether the store answers.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::Serialize;

use crate::{proxy::unreachable_store, router::Console};

/// A page is waiting for this answer.
const PING_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, Serialize)]
pub(crate) struct Info {
    version: String,
    database: String,
    upstream: String,
    /// Version the store reports, `None` when it does not answer.
    store_version: Option<String>,
    store_error: Option<String>,
}

pub(crate) async fn serve(State(console): State<Console>) -> Json<Info> {
    let (store_version, store_error) = match ping(&console).await {
        Ok(version) => (Some(version), None),
        Err(error) => (None, Some(error)),
    };
    Json(Info {
        version: console.config.version.clone(),
        database: console.config.database.clone(),
        upstream: console.config.upstream_url.clone(),
        store_version,
        store_error,
    })
}

async fn ping(console: &Console) -> Result<String, String> {
    let base = console.config.upstream_url.trim_end_matches('/');
    let response = console
        .http
        .get(format!("{base}/ping"))
        .timeout(PING_TIMEOUT)
        .send()
        .await
        .map_err(|error| unreachable_store(base, &error).to_string())?;
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    Ok(header("x-skywatch-version").or(header("x-influxdb-version")).unwrap_or("unknown").to_owned())
}
