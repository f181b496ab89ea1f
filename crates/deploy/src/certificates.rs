//! The certificates of a cloud in their directory: `ca.pem` and `ca.key`, `NAME.pem` and `NAME.key` of every host. What is
//! missing is made; an authority is never overwritten, and a certificate only when it no longer serves, or when asked.

mod authority;
mod inspect;

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use time::OffsetDateTime;

pub use authority::AuthorityError;
use authority::{Authority, Names};
pub use inspect::Condition;

use crate::{
    cloud::{Cloud, Host, Role},
    file::RenderedFile,
    output::{self, OutputError},
    plan::{Certificates, Identity},
};

const AUTHORITY: &str = "ca";
/// Certificates with less time left are told of, so that there is time to renew them.
pub const SOON_DAYS: i64 = 30;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of the directory is missing that cannot be made.
    #[error("{} is missing: {advice}", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
        /// What to do.
        advice: &'static str,
    },
    /// Nothing can be signed.
    #[error("{}", path.display())]
    Authority {
        /// The file that was to be made or used.
        path: PathBuf,
        /// Why not.
        source: AuthorityError,
    },
    /// Certificates that others made do not serve.
    #[error("{}: {condition}; it was made elsewhere (certificates.given), so have it replaced there", path.display())]
    Unfit {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        condition: Condition,
    },
    /// The inventory has no such host.
    #[error("{0:?} is no host of the inventory")]
    NoSuchHost(String),
    /// Certificates come from elsewhere.
    #[error("certificates.given is true in the inventory: nothing is signed here")]
    Given,
    /// They cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// See the module's header.
#[derive(Debug)]
pub struct Directory<'a> {
    dir: PathBuf,
    cloud: &'a Cloud,
    now: OffsetDateTime,
}

/// How a certificate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its file.
    pub path: PathBuf,
    /// The names and addresses it is for; none for an authority.
    pub names: Vec<String>,
    /// Whether it serves.
    pub condition: Condition,
}

impl<'a> Directory<'a> {
    /// That of a cloud, whose inventory is in a directory.
    #[must_use]
    pub fn of(cloud: &'a Cloud, beside: &Path, now: std::time::SystemTime) -> Self {
        Self { dir: beside.join(&cloud.certificates.directory), cloud, now: now.into() }
    }

    /// Makes the authority unless there is one; whether it did.
    ///
    /// # Errors
    /// When it cannot be made, or half of one is there.
    pub fn make_authority(&self) -> Result<bool, CertificateError> {
        if self.cloud.certificates.given {
            return Err(CertificateError::Given);
        }
        let (certificate, key) = self.files(AUTHORITY);
        match (certificate.exists(), key.exists()) {
            (true, _) => return Ok(false),
            (false, true) => {
                let advice =
                    "ca.key beside it belongs to it; put it back, or take the key away to begin anew";
                return Err(CertificateError::Missing { path: certificate, advice });
            }
            (false, false) => {}
        }
        let settings = &self.cloud.certificates;
        let authority = Authority::create(&self.cloud.name, settings.authority_days, self.now)
            .map_err(|source| CertificateError::Authority { path: certificate, source })?;
        self.write(AUTHORITY, &authority.identity())?;
        Ok(true)
    }

    /// Makes the certificates of hosts anew where `is_due` says so of their condition; the names of those hosts.
    ///
    /// # Errors
    /// When one cannot be made; those before it are there.
    pub fn issue(
        &self,
        hosts: &[&Host],
        is_due: impl Fn(&Condition) -> bool,
    ) -> Result<Vec<String>, CertificateError> {
        if self.cloud.certificates.given {
            return Err(CertificateError::Given);
        }
        let mut due = Vec::new();
        for host in hosts {
            if is_due(&self.condition(host)?) {
                due.push(*host);
            }
        }
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let authority = self.authority()?;
        for host in &due {
            let (path, _) = self.files(&host.name);
            let identity = authority
                .issue(&names(self.cloud, host), self.cloud.certificates.days, self.now)
                .map_err(|source| CertificateError::Authority { path, source })?;
            self.write(&host.name, &identity)?;
        }
        Ok(due.into_iter().map(|host| host.name.clone()).collect())
    }

