//! What plugins that talk over the network share: options of TLS and of HTTP clients.

pub(crate) mod http;
pub(crate) mod tls;
