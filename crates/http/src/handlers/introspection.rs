//! `/metrics` and `/debug/vars`: numbers about ourselves.

use std::{io::Write, sync::Arc};

use flate2::{Compression, write::GzEncoder};
use hyper::{
    StatusCode,
    header::{CONTENT_ENCODING, HeaderValue},
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use skywatch_monitor::{Selection, Statistic};

use crate::{
    app::{App, Head},
    response::{Answer, Failure, answer},
};

/// Prometheus' text format.
pub(crate) async fn metrics(app: &Arc<App>, head: &Head<'_>) -> Result<Answer, Failure> {
    let registry = Arc::clone(&app.registry);
    // Sources may have to look at the disk.
    let text = tokio::task::spawn_blocking(move || registry.render()).await.map_err(broken)?;
    reply(head, "text/plain; version=0.0.4; charset=utf-8", text.into_bytes())
}

/// All statistics as InfluxDB shows them: Telegraf's `inputs.influxdb` and its like read them.
pub(crate) async fn vars(app: &Arc<App>, head: &Head<'_>) -> Result<Answer, Failure> {
    let job = Arc::clone(app);
    let vars = tokio::task::spawn_blocking(move || collect_vars(&job)).await.map_err(broken)?;
    // One line a variable, as InfluxDB prints them.
    let lines: Vec<String> =
        vars.iter().map(|(name, value)| format!("{}: {value}", Value::from(name.as_str()))).collect();
    let body = format!("{{\n{}\n}}\n", lines.join(",\n"));
    reply(head, "application/json; charset=utf-8", body.into_bytes())
}

fn broken(_: tokio::task::JoinError) -> Failure {
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; see the server's log")
}

fn reply(head: &Head<'_>, content_type: &'static str, body: Vec<u8>) -> Result<Answer, Failure> {
    if !head.accepts_gzip() {
        return Ok(answer(StatusCode::OK, content_type, body));
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = gzip.write_all(&body).and_then(|()| gzip.finish());
    let packed =
        packed.map_err(|error| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let mut answer = answer(StatusCode::OK, content_type, packed);
    answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Ok(answer)
}

/// Variables by name, in the order in which InfluxDB prints them.
fn collect_vars(app: &App) -> Map<String, Value> {
    let statistics = app.config.monitor.statistics(Selection::All);
    let started = Timestamp::try_from(app.started).unwrap_or_default();
    let mut vars = Map::new();
    let system = json!({
        "currentTime": Timestamp::now().to_string(),
        "started": started.to_string(),
        "uptime": app.process.uptime_seconds() as u64,
    });
    vars.insert("system".to_owned(), system);
    vars.insert("cmdline".to_owned(), std::env::args().collect());
    vars.insert("memstats".to_owned(), memory(&statistics));
    for statistic in &statistics {
        let key = unique(&vars, variable_name(statistic));
        vars.insert(key, entry(statistic));
    }
    vars
}

fn entry(statistic: &Statistic) -> Value {
    let tags: Map<String, Value> =
        statistic.tags().iter().map(|(key, value)| ((*key).to_owned(), value.as_str().into())).collect();
    let values: Map<String, Value> =
        statistic.fields().iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let tags = if tags.is_empty() { Value::Null } else { tags.into() };
    json!({ "name": statistic.name(), "tags": tags, "values": values })
}

/// Go's own record of memory has the numbers of `runtime`, one of them spelt differently.
fn memory(statistics: &[Statistic]) -> Value {
    let runtime = statistics.iter().find(|statistic| statistic.name() == "runtime");
    let fields = runtime.map_or(&[][..], Statistic::fields).iter();
    let renamed = |name: &str| if name == "HeapInUse" { "HeapInuse" } else { name }.to_owned();
    fields
        .filter(|(name, _)| *name != "NumGoroutine")
        .map(|(name, value)| (renamed(name), Value::from(*value)))
        .collect::<Map<_, _>>()
        .into()
}

/// What tells series of one name apart in their variables' names.
fn variable_name(statistic: &Statistic) -> String {
    let parts: &[&str] = match statistic {
        _ if statistic.tag_value("path").is_some() => &["path", "id"],
        _ if statistic.tag_value("bind").is_some() => &["proto", "bind"],
        _ if statistic.tag_value("retention_policy").is_some() => {
            &["database", "retention_policy", "name", "destination"]
        }
        _ => &["database"],
    };
    let values = parts.iter().filter_map(|key| statistic.tag_value(key));
    std::iter::once(statistic.name()).chain(values).collect::<Vec<_>>().join(":")
}

fn unique(taken: &Map<String, Value>, name: String) -> String {
    if !taken.contains_key(&name) {
        return name;
    }
    let numbered = (1..).map(|number: u64| format!("{name}:{number}"));
    numbered.into_iter().find(|name| !taken.contains_key(name)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_named_as_in_influxdb() {
        let shard = Statistic::new("shard").tag("id", "2").tag("path", "/data/2").tag("database", "d");
        let httpd = Statistic::new("httpd").tag("bind", ":8086");
        let subscriber = Statistic::new("subscriber")
            .tag("database", "d")
            .tag("destination", "udp://h:1")
            .tag("mode", "ALL")
            .tag("name", "s")
            .tag("retention_policy", "autogen");
        let database = Statistic::new("database").tag("database", "d");
        for (statistic, name) in [
            (shard, "shard:/data/2:2"),
            (httpd, "httpd::8086"),
            (subscriber, "subscriber:d:autogen:s:udp://h:1"),
            (database, "database:d"),
            (Statistic::new("cq"), "cq"),
        ] {
            assert_eq!(variable_name(&statistic), name);
        }
        let mut taken = Map::new();
        for expected in ["cq", "cq:1", "cq:2"] {
            let name = unique(&taken, "cq".to_owned());
            assert_eq!(name, expected);
            taken.insert(name, Value::Null);
        }
    }
}
