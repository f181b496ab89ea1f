//! Asking file systems how full they are. One on another machine may never answer (NFS whose server is gone): it is asked
//! on a thread of its own, waited for once, and left alone until it does.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How long a gather waits for a file system that has answered so far.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a file system tells of itself, in bytes and inodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) total: u64,
    pub(super) free: u64,
    /// To those who may not use the reserve.
    pub(super) available: u64,
    pub(super) inodes_total: u64,
    pub(super) inodes_free: u64,
}

impl Usage {
    /// Waits for as long as the file system does not answer.
    pub(super) fn ask(path: &Path) -> io::Result<Self> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(Self {
            total: stat.f_blocks * stat.f_frsize,
            free: stat.f_bfree * stat.f_frsize,
            available: stat.f_bavail * stat.f_frsize,
            inodes_total: stat.f_files,
            inodes_free: stat.f_ffree,
        })
    }
}

/// Whether somebody else has to answer: another machine, or a process.
pub(super) fn may_hang(fstype: &str) -> bool {
    const TYPES: [&str; 14] = [
        "9p",
        "afs",
        "ceph",
        "cifs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "smb3",
        "virtiofs",
    ];
    TYPES.contains(&fstype) || fstype.starts_with("fuse")
}

/// The questions that have not been answered yet, by the paths of the mounts: at most one thread for each.
#[derive(Debug, Default)]
pub(super) struct Pending(BTreeMap<String, Receiver<io::Result<Usage>>>);

impl Pending {
    /// Asks on another thread by `ask`; an error if there is no answer in time, or still none to an earlier question.
    pub(super) fn ask(
        &mut self,
        mount: &str,
        ask: impl FnOnce() -> io::Result<Usage> + Send + 'static,
    ) -> io::Result<Usage> {
        let (receiver, patience) = match self.0.remove(mount) {
            Some(receiver) => (receiver, Duration::ZERO),
            None => {
                let (sender, receiver) = mpsc::channel();
                thread::Builder::new().name("statvfs".to_owned()).spawn(move || {
                    // Nobody listens any more if the configuration has changed meanwhile.
                    sender.send(ask()).ok();
                })?;
                (receiver, PATIENCE)
            }
        };
        match receiver.recv_timeout(patience) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                self.0.insert(mount.to_owned(), receiver);
                Err(io::Error::new(io::ErrorKind::TimedOut, "the file system does not answer"))
            }
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the question was lost")),
        }
    }

    /// Forgets the mounts that are gone.
    pub(super) fn retain(&mut self, is_mounted: impl Fn(&str) -> bool) {
        self.0.retain(|mount, _| is_mounted(mount));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn one_that_hangs_is_waited_for_once_and_heard_when_it_answers() {
        let mut pending = Pending::default();
        let (answer, wait) = mpsc::channel::<()>();
        let ask = move || {
            wait.recv().expect("released");
            Usage::ask(Path::new("/"))
        };
        let error = pending.ask("/nfs", ask).expect_err("hangs");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let started = Instant::now();
        for _ in 0..100 {
            pending.ask("/nfs", || panic!("is not asked again")).expect_err("hangs");
        }
        assert!(started.elapsed() < PATIENCE, "and costs nothing more");
        assert!(pending.ask("/other", || Usage::ask(Path::new("/"))).expect("answers").total > 0);
        answer.send(()).expect("waits");
        while pending.ask("/nfs", || Usage::ask(Path::new("/"))).is_err() {
            thread::yield_now();
        }
        assert!(pending.0.is_empty());
    }

    #[test]
    fn who_may_hang() {
        assert!(may_hang("nfs4") && may_hang("fuse.sshfs") && may_hang("ceph"));
        assert!(!may_hang("ext4") && !may_hang("xfs") && !may_hang("zfs"));
    }
}
