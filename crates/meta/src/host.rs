//! The catalogue of a single server, on its own disk.
//!
//! The whole catalogue is one small file, replaced atomically by every change: written beside, fsynced, renamed,
//! directory fsynced. A change is acknowledged only after that, and a crash leaves the old file or the new one.
//!
//! ```text
//! skywatch catalogue 2 crc32c=0a1b2c3d\n      format version; checksum of all that follows
//! { "databases": [...], ... }\n                the catalogue as JSON
//! ```

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
};

const FILE_NAME: &str = "catalogue.json";
const FORMAT_VERSION: &str = "2";
/// Formats that are read: version 1 knew no users, continuous queries and subscriptions.
const FORMAT_VERSIONS_READ: [&str; 2] = ["1", FORMAT_VERSION];

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
    #[error("{} has format version {found}, this release reads {FORMAT_VERSION}: use a newer skywatch", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
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
}

impl CatalogueHost {
    /// Reads the catalogue kept in `directory`, or begins an empty one.
    pub fn open(directory: &Path) -> Result<Self, HostError> {
        fs::create_dir_all(directory).map_err(io_error("create", directory))?;
        let path = directory.join(FILE_NAME);
        let catalogue = match fs::read(&path) {
            Ok(bytes) => decode(&path, &bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Catalogue::default(),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        Ok(Self {
            directory: directory.to_path_buf(),
            current: RwLock::new(Arc::new(catalogue)),
            writing: Mutex::new(()),
        })
    }

    /// The catalogue as of now; it does not change under the reader.
    pub fn current(&self) -> Arc<Catalogue> {
        Arc::clone(&self.current.read())
    }

    /// Carries out a command; when this returns, the change is durable and visible.
    pub fn execute(&self, command: &Command) -> Result<Applied, HostError> {
        let _writing = self.writing.lock();
        let mut next = (*self.current()).clone();
        let applied = next.apply(command)?;
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
        file.write_all(&encode(catalogue)).map_err(io_error("write", &beside))?;
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

fn encode(catalogue: &Catalogue) -> Vec<u8> {
    let mut json = serde_json::to_vec(catalogue).expect("records of strings and numbers always encode");
    json.push(b'\n');
    let mut bytes =
        format!("skywatch catalogue {FORMAT_VERSION} crc32c={:08x}\n", crc32c::crc32c(&json)).into_bytes();
    bytes.extend_from_slice(&json);
    bytes
}

fn decode(path: &Path, bytes: &[u8]) -> Result<Catalogue, HostError> {
    let corrupt = |reason: String| HostError::Corrupt { path: path.to_path_buf(), reason };
    let header_end = bytes
        .iter()
        .position(|&byte| byte == b'\n')
        .ok_or_else(|| corrupt("it has no header line".into()))?;
    let header = std::str::from_utf8(&bytes[..header_end])
        .map_err(|_| corrupt("its header line is not text".into()))?;
    let (version, checksum) = header
        .strip_prefix("skywatch catalogue ")
        .and_then(|rest| rest.split_once(" crc32c="))
        .ok_or_else(|| corrupt(format!("its header line is {header:?}")))?;
    if !FORMAT_VERSIONS_READ.contains(&version) {
        return Err(HostError::Version { path: path.to_path_buf(), found: version.into() });
    }
    let json = &bytes[header_end + 1..];
    let found = format!("{:08x}", crc32c::crc32c(json));
    if found != checksum {
        return Err(corrupt(format!("checksum {found}, expected {checksum}")));
    }
    let catalogue: Catalogue = serde_json::from_slice(json).map_err(|error| corrupt(error.to_string()))?;
    catalogue.check().map_err(corrupt)?;
    Ok(catalogue)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NodeId, PasswordHash, Privilege, Subscription, SubscriptionMode};

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

    /// One of everything that a catalogue holds.
    fn full() -> Catalogue {
        let (database, retention_policy) = ("a".to_owned(), "autogen".to_owned());
        let mut catalogue = Catalogue::default();
        for command in [
            create_database("a"),
            Command::CreateShardGroup {
                database: database.clone(),
                retention_policy: retention_policy.clone(),
                time_ns: 0,
                nodes: vec![NodeId(1)],
            },
            Command::CreateContinuousQuery {
                database: database.clone(),
                name: "q".into(),
                text:
                    "CREATE CONTINUOUS QUERY q ON a BEGIN SELECT mean(v) INTO a.autogen.n FROM a.autogen.m \
                       GROUP BY time(1m) END"
                        .into(),
            },
            Command::CreateSubscription {
                database: database.clone(),
                retention_policy,
                subscription: Subscription {
                    name: "s".into(),
                    mode: SubscriptionMode::Any,
                    destinations: vec!["http://127.0.0.1:9092".into()],
                },
            },
            Command::CreateUser { name: "u".into(), password: PasswordHash::new("$2b$10$..."), admin: true },
            Command::Grant { user: "u".into(), database, privilege: Privilege::Read },
        ] {
            catalogue.apply(&command).unwrap();
        }
        catalogue
    }

    #[test]
    fn the_encoding_is_stable() {
        assert_eq!(
            String::from_utf8(encode(&full())).unwrap(),
            include_str!("../tests/golden/catalogue-v2.json"),
            "the format changed: raise FORMAT_VERSION and keep reading the old one"
        );
    }

    #[test]
    fn every_format_ever_written_is_read() {
        let read = |bytes: &[u8]| decode(Path::new(FILE_NAME), bytes).unwrap();
        let mut first = Catalogue::default();
        first.apply(&create_database("a")).unwrap();
        assert_eq!(read(include_bytes!("../tests/golden/catalogue-v1.json")), first);
        assert_eq!(read(include_bytes!("../tests/golden/catalogue-v2.json")), full());
        let written = String::from_utf8(encode(&first)).unwrap();
        let later = written.replacen(&format!("catalogue {FORMAT_VERSION} "), "catalogue 3 ", 1);
        assert_ne!(later, written);
        let error = decode(Path::new(FILE_NAME), later.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("version 3") && error.contains("newer skywatch"), "{error}");
    }
}
