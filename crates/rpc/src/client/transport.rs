//! Calls over TCP: the nodes called so far, and the way of a call from a wish to an answer.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use skywatch_tls::ClientTls;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    connection::{Connection, Outcome},
    dial::dial,
    peer::{Choice, Dialling, Peer},
};
use crate::{
    Call, CallError, Failure, FailureKind, Identity, Patience, PeerStatistics, Reply, Transport,
    budget::Budget,
    call::NOT_TRIED,
    wire::message::{Status, too_long},
};

/// Most nodes that are remembered; those without connections make room for others.
const PEERS_MAX: usize = 1024;

/// A longer wait is this long.
const WITHIN_MAX: Duration = Duration::from_secs(24 * 3600);

/// Attempts on different connections, as long as the node surely has not got the call.
const ATTEMPTS: usize = 3;

/// How calls are placed.
#[derive(Debug)]
pub struct TransportOptions {
    /// Who this node is to others.
    pub identity: Identity,
    /// Speak TLS.
    pub tls: Option<ClientTls>,
    /// How long connecting may take, TLS and the greeting included.
    pub dial_timeout: Duration,
    /// How long a connection stays that nobody uses.
    pub idle_max: Duration,
    /// Connections to one node.
    pub connections_per_peer_max: usize,
    /// Calls under way to one node; more wait.
    pub calls_per_peer_max: usize,
    /// Bytes of calls on their way to all nodes, and as many of answers; more calls wait.
    pub bytes_in_flight_max: usize,
    /// How long silence is borne.
    pub patience: Patience,
}

impl TransportOptions {
    /// The defaults, for a node.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            tls: None,
            dial_timeout: Duration::from_secs(1),
            idle_max: Duration::from_secs(60),
            connections_per_peer_max: 2,
            calls_per_peer_max: 1024,
            bytes_in_flight_max: 512 << 20,
            patience: Patience::default(),
        }
    }
}

/// Places calls over TCP. Connections are made when they are needed, carry many calls at a time, and end with this.
#[derive(Debug)]
pub struct TcpTransport {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: TransportOptions,
    peers: Mutex<HashMap<String, Arc<Peer>>>,
    outgoing: Budget,
    incoming: Budget,
}

impl Drop for TcpTransport {
    fn drop(&mut self) {
        for peer in self.shared.peers.lock().values() {
            peer.close();
        }
    }
}

impl TcpTransport {
    /// Without connections yet.
    pub fn new(options: TransportOptions) -> Self {
        let bytes = options.bytes_in_flight_max;
        let (outgoing, incoming) = (Budget::new(bytes), Budget::new(bytes));
        Self { shared: Arc::new(Shared { options, peers: Mutex::default(), outgoing, incoming }) }
    }

    /// What is known of each node called, by address.
    pub fn statistics(&self) -> Vec<PeerStatistics> {
        let peers: Vec<_> = self.shared.peers.lock().values().cloned().collect();
        let mut statistics: Vec<_> = peers.iter().map(|peer| peer.statistics()).collect();
        statistics.sort_by(|a, b| a.to.cmp(&b.to));
        statistics
    }

    /// Bytes of calls on their way, and of answers.
    pub fn bytes_in_flight(&self) -> (usize, usize) {
        (self.shared.outgoing.held(), self.shared.incoming.held())
    }
}

#[async_trait]
impl Transport for TcpTransport {
    async fn call(&self, to: &str, call: Call, within: Duration) -> Result<Reply, CallError> {
        let peer = self.shared.peer(to)?;
        let _in_flight = peer.counters.begin();
        let outcome = self.shared.place(&peer, &call, within.min(WITHIN_MAX)).await;
        outcome.inspect_err(|error| peer.counters.count(error))
    }
}

impl Shared {
    fn peer(&self, to: &str) -> Result<Arc<Peer>, CallError> {
        let mut peers = self.peers.lock();
        if let Some(peer) = peers.get(to) {
            return Ok(Arc::clone(peer));
        }
        if peers.len() >= PEERS_MAX {
            peers.retain(|_, peer| !peer.is_forgettable());
        }
        if peers.len() >= PEERS_MAX {
            let reason = format!("{PEERS_MAX} other nodes are connected to");
            return Err(CallError::Unreachable { to: to.to_owned(), reason });
        }
        let peer = Arc::new(Peer::new(to, self.options.calls_per_peer_max));
        peers.insert(to.to_owned(), Arc::clone(&peer));
        Ok(peer)
    }

