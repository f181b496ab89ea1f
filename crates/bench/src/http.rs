//! The HTTP requests of the benchmark. One agent keeps its connection open between requests.

use std::time::Duration;

use anyhow::{Context as _, bail};

/// The database both servers are loaded with.
const DATABASE: &str = "benchmark";
/// No request of the benchmark takes as long on a server that works.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Answers are read whole; the largest of the usual workload has 20 MB.
const ANSWER_BYTES_MAX: u64 = 4 << 30;

/// A client of one server.
#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
}

impl Client {
    /// A client of the server at this port of the loopback address.
    pub(crate) fn new(port: u16) -> Self {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT)).build();
        Self { agent: config.into(), base: format!("http://127.0.0.1:{port}") }
    }

    /// Whether the server answers, and what it calls itself.
    pub(crate) fn ping(&self) -> Option<String> {
        let answer = self.agent.get(format!("{}/ping", self.base)).call().ok()?;
        let header = |name: &str| answer.headers().get(name)?.to_str().ok();
        let version = header("X-Skywatch-Version").or_else(|| header("X-Influxdb-Version")).unwrap_or("");
        answer.status().is_success().then(|| version.to_owned())
    }

    /// Creates the database.
    pub(crate) fn create_database(&self) -> anyhow::Result<()> {
        let query = format!("CREATE DATABASE {DATABASE}");
        let answer = self.agent.post(format!("{}/query", self.base)).send_form([("q", query.as_str())]);
        expect(answer.context("cannot create the database")?, 200)?;
        Ok(())
    }

    /// Writes a body of line protocol with nanoseconds.
    pub(crate) fn write(&self, body: &[u8]) -> anyhow::Result<()> {
        let answer = self.agent.post(format!("{}/write?db={DATABASE}", self.base)).send(body);
        expect(answer.context("cannot write")?, 204)?;
        Ok(())
    }

    /// Asks a query; returns the answer's bytes as they came.
    pub(crate) fn query(&self, query: &str) -> anyhow::Result<Vec<u8>> {
        let request = self.agent.get(format!("{}/query", self.base)).query("db", DATABASE).query("q", query);
        expect(request.call().with_context(|| format!("cannot ask {query}"))?, 200)
            .with_context(|| query.to_owned())
    }
}

/// The body of an answer that has the wanted status.
fn expect(mut answer: ureq::http::Response<ureq::Body>, status: u16) -> anyhow::Result<Vec<u8>> {
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().context("cut short")?;
    if answer.status().as_u16() != status {
        let text = String::from_utf8_lossy(&body);
        bail!("the server answers {}: {}", answer.status(), text.chars().take(300).collect::<String>());
    }
    Ok(body)
}
