//! The catalogue of a single server, on its own disk.
//!
//! The whole catalogue is one small file, replaced atomically by every change: written beside, fsynced, renamed,
//! directory fsynced. A change is acknowledged only after that, and a crash leaves the old file or the new one. Its bytes are
//! those of [`Catalogue::to_bytes`].

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::{Mutex, RwLock};

use crate::{
    catalogue::Catalogue,
    command::{Applied, Command},
    error::CatalogueError,
    format::DecodeError,
};

const FILE_NAME: &str = "catalogue.json";

/// Why the catalogue could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The command is wrong; nothing changed.
    #[error(transparent)]
    Refused(#[from] CatalogueError),
    /// The disk refused; nothing was acknowledged.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file is not what was written.
    #[error(
        "{} is damaged ({reason}); restore it from a backup: without it the shards beside it have no names",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What disagrees.
        reason: String,
    },
    /// The catalogue is kept by others, and they could not carry the command out.
    #[error("meta service unavailable: {0}")]
    Unavailable(String),
    /// The file was written by a later release.
    #[error("{} cannot be read: {source}", path.display())]
    Later {
        /// The file.
        path: PathBuf,
        /// What is too new.
        source: DecodeError,
    },
}

/// Keeps a [`Catalogue`] on disk. Readers take the current one without waiting for writers.
///
/// Lock order: `writing`, then `current`. What survives a crash: every command that was acknowledged.
#[derive(Debug)]
pub struct CatalogueHost {
    directory: PathBuf,
    current: RwLock<Arc<Catalogue>>,
    writing: Mutex<()>,
    autogen: bool,
}

impl CatalogueHost {
    /// Reads the catalogue kept in `directory`, or begins an empty one.
    pub fn open(directory: &Path) -> Result<Self, HostError> {
        fs::create_dir_all(directory).map_err(io_error("create", directory))?;
        let path = directory.join(FILE_NAME);
        let catalogue = match fs::read(&path) {
            Ok(bytes) => Catalogue::from_bytes(&bytes).map_err(|error| unreadable(&path, error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Catalogue::default(),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        Ok(Self {
            directory: directory.to_path_buf(),
            current: RwLock::new(Arc::new(catalogue)),
            writing: Mutex::new(()),
            autogen: true,
        })
    }

    /// Whether databases that are created without a policy begin with `autogen`; they do unless this says otherwise.
    #[must_use]
    pub fn with_autogen(self, autogen: bool) -> Self {
        Self { autogen, ..self }
    }

    /// The catalogue as of now; it does not change under the reader.
    pub fn current(&self) -> Arc<Catalogue> {
        Arc::clone(&self.current.read())
    }

    /// Carries out a command; when this returns, the change is durable and visible.
    pub fn execute(&self, command: &Command) -> Result<Applied, HostError> {
        let _writing = self.writing.lock();
        let mut next = (*self.current()).clone();
        let applied = if self.autogen {
            next.apply(command)?
        } else {
            let command = command.clone().without_autogen();
            // Nobody else reads this catalogue: it need not wait for other nodes to rise to a level.
            next.apply(&Command::RaiseFeatureLevel { level: command.min_level() })?;
            next.apply(&command)?
        };
        if applied.changed {
            self.persist(&next)?;
            *self.current.write() = Arc::new(next);
        }
        Ok(applied)
    }

    fn persist(&self, catalogue: &Catalogue) -> Result<(), HostError> {
        let path = self.directory.join(FILE_NAME);
        let beside = self.directory.join(format!("{FILE_NAME}.new"));
        let mut file = create_private(&beside).map_err(io_error("create", &beside))?;
        file.write_all(&catalogue.to_bytes()).map_err(io_error("write", &beside))?;
        file.sync_all().map_err(io_error("fsync", &beside))?;
        fs::rename(&beside, &path).map_err(io_error("rename", &path))?;
        let directory = File::open(&self.directory).map_err(io_error("open", &self.directory))?;
        directory.sync_all().map_err(io_error("fsync", &self.directory))
    }
}

/// An empty file that only its owner may read: it will hold hashes of passwords.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HostError {
    let path = path.to_path_buf();
    move |source| HostError::Io { action, path, source }
}

fn unreadable(path: &Path, error: DecodeError) -> HostError {
    let path = path.to_path_buf();
    match error {
        DecodeError::Corrupt(reason) => HostError::Corrupt { path, reason },
        source @ (DecodeError::Version(_) | DecodeError::Level { .. }) => HostError::Later { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create_database(name: &str) -> Command {
        Command::CreateDatabase { name: name.into(), policy: None }
    }

    #[test]
    fn what_was_acknowledged_is_there_after_reopening() {
        let directory = tempfile::tempdir().unwrap();
        let host = CatalogueHost::open(directory.path()).unwrap();
        host.execute(&create_database("a")).unwrap();
        assert!(host.execute(&create_database("..")).is_err());
        host.execute(&create_database("b")).unwrap();
        let expected = host.current();
        drop(host);
        assert_eq!(*CatalogueHost::open(directory.path()).unwrap().current(), *expected);
    }

    #[test]
    fn without_autogen_databases_begin_bare() {
        let directory = tempfile::tempdir().unwrap();
        let host = CatalogueHost::open(directory.path()).unwrap();
        host.execute(&create_database("before")).unwrap();
        let host = host.with_autogen(false);
        assert!(host.execute(&create_database("a")).unwrap().changed);
        assert!(!host.execute(&create_database("before")).unwrap().changed, "it stays as it is");
        let policies = |name: &str| {
            let host = CatalogueHost::open(directory.path()).unwrap().current();
            host.database(name).unwrap().retention_policies.len()
        };
        assert_eq!((policies("before"), policies("a")), (1, 0));
        let bare =
            host.current().database("a").unwrap().retention_policy("").map(|policy| policy.name.clone());
        assert_eq!(bare, None, "no policy is meant where none is named");
    }

    #[test]
    fn every_flipped_byte_is_noticed_and_the_file_named() {
        let directory = tempfile::tempdir().unwrap();
        let host = CatalogueHost::open(directory.path()).unwrap();
        host.execute(&create_database("a")).unwrap();
        let path = directory.path().join(FILE_NAME);
        let good = fs::read(&path).unwrap();
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x11;
            fs::write(&path, &bad).unwrap();
            let error = CatalogueHost::open(directory.path()).unwrap_err().to_string();
            assert!(error.contains(FILE_NAME), "{error}");
        }
    }

    #[test]
    fn a_torn_replacement_leaves_the_old_catalogue() {
        let directory = tempfile::tempdir().unwrap();
        let host = CatalogueHost::open(directory.path()).unwrap();
        host.execute(&create_database("a")).unwrap();
        fs::write(directory.path().join("catalogue.json.new"), b"skywatch cata").unwrap();
        let reopened = CatalogueHost::open(directory.path()).unwrap();
        assert!(reopened.current().database("a").is_some());
        reopened.execute(&create_database("b")).unwrap();
    }
}
