//! The configuration of `skywatch run`: command line over environment over file over default.
//!
//! Each section of the file has a module of its own: what may be written there, what it means, what is refused.

mod agent;
mod cluster;
mod console;
mod continuous;
mod coordinator;
mod data;
mod effective;
mod environment;
pub(crate) mod go_duration;
mod http;
mod influxdb;
mod kafka;
mod kafka_ingest;
mod listeners;
mod meta;
mod monitor;
mod replication;
mod subscriber;
mod text;
mod upkeep;

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use skywatch_cluster::UpkeepSettings;
use skywatch_kafka::{IngestConfig, KafkaSettings};

pub(crate) use agent::AgentChoice;
pub(crate) use cluster::{ClusterSettings, NodeTls};
pub(crate) use console::ConsoleSettings;
pub(crate) use continuous::ContinuousSettings;
pub(crate) use coordinator::CoordinatorSettings;
pub(crate) use data::DataSettings;
pub(crate) use effective::{effective_data, effective_meta};
pub(crate) use http::HttpSettings;
use influxdb::Ignored;
pub(crate) use influxdb::{IgnoredKeys, is_server_file};
pub(crate) use listeners::ListenerSettings;
pub(crate) use meta::{DEFAULT_META_FILE, MetaSettings, check_meta_file, is_meta_file};
pub(crate) use monitor::MonitorSettings;
pub(crate) use subscriber::SubscriberSettings;

use crate::{
    bind_address::BindAddress,
    cli::{DataArgs, RunArgs},
    logging::LogFormat,
};
use environment::Places;
use go_duration::GoDuration;

/// A commented `skywatch.toml`; a test reads it back and finds every default in it.
pub(crate) const DEFAULT_FILE: &str = include_str!("config/skywatch.toml");

/// The same for a data node.
pub(crate) const DEFAULT_DATA_FILE: &str = include_str!("config/data.toml");

/// Where a data node listens for clients unless told otherwise.
const DATA_HTTP_PORT: u16 = 8086;

/// What environment variables may set of a data node's file.
const DATA_PLACES: Places = Places {
    keys: &["hostname", "bind-address", "gossip-frequency", "reporting-disabled"],
    sections: &[
        "meta",
        "data",
        "coordinator",
        "retention",
        "shard-precreation",
        "monitor",
        "http",
        "subscriber",
        "continuous_queries",
        "hinted-handoff",
        "replication",
        "anti-entropy",
        "logging",
        "tls",
        "kafka",
    ],
    lists: &["graphite", "collectd", "opentsdb", "udp", "kafka-ingest"],
};

/// What `skywatch run` runs with, every question answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunSettings {
    pub(crate) data: DataSettings,
    pub(crate) http: HttpSettings,
    pub(crate) monitor: MonitorSettings,
    pub(crate) coordinator: CoordinatorSettings,
    pub(crate) upkeep: UpkeepSettings,
    /// Whether databases that are created without a policy begin with `autogen`.
    pub(crate) autogen: bool,
    pub(crate) continuous: ContinuousSettings,
    pub(crate) subscriber: SubscriberSettings,
    pub(crate) listeners: ListenerSettings,
    pub(crate) console: ConsoleSettings,
    pub(crate) agent: AgentChoice,
    /// A file of alert rules.
    pub(crate) alerts: Option<PathBuf>,
    /// The log that writes may go through.
    pub(crate) kafka: Option<KafkaSettings>,
    /// Line protocol out of Kafka's topics.
    pub(crate) ingests: Vec<IngestConfig>,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    /// What the file sets without effect.
    pub(crate) ignored: IgnoredKeys,
}

