//! Apache Kafka as a client reaches it: which brokers, as whom, over which TLS; and what librdkafka says of its
//! connections. What is read and written, and how, is its users'.

mod connection;
mod events;

pub use connection::{Connection, Mechanism, SYSTEM_AUTHORITIES, Sasl, Tls};
pub use events::ClientEvents;
