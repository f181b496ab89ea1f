//! `/write` and `/api/v2/write`.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use skywatch_model::line::Precision;

use crate::harness::TestServer;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_write_reaches_the_node_and_is_204() {
    let server = TestServer::start().await;
    let reply = server.post("/write?db=db0", "cpu v=1 1").await;
    assert_eq!(reply.status_line, "HTTP/1.1 204 No Content");
    assert_eq!(reply.header("Content-Type"), "application/json");
    assert!(!reply.has("content-length") && reply.body.is_empty());
    let written = server.engine.last_write();
    assert_eq!((written.database.as_str(), written.retention_policy), ("db0", None));
    assert_eq!((written.precision, written.body.as_slice()), (Precision::Nanosecond, &b"cpu v=1 1"[..]));

    let target = "/write?db=a%20b&rp=week&precision=ms&consistency=ALL&u=root&p=secret";
    assert_eq!(server.post(target, "").await.status(), 204);
    let written = server.engine.last_write();
    assert_eq!((written.database.as_str(), written.retention_policy.as_deref()), ("a b", Some("week")));
    assert_eq!((written.precision, written.body.len()), (Precision::Millisecond, 0));
}

#[tokio::test]
async fn bad_parameters() {
    let server = TestServer::start().await;
    let required = (400, "database is required", "{\"error\":\"database is required\"}\n");
    for target in ["/write", "/write?db="] {
        let reply = server.post(target, "cpu v=1").await;
        assert_eq!(reply.failure(), required);
        assert_eq!(reply.header("Content-Length"), "33");
    }
    let reply = server.post("/write?db=db0&consistency=zz", "cpu v=1").await;
    assert_eq!(
        reply.failure(),
        (400, "invalid consistency level", "{\"error\":\"invalid consistency level\"}\n")
    );
    // InfluxDB 1.8; 1.6 takes an unknown precision for nanoseconds.
    let text = "invalid precision \"zz\" (use n, u, ms, s, m or h)";
    let reply = server.post("/write?db=db0&precision=zz", "cpu v=1").await;
    assert_eq!((reply.status(), reply.header("X-Influxdb-Error")), (400, text));
    assert!(server.engine.writes.lock().unwrap().is_empty(), "nothing of this was to be stored");
}

#[tokio::test]
async fn failures_of_the_node() {
    let server = TestServer::start().await;
    let reply = server.post("/write?db=nope", "cpu v=1").await;
    let text = "database not found: \"nope\"";
    assert_eq!(reply.failure(), (404, text, "{\"error\":\"database not found: \\\"nope\\\"\"}\n"));
    let reply = server.post("/write?db=db0", "bad").await;
    let text = "unable to parse 'bad': missing fields";
    assert_eq!(reply.failure(), (400, text, format!("{{\"error\":\"{text}\"}}\n").as_str()));
    let reply = server.post("/write?db=db0", "partial").await;
    assert_eq!(
        reply.failure(),
        (
            400,
            "partial write: unable to parse 'a': missing fields unable to parse 'b': missing fields dropped=0",
            "{\"error\":\"partial write: unable to parse 'a': missing fields\\n\
             unable to parse 'b': missing fields dropped=0\"}\n"
        )
    );
    let reply = server.post("/write?db=db0", "no policy").await;
    let text = "retention policy not found: x";
    assert_eq!(reply.failure(), (500, text, format!("{{\"error\":\"{text}\"}}\n").as_str()));
    let reply = server.post("/write?db=db0", "busy").await;
    assert_eq!((reply.status(), reply.header("Retry-After")), (503, "7"));
    let reply = server.post("/write?db=db0", "stopping").await;
    assert_eq!((reply.status(), reply.header("Retry-After")), (503, "1"));
}

/// A bug in one write is one 500.
#[tokio::test]
async fn a_panic_is_a_500() {
    let server = TestServer::start().await;
    assert_eq!(server.post("/write?db=db0", "panic").await.status(), 500);
    assert_eq!(server.post("/write?db=db0", "cpu v=1").await.status(), 204);
}

#[tokio::test]
async fn gzip_in() {
    let server = TestServer::start().await;
    let head = "POST /write?db=db0 HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n";
    assert_eq!(server.send(head, &gzip(b"cpu v=2 7")).await.status(), 204);
    assert_eq!(server.engine.last_write().body, b"cpu v=2 7");
    let packed = gzip(b"cpu v=2 7");
    for cut in [&b"cpu v=2 7"[..], &packed[..20]] {
        let reply = server.send(head, cut).await;
        assert_eq!(reply.failure(), (400, "unexpected EOF", "{\"error\":\"unexpected EOF\"}\n"));
    }
}

/// Neither a large body nor one that unpacks to a large one; with 1.6.7 only the packed size counts.
#[tokio::test]
async fn bodies_over_the_limit_are_413() {
    let server = TestServer::start_with(|config| config.max_body_size = 20_000).await;
    let large = (413, "Request Entity Too Large", "{\"error\":\"Request Entity Too Large\"}\n");
    assert_eq!(server.post("/write?db=db0", vec![b'#'; 20_000]).await.status(), 204);
    let reply = server.post("/write?db=db0", vec![b'#'; 20_001]).await;
    assert_eq!(reply.failure(), large);
    assert_eq!(reply.status_line, "HTTP/1.1 413 Payload Too Large");
    let gzip_head = "POST /write?db=db0 HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n";
    assert_eq!(server.send(gzip_head, &gzip(&vec![b'#'; 20_000])).await.status(), 204);
    assert_eq!(server.send(gzip_head, &gzip(&vec![b'#'; 20_001])).await.failure(), large);
    // A client that sends all of it before it reads still gets to read why.
    assert_eq!(server.post("/write?db=db0", vec![b'#'; 8_000_000]).await.failure(), large);
}

#[tokio::test]
async fn chunked_bodies() {
    use tokio::io::AsyncWriteExt;
    let server = TestServer::start_with(|config| config.max_body_size = 20_000).await;
    let mut connection = server.connect().await;
    let head = "POST /write?db=db0 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.0.write_all(head.as_bytes()).await.unwrap();
    connection.0.write_all(b"4\r\ncpu \r\n5\r\nv=1 1\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(connection.reply().await.status(), 204);
    assert_eq!(server.engine.last_write().body, b"cpu v=1 1");
    connection.0.write_all(head.as_bytes()).await.unwrap();
    connection.0.write_all(format!("7000\r\n{}\r\n0\r\n\r\n", "#".repeat(0x7000)).as_bytes()).await.unwrap();
    assert_eq!(connection.reply().await.status(), 413);
}

/// InfluxDB 1.8.
#[tokio::test]
async fn v2_write() {
    let server = TestServer::start().await;
    let target = "/api/v2/write?org=any&bucket=telegraf/week&precision=s";
    assert_eq!(server.post(target, "cpu v=1 1").await.status(), 204);
    let written = server.engine.last_write();
    assert_eq!(written.database, "telegraf");
    assert_eq!((written.retention_policy.as_deref(), written.precision), (Some("week"), Precision::Second));
    assert_eq!(server.post("/api/v2/write?bucket=telegraf", "cpu v=1 1").await.status(), 204);
    assert_eq!(server.post("/api/v2/write?bucket=/week", "cpu v=1 1").await.status(), 404);
    assert_eq!(server.post("/api/v2/write", "cpu v=1 1").await.status(), 404);
    assert_eq!(server.post("/api/v2/write?bucket=a&precision=h", "cpu v=1 1").await.status(), 400);
}