/// The file as written; every key is optional, an unknown key is an error.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct FileConfig {
    log: Option<String>,
    data: data::DataSection,
    http: http::HttpSection,
    tls: http::TlsSection,
    monitor: monitor::MonitorSection,
    // What InfluxDB's clusters called it once.
    #[serde(alias = "cluster")]
    coordinator: coordinator::CoordinatorSection,
    #[serde(rename = "continuous_queries")]
    continuous: continuous::ContinuousSection,
    subscriber: subscriber::SubscriberSection,
    udp: Vec<listeners::UdpSection>,
    graphite: Vec<listeners::GraphiteSection>,
    collectd: Vec<listeners::CollectdSection>,
    opentsdb: Vec<listeners::OpenTsdbSection>,
    console: console::ConsoleSection,
    agent: agent::AgentSection,
    alerts: AlertsSection,
    kafka: kafka::KafkaSection,
    kafka_ingest: Vec<kafka_ingest::IngestSection>,
    // InfluxDB's.
    reporting_disabled: Ignored,
    reporting_enabled: Ignored,
    bind_address: Option<BindAddress>,
    hostname: Option<String>,
    gossip_frequency: Option<GoDuration>,
    labels: BTreeMap<String, String>,
    hinted_handoff: cluster::HintedHandoffSection,
    anti_entropy: cluster::AntiEntropySection,
    replication: replication::ReplicationSection,
    meta: influxdb::MetaSection,
    retention: upkeep::RetentionSection,
    shard_precreation: upkeep::ShardPrecreationSection,
    logging: influxdb::LoggingSection,
    ifql: influxdb::IfqlSection,
}

