//! Runs queries: parses, runs statement after statement, and hands their results to the sink.

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use skywatch_influxql::{Query, Statement};
use skywatch_monitor::Monitor;
use skywatch_storage::{MemoryBudget, ReadError};

use crate::{
    Backend, BackendError, CancelToken, Identity, Interrupt, Limits, Message, QueryError, Reading,
    ResultSeries, ResultSink, StatementResult, access,
    exec::Pool,
    running::{OuterQuery, Running, RunningQueries, RunningQuery},
    statement,
};

/// One query as a client sent it.
#[derive(Debug, Clone)]
pub struct QueryRequest {
    /// InfluxQL, one or more statements.
    pub text: String,
    /// Values of the `$name`s in the text.
    pub params: skywatch_influxql::Params,
    /// Database of statements that name none; empty when the request gave none.
    pub database: String,
    /// Retention policy of sources that name none; empty means the database's default.
    pub retention_policy: String,
    /// Most rows in one series of a piece; `None` leaves the size of pieces to the engine (pieces of one
    /// series are then to be joined by the receiver).
    pub chunk_rows: Option<NonZeroUsize>,
    /// Sent with GET: statements that change something still run, with InfluxDB's deprecation warning.
    pub read_only: bool,
    /// What `now()` means: nanoseconds since the epoch.
    pub now_ns: i64,
    /// Whose rights count.
    pub identity: Identity,
    /// Read only what this node of a cluster holds.
    pub node_id: Option<u64>,
    /// Where no node holds all of a shard, answer from one that lacks something, and say so.
    pub allows_partial: bool,
    /// See [`Reading::position`].
    pub position: Option<String>,
    /// SHOW TAG KEYS and SHOW TAG VALUES look at one retention policy, as other statements do; in InfluxQL they are of
    /// all of a database.
    pub tags_by_policy: bool,
}

impl QueryRequest {
    /// A query on `database` (which may be empty) without chunking, of somebody who may do everything.
    pub fn new(text: impl Into<String>, database: impl Into<String>, now_ns: i64) -> Self {
        Self {
            text: text.into(),
            params: skywatch_influxql::Params::default(),
            database: database.into(),
            retention_policy: String::new(),
            chunk_rows: None,
            read_only: false,
            now_ns,
            identity: Identity::Unrestricted,
            node_id: None,
            allows_partial: false,
            position: None,
            tags_by_policy: false,
        }
    }
}

/// Runs queries against one node. Cheap to clone; clones share limits, threads and the list of running queries.
#[derive(Debug, Clone)]
pub struct Executor {
    backend: Arc<dyn Backend>,
    limits: Arc<Limits>,
    memory: Arc<MemoryBudget>,
    pool: Arc<Pool>,
    running: Arc<RunningQueries>,
    monitor: Arc<Monitor>,
}

impl Executor {
    /// An executor over `backend`.
    pub fn new(backend: Arc<dyn Backend>, limits: Limits) -> Self {
        let pool = Arc::new(Pool::new(limits.worker_threads));
        let memory = Arc::new(MemoryBudget::unlimited());
        Self {
            backend,
            limits: Arc::new(limits),
            memory,
            pool,
            running: Arc::default(),
            monitor: Arc::default(),
        }
    }

    /// With memory shared with the rest of the node. Without, only [`Limits::max_query_memory_bytes`] bounds it.
    #[must_use]
    pub fn with_memory(mut self, memory: Arc<MemoryBudget>) -> Self {
        self.memory = memory;
        self
    }

