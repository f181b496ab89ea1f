//! The state on disk: one file, replaced as a whole.
//!
//! ```text
//! skywatch-alert-state 1 <crc32c of the rest, 8 hex digits> <length of the rest in bytes>\n
//! <JSON>
//! ```
//!
//! A save writes `alerts.state.new`, syncs it, renames it over `alerts.state` and syncs the directory: after a crash
//! there is the state of before or of after. A file that does not match its checksum is set aside under another
//! name and reported; the engine then begins afresh, which at worst tells of a firing alert a second time.

use std::{
    cmp::Ordering,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{Time, core::Snapshot};

const FILE: &str = "alerts.state";
const MAGIC: &str = "skywatch-alert-state";
const VERSION: u32 = 1;

/// Why the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system refused.
    #[error("{operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A later Skywatch wrote it; to go on would lose what it knows.
    #[error("{} is of format {found}, and this Skywatch reads up to {VERSION}: run the newer Skywatch, or move the file away", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The state cannot be encoded.
    #[error("the alert state cannot be encoded")]
    Encode(#[source] serde_json::Error),
}

/// Where the state is kept.
#[derive(Debug, Clone)]
pub(crate) struct StateFile {
    dir: PathBuf,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) snapshot: Snapshot,
    /// Set when a damaged file was set aside.
    pub(crate) problem: Option<String>,
}

impl StateFile {
    /// Uses a directory, making it if need be.
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(|source| failed("create", dir, source))?;
        Ok(Self { dir: dir.to_owned() })
    }

    fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    /// Reads the state; a damaged file is set aside.
    pub(crate) fn load(&self, now: Time) -> Result<Loaded, StoreError> {
        let path = self.path();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::default()),
            Err(source) => return Err(failed("read", &path, source)),
        };
        let damage = match decode(&bytes) {
            Ok(snapshot) => return Ok(Loaded { snapshot, problem: None }),
            Err(Damage::Newer(found)) => return Err(StoreError::Newer { path, found }),
            Err(Damage::Corrupt(what)) => what,
        };
        let aside = self.dir.join(format!("{FILE}.corrupt-{}", now.millis()));
        fs::rename(&path, &aside).map_err(|source| failed("set aside", &path, source))?;
        let problem = format!(
            "{} was damaged ({damage}) and is kept as {}; alert states begin afresh",
            path.display(),
            aside.display()
        );
        Ok(Loaded { snapshot: Snapshot::default(), problem: Some(problem) })
    }

    /// Replaces the state. Returns once it is on disk.
    pub(crate) fn save(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let bytes = encode(snapshot).map_err(StoreError::Encode)?;
        let (path, fresh) = (self.path(), self.dir.join(format!("{FILE}.new")));
        let mut file = File::create(&fresh).map_err(|source| failed("create", &fresh, source))?;
        file.write_all(&bytes).map_err(|source| failed("write", &fresh, source))?;
        file.sync_all().map_err(|source| failed("sync", &fresh, source))?;
        fs::rename(&fresh, &path).map_err(|source| failed("rename", &fresh, source))?;
        let dir = File::open(&self.dir).map_err(|source| failed("open", &self.dir, source))?;
        dir.sync_all().map_err(|source| failed("sync", &self.dir, source))
    }
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { operation, path: path.to_owned(), source }
}

fn encode(snapshot: &Snapshot) -> Result<Vec<u8>, serde_json::Error> {
    let body = serde_json::to_vec(snapshot)?;
    let mut bytes = format!("{MAGIC} {VERSION} {:08x} {}\n", crc32c::crc32c(&body), body.len()).into_bytes();
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

#[derive(Debug)]
enum Damage {
    Newer(u32),
    Corrupt(String),
}

fn decode(bytes: &[u8]) -> Result<Snapshot, Damage> {
    let corrupt = |what: &str| Damage::Corrupt(what.to_owned());
    let end = bytes.iter().take(100).position(|byte| *byte == b'\n').ok_or_else(|| corrupt("no header"))?;
    let (head, body) = (&bytes[..end], &bytes[end + 1..]);
    let head = std::str::from_utf8(head).map_err(|_| corrupt("no header"))?;
    let words: Vec<&str> = head.split(' ').collect();
    let [MAGIC, version, checksum, length] = words.as_slice() else { return Err(corrupt("no header")) };
    let version: u32 = version.parse().map_err(|_| corrupt("no version"))?;
    match version.cmp(&VERSION) {
        Ordering::Greater => return Err(Damage::Newer(version)),
        Ordering::Less => return Err(corrupt("no version")),
        Ordering::Equal => {}
    }
    if length.parse() != Ok(body.len()) {
        return Err(corrupt("it is cut short or has grown"));
    }
    if u32::from_str_radix(checksum, 16) != Ok(crc32c::crc32c(body)) || checksum.len() != 8 {
        return Err(corrupt("its checksum does not match"));
    }
    serde_json::from_slice(body).map_err(|error| Damage::Corrupt(format!("it does not decode: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_700_000_000_000);

    #[test]
    fn every_damaged_byte_and_length_is_noticed() {
        let bytes = encode(&Snapshot::default()).unwrap();
        assert!(decode(&bytes).is_ok());
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                // A flip may give the hexadecimal digits of the checksum another case, which changes nothing.
                if !damaged.eq_ignore_ascii_case(&bytes) {
                    assert!(decode(&damaged).is_err(), "byte {at}: {}", String::from_utf8_lossy(&damaged));
                }
            }
            assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_reported() {
        let dir = tempfile::tempdir().unwrap();
        let store = StateFile::open(dir.path()).unwrap();
        assert!(store.load(NOW).unwrap().problem.is_none());
        store.save(&Snapshot::default()).unwrap();
        assert!(store.load(NOW).unwrap().problem.is_none());
        let path = dir.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, &bytes).unwrap();
        let problem = store.load(NOW).unwrap().problem.unwrap();
        assert!(problem.contains("checksum"), "{problem}");
        let aside = dir.path().join(format!("{FILE}.corrupt-{}", NOW.millis()));
        assert_eq!(fs::read(aside).unwrap(), bytes);
        assert!(store.load(NOW).unwrap().problem.is_none(), "the next start is clean");
    }

    #[test]
    fn a_newer_format_stops_the_start_and_stays_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let store = StateFile::open(dir.path()).unwrap();
        let text = format!("{MAGIC} 9 00000000 2\n{{}}");
        fs::write(dir.path().join(FILE), &text).unwrap();
        assert!(matches!(store.load(NOW), Err(StoreError::Newer { found: 9, .. })));
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), text);
    }

    #[test]
    fn a_half_written_save_leaves_the_state_of_before() {
        let dir = tempfile::tempdir().unwrap();
        let store = StateFile::open(dir.path()).unwrap();
        store.save(&Snapshot::default()).unwrap();
        fs::write(dir.path().join(format!("{FILE}.new")), b"skywatch-alert-st").unwrap();
        let loaded = store.load(NOW).unwrap();
        assert!(loaded.problem.is_none());
    }
}
