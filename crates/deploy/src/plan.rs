//! All that renderers need: the cloud, its secrets, its certificates. Equal plans render equal files.

use std::collections::BTreeMap;

use crate::{
    cloud::{Cloud, Host},
    secrets::Secrets,
};

/// See the module's header.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Hosts, databases and the rest of the inventory.
    pub cloud: Cloud,
    /// Passwords.
    pub secrets: Secrets,
    /// Who is whom.
    pub certificates: Certificates,
}

/// Certificates in PEM, as they go to the hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificates {
    /// Whose signatures are trusted.
    pub authority: String,
    /// By name of host.
    pub hosts: BTreeMap<String, Identity>,
}

impl Certificates {
    /// That of a host.
    #[must_use]
    pub fn of(&self, host: &Host) -> Option<&Identity> {
        self.hosts.get(&host.name)
    }
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// With what leads from it to the authority.
    pub certificate: String,
    /// As PKCS #8.
    pub key: String,
}

/// Where files lie on every host; units, configurations and RUNBOOK.md agree on it.
pub mod paths {
    /// The binary.
    pub const BINARY: &str = "/usr/bin/skywatch";
    /// Configurations of Skywatch.
    pub const CONFIG: &str = "/etc/skywatch";
    /// Whose signatures are trusted (PEM).
    pub const AUTHORITY: &str = "/etc/skywatch/tls/ca.pem";
    /// The host's certificate (PEM).
    pub const CERTIFICATE: &str = "/etc/skywatch/tls/host.pem";
    /// Its key (PEM); for the user `skywatch`.
    pub const KEY: &str = "/etc/skywatch/tls/host.key";
    /// What nodes keep.
    pub const STATE: &str = "/var/lib/skywatch";
}
