//! An engine whose behaviour is chosen by what it is asked.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use skywatch_cluster::{
    Accounts, NodeStatistics, NotReady, PointsRequest, Purpose, WriteError, WriteRequest, WriteStatistics,
    WriteSummary, backup::Backups,
};
use skywatch_http::Engine;
use skywatch_model::{
    Column, Values,
    line::{PointBatch, Precision},
};
use skywatch_query::{
    BackendError, CancelToken, DeleteRequest, Message, OutputColumn, QueryError, QueryRequest, ResultSeries,
    ResultSink, StatementResult,
};

use crate::accounts::FakeAccounts;

/// A write as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Written {
    pub database: String,
    pub retention_policy: Option<String>,
    pub precision: Precision,
    pub body: Vec<u8>,
}

/// Records what it is told.
#[derive(Debug, Default)]
pub(crate) struct FakeEngine {
    pub writes: Mutex<Vec<Written>>,
    pub queries: Mutex<Vec<QueryRequest>>,
    /// Batches that came otherwise than as text, printed.
    pub batches: Mutex<Vec<String>>,
    pub deletes: Mutex<Vec<(String, DeleteRequest)>>,
    /// Queries that noticed that they were to stop.
    pub stopped: AtomicU64,
    /// Queries that are running.
    pub running: AtomicU64,
    pub accounts: FakeAccounts,
    /// Why clients should go elsewhere.
    pub not_ready: Mutex<Option<NotReady>>,
}

impl FakeEngine {
    pub(crate) fn last_query(&self) -> QueryRequest {
        self.queries.lock().unwrap().last().expect("no query arrived").clone()
    }

    pub(crate) fn last_write(&self) -> Written {
        self.writes.lock().unwrap().last().expect("no write arrived").clone()
    }
}

impl Engine for FakeEngine {
    fn readiness_for(&self, purpose: Purpose) -> Result<(), NotReady> {
        let reason = self.not_ready.lock().unwrap().clone();
        let counts = |reason: &NotReady| purpose != Purpose::Writes || *reason != NotReady::Behind;
        reason.filter(counts).map_or(Ok(()), Err)
    }

    fn write(&self, request: &WriteRequest<'_>) -> Result<WriteSummary, WriteError> {
        self.writes.lock().unwrap().push(Written {
            database: request.database.to_owned(),
            retention_policy: request.retention_policy.map(ToOwned::to_owned),
            precision: request.precision,
            body: request.body.to_vec(),
        });
        assert!(request.received_at_ns > 1_700_000_000_000_000_000, "points need a time");
        if request.database == "nope" {
            return Err(WriteError::DatabaseNotFound("nope".to_owned()));
        }
        match request.body {
            b"slow" => thread::sleep(Duration::from_millis(300)),
            b"panic" => panic!("asked to"),
            b"bad" => return Err(WriteError::Unparsable("unable to parse 'bad': missing fields".to_owned())),
            b"partial" => {
                let reason =
                    "unable to parse 'a': missing fields\nunable to parse 'b': missing fields".to_owned();
                return Err(WriteError::Partial { reason, dropped: 0, written: 5 });
            }
            b"busy" => {
                let reason = "no memory for writes".to_owned();
                return Err(WriteError::Overloaded { reason, retry_after_secs: 7 });
            }
            b"stopping" => return Err(WriteError::ShuttingDown),
            b"no policy" => return Err(WriteError::RetentionPolicyNotFound("x".to_owned())),
            _ => {}
        }
        Ok(WriteSummary { points: 2, ..WriteSummary::default() })
    }

    fn write_points(
        &self,
        request: &PointsRequest<'_>,
        batch: &PointBatch<'_>,
    ) -> Result<WriteSummary, WriteError> {
        match request.database {
            "nope" => return Err(WriteError::DatabaseNotFound("nope".to_owned())),
            "conflict" => {
                let reason = "field type conflict".to_owned();
                return Err(WriteError::Partial { reason, dropped: 1, written: 2 });
            }
            _ => {}
        }
        self.batches
            .lock()
            .unwrap()
            .push(format!("{} {:?} {batch:?}", request.database, request.retention_policy));
        Ok(WriteSummary { points: batch.len() as u64, ..WriteSummary::default() })
    }

    fn delete(&self, database: &str, request: &DeleteRequest) -> Result<(), BackendError> {
        if request.retention_policy.as_deref() == Some("nope") {
            return Err(BackendError::RetentionPolicyNotFound("nope".to_owned()));
        }
        self.deletes.lock().unwrap().push((database.to_owned(), request.clone()));
        Ok(())
    }

    fn check_query(&self, request: &QueryRequest) -> Result<(), QueryError> {
        if request.text == "syntax" { Err(parse_error()) } else { Ok(()) }
    }

