//! Answers as the JSON values that InfluxDB's would parse to, times as epochs in nanoseconds.

use serde_json::{Map, Value, json};
use skywatch_model::FieldValue;
use skywatch_query::{CancelToken, Executor, QueryRequest, ResultSeries, StatementResult};

/// Runs a query and joins the pieces of its results, checking their marks.
pub(crate) fn run(executor: &Executor, request: &QueryRequest) -> Value {
    let mut pieces: Vec<StatementResult> = Vec::new();
    let outcome = executor.execute(request, &CancelToken::new(), &mut |piece: StatementResult| {
        pieces.push(piece);
        Ok(())
    });
    if let Err(error) = outcome {
        return json!({ "error": error.to_string() });
    }
    let mut results: Vec<Map<String, Value>> = Vec::new();
    let mut more = false;
    let mut open_series = false;
    for piece in pieces {
        if !more {
            assert_eq!(piece.statement_id as usize, results.len(), "statements come in order");
            results.push(Map::from_iter([("statement_id".to_owned(), json!(piece.statement_id))]));
            assert!(!open_series, "a series was left partial");
        }
        let result = results.last_mut().expect("was pushed");
        more = piece.partial;
        if let Some(error) = &piece.error {
            *result = Map::from_iter([
                ("statement_id".to_owned(), json!(piece.statement_id)),
                ("error".to_owned(), json!(error.to_string())),
            ]);
            (more, open_series) = (false, false);
            continue;
        }
        for series in &piece.series {
            open_series = append(result, series, open_series);
        }
        if !piece.messages.is_empty() {
            let messages = piece.messages.iter();
            let messages: Vec<_> =
                messages.map(|message| json!({ "level": message.level, "text": message.text })).collect();
            result.insert("messages".to_owned(), json!(messages));
        }
    }
    assert!(!more, "the last piece is not partial");
    json!({ "results": results })
}

fn append(result: &mut Map<String, Value>, series: &ResultSeries, continues: bool) -> bool {
    let all = result.entry("series").or_insert_with(|| json!([])).as_array_mut().expect("is an array");
    let rows = (0..series.len()).map(|row| {
        let cells = series.values.iter().map(|column| match column.get(row) {
            None => Value::Null,
            Some(FieldValue::Float(value)) => json!(value),
            Some(FieldValue::Integer(value)) => json!(value),
            Some(FieldValue::Unsigned(value)) => json!(value),
            Some(FieldValue::String(value)) => json!(&*value),
            Some(FieldValue::Boolean(value)) => json!(value),
        });
        Value::Array(cells.collect())
    });
    let rows: Vec<Value> = rows.collect();
    assert!(series.values.iter().all(|column| column.len() == series.len()), "columns differ in length");
    if continues {
        let last = all.last_mut().expect("has begun");
        last["values"].as_array_mut().expect("has rows").extend(rows);
        return series.partial;
    }
    let mut object = Map::new();
    if !series.name.is_empty() {
        object.insert("name".to_owned(), json!(&*series.name));
    }
    if !series.tags.is_empty() {
        let tags = series.tags.iter().map(|(key, value)| (key.to_string(), json!(&**value)));
        object.insert("tags".to_owned(), Value::Object(tags.collect()));
    }
    object.insert("columns".to_owned(), series.columns.iter().map(|column| json!(&**column)).collect());
    if !rows.is_empty() {
        object.insert("values".to_owned(), Value::Array(rows));
    }
    all.push(Value::Object(object));
    series.partial
}

/// Whether two answers are the same; JSON does not tell 7 from 7.0.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    equal(a, b, 0.0)
}

/// As [`same`], but for the last digits of floats: a mean of means rounds as its parts do.
pub(crate) fn close(a: &Value, b: &Value) -> bool {
    equal(a, b, 1e-13)
}

fn equal(a: &Value, b: &Value, tolerance: f64) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a == b,
            _ => match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() <= tolerance * a.abs().max(b.abs()),
                (a, b) => a == b,
            },
        },
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b, tolerance))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b, tolerance)))
        }
        (a, b) => a == b,
    }
}
