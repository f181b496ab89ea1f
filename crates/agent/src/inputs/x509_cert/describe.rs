//! What a certificate says of itself, as tags and fields. Pure.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::metric::Metric;

/// A certificate's place in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Leaf,
    Intermediate,
    Root,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Leaf => "leaf",
            Self::Intermediate => "intermediate",
            Self::Root => "root",
        }
    }
}

/// An authority is a root if it names itself as its issuer.
pub(super) fn kind(certificate: &X509Certificate<'_>) -> Kind {
    match (certificate.is_ca(), certificate.subject() == certificate.issuer()) {
        (true, true) => Kind::Root,
        (true, false) => Kind::Intermediate,
        (false, _) => Kind::Leaf,
    }
}

/// Sets the tags of names and algorithms and the fields of times and the key.
pub(super) fn add(metric: &mut Metric, certificate: &X509Certificate<'_>, pad_serial: bool, now_s: i64) {
    let (subject, issuer) = (certificate.subject(), certificate.issuer());
    let serial = format!("{:x}", certificate.serial);
    let mut tag = |key: &'static str, value: String| {
        if !value.is_empty() {
            metric.set_tag(key, value);
        }
    };
    tag("common_name", first(subject.iter_common_name()));
    tag("serial_number", if pad_serial { format!("{serial:0>16}") } else { serial });
    tag(
        "signature_algorithm",
        signature_algorithm(&certificate.signature_algorithm.algorithm.to_id_string()),
    );
    tag("organization", first(subject.iter_organization()));
    tag("organizational_unit", first(subject.iter_organizational_unit()));
    tag("country", first(subject.iter_country()));
    tag("province", first(subject.iter_state_or_province()));
    tag("locality", first(subject.iter_locality()));
    tag("issuer_common_name", first(issuer.iter_common_name()));
    tag("issuer_serial_number", serial_of(issuer));
    tag("san", alternative_names(certificate).join(","));
    let (algorithm, bits) = key(certificate);
    tag("public_key_algorithm", algorithm.to_owned());
    let (start, end) =
        (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    metric.set_field("age", now_s - start);
    metric.set_field("expiry", end - now_s);
    metric.set_field("startdate", start);
    metric.set_field("enddate", end);
    if let Some(bits) = bits {
        metric.set_field("public_key_length", bits);
    }
}

fn first<'a>(mut values: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>) -> String {
    values.next().and_then(|value| value.as_str().ok()).unwrap_or_default().to_owned()
}

/// The attribute `serialNumber` of a name, which is not the certificate's.
fn serial_of(name: &X509Name<'_>) -> String {
    first(name.iter_by_oid(&x509_parser::oid_registry::OID_X509_SERIALNUMBER))
}

/// Names, addresses, mail addresses and URIs that the certificate stands for as well.
fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let shown = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
            Some((*name).to_owned())
        }
        GeneralName::IPAddress(bytes) => match *bytes {
            [a, b, c, d] => Some(Ipv4Addr::new(*a, *b, *c, *d).to_string()),
            bytes => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string()),
        },
        _ => None,
    };
    names.value.general_names.iter().filter_map(shown).collect()
}

/// The key's algorithm, and its bits.
fn key(certificate: &X509Certificate<'_>) -> (&'static str, Option<u64>) {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => {
            let modulus = key.modulus.iter().skip_while(|byte| **byte == 0);
            let bits = modulus.clone().next().map_or(0, |first| 8 - first.leading_zeros() as u64)
                + (modulus.count() as u64).saturating_sub(1) * 8;
            ("RSA", Some(bits))
        }
        Ok(PublicKey::EC(point)) => ("ECDSA", Some(point.key_size() as u64)),
        Ok(PublicKey::DSA(_)) => ("DSA", None),
        _ => match certificate.public_key().algorithm.algorithm.to_id_string().as_str() {
            "1.3.101.112" => ("Ed25519", Some(256)),
            _ => ("", None),
        },
    }
}

/// The names that Go has for them.
fn signature_algorithm(oid: &str) -> String {
    let name = match oid {
        "1.2.840.113549.1.1.4" => "MD5-RSA",
        "1.2.840.113549.1.1.5" => "SHA1-RSA",
        "1.2.840.113549.1.1.11" => "SHA256-RSA",
        "1.2.840.113549.1.1.12" => "SHA384-RSA",
        "1.2.840.113549.1.1.13" => "SHA512-RSA",
        "1.2.840.113549.1.1.10" => "RSAPSS",
        "1.2.840.10045.4.1" => "ECDSA-SHA1",
        "1.2.840.10045.4.3.2" => "ECDSA-SHA256",
        "1.2.840.10045.4.3.3" => "ECDSA-SHA384",
        "1.2.840.10045.4.3.4" => "ECDSA-SHA512",
        "1.3.101.112" => "Ed25519",
        other => other,
    };
    name.to_owned()
}
