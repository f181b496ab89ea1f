//! One file that is appended to, and rotated: when it is old or large it takes the name of an archive.
//!
//! ```text
//! metrics.out                        the file
//! metrics.20261128-170000.123.out    an archive, named after the time of its rotation
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// When a file is rotated, and how many of its archives are kept.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rotation {
    /// At this age.
    pub(super) interval: Option<Duration>,
    /// Before it would be larger.
    pub(super) max_bytes: Option<u64>,
    /// The newest so many archives; all of them without a number.
    pub(super) archives: Option<usize>,
}

/// A path, and the file that is open there.
#[derive(Debug)]
pub(super) struct Destination {
    path: PathBuf,
    rotation: Rotation,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    identity: (u64, u64),
    len: u64,
    since: SystemTime,
}

impl Destination {
    pub(super) fn new(path: &str, rotation: Rotation) -> Self {
        Self { path: path.into(), rotation, open: None }
    }

    /// Appends bytes in one call. What a failure leaves of them is cut off again.
    pub(super) fn append(&mut self, bytes: &[u8], now: SystemTime) -> io::Result<()> {
        self.rotate_if_due(bytes.len() as u64, now)?;
        let open = self.open_file(now)?;
        if let Err(error) = open.file.write_all(bytes) {
            self.cut();
            return Err(error);
        }
        open.len += bytes.len() as u64;
        Ok(())
    }

    /// Takes the last `bytes` back, since another file could not be written.
    pub(super) fn take_back(&mut self, bytes: usize) {
        if let Some(open) = &mut self.open {
            open.len = open.len.saturating_sub(bytes as u64);
        }
        self.cut();
    }

    fn cut(&mut self) {
        if let Some(open) = self.open.take()
            && let Err(error) = open.file.set_len(open.len)
        {
            // A pipe or a device keeps what it has.
            tracing::debug!("{}: {error}", self.path.display());
        }
    }

    /// The file at the path: another one if somebody moved or removed it.
    fn open_file(&mut self, now: SystemTime) -> io::Result<&mut Open> {
        let there = fs::metadata(&self.path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
        let open = match self.open.take().filter(|open| Some(open.identity) == there) {
            Some(open) => open,
            None => {
                let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
                let metadata = file.metadata()?;
                let since = metadata.created().ok().filter(|_| metadata.len() > 0).unwrap_or(now);
                Open { identity: (metadata.dev(), metadata.ino()), len: metadata.len(), since, file }
            }
        };
        Ok(self.open.insert(open))
    }

    fn rotate_if_due(&mut self, more: u64, now: SystemTime) -> io::Result<()> {
        let Rotation { interval, max_bytes, archives } = self.rotation;
        if interval.is_none() && max_bytes.is_none() {
            return Ok(());
        }
        let open = self.open_file(now)?;
        let is_old = interval.is_some_and(|most| now.duration_since(open.since).is_ok_and(|age| age >= most));
        let is_large = max_bytes.is_some_and(|most| open.len + more > most);
        if open.len == 0 || !(is_old || is_large) {
            return Ok(());
        }
        self.open = None;
        fs::rename(&self.path, self.archive_path(now))?;
        if let Some(keep) = archives {
            remove_old(&self.path, keep)?;
        }
        Ok(())
    }

    fn archive_path(&self, now: SystemTime) -> PathBuf {
        let (stem, extension) = name_parts(&self.path);
        let time = jiff::Timestamp::try_from(now).unwrap_or_default();
        let time = time.strftime("%Y%m%d-%H%M%S.%3f");
        let path = self.path.with_file_name(format!("{stem}.{time}{extension}"));
        (1..)
            .map(|n| match n {
                1 => path.clone(),
                n => self.path.with_file_name(format!("{stem}.{time}-{n}{extension}")),
            })
            .find(|path| !path.exists())
            .unwrap_or(path)
    }
}

/// `metrics` and `.out`.
fn name_parts(path: &Path) -> (String, String) {
    let text = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let extension = text(path.extension()).map(|extension| format!(".{extension}"));
    (text(path.file_stem()).unwrap_or_default(), extension.unwrap_or_default())
}

/// Removes all archives of a file but the newest.
fn remove_old(path: &Path, keep: usize) -> io::Result<()> {
    let (stem, extension) = name_parts(path);
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut archives = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let time = name
            .strip_prefix(&format!("{stem}."))
            .and_then(|rest| rest.strip_suffix(&extension))
            .filter(|time| is_time(time));
        if time.is_some() {
            archives.push(name);
        }
    }
    archives.sort_unstable();
    let excess = archives.len().saturating_sub(keep);
    archives[..excess].iter().try_for_each(|name| fs::remove_file(dir.join(name)))
}

/// `20261128-170000.123`, perhaps with a number behind: nothing else is taken for an archive and removed.
fn is_time(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "00000000-000000.000"
        || shape.strip_prefix("00000000-000000.000-").is_some_and(|n| n.chars().all(|c| c == '0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
    }

    #[test]
    fn a_large_file_is_rotated_and_old_archives_removed() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("m.out");
        fs::write(dir.path().join("m.notes.out"), "mine").expect("written");
        let rotation = Rotation { max_bytes: Some(10), archives: Some(2), ..Rotation::default() };
        let mut destination = Destination::new(&path.display().to_string(), rotation);
        for n in 0..5 {
            destination.append(format!("line {n}\n").as_bytes(), at(n)).expect("written");
        }
        assert_eq!(
            files(dir.path()),
            ["m.20231114-221323.000.out", "m.20231114-221324.000.out", "m.notes.out", "m.out"]
        );
        assert_eq!(fs::read_to_string(&path).expect("there"), "line 4\n");
    }

    #[test]
    fn no_archives_or_all_of_them() {
        for (archives, count) in [(Some(0), 1), (None, 4)] {
            let dir = tempfile::tempdir().expect("temporary directory");
            let path = dir.path().join("m");
            let rotation = Rotation { max_bytes: Some(1), archives, ..Rotation::default() };
            let mut destination = Destination::new(&path.display().to_string(), rotation);
            for _ in 0..4 {
                destination.append(b"xx", at(0)).expect("written");
            }
            assert_eq!(files(dir.path()).len(), count);
        }
    }

    #[test]
    fn an_old_file_is_rotated() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("m.out");
        let rotation = Rotation { interval: Some(Duration::from_secs(60)), ..Rotation::default() };
        let mut destination = Destination::new(&path.display().to_string(), rotation);
        let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
        for time in [now, now + Duration::from_secs(59), now + hour, now + hour] {
            destination.append(b"x", time).expect("written");
        }
        assert_eq!(files(dir.path()).len(), 2);
        assert_eq!(fs::read_to_string(&path).expect("there"), "xx");
    }

    #[test]
    fn a_file_moved_away_is_made_again() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("m.out");
        let mut destination = Destination::new(&path.display().to_string(), Rotation::default());
        destination.append(b"one", at(0)).expect("written");
        fs::rename(&path, dir.path().join("away")).expect("moved");
        destination.append(b"two", at(0)).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), "two");
        destination.append(b"three", at(0)).expect("written");
        destination.take_back(5);
        assert_eq!(fs::read_to_string(&path).expect("there"), "two", "as if it had not been written");
    }
}
