//! `/metrics` and `/debug/vars`: numbers about ourselves.

use std::{
    io::Write,
    sync::{Arc, atomic::Ordering},
};

use flate2::{Compression, write::GzEncoder};
use hyper::{
    StatusCode,
    header::{CONTENT_ENCODING, HeaderValue},
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    app::{App, Head},
    response::{Answer, Failure, answer},
    stats::Route,
};

/// Prometheus' text format.
pub(crate) async fn metrics(app: &Arc<App>, head: &Head<'_>) -> Result<Answer, Failure> {
    let registry = Arc::clone(&app.registry);
    // Sources may have to look at the disk.
    let text = tokio::task::spawn_blocking(move || registry.render()).await.map_err(broken)?;
    reply(head, "text/plain; version=0.0.4; charset=utf-8", text.into_bytes())
}

/// What InfluxDB shows of itself, as far as we have it: Telegraf's `inputs.influxdb` and its like read it.
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

fn collect_vars(app: &App) -> Map<String, Value> {
    let node = app.engine.statistics();
    let stats = &app.stats;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let bind = app.local_addr.to_string();
    let started = Timestamp::try_from(app.started).unwrap_or_default();
    let mut vars = Map::new();
    vars.insert(
        "system".to_owned(),
        json!({
            "currentTime": Timestamp::now().to_string(),
            "started": started.to_string(),
            "uptime": app.process.uptime_seconds() as u64,
        }),
    );
    vars.insert("cmdline".to_owned(), std::env::args().collect());
    vars.insert("memstats".to_owned(), json!({ "Sys": app.process.resident_bytes() }));
    vars.insert(
        "queryExecutor".to_owned(),
        group(
            "queryExecutor",
            &Value::Null,
            &json!({
                "queriesActive": app.queries.inside(),
                "queriesFinished": stats.count(Route::Query),
                "queryDurationNs": stats.duration_ns(Route::Query),
                "recoveredPanics": count(&stats.panics),
            }),
        ),
    );
    vars.insert(
        "write".to_owned(),
        group(
            "write",
            &Value::Null,
            &json!({
                "req": node.writes.requests,
                "pointReq": node.writes.points_written + node.writes.points_rejected,
                "pointReqLocal": node.writes.points_written + node.writes.points_rejected,
                "writeOk": node.writes.requests - node.writes.failed - node.writes.overloaded,
                "writeDrop": node.writes.points_rejected,
                "writeError": node.writes.failed + node.writes.overloaded,
            }),
        ),
    );
    vars.insert(
        "skywatch_node".to_owned(),
        group(
            "skywatch_node",
            &Value::Null,
            &json!({
                "databases": node.databases,
                "shards": node.shards,
                "series": node.series,
                "segments": node.segments,
                "segmentBytes": node.segment_bytes,
                "walBytes": node.wal_bytes,
                "memtableBytes": node.memtable_bytes,
            }),
        ),
    );
    vars.insert(
        format!("httpd:{bind}"),
        group(
            "httpd",
            &json!({ "bind": bind }),
            &json!({
                "clientError": stats.errors(4),
                "serverError": stats.errors(5),
                "pingReq": stats.count(Route::Ping),
                "pointsWrittenDropped": count(&stats.points_dropped),
                "pointsWrittenOK": count(&stats.points_written),
                "queryReq": stats.count(Route::Query),
                "queryReqDurationNs": stats.duration_ns(Route::Query),
                "queryRespBytes": count(&stats.query_bytes),
                "recoveredPanics": count(&stats.panics),
                "req": stats.total(),
                "reqActive": count(&stats.requests_active),
                "writeReq": stats.count(Route::Write),
                "writeReqActive": app.writes.inside(),
                "writeReqBytes": count(&stats.write_bytes),
                "writeReqDurationNs": stats.duration_ns(Route::Write),
            }),
        ),
    );
    vars
}

fn group(name: &str, tags: &Value, values: &Value) -> Value {
    json!({ "name": name, "tags": tags, "values": values })
}
