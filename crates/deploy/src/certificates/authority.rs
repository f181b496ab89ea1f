//! An authority of one's own: a key that signs the certificates of hosts. ECDSA on P-256 throughout, which every
//! counterpart speaks.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use time::{Duration, OffsetDateTime};

use super::inspect;
use crate::plan::Identity;

/// Clocks that are slow take a new certificate all the same.
const BEFORE: Duration = Duration::days(1);

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// What the library says.
    #[error("cannot be made or used: {0}")]
    Library(#[from] rcgen::Error),
    /// The certificate and the key beside it are no authority.
    #[error("is no authority: {0}")]
    NoAuthority(&'static str),
    /// A certificate must not outlive who vouches for it.
    #[error(
        "the authority is valid until {0} only: make a new one in another directory, and let all hosts trust both before the change"
    )]
    Ends(String),
}

/// What a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) common: String,
    pub(super) organisation: String,
    pub(super) dns: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
}

/// See the module's header.
pub(super) struct Authority {
    identity: Identity,
    issuer: Issuer<'static, KeyPair>,
    ends: OffsetDateTime,
}

impl Authority {
    /// A new one.
    pub(super) fn create(cloud: &str, days: u32, now: OffsetDateTime) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = distinguished_name(&format!("{cloud} authority"), cloud);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = now - BEFORE;
        params.not_after = now + Duration::days(days.into());
        let identity = Identity { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() };
        Self::load(identity)
    }

    /// One that was made before.
    pub(super) fn load(identity: Identity) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(&identity.key)?;
        if !inspect::belong_together(&identity.certificate, &key) {
            return Err(AuthorityError::NoAuthority("ca.key is not the key of ca.pem"));
        }
        let Some(ends) = inspect::authority_ends(&identity.certificate) else {
            return Err(AuthorityError::NoAuthority("ca.pem is not for signing certificates"));
        };
        let issuer = Issuer::from_ca_cert_pem(&identity.certificate, key)?;
        Ok(Self { identity, issuer, ends })
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity.clone()
    }

    /// A certificate, for both ends of connections, with a key of its own.
    pub(super) fn issue(
        &self,
        names: &Names,
        days: u32,
        now: OffsetDateTime,
    ) -> Result<Identity, AuthorityError> {
        if self.ends <= now + Duration::days(super::SOON_DAYS) {
            return Err(AuthorityError::Ends(inspect::day(self.ends)));
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(names.dns.clone())?;
        params.subject_alt_names.extend(names.addresses.iter().copied().map(SanType::IpAddress));
        params.distinguished_name = distinguished_name(&names.common, &names.organisation);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = now - BEFORE;
        params.not_after = (now + Duration::days(days.into())).min(self.ends);
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn distinguished_name(common: &str, organisation: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, organisation);
    name.push(DnType::CommonName, common);
    name
}
