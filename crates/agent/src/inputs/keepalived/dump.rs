//! The files that keepalived writes when it is signalled: waiting for them, and reading them with suspicion.
//!
//! They lie where everybody may write. So a link is not followed, only a plain file of keepalived's own user is read, and
//! no more of it than [`BYTES_MAX`].

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::json;

/// A file, at most; a hundred instances are a quarter of a megabyte.
const BYTES_MAX: u64 = 16 << 20;
/// How often is looked for a file.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long is waited for a file that may not come, once all those are there that must.
const GRACE: Duration = Duration::from_millis(250);

/// A file that is waited for.
#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    /// Whether it has to come.
    expected: bool,
    before: Option<Stamp>,
    /// As it was when looked at last.
    seen: Option<Stamp>,
    dump: Option<Dump>,
}

/// What tells one writing of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// What came of waiting.
#[derive(Debug, PartialEq)]
pub(super) enum Dump {
    /// The file.
    Text(Vec<u8>),
    /// It did not come, and did not have to.
    Absent,
    /// Why there is none.
    Failed(String),
}

impl Watch {
    /// Notes how the file is before it is written.
    pub(super) fn new(path: PathBuf, expected: bool) -> Self {
        let before = stamp(&path);
        Self { path, expected, before, seen: None, dump: None }
    }

    /// Takes the file if it was written since and seems to be whole.
    fn look(&mut self, owner: u32, may_be_json: bool) {
        let now = stamp(&self.path);
        if now.is_none() || now == self.before {
            return;
        }
        // What is still written changes from one look to the next.
        let settled = now == self.seen;
        self.seen = now;
        if !settled || now.is_some_and(|now| now.size == 0) {
            return;
        }
        let is_json = may_be_json && self.path.extension().is_some_and(|extension| extension == "json");
        self.dump = match read(&self.path, owner) {
            Ok(text) if is_json && !json::is_whole(&text) => None,
            Ok(text) => Some(Dump::Text(text)),
            Err(reason) => Some(Dump::Failed(format!("{}: {reason}", self.path.display()))),
        };
    }

    fn end(&mut self, timeout: Duration) -> Dump {
        match self.dump.take() {
            Some(dump) => dump,
            None if !self.expected => Dump::Absent,
            None if self.seen.is_some() => {
                Dump::Failed(format!("{} is not written to its end in time", self.path.display()))
            }
            None => Dump::Failed(format!(
                "it did not write {} within {} ms",
                self.path.display(),
                timeout.as_millis()
            )),
        }
    }
}

/// Waits for all the files, at most until `deadline`, and returns them in their order.
pub(super) fn wait(watches: &mut [Watch], owner: u32, deadline: Instant, may_be_json: bool) -> Vec<Dump> {
    let start = Instant::now();
    let mut complete_since = None;
    loop {
        for watch in watches.iter_mut().filter(|watch| watch.dump.is_none()) {
            watch.look(owner, may_be_json);
        }
        let now = Instant::now();
        let missing = |expected: bool| watches.iter().any(|w| w.dump.is_none() && (w.expected || !expected));
        if !missing(false) || now >= deadline {
            break;
        }
        if !missing(true) && now >= *complete_since.get_or_insert(now) + GRACE {
            break;
        }
        sleep(LOOK_EVERY.min(deadline - now));
    }
    let timeout = deadline.saturating_duration_since(start);
    watches.iter_mut().map(|watch| watch.end(timeout)).collect()
}

fn stamp(path: &PathBuf) -> Option<Stamp> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some(Stamp {
        inode: metadata.ino(),
        size: metadata.size(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

fn read(path: &PathBuf, owner: u32) -> Result<Vec<u8>, String> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let opened = File::options().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => "it is a link, which keepalived does not make".to_owned(),
        _ if error.kind() == io::ErrorKind::PermissionDenied => {
            format!("{error}; the agent has to run as root to read it")
        }
        _ => error.to_string(),
    })?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no plain file".to_owned());
    }
    if metadata.uid() != owner {
        return Err(format!("it belongs to user {}, and keepalived runs as {owner}", metadata.uid()));
    }
    let mut text = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    match text.len() as u64 > BYTES_MAX {
        true => Err(format!("it is larger than {BYTES_MAX} bytes")),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn owner() -> u32 {
        rustix::process::getuid().as_raw()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(300)
    }

    #[test]
    fn a_file_counts_when_it_is_written_after_the_signal() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name| directory.path().join(name);
        fs::write(path("old.data"), "old").expect("written");
        fs::write(path("new.data"), "old").expect("written");
        // The clock of files moves in steps of some milliseconds.
        sleep(Duration::from_millis(20));
        let mut watches =
            ["old.data", "new.data", "never.data"].map(|name| Watch::new(path(name), name != "never.data"));
        fs::write(path("new.data"), "new").expect("written");
        let dumps = wait(&mut watches, owner(), soon(), false);
        let old = format!("it did not write {} within ", path("old.data").display());
        assert!(matches!(&dumps[0], Dump::Failed(reason) if reason.starts_with(&old)), "{dumps:?}");
        assert_eq!(dumps[1..], [Dump::Text(b"new".to_vec()), Dump::Absent]);
    }

    #[test]
    fn what_may_not_come_is_not_waited_for_as_long() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name| directory.path().join(name);
        let mut watches = [Watch::new(path("a"), true), Watch::new(path("b"), false)];
        fs::write(path("a"), "a").expect("written");
        let start = Instant::now();
        let dumps = wait(&mut watches, owner(), start + Duration::from_secs(60), false);
        assert_eq!(dumps, [Dump::Text(b"a".to_vec()), Dump::Absent]);
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn half_a_document_and_what_others_put_there_is_not_taken() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name| directory.path().join(name);
        let mut watches = ["half.json", "link", "other"].map(|name| Watch::new(path(name), true));
        fs::write(path("half.json"), "[{\"data\":").expect("written");
        std::os::unix::fs::symlink("/etc/passwd", path("link")).expect("made");
        fs::create_dir(path("other")).expect("made");
        let dumps = wait(&mut watches, owner(), soon(), true);
        let reasons = dumps.iter().map(|dump| match dump {
            Dump::Failed(reason) => reason.rsplit(['/', ':']).next().unwrap_or_default().trim().to_owned(),
            other => format!("{other:?}"),
        });
        assert_eq!(
            reasons.collect::<Vec<_>>(),
            [
                "half.json is not written to its end in time",
                "it is a link, which keepalived does not make",
                "it is no plain file"
            ]
        );
        fs::write(path("mine"), "x").expect("written");
        assert!(read(&path("mine"), owner() + 1).expect_err("another's").contains("belongs to user"));
    }
}
