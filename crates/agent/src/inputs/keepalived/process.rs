//! The process: whether it is keepalived, what it handles, and signalling it.
//!
//! A signal ends a process that does not expect it. So only those are sent that the process handles, which
//! `/proc/PID/status` tells: keepalived blocks the signals it waits for. The process is held by a descriptor from before
//! it is looked at, so that what is signalled is what was looked at, even if its number is given to another meanwhile.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::input::read_text;
use crate::paths::HostPaths;

/// SIGRTMIN as glibc and as musl have it, and keepalived's distance from it.
const JSON_SIGNALS: [i32; 2] = [34 + 2, 35 + 2];

/// What keepalived is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Data,
    Stats,
    Json(i32),
}

impl Request {
    fn signal(self) -> i32 {
        match self {
            Self::Data => libc::SIGUSR1,
            Self::Stats => libc::SIGUSR2,
            Self::Json(signal) => signal,
        }
    }
}

/// Which of keepalived's parts there are, where that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Roles {
    pub(super) vrrp: Option<bool>,
    /// The part for virtual servers; the one for BFD looks the same from outside.
    pub(super) checker: Option<bool>,
}

/// A keepalived that runs.
#[derive(Debug)]
pub(super) struct Keepalived {
    handle: OwnedFd,
    pid: i32,
    status: Status,
    paths: HostPaths,
}

impl Keepalived {
    /// Finds it by its file.
    pub(super) fn find(pid_file: &Path, paths: &HostPaths) -> Result<Self, String> {
        let text = std::fs::read_to_string(pid_file).map_err(|error| {
            format!("is it running? cannot read its pid file {}: {error}", pid_file.display())
        })?;
        let pid: i32 = text
            .trim()
            .parse()
            .ok()
            .filter(|pid| *pid > 1)
            .ok_or_else(|| format!("{} holds no number of a process", pid_file.display()))?;
        let gone = || format!("it is not running; process {pid} of {} is gone", pid_file.display());
        let number = Pid::from_raw(pid).ok_or_else(gone)?;
        let handle = pidfd_open(number, PidfdFlags::empty()).map_err(|_| gone())?;
        let status = Status::read(paths, pid).ok_or_else(gone)?;
        let command = read_text(&paths.proc(format!("{pid}/cmdline"))).unwrap_or_default();
        let program = command.split('\0').next().unwrap_or_default();
        let is_keepalived =
            |name: &str| name.rsplit('/').next().is_some_and(|name| name.contains("keepalived"));
        if !is_keepalived(program) && !is_keepalived(&status.name) {
            return Err(format!(
                "process {pid} of {} is {:?} and not keepalived",
                pid_file.display(),
                status.name
            ));
        }
        Ok(Self { handle, pid, status, paths: paths.clone() })
    }

    /// The signal for JSON, if it knows one.
    pub(super) fn json_signal(&self) -> Option<i32> {
        JSON_SIGNALS.into_iter().find(|signal| self.status.handles(*signal))
    }

