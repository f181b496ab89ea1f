//! Placing calls over TCP.

mod absence;
mod connection;
mod dial;
mod peer;
mod transport;

pub(crate) use dial::Stream;
pub use transport::{TcpTransport, TransportOptions};
