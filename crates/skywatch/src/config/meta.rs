//! What a meta node is told: command line over environment over file over default. The keys are those of InfluxDB's meta
//! nodes.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use skywatch_meta_node::{Settings, Timing};
use skywatch_tls::{ClientTlsConfig, TlsConfig};

use super::{
    environment::{Places, overridden},
    go_duration::GoDuration,
    http::TlsSection,
    influxdb::{Ignored, IgnoredKeys, LoggingSection, section},
    text,
};
use crate::{
    bind_address::{BindAddress, with_port},
    cli::MetaArgs,
    data::system_hostname,
    logging::LogFormat,
};

/// A commented file; a test reads it back and finds every default in it.
pub(crate) const DEFAULT_META_FILE: &str = include_str!("meta.toml");

const HTTP_PORT: u16 = 8091;
const RAFT_PORT: u16 = 8089;
/// Raft's heartbeats are so many to the time in which one has to arrive.
const HEARTBEATS: u32 = 5;
const GOSSIP_MIN: Duration = Duration::from_millis(250);

section! {
    /// `[meta]` of a meta node.
    MetaNodeSection "meta"
    reads {
        dir: Option<PathBuf>,
        bind_address: Option<BindAddress>,
        http_bind_address: Option<BindAddress>,
        single_server: Option<bool>,
        https_enabled: Option<bool>,
        https_certificate: Option<PathBuf>,
        https_private_key: Option<PathBuf>,
        https_ca: Option<PathBuf>,
        https_insecure_tls: Option<bool>,
        data_use_tls: Option<bool>,
        data_insecure_tls: Option<bool>,
        retention_autocreate: Option<bool>,
        gossip_frequency: Option<GoDuration>,
        announcement_expiration: Option<GoDuration>,
        election_timeout: Option<GoDuration>,
        heartbeat_timeout: Option<GoDuration>,
        lease_duration: Option<GoDuration>,
        auth_enabled: Option<bool>,
        shared_secret: Option<String>,
        internal_shared_secret: Option<String>,
    }
    ignores {
        leader_lease_timeout, commit_timeout, consensus_timeout, cluster_tracing, logging_enabled, pprof_enabled,
        ldap_allowed
    }
}

/// The file as written; every key is optional, an unknown key is an error.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct MetaFile {
    hostname: Option<String>,
    log: Option<String>,
    meta: MetaNodeSection,
    logging: LoggingSection,
    tls: TlsSection,
    reporting_disabled: Ignored,
    bind_address: Ignored,
}

/// What `skywatch meta` runs with, every question answered.
#[derive(Debug, Clone)]
pub(crate) struct MetaSettings {
    /// Where the store is.
    pub(crate) dir: PathBuf,
    /// Where other meta nodes are listened to.
    pub(crate) raft_bind: BindAddress,
    /// Where data nodes and operators are.
    pub(crate) http_bind: BindAddress,
    /// The host's name for others, and whether somebody said so.
    pub(crate) hostname: Option<String>,
    /// TLS on both ports.
    pub(crate) server_tls: Option<TlsConfig>,
    /// TLS towards meta nodes.
    pub(crate) meta_tls: Option<ClientTlsConfig>,
    /// TLS towards data nodes.
    pub(crate) data_tls: Option<ClientTlsConfig>,
    /// What nodes prove to each other to know.
    pub(crate) internal_secret: Option<String>,
    /// Whether operators have to be users.
    pub(crate) auth: bool,
    /// What their tokens are signed with.
    pub(crate) shared_secret: Option<String>,
    /// What the node itself is told, but for its addresses.
    pub(super) node: Settings,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    /// What the file sets without effect.
    pub(crate) ignored: IgnoredKeys,
}

