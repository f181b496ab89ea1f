//! What plugins that talk over the network share: addresses, TLS, connections, many targets at once, HTTP as a client and
//! as a server.

pub(crate) mod address;
pub(crate) mod dbus;
pub(crate) mod http;
pub(crate) mod http_server;
pub(crate) mod interface;
pub(crate) mod kafka;
pub(crate) mod parallel;
pub(crate) mod request;
pub(crate) mod stream;
pub(crate) mod timed_write;
pub(crate) mod tls;
pub(crate) mod tls_server;
