//! The configuration of `skywatch run`: command line over environment over file over default.
//!
//! Each section of the file has a module of its own: what may be written there, what it means, what is refused.

mod agent;
mod cluster;
mod console;
mod continuous;
mod coordinator;
mod data;
pub(crate) mod go_duration;
mod http;
mod influxdb;
mod listeners;
mod monitor;
mod subscriber;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

pub(crate) use agent::AgentChoice;
pub(crate) use cluster::{ClusterSettings, NodeTls};
pub(crate) use console::ConsoleSettings;
pub(crate) use continuous::ContinuousSettings;
pub(crate) use coordinator::CoordinatorSettings;
pub(crate) use data::DataSettings;
pub(crate) use http::HttpSettings;
use influxdb::Ignored;
pub(crate) use influxdb::{IgnoredKeys, is_server_file};
pub(crate) use listeners::ListenerSettings;
pub(crate) use monitor::MonitorSettings;
pub(crate) use subscriber::SubscriberSettings;

use crate::{
    bind_address::BindAddress,
    cli::{DataArgs, RunArgs},
};
use go_duration::GoDuration;

/// A commented `skywatch.toml`; a test reads it back and finds every default in it.
pub(crate) const DEFAULT_FILE: &str = include_str!("config/skywatch.toml");

/// What `skywatch run` runs with, every question answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunSettings {
    pub(crate) data: DataSettings,
    pub(crate) http: HttpSettings,
    pub(crate) monitor: MonitorSettings,
    pub(crate) coordinator: CoordinatorSettings,
    pub(crate) continuous: ContinuousSettings,
    pub(crate) subscriber: SubscriberSettings,
    pub(crate) listeners: ListenerSettings,
    pub(crate) console: ConsoleSettings,
    pub(crate) agent: AgentChoice,
    /// A file of alert rules.
    pub(crate) alerts: Option<PathBuf>,
    pub(crate) log: String,
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
    collectd: Vec<listeners::LeftOutSection>,
    opentsdb: Vec<listeners::LeftOutSection>,
    console: console::ConsoleSection,
    agent: agent::AgentSection,
    alerts: AlertsSection,
    // InfluxDB's.
    reporting_disabled: Ignored,
    reporting_enabled: Ignored,
    bind_address: Option<BindAddress>,
    hostname: Option<String>,
    gossip_frequency: Option<GoDuration>,
    labels: BTreeMap<String, String>,
    hinted_handoff: cluster::HintedHandoffSection,
    anti_entropy: cluster::AntiEntropySection,
    meta: influxdb::MetaSection,
    retention: influxdb::RetentionSection,
    shard_precreation: influxdb::ShardPrecreationSection,
    logging: influxdb::LoggingSection,
    ifql: influxdb::IfqlSection,
}

impl FileConfig {
    fn check(&self) -> Result<()> {
        self.meta.check()?;
        self.retention.check()
    }

    fn ignored(&self) -> IgnoredKeys {
        let mut keys = IgnoredKeys::default();
        // That nothing is reported to anyone needs no saying.
        self.hinted_handoff.note(&mut keys);
        self.anti_entropy.note(&mut keys);
        self.meta.note(&mut keys);
        self.data.note(&mut keys);
        self.http.note(&mut keys);
        self.subscriber.note(&mut keys);
        self.coordinator.note(&mut keys);
        self.retention.note(&mut keys);
        self.shard_precreation.note(&mut keys);
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
        file.check()?;
        let settings = Self::merge(args, file)?;
        settings.check()?;
        Ok(settings)
    }

    /// As [`Self::resolve`], for a data node: without console and agent, and with what it is told besides.
    pub(crate) fn resolve_data(args: &DataArgs) -> Result<(Self, ClusterSettings)> {
        let file = match &args.config {
            Some(path) => read_file(path)?,
            None => FileConfig::default(),
        };
        file.check()?;
        let cluster = ClusterSettings::merge(args, &file)?;
        let settings = Self::merge(&args.as_run(), file)?;
        settings.check()?;
        Ok((settings, cluster))
    }

    fn merge(args: &RunArgs, file: FileConfig) -> Result<Self> {
        let (ignored, level) = (file.ignored(), file.logging.filter());
        Ok(Self {
            data: DataSettings::merge(args, file.data),
            http: HttpSettings::merge(args, file.http, &file.tls)?,
            monitor: MonitorSettings::merge(args, file.monitor),
            coordinator: CoordinatorSettings::merge(&file.coordinator),
            continuous: ContinuousSettings::merge(&file.continuous),
            subscriber: SubscriberSettings::merge(file.subscriber),
            listeners: ListenerSettings::merge(file.udp, file.graphite, &file.collectd, &file.opentsdb)?,
            console: ConsoleSettings::merge(args, file.console),
            agent: AgentChoice::merge(args, file.agent),
            alerts: args.alerts.clone().or(file.alerts.file),
            log: args.log.clone().or(file.log).unwrap_or_else(|| level.unwrap_or("warn").into()),
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
        Ok(())
    }
}

/// Reads a `skywatch.toml` and says what is wrong with it: file, line, key.
pub(crate) fn check_file(path: &Path) -> Result<()> {
    let args = RunArgs { config: Some(path.to_path_buf()), ..RunArgs::default() };
    RunSettings::resolve(&args).map(drop)
}

fn read_file(path: &Path) -> Result<FileConfig> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read configuration file {}", path.display()))?;
    parse(&text).map_err(|error| anyhow::anyhow!("configuration file {}: {error}", path.display()))
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
        let checked = file.check().and_then(|()| RunSettings::merge(&RunArgs::default(), file)?.check());
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
    fn one_address_for_two_is_refused() {
        let error = settings_error("[http]\nbind = \"127.0.0.1:3000\"");
        assert!(error.contains("127.0.0.1:3000"), "{error}");
    }
}