    /// With what `SHOW STATS` and `SHOW DIAGNOSTICS` read; the executor adds its own numbers to it.
    #[must_use]
    pub fn with_monitor(mut self, monitor: Arc<Monitor>) -> Self {
        monitor.add(Arc::clone(&self.running) as _);
        self.monitor = monitor;
        self
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The node behind it.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// Number of queries running now.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Queries running now, oldest first.
    pub fn running_queries(&self) -> Vec<RunningQuery> {
        self.running.list()
    }

    /// Lists a query in another language, which asks this executor and is stopped by `cancel`, until the result is
    /// dropped.
    pub fn list_outer(&self, text: String, cancel: CancelToken) -> OuterQuery {
        self.running.register_outer(text, cancel)
    }

    /// Stops a query by its number.
    pub fn kill(&self, id: u64) -> Result<(), QueryError> {
        self.running.kill(id)
    }

    /// What is wrong with a request before any of it is run: its text is no InfluxQL, or its user may not.
    pub fn check(&self, request: &QueryRequest) -> Result<(), QueryError> {
        self.admit(request).map(drop)
    }

    fn admit(&self, request: &QueryRequest) -> Result<Query, QueryError> {
        let query = skywatch_influxql::parse_query_with(&request.text, &request.params)
            .map_err(|error| QueryError::Parse(error.to_string()))?;
        access::authorize(&query, request, self.backend.as_ref())?;
        Ok(query)
    }

    /// Runs every statement of the request, in order, and sends what they answer. A statement that fails sends
    /// its error in its result, and the later ones are not run, as in InfluxDB. `Err` means that the whole
    /// request failed: before anything was sent, because its text is no InfluxQL, or because the sink closed.
    pub fn execute(
        &self,
        request: &QueryRequest,
        cancel: &CancelToken,
        sink: &mut dyn ResultSink,
    ) -> Result<(), QueryError> {
        let query = self.admit(request)?;
        let timeout = self.limits.query_timeout;
        let deadline = (!timeout.is_zero()).then(|| Instant::now() + timeout);
        let cancel = deadline.map_or_else(|| cancel.clone(), |deadline| cancel.with_deadline(deadline));
        let text = query.to_string();
        let limit = self.limits.max_concurrent_queries;
        let running = match self.running.register(request, text.clone(), cancel, limit) {
            Ok(running) => running,
            Err(error) => return Ok(sink.send(failed(0, error))?),
        };
        let watch = SlowQuery {
            started: Instant::now(),
            limits: &self.limits,
            id: running.id(),
            text: &text,
            request,
        };
        let outcome = self.statements(&query, request, &running, &watch, sink);
        watch.ended();
        outcome
    }

    fn statements(
        &self,
        query: &Query,
        request: &QueryRequest,
        running: &Running,
        watch: &SlowQuery<'_>,
        sink: &mut dyn ResultSink,
    ) -> Result<(), QueryError> {
        let mut statements = (0u32..).zip(&query.statements);
        for (statement_id, statement) in statements.by_ref() {
            let outcome = self.statement(statement_id, statement, request, running, sink);
            if let Err(error) = outcome.map_err(|error| stopped(error, running)) {
                if matches!(error, QueryError::Interrupted(Interrupt::Timeout)) {
                    watch.timed_out();
                }
                if matches!(error, QueryError::Closed(_)) {
                    return Err(error);
                }
                sink.send(failed(statement_id, error))?;
                break;
            }
        }
        for (statement_id, _) in statements {
            sink.send(failed(statement_id, QueryError::NotExecuted))?;
        }
        Ok(())
    }

    fn statement(
        &self,
        statement_id: u32,
        statement: &Statement,
        request: &QueryRequest,
        running: &Running,
        sink: &mut dyn ResultSink,
    ) -> Result<(), QueryError> {
        running.cancel().check()?;
        let reading = Reading::new(running.cancel().clone(), request.node_id, request.allows_partial)
            .at_least(request.position.clone());
        let context = statement::Context {
            backend: self.backend.as_ref(),
            limits: &self.limits,
            memory: &self.memory,
            pool: &self.pool,
            running: &self.running,
            monitor: &self.monitor,
            request,
            cancel: running.cancel(),
            reading: &reading,
        };
        let mut sender = Sender { statement_id, sink, zone: None, held: Vec::new(), held_rows: 0, request };
        let mut messages = statement::run(&context, statement, &mut sender)?;
        let partial = |why| Message { level: "warning", text: format!("partial answer: {why}") };
        messages.extend(reading.take_lacking().into_iter().map(partial));
        sender.finish(messages)
    }
}

/// A read that was given up tells by what the query was stopped.
fn stopped(error: QueryError, running: &Running) -> QueryError {
    match error {
        QueryError::Read(ReadError::Stopped)
        | QueryError::Backend(BackendError::Read(ReadError::Stopped)) => {
            running.cancel().check().err().map_or(error, QueryError::Interrupted)
        }
        error => error,
    }
}

/// Logs a query that takes long.
struct SlowQuery<'a> {
    started: Instant,
    limits: &'a Limits,
    id: u64,
    text: &'a str,
    request: &'a QueryRequest,
}

impl SlowQuery<'_> {
    fn ended(&self) {
        let threshold = self.limits.log_queries_after;
        if !threshold.is_zero() && self.started.elapsed() > threshold {
            self.log("Detected slow query", "threshold", threshold);
        }
    }

    fn timed_out(&self) {
        if self.limits.log_timedout_queries {
            self.log("query timed out", "timeout", self.limits.query_timeout);
        }
    }

    fn log(&self, what: &str, bound: &str, span: Duration) {
        let Self { id, text, request: QueryRequest { database, .. }, .. } = self;
        let span = statement::go_duration(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX));
        tracing::warn!("{what}: {text} (qid: {id}, database: {database}, {bound}: {span})");
    }
}

fn failed(statement_id: u32, error: QueryError) -> StatementResult {
    StatementResult { statement_id, error: Some(error), ..StatementResult::default() }
}

/// Rows that may wait to be sent together when the client asked for no chunks.
const ROWS_PER_PIECE: usize = 8192;

/// Sends what one statement answers. It holds back the newest series, to know whether more follows.
pub(crate) struct Sender<'a> {
    statement_id: u32,
    sink: &'a mut dyn ResultSink,
    /// In which zone times are shown.
    pub(crate) zone: Option<jiff::tz::TimeZone>,
    held: Vec<ResultSeries>,
    held_rows: usize,
    request: &'a QueryRequest,
}

impl Sender<'_> {
    /// Most rows of a series in one piece.
    pub(crate) fn piece_rows(&self) -> usize {
        self.request.chunk_rows.map_or(ROWS_PER_PIECE, NonZeroUsize::get)
    }

    /// Sends a series, or a piece of one.
    pub(crate) fn series(&mut self, series: ResultSeries) -> Result<(), QueryError> {
        // In chunks each series travels alone; otherwise small ones travel together.
        let full = self.request.chunk_rows.is_some() || self.held_rows + series.len() > ROWS_PER_PIECE;
        if full && !self.held.is_empty() {
            self.send(true, Vec::new())?;
        }
        self.held_rows += series.len().max(1);
        self.held.push(series);
        Ok(())
    }

    fn finish(&mut self, messages: Vec<Message>) -> Result<(), QueryError> {
        self.send(false, messages)
    }

    fn send(&mut self, partial: bool, messages: Vec<Message>) -> Result<(), QueryError> {
        self.held_rows = 0;
        Ok(self.sink.send(StatementResult {
            statement_id: self.statement_id,
            series: std::mem::take(&mut self.held),
            messages,
            partial,
            error: None,
            time_zone: self.zone.clone(),
        })?)
    }
}
