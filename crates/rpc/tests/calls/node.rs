//! A node of a test: it echoes, sleeps, refuses, and can be stopped or cut off.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use skywatch_rpc::{
    Call, CallError, Failure, FailureKind, Identity, Reply, Router, Secret, ServeOptions, ServerCounters,
    TcpTransport, Transport, TransportOptions, serve,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::sleep};

/// Long enough for anything that works.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// What the handlers of a node saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Handlers that began to sleep.
    pub begun: AtomicUsize,
    /// Handlers that slept to the end.
    pub ended: AtomicUsize,
}

pub(crate) struct Node {
    pub address: String,
    pub seen: Arc<Seen>,
    pub counters: Arc<ServerCounters>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

pub(crate) fn identity(secret: &str) -> Identity {
    Identity { secret: Secret::new(secret), ..Identity::new("test") }
}

pub(crate) fn router(seen: &Arc<Seen>) -> Router {
    let seen = Arc::clone(seen);
    Router::new()
        .on("test.echo", |head: serde_json::Value, body| async move { Ok((head, body)) })
        .on("test.make", |bytes: usize, _| async move { Ok(((), Bytes::from(vec![1; bytes]))) })
        .on("test.refuse", |(): (), _| async move {
            Err::<((), Bytes), _>(Failure::new(FailureKind::Conflict, "it is taken"))
        })
        .on("test.panic", |is_true: bool, _| async move {
            assert!(!is_true, "as asked");
            Ok(((), Bytes::new()))
        })
        .on("test.sleep", move |ms: u64, _| {
            let seen = Arc::clone(&seen);
            async move {
                seen.begun.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(ms)).await;
                seen.ended.fetch_add(1, Ordering::Relaxed);
                Ok(((), Bytes::new()))
            }
        })
}

impl Node {
    pub(crate) async fn start(options: ServeOptions) -> Self {
        Self::start_at("127.0.0.1:0", options, None).await
    }

    pub(crate) async fn start_at(address: &str, options: ServeOptions, http: Option<axum::Router>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (seen, counters) = (Arc::default(), Arc::clone(&options.counters));
        let (stop, stopped) = oneshot::channel::<()>();
        let router = router(&seen);
        let task = tokio::spawn(serve(listener, options, router, http, async { drop(stopped.await) }));
        Self { address, seen, counters, stop, task }
    }

    /// Stops it in good order.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.task.await.unwrap();
    }

    /// Ends it as a crash would: its connections are closed in mid-call.
    pub(crate) async fn kill(self) {
        self.task.abort();
        drop(self.task.await);
    }
}

pub(crate) fn options(secret: &str) -> ServeOptions {
    ServeOptions::new(identity(secret))
}

pub(crate) fn transport(secret: &str) -> TcpTransport {
    TcpTransport::new(TransportOptions::new(identity(secret)))
}

pub(crate) fn call(method: &'static str, head: impl Into<serde_json::Value>, body: impl Into<Bytes>) -> Call {
    Call { method: method.into(), head: head.into().to_string().into(), body: body.into() }
}

pub(crate) async fn echo(
    transport: &TcpTransport,
    to: &str,
    body: impl Into<Bytes>,
) -> Result<Reply, CallError> {
    transport.call(to, call("test.echo", serde_json::json!({"a": 1}), body), LONG).await
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("waited in vain until {what}");
}
