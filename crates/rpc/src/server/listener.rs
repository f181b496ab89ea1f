//! Listening: who is let in, and ending in good order.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use skywatch_tls::ServerTls;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::greeting::{Greeted, greet};
use crate::{
    Identity, Patience, Router, ServerStatistics, budget::Budget, link::Traffic, server::answering::answer,
    server::web,
};

/// Pause after the operating system refused a connection for want of something, mostly file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How calls are answered.
#[derive(Debug)]
pub struct ServeOptions {
    /// Who this node is to others.
    pub identity: Identity,
    /// Speak TLS. Where it asks for certificates, calls are taken from those only that show one.
    pub tls: Option<ServerTls>,
    /// Whether HTTP is answered to those only that show a certificate, where TLS asks for one.
    pub http_needs_certificate: bool,
    /// Connections at a time, HTTP included.
    pub connections_max: usize,
    /// Calls being answered at a time; more are turned away.
    pub calls_max: usize,
    /// Bytes of calls that are being received or answered, and as many of answers on their way.
    pub bytes_in_flight_max: usize,
    /// How long a connection may take to say what it is, greeting included.
    pub greeting_timeout: Duration,
    /// How long what is under way may take to finish when the server is told to stop.
    pub drain_timeout: Duration,
    /// How long silence is borne.
    pub patience: Patience,
    /// Where what happens is counted.
    pub counters: Arc<ServerCounters>,
}

impl ServeOptions {
    /// The defaults, for a node.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            tls: None,
            http_needs_certificate: false,
            connections_max: 1024,
            calls_max: 4096,
            bytes_in_flight_max: 512 << 20,
            greeting_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
            // Who connects asks first; this is for those that vanish.
            patience: Patience {
                busy: Duration::from_secs(10),
                idle: Duration::from_secs(15),
                silence_max: Duration::from_secs(10),
                ..Patience::default()
            },
            counters: Arc::default(),
        }
    }
}

/// What a listener counts; shared with whoever shows it.
#[derive(Debug, Default)]
pub struct ServerCounters {
    pub(crate) connections: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) peers_refused: AtomicU64,
    pub(crate) calls: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) overloaded: AtomicU64,
    pub(crate) given_up: AtomicU64,
    pub(crate) traffic: Arc<Traffic>,
}

impl ServerCounters {
    /// What has been counted so far.
    pub fn read(&self) -> ServerStatistics {
        ServerStatistics {
            connections: self.connections.load(Relaxed),
            connections_refused: self.connections_refused.load(Relaxed),
            peers_refused: self.peers_refused.load(Relaxed),
            calls: self.calls.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            overloaded: self.overloaded.load(Relaxed),
            given_up: self.given_up.load(Relaxed),
            received_bytes: self.traffic.received.load(Relaxed),
            sent_bytes: self.traffic.sent.load(Relaxed),
        }
    }
}

/// What the connections of a listener share.
#[derive(Debug)]
pub(crate) struct Server {
    pub options: ServeOptions,
    pub router: Router,
    pub http: Option<axum::Router>,
    /// Places for calls being answered.
    pub places: Arc<Semaphore>,
    pub incoming: Budget,
    pub outgoing: Budget,
}

/// Answers calls by `router`, and HTTP by `http`, until `stop` completes; then takes no more, finishes what is under way
/// for at most [`ServeOptions::drain_timeout`], and returns.
///
/// A handler is dropped at its next await when the caller has given up: by its deadline, or with its connection.
pub async fn serve(
    listener: TcpListener,
    options: ServeOptions,
    router: Router,
    http: Option<axum::Router>,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(options.calls_max.clamp(1, Semaphore::MAX_PERMITS)));
    let bytes = options.bytes_in_flight_max;
    let (incoming, outgoing) = (Budget::new(bytes), Budget::new(bytes));
    let drain_timeout = options.drain_timeout;
    let server = Arc::new(Server { options, router, http, places, incoming, outgoing });
    let (stopping, told_to_stop) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => admit(&server, &mut connections, stream, peer, &told_to_stop),
                Err(error) => refused(&error).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    stopping.send_replace(true);
    let all_done = async { while connections.join_next().await.is_some() {} };
    if timeout(drain_timeout, all_done).await.is_err() {
        tracing::warn!(open = connections.len(), "cutting off connections that did not finish in time");
        connections.shutdown().await;
    }
}

async fn refused(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    sleep(ACCEPT_PAUSE).await;
}

/// Counts a connection for as long as there is one.
struct Open(Arc<Server>);

impl Open {
    fn new(server: &Arc<Server>) -> Self {
        server.options.counters.connections.fetch_add(1, Relaxed);
        Self(Arc::clone(server))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.options.counters.connections.fetch_sub(1, Relaxed);
    }
}

fn admit(
    server: &Arc<Server>,
    connections: &mut JoinSet<()>,
    stream: TcpStream,
    peer: SocketAddr,
    stop: &watch::Receiver<bool>,
) {
    if connections.len() >= server.options.connections_max {
        // Told once, not for each of what may be thousands.
        if server.options.counters.connections_refused.fetch_add(1, Relaxed) == 0 {
            let most = server.options.connections_max;
            tracing::warn!(%peer, most, "a connection was turned away: as many as may be are open");
        }
        return;
    }
    let open = Open::new(server);
    let stop = stop.clone();
    connections.spawn(async move {
        // Answers are written whole; waiting for more would only delay them. Failing to say so does no harm.
        drop(stream.set_nodelay(true));
        converse(&open.0, stream, peer, stop).await;
    });
}

/// Serves one connection to its end.
async fn converse(
    server: &Arc<Server>,
    stream: TcpStream,
    peer: SocketAddr,
    mut stop: watch::Receiver<bool>,
) {
    let counters = &server.options.counters;
    let greeted = tokio::select! {
        greeted = timeout(server.options.greeting_timeout, greet(server, stream)) => greeted,
        () = told_to_stop(&mut stop) => return,
    };
    match greeted {
        Ok(Ok(Greeted::Calls(reader, node))) => {
            tracing::debug!(%peer, release = node.release, protocol = node.protocol, "a node connected");
            answer(server, *reader, stop).await;
        }
        Ok(Ok(Greeted::Http(stream))) => web::serve(server, stream, peer, stop).await,
        Ok(Ok(Greeted::Gone)) => {}
        Ok(Err(reason)) => {
            counters.peers_refused.fetch_add(1, Relaxed);
            tracing::warn!(%peer, reason, "a connection between nodes was refused");
        }
        Err(_) => {
            counters.connections_refused.fetch_add(1, Relaxed);
            tracing::debug!(%peer, "a connection did not say in time what it is");
        }
    }
}

/// Completes when the server is told to stop, or is gone.
pub(crate) async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stopping| *stopping).await);
}
