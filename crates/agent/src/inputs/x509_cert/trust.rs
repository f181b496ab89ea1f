//! Whether a certificate leads to a root that is trusted. Pure.
//!
//! A chain is followed by names and signatures (RFC 5280, section 6, without policies, name constraints and revocation):
//! every certificate of it is valid now, every issuer is an authority, and the last is, or is signed by, a trusted one.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use skywatch_tls::SYSTEM_AUTHORITIES;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::net::tls::read_certificates;

/// Certificates of a chain, at most.
const CHAIN_MAX: usize = 10;

/// The authorities that are trusted.
#[derive(Debug)]
pub(super) struct Roots(Vec<CertificateDer<'static>>);

impl Roots {
    /// Those of a file, or the system's.
    pub(super) fn load(file: Option<&str>) -> Result<Self, String> {
        match file {
            Some(path) => read_certificates(path).map(Self),
            // A system without authorities trusts nobody.
            None => Ok(Self(read_certificates(SYSTEM_AUTHORITIES).unwrap_or_default())),
        }
    }
}

/// Reads a certificate.
pub(super) fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, String> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|error| format!("a certificate cannot be read: {error}"))
}

/// An error if the certificate is not valid at `now_s`, does not lead to a root, or does not stand for `name`.
pub(super) fn verify(
    certificate: &X509Certificate<'_>,
    presented: &[X509Certificate<'_>],
    roots: &Roots,
    name: Option<&str>,
    now_s: i64,
) -> Result<(), String> {
    if let Some(name) = name.filter(|name| !stands_for(certificate, name)) {
        return Err(format!("the certificate is not valid for {name}"));
    }
    let roots: Vec<_> = roots.0.iter().filter_map(|der| parse(der).ok()).collect();
    let mut at = certificate;
    for _ in 0..CHAIN_MAX {
        valid_now(at, now_s)?;
        if roots.iter().any(|root| root.as_raw() == at.as_raw()) {
            return Ok(());
        }
        if roots.iter().any(|root| issued(root, at) && valid_now(root, now_s).is_ok()) {
            return Ok(());
        }
        let issuer = presented.iter().find(|other| other.as_raw() != at.as_raw() && issued(other, at));
        at = issuer.ok_or_else(|| format!("signed by an unknown authority: {}", at.issuer()))?;
    }
    Err(format!("more than {CHAIN_MAX} certificates in a chain"))
}

fn valid_now(certificate: &X509Certificate<'_>, now_s: i64) -> Result<(), String> {
    let validity = certificate.validity();
    if now_s < validity.not_before.timestamp() {
        return Err(format!("not valid before {}", validity.not_before));
    }
    if now_s > validity.not_after.timestamp() {
        return Err(format!("expired: not valid after {}", validity.not_after));
    }
    Ok(())
}

fn issued(issuer: &X509Certificate<'_>, certificate: &X509Certificate<'_>) -> bool {
    issuer.subject() == certificate.issuer()
        && issuer.is_ca()
        && certificate.verify_signature(Some(issuer.public_key())).is_ok()
}

/// Whether one of the alternative names is this one; `*` stands for one label at the beginning (RFC 6125).
fn stands_for(certificate: &X509Certificate<'_>, name: &str) -> bool {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return false };
    let address: Option<IpAddr> = name.trim_matches(['[', ']']).parse().ok();
    names.value.general_names.iter().any(|own| match (own, address) {
        (GeneralName::IPAddress(bytes), Some(IpAddr::V4(address))) => *bytes == address.octets(),
        (GeneralName::IPAddress(bytes), Some(IpAddr::V6(address))) => *bytes == address.octets(),
        (GeneralName::DNSName(own), None) => match own.strip_prefix("*.") {
            Some(rest) => name.split_once('.').is_some_and(|(_, parent)| parent.eq_ignore_ascii_case(rest)),
            None => own.eq_ignore_ascii_case(name),
        },
        _ => false,
    })
}