    async fn place(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        call: &Call,
        within: Duration,
    ) -> Result<Reply, CallError> {
        let deadline = Instant::now() + within;
        let to = || peer.to.clone();
        if let Some(text) = too_long(call.method.len(), call.head.len(), call.body.len()) {
            let failure =
                Failure::new(FailureKind::Invalid, format!("{} cannot be sent: {text}", call.method));
            return Err(CallError::Failed { to: to(), failure });
        }
        let unreachable = |reason: String| CallError::Unreachable { to: to(), reason };
        let Ok(Ok(_place)) = timeout_at(deadline, peer.places.acquire()).await else {
            let calls = self.options.calls_per_peer_max;
            return Err(unreachable(format!("{calls} other calls to it are under way")));
        };
        let Some(_held) = self.outgoing.take(call.head.len() + call.body.len(), deadline).await else {
            return Err(unreachable(format!(
                "{} bytes of other calls are on their way",
                self.options.bytes_in_flight_max
            )));
        };
        let mut reason = String::new();
        for _ in 0..ATTEMPTS {
            let connection = self.connection(peer, deadline).await.map_err(unreachable)?;
            reason = match connection.call(call, deadline).await {
                Outcome::Answered(Status::Done, reply) => return Ok(reply),
                Outcome::Answered(Status::Failed, reply) => return Err(failed(to(), &reply)),
                Outcome::Answered(Status::NotTaken, reply) => match failed(to(), &reply) {
                    CallError::Failed { failure, .. } => return Err(unreachable(failure.text)),
                    other => return Err(other),
                },
                Outcome::Lost(reason) => return Err(CallError::Lost { to: to(), reason }),
                Outcome::TimedOut => return Err(CallError::TimedOut { to: to(), within }),
                Outcome::NotSent(reason) => reason,
            };
            if Instant::now() >= deadline {
                break;
            }
        }
        Err(unreachable(reason))
    }

    /// A connection that takes a call, made if there is none. The error says why the node cannot be reached.
    async fn connection(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        deadline: Instant,
    ) -> Result<Arc<Connection>, String> {
        let mut has_tried = false;
        loop {
            let mut dialling = match peer.choose(Instant::now(), self.options.connections_per_peer_max) {
                Choice::Use(connection) => return Ok(connection),
                Choice::UseAndDial(connection, right) => {
                    self.dial(Arc::clone(peer), right);
                    return Ok(connection);
                }
                Choice::Absent(reason) if has_tried => return Err(reason),
                Choice::Absent(reason) => return Err(format!("{reason}{NOT_TRIED}")),
                Choice::Wait(dialling) => dialling,
                Choice::Dial(right) => {
                    has_tried = true;
                    let dialling = right.watch();
                    self.dial(Arc::clone(peer), right);
                    dialling
                }
            };
            // Closed is what is waited for; nothing is ever sent.
            if timeout_at(deadline, dialling.changed()).await.is_err() {
                return Err("no connection was made in time".to_owned());
            }
        }
    }

    /// Connects in a task of its own: a caller that gives up does not take the connection along that others wait for.
    fn dial(self: &Arc<Self>, peer: Arc<Peer>, right: Dialling) {
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let options = &shared.options;
            let dialled =
                timeout(options.dial_timeout, dial(&peer.to, &options.identity, options.tls.as_ref()));
            let outcome = dialled.await.unwrap_or_else(|_| {
                Err(format!("no connection within {} ms", options.dial_timeout.as_millis()))
            });
            let (reader, greeted) = match outcome {
                Ok(connected) => connected,
                Err(reason) => return peer.dialled(Err(reason), right),
            };
            let connection =
                Connection::new(options.patience, options.idle_max, shared.incoming.clone(), &peer.counters);
            let connection = Arc::new(connection);
            peer.dialled(Ok((Arc::clone(&connection), greeted.release)), right);
            let end = connection.drive(reader).await;
            tracing::debug!(to = peer.to, ?end, "a connection ended");
            peer.ended(&connection, &end);
        });
    }
}

fn failed(to: String, reply: &Reply) -> CallError {
    match serde_json::from_slice(&reply.head) {
        Ok(failure) => CallError::Failed { to, failure },
        Err(error) => CallError::Unreadable { to, reason: format!("its failure: {error}") },
    }
}
