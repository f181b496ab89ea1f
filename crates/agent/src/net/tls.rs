//! TLS as a client: the options that every plugin that connects has, and what is made of them.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use skywatch_tls::{AnyServer, SYSTEM_AUTHORITIES};

use crate::config::{ConfigError, Section};

/// `tls_ca`, `tls_cert`, `tls_key`, `tls_server_name`, `tls_min_version`, `insecure_skip_verify`.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientTls {
    /// Whether the table asks for TLS: `tls_enable`, or any other of the options.
    pub(crate) enabled: bool,
    /// A file of certificate authorities instead of the system's.
    pub(crate) ca: Option<String>,
    /// Files of the certificate and the key to identify with.
    pub(crate) identity: Option<(String, String)>,
    /// The name to ask for and to verify, where it is not the host's.
    pub(crate) server_name: Option<String>,
    /// Refuse TLS 1.2.
    pub(crate) only_tls13: bool,
    /// Accept any certificate.
    pub(crate) insecure_skip_verify: bool,
}

impl ClientTls {
    /// Takes the options out of a plugin's table.
    pub(crate) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let mut text = |key| Ok::<_, ConfigError>(section.string(key)?.filter(|text| !text.is_empty()));
        let (ca, certificate, key) = (text("tls_ca")?, text("tls_cert")?, text("tls_key")?);
        let (server_name, min_version) = (text("tls_server_name")?, text("tls_min_version")?);
        let (ca, certificate, key) =
            (ca.or(text("ssl_ca")?), certificate.or(text("ssl_cert")?), key.or(text("ssl_key")?));
        if text("tls_key_pwd")?.is_some() {
            return Err(
                section.bad("tls_key_pwd", "keys with a password are not supported; decrypt the file")
            );
        }
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(section.bad("tls_cert", "tls_cert and tls_key belong together")),
        };
        let only_tls13 = match min_version.as_deref() {
            None | Some("TLS12") => false,
            Some("TLS13") => true,
            Some(other) => {
                let reason = format!("{other:?} is neither \"TLS12\" nor \"TLS13\"");
                return Err(section.bad("tls_min_version", reason));
            }
        };
        section.without_effect("tls_cipher_suites", "the TLS library has no weak cipher suites");
        section.without_effect("tls_renegotiation_method", "the TLS library never renegotiates");
        let insecure_skip_verify = section.boolean("insecure_skip_verify")?.unwrap_or(false);
        let enabled = section
            .boolean("tls_enable")?
            .unwrap_or(ca.is_some() || identity.is_some() || server_name.is_some() || insecure_skip_verify);
        Ok(Self { enabled, ca, identity, server_name, only_tls13, insecure_skip_verify })
    }

    /// The configuration of a TLS connection. Reads the files named; an error names the file.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let versions: &[_] = match self.only_tls13 {
            true => &[&rustls::version::TLS13],
            false => &[&rustls::version::TLS12, &rustls::version::TLS13],
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?;
        let builder = if self.insecure_skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
        } else if let Some(name) = &self.server_name {
            let name = ServerName::try_from(name.clone())
                .map_err(|_| format!("tls_server_name: {name:?} is no name of a server"))?;
            let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots()?), provider)
                .build()
                .map_err(|error| error.to_string())?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Named { name, inner }))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        match &self.identity {
            None => Ok(builder.with_no_client_auth()),
            Some((certificate, key)) => builder
                .with_client_auth_cert(read_certificates(certificate)?, read_key(key)?)
                .map_err(|error| format!("{certificate}, {key}: {error}")),
        }
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        let path = self.ca.as_deref().unwrap_or(SYSTEM_AUTHORITIES);
        match read_certificates(path) {
            Ok(certificates) => {
                let (added, ignored) = roots.add_parsable_certificates(certificates);
                if added == 0 && self.ca.is_some() {
                    return Err(format!(
                        "{path}: no certificate in it can be used ({ignored} cannot be read)"
                    ));
                }
            }
            Err(error) if self.ca.is_some() => return Err(error),
            // A system without authorities trusts nobody; connections say so.
            Err(_) => {}
        }
        Ok(roots)
    }
}

/// The certificates of a PEM file.
pub(crate) fn read_certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| format!("{path}: {error}"))
}

/// The private key of a PEM file.
pub(crate) fn read_key(path: &str) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| format!("{path}: {error}"))
}

/// Verifies the name that `tls_server_name` says, whatever host was connected to.
#[derive(Debug)]
struct Named {
    name: ServerName<'static>,
    inner: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner.verify_server_cert(certificate, intermediates, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
