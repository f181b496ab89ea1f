//! Questions that the server asks the engine on a request's behalf, and whose answers fit into memory.

use hyper::StatusCode;
use skywatch_model::FieldValue;
use skywatch_query::{CancelToken, QueryError, QueryRequest, SinkClosed, StatementResult};

use crate::{app::App, handlers::query::query_failure, response::Failure};

/// Most rows of such an answer: databases, policies, measurements.
const ROWS_MAX: usize = 1_000_000;

/// The results of a query; blocking. A statement that fails makes the whole fail.
pub(crate) fn ask(
    app: &App,
    request: &QueryRequest,
    cancel: &CancelToken,
) -> Result<Vec<StatementResult>, Failure> {
    let mut results: Vec<StatementResult> = Vec::new();
    let mut rows = 0;
    let mut collect = |result: StatementResult| {
        rows += result.series.iter().map(skywatch_query::ResultSeries::len).sum::<usize>();
        results.push(result);
        if rows > ROWS_MAX { Err(SinkClosed) } else { Ok(()) }
    };
    match app.engine.query(request, cancel, &mut collect) {
        Ok(()) => {}
        Err(QueryError::Closed(_)) if rows > ROWS_MAX => {
            let text = format!("the answer to {:?} has more than {ROWS_MAX} rows", request.text);
            return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, text));
        }
        Err(error) => return Err(query_failure(&error)),
    }
    match results.iter_mut().find_map(|result| result.error.take()) {
        Some(error) => Err(statement_failure(&error)),
        None => Ok(results),
    }
}

/// The texts of a column, from all series.
pub(crate) fn texts(results: &[StatementResult], column: &str) -> Vec<String> {
    let series = results.iter().flat_map(|result| &result.series);
    let found = series.filter_map(|series| {
        let at = series.columns.iter().position(|name| **name == *column)?;
        let values = &series.values[at];
        Some((0..values.len()).map(|row| match values.get(row) {
            Some(FieldValue::String(text)) => text.to_string(),
            _ => String::new(),
        }))
    });
    found.flatten().collect()
}

/// A statement's error as the error of the request that asked it.
fn statement_failure(error: &QueryError) -> Failure {
    let text = error.to_string();
    let is_missing =
        ["database not found", "retention policy not found"].iter().any(|missing| text.starts_with(missing));
    if is_missing { Failure::new(StatusCode::NOT_FOUND, text) } else { query_failure(error) }
}
