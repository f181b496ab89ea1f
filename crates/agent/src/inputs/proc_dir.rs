//! The directories of processes in `/proc`, read with as few calls and copies as there can be: a host has thousands.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};

use crate::input::GatherError;
use crate::paths::HostPaths;

/// What one file of a process may hold at most here: a command line may be megabytes long.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// An open `/proc`.
#[derive(Debug)]
pub(super) struct ProcDir {
    path: PathBuf,
    fd: OwnedFd,
}

impl ProcDir {
    pub(super) fn open(paths: &HostPaths) -> Result<Self, GatherError> {
        let path = paths.proc("");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { path, fd }),
            Err(error) => Err(GatherError::Read { path, source: error.into() }),
        }
    }

    /// Puts the processes there are into `pids`, in ascending order.
    pub(super) fn pids(&self, pids: &mut Vec<i32>) -> Result<(), GatherError> {
        let failed = |source| GatherError::Read { path: self.path.clone(), source };
        pids.clear();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            pids.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()));
        }
        pids.sort_unstable();
        Ok(())
    }

    /// Puts what a file of a process holds into `bytes`. An error is usual: the process may be gone, or another user's.
    pub(super) fn read(&self, pid: i32, file: &str, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.clear();
        bytes.reserve(2048);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, format!("{pid}/{file}"), flags, Mode::empty())?;
        fs::File::from(fd).take(FILE_BYTES_MAX).read_to_end(bytes)?;
        Ok(())
    }

    /// The path of something of a process.
    pub(super) fn path(&self, pid: i32, file: &str) -> PathBuf {
        self.path.join(format!("{pid}/{file}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_and_none_that_is_none() {
        let proc = ProcDir::open(&HostPaths::default()).expect("there");
        let own = i32::try_from(std::process::id()).expect("a pid");
        let mut pids = vec![0];
        proc.pids(&mut pids).expect("readable");
        assert!(pids.contains(&own) && pids.is_sorted() && !pids.contains(&0));
        let mut bytes = b"stale".to_vec();
        proc.read(own, "comm", &mut bytes).expect("readable");
        assert_eq!(bytes, fs::read(proc.path(own, "comm")).expect("readable"));
        assert!(proc.read(-1, "stat", &mut bytes).is_err() && bytes.is_empty());
    }
}
