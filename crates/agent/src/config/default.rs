//! The configuration with which a host monitors itself, as text that people can read and edit.

use std::fmt::Write as _;
use std::path::Path;

/// Sockets of libvirt: the one daemon of old, and the one for QEMU since 5.6.
pub(crate) const LIBVIRT_SOCKETS: [&str; 2] = ["/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"];

/// `[agent]`, and global tags to fill in.
pub(crate) const AGENT_TOML: &str = "\
[agent]
  interval = \"10s\"
  flush_interval = \"10s\"
  # Host's name in the tag `host`; empty takes the system's.
  hostname = \"\"

# Tags for every metric, for example:
# [global_tags]
#   datacenter = \"dc-1\"
#   rack = \"r7\"
";

/// The inputs that every host has something for.
pub(crate) const HOST_INPUTS_TOML: &str = "\
[[inputs.cpu]]
  percpu = true
  totalcpu = true
  report_active = true
[[inputs.mem]]
[[inputs.swap]]
[[inputs.disk]]
  ignore_fs = [\"tmpfs\", \"devtmpfs\", \"devfs\", \"iso9660\", \"overlay\", \"aufs\", \"squashfs\"]
[[inputs.diskio]]
[[inputs.net]]
[[inputs.system]]
[[inputs.kernel]]
[[inputs.processes]]
";

/// The virtual machines of this host.
pub(crate) const LIBVIRT_TOML: &str = "[[inputs.libvirt]]\n  libvirt_uri = \"qemu:///system\"\n";

/// What [`default_toml`] depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultConfig {
    /// Where to send, as in `http://127.0.0.1:8086`.
    pub url: String,
    /// Into which database.
    pub database: String,
    /// User and password, where the server asks for them.
    pub user: Option<(String, String)>,
    /// Whether any certificate of the server will do: it is this very process.
    pub any_certificate: bool,
    /// Whether to watch the virtual machines of this host.
    pub libvirt: bool,
}

impl DefaultConfig {
    /// For this machine: with libvirt if one of its sockets is there.
    pub fn detect(url: impl Into<String>) -> Self {
        let libvirt = LIBVIRT_SOCKETS.iter().any(|socket| Path::new(socket).exists());
        Self { url: url.into(), database: "telegraf".to_owned(), user: None, any_certificate: false, libvirt }
    }
}

/// The configuration as TOML. It loads in Telegraf as well.
pub fn default_toml(options: &DefaultConfig) -> String {
    let about = "# How this host watches itself. Telegraf's format: see `skywatch config default agent`.\n";
    let output = output_toml(options);
    let libvirt = if options.libvirt {
        LIBVIRT_TOML.to_owned()
    } else {
        format!("# Virtual machines, when libvirtd runs here:\n{}", commented(LIBVIRT_TOML))
    };
    format!("{about}{AGENT_TOML}\n{output}\n{HOST_INPUTS_TOML}\n{libvirt}")
}

/// The output to the store.
pub(crate) fn output_toml(options: &DefaultConfig) -> String {
    let database = quote(&options.database);
    let mut text =
        format!("[[outputs.influxdb]]\n  urls = [{}]\n  database = {database}\n", quote(&options.url));
    if let Some((name, password)) = &options.user {
        writeln!(text, "  username = {}\n  password = {}", quote(name), quote(password)).ok();
    }
    if options.any_certificate {
        text.push_str("  insecure_skip_verify = true\n");
    }
    text
}

/// Each line as a comment.
pub(crate) fn commented(toml: &str) -> String {
    toml.lines().map(|line| if line.is_empty() { "#\n".to_owned() } else { format!("# {line}\n") }).collect()
}

/// A TOML string.
pub(crate) fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn it_loads_with_and_without_libvirt() {
        for libvirt in [false, true] {
            let options = DefaultConfig {
                url: "http://127.0.0.1:8086".to_owned(),
                database: "a\"b".to_owned(),
                user: libvirt.then(|| ("u".to_owned(), "p".to_owned())),
                any_certificate: libvirt,
                libvirt,
            };
            let config = Config::parse_with(&default_toml(&options), "default", &|_| None).expect("valid");
            assert_eq!(config.inputs.len(), if libvirt { 10 } else { 9 });
            assert_eq!(config.outputs.len(), 1);
            assert!(config.warnings.is_empty(), "{:?}", config.warnings);
        }
    }
}
