//! Answers as cells: a host, a time and a field have a value. What two languages can both say.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::Value;

use super::{influx, is_close};
use crate::{
    process::Kind,
    queries::{QueryType, Question, metricsql},
};

/// Host (empty where the answer is over all), time in nanoseconds, field.
type Cells = BTreeMap<(String, i64, &'static str), f64>;

/// The cells of an answer that are comparable.
pub(super) fn of(question: &Question, (kind, answer): (Kind, &[u8])) -> anyhow::Result<Cells> {
    let mut cells = match kind {
        Kind::Skywatch | Kind::Influxdb => of_influx(question, &influx::whole(answer)?)?,
        Kind::VictoriaMetrics => of_victoria_metrics(question, answer)?,
    };
    let comparable = question.comparable_ns();
    cells.retain(|(_, time, _), _| comparable.contains(time));
    Ok(cells)
}

/// The first difference, in words.
pub(super) fn difference(a: &Cells, b: &Cells) -> Option<String> {
    let place = |(host, time, field): &(String, i64, &str)| {
        let time = jiff::Timestamp::from_nanosecond(i128::from(*time));
        let time = time.map_or_else(|error| error.to_string(), |time| time.to_string());
        format!("{field} of {} at {time}", if host.is_empty() { "all" } else { host })
    };
    let differs = a.iter().find_map(|(key, a)| match b.get(key) {
        Some(b) if is_close(*a, *b) => None,
        Some(b) => Some(format!("{}: {a} against {b}", place(key))),
        None => Some(format!("{}: {a} against nothing", place(key))),
    });
    differs.or_else(|| {
        let (key, value) = b.iter().find(|(key, _)| !a.contains_key(*key))?;
        Some(format!("{}: nothing against {value}", place(key)))
    })
}

fn of_influx(question: &Question, answer: &Value) -> anyhow::Result<Cells> {
    let series = answer["results"].as_array().into_iter().flatten();
    let series = series.filter_map(|result| result.get("series")?.as_array()).flatten();
    let mut cells = Cells::new();
    for series in series {
        let columns: Vec<&str> =
            series["columns"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let fields = fields_of(question, &columns);
        let host_column = columns.iter().position(|&column| column == "hostname");
        let host_tag = series.pointer("/tags/hostname").and_then(Value::as_str).unwrap_or_default();
        for row in series["values"].as_array().into_iter().flatten() {
            let host = host_column.and_then(|at| row[at].as_str()).unwrap_or(host_tag);
            let time = time_of(question, &row[0])?;
            for &(at, field) in &fields {
                if let Some(value) = row[at].as_f64() {
                    cells.insert((host.to_owned(), time, field), value);
                }
            }
        }
    }
    Ok(cells)
}

/// Which columns are which fields: the aggregates are in the order they were asked for, `*` names them.
fn fields_of(question: &Question, columns: &[&str]) -> Vec<(usize, &'static str)> {
    let fields = question.fields().iter();
    if question.grouping_ns().is_some() {
        return fields.enumerate().map(|(at, field)| (at + 1, *field)).collect();
    }
    let place = |field: &&'static str| Some((columns.iter().position(|column| column == field)?, *field));
    fields.filter_map(place).collect()
}

fn time_of(question: &Question, time: &Value) -> anyhow::Result<i64> {
    // MetricsQL tells no time for the latest row.
    if question.query == QueryType::Lastpoint {
        return Ok(0);
    }
    let text = time.as_str().context("a time is not a text")?;
    let time: jiff::Timestamp = text.parse().with_context(|| format!("{text} is no time"))?;
    i64::try_from(time.as_nanosecond()).context("a time is out of range")
}

fn of_victoria_metrics(question: &Question, answer: &[u8]) -> anyhow::Result<Cells> {
    let answer: Value = serde_json::from_slice(answer).context("an answer is not JSON")?;
    anyhow::ensure!(answer["status"] == "success", "the answer is an error: {}", answer["error"]);
    anyhow::ensure!(answer["isPartial"] != true, "the answer is partial");
    let mut cells = Cells::new();
    for series in answer["data"]["result"].as_array().context("an answer has no result")? {
        let metric = series["metric"]["__name__"].as_str().unwrap_or_default();
        let metric = metric.strip_prefix("cpu_").unwrap_or(metric);
        // An aggregate of one metric need not name it.
        let field = question.fields().iter().find(|&&field| field == metric);
        let field = field.with_context(|| format!("metric {metric:?} was not asked for"))?;
        let host = series["metric"]["hostname"].as_str().unwrap_or_default();
        let values = series["values"].as_array().into_iter().flatten();
        for value in values.chain(series.get("value")) {
            let time_s = value[0].as_f64().context("a time is not a number")?;
            let number = value[1].as_str().and_then(|text| text.parse().ok());
            let time = time_of_rollup(question, (time_s * 1000.0).round() as i64);
            cells.insert((host.to_owned(), time, field), number.context("a value is not a number")?);
        }
    }
    Ok(cells)
}

fn time_of_rollup(question: &Question, time_ms: i64) -> i64 {
    match (question.query, question.grouping_ns()) {
        (QueryType::Lastpoint, _) => 0,
        (_, Some(grouping_ns)) => metricsql::window_start_ns(time_ms, grouping_ns),
        (_, None) => time_ms * 1_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{answers, queries::tests::question};

    fn compared(query: QueryType, influx: &str, victoria_metrics: &str) -> Option<String> {
        let (a, b) =
            ((Kind::Influxdb, influx.as_bytes()), (Kind::VictoriaMetrics, victoria_metrics.as_bytes()));
        let there = answers::difference(&question(query), a, b);
        let back = answers::difference(&question(query), b, a);
        assert_eq!(there.is_some(), back.is_some());
        there
    }

    #[test]
    fn windows_are_aligned_and_those_cut_short_left_out() {
        let query = QueryType::SingleGroupby { metrics: 2, hosts: 1, hours: 1 };
        let influx = r#"{"results":[{"statement_id":0,"series":[{"name":"cpu","columns":["time","max","max_1"],"values":[
            ["2016-01-01T00:00:00Z",1,1],["2016-01-01T00:01:00Z",37,0.5],["2016-01-01T00:02:00Z",79,null],["2016-01-01T00:03:00Z",1,1]]}]}]}"#;
        let metrics = r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"__name__":"cpu_usage_user"},"values":[[1451606459.999,"5"],[1451606519.999,"37"],[1451606579.999,"79"],[1451606639.999,"3"]]},
            {"metric":{"__name__":"cpu_usage_system"},"values":[[1451606459.999,"5"],[1451606519.999,"0.5"]]}]}}"#;
        assert_eq!(compared(query, influx, metrics), None);
        for (from, to, expected) in [
            ("\"79\"", "\"80\"", "usage_user of all at 2016-01-01T00:02:00Z: 79 against 80"),
            (
                ",[1451606519.999,\"0.5\"]",
                "",
                "usage_system of all at 2016-01-01T00:01:00Z: 0.5 against nothing",
            ),
            (
                "519.999,\"0.5\"",
                "579.999,\"0.5\"",
                "usage_system of all at 2016-01-01T00:01:00Z: 0.5 against nothing",
            ),
            ("usage_system", "usage_idle", "metric \"usage_idle\" was not asked for"),
            ("success", "error", "the answer is an error: null"),
        ] {
            assert_eq!(compared(query, influx, &metrics.replace(from, to)).as_deref(), Some(expected));
        }
        let more =
            metrics.replace("[1451606519.999,\"0.5\"]", "[1451606519.999,\"0.5\"],[1451606579.999,\"9\"]");
        assert_eq!(
            compared(query, influx, &more).as_deref(),
            Some("usage_system of all at 2016-01-01T00:02:00Z: nothing against 9")
        );
    }

    #[test]
    fn latest_rows_are_compared_without_their_times() {
        let influx = r#"{"results":[{"statement_id":0,"series":[{"name":"cpu","tags":{"hostname":"host_1"},"columns":["time","arch","usage_idle","usage_user"],"values":[["2016-01-01T23:59:50Z","x64",7,3]]}]}]}"#;
        let metrics = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"__name__":"cpu_usage_idle","hostname":"host_1","arch":"x64"},"value":[1451692799.999,"7"]},
            {"metric":{"__name__":"cpu_usage_user","hostname":"host_1","arch":"x64"},"value":[1451692799.999,"3"]}]}}"#;
        assert_eq!(compared(QueryType::Lastpoint, influx, metrics), None);
        assert!(compared(QueryType::Lastpoint, influx, &metrics.replace("host_1", "host_2")).is_some());
    }

    #[test]
    fn rows_are_compared_by_their_times_and_hosts() {
        let influx = r#"{"results":[{"statement_id":0,"series":[{"name":"cpu","columns":["time","hostname","usage_user"],"values":[["2016-01-01T00:00:40Z","host_1",91],["2016-01-01T00:00:40Z","host_2",92]]}]}]}"#;
        let metrics = r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"__name__":"cpu_usage_user","hostname":"host_1"},"values":[[1451606440,"91"]]},
            {"metric":{"__name__":"cpu_usage_user","hostname":"host_2"},"values":[[1451606440,"92"]]}]}}"#;
        let query = QueryType::HighCpu { all_hosts: true };
        assert_eq!(compared(query, influx, metrics), None);
        assert!(compared(query, influx, &metrics.replace("606440,\"92", "606450,\"92")).is_some());
        assert!(compared(query, &influx.replace("91", "90"), metrics).is_some());
    }
}
