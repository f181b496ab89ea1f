//! The HTTP side: `POST /query` with form parameters, as InfluxDB 1.x takes it.

use std::time::Duration;

use serde::Deserialize;

/// Time to find the server; answers themselves may take as long as they take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody answers there.
    #[error("cannot reach {url}: {reason}; is the server running, and is --url right?")]
    Unreachable {
        /// The server's URL.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// The connection broke in the middle of an answer.
    #[error("the answer of {url} broke off: {reason}")]
    BrokenAnswer {
        /// The server's URL.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// The server refused the query or a statement of it.
    #[error("{0}")]
    Refused(String),
    /// The answer is not what InfluxDB's API promises.
    #[error("{url} did not answer as an InfluxDB-compatible server: {reason}")]
    NotInfluxDb {
        /// The server's URL.
        url: String,
        /// What was wrong with it.
        reason: String,
    },
}

/// One server.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: String,
}

#[derive(Deserialize)]
struct Statements {
    results: Vec<Statement>,
}

#[derive(Deserialize)]
struct Statement {
    error: Option<String>,
}

impl Client {
    /// A client for the server at `url`, such as `http://127.0.0.1:8086`.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let url = url.trim_end_matches('/').to_owned();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|error| ClientError::Unreachable { url: url.clone(), reason: error.to_string() })?;
        Ok(Self { http, url })
    }

    /// The JSON answer as the server sent it.
    pub async fn query_json(&self, database: &str, query: &str) -> Result<String, ClientError> {
        self.query(database, query, "application/json").await
    }

    /// The answer as CSV.
    pub async fn query_csv(&self, database: &str, query: &str) -> Result<String, ClientError> {
        self.query(database, query, "text/csv").await
    }

    async fn query(&self, database: &str, query: &str, accept: &str) -> Result<String, ClientError> {
        let unreachable = |error: reqwest::Error| ClientError::Unreachable {
            url: self.url.clone(),
            reason: innermost(&error),
        };
        let response = self
            .http
            .post(format!("{}/query", self.url))
            .header("Accept", accept)
            .form(&[("db", database), ("q", query)])
            .send()
            .await
            .map_err(unreachable)?;
        let status = response.status();
        let body = response.text().await.map_err(|error| ClientError::BrokenAnswer {
            url: self.url.clone(),
            reason: innermost(&error),
        })?;
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_str::<ErrorBody>(&body) {
            Ok(refusal) => Err(ClientError::Refused(refusal.error)),
            Err(_) => {
                Err(ClientError::NotInfluxDb { url: self.url.clone(), reason: format!("HTTP {status}") })
            }
        }
    }
}

/// The first error that a statement of a JSON answer reports.
pub(crate) fn check_statements(body: &str) -> Result<(), ClientError> {
    let Ok(statements) = serde_json::from_str::<Statements>(body) else { return Ok(()) };
    match statements.results.into_iter().find_map(|statement| statement.error) {
        Some(error) => Err(ClientError::Refused(error)),
        None => Ok(()),
    }
}

/// The deepest cause says what happened ("Connection refused"); the outer ones only where.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
