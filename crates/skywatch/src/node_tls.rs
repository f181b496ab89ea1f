//! TLS between nodes, from the files that a configuration names: one certificate for calls and for answers, and where an
//! authority is named, both sides show theirs.

use anyhow::{Context, Result};
use skywatch_tls::{ClientTls, ClientTlsConfig, ServerTls, TlsConfig};

use crate::config::NodeTls;

/// For placing calls.
pub(crate) fn client(tls: &NodeTls) -> Result<ClientTls> {
    let config = ClientTlsConfig {
        authorities: tls.ca.clone(),
        identity: Some((tls.certificate.clone(), tls.private_key.clone())),
        skip_verification: tls.is_insecure,
    };
    ClientTls::load(&config).context("TLS to other nodes")
}

/// For answering them.
pub(crate) fn server(tls: &NodeTls) -> Result<ServerTls> {
    let config = TlsConfig {
        client_authorities: tls.ca.clone(),
        ..TlsConfig::new(tls.certificate.clone(), tls.private_key.clone())
    };
    ServerTls::load(&config).context("TLS for other nodes")
}
