//! `/api/v1/prom/write` and `/api/v1/prom/read`. Texts and statuses are those of InfluxDB 1.6.7; infinite values are
//! dropped as since 1.8.6.

use skywatch_prometheus::{
    compress,
    wire::{put_bytes, put_double, put_int64},
};

use crate::harness::{Reply, TestServer};

fn write_request(labels: &[(&str, &str)], samples: &[(f64, i64)]) -> Vec<u8> {
    let mut series = Vec::new();
    for (name, value) in labels {
        let mut label = Vec::new();
        put_bytes(&mut label, 1, name.as_bytes());
        put_bytes(&mut label, 2, value.as_bytes());
        put_bytes(&mut series, 1, &label);
    }
    for (value, time_ms) in samples {
        let mut sample = Vec::new();
        put_double(&mut sample, 1, *value);
        put_int64(&mut sample, 2, *time_ms);
        put_bytes(&mut series, 2, &sample);
    }
    let mut request = Vec::new();
    put_bytes(&mut request, 1, &series);
    request
}

async fn write(server: &TestServer, parameters: &str, message: &[u8]) -> Reply {
    server.post(&format!("/api/v1/prom/write?{parameters}"), compress(message).unwrap()).await
}

#[tokio::test]
async fn samples_become_points() {
    let server = TestServer::start().await;
    let labels = [("__name__", "up"), ("job", "a b")];
    let message = write_request(&labels, &[(1.5, 1_000), (f64::NAN, 2_000), (f64::INFINITY, 3_000)]);
    assert_eq!(write(&server, "db=db0&rp=week&precision=s", &message).await.status(), 204);
    let batches = server.engine.batches.lock().unwrap().clone();
    assert_eq!(batches, ["db0 Some(\"week\") [up,__name__=up,job=a\\ b {\"value\": Float(1.5)} 1000000000]"]);
}

#[tokio::test]
async fn refused_samples_are_told_beside_the_nodes_own() {
    let server = TestServer::start().await;
    let message = write_request(&[("__name__", "up"), ("a", "two\nlines")], &[(1.0, 1), (2.0, 2)]);
    let reply = write(&server, "db=db0", &message).await;
    let reason = "name cannot be written as line protocol: it ends in a backslash, contains a line feed, \
                  or begins with a tab, a NUL or #";
    assert_eq!(reply.status(), 400);
    assert_eq!(reply.header("X-Influxdb-Error"), format!("partial write: {reason} dropped=2"));
    let reply = write(&server, "db=conflict", &message).await;
    let text = format!("partial write: field type conflict {reason} dropped=3");
    assert_eq!(reply.header("X-Influxdb-Error"), text);
}

#[tokio::test]
async fn what_is_wrong_with_a_write() {
    let server = TestServer::start().await;
    let message = write_request(&[("__name__", "up")], &[(1.0, 1)]);
    let error = |reply: Reply| (reply.status(), reply.header("X-Influxdb-Error").to_owned());
    let expect = |status: u16, text: &str| (status, text.to_owned());
    assert_eq!(error(write(&server, "", &message).await), expect(400, "database is required"));
    let reply = write(&server, "db=nope", &message).await;
    assert_eq!(error(reply), expect(404, "database not found: \"nope\""));
    let reply = write(&server, "db=db0&consistency=x", &message).await;
    assert_eq!(error(reply), expect(400, "invalid consistency level"));
    let reply = write(&server, "db=db0", b"garbage").await;
    assert_eq!(error(reply), expect(400, "proto: illegal wireType 7"));
    for body in [&b"garbage"[..], b""] {
        let reply = server.post("/api/v1/prom/write?db=db0", body).await;
        assert_eq!(error(reply), expect(400, "snappy: corrupt input"));
    }
    assert_eq!(server.get("/api/v1/prom/write?db=db0").await.header("Allow"), "POST");
    assert!(server.engine.batches.lock().unwrap().is_empty());
    let server = TestServer::start_with(|config| config.max_body_size = 1_000).await;
    let reply = write(&server, "db=db0", &vec![0; 1_001]).await;
    assert_eq!(error(reply), expect(413, "Request Entity Too Large"));
}

#[tokio::test]
async fn what_is_wrong_with_a_read() {
    let server = TestServer::start().await;
    let read = async |parameters: &str, message: &[u8]| {
        let target = format!("/api/v1/prom/read?{parameters}");
        let reply = server.post(&target, compress(message).unwrap()).await;
        (reply.status(), reply.header("X-Influxdb-Error").to_owned())
    };
    assert_eq!(read("", b"").await, (400, "no database".to_owned()));
    assert_eq!(read("db=db0", b"garbage").await, (400, "proto: illegal wireType 7".to_owned()));
    assert_eq!(read("db=db0", &[0x0A, 0]).await, (400, "expected matcher".to_owned()));
    assert_eq!(read("db=db0", &vec![0; 2 << 20]).await.0, 413);
    assert_eq!(server.engine.queries.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn no_queries_no_results() {
    let server = TestServer::start().await;
    let reply = server.post("/api/v1/prom/read?db=db0", compress(b"").unwrap()).await;
    assert_eq!((reply.status(), reply.header("Content-Type")), (200, "application/x-protobuf"));
    assert_eq!((reply.header("Content-Encoding"), reply.body.as_slice()), ("snappy", &[0][..]));
}
