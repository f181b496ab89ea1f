//! Continuous queries wired to the node: it lists them, runs their statements, and keeps what is recorded of a run.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use skywatch_cluster::Node;
use skywatch_cq::{ContinuousQuery, Host, PlannedRun, RunError, Runner, Service, ServiceConfig};
use skywatch_model::FieldValue;
use skywatch_monitor::{Monitor, RecorderStore, Statistic, to_lines};
use skywatch_query::{CancelToken, QueryError, QueryRequest, StatementResult};
use skywatch_replication::LeaseHolder;
use tokio::task::JoinHandle;

use crate::{
    config::{ContinuousSettings, RunSettings},
    monitor::{self, NodeStore},
};

/// Starts running continuous queries, if they are to run.
pub(crate) fn start(
    settings: &RunSettings,
    monitor: &Monitor,
    node: &Arc<Node>,
) -> io::Result<Option<Service>> {
    let ContinuousSettings { enabled, log_enabled, query_stats_enabled, run_interval } = settings.continuous;
    if !enabled {
        return Ok(None);
    }
    let lease = node.member().map(|member| {
        let holder = LeaseHolder::new(LEASE, member.id(), Arc::clone(member.catalogues()));
        let kept = Arc::clone(&holder);
        (holder, tokio::spawn(async move { kept.keep().await }))
    });
    let host = NodeHost {
        node: Arc::clone(node),
        lease,
        statistics: monitor::store(&settings.monitor, node),
        under_way: Mutex::default(),
        is_stopping: AtomicBool::new(false),
    };
    let config = ServiceConfig { run_interval, log_enabled, query_stats_enabled };
    let service = Service::start(Arc::new(host), config)?;
    monitor.add(service.statistics());
    Ok(Some(service))
}

/// What InfluxDB's clusters call it.
const LEASE: &str = "continuous_querier";

struct NodeHost {
    node: Arc<Node>,
    /// Of a member of a cluster: the right to run them, and the task that asks for it.
    lease: Option<(Arc<LeaseHolder>, JoinHandle<()>)>,
    /// Where a run is recorded, if anything is.
    statistics: Option<NodeStore>,
    /// Of the run under way; each has its own, since KILL QUERY ends one run, not those after it.
    under_way: Mutex<CancelToken>,
    is_stopping: AtomicBool,
}

impl Drop for NodeHost {
    fn drop(&mut self) {
        if let Some((_, asking)) = &self.lease {
            asking.abort();
        }
    }
}

impl Host for NodeHost {
    /// A single server holds every lease.
    fn runner(&self) -> Runner {
        match &self.lease {
            None => Runner::Here,
            Some((holder, _)) if holder.is_held() => Runner::Here,
            Some((holder, _)) if holder.is_held_elsewhere() => Runner::Elsewhere,
            Some(_) => Runner::Nobody,
        }
    }

    fn queries(&self) -> Result<Vec<ContinuousQuery>, RunError> {
        let backend = self.node.executor().backend();
        let mut queries = Vec::new();
        for database in backend.databases()? {
            for query in backend.continuous_queries(&database)? {
                queries.push(ContinuousQuery {
                    database: database.clone(),
                    name: query.name,
                    text: query.text,
                });
            }
        }
        Ok(queries)
    }

    fn run(&self, run: &PlannedRun, now_ns: i64) -> Result<u64, RunError> {
        let cancel = CancelToken::new();
        *self.under_way.lock() = cancel.clone();
        if self.is_stopping.load(Ordering::SeqCst) {
            return Err("the server is shutting down".into());
        }
        let request = QueryRequest::new(run.statement.to_string(), run.database.as_str(), now_ns);
        let mut outcome = Ok(0);
        let mut sink = |result: StatementResult| {
            if let Ok(written) = &mut outcome {
                *written += points_written(&result);
            }
            if let Some(error) = result.error {
                outcome = Err(error);
            }
            Ok(())
        };
        self.node.executor().execute(&request, &cancel, &mut sink)?;
        Ok(outcome.map_err(Box::<QueryError>::new)?)
    }

    fn record(&self, statistic: &Statistic, now_ns: i64) {
        let Some(store) = &self.statistics else { return };
        let mut line = String::new();
        to_lines(std::slice::from_ref(statistic), &monitor::tags(&self.node), now_ns, &mut line);
        if let Err(error) = store.store(&line) {
            tracing::info!(error, "failed to store a statistic");
        }
    }

    fn stop(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        self.under_way.lock().kill();
    }
}

/// What `SELECT ... INTO` says of its points: the second column of its only row.
fn points_written(result: &StatementResult) -> u64 {
    let value = result.series.first().and_then(|series| series.values.get(1)?.get(0));
    match value {
        Some(FieldValue::Integer(points)) => u64::try_from(points).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use skywatch_cluster::{Consistency, NodeConfig, WriteRequest};
    use skywatch_cq::Planner;
    use skywatch_model::line::Precision;
    use skywatch_query::Limits;
    use skywatch_storage::{CardinalityLimits, Durability, MemoryBudget};

    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    fn node(directory: &std::path::Path) -> Arc<Node> {
        Node::open(NodeConfig {
            data_dir: directory.to_owned(),
            durability: Durability::None,
            memory: Arc::new(MemoryBudget::unlimited()),
            cardinality: CardinalityLimits::default(),
            limits: Limits::default(),
            autogen: true,
            upkeep: skywatch_cluster::UpkeepSettings::default(),
            monitor: Arc::default(),
        })
        .unwrap()
    }

    #[test]
    fn a_killed_run_fails_alone_and_stopping_ends_them_all() {
        let directory = tempfile::tempdir().unwrap();
        let node = node(directory.path());
        let backend = node.executor().backend();
        backend.create_database("db", None).unwrap();
        let text = "CREATE CONTINUOUS QUERY q ON db BEGIN SELECT sum(v) INTO db.autogen.t FROM db.autogen.m GROUP BY \
                    time(1m) END";
        backend.create_continuous_query("db", "q", text).unwrap();
        let body = (0..10).map(|minute| format!("m v=1 {}\n", minute * MINUTE)).collect::<String>();
        node.write(&WriteRequest {
            database: "db",
            retention_policy: None,
            precision: Precision::Nanosecond,
            body: body.as_bytes(),
            received_at_ns: 0,
            consistency: Consistency::One,
        })
        .unwrap();
        let host = NodeHost {
            lease: None,
            node,
            statistics: None,
            under_way: Mutex::default(),
            is_stopping: AtomicBool::new(false),
        };
        let mut planner = Planner::default();
        let mut next = |minute: i64| planner.plan(&host.queries().unwrap(), minute * MINUTE).0.pop().unwrap();
        assert_eq!(host.run(&next(1), MINUTE).unwrap(), 1);
        assert_eq!(host.run(&next(4), 4 * MINUTE).unwrap(), 3);
        // As KILL QUERY does.
        host.under_way.lock().kill();
        assert_eq!(host.run(&next(5), 5 * MINUTE).unwrap(), 1);
        host.stop();
        let error = host.run(&next(6), 6 * MINUTE).unwrap_err();
        assert!(error.to_string().contains("shutting down"), "{error}");
        host.node.close();
    }
}
