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
//!
//! In a cluster the file travels as it is: [`stored_state`] reads it for another node, which puts it in the place of its own with
//! [`adopt_state`] if it is the newer [`Edition`]. An engine that starts over it goes on as after a restart. What a
//! later release has in it and this one does not know is kept until an engine of this one stores a state.

use std::{
    cmp::Ordering,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use crate::{Clock, Edition, SystemClock, Time, core::Snapshot, limits::STATE_BYTES_MAX};

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
    /// What is there is nothing that another node could go on with.
    #[error("{}: {problem}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        problem: StateProblem,
    },
    /// The state cannot be encoded.
    #[error("the alert state cannot be encoded")]
    Encode(#[source] serde_json::Error),
}

/// Why bytes are no state that this Skywatch can go on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateProblem {
    /// A later Skywatch wrote them.
    #[error("the alert state is of format {0}, and this Skywatch reads up to {VERSION}")]
    Newer(u32),
    /// They are not as they were written.
    #[error("the alert state is damaged: {0}")]
    Damaged(String),
    /// There are more of them than travel between nodes.
    #[error("the alert state has {0} bytes, more than the {STATE_BYTES_MAX} that nodes give each other")]
    TooLarge(u64),
}

/// The state of an engine as it lies on disk: whole, of a format that this release reads, and not larger than
/// [`STATE_BYTES_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredState {
    bytes: Vec<u8>,
    edition: Edition,
}

impl StoredState {
    /// Looks at bytes that another node gave out.
    pub fn read(bytes: Vec<u8>) -> Result<Self, StateProblem> {
        if bytes.len() > STATE_BYTES_MAX {
            return Err(StateProblem::TooLarge(bytes.len() as u64));
        }
        let edition = decode(&bytes)?.edition;
        Ok(Self { bytes, edition })
    }

    /// How new it is.
    pub const fn edition(&self) -> Edition {
        self.edition
    }

