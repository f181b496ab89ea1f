//! What `/metrics` tells of calls between nodes.

use std::sync::Arc;

use skywatch_http::{Metrics, MetricsSource};
use skywatch_rpc::{PeerStatistics, ServerCounters, TcpTransport};

/// Calls placed, and calls answered.
pub(crate) struct CallMetrics {
    /// To data nodes and to meta nodes.
    pub(crate) transports: Vec<Arc<TcpTransport>>,
    /// Of the port for other nodes.
    pub(crate) answered: Arc<ServerCounters>,
}

impl MetricsSource for CallMetrics {
    fn collect(&self, metrics: &mut Metrics) {
        for peer in self.transports.iter().flat_map(|transport| transport.statistics()) {
            placed(&peer, metrics);
        }
        let answered = self.answered.read();
        for (name, help, value) in [
            ("skywatch_rpc_answered_total", "Calls of other nodes that reached a handler.", answered.calls),
            ("skywatch_rpc_overloaded_total", "Calls turned away for want of room.", answered.overloaded),
            ("skywatch_rpc_given_up_total", "Calls whose caller gave up.", answered.given_up),
            (
                "skywatch_rpc_peers_refused_total",
                "Nodes refused, as for a wrong secret.",
                answered.peers_refused,
            ),
            ("skywatch_rpc_received_bytes_total", "Bytes of calls received.", answered.received_bytes),
            ("skywatch_rpc_answered_bytes_total", "Bytes of answers sent.", answered.sent_bytes),
        ] {
            metrics.counter(name, help, &[], value);
        }
        for (name, help, value) in [
            ("skywatch_rpc_answering", "Calls of other nodes being answered.", answered.in_flight),
            ("skywatch_rpc_connections", "Connections to the port for other nodes.", answered.connections),
        ] {
            metrics.gauge(name, help, &[], value as f64);
        }
    }
}

fn placed(peer: &PeerStatistics, metrics: &mut Metrics) {
    let to = ("to", peer.to.as_str());
    metrics.counter("skywatch_rpc_calls_total", "Calls to other nodes.", &[to], peer.calls);
    for (error, count) in [
        ("unreachable", peer.unreachable),
        ("timed out", peer.timed_out),
        ("lost", peer.lost),
        ("failed", peer.failed),
    ] {
        let labels = [to, ("error", error)];
        metrics.counter(
            "skywatch_rpc_call_errors_total",
            "Calls to other nodes without success.",
            &labels,
            count,
        );
    }
    for (name, help, value) in [
        ("skywatch_rpc_dials_total", "Connections made to other nodes.", peer.dials),
        ("skywatch_rpc_dial_failures_total", "Connections that could not be made.", peer.dial_failures),
        ("skywatch_rpc_call_bytes_total", "Bytes of calls sent.", peer.sent_bytes),
        ("skywatch_rpc_reply_bytes_total", "Bytes of answers received.", peer.received_bytes),
    ] {
        metrics.counter(name, help, &[to], value);
    }
    for (name, help, value) in [
        ("skywatch_rpc_in_flight", "Calls to other nodes without an answer yet.", peer.in_flight),
        ("skywatch_rpc_absent", "1 while a node cannot be reached.", u64::from(peer.absent.is_some())),
    ] {
        metrics.gauge(name, help, &[to], value as f64);
    }
}
