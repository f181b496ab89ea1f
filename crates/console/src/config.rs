//! What the console needs to know from its host process.

use std::path::PathBuf;

/// Settings of the console; [`ConsoleConfig::new`] has the defaults of a single machine.
#[derive(Debug, Clone)]
pub struct ConsoleConfig {
    /// Base URL of the store's HTTP API, without `/query`, such as `http://127.0.0.1:8086`.
    pub upstream_url: String,
    /// Dashboards (Grafana JSON, `*.json`) beside those that ship. Read on each request, so that edits show at once.
    pub dashboards_dir: Option<PathBuf>,
    /// Whether the store's API shows a certificate for other names than this: it is in this very process.
    pub any_certificate: bool,
    /// Whether the store asks for a user: then dashboards and alerts do too.
    pub asks_for_user: bool,
    /// Database that dashboards read when they do not name one.
    pub database: String,
    /// Version shown in the console.
    pub version: String,
}

impl ConsoleConfig {
    /// A console for the store at `upstream_url`, with the database that agents write by default.
    pub fn new(upstream_url: impl Into<String>) -> Self {
        Self {
            upstream_url: upstream_url.into(),
            dashboards_dir: None,
            any_certificate: false,
            asks_for_user: false,
            database: "telegraf".into(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}
