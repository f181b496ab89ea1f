//! `/metrics` and `/debug/vars`.

use std::collections::{HashMap, HashSet};

use crate::harness::TestServer;

/// Reads an exposition strictly: families announced once and in one piece, samples unique, histograms whole.
fn parse_exposition(text: &str) -> HashMap<String, f64> {
    let mut kinds: HashMap<&str, &str> = HashMap::new();
    let mut finished = HashSet::new();
    let mut current = "";
    let mut samples = HashMap::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(kinds.insert(name, kind).is_none(), "{name} is announced twice");
            assert!(finished.insert(name), "{name} comes in two pieces");
            current = name;
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let family = match kinds.get(current) {
            Some(&"histogram") => ["_bucket", "_sum", "_count"]
                .into_iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .unwrap_or_else(|| panic!("{line}")),
            _ => name,
        };
        assert_eq!(family, current, "{line}");
        assert!(kinds[family] != "counter" || name.ends_with("_total"), "{line}");
        assert!(samples.insert(series.to_owned(), value.parse().unwrap()).is_none(), "{series} occurs twice");
    }
    for (series, value) in &samples {
        if let Some(count) = series.strip_suffix(",le=\"+Inf\"}") {
            let count = format!("{}}}", count.replace("_bucket{", "_count{"));
            assert_eq!(samples[&count], *value, "{series}");
        }
    }
    samples
}

#[tokio::test]
async fn metrics_are_sound_and_true() {
    let server = TestServer::start().await;
    server.post("/write?db=db0", "cpu v=1").await;
    server.post("/write?db=nope", "cpu v=1").await;
    server.get("/query?q=SHOW+DATABASES").await;
    server.get("/ping").await;
    let reply = server.get("/metrics").await;
    assert_eq!(reply.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    let samples = parse_exposition(reply.text());
    let expected = [
        ("skywatch_http_requests_total{route=\"write\",status=\"2xx\"}", 1.0),
        ("skywatch_http_requests_total{route=\"write\",status=\"4xx\"}", 1.0),
        ("skywatch_http_requests_total{route=\"query\",status=\"2xx\"}", 1.0),
        ("skywatch_http_request_duration_seconds_count{route=\"write\"}", 2.0),
        ("skywatch_http_points_written_total", 2.0),
        ("skywatch_http_write_bytes_total", 14.0),
        ("skywatch_http_requests_active", 1.0),
        ("skywatch_http_running{work=\"query\"}", 0.0),
        ("skywatch_write_points_total", 11.0),
        ("skywatch_segment_bytes", 4_096.0),
        (concat!("skywatch_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ];
    for (series, value) in expected {
        assert_eq!(samples.get(series), Some(&value), "{series}");
    }
    for series in ["process_resident_memory_bytes", "process_open_fds", "process_threads"] {
        assert!(samples[series] > 0.0, "{series}");
    }
    assert!(samples.contains_key("process_cpu_seconds_total"));
}

#[tokio::test]
async fn debug_vars_have_influxdbs_shape() {
    let server = TestServer::start().await;
    server.post("/write?db=db0", "cpu v=1").await;
    server.get("/query?q=SHOW+DATABASES").await;
    let reply = server.get("/debug/vars").await;
    assert_eq!(reply.header("Content-Type"), "application/json; charset=utf-8");
    assert!(
        reply.text().starts_with("{\n\"system\": {") && reply.text().ends_with("}\n}\n"),
        "{}",
        reply.text()
    );
    let vars: serde_json::Value = serde_json::from_str(reply.text()).unwrap();
    let httpd = &vars[format!("httpd:{}", server.address)];
    assert_eq!(httpd["name"], "httpd");
    assert_eq!(httpd["tags"]["bind"], server.address.to_string());
    assert_eq!(httpd["values"]["writeReq"], 1);
    assert_eq!(httpd["values"]["pointsWrittenOK"], 2);
    assert_eq!(httpd["values"]["queryReq"], 1);
    assert_eq!(httpd["values"]["req"], 3, "the one that asks is counted too");
    assert!(vars["memstats"].is_object() && vars["cmdline"].is_array());
}
