//! Continuous queries wired to the node: it lists them, runs their statements, and keeps what is recorded of a run.

use std::{io, sync::Arc};

use skywatch_cluster::Node;
use skywatch_cq::{ContinuousQuery, Host, PlannedRun, RunError, Service, ServiceConfig};
use skywatch_model::FieldValue;
use skywatch_monitor::{Monitor, RecorderStore, Statistic, to_lines};
use skywatch_query::{CancelToken, QueryError, QueryRequest, StatementResult};

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
    let host = NodeHost {
        node: Arc::clone(node),
        statistics: monitor::store(&settings.monitor, node),
        cancel: CancelToken::new(),
    };
    let config = ServiceConfig { run_interval, log_enabled, query_stats_enabled };
    let service = Service::start(Arc::new(host), config)?;
    monitor.add(service.statistics());
    Ok(Some(service))
}

struct NodeHost {
    node: Arc<Node>,
    /// Where a run is recorded, if anything is.
    statistics: Option<NodeStore>,
    cancel: CancelToken,
}

impl Host for NodeHost {
    /// A single server holds every lease.
    fn may_run(&self) -> bool {
        true
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
        self.node.executor().execute(&request, &self.cancel, &mut sink)?;
        Ok(outcome.map_err(Box::<QueryError>::new)?)
    }

    fn record(&self, statistic: &Statistic, now_ns: i64) {
        let Some(store) = &self.statistics else { return };
        let mut line = String::new();
        to_lines(std::slice::from_ref(statistic), &monitor::hostname(), now_ns, &mut line);
        if let Err(error) = store.store(&line) {
            tracing::info!(error, "failed to store a statistic");
        }
    }

    fn stop(&self) {
        self.cancel.kill();
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