    fn query(
        &self,
        request: &QueryRequest,
        cancel: &CancelToken,
        sink: &mut dyn ResultSink,
    ) -> Result<(), QueryError> {
        self.queries.lock().unwrap().push(request.clone());
        self.running.fetch_add(1, Ordering::SeqCst);
        let outcome = self.play(request, cancel, sink);
        self.running.fetch_sub(1, Ordering::SeqCst);
        if matches!(outcome, Err(QueryError::Interrupted(_) | QueryError::Closed(_))) {
            self.stopped.fetch_add(1, Ordering::SeqCst);
        }
        outcome
    }

    fn statistics(&self) -> NodeStatistics {
        let writes = WriteStatistics { points_written: 11, ..WriteStatistics::default() };
        NodeStatistics { writes, databases: 2, shards: 3, segment_bytes: 4_096, ..NodeStatistics::default() }
    }

    fn backups(&self) -> &dyn Backups {
        self
    }

    fn accounts(&self) -> &dyn Accounts {
        &self.accounts
    }
}

impl FakeEngine {
    fn play(
        &self,
        request: &QueryRequest,
        cancel: &CancelToken,
        sink: &mut dyn ResultSink,
    ) -> Result<(), QueryError> {
        match request.text.as_str() {
            "SHOW DATABASES" => sink.send(databases(0))?,
            "GET CREATE" => sink.send(warned())?,
            "syntax" => return Err(parse_error()),
            "limit" => {
                return Err(QueryError::LimitExceeded(
                    "max-concurrent-queries limit exceeded(1, 1)".to_owned(),
                ));
            }
            "failing" => sink.send(failed(0))?,
            "nothing" => {}
            "rows" => rows(request, sink)?,
            "endless" => loop {
                cancel.check()?;
                sink.send(endless_piece())?;
            },
            "silent" => loop {
                cancel.check()?;
                thread::sleep(Duration::from_millis(2));
            },
            "slow" => {
                thread::sleep(Duration::from_millis(300));
                sink.send(databases(0))?;
            }
            "panic" => panic!("asked to"),
            "late panic" => {
                for _ in 0..20 {
                    sink.send(endless_piece())?;
                }
                panic!("asked to, after a while");
            }
            _ => sink.send(StatementResult::default())?,
        }
        Ok(())
    }
}

fn parse_error() -> QueryError {
    let text = "error parsing query: found EOF, expected FROM at line 1, char 10";
    QueryError::Parse(text.to_owned())
}

fn series(name: &str, columns: &[&str], values: Vec<OutputColumn>, partial: bool) -> ResultSeries {
    let columns = columns.iter().map(|&column| Arc::from(column)).collect();
    ResultSeries { name: Arc::from(name), tags: Arc::new([]), columns, values, partial }
}

fn databases(statement_id: u32) -> StatementResult {
    let names = OutputColumn::strings(["db0", "x"].map(Arc::from));
    let series = vec![series("databases", &["name"], vec![names], false)];
    StatementResult { statement_id, series, ..StatementResult::default() }
}

fn failed(statement_id: u32) -> StatementResult {
    let error = Some(QueryError::Invalid("database not found: missing".to_owned()));
    StatementResult { statement_id, error, ..StatementResult::default() }
}

fn warned() -> StatementResult {
    let text =
        "deprecated use of 'CREATE DATABASE x' in a read only context, please use a POST request instead";
    let message = Message { level: "warning", text: text.to_owned() };
    StatementResult { messages: vec![message], ..StatementResult::default() }
}

/// Three rows, in pieces of the size asked for.
fn rows(request: &QueryRequest, sink: &mut dyn ResultSink) -> Result<(), QueryError> {
    let times = [0_i64, 1_500_000_000_000_000_000, 1_500_000_000_500_000_000];
    let piece_rows = request.chunk_rows.map_or(2, std::num::NonZero::get);
    let pieces = times.len().div_ceil(piece_rows);
    for (at, times) in times.chunks(piece_rows).enumerate() {
        let floats = Values::Float(times.iter().map(|&time| time as f64 / 1e9).collect());
        let values = vec![
            OutputColumn::Time(times.to_vec()),
            OutputColumn::Values(Column { values: floats, valid: None }),
        ];
        let partial = at + 1 < pieces;
        let series = vec![series("m", &["time", "v"], values, partial)];
        sink.send(StatementResult { series, partial, ..StatementResult::default() })?;
    }
    Ok(())
}

fn endless_piece() -> StatementResult {
    let values = vec![OutputColumn::Time((0..10_000).collect())];
    let series = vec![series("m", &["time"], values, true)];
    StatementResult { series, partial: true, ..StatementResult::default() }
}