impl FileConfig {
    fn ignored(&self) -> IgnoredKeys {
        let mut keys = IgnoredKeys::default();
        // That nothing is reported to anyone needs no saying.
        self.hinted_handoff.note(&mut keys);
        self.anti_entropy.note(&mut keys);
        self.meta.note(&mut keys);
        self.data.note(&mut keys);
        self.http.note(&mut keys);
        self.monitor.note(&mut keys);
        self.subscriber.note(&mut keys);
        self.coordinator.note(&mut keys);
        self.logging.note(&mut keys);
        self.ifql.note(&mut keys);
        keys
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct AlertsSection {
    file: Option<PathBuf>,
}

impl RunSettings {
    /// Reads the file that `args` names, if any, and lets `args` override it.
    pub(crate) fn resolve(args: &RunArgs) -> Result<Self> {
        let file = match &args.config {
            Some(path) => read_file(path)?,
            None => FileConfig::default(),
        };
        let settings = Self::merge(args, file)?;
        settings.check()?;
        Ok(settings)
    }

    /// As [`Self::resolve`], for a data node: without an agent, without a console unless told so, and with what it is told besides.
    pub(crate) fn resolve_data(args: &DataArgs) -> Result<(Self, ClusterSettings)> {
        let file = match &args.config {
            Some(path) => in_file(path, |text| data_file(text, env::vars_os()))?,
            None => data_file("", env::vars_os())?,
        };
        Self::merge_data(args, file)
    }

    fn merge_data(args: &DataArgs, mut file: FileConfig) -> Result<(Self, ClusterSettings)> {
        file.http.bind_unless_bound(DATA_HTTP_PORT);
        file.console.off_unless_enabled();
        let cluster = ClusterSettings::merge(args, &file)?;
        let autogen = file.meta.autogen();
        let mut settings = Self::merge(&args.as_run(), file)?;
        if !autogen {
            settings.ignored.add("[meta] retention-autocreate (of the meta nodes it counts)".to_owned());
        }
        settings.check()?;
        Ok((settings, cluster))
    }

    fn merge(args: &RunArgs, file: FileConfig) -> Result<Self> {
        let (ignored, level) = (file.ignored(), file.logging.filter());
        let log_format = file.logging.format.unwrap_or_default();
        Ok(Self {
            data: DataSettings::merge(args, file.data),
            http: HttpSettings::merge(args, file.http, &file.tls)?,
            monitor: MonitorSettings::merge(args, file.monitor),
            coordinator: CoordinatorSettings::merge(&file.coordinator),
            autogen: file.meta.autogen(),
            upkeep: upkeep::merge(&file.retention, &file.shard_precreation)?,
            continuous: ContinuousSettings::merge(&file.continuous),
            subscriber: SubscriberSettings::merge(file.subscriber),
            listeners: ListenerSettings::merge(file.udp, file.graphite, file.collectd, file.opentsdb)?,
            console: ConsoleSettings::merge(args, file.console),
            agent: AgentChoice::merge(args, file.agent),
            alerts: args.alerts.clone().or(file.alerts.file),
            ingests: kafka_ingest::merge(&file.kafka_ingest, &file.kafka)?,
            kafka: file.kafka.log()?,
            log: args.log.clone().or(file.log).unwrap_or_else(|| level.unwrap_or("warn").into()),
            log_format,
            ignored,
        })
    }

    fn check(&self) -> Result<()> {
        self.http.check()?;
        self.data.check(self.http.max_body_bytes)?;
        self.monitor.check()?;
        self.continuous.check()?;
        self.subscriber.check()?;
        let http_bind = &self.http.bind;
        if self.console.bind.as_ref() == Some(http_bind) && http_bind.port() != 0 {
            bail!(
                "the HTTP API and the console are both to listen on {http_bind}: give one of them another port"
            );
        }
        if self.console.https && self.http.tls.is_none() {
            bail!(
                "[console] https-enabled is true: it has the certificate of the HTTP API, so set https-enabled and \
                 https-certificate in [http] too"
            );
        }
        Ok(())
    }
}

/// The same for a data node's file.
pub(crate) fn check_data_file(path: &Path) -> Result<()> {
    let args = DataArgs { config: Some(path.to_path_buf()), ..DataArgs::default() };
    RunSettings::resolve_data(&args).map(drop)
}

/// Whether a file is for a data node of a cluster: only those say what there is only in one.
pub(crate) fn is_data_file(path: &Path) -> bool {
    let text = text::read(path).unwrap_or_default();
    let Ok(file) = text.parse::<toml::Table>() else { return false };
    ["hinted-handoff", "anti-entropy", "replication", "cluster", "gossip-frequency"]
        .iter()
        .any(|key| file.contains_key(*key))
}

/// Reads a `skywatch.toml` and says what is wrong with it: file, line, key.
pub(crate) fn check_file(path: &Path) -> Result<()> {
    let args = RunArgs { config: Some(path.to_path_buf()), ..RunArgs::default() };
    RunSettings::resolve(&args).map(drop)
}

fn read_file(path: &Path) -> Result<FileConfig> {
    in_file(path, |text| Ok(parse(text)?))
}

fn in_file<T>(path: &Path, read: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let text =
        text::read(path).with_context(|| format!("cannot read configuration file {}", path.display()))?;
    read(&text).map_err(|error| anyhow::anyhow!("configuration file {}: {error:#}", path.display()))
}

/// The file of a data node, and what variables change in it.
fn data_file(text: &str, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<FileConfig> {
    environment::overridden(data_table(text)?, DATA_PLACES, environment)
}

/// The file of a data node under the present names of sections.
fn data_table(text: &str) -> Result<toml::Table> {
    // First by itself: an error then tells its line.
    parse(text)?;
    let mut table: toml::Table = text.parse()?;
    if let Some(old_name) = table.remove("cluster") {
        table.insert("coordinator".to_owned(), old_name);
    }
    Ok(table)
}

fn parse(text: &str) -> Result<FileConfig, toml::de::Error> {
    toml::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a file of this text makes of the defaults.
    pub(super) fn settings(text: &str) -> RunSettings {
        RunSettings::merge(&RunArgs::default(), parse(text).unwrap()).unwrap()
    }

    /// Why a file of this text is refused.
    pub(super) fn settings_error(text: &str) -> String {
        let file = match parse(text) {
            Ok(file) => file,
            Err(error) => return error.to_string(),
        };
        let checked = RunSettings::merge(&RunArgs::default(), file).and_then(|settings| settings.check());
        format!("{:#}", checked.unwrap_err())
    }

    #[test]
    fn the_default_file_says_the_defaults() {
        assert_eq!(settings(DEFAULT_FILE), settings(""));
        let uncommented: String = DEFAULT_FILE
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n")
            .collect();
        parse(&uncommented).expect("the commented-out examples are valid too");
    }

    #[test]
    fn the_command_line_beats_the_file() {
        let file = parse("[http]\nbind = \"127.0.0.1:1\"\n[agent]\nconfig = \"t.conf\"").unwrap();
        let args = RunArgs { http_bind: Some("127.0.0.1:2".parse().unwrap()), ..RunArgs::default() };
        let settings = RunSettings::merge(&args, file).unwrap();
        assert_eq!(settings.http.bind.port(), 2);
        assert_eq!(settings.agent, AgentChoice::File("t.conf".into()));
    }

    #[test]
    fn a_data_node_has_a_console_when_it_is_told_to() {
        let console =
            |text: &str| data_settings(text, &[]).unwrap().0.console.bind.map(|bind| bind.to_string());
        assert_eq!(console(""), None);
        assert_eq!(console("[console]\nbind = \":3001\""), None);
        assert_eq!(console("[console]\nenabled = true\nbind = \":3001\""), Some(":3001".to_owned()));
        let error = settings_error("[console]\nhttps-enabled = true");
        assert!(error.contains("https-certificate in [http]"), "{error}");
    }

    #[test]
    fn one_address_for_two_is_refused() {
        let error = settings_error("[http]\nbind = \"127.0.0.1:3000\"");
        assert!(error.contains("127.0.0.1:3000"), "{error}");
    }

    fn data_settings(text: &str, variables: &[(&str, &str)]) -> Result<(RunSettings, ClusterSettings)> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        RunSettings::merge_data(&DataArgs::default(), data_file(text, variables)?)
    }

    #[test]
    fn the_default_file_of_a_data_node_says_the_defaults() {
        let shown = |text: &str| format!("{:?}", data_settings(text, &[]).unwrap());
        assert_eq!(shown(DEFAULT_DATA_FILE), shown(""));
        let uncommented: String = DEFAULT_DATA_FILE
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n")
            .collect();
        data_settings(&uncommented, &[]).expect("the commented-out examples are valid too");
    }

    /// Every key that a data node's file of the original has, with its defaults.
    #[test]
    fn a_data_nodes_file_of_the_original_is_read_as_it_is() {
        let (settings, cluster) = data_settings(include_str!("config/original_data.toml"), &[]).unwrap();
        assert_eq!((settings.http.bind.as_str(), cluster.bind.as_str()), (":8086", ":8088"));
        assert_eq!(settings.data.dir, PathBuf::from("/var/lib/influxdb/data"));
        assert_eq!((cluster.hostname, cluster.secret, cluster.tls), (None, None, None));
        assert_eq!(cluster.member.hints.max_bytes, 10 << 30);
        assert_eq!(cluster.write_timeout.as_secs(), 10);
    }

    #[test]
    fn a_data_node_is_changed_by_variables_and_knows_the_old_name_of_a_section() {
        let variables = [
            ("INFLUXDB_HOSTNAME", "d1"),
            ("INFLUXDB_DATA_DIR", "/tmp/d1"),
            ("INFLUXDB_COORDINATOR_DIAL_TIMEOUT", "3s"),
            ("INFLUXDB_HINTED_HANDOFF_MAX_SIZE", "1024"),
            ("INFLUXDB_GRAPHITE_0_ENABLED", "true"),
        ];
        let (settings, cluster) = data_settings("[cluster]\nwrite-timeout = \"7s\"", &variables).unwrap();
        assert_eq!((cluster.hostname.as_deref(), cluster.member.hints.max_bytes), (Some("d1"), 1024));
        assert_eq!((cluster.write_timeout.as_secs(), cluster.dial_timeout.as_secs()), (7, 3));
        assert_eq!((settings.data.dir, settings.listeners.graphite.len()), (PathBuf::from("/tmp/d1"), 1));
        let error =
            format!("{:#}", data_settings("[coordinator]\nwrite-timeout = \"soon\"", &[]).unwrap_err());
        assert!(error.contains("line 2"), "{error}");
    }
}
