//! InfluxDB 1.8's HTTP API over one Skywatch node.
//!
//! ```text
//!   socket -> connection (patience) -> router -> handlers -> gate -> a thread -> Engine (the node)
//!                                                   |                              |
//!                                                body (bounded)      encode (columns to bytes)
//! ```
//!
//! [`Server::bind`] takes the address, [`Server::serve`] answers until told to stop. Everything a client can make
//! grow is bounded: connections, bodies one by one and together, requests running and waiting, the part of an
//! answer that is made before the client takes it. Where InfluxDB's behaviour is visible to clients, ours is the same to
//! the byte; where it is not worth copying, the code says so on the spot.

mod access_log;
mod app;
mod auth;
mod bind;
mod body;
mod bucket;
mod config;
mod connection;
mod delete_predicate;
mod encode;
mod engine;
mod error;
mod flux;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod handlers;
mod httpd;
mod metrics;
mod params;
mod peer;
mod redact;
mod request_counts;
mod request_id;
mod response;
mod router;
mod row_limit;
mod server;
mod small_query;
mod stats;
mod unix_socket;

pub use access_log::{AccessLogConfig, BadStatusFilter, StatusFilter};
pub use auth::{AuthConfig, Credentials, InProcessUser, TokenError, user_of_token};
pub use config::{HttpConfig, UnixSocketConfig};
pub use encode::encode_results;
pub use engine::Engine;
pub use error::ServeError;
pub use metrics::{Histogram, Metrics, MetricsRegistry, MetricsSource};
pub use server::{Server, serve};
pub use skywatch_tls::{BadTlsVersion, TlsConfig, TlsError, TlsVersion};