    /// The authority first, then every host.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn show(&self) -> Result<Vec<Shown>, CertificateError> {
        let (path, _) = self.files(AUTHORITY);
        let condition = match read_if_there(&path)? {
            Some(text) => inspect::authority(&text, self.now),
            None => Condition::Missing,
        };
        let mut all = vec![Shown { path, names: Vec::new(), condition }];
        for host in &self.cloud.hosts {
            let (path, _) = self.files(&host.name);
            let names = read_if_there(&path)?.map(|text| inspect::names(&text)).unwrap_or_default();
            all.push(Shown { path, names, condition: self.condition(host)? });
        }
        Ok(all)
    }

    /// All that goes to hosts. Makes nothing; what does not serve is an error.
    ///
    /// # Errors
    /// When one is missing or does not serve.
    pub fn load(&self) -> Result<Certificates, CertificateError> {
        let authority = read_one(&self.files(AUTHORITY).0)?;
        let mut loaded = Certificates { authority, ..Certificates::default() };
        for host in &self.cloud.hosts {
            let (certificate, key) = self.files(&host.name);
            let condition = self.condition(host)?;
            if self.cloud.certificates.given && !condition.serves() {
                return Err(CertificateError::Unfit { path: certificate, condition });
            }
            let identity = Identity { certificate: read_one(&certificate)?, key: read_one(&key)? };
            loaded.hosts.insert(host.name.clone(), identity);
        }
        Ok(loaded)
    }

    /// How the certificate of a host stands.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn condition(&self, host: &Host) -> Result<Condition, CertificateError> {
        let (certificate, key) = self.files(&host.name);
        let authority = read_if_there(&self.files(AUTHORITY).0)?;
        let (Some(certificate), Some(key), Some(authority)) =
            (read_if_there(&certificate)?, read_if_there(&key)?, authority)
        else {
            return Ok(Condition::Missing);
        };
        let identity = Identity { certificate, key };
        Ok(inspect::host(&identity, &authority, &names(self.cloud, host), self.now))
    }

    fn authority(&self) -> Result<Authority, CertificateError> {
        let (certificate, key) = self.files(AUTHORITY);
        if !key.exists() {
            let advice = "it signs the certificates of hosts; put it there for as long as that takes";
            return Err(CertificateError::Missing { path: key, advice });
        }
        let identity = Identity { certificate: read_one(&certificate)?, key: read_one(&key)? };
        Authority::load(identity).map_err(|source| CertificateError::Authority { path: certificate, source })
    }

    /// The key first: a certificate without its key would look like one that is whole.
    fn write(&self, name: &str, identity: &Identity) -> Result<(), CertificateError> {
        output::make_private_dir(&self.dir)?;
        let file = |end: &str, text: &str| RenderedFile::beside(&format!("{name}.{end}"), text);
        output::write_file(&self.dir, &file("key", &identity.key).secret())?;
        output::write_file(&self.dir, &file("pem", &identity.certificate))?;
        Ok(())
    }

    fn files(&self, name: &str) -> (PathBuf, PathBuf) {
        (self.dir.join(format!("{name}.pem")), self.dir.join(format!("{name}.key")))
    }
}

/// What a host is called by whoever connects to it. By `localhost` it is from the host itself.
fn names(cloud: &Cloud, host: &Host) -> Names {
    let full = cloud.full_name(&host.name);
    let mut dns = vec![full.clone(), host.name.clone(), "localhost".to_owned()];
    let mut addresses = host.addresses.clone();
    if let Some(shared) = cloud.virtual_address.as_ref().filter(|_| host.has(Role::Front)) {
        dns.extend([cloud.full_name(&shared.name), shared.name.clone()]);
        addresses.push(shared.network.address);
    }
    addresses.extend([IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)]);
    dns.dedup();
    Names { common: full, dns, addresses, organisation: cloud.name.clone() }
}

fn read_if_there(path: &Path) -> Result<Option<String>, CertificateError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CertificateError::Unreadable { path: path.to_path_buf(), source }),
    }
}

fn read_one(path: &Path) -> Result<String, CertificateError> {
    let advice = "`skywatch cert issue` makes it, unless certificates come from elsewhere";
    read_if_there(path)?.ok_or_else(|| CertificateError::Missing { path: path.to_path_buf(), advice })
}

#[cfg(test)]
mod tests;
