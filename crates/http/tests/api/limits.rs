//! What is bounded, and what a client over a bound is told.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use skywatch_http::{HttpConfig, ServeError, Server};
use skywatch_storage::MemoryBudget;
use tokio::io::AsyncWriteExt;

use crate::harness::{TestServer, eventually};

#[tokio::test]
async fn an_address_in_use_is_named_with_what_to_do() {
    let server = TestServer::start().await;
    let address = server.address.to_string();
    let config = HttpConfig { bind: address.clone(), ..HttpConfig::default() };
    let error = Server::bind(config).await.unwrap_err();
    assert!(
        matches!(&error, ServeError::AddressInUse { address: named, .. } if *named == address),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(text.contains("is in use") && text.contains("--http-bind"), "{text}");
    for bad in ["127.0.0.1", "nonsense", "127.0.0.1:notaport", ""] {
        let config = HttpConfig { bind: bad.to_owned(), ..HttpConfig::default() };
        let error = Server::bind(config).await.unwrap_err();
        assert!(matches!(error, ServeError::BadAddress { .. }), "{bad}: {error:?}");
    }
    let config = HttpConfig { bind: "203.0.113.7:0".to_owned(), ..HttpConfig::default() };
    assert!(matches!(Server::bind(config).await, Err(ServeError::AddressNotAvailable { .. })));
}

#[tokio::test]
async fn connections_over_the_limit_are_told_so() {
    let server = TestServer::start_with(|config| config.max_connections = 2).await;
    let mut first = server.connect().await;
    first.request("GET /ping HTTP/1.1\r\nHost: x\r\n", b"").await;
    assert_eq!(first.reply().await.status(), 204);
    let _second = server.connect().await;
    let mut third = server.connect().await;
    let reply = third.reply().await;
    assert_eq!((reply.status(), reply.text()), (503, "{\"error\":\"too many connections\"}\n"));
    assert!(third.closes().await);
    drop(first);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.get("/ping").await.status(), 204);
}

#[tokio::test]
async fn writes_queue_and_then_are_throttled() {
    let server = TestServer::start_with(|config| {
        config.max_concurrent_writes = 1;
        config.max_queued_writes = 1;
    })
    .await;
    let (first, second, third) = tokio::join!(
        server.post("/write?db=db0", "slow"),
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            server.post("/write?db=db0", "cpu v=1").await
        },
        async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            server.post("/write?db=db0", "cpu v=2").await
        }
    );
    assert_eq!((first.status(), second.status(), third.status()), (204, 204, 503));
    let text = "request throttled, queue full";
    assert_eq!(third.failure(), (503, text, format!("{{\"error\":\"{text}\"}}\n").as_str()));
    assert_eq!(third.header("Retry-After"), "1");
}

#[tokio::test]
async fn queries_wait_only_so_long() {
    let server = TestServer::start_with(|config| {
        config.max_concurrent_queries = 1;
        config.queue_timeout = Duration::from_millis(60);
    })
    .await;
    let (slow, impatient) = tokio::join!(server.get("/query?q=slow"), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.get("/query?q=SHOW+DATABASES").await
    });
    assert_eq!(slow.status(), 200);
    assert_eq!(
        (impatient.status(), impatient.header("X-Influxdb-Error")),
        (503, "request throttled, exceeds timeout")
    );
}

/// Bodies under way take memory before their write is admitted; that too is bounded.
#[tokio::test]
async fn bodies_share_a_budget() {
    let server = TestServer::start_with(|config| {
        // Bodies have an eighth of it.
        config.memory = Arc::new(MemoryBudget::new(8 << 20));
        config.queue_timeout = Duration::from_millis(60);
    })
    .await;
    let mut holder = server.connect().await;
    holder
        .0
        .write_all(b"POST /write?db=db0 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nc")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let refused = server.post("/write?db=db0", vec![b'#'; 500_000]).await;
    assert_eq!((refused.status(), refused.header("Retry-After")), (503, "1"));
    assert!(
        refused.text().starts_with("{\"error\":\"memory for bodies is full: 1000000 of 1048576"),
        "{}",
        refused.text()
    );
    drop(holder);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.post("/write?db=db0", vec![b'#'; 500_000]).await.status(), 204);
    assert_eq!(server.post("/write?db=db0", vec![b'#'; 5 << 20]).await.status(), 413);
}

/// The answer is made only a little ahead of the client.
#[tokio::test]
async fn a_slow_client_holds_its_query_back() {
    let server = TestServer::start().await;
    let mut connection = server.connect().await;
    connection.request("GET /query?q=endless HTTP/1.1\r\nHost: x\r\n", b"").await;
    let sent = || async {
        let reply = server.get("/metrics").await;
        let line =
            reply.text().lines().find(|line| line.starts_with("skywatch_http_query_bytes_total")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    // The kernel's buffers fill first, then the query stands still.
    let (mut before, mut after) = (0, 1);
    for _ in 0..100 {
        if before == after {
            break;
        }
        before = after;
        tokio::time::sleep(Duration::from_millis(100)).await;
        after = sent().await;
    }
    assert_eq!(before, after, "an endless query was never held back");
    assert!(after < 64 << 20, "{after} bytes were made for a client that takes none");
    assert_eq!(server.engine.running.load(Ordering::SeqCst), 1);
    drop(connection);
    eventually("the query stops", || server.engine.stopped.load(Ordering::SeqCst) == 1).await;
}

/// Also while it has nothing to say yet.
#[tokio::test]
async fn a_client_that_leaves_cancels_its_query() {
    let server = TestServer::start().await;
    let mut connection = server.connect().await;
    connection.request("GET /query?q=silent HTTP/1.1\r\nHost: x\r\n", b"").await;
    eventually("the query runs", || server.engine.running.load(Ordering::SeqCst) == 1).await;
    drop(connection);
    eventually("the query stops", || server.engine.stopped.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    let server = TestServer::start_with(|config| config.send_timeout = Duration::from_millis(100)).await;
    let mut connection = server.connect().await;
    connection.request("GET /query?q=endless HTTP/1.1\r\nHost: x\r\n", b"").await;
    eventually("the query stops", || server.engine.stopped.load(Ordering::SeqCst) == 1).await;
}
