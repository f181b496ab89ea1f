//! Where the host's own files are. In a container they are mounted elsewhere, which Telegraf's
//! `HOST_*` variables tell.

use std::path::{Path, PathBuf};

/// The roots under which host collectors read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPaths {
    proc: PathBuf,
    sys: PathBuf,
    run: PathBuf,
    var: PathBuf,
    etc: PathBuf,
    mount_prefix: PathBuf,
    proc_is_foreign: bool,
}

impl HostPaths {
    /// From the environment: `HOST_PROC`, `HOST_SYS`, `HOST_RUN`, `HOST_VAR`, `HOST_ETC`
    /// and `HOST_MOUNT_PREFIX`, each with the usual place as its default.
    pub(crate) fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let root = |name: &str, default: &str| {
            PathBuf::from(env(name).filter(|v| !v.is_empty()).unwrap_or_else(|| default.to_owned()))
        };
        Self {
            proc: root("HOST_PROC", "/proc"),
            sys: root("HOST_SYS", "/sys"),
            run: root("HOST_RUN", "/run"),
            var: root("HOST_VAR", "/var"),
            etc: root("HOST_ETC", "/etc"),
            mount_prefix: root("HOST_MOUNT_PREFIX", ""),
            proc_is_foreign: env("HOST_PROC").is_some_and(|v| !v.is_empty()),
        }
    }

    /// A file below `/proc`.
    pub(crate) fn proc(&self, rest: impl AsRef<Path>) -> PathBuf {
        self.proc.join(rest)
    }
    /// A file below `/sys`.
    pub(crate) fn sys(&self, rest: impl AsRef<Path>) -> PathBuf {
        self.sys.join(rest)
    }
    /// A file below `/run`.
    pub(crate) fn run(&self, rest: impl AsRef<Path>) -> PathBuf {
        self.run.join(rest)
    }
    /// A file below `/var`.
    pub(crate) fn var(&self, rest: impl AsRef<Path>) -> PathBuf {
        self.var.join(rest)
    }
    /// A file below `/etc`.
    pub(crate) fn etc(&self, rest: impl AsRef<Path>) -> PathBuf {
        self.etc.join(rest)
    }
    /// Where the host's mounts are mounted; empty on the host itself.
    pub(crate) fn mount_prefix(&self) -> &Path {
        &self.mount_prefix
    }
    /// Whether `/proc` is another machine's or namespace's, whose interfaces this process cannot ask about.
    pub(crate) fn proc_is_foreign(&self) -> bool {
        self.proc_is_foreign
    }
}

impl Default for HostPaths {
    fn default() -> Self {
        Self::from_env(&|_| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_moves_the_roots() {
        let paths = HostPaths::from_env(&|name| (name == "HOST_PROC").then(|| "/host/proc".to_owned()));
        assert_eq!(paths.proc("stat"), PathBuf::from("/host/proc/stat"));
        assert_eq!(paths.sys("block"), PathBuf::from("/sys/block"));
        assert!(paths.proc_is_foreign());
        assert!(!HostPaths::default().proc_is_foreign());
    }
}
