//! Rules ask the node directly: no network, the same engine as HTTP queries, on a thread of their own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use skywatch_alert::{Labels, Point, QueryFailure, QuerySource, Series, Time};
use skywatch_cluster::Node;
use skywatch_model::{FieldType, FieldValue};
use skywatch_query::{
    CancelToken, OutputColumn, QueryError, QueryErrorClass, QueryRequest, ResultSeries, StatementResult,
};

/// How long a rule's query may take, as in Grafana.
const EVALUATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers the queries of rules.
#[derive(Debug)]
pub(crate) struct NodeSource {
    node: Arc<Node>,
}

/// Stops a query whose evaluation was given up.
struct KillOnDrop(CancelToken);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.kill();
    }
}

impl NodeSource {
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

impl QuerySource for NodeSource {
    async fn query(
        &self,
        database: &str,
        retention_policy: Option<&str>,
        text: &str,
        now: Time,
    ) -> Result<Vec<Series>, QueryFailure> {
        let mut request = QueryRequest::new(text, database, now.millis().saturating_mul(1_000_000));
        request.retention_policy = retention_policy.unwrap_or_default().to_owned();
        request.read_only = true;
        let cancel = CancelToken::new().with_deadline(Instant::now() + EVALUATION_TIMEOUT);
        let _kill = KillOnDrop(cancel.clone());
        let node = Arc::clone(&self.node);
        tokio::task::spawn_blocking(move || collect(&node, &request, &cancel))
            .await
            .map_err(|error| QueryFailure::Unavailable(format!("the query ended badly: {error}")))?
    }
}

fn collect(node: &Node, request: &QueryRequest, cancel: &CancelToken) -> Result<Vec<Series>, QueryFailure> {
    let mut collected = Collected::default();
    let mut sink = |result: StatementResult| {
        collected.take(&result);
        Ok(())
    };
    node.executor().execute(request, cancel, &mut sink).map_err(|error| failure(&error))?;
    match collected.failure {
        Some(failure) => Err(failure),
        None => Ok(collected.series),
    }
}

fn failure(error: &QueryError) -> QueryFailure {
    match error.class() {
        QueryErrorClass::Caller | QueryErrorClass::Forbidden => QueryFailure::Rejected(error.to_string()),
        QueryErrorClass::Retry | QueryErrorClass::Fatal => QueryFailure::Unavailable(error.to_string()),
    }
}

/// The series of a result, pieces put together.
#[derive(Default)]
struct Collected {
    series: Vec<Series>,
    /// Where the columns of a series begin that the next piece goes on with.
    continued: Option<usize>,
    failure: Option<QueryFailure>,
}

impl Collected {
    fn take(&mut self, result: &StatementResult) {
        if let Some(error) = &result.error {
            self.failure.get_or_insert(failure(error));
        }
        for piece in &result.series {
            let first = self.continued.take().unwrap_or_else(|| self.begin(piece));
            self.append(first, piece);
            self.continued = piece.partial.then_some(first);
        }
    }

    /// One series for every column but the time; those without numbers are dropped when all is there.
    fn begin(&mut self, piece: &ResultSeries) -> usize {
        let first = self.series.len();
        let labels: Labels = piece
            .tags
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        for column in value_columns(piece) {
            self.series.push(Series {
                name: format!("{}.{}", piece.name, piece.columns[column]),
                labels: labels.clone(),
                points: Vec::new(),
            });
        }
        first
    }

    fn append(&mut self, first: usize, piece: &ResultSeries) {
        let Some(OutputColumn::Time(times)) = piece.values.first() else { return };
        for (offset, column) in value_columns(piece).enumerate() {
            let values = &piece.values[column];
            self.series[first + offset].points.extend(times.iter().enumerate().map(|(row, &time_ns)| {
                Point {
                    time: Time::from_millis(time_ns.div_euclid(1_000_000)),
                    value: values.get(row).and_then(|value| number(&value)),
                }
            }));
        }
    }
}

/// Columns that can hold numbers.
fn value_columns(piece: &ResultSeries) -> impl Iterator<Item = usize> {
    piece.values.iter().enumerate().filter_map(|(index, column)| match column {
        OutputColumn::Time(_) | OutputColumn::Coded { .. } | OutputColumn::Lists(_) => None,
        OutputColumn::Values(column) if column.values.field_type() == FieldType::String => None,
        OutputColumn::Values(_) | OutputColumn::Mixed(_) | OutputColumn::Null(_) => Some(index),
    })
}

fn number(value: &FieldValue) -> Option<f64> {
    match value {
        FieldValue::Float(value) => Some(*value),
        FieldValue::Integer(value) => Some(*value as f64),
        FieldValue::Unsigned(value) => Some(*value as f64),
        FieldValue::Boolean(value) => Some(f64::from(u8::from(*value))),
        FieldValue::String(_) => None,
    }
}
