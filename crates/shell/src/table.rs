//! Answers as aligned columns: one table a series, its name and tags above it.

use comfy_table::{CellAlignment, Table, presets};
use serde::Deserialize;
use serde_json::{Map, Value};

use skywatch_client::ClientError;

#[derive(Deserialize)]
struct Answer {
    results: Vec<StatementResult>,
}

#[derive(Deserialize)]
struct StatementResult {
    #[serde(default)]
    series: Vec<Series>,
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    name: String,
    #[serde(default)]
    tags: Map<String, Value>,
    columns: Vec<String>,
    #[serde(default)]
    values: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
struct Message {
    level: String,
    text: String,
}

/// Renders a JSON answer of `/query`. An answer without series becomes a line that says so.
pub fn render_tables(body: &str) -> Result<String, ClientError> {
    let answer: Answer = serde_json::from_str(body).map_err(|error| ClientError::NotInfluxDb {
        server: "the server".into(),
        reason: format!("its JSON is not a query result ({error})"),
    })?;
    let mut text = String::new();
    for result in &answer.results {
        for message in &result.messages {
            text += &format!("{}: {}\n", message.level, message.text);
        }
        for series in &result.series {
            if !text.is_empty() {
                text.push('\n');
            }
            text += &render_series(series);
        }
    }
    if text.is_empty() {
        text.push_str("ok, nothing to show\n");
    }
    Ok(text)
}

fn render_series(series: &Series) -> String {
    let mut title = series.name.clone();
    for (key, value) in &series.tags {
        let separator = if title.is_empty() { "" } else { "  " };
        title += &format!("{separator}{key}={}", plain(value));
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(&series.columns);
    for row in &series.values {
        table.add_row(row.iter().map(plain));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        let mut values =
            series.values.iter().filter_map(|row| row.get(index)).filter(|value| !value.is_null());
        if values.clone().next().is_some() && values.all(Value::is_number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let rows = match series.values.len() {
        1 => "1 row".to_owned(),
        count => format!("{count} rows"),
    };
    let heading = if title.is_empty() { rows } else { format!("{title}  ({rows})") };
    let body = table.to_string();
    let lines: Vec<&str> = body.lines().map(str::trim_end).collect();
    format!("{heading}\n{}\n", lines.join("\n"))
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_become_titled_tables_with_numbers_to_the_right() {
        let body = r#"{"results":[{"statement_id":0,"series":[{"name":"cpu","tags":{"host":"a"},
            "columns":["time","mean"],"values":[["1970-01-01T00:00:00Z",9.5],["1970-01-01T00:00:10Z",null]]}]}]}"#;
        assert_eq!(
            render_tables(body).unwrap(),
            "cpu  host=a  (2 rows)\n time                  mean\n 1970-01-01T00:00:00Z   9.5\n 1970-01-01T00:00:10Z\n"
        );
    }

    #[test]
    fn an_empty_answer_says_so_and_garbage_is_refused() {
        assert_eq!(render_tables(r#"{"results":[{"statement_id":0}]}"#).unwrap(), "ok, nothing to show\n");
        assert!(render_tables("<html>").is_err());
    }
}
