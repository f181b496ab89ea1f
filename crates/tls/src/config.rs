//! Where the certificate is, and what is spoken.

use std::path::{Path, PathBuf};

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
    /// The authorities of clients' certificates, in PEM; without, clients are not asked for one.
    pub client_authorities: Option<PathBuf>,
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

impl TlsConfig {
    /// A certificate with its key, and all that is good of versions and ciphers.
    pub const fn new(certificate: PathBuf, private_key: Option<PathBuf>) -> Self {
        Self {
            certificate,
            private_key,
            min_version: TlsVersion::Tls12,
            max_version: TlsVersion::Tls13,
            ciphers: Vec::new(),
            client_authorities: None,
        }
    }

    pub(crate) fn key_path(&self) -> &Path {
        self.private_key.as_deref().unwrap_or(&self.certificate)
    }
}
