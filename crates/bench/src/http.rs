//! The HTTP requests of the benchmark. One agent keeps its connection open between requests.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::process::Kind;

/// The database servers that have databases are loaded with.
const DATABASE: &str = "benchmark";
/// No request of the benchmark takes as long on a server that works.
const TIMEOUT: Duration = Duration::from_secs(180);
/// A server that has no room for a write is asked again this long after.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// One that has none for so long has failed.
const REFUSED_MAX: Duration = Duration::from_secs(60);
/// Answers are read whole; the largest of the usual workload has 20 MB.
const ANSWER_BYTES_MAX: u64 = 4 << 30;

/// A client of one server.
#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    kind: Kind,
}

/// A question to a server: where to and with which parameters it is sent as a GET request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) path: &'static str,
    pub(crate) parameters: Vec<(&'static str, String)>,
}

impl Request {
    /// InfluxQL to the benchmark's database.
    pub(crate) fn influxql(text: String) -> Self {
        Self { path: "/query", parameters: vec![("db", DATABASE.to_owned()), ("q", text)] }
    }

    /// The same with another parameter.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.parameters.push((name, value.into()));
        self
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.path)?;
        self.parameters.iter().try_for_each(|(name, value)| write!(formatter, " {name}={value}"))
    }
}

impl Client {
    /// A client of the server at this port of the loopback address.
    pub(crate) fn new(kind: Kind, port: u16) -> Self {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT)).build();
        Self { agent: config.into(), base: format!("http://127.0.0.1:{port}"), kind }
    }

    /// Which server it talks to.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the server answers, and what version it says it is, if it says so.
    pub(crate) fn ping(&self) -> Option<String> {
        let path = if self.kind == Kind::VictoriaMetrics { "/health" } else { "/ping" };
        let answer = self.agent.get(format!("{}{path}", self.base)).call().ok()?;
        let header = |name: &str| answer.headers().get(name)?.to_str().ok();
        let version = header("X-Skywatch-Version").or_else(|| header("X-Influxdb-Version")).unwrap_or("");
        answer.status().is_success().then(|| version.to_owned())
    }

    /// Creates the database, where there are databases; on a cluster with so many copies.
    pub(crate) fn create_database(&self, copies: Option<u32>) -> anyhow::Result<()> {
        if self.kind == Kind::VictoriaMetrics {
            return Ok(());
        }
        let copies = copies.map_or_else(String::new, |copies| format!(" WITH REPLICATION {copies}"));
        let query = format!("CREATE DATABASE {DATABASE}{copies}");
        let answer = self.agent.post(format!("{}/query", self.base)).send_form([("q", query.as_str())]);
        expect(answer.context("cannot create the database")?, 200)?;
        Ok(())
    }

    /// Writes a body of line protocol with nanoseconds.
    pub(crate) fn write(&self, body: &[u8]) -> anyhow::Result<()> {
        let path = match self.kind {
            Kind::Skywatch | Kind::Influxdb => format!("/write?db={DATABASE}"),
            Kind::VictoriaMetrics => "/write".to_owned(),
        };
        let began = Instant::now();
        loop {
            let answer =
                self.agent.post(format!("{}{path}", self.base)).send(body).context("cannot write")?;
            // Back-pressure: the same again a little later, as clients do; the time it takes counts.
            if answer.status().as_u16() != 503 || began.elapsed() > REFUSED_MAX {
                expect(answer, 204)?;
                return Ok(());
            }
            std::thread::sleep(RETRY_AFTER);
        }
    }

    /// Asks; returns the answer's bytes as they came.
    pub(crate) fn ask(&self, request: &Request) -> anyhow::Result<Vec<u8>> {
        let url = format!("{}{}", self.base, request.path);
        let parameters = request.parameters.iter().map(|(name, value)| (*name, value.as_str()));
        let answer = self.agent.get(url).query_pairs(parameters).call();
        expect(answer.with_context(|| format!("cannot ask {request}"))?, 200)
            .with_context(|| request.to_string())
    }

    /// Makes what was written visible to queries, where that takes a request.
    pub(crate) fn flush(&self) -> anyhow::Result<()> {
        self.tell_victoria_metrics("/internal/force_flush")
    }

    /// Asks for compaction, where one can; the others do it when they are left alone.
    pub(crate) fn compact(&self) -> anyhow::Result<()> {
        self.tell_victoria_metrics("/internal/force_merge")
    }

    /// Whether a node of a cluster says that it holds all that was acknowledged.
    pub(crate) fn is_ready(&self) -> bool {
        let answer = self.agent.get(format!("{}/ready", self.base)).call();
        answer.is_ok_and(|answer| answer.status().as_u16() == 200)
    }

    /// What a data node tells other nodes about itself, if this is a client of its port for them.
    pub(crate) fn status(&self) -> anyhow::Result<serde_json::Value> {
        let answer = self.agent.get(format!("{}/status", self.base)).call().context("cannot ask a node")?;
        serde_json::from_slice(&expect(answer, 200)?).context("a node's status is no JSON")
    }

    /// What it counts about itself, as Prometheus reads it.
    pub(crate) fn metrics(&self) -> anyhow::Result<String> {
        let answer =
            self.agent.get(format!("{}/metrics", self.base)).call().context("cannot ask for metrics")?;
        Ok(String::from_utf8_lossy(&expect(answer, 200)?).into_owned())
    }

    fn tell_victoria_metrics(&self, path: &'static str) -> anyhow::Result<()> {
        if self.kind == Kind::VictoriaMetrics {
            self.ask(&Request { path, parameters: Vec::new() })?;
        }
        Ok(())
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
