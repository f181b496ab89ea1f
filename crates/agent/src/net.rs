//! What plugins that talk over the network share: options of TLS and of HTTP clients, connections, many targets at once,
//! and serving HTTP.

pub(crate) mod http;
pub(crate) mod http_server;
pub(crate) mod parallel;
pub(crate) mod stream;
pub(crate) mod timed_write;
pub(crate) mod tls;
pub(crate) mod tls_server;