impl MetaSettings {
    /// Reads the file that `args` names, if any, lets the environment override it, and `args` both.
    pub(crate) fn resolve(args: &MetaArgs) -> Result<Self> {
        let (name, text) = match &args.config {
            Some(path) => {
                let text = text::read(path)
                    .with_context(|| format!("cannot read configuration file {}", path.display()))?;
                (format!("configuration file {}", path.display()), text)
            }
            None => ("the environment".to_owned(), String::new()),
        };
        let file = parse(&text, std::env::vars_os()).with_context(|| name)?;
        Self::merge(args, &file)
    }

    fn merge(args: &MetaArgs, file: &MetaFile) -> Result<Self> {
        let meta = &file.meta;
        let text = |key: &Option<String>| key.clone().filter(|text| !text.is_empty());
        let (auth, internal_secret) = (meta.auth_enabled == Some(true), text(&meta.internal_shared_secret));
        if auth && internal_secret.is_none() {
            bail!("internal-shared-secret is blank and must be set in config when auth is enabled");
        }
        let mut ignored = IgnoredKeys::default();
        meta.note(&mut ignored);
        file.logging.note(&mut ignored);
        ignored.note(file.bind_address, "bind-address");
        let level = file.logging.filter();
        Ok(Self {
            dir: args.dir.clone().or_else(|| meta.dir.clone()).unwrap_or_else(|| "skywatch-meta".into()),
            raft_bind: meta.bind_address.clone().unwrap_or_else(|| BindAddress::everywhere(RAFT_PORT)),
            http_bind: meta.http_bind_address.clone().unwrap_or_else(|| BindAddress::everywhere(HTTP_PORT)),
            hostname: args.hostname.clone().or_else(|| text(&file.hostname)),
            server_tls: server_tls(meta, &file.tls)?,
            meta_tls: client_tls(meta, meta.https_enabled, meta.https_insecure_tls),
            data_tls: client_tls(meta, meta.data_use_tls, meta.data_insecure_tls),
            internal_secret,
            auth,
            shared_secret: text(&meta.shared_secret),
            node: node(args, meta)?,
            log: filter(args.log.as_deref().or(file.log.as_deref()).or(level).unwrap_or("info")),
            log_format: file.logging.format.unwrap_or_default(),
            ignored,
        })
    }

    /// What the node itself is told where it listens on these ports.
    pub(crate) fn at(&self, http_port: u16, raft_port: u16) -> Settings {
        let system = system_hostname();
        Settings {
            http_addr: self.advertised(&self.http_bind, http_port, &system),
            raft_addr: self.advertised(&self.raft_bind, raft_port, &system),
            is_named: self.hostname.is_some()
                || self.http_bind.host().is_some() && self.raft_bind.host().is_some()
                || !system.starts_with("localhost"),
            ..self.node.clone()
        }
    }

    /// What others are told to find this node by: the name it was given, or else what it listens on, or else what the
    /// system calls this host.
    fn advertised(&self, bind: &BindAddress, port: u16, system: &str) -> String {
        let host = self.hostname.as_deref().or_else(|| bind.host()).unwrap_or(system);
        with_port(host, port)
    }
}

/// What is left of the Raft library's words where it is not named: that every call to a node that is away fails is told once by
/// our own side of the call, and by the library some fifty times a second; and that a late answer of an earlier term or membership
/// counts for nothing is as it should be when a cluster is made.
const QUIET_RAFT: &str =
    "openraft=warn,openraft::core::raft_core=error,openraft::engine=error,openraft::replication=off";

/// Adds that the Raft library be quiet where all are heard from `info` or `warn` on. Whoever names it in a filter gets what they
/// ask for.
fn filter(asked: &str) -> String {
    let mut directives = asked.split(',').map(|directive| directive.trim().to_ascii_lowercase());
    if directives.any(|directive| directive == "info" || directive == "warn") && !asked.contains("openraft") {
        format!("{asked},{QUIET_RAFT}")
    } else {
        asked.to_owned()
    }
}