    /// What travels.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The state that an engine has stored in this directory, now or before, to be given to another node; `None` if there is none.
///
/// Blocks. It may be called while an engine stores a state there: what is read is the one of before or of after. An error says
/// that the file cannot be read, is damaged, of a later release or too large; nothing is done about it.
pub fn stored_state(dir: &Path) -> Result<Option<StoredState>, StoreError> {
    let path = dir.join(FILE);
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(&path)?.take(STATE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => {
            StoredState::read(bytes).map(Some).map_err(|problem| StoreError::Unusable { path, problem })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("read", &path, source)),
    }
}

/// Puts the state of another node in the place of the one in this directory, if it is newer; says whether it was. When this returns
/// `true`, the state is on disk, and an engine that starts there goes on from it: it tells nothing again that was told, and
/// the end of whatever fires in it.
///
/// Blocks. No engine may run over the directory meanwhile, which would overwrite what was adopted. A file of this node that is damaged is
/// set aside, as at a start; one of a later release is left alone, which is an error. So is a disk that refuses: the state of before is
/// still there then.
pub fn adopt_state(dir: &Path, state: &StoredState) -> Result<bool, StoreError> {
    let store = StateFile::open(dir)?;
    let own = store.load(SystemClock.now())?;
    if let Some(problem) = own.problem {
        tracing::error!("{problem}");
    }
    if own.snapshot.edition >= state.edition {
        return Ok(false);
    }
    store.replace(&state.bytes)?;
    Ok(true)
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
            Err(StateProblem::Newer(found)) => return Err(StoreError::Newer { path, found }),
            Err(damage) => damage,
        };
        let aside = self.dir.join(format!("{FILE}.corrupt-{}", now.millis()));
        fs::rename(&path, &aside).map_err(|source| failed("set aside", &path, source))?;
        let problem = format!(
            "{} cannot be used ({damage}) and is kept as {}; alert states begin afresh",
            path.display(),
            aside.display()
        );
        Ok(Loaded { snapshot: Snapshot::default(), problem: Some(problem) })
    }

    /// Replaces the state. Returns once it is on disk.
    pub(crate) fn save(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.replace(&encode(snapshot).map_err(StoreError::Encode)?)
    }

    /// Replaces the file. Returns once it is on disk.
    fn replace(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let (path, fresh) = (self.path(), self.dir.join(format!("{FILE}.new")));
        let mut file = File::create(&fresh).map_err(|source| failed("create", &fresh, source))?;
        file.write_all(bytes).map_err(|source| failed("write", &fresh, source))?;
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

fn decode(bytes: &[u8]) -> Result<Snapshot, StateProblem> {
    let corrupt = |what: &str| StateProblem::Damaged(what.to_owned());
    let end = bytes.iter().take(100).position(|byte| *byte == b'\n').ok_or_else(|| corrupt("no header"))?;
    let (head, body) = (&bytes[..end], &bytes[end + 1..]);
    let head = std::str::from_utf8(head).map_err(|_| corrupt("no header"))?;
    let words: Vec<&str> = head.split(' ').collect();
    let [MAGIC, version, checksum, length] = words.as_slice() else { return Err(corrupt("no header")) };
    let version: u32 = version.parse().map_err(|_| corrupt("no version"))?;
    match version.cmp(&VERSION) {
        Ordering::Greater => return Err(StateProblem::Newer(version)),
        Ordering::Less => return Err(corrupt("no version")),
        Ordering::Equal => {}
    }
    if length.parse() != Ok(body.len()) {
        return Err(corrupt("it is cut short or has grown"));
    }
    if u32::from_str_radix(checksum, 16) != Ok(crc32c::crc32c(body)) || checksum.len() != 8 {
        return Err(corrupt("its checksum does not match"));
    }
    serde_json::from_slice(body)
        .map_err(|error| StateProblem::Damaged(format!("it does not decode: {error}")))
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

    fn edition(term: u64, number: u64) -> Snapshot {
        Snapshot::default().of(Edition { term, number })
    }

    fn state(term: u64, number: u64) -> StoredState {
        StoredState::read(encode(&edition(term, number)).unwrap()).unwrap()
    }

    #[test]
    fn the_newest_state_wins_and_is_what_the_next_start_finds() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("alerts");
        assert_eq!(stored_state(&own).unwrap(), None);
        assert!(adopt_state(&own, &state(4, 9)).unwrap());
        for older in [state(4, 9), state(4, 8), state(3, 1_000), state(0, 0)] {
            assert!(!adopt_state(&own, &older).unwrap(), "{} is not newer than 4.9", older.edition());
        }
        assert_eq!(stored_state(&own).unwrap().unwrap(), state(4, 9));
        for newer in [state(4, 10), state(5, 1)] {
            assert!(adopt_state(&own, &newer).unwrap());
            assert_eq!(stored_state(&own).unwrap().unwrap().into_bytes(), newer.into_bytes());
        }
        let found = StateFile::open(&own).unwrap().load(NOW).unwrap();
        assert_eq!((found.snapshot.edition, found.problem), (Edition { term: 5, number: 1 }, None));
    }

    #[test]
    fn a_state_of_another_release_keeps_what_is_not_known_here() {
        let seal = |body: &str| {
            let head = format!("{MAGIC} {VERSION} {:08x} {}\n", crc32c::crc32c(body.as_bytes()), body.len());
            [head.as_bytes(), body.as_bytes()].concat()
        };
        let plain = serde_json::to_string(&edition(2, 1)).unwrap();
        let later = seal(&plain.replacen('{', r#"{"silences": ["a"], "#, 1));
        let dir = tempfile::tempdir().unwrap();
        assert!(adopt_state(dir.path(), &StoredState::read(later.clone()).unwrap()).unwrap());
        assert_eq!(stored_state(dir.path()).unwrap().unwrap().into_bytes(), later);
        let mut earlier: serde_json::Value = serde_json::from_str(&plain).unwrap();
        earlier.as_object_mut().unwrap().remove("edition").unwrap();
        let earlier = StoredState::read(seal(&earlier.to_string())).unwrap();
        assert_eq!(earlier.edition(), Edition::default(), "older than every state that has an edition");
        let later_format = StoredState::read(format!("{MAGIC} 9 00000000 2\n{{}}").into_bytes());
        assert!(matches!(later_format, Err(StateProblem::Newer(9))));
    }

    #[test]
    fn nothing_that_is_damaged_or_too_large_is_given_out_or_taken() {
        let mut bytes = state(1, 1).into_bytes();
        *bytes.last_mut().unwrap() ^= 1;
        assert!(matches!(StoredState::read(bytes.clone()), Err(StateProblem::Damaged(_))));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        fs::write(&path, &bytes).unwrap();
        let error = stored_state(dir.path()).unwrap_err().to_string();
        assert!(error.contains("alerts.state") && error.contains("checksum"), "{error}");
        assert!(adopt_state(dir.path(), &state(1, 1)).unwrap(), "what is damaged is older than all");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "it is kept beside the state");
        let too_large = vec![b' '; STATE_BYTES_MAX + 1];
        assert!(matches!(StoredState::read(too_large.clone()), Err(StateProblem::TooLarge(_))));
        fs::write(&path, too_large).unwrap();
        let error = stored_state(dir.path()).unwrap_err().to_string();
        assert!(error.contains("more than the"), "{error}");
    }

    #[test]
    fn a_state_of_a_later_release_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("{MAGIC} 9 00000000 2\n{{}}");
        fs::write(dir.path().join(FILE), &text).unwrap();
        assert!(matches!(adopt_state(dir.path(), &state(9, 9)), Err(StoreError::Newer { found: 9, .. })));
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), text);
    }
}
