//! Listeners on real sockets, over a sink that plays every part.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use skywatch_cluster::{Consistency, PointsRequest, WriteError, WriteSummary};
use skywatch_listeners::{
    BatchConfig, GraphiteConfig, Listener, Listeners, PointSink, Protocol, UdpConfig, graphite::Parser,
};
use skywatch_model::line::{PointBatch, Precision};
use skywatch_monitor::{Monitor, Selection};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

/// Longest any test waits for anything.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Default)]
struct FakeSink {
    databases: Mutex<Vec<String>>,
    points: Mutex<Vec<String>>,
    /// Writes that find no room yet.
    refusals: AtomicU32,
}

impl PointSink for FakeSink {
    fn ensure_database(&self, name: &str, retention_policy: &str) -> Result<(), String> {
        self.databases.lock().unwrap().push(format!("{name}/{retention_policy}"));
        Ok(())
    }

    fn write_points(
        &self,
        request: &PointsRequest<'_>,
        batch: &PointBatch<'_>,
    ) -> Result<WriteSummary, WriteError> {
        if self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        {
            let reason = "no memory for writes".to_owned();
            return Err(WriteError::Overloaded { reason, retry_after_secs: 1 });
        }
        let points = batch.points().map(|point| format!("{} {point:?}", request.database));
        self.points.lock().unwrap().extend(points);
        Ok(WriteSummary { points: batch.len() as u64, ..WriteSummary::default() })
    }
}

fn batch(timeout: Duration) -> BatchConfig {
    let (database, retention_policy) = ("db".to_owned(), "week".to_owned());
    let consistency = Consistency::One;
    BatchConfig { database, retention_policy, size: 3, pending: 1, timeout, consistency }
}

fn graphite(bind: &str, timeout: Duration) -> GraphiteConfig {
    GraphiteConfig {
        bind: bind.to_owned(),
        protocol: Protocol::Tcp,
        batch: batch(timeout),
        read_buffer_bytes: 0,
        parser: Parser::new(&[], &[], "").unwrap(),
    }
}

/// A port of loopback that nobody listens on now.
fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn counter(monitor: &Monitor, name: &str) -> i64 {
    let statistics = monitor.statistics(Selection::All);
    let fields = statistics.iter().flat_map(skywatch_monitor::Statistic::fields);
    fields.filter(|(field, _)| *field == name).map(|(_, value)| value).sum()
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_batch_without_room_is_tried_again_and_nothing_is_lost() {
    let (sink, monitor, address) = (Arc::new(FakeSink::default()), Monitor::default(), free_address());
    sink.refusals.store(1, Ordering::SeqCst);
    let listener = Listener::bind_graphite(graphite(&address, Duration::from_millis(20))).await.unwrap();
    let listeners = Listeners::start(vec![listener], &(Arc::clone(&sink) as _), &monitor);
    let mut stream = TcpStream::connect(&address).await.unwrap();
    for n in 0..8 {
        stream.write_all(format!("m{n} {n} 1\n").as_bytes()).await.unwrap();
    }
    eventually("the points", || sink.points.lock().unwrap().len() == 8).await;
    assert_eq!(sink.points.lock().unwrap()[0], "db m0 {\"value\": Float(0.0)} 1000000000");
    assert_eq!(*sink.databases.lock().unwrap().first().unwrap(), "db/week");
    listeners.stop().await;
    assert_eq!((counter(&monitor, "pointsTx"), counter(&monitor, "batchesTxFail")), (8, 0));
}

#[tokio::test]
async fn stopping_writes_what_was_read() {
    let (sink, monitor, address) = (Arc::new(FakeSink::default()), Monitor::default(), free_address());
    let hour = Duration::from_secs(3_600);
    let udp = UdpConfig {
        bind: address.clone(),
        batch: batch(hour),
        read_buffer_bytes: 1 << 16,
        precision: Precision::Second,
    };
    let listeners = vec![Listener::bind_udp(udp).await.unwrap()];
    let listeners = Listeners::start(listeners, &(Arc::clone(&sink) as _), &monitor);
    let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    sender.send_to(b"a v=1 1\nbad\nb v=2i 2", &address).await.unwrap();
    eventually("the datagram", || counter(&monitor, "pointsRx") == 2).await;
    assert!(sink.points.lock().unwrap().is_empty(), "the batch is neither full nor due");
    listeners.stop().await;
    assert_eq!(
        *sink.points.lock().unwrap(),
        ["db a {\"v\": Float(1.0)} 1000000000", "db b {\"v\": Integer(2)} 2000000000"]
    );
    assert_eq!(counter(&monitor, "pointsParseFail"), 1);
}

#[tokio::test]
async fn a_line_without_end_costs_its_connection() {
    let (sink, monitor, address) = (Arc::new(FakeSink::default()), Monitor::default(), free_address());
    let listener = Listener::bind_graphite(graphite(&address, Duration::from_millis(20))).await.unwrap();
    let listeners = Listeners::start(vec![listener], &(Arc::clone(&sink) as _), &monitor);
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(b"m 1 1\n").await.unwrap();
    // The server may close while this is still being sent.
    drop(stream.write_all(&vec![b'x'; 200 << 10]).await);
    let closed = tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("the connection stays open");
    assert!(closed.is_err());
    eventually("the line before it", || sink.points.lock().unwrap().len() == 1).await;
    eventually("the count", || counter(&monitor, "pointsParseFail") == 1).await;
    listeners.stop().await;
    assert!(TcpStream::connect(&address).await.is_err());
}

#[tokio::test]
async fn an_address_in_use_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = Listener::bind_graphite(graphite(&address, Duration::ZERO)).await.unwrap_err().to_string();
    assert_eq!(error, format!("[[graphite]] cannot listen on {address} (tcp)"));
}