fn server_tls(meta: &MetaNodeSection, spoken: &TlsSection) -> Result<Option<TlsConfig>> {
    if meta.https_enabled != Some(true) {
        return Ok(None);
    }
    let Some(certificate) = meta.https_certificate.clone() else {
        bail!("[meta] https-enabled is true: https-certificate names the file of the node's certificate");
    };
    let config = TlsConfig::new(certificate, meta.https_private_key.clone());
    spoken.restrict(TlsConfig { client_authorities: meta.https_ca.clone(), ..config }).map(Some)
}

fn client_tls(
    meta: &MetaNodeSection,
    enabled: Option<bool>,
    insecure: Option<bool>,
) -> Option<ClientTlsConfig> {
    (enabled == Some(true)).then(|| ClientTlsConfig {
        authorities: meta.https_ca.clone(),
        identity: meta.https_certificate.clone().map(|file| (file, meta.https_private_key.clone())),
        skip_verification: insecure == Some(true),
    })
}

fn node(args: &MetaArgs, meta: &MetaNodeSection) -> Result<Settings> {
    let span = |key: Option<GoDuration>, default: Duration| key.map_or(default, |span| span.0);
    let defaults = Settings::new("", "", rand::random());
    let second = Duration::from_secs(1);
    let heartbeat = span(meta.heartbeat_timeout, second);
    let timing = Timing {
        heartbeat: heartbeat / HEARTBEATS,
        election: span(meta.election_timeout, second).max(heartbeat),
    };
    if timing.heartbeat < Duration::from_millis(10) {
        bail!(
            "[meta] heartbeat-timeout is {heartbeat:?}: too short for any network; 50ms is the least, 1s is usual"
        );
    }
    Ok(Settings {
        timing,
        single_server: args.single_server || meta.single_server == Some(true),
        https: meta.https_enabled == Some(true),
        autogen: meta.retention_autocreate != Some(false),
        gossip_every: span(meta.gossip_frequency, defaults.gossip_every).max(GOSSIP_MIN),
        announcement_lasts: span(meta.announcement_expiration, defaults.announcement_lasts),
        lease_lasts: span(meta.lease_duration, defaults.lease_lasts),
        ..defaults
    })
}

/// Checks a file and says what is wrong with it.
pub(crate) fn check_meta_file(path: &Path) -> Result<()> {
    let args = MetaArgs { config: Some(path.to_path_buf()), ..MetaArgs::default() };
    MetaSettings::resolve(&args).map(drop)
}

/// Whether a file in TOML is for a meta node: only those say where its two ports are.
pub(crate) fn is_meta_file(path: &Path) -> bool {
    let text = text::read(path).unwrap_or_default();
    let Ok(file) = text.parse::<toml::Table>() else { return false };
    let Some(meta) = file.get("meta").and_then(toml::Value::as_table) else { return false };
    let is_own = ["http-bind-address", "bind-address", "election-timeout", "internal-shared-secret"];
    is_own.iter().any(|key| meta.contains_key(*key)) && !file.contains_key("data")
}

/// What variables may change.
pub(super) const PLACES: Places = Places {
    keys: &["hostname", "reporting-disabled", "bind-address"],
    sections: &["meta", "logging", "tls"],
    lists: &[],
};

