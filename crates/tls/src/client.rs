//! TLS as a client.

use std::{fmt, path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio_rustls::TlsConnector;

use crate::{TlsError, pem, reloaded::Reloaded};

/// The system's certificate authorities, where Debian and its relatives keep them.
pub const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Whom a client trusts, and what it shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientTlsConfig {
    /// The authorities of servers' certificates, in PEM; without, those of the system.
    pub authorities: Option<PathBuf>,
    /// The certificate to show, and its key if that is in another file; both in PEM.
    pub identity: Option<(PathBuf, Option<PathBuf>)>,
    /// Take any certificate: nothing then tells the server from somebody in between.
    pub skip_verification: bool,
}

/// Connects with the files that are there now.
pub struct ClientTls {
    config: ClientTlsConfig,
    connector: Reloaded<TlsConnector>,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("config", &self.config).finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Reads the files.
    pub fn load(config: &ClientTlsConfig) -> Result<Self, TlsError> {
        let config = config.clone();
        let mut files = Vec::from_iter(config.authorities.clone());
        if let Some((certificate, key)) = &config.identity {
            files.extend([Some(certificate), key.as_ref()].into_iter().flatten().cloned());
        }
        let connector = Reloaded::load(files, || connector(&config))?;
        Ok(Self { config, connector })
    }

    /// What makes the next connection.
    pub fn connector(&self) -> TlsConnector {
        self.connector.current(|| connector(&self.config))
    }

    /// The name that a server's certificate has to be for, out of `host:port`.
    pub fn server_name(address: &str) -> Result<ServerName<'static>, TlsError> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        ServerName::try_from(host.to_owned())
            .map_err(|_| TlsError::Settings(format!("{host:?} is no name of a host, nor an IP address")))
    }
}

fn connector(config: &ClientTlsConfig) -> Result<TlsConnector, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Settings(error.to_string()))?;
    let builder = if config.skip_verification {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
    } else {
        builder.with_root_certificates(roots(config)?)
    };
    let client = match &config.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = key.as_deref().unwrap_or(certificate);
            builder
                .with_client_auth_cert(pem::certificates(certificate)?, pem::private_key(key)?)
                .map_err(|error| pem::refused(certificate, key, error))?
        }
    };
    Ok(TlsConnector::from(Arc::new(client)))
}

fn roots(config: &ClientTlsConfig) -> Result<RootCertStore, TlsError> {
    match &config.authorities {
        Some(path) => pem::authorities(path),
        // A system without authorities trusts nobody; connections say so.
        None => Ok(pem::authorities(SYSTEM_AUTHORITIES.as_ref()).unwrap_or_else(|_| RootCertStore::empty())),
    }
}

/// Takes any certificate, as somebody asked for; signatures are checked all the same, with what this provider has.
#[derive(Debug)]
pub struct AnyServer(pub Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