    /// Sends what asks for a file.
    pub(super) fn send(&self, request: Request) -> Result<(), String> {
        let signal = request.signal();
        if !self.status.handles(signal) {
            return Err(format!("process {} does not expect signal {signal}, which would end it", self.pid));
        }
        // SAFETY: the call takes a descriptor, which is open, a number, and no further information; it changes no memory
        // of ours.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.handle.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        if sent == 0 {
            return Ok(());
        }
        let error = std::io::Error::last_os_error();
        Err(match error.kind() {
            std::io::ErrorKind::PermissionDenied => format!(
                "the agent may not signal process {}: run it as root, or give it CAP_KILL, CAP_SYS_PTRACE and \
                 CAP_DAC_READ_SEARCH",
                self.pid
            ),
            _ => format!("cannot signal process {}: {error}", self.pid),
        })
    }

    /// The user whose files its files are.
    pub(super) fn owner(&self) -> u32 {
        self.status.user
    }

    /// A file where this process finds it, of which keepalived has another view in a container or with a `/tmp` of its
    /// own.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        let root = self.paths.proc(format!("{}/root", self.pid));
        root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// What tells about its network.
    pub(super) fn network(&self) -> PathBuf {
        self.paths.proc(format!("{}/net", self.pid))
    }

    /// Looks at the processes that keepalived has for its parts: that for VRRP alone handles the signal for statistics.
    pub(super) fn roles(&self) -> Roles {
        let path = self.paths.proc(format!("{0}/task/{0}/children", self.pid));
        let unknown = Roles { vrrp: None, checker: None };
        let Ok(children) = read_text(&path) else { return unknown };
        let children = children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
        let children: Vec<Status> = children.filter_map(|pid| Status::read(&self.paths, pid)).collect();
        let parts = || children.iter().filter(|child| child.handles(libc::SIGUSR1));
        if parts().next().is_none() {
            return unknown;
        }
        let vrrp = parts().any(|child| child.handles(libc::SIGUSR2));
        let others = parts().any(|child| !child.handles(libc::SIGUSR2));
        // Of one that is for BFD nothing comes, so it is no promise.
        Roles { vrrp: Some(vrrp), checker: if others { None } else { Some(false) } }
    }
}

/// What `/proc/PID/status` tells.
#[derive(Debug, PartialEq, Eq)]
struct Status {
    name: String,
    user: u32,
    /// Signals caught, and those blocked, which are waited for.
    handled: u64,
}

impl Status {
    fn read(paths: &HostPaths, pid: i32) -> Option<Self> {
        Self::parse(&read_text(&paths.proc(format!("{pid}/status"))).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
        };
        let mask = |key| u64::from_str_radix(value(key)?, 16).ok();
        Some(Self {
            name: value("Name")?.to_owned(),
            // Real, effective, saved and for files: files that it makes belong to the last.
            user: value("Uid")?.split_ascii_whitespace().nth(3)?.parse().ok()?,
            handled: mask("SigBlk")? | mask("SigCgt")?,
        })
    }

    fn handles(&self, signal: i32) -> bool {
        u32::try_from(signal - 1).is_ok_and(|bit| bit < 64 && self.handled & (1 << bit) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str =
        "Name:\tkeepalived\nUid:\t0\t0\t0\t0\nSigBlk:\t4000000800014a03\nSigCgt:\t0000000000000000\n";

    #[test]
    fn the_signals_a_process_waits_for() {
        let vrrp = Status::parse(STATUS).expect("valid");
        for signal in [libc::SIGUSR1, libc::SIGUSR2, 36] {
            assert!(vrrp.handles(signal), "{signal}");
        }
        assert!(!vrrp.handles(37) && !vrrp.handles(libc::SIGQUIT));
        let checker = Status::parse(&STATUS.replace("4000000800014a03", "4000000000014203")).expect("valid");
        assert!(checker.handles(libc::SIGUSR1) && !checker.handles(libc::SIGUSR2) && !checker.handles(36));
        assert_eq!(Status::parse("Name:\tx\n"), None);
    }

    #[test]
    fn a_process_that_is_not_keepalived_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("keepalived.pid");
        let find = |text: &str| {
            std::fs::write(&file, text).expect("written");
            Keepalived::find(&file, &HostPaths::default()).expect_err("not keepalived")
        };
        let own = std::process::id();
        assert!(find(&own.to_string()).contains("and not keepalived"));
        assert!(find("none\n").contains("holds no number of a process"));
        assert!(find("1\n").contains("holds no number of a process"));
        assert!(find("2147483647\n").contains("it is not running"));
        std::fs::remove_file(&file).expect("removed");
        let error = Keepalived::find(&file, &HostPaths::default()).expect_err("no file");
        assert!(error.contains("is it running? cannot read its pid file"), "{error}");
    }
}
