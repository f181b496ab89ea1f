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
    nstat: [Option<PathBuf>; 3],
    system_bus: Option<String>,
    user_bus: Option<String>,
}

impl HostPaths {
    /// From the environment: `HOST_PROC`, `HOST_SYS`, `HOST_RUN`, `HOST_VAR`, `HOST_ETC`
    /// and `HOST_MOUNT_PREFIX`, each with the usual place as its default. `nstat` has variables of its own besides:
    /// `PROC_NET_NETSTAT`, `PROC_NET_SNMP`, `PROC_NET_SNMP6`, and `PROC_ROOT` for all three.
    pub(crate) fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let root = |name: &str, default: &str| {
            PathBuf::from(env(name).filter(|v| !v.is_empty()).unwrap_or_else(|| default.to_owned()))
        };
        let given = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let below_root = |file: &str| given("PROC_ROOT").map(|root| root.join("net").join(file));
        Self {
            nstat: [
                given("PROC_NET_NETSTAT").or_else(|| below_root("netstat")),
                given("PROC_NET_SNMP").or_else(|| below_root("snmp")),
                given("PROC_NET_SNMP6").or_else(|| below_root("snmp6")),
            ],
            system_bus: env("DBUS_SYSTEM_BUS_ADDRESS").filter(|address| !address.is_empty()),
            user_bus: env("DBUS_SESSION_BUS_ADDRESS").filter(|address| !address.is_empty()).or_else(|| {
                given("XDG_RUNTIME_DIR").map(|run| format!("unix:path={}", run.join("bus").display()))
            }),
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
    /// A file of `/proc/net`. Where the host's `/proc` is mounted elsewhere, `net` there is this process's own
    /// namespace; the host's is that of process 1.
    pub(crate) fn proc_net(&self, rest: impl AsRef<Path>) -> PathBuf {
        let hosts = self.proc("1/net").join(&rest);
        if self.proc_is_foreign && hosts.exists() { hosts } else { self.proc("net").join(rest) }
    }
    /// Where the environment has `netstat`, `snmp` and `snmp6` for the input `nstat`.
    pub(crate) fn nstat(&self) -> &[Option<PathBuf>; 3] {
        &self.nstat
    }
    /// The address of the system's D-Bus.
    pub(crate) fn system_bus(&self) -> String {
        let usual = || format!("unix:path={}", self.run("dbus/system_bus_socket").display());
        self.system_bus.clone().unwrap_or_else(usual)
    }
    /// The address of the D-Bus of the user who runs this.
    pub(crate) fn user_bus(&self) -> String {
        let uid = rustix::process::geteuid().as_raw();
        let usual = || format!("unix:path={}", self.run(format!("user/{uid}/bus")).display());
        self.user_bus.clone().unwrap_or_else(usual)
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

    #[test]
    fn the_namespace_of_process_1_where_there_is_one() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let root = dir.path().display().to_string();
        let paths = HostPaths::from_env(&|name| (name == "HOST_PROC").then(|| root.clone()));
        assert_eq!(paths.proc_net("dev"), dir.path().join("net/dev"));
        std::fs::create_dir_all(dir.path().join("1/net")).expect("created");
        std::fs::write(dir.path().join("1/net/dev"), "").expect("written");
        assert_eq!(paths.proc_net("dev"), dir.path().join("1/net/dev"));
        assert_eq!(HostPaths::default().proc_net("dev"), PathBuf::from("/proc/net/dev"));
    }

    #[test]
    fn nstat_has_variables_of_its_own() {
        let paths = HostPaths::from_env(&|name| match name {
            "PROC_ROOT" => Some("/root/proc".to_owned()),
            "PROC_NET_SNMP" => Some("/elsewhere/snmp".to_owned()),
            _ => None,
        });
        let files = ["/root/proc/net/netstat", "/elsewhere/snmp", "/root/proc/net/snmp6"];
        assert_eq!(paths.nstat().clone().map(|file| file.expect("given")), files.map(PathBuf::from));
        assert_eq!(HostPaths::default().nstat(), &[None, None, None]);
    }
}
