//! The thread that runs continuous queries, one after the other, so that no query ever runs beside itself.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use skywatch_model::wall_clock_ns;
use skywatch_monitor::{Selection, Statistic, StatisticsSource};

use crate::{ContinuousQuery, PlannedRun, Planner};

/// Why a run failed.
pub type RunError = Box<dyn Error + Send + Sync>;

/// Who runs continuous queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// This node.
    Here,
    /// Another node, as far as is known.
    Elsewhere,
    /// Nobody, as far as is known.
    Nobody,
}

/// The node, as the service needs it.
pub trait Host: Send + Sync + 'static {
    /// Who runs continuous queries. Asked before every run: among many nodes it is the holder of a lease, which may pass to
    /// another at any time.
    fn runner(&self) -> Runner;

    /// Every continuous query there is.
    fn queries(&self) -> Result<Vec<ContinuousQuery>, RunError>;

    /// Executes a run's statement; returns how many points it wrote.
    fn run(&self, run: &PlannedRun, now_ns: i64) -> Result<u64, RunError>;

    /// Adds a statistic about one run to the monitor's database, if that is kept.
    fn record(&self, statistic: &Statistic, now_ns: i64);

    /// Ends the run under way; the service is stopping.
    fn stop(&self);
}

/// How the service runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    /// How often it looks whether a query is due.
    pub run_interval: Duration,
    /// Log every run.
    pub log_enabled: bool,
    /// Record every run as `cq_query`.
    pub query_stats_enabled: bool,
}

/// The running service; dropping it ends the run under way, stops the thread and waits for it.
pub struct Service {
    host: Arc<dyn Host>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl Service {
    /// Starts looking for queries that are due.
    pub fn start(host: Arc<dyn Host>, config: ServiceConfig) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let counters = Arc::new(Counters::default());
        let mut work = Work {
            host: Arc::clone(&host),
            config,
            planner: Planner::default(),
            counters: Arc::clone(&counters),
        };
        let thread = std::thread::Builder::new().name("continuous-queries".into()).spawn(move || {
            while stopped.recv_timeout(work.config.run_interval) == Err(mpsc::RecvTimeoutError::Timeout) {
                work.tick(wall_clock_ns());
            }
        })?;
        Ok(Self { host, stop: Some(stop), thread: Some(thread), counters })
    }

    /// The statistics `cq`.
    pub fn statistics(&self) -> Arc<dyn StatisticsSource> {
        Arc::clone(&self.counters) as _
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.host.stop();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that runs continuous queries panicked");
        }
    }
}

#[derive(Debug, Default)]
struct Counters {
    ok: AtomicU64,
    failed: AtomicU64,
}

impl StatisticsSource for Counters {
    fn collect(&self, _: Selection<'_>, statistics: &mut Vec<Statistic>) {
        statistics.push(Statistic::new("cq").values([
            ("queryFail", self.failed.load(Ordering::Relaxed)),
            ("queryOk", self.ok.load(Ordering::Relaxed)),
        ]));
    }
}

struct Work {
    host: Arc<dyn Host>,
    config: ServiceConfig,
    planner: Planner,
    counters: Arc<Counters>,
}

impl Work {
    fn tick(&mut self, now_ns: i64) {
        let queries = match self.host.queries() {
            Ok(queries) => queries,
            Err(error) => return tracing::warn!(error, "cannot list the continuous queries; tried again"),
        };
        let runner = self.host.runner();
        if runner != Runner::Here {
            return self.planner.follow(&queries, runner == Runner::Elsewhere, now_ns);
        }
        let (runs, refused) = self.planner.plan(&queries, now_ns);
        for query in refused {
            let (database, name, error) = (query.database, query.name, query.error);
            self.counters.failed.fetch_add(1, Ordering::Relaxed);
            tracing::error!(database, name, %error, "a continuous query cannot run: drop it and create it anew");
        }
        for run in runs {
            if self.host.runner() == Runner::Here {
                self.run(&run, now_ns);
            }
        }
    }

    fn run(&self, run: &PlannedRun, now_ns: i64) {
        let (database, name) = (run.database.as_str(), run.name.as_str());
        let (start, end) = (time(run.window.start_ns), time(run.window.end_ns));
        if self.config.log_enabled {
            tracing::info!(name, database, %start, %end, "Executing continuous query");
        }
        let began = Instant::now();
        match self.host.run(run, now_ns) {
            Ok(written) => {
                self.counters.ok.fetch_add(1, Ordering::Relaxed);
                let took = began.elapsed();
                if self.config.log_enabled {
                    tracing::info!(name, database, written, ?took, %start, %end, "Finished continuous query");
                }
                if self.config.query_stats_enabled {
                    self.host.record(&statistic(run, written, took), wall_clock_ns());
                }
            }
            Err(error) => {
                self.counters.failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(name, database, %start, %end, error, "a continuous query failed");
            }
        }
    }
}

