//! What is counted of calls, for `/metrics` and for people.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::{CallError, link::Traffic};

/// What this process knows of its calls to one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatistics {
    /// The node's address.
    pub to: String,
    /// Its release, as it said when it was last connected to.
    pub release: Option<String>,
    /// Connections there are now.
    pub connections: usize,
    /// Why it is left alone for the moment, if it is.
    pub absent: Option<String>,
    /// Calls placed.
    pub calls: u64,
    /// Of these, those without an answer yet.
    pub in_flight: u64,
    /// Calls that were surely not carried out.
    pub unreachable: u64,
    /// Calls without an answer in time.
    pub timed_out: u64,
    /// Calls whose connection broke.
    pub lost: u64,
    /// Calls that the node answered with "no".
    pub failed: u64,
    /// Connections made so far.
    pub dials: u64,
    /// Attempts that failed.
    pub dial_failures: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Bytes received.
    pub received_bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct PeerCounters {
    pub calls: AtomicU64,
    pub in_flight: AtomicU64,
    pub unreachable: AtomicU64,
    pub timed_out: AtomicU64,
    pub lost: AtomicU64,
    pub failed: AtomicU64,
    pub dials: AtomicU64,
    pub dial_failures: AtomicU64,
    pub traffic: Arc<Traffic>,
}

/// A call under way.
pub(crate) struct InFlight<'a>(&'a PeerCounters);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

impl PeerCounters {
    pub(crate) fn begin(&self) -> InFlight<'_> {
        self.calls.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(self)
    }

    pub(crate) fn count(&self, error: &CallError) {
        let counter = match error {
            CallError::Unreachable { .. } => &self.unreachable,
            CallError::TimedOut { .. } => &self.timed_out,
            CallError::Lost { .. } | CallError::Unreadable { .. } => &self.lost,
            CallError::Failed { .. } => &self.failed,
        };
        counter.fetch_add(1, Relaxed);
    }
}

/// What a listener of calls has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerStatistics {
    /// Connections there are now, of nodes and of HTTP clients.
    pub connections: u64,
    /// Connections turned away: too many, or silent.
    pub connections_refused: u64,
    /// Nodes refused: a wrong secret, no certificate, another cluster.
    pub peers_refused: u64,
    /// Calls that reached a handler.
    pub calls: u64,
    /// Of these, those being answered now.
    pub in_flight: u64,
    /// Calls turned away for want of room.
    pub overloaded: u64,
    /// Calls whose caller gave up.
    pub given_up: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
}
