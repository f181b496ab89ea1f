//! Tells when the files of a configuration change.
//!
//! What counts is what is there: path, size, times and inode of each file, as compared with the last look. The system's
//! notices only say that it is time to look; a slow look besides finds what it says nothing of, as on a network's file
//! system. Changes that follow each other closely count as one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tracing::warn;

use crate::config::files_below;

/// Between two looks without a notice.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Editors write a file in several steps.
const SETTLE_MIN: Duration = Duration::from_millis(100);
/// Files that never come to rest are looked at all the same.
const SETTLE_MAX: Duration = Duration::from_secs(10);
/// Looking all the time would cost more than the agent itself.
const POLL_MIN: Duration = Duration::from_millis(100);

/// How to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// The system tells; a change counts once there was none for `settle`.
    Notify {
        /// How long files have to rest.
        settle: Duration,
    },
    /// Look at each `interval`; a change counts once there was none for `settle`.
    Poll {
        /// Between two looks.
        interval: Duration,
        /// How long files have to rest.
        settle: Duration,
    },
}

impl Watch {
    fn settle(self) -> Duration {
        let (Self::Notify { settle } | Self::Poll { settle, .. }) = self;
        settle.clamp(SETTLE_MIN, SETTLE_MAX)
    }

    fn look_every(self) -> Duration {
        match self {
            Self::Notify { .. } => LOOK_EVERY,
            Self::Poll { interval, .. } => interval.max(POLL_MIN),
        }
    }
}

/// Starts watching files and directories of `*.conf` files from their present state on. The channel gets something for
/// each change, or once for several that nobody has taken notice of yet.
pub fn changes(
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    watch: Watch,
) -> io::Result<mpsc::Receiver<()>> {
    let (told, changes) = mpsc::channel(1);
    let (notice, notices) = sync_channel::<()>(1);
    let watcher = match watch {
        Watch::Notify { .. } => Some(notifier(&files, &directories, notice.clone())?),
        Watch::Poll { .. } => None,
    };
    let look = move || {
        // Both live as long as the thread: the one tells, the other keeps the channel open where nobody does.
        let (_watcher, _notice) = (watcher, notice);
        let mut last = snapshot(&files, &directories);
        while !told.is_closed() {
            if notices.recv_timeout(watch.look_every()).is_ok() {
                settle(watch.settle(), || notices.recv_timeout(watch.settle()));
            }
            let mut now = snapshot(&files, &directories);
            if now == last {
                continue;
            }
            if matches!(watch, Watch::Poll { .. }) {
                let began = Instant::now();
                loop {
                    thread::sleep(watch.settle());
                    let later = snapshot(&files, &directories);
                    if later == now || began.elapsed() >= SETTLE_MAX {
                        break;
                    }
                    now = later;
                }
            }
            last = now;
            // A full channel holds a notice already.
            told.try_send(()).ok();
        }
    };
    thread::Builder::new().name("config-watch".to_owned()).spawn(look)?;
    Ok(changes)
}

/// Waits until `next` runs into its timeout.
fn settle(rest: Duration, mut next: impl FnMut() -> Result<(), RecvTimeoutError>) {
    let began = Instant::now();
    while began.elapsed() < SETTLE_MAX.max(rest) && next().is_ok() {}
}

fn notifier(
    files: &[PathBuf],
    directories: &[PathBuf],
    notice: SyncSender<()>,
) -> io::Result<RecommendedWatcher> {
    let tell = move |event: notify::Result<notify::Event>| match event {
        // Reading is no change.
        Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
        // A full channel holds a notice already. An error may have swallowed notices.
        Ok(_) | Err(_) => {
            notice.try_send(()).ok();
        }
    };
    let mut watcher = notify::recommended_watcher(tell).map_err(|error| to_io(&error))?;
    // A file is replaced by renaming another over it: so its directory is watched.
    let mut parents: Vec<_> = files.iter().map(|file| parent(file)).collect();
    parents.sort_unstable();
    parents.dedup();
    for parent in parents {
        watcher.watch(&parent, RecursiveMode::NonRecursive).map_err(|error| to_io(&error))?;
    }
    for directory in directories {
        watcher.watch(directory, RecursiveMode::Recursive).map_err(|error| to_io(&error))?;
    }
    Ok(watcher)
}

fn parent(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn to_io(error: &notify::Error) -> io::Error {
    io::Error::other(error.to_string())
}

/// A file as it is: gone, or its size, time of change and inode.
type Look = (PathBuf, Option<(u64, i64, i64, u64)>);

fn snapshot(files: &[PathBuf], directories: &[PathBuf]) -> Vec<Look> {
    let mut all = files.to_vec();
    for directory in directories {
        let (found, unreadable) = files_below(directory);
        for (path, why) in unreadable {
            warn!("cannot look for changes in {}: {why}", path.display());
        }
        all.extend(found);
    }
    all.into_iter()
        .map(|path| {
            let metadata = fs::metadata(&path).ok();
            let look = metadata.map(|m| (m.len(), m.mtime(), m.mtime_nsec(), m.ino()));
            (path, look)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_millis(150);

    async fn next(changes: &mut mpsc::Receiver<()>) {
        tokio::time::timeout(Duration::from_secs(10), changes.recv()).await.expect("in time").expect("told");
    }

    async fn sees_changes(watch: Watch) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (file, below) = (dir.path().join("agent.conf"), dir.path().join("agent.d"));
        fs::write(&file, "a").expect("written");
        fs::create_dir_all(below.join("deep")).expect("created");
        let mut changes = changes(vec![file.clone()], vec![below.clone()], watch).expect("watching");
        // What is no part of the configuration does not count, and neither does reading.
        fs::write(below.join("README"), "x").expect("written");
        fs::read(&file).expect("read");
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert!(changes.try_recv().is_err(), "nothing changed");
        // Several steps are one change.
        let began = Instant::now();
        for text in ["bb", "ccc", "dddd"] {
            fs::write(&file, text).expect("written");
        }
        // Where the disk makes the steps wait, the files rest in between.
        let is_one = began.elapsed() < SETTLE / 2;
        next(&mut changes).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert!(changes.try_recv().is_err() || !is_one, "told of once");
        let new = dir.path().join("new");
        fs::write(&new, "eeee").expect("written");
        fs::rename(&new, &file).expect("renamed over it");
        next(&mut changes).await;
        fs::write(below.join("deep/x.conf"), "x").expect("written");
        next(&mut changes).await;
        fs::remove_file(below.join("deep/x.conf")).expect("removed");
        next(&mut changes).await;
    }

    #[tokio::test]
    async fn the_systems_notices_are_heard() {
        sees_changes(Watch::Notify { settle: SETTLE }).await;
    }

    #[tokio::test]
    async fn polling_sees_the_same() {
        sees_changes(Watch::Poll { interval: Duration::from_millis(100), settle: SETTLE }).await;
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let absent = vec![PathBuf::from("/nonexistent/x")];
        assert!(changes(Vec::new(), absent, Watch::Notify { settle: SETTLE }).is_err());
    }
}
