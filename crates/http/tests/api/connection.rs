//! Odd clients, and the end.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{TestServer, eventually};

#[tokio::test]
async fn connections_are_kept() {
    let server = TestServer::start().await;
    let mut connection = server.connect().await;
    for _ in 0..3 {
        connection.request("POST /write?db=db0 HTTP/1.1\r\nHost: x\r\n", b"cpu v=1").await;
        assert_eq!(connection.reply().await.status(), 204);
        connection.request("GET /query?q=SHOW+DATABASES HTTP/1.1\r\nHost: x\r\n", b"").await;
        assert_eq!(connection.reply().await.status(), 200);
        connection.request("GET /nonsense HTTP/1.1\r\nHost: x\r\n", b"").await;
        assert_eq!(connection.reply().await.status(), 404);
    }
    connection.request("GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", b"").await;
    assert_eq!(connection.reply().await.status(), 204);
    assert!(connection.closes().await);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = TestServer::start().await;
    let mut connection = server.connect().await;
    let two = "GET /query?q=slow HTTP/1.1\r\nHost: x\r\n\r\nGET /ping HTTP/1.1\r\nHost: x\r\n\r\n";
    connection.0.write_all(two.as_bytes()).await.unwrap();
    assert_eq!(connection.reply().await.status(), 200);
    assert_eq!(connection.reply().await.status(), 204);
}

#[tokio::test]
async fn http_1_0_gets_a_body_without_chunks() {
    let server = TestServer::start().await;
    let reply = server.send("GET /query?q=SHOW+DATABASES HTTP/1.0\r\n", b"").await;
    assert_eq!(reply.status_line, "HTTP/1.0 200 OK");
    assert!(!reply.has("transfer-encoding"));
    assert!(reply.text().ends_with("[[\"db0\"],[\"x\"]]}]}]}\n"), "{}", reply.text());
    let reply = server.send("POST /write?db=db0 HTTP/1.0\r\n", b"cpu v=1").await;
    assert_eq!(reply.status_line, "HTTP/1.0 204 No Content");
}

#[tokio::test]
async fn expect_100_continue() {
    let server = TestServer::start_with(|config| config.max_body_size = 1_000).await;
    let mut connection = server.connect().await;
    let head = "POST /write?db=db0 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n";
    connection.0.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(connection.reply().await.status_line, "HTTP/1.1 100 Continue");
    connection.0.write_all(b"cpu v=1").await.unwrap();
    assert_eq!(connection.reply().await.status(), 204);

    // Refused without asking for the body.
    let head =
        "POST /write?db=db0 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n";
    connection.0.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(connection.reply().await.status(), 413);
}

#[tokio::test]
async fn slow_heads_and_bodies_are_cut_off() {
    let server = TestServer::start_with(|config| {
        config.header_timeout = Duration::from_millis(100);
        config.body_pause_timeout = Duration::from_millis(100);
    })
    .await;
    let mut connection = server.connect().await;
    connection.0.write_all(b"GET /ping HTTP/1.1\r\nHo").await.unwrap();
    assert!(connection.closes().await);

    let mut connection = server.connect().await;
    connection
        .0
        .write_all(b"POST /write?db=db0 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\ncpu")
        .await
        .unwrap();
    assert_eq!(connection.reply().await.status(), 408);
    assert!(server.engine.writes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn idle_connections_end() {
    let server = TestServer::start_with(|config| config.idle_timeout = Duration::from_millis(50)).await;
    let mut connection = server.connect().await;
    connection.request("GET /ping HTTP/1.1\r\nHost: x\r\n", b"").await;
    assert_eq!(connection.reply().await.status(), 204);
    assert!(connection.closes().await);
    // A request that takes longer than that is not idle.
    connection = server.connect().await;
    connection.request("GET /query?q=slow HTTP/1.1\r\nHost: x\r\n", b"").await;
    assert_eq!(connection.reply().await.status(), 200);
}

/// Half a body is no write.
#[tokio::test]
async fn a_client_that_leaves_within_its_body_writes_nothing() {
    let server = TestServer::start().await;
    let mut connection = server.connect().await;
    let head = "POST /write?db=db0 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\ncpu v=1\n";
    connection.0.write_all(head.as_bytes()).await.unwrap();
    connection.0.shutdown().await.unwrap();
    let mut rest = Vec::new();
    connection.0.read_to_end(&mut rest).await.unwrap();
    assert!(server.engine.writes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nonsense_is_400_or_nothing() {
    let server = TestServer::start().await;
    for nonsense in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"hello\r\n\r\n", b"GET /ping HTTP/9.9\r\n\r\n"] {
        let mut connection = server.connect().await;
        connection.0.write_all(nonsense).await.unwrap();
        let mut answer = Vec::new();
        connection.0.read_to_end(&mut answer).await.unwrap();
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert_eq!(server.get("/ping").await.status(), 204);
}

#[tokio::test]
async fn shutdown_lets_requests_finish() {
    let mut server = TestServer::start().await;
    let mut writing = server.connect().await;
    writing.request("POST /write?db=db0 HTTP/1.1\r\nHost: x\r\n", b"slow").await;
    let mut idle = server.connect().await;
    idle.request("GET /ping HTTP/1.1\r\nHost: x\r\n", b"").await;
    assert_eq!(idle.reply().await.status(), 204);
    eventually("the write begins", || !server.engine.writes.lock().unwrap().is_empty()).await;
    let address = server.address;
    server.begin_stop();
    assert_eq!(writing.reply().await.status(), 204);
    assert!(idle.closes().await, "an idle connection need not be waited for");
    server.stopped().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// Load balancers and browsers open connections in advance.
#[tokio::test]
async fn shutdown_does_not_wait_for_who_never_asked() {
    let mut server = TestServer::start().await;
    let mut silent = server.connect().await;
    assert_eq!(server.get("/ping").await.status(), 204, "the server has seen the connection before this one");
    let begun = std::time::Instant::now();
    server.begin_stop();
    assert!(silent.closes().await);
    server.stopped().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let mut server = TestServer::start_with(|config| config.drain_timeout = Duration::from_millis(100)).await;
    let mut connection = server.connect().await;
    connection.request("GET /query?q=silent HTTP/1.1\r\nHost: x\r\n", b"").await;
    eventually("the query runs", || server.engine.running.load(Ordering::SeqCst) == 1).await;
    server.begin_stop();
    assert!(connection.closes().await);
    let engine = std::sync::Arc::clone(&server.engine);
    server.stopped().await;
    eventually("the query stops", || engine.stopped.load(Ordering::SeqCst) == 1).await;
}
