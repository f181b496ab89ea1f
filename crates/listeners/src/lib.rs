//! InfluxDB 1.8's other doors: line protocol over UDP, Graphite's plaintext over TCP or UDP, collectd's binary protocol, and
//! OpenTSDB's lines and JSON.
//!
//! ```text
//!   socket -> parse -> Batch (batch-size, batch-timeout) -> bounded queue (batch-pending) -> PointSink (the node)
//! ```
//!
//! [`Listener::bind`] takes an address, [`Listener::start`] begins to read. Nothing here is acknowledged to anyone, so
//! nothing can be promised either: when the node is slower than the senders, a TCP sender is held back, and datagrams
//! are dropped by the kernel. What has been read is written, also at the end. OpenTSDB's HTTP alone has an answer, when the
//! points are stored. The parsers ([`graphite`], [`collectd`], [`opentsdb`]) are pure.

mod batch;
mod collectd_socket;
mod connections;
mod datagrams;
mod graphite_socket;
mod listener;
mod number;
mod opentsdb_socket;
mod sink;
mod statistics;
mod udp_socket;

pub mod collectd;
pub mod graphite;
pub mod opentsdb;

pub use batch::BatchConfig;
pub use collectd_socket::{CollectdConfig, read_types};
pub use graphite_socket::{GraphiteConfig, Protocol};
pub use listener::{BindError, Listener, Listeners};
pub use opentsdb_socket::OpenTsdbConfig;
pub use sink::PointSink;
pub use udp_socket::UdpConfig;
