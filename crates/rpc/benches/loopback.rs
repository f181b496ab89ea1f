//! What a call costs on loopback: small ones and such of 1 MiB, one after the other and many at a time.
//!
//! `cargo bench -p skywatch-rpc`; with `--test` each case runs for a moment only.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark may stop at the first surprise, and talks"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use skywatch_rpc::{Call, Identity, Router, ServeOptions, TcpTransport, Transport, TransportOptions, serve};
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

const WITHIN: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() {
    let short = std::env::args().any(|argument| argument == "--test");
    let run = Duration::from_millis(if short { 50 } else { 3000 });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router =
        Router::new().on("bench.length", |(): (), body: Bytes| async move { Ok((body.len(), Bytes::new())) });
    let (stop, stopped) = oneshot::channel::<()>();
    let options = ServeOptions::new(Identity::new("bench"));
    let server = tokio::spawn(serve(listener, options, router, None, async { drop(stopped.await) }));
    let transport = Arc::new(TcpTransport::new(TransportOptions::new(Identity::new("bench"))));
    println!("{:>10} {:>10} {:>12} {:>10}", "body", "at a time", "calls/s", "MB/s");
    for (bytes, at_a_time) in [(100, 1), (100, 16), (100, 256), (1 << 20, 1), (1 << 20, 4), (1 << 20, 16)] {
        let calls = measure(&transport, &address, bytes, at_a_time, run).await;
        let per_second = calls as f64 / run.as_secs_f64();
        println!("{bytes:>10} {at_a_time:>10} {per_second:>12.0} {:>10.1}", per_second * bytes as f64 / 1e6);
    }
    drop((transport, stop));
    server.await.unwrap();
}

/// Calls answered within the time.
async fn measure(
    transport: &Arc<TcpTransport>,
    address: &str,
    bytes: usize,
    at_a_time: usize,
    run: Duration,
) -> usize {
    let body = Bytes::from(vec![7; bytes]);
    let end = Instant::now() + run;
    let mut callers = JoinSet::new();
    for _ in 0..at_a_time {
        let (transport, address, body) = (Arc::clone(transport), address.to_owned(), body.clone());
        callers.spawn(async move {
            let mut calls = 0;
            while Instant::now() < end {
                let call = Call {
                    method: "bench.length".into(),
                    head: Bytes::from_static(b"null"),
                    body: body.clone(),
                };
                let reply = transport.call(&address, call, WITHIN).await.unwrap();
                assert_eq!(reply.head, body.len().to_string().as_bytes());
                calls += 1;
            }
            calls
        });
    }
    callers.join_all().await.into_iter().sum()
}