fn statistic(run: &PlannedRun, written: u64, took: Duration) -> Statistic {
    let nanoseconds = |time_ns: i64| u64::try_from(time_ns).unwrap_or(0);
    Statistic::new("cq_query").tag("cq", &*run.name).tag("db", &*run.database).values([
        ("durationNs", u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)),
        ("endTime", nanoseconds(run.window.end_ns)),
        ("pointsWrittenOK", written),
        ("startTime", nanoseconds(run.window.start_ns)),
    ])
}

fn time(time_ns: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(time_ns)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use parking_lot::Mutex;

    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    #[derive(Default)]
    struct FakeHost {
        leads: AtomicBool,
        fails: AtomicBool,
        ran: Mutex<Vec<(String, i64)>>,
        recorded: Mutex<Vec<Statistic>>,
    }

    impl Host for FakeHost {
        fn runner(&self) -> Runner {
            if self.leads.load(Ordering::Relaxed) { Runner::Here } else { Runner::Elsewhere }
        }

        fn queries(&self) -> Result<Vec<ContinuousQuery>, RunError> {
            let text =
                "CREATE CONTINUOUS QUERY q ON db BEGIN SELECT mean(v) INTO t FROM m GROUP BY time(1m) END";
            let query = |name: &str, text: &str| ContinuousQuery {
                database: "db".into(),
                name: name.into(),
                text: text.into(),
            };
            Ok(vec![query("q", text), query("broken", "no")])
        }

        fn run(&self, run: &PlannedRun, _now_ns: i64) -> Result<u64, RunError> {
            self.ran.lock().push((run.name.clone(), run.window.end_ns / MINUTE));
            if self.fails.load(Ordering::Relaxed) { Err("database not found".into()) } else { Ok(3) }
        }

        fn record(&self, statistic: &Statistic, _now_ns: i64) {
            self.recorded.lock().push(statistic.clone());
        }

        fn stop(&self) {}
    }

    fn work(host: &Arc<FakeHost>) -> Work {
        let config = ServiceConfig {
            run_interval: Duration::from_secs(1),
            log_enabled: true,
            query_stats_enabled: true,
        };
        let host = Arc::clone(host) as Arc<dyn Host>;
        Work { host, config, planner: Planner::default(), counters: Arc::default() }
    }

    fn counts(work: &Work) -> Vec<(&'static str, i64)> {
        let mut statistics = Vec::new();
        work.counters.collect(Selection::All, &mut statistics);
        statistics[0].fields().to_vec()
    }

    #[test]
    fn runs_are_counted_recorded_and_go_on_after_a_failure() {
        let host = Arc::new(FakeHost::default());
        host.leads.store(true, Ordering::Relaxed);
        let mut work = work(&host);
        work.tick(MINUTE + 1);
        work.tick(2 * MINUTE);
        host.fails.store(true, Ordering::Relaxed);
        work.tick(3 * MINUTE);
        work.tick(3 * MINUTE + 1);
        host.fails.store(false, Ordering::Relaxed);
        work.tick(4 * MINUTE);
        let ends: Vec<i64> = host.ran.lock().iter().map(|(_, end)| *end).collect();
        assert_eq!(ends, [2, 3, 4]);
        // One that failed, and one whose text is none, counted once.
        assert_eq!(counts(&work), [("queryFail", 2), ("queryOk", 2)]);
        let recorded = host.recorded.lock();
        assert_eq!((recorded.len(), recorded[0].tag_value("cq")), (2, Some("q")));
        assert!(recorded[0].fields().contains(&("pointsWrittenOK", 3)));
    }

    #[test]
    fn only_the_node_that_may_runs_them() {
        let host = Arc::new(FakeHost::default());
        let mut work = work(&host);
        work.tick(MINUTE + 1);
        work.tick(5 * MINUTE + 1);
        assert!(host.ran.lock().is_empty());
        host.leads.store(true, Ordering::Relaxed);
        // Another ran what came before, but may have died before it ran the last one.
        work.tick(5 * MINUTE + 2);
        work.tick(6 * MINUTE);
        assert_eq!(*host.ran.lock(), [("q".to_owned(), 5), ("q".to_owned(), 6)]);
    }
}
