//! TLS as a server: the options that every plugin that listens has, and what is made of them.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::tls::{read_certificates, read_key};
use crate::config::{ConfigError, Section};

/// `tls_cert`, `tls_key`, `tls_allowed_cacerts`, `tls_allowed_dns_names`, `tls_min_version`, `tls_max_version`.
#[derive(Debug, Clone)]
pub(crate) struct ServerTls {
    certificate: String,
    key: String,
    /// Files of the authorities of clients' certificates; empty asks clients for none.
    allowed_cacerts: Vec<String>,
    /// One of these has to be a DNS name of the client's certificate; empty allows any.
    allowed_dns_names: Vec<String>,
    versions: Vec<&'static SupportedProtocolVersion>,
}

impl ServerTls {
    /// Takes the options out of a plugin's table; `None` if it does not ask for TLS.
    pub(crate) fn from_section(section: &mut Section) -> Result<Option<Self>, ConfigError> {
        let mut text = |key| Ok::<_, ConfigError>(section.string(key)?.filter(|text| !text.is_empty()));
        let (certificate, key) = (text("tls_cert")?, text("tls_key")?);
        let (min, max) = (text("tls_min_version")?, text("tls_max_version")?);
        if text("tls_key_pwd")?.is_some() {
            return Err(
                section.bad("tls_key_pwd", "keys with a password are not supported; decrypt the file")
            );
        }
        section.without_effect("tls_cipher_suites", "the TLS library has no weak cipher suites");
        let allowed_cacerts = section.strings("tls_allowed_cacerts")?.unwrap_or_default();
        let allowed_dns_names = section.strings("tls_allowed_dns_names")?.unwrap_or_default();
        if !allowed_dns_names.is_empty() && allowed_cacerts.is_empty() {
            return Err(
                section.bad("tls_allowed_dns_names", "names are verified with tls_allowed_cacerts only")
            );
        }
        let versions = versions(section, min.as_deref(), max.as_deref())?;
        match (certificate, key) {
            (Some(certificate), Some(key)) => {
                Ok(Some(Self { certificate, key, allowed_cacerts, allowed_dns_names, versions }))
            }
            (None, None) if allowed_cacerts.is_empty() => Ok(None),
            (None, None) => {
                Err(section
                    .bad("tls_allowed_cacerts", "clients show certificates over TLS only; set tls_cert"))
            }
            _ => Err(section.bad("tls_cert", "tls_cert and tls_key belong together")),
        }
    }

    /// What makes TLS of accepted connections. Reads the files named; an error names the file.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions)
            .map_err(|error| error.to_string())?;
        let builder = if self.allowed_cacerts.is_empty() {
            builder.with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            for path in &self.allowed_cacerts {
                let (added, ignored) = roots.add_parsable_certificates(read_certificates(path)?);
                if added == 0 {
                    return Err(format!(
                        "{path}: no certificate in it can be used ({ignored} cannot be read)"
                    ));
                }
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| format!("{}: {error}", self.allowed_cacerts.join(", ")))?;
            let names = self.allowed_dns_names.clone();
            builder.with_client_cert_verifier(Arc::new(Clients { verifier, names }))
        };
        let (certificate, key) = (&self.certificate, &self.key);
        let config = builder
            .with_single_cert(read_certificates(certificate)?, read_key(key)?)
            .map_err(|error| format!("{certificate}, {key}: {error}"))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn versions(
    section: &Section,
    min: Option<&str>,
    max: Option<&str>,
) -> Result<Vec<&'static SupportedProtocolVersion>, ConfigError> {
    let number = |key, text: Option<&str>, default| match text {
        None => Ok(default),
        Some("TLS12") => Ok(12),
        Some("TLS13") => Ok(13),
        Some(other) => Err(section.bad(key, format!("{other:?} is neither \"TLS12\" nor \"TLS13\""))),
    };
    let min = number("tls_min_version", min, 12)?;
    let max = number("tls_max_version", max, 13)?;
    if min > max {
        return Err(section.bad("tls_min_version", "it is above tls_max_version"));
    }
    let known = [(12, &rustls::version::TLS12), (13, &rustls::version::TLS13)];
    Ok(known.into_iter().filter(|(v, _)| (min..=max).contains(v)).map(|(_, version)| version).collect())
}

/// Verifies clients by their authority, and by their DNS names where some are listed.
#[derive(Debug)]
struct Clients {
    verifier: Arc<dyn ClientCertVerifier>,
    names: Vec<String>,
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.verifier.verify_client_cert(certificate, intermediates, now)?;
        if self.names.is_empty() || dns_names(certificate).iter().any(|name| self.names.contains(name)) {
            return Ok(verified);
        }
        Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForName))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// The DNS names among a certificate's alternative names; none if it cannot be read.
fn dns_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    names.value.general_names.iter().filter_map(dns).collect()
}
