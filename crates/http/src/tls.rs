//! HTTPS: a certificate and its key from PEM files, read anew when they change.
//!
//! Whoever renews certificates replaces the files and is done: the next connection sees it. Files that are broken at
//! that moment are told and leave the certificate that was there.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use parking_lot::Mutex;
use rustls::{
    CipherSuite, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where the certificate is, and what is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate and those that vouch for it, in PEM.
    pub certificate: PathBuf,
    /// Its key, in PEM; `None` if it is in the same file.
    pub private_key: Option<PathBuf>,
    /// The oldest version spoken.
    pub min_version: TlsVersion,
    /// The newest version spoken.
    pub max_version: TlsVersion,
    /// Cipher suites of TLS 1.2, by their names in the standard; empty means all that are good.
    pub ciphers: Vec<String>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2
    Tls12,
    /// TLS 1.3
    Tls13,
}

/// The text is no version that is spoken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version of TLS that is spoken here: expected tls1.2 or tls1.3; older ones are broken")]
pub struct BadTlsVersion(String);

impl std::str::FromStr for TlsVersion {
    type Err = BadTlsVersion;

    fn from_str(text: &str) -> Result<Self, BadTlsVersion> {
        match text.to_ascii_lowercase().as_str() {
            "tls1.2" | "1.2" => Ok(Self::Tls12),
            "tls1.3" | "1.3" => Ok(Self::Tls13),
            _ => Err(BadTlsVersion(text.to_owned())),
        }
    }
}

/// Why HTTPS cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{} {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The settings contradict themselves or name what there is not.
    #[error("{0}")]
    Settings(String),
}

/// The certificate that is shown now.
pub(crate) struct Tls {
    config: TlsConfig,
    state: Mutex<State>,
}

struct State {
    acceptor: TlsAcceptor,
    seen: Stamp,
    looked: Instant,
}

/// When the files were last written.
type Stamp = [Option<SystemTime>; 2];

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files.
    pub(crate) fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        let (config, seen) = (config.clone(), stamp(config));
        let acceptor = acceptor(&config)?;
        Ok(Self { config, state: Mutex::new(State { acceptor, seen, looked: Instant::now() }) })
    }

    /// What greets the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut state = self.state.lock();
        if state.looked.elapsed() >= LOOK_EVERY {
            state.looked = Instant::now();
            let now = stamp(&self.config);
            if now != state.seen {
                state.seen = now;
                match acceptor(&self.config) {
                    Ok(acceptor) => state.acceptor = acceptor,
                    Err(error) => {
                        let error = crate::handlers::write::with_causes(&error);
                        tracing::error!(error, "the new certificate cannot be used; the old one stays");
                    }
                }
            }
        }
        state.acceptor.clone()
    }
}

fn key_path(config: &TlsConfig) -> &Path {
    config.private_key.as_deref().unwrap_or(&config.certificate)
}

fn stamp(config: &TlsConfig) -> Stamp {
    [&config.certificate, key_path(config)]
        .map(|path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok())
}

fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, TlsError> {
    let file = |path: &Path, reason: String| TlsError::File { path: path.to_owned(), reason };
    let chain = certificates(&config.certificate)?;
    let key = private_key(key_path(config))?;
    let provider = CryptoProvider { cipher_suites: suites(&config.ciphers)?, ..ring::default_provider() };
    let versions = versions(config)?;
    let mut server = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&versions)
        .map_err(|error| TlsError::Settings(format!("[tls]: {error}")))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let certificate = config.certificate.display();
                file(
                    key_path(config),
                    format!("holds another key than that of the certificate in {certificate}"),
                )
            }
            other => file(&config.certificate, format!("cannot be used: {other}")),
        })?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = |reason: String| TlsError::File { path: path.to_owned(), reason };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    let chain = chain.map_err(|error| file(format!("is damaged: {error}")))?;
    if chain.is_empty() { Err(file("holds no certificate in PEM".to_owned())) } else { Ok(chain) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read(path)?;
    let holds = |text: &str| pem.windows(text.len()).any(|part| part == text.as_bytes());
    if holds("ENCRYPTED") {
        let reason = "holds a key that is encrypted with a password, which nobody is here to type: decrypt it \
                      (openssl pkey -in KEY -out PLAIN) and let only this server's user read it";
        return Err(TlsError::File { path: path.to_owned(), reason: reason.to_owned() });
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        let reason = "holds no private key in PEM; name its file with https-private-key".to_owned();
        TlsError::File { path: path.to_owned(), reason }
    })
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
