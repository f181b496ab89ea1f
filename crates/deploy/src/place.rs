//! An inventory on disk and what lies beside it: its secrets, its certificates. Opening it makes what is missing.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    RenderedFile,
    certificates::{CertificateError, Condition, Directory},
    cloud::Cloud,
    inventory,
    output::{self, OutputError},
    plan::{Certificates, Plan},
    problem::Problems,
    secrets::{Secrets, SecretsError},
};

/// The name of the file of secrets.
const SECRETS: &str = "secrets.toml";

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The inventory is wrong.
    #[error("{}: nothing can be rendered of this:\n{problems}", path.display())]
    Inventory {
        /// The file.
        path: PathBuf,
        /// All that is wrong with it.
        problems: Problems,
    },
    /// The secrets are no such file.
    #[error("{}", path.display())]
    Secrets {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: SecretsError,
    },
    /// Certificates are missing that cannot be made, or do not serve.
    #[error("certificates")]
    Certificates(#[from] CertificateError),
    /// What is missing cannot be made.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// What was found and made.
#[derive(Debug)]
pub struct Opened {
    /// What can be rendered.
    pub plan: Plan,
    /// Warnings and hints about the inventory.
    pub problems: Problems,
    /// What was made beside the inventory, in words.
    pub made: Vec<String>,
}

/// Reads an inventory and what lies beside it.
///
/// # Errors
/// See [`PlaceError`]. Nothing is made when the inventory is wrong.
pub fn open(path: &Path, now: SystemTime) -> Result<Opened, PlaceError> {
    let (cloud, problems) = read_inventory(path)?;
    let beside = beside(path);
    let mut made = Vec::new();
    let secrets = secrets(beside, &cloud, &mut made)?;
    let certificates = certificates(&Directory::of(&cloud, beside, now), &cloud, &mut made)?;
    Ok(Opened { plan: Plan { cloud, secrets, certificates }, problems, made })
}

/// Reads an inventory alone.
///
/// # Errors
/// When it cannot be read or is wrong.
pub fn read_inventory(path: &Path) -> Result<(Cloud, Problems), PlaceError> {
    let text = read(path)?;
    inventory::read(&text).map_err(|problems| PlaceError::Inventory { path: path.to_path_buf(), problems })
}

/// The directory of an inventory, which what belongs to it is relative to.
#[must_use]
pub fn beside(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the certificates that are missing or no longer fit their hosts. What only grows old is told of: whoever renews it
/// has files to copy.
fn certificates(
    directory: &Directory<'_>,
    cloud: &Cloud,
    made: &mut Vec<String>,
) -> Result<Certificates, PlaceError> {
    if !cloud.certificates.given {
        if directory.make_authority()? {
            made.push(format!("{}: made an authority; keep ca.key safe", cloud.certificates.directory));
        }
        let hosts: Vec<_> = cloud.hosts.iter().collect();
        let is_due = |condition: &Condition| !condition.serves() && !matches!(condition, Condition::Ended(_));
        let issued = directory.issue(&hosts, is_due)?;
        if !issued.is_empty() {
            made.push(format!("{}: certificates of {}", cloud.certificates.directory, issued.join(", ")));
        }
    }
    for shown in directory.show()? {
        if !matches!(shown.condition, Condition::Valid(_)) {
            made.push(format!(
                "warning: {}: {}; see `skywatch cert renew`",
                shown.path.display(),
                shown.condition
            ));
        }
    }
    Ok(directory.load()?)
}

fn secrets(beside: &Path, cloud: &Cloud, made: &mut Vec<String>) -> Result<Secrets, PlaceError> {
    let path = beside.join(SECRETS);
    let is_new = !path.exists();
    let failed = |source| PlaceError::Secrets { path: path.clone(), source };
    let mut secrets =
        if is_new { Secrets::default() } else { Secrets::parse(&read(&path)?).map_err(failed)? };
    if secrets.complete(cloud) {
        let text = secrets.to_text().map_err(failed)?;
        output::write_file(beside, &RenderedFile::beside(SECRETS, text).secret())?;
        let what =
            if is_new { "made, readable for its owner only: keep it safe" } else { "added what was missing" };
        made.push(format!("{}: {what}", path.display()));
    }
    Ok(secrets)
}

fn read(path: &Path) -> Result<String, PlaceError> {
    fs::read_to_string(path).map_err(|source| PlaceError::Unreadable { path: path.to_path_buf(), source })
}
