//! InfluxDB 1.8's other doors: line protocol over UDP, and Graphite's plaintext over TCP or UDP.
//!
//! ```text
//!   socket -> parse -> Batch (batch-size, batch-timeout) -> bounded queue (batch-pending) -> PointSink (the node)
//! ```
//!
//! [`Listener::bind`] takes an address, [`Listener::start`] begins to read. Nothing here is acknowledged to anyone, so
//! nothing can be promised either: when the node is slower than the senders, a TCP sender is held back, and datagrams
//! are dropped by the kernel. What has been read is written, also at the end. The Graphite parser ([`graphite`]) is
//! pure.

mod batch;
mod graphite_socket;
mod listener;
mod sink;
mod statistics;
mod udp_socket;

pub mod graphite;

pub use batch::BatchConfig;
pub use graphite_socket::{GraphiteConfig, Protocol};
pub use listener::{BindError, Listener, Listeners};
pub use sink::PointSink;
pub use udp_socket::UdpConfig;
