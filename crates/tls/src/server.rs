//! TLS as a server.

use std::{fmt, sync::Arc};

use rustls::{
    CipherSuite, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};
use tokio_rustls::TlsAcceptor;

use crate::{TlsConfig, TlsError, TlsVersion, pem, reloaded::Reloaded};

/// Greets who connects with the certificate that is there now.
///
/// Where authorities of clients are configured, a certificate that is shown has to be theirs; whether one had to be
/// shown is for the caller to decide, who knows what is asked for over the connection
/// (`ServerConnection::peer_certificates`).
pub struct ServerTls {
    config: TlsConfig,
    acceptor: Reloaded<TlsAcceptor>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("config", &self.config).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Reads the files.
    pub fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        let config = config.clone();
        let mut files = vec![config.certificate.clone(), config.key_path().to_owned()];
        files.extend(config.client_authorities.clone());
        let acceptor = Reloaded::load(files, || acceptor(&config))?;
        Ok(Self { config, acceptor })
    }

    /// What greets the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.current(|| acceptor(&self.config))
    }

    /// Whether clients are asked for a certificate.
    pub const fn asks_for_certificate(&self) -> bool {
        self.config.client_authorities.is_some()
    }
}

fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, TlsError> {
    let chain = pem::certificates(&config.certificate)?;
    let key = pem::private_key(config.key_path())?;
    let provider = CryptoProvider { cipher_suites: suites(&config.ciphers)?, ..ring::default_provider() };
    let provider = Arc::new(provider);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(config)?)
        .map_err(|error| TlsError::Settings(format!("[tls]: {error}")))?;
    let builder = match &config.client_authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(pem::authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| TlsError::file(path, format!("cannot be used: {error}")))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut server = builder
        .with_single_cert(chain, key)
        .map_err(|error| pem::refused(&config.certificate, config.key_path(), error))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}

fn versions(config: &TlsConfig) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let known = [(TlsVersion::Tls13, &TLS13), (TlsVersion::Tls12, &TLS12)];
    let spoken = config.min_version..=config.max_version;
    let versions: Vec<_> =
        known.into_iter().filter(|(version, _)| spoken.contains(version)).map(|(_, it)| it).collect();
    if versions.is_empty() {
        return Err(TlsError::Settings(
            "[tls] min-version is above max-version: nothing would be spoken".into(),
        ));
    }
    Ok(versions)
}

/// Those of TLS 1.3 are all good and always there, as in Go.
fn suites(names: &[String]) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let all = ring::default_provider().cipher_suites;
    if names.is_empty() {
        return Ok(all);
    }
    let is_13 = |suite: &SupportedCipherSuite| matches!(suite, SupportedCipherSuite::Tls13(_));
    let name_of = |suite: CipherSuite| suite.as_str().unwrap_or_default();
    for name in names {
        let is_known = |suite: &SupportedCipherSuite| name_of(suite.suite()).starts_with(name.as_str());
        if !all.iter().any(is_known) && !name.starts_with("TLS_AES") && !name.starts_with("TLS_CHACHA20") {
            let good: Vec<_> =
                all.iter().filter(|suite| !is_13(suite)).map(|suite| name_of(suite.suite())).collect();
            return Err(TlsError::Settings(format!(
                "[tls] ciphers names {name:?}, which is not spoken here: choose from {}",
                good.join(", ")
            )));
        }
    }
    let wanted = |suite: &SupportedCipherSuite| {
        is_13(suite) || names.iter().any(|name| name_of(suite.suite()).starts_with(name.as_str()))
    };
    Ok(all.into_iter().filter(wanted).collect())
}
