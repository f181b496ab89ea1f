//! Looks at certificates: for whom they are, until when, and whether they serve.

use std::{fmt, net::IpAddr};

use rcgen::{KeyPair, PublicKeyData as _};
use time::{Duration, OffsetDateTime};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, pem::Pem, prelude::FromDer as _};

use super::{SOON_DAYS, authority::Names};
use crate::plan::Identity;

/// How a certificate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// It serves, until then.
    Valid(OffsetDateTime),
    /// It serves, not for long.
    EndsSoon(OffsetDateTime),
    /// It served until then.
    Ended(OffsetDateTime),
    /// It will serve from then on: a clock is wrong.
    NotYet(OffsetDateTime),
    /// The host has a name or an address by now that it is not for.
    LacksNames(Vec<String>),
    /// Another authority made it.
    OtherAuthority,
    /// The key beside it is another's.
    OtherKey,
    /// The file is no certificate.
    Broken,
    /// There is none.
    Missing,
}

impl Condition {
    /// Whether nodes take it today.
    #[must_use]
    pub fn serves(&self) -> bool {
        matches!(self, Self::Valid(_) | Self::EndsSoon(_))
    }

    /// Whether it ends within so many days, or has.
    #[must_use]
    pub fn ends_within(&self, days: i64, now: std::time::SystemTime) -> bool {
        let now = OffsetDateTime::from(now);
        match self {
            Self::Valid(ends) | Self::EndsSoon(ends) | Self::Ended(ends) => {
                *ends <= now + Duration::days(days)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid(ends) => write!(f, "valid until {}", day(*ends)),
            Self::EndsSoon(ends) => write!(f, "ends soon, on {}", day(*ends)),
            Self::Ended(ends) => write!(f, "ended on {}", day(*ends)),
            Self::NotYet(begins) => write!(f, "begins on {} only: is the clock right?", day(*begins)),
            Self::LacksNames(names) => write!(f, "is not for {}", names.join(", ")),
            Self::OtherAuthority => write!(f, "was not signed by ca.pem"),
            Self::OtherKey => write!(f, "has another key than the file beside it"),
            Self::Broken => write!(f, "is no certificate in PEM"),
            Self::Missing => write!(f, "is missing"),
        }
    }
}

/// How the certificate of a host stands.
pub(super) fn host(identity: &Identity, authority: &str, wanted: &Names, now: OffsetDateTime) -> Condition {
    let key = KeyPair::from_pem(&identity.key);
    let read = |pem: &Pem| -> Option<Condition> {
        let certificate = pem.parse_x509().ok()?;
        let own = names_of(&certificate);
        let wanted: Vec<String> =
            wanted.dns.iter().cloned().chain(wanted.addresses.iter().map(ToString::to_string)).collect();
        let lacking: Vec<String> = wanted.into_iter().filter(|name| !own.contains(name)).collect();
        Some(if !lacking.is_empty() { Condition::LacksNames(lacking) } else { time_of(&certificate, now) })
    };
    let Some(pem) = first(&identity.certificate) else { return Condition::Broken };
    let Some(condition) = read(&pem) else { return Condition::Broken };
    match key {
        // A key of another kind than those made here cannot be looked at by this library.
        Ok(key) if !belong_together(&identity.certificate, &key) => return Condition::OtherKey,
        _ => {}
    }
    if !is_signed_by(&identity.certificate, authority) {
        return Condition::OtherAuthority;
    }
    condition
}

/// How an authority stands.
pub(super) fn authority(text: &str, now: OffsetDateTime) -> Condition {
    let Some(pem) = first(text) else { return Condition::Broken };
    pem.parse_x509().map_or(Condition::Broken, |certificate| time_of(&certificate, now))
}

/// Until when an authority may sign, if it is one.
pub(super) fn authority_ends(text: &str) -> Option<OffsetDateTime> {
    let pem = first(text)?;
    let certificate = pem.parse_x509().ok()?;
    certificate.is_ca().then(|| certificate.validity().not_after.to_datetime())
}

/// Whether a key is that of a certificate.
pub(super) fn belong_together(certificate: &str, key: &KeyPair) -> bool {
    first(certificate).is_some_and(|pem| {
        pem.parse_x509()
            .is_ok_and(|certificate| certificate.public_key().raw == key.subject_public_key_info())
    })
}

/// The names and addresses that a certificate is for.
pub(super) fn names(text: &str) -> Vec<String> {
    first(text)
        .and_then(|pem| pem.parse_x509().ok().map(|certificate| names_of(&certificate)))
        .unwrap_or_default()
}

/// As people write a day.
pub(super) fn day(time: OffsetDateTime) -> String {
    format!("{:04}-{:02}-{:02}", time.year(), u8::from(time.month()), time.day())
}

fn time_of(certificate: &X509Certificate<'_>, now: OffsetDateTime) -> Condition {
    let validity = certificate.validity();
    let (begins, ends) = (validity.not_before.to_datetime(), validity.not_after.to_datetime());
    if now < begins {
        Condition::NotYet(begins)
    } else if now >= ends {
        Condition::Ended(ends)
    } else if ends <= now + Duration::days(SOON_DAYS) {
        Condition::EndsSoon(ends)
    } else {
        Condition::Valid(ends)
    }
}

/// Whether the authority, or an intermediate one that comes with the certificate, signed it.
fn is_signed_by(chain: &str, authority: &str) -> bool {
    let links: Vec<Pem> = Pem::iter_from_buffer(chain.as_bytes()).filter_map(Result::ok).collect();
    let roots: Vec<Pem> = Pem::iter_from_buffer(authority.as_bytes()).filter_map(Result::ok).collect();
    let signs = |signer: &Pem, signed: &Pem| -> bool {
        let (Ok(signer), Ok(signed)) = (signer.parse_x509(), signed.parse_x509()) else { return false };
        signed.verify_signature(Some(signer.public_key())).is_ok()
    };
    let Some(last) = links.last() else { return false };
    links.windows(2).all(|pair| signs(&pair[1], &pair[0])) && roots.iter().any(|root| signs(root, last))
}

fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
            _ => None,
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn first(text: &str) -> Option<Pem> {
    let pem = Pem::iter_from_buffer(text.as_bytes()).next()?.ok()?;
    let is_whole = X509Certificate::from_der(&pem.contents).is_ok_and(|(rest, _)| rest.is_empty());
    is_whole.then_some(pem)
}