fn parse(text: &str, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<MetaFile> {
    // First by itself: an error then tells its line.
    let _: MetaFile = toml::from_str(text)?;
    overridden(text.parse()?, PLACES, environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str, environment: &[(&str, &str)]) -> Result<MetaSettings> {
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
        MetaSettings::merge(&MetaArgs::default(), &parse(text, environment)?)
    }

    fn shown(settings: MetaSettings) -> String {
        // Drawn anew each time.
        let node = Settings { seed: 0, ..settings.node.clone() };
        format!("{:?}", MetaSettings { node, ..settings })
    }

    #[test]
    fn the_default_file_says_the_defaults() {
        let default = settings("", &[]).unwrap();
        assert_eq!(shown(settings(DEFAULT_META_FILE, &[]).unwrap()), shown(default));
        let uncommented: String = DEFAULT_META_FILE
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n")
            .collect();
        settings(&uncommented, &[]).expect("the commented-out examples are valid too");
    }

    /// Every key that the file of the original has, with its defaults.
    #[test]
    fn a_file_of_the_original_is_read_as_it_is() {
        let file = include_str!("original_meta.toml");
        let settings = settings(file, &[]).unwrap();
        assert_eq!(settings.dir, PathBuf::from("/var/lib/influxdb/meta"));
        assert_eq!(settings.node.timing, Timing::default());
        assert_eq!((settings.hostname, settings.internal_secret), (None, None));
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let file = "hostname = \"a\"\n[meta]\ndir = \"x\"\nauth-enabled = false";
        let environment = [
            ("INFLUXDB_HOSTNAME", "b"),
            ("INFLUXDB_META_DIR", "y"),
            ("INFLUXDB_META_AUTH_ENABLED", "true"),
            ("INFLUXDB_META_INTERNAL_SHARED_SECRET", "s"),
            ("INFLUXDB_META_ELECTION_TIMEOUT", "3s"),
            ("INFLUXDB_META_CONFIG_PATH", "/etc/x"),
            ("INFLUXDB_DATA_DIR", "somebody else's"),
        ];
        let settings = settings(file, &environment).unwrap();
        assert_eq!(settings.hostname.as_deref(), Some("b"));
        assert_eq!(settings.dir, PathBuf::from("y"));
        assert!(settings.auth);
        assert_eq!(settings.node.timing.election, Duration::from_secs(3));
    }

    #[test]
    fn the_librarys_words_are_left_out_unless_it_is_named() {
        let of = |text: &str| settings(text, &[]).unwrap().log;
        for text in ["", "log = \"info\"", "[logging]\nlevel = \"info\""] {
            assert_eq!(of(text), format!("info,{QUIET_RAFT}"), "{text}");
        }
        assert_eq!(of("log = \"WARN\""), format!("WARN,{QUIET_RAFT}"));
        assert!(of("log = \"info,skywatch_rpc=debug\"").contains("skywatch_rpc=debug,openraft=warn"));
        for asked in ["info,openraft=info", "debug", "error", "skywatch_meta_node=info"] {
            assert_eq!(of(&format!("log = {asked:?}")), asked);
        }
    }

    #[test]
    fn what_cannot_be_is_refused_in_plain_words() {
        for (text, word) in [
            ("[meta]\nauth-enabled = true", "internal-shared-secret is blank"),
            ("[meta]\nhttps-enabled = true", "https-certificate"),
            ("[meta]\nheartbeat-timeout = \"1ms\"", "too short"),
            ("[meta]\nelection = \"1s\"", "line 2"),
        ] {
            let error = format!("{:#}", settings(text, &[]).unwrap_err());
            assert!(error.contains(word), "{text}: {error}");
        }
        let error = format!("{:#}", settings("", &[("INFLUXDB_META_NONSENSE", "1")]).unwrap_err());
        assert!(error.contains("INFLUXDB_META_NONSENSE"), "{error}");
    }

    #[test]
    fn others_are_told_a_name_that_they_can_use() {
        let of = |text: &str| {
            let settings = settings(text, &[]).unwrap();
            settings.advertised(&settings.http_bind, 8091, "host-1")
        };
        assert_eq!(of(""), "host-1:8091");
        assert_eq!(of("[meta]\nhttp-bind-address = \"10.0.0.1:8091\""), "10.0.0.1:8091");
        assert_eq!(of("hostname = \"m1\"\n[meta]\nhttp-bind-address = \"10.0.0.1:8091\""), "m1:8091");
        assert_eq!(of("[meta]\nhttp-bind-address = \"[::1]:8091\""), "[::1]:8091");
    }
}
