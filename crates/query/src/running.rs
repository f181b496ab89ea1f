//! The list of running queries: what `SHOW QUERIES` shows, `KILL QUERY` stops and the statistics count.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use skywatch_monitor::{Selection, Statistic, StatisticsSource};

use crate::{CancelToken, QueryError, QueryRequest};

/// Queries running on this node.
#[derive(Debug, Default)]
pub(crate) struct RunningQueries {
    last_id: AtomicU64,
    queries: Mutex<BTreeMap<u64, Entry>>,
    finished: AtomicU64,
    duration_ns: AtomicU64,
    panics: AtomicU64,
}

#[derive(Debug, Clone)]
struct Entry {
    text: String,
    database: String,
    started: Instant,
    cancel: CancelToken,
    /// Asks others in the list on its behalf, which are counted in its place.
    is_around_others: bool,
}

/// A running query as `SHOW QUERIES` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningQuery {
    /// Its number on its node.
    pub id: u64,
    /// Its text, without passwords.
    pub text: String,
    /// The database of its statements that name none.
    pub database: String,
    /// How long it has been running.
    pub elapsed: Duration,
    /// Whether it was told to stop.
    pub is_killed: bool,
}

/// The place in the list of a query in another language, whose questions in InfluxQL have places of their own; given up
/// when dropped.
#[derive(Debug)]
pub struct OuterQuery {
    _running: Running,
}

/// A place in the list, given up when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    list: Arc<RunningQueries>,
    id: u64,
    cancel: CancelToken,
}

impl Running {
    /// Its number.
    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) const fn cancel(&self) -> &CancelToken {
        &self.cancel
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(entry) = self.list.queries.lock().remove(&self.id) else { return };
        let duration_ns = u64::try_from(entry.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.list.finished.fetch_add(1, Ordering::Relaxed);
        self.list.duration_ns.fetch_add(duration_ns, Ordering::Relaxed);
        self.list.panics.fetch_add(u64::from(std::thread::panicking()), Ordering::Relaxed);
    }
}

impl RunningQueries {
    /// Enters a query under a text without passwords; fails when `max_concurrent` (0: no limit) are running.
    pub(crate) fn register(
        self: &Arc<Self>,
        request: &QueryRequest,
        text: String,
        cancel: CancelToken,
        max_concurrent: usize,
    ) -> Result<Running, QueryError> {
        let mut queries = self.queries.lock();
        let counted = queries.values().filter(|entry| !entry.is_around_others).count();
        if max_concurrent > 0 && counted >= max_concurrent {
            return Err(QueryError::LimitExceeded(format!(
                "max-concurrent-queries limit exceeded({counted}, {max_concurrent})"
            )));
        }
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let entry = Entry {
            text,
            database: request.database.clone(),
            started: Instant::now(),
            cancel: cancel.clone(),
            is_around_others: false,
        };
        queries.insert(id, entry);
        Ok(Running { list: Arc::clone(self), id, cancel })
    }

    /// Enters a query in another language.
    pub(crate) fn register_outer(self: &Arc<Self>, text: String, cancel: CancelToken) -> OuterQuery {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let entry = Entry {
            text,
            database: String::new(),
            started: Instant::now(),
            cancel: cancel.clone(),
            is_around_others: true,
        };
        self.queries.lock().insert(id, entry);
        OuterQuery { _running: Running { list: Arc::clone(self), id, cancel } }
    }

    pub(crate) fn len(&self) -> usize {
        self.queries.lock().len()
    }

    /// All of them, oldest first.
    pub(crate) fn list(&self) -> Vec<RunningQuery> {
        let status = |(id, entry): (&u64, &Entry)| RunningQuery {
            id: *id,
            text: entry.text.clone(),
            database: entry.database.clone(),
            elapsed: entry.started.elapsed(),
            is_killed: entry.cancel.is_killed(),
        };
        self.queries.lock().iter().map(status).collect()
    }

    /// Stops one.
    pub(crate) fn kill(&self, id: u64) -> Result<(), QueryError> {
        match self.queries.lock().get(&id) {
            Some(entry) => {
                entry.cancel.kill();
                Ok(())
            }
            None => Err(QueryError::invalid(format!("no such query id: {id}"))),
        }
    }
}

impl StatisticsSource for RunningQueries {
    fn collect(&self, _: Selection<'_>, statistics: &mut Vec<Statistic>) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        statistics.push(Statistic::new("queryExecutor").values([
            ("queriesActive", self.len() as u64),
            ("queriesExecuted", count(&self.last_id)),
            ("queriesFinished", count(&self.finished)),
            ("queryDurationNs", count(&self.duration_ns)),
            ("recoveredPanics", count(&self.panics)),
        ]));
    }
}
