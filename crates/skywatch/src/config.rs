//! The configuration of `skywatch run`: command line over environment over file over default.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use skywatch_storage::{CardinalityLimits, Consumer, MemoryBudget, StoreOptions};

use crate::{
    bind_address::BindAddress,
    byte_size::ByteSize,
    cli::{DurabilityMode, RunArgs},
    memory,
};

/// A commented `skywatch.toml`; a test reads it back and finds every default in it.
pub(crate) const DEFAULT_FILE: &str = include_str!("config/skywatch.toml");

/// What `skywatch run` runs with, every question answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunSettings {
    pub(crate) data_dir: PathBuf,
    pub(crate) durability: DurabilityMode,
    /// `None` leaves it to what this machine has.
    pub(crate) memory_budget: Option<ByteSize>,
    /// Bytes that memtables may hold, at most their share of the budget, before writes are slowed down and refused.
    pub(crate) write_memory_bytes: u64,
    /// 0 means no limit.
    pub(crate) max_series_per_database: u64,
    /// 0 means no limit.
    pub(crate) max_values_per_tag: u64,
    pub(crate) http_bind: BindAddress,
    /// Largest body of a write, in bytes, after decompression.
    pub(crate) max_body_bytes: usize,
    pub(crate) max_connections: usize,
    pub(crate) max_concurrent_queries: usize,
    /// 0 means no limit.
    pub(crate) query_timeout_secs: u64,
    /// `None` when the console is off.
    pub(crate) console_bind: Option<BindAddress>,
    /// A directory of dashboards beside those that ship.
    pub(crate) dashboards_dir: Option<PathBuf>,
    pub(crate) agent: AgentChoice,
    pub(crate) alerts: Option<PathBuf>,
    pub(crate) log: String,
}

/// Whether and how `skywatch run` watches its own host.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AgentChoice {
    Off,
    /// The built-in configuration.
    ThisHost,
    /// A Telegraf configuration file.
    File(PathBuf),
}

/// The file as written; every key is optional, an unknown key is an error.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct FileConfig {
    log: Option<String>,
    data: DataSection,
    http: HttpSection,
    console: ConsoleSection,
    agent: AgentSection,
    alerts: AlertsSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct DataSection {
    dir: Option<PathBuf>,
    durability: Option<DurabilityMode>,
    memory_budget: Option<ByteSize>,
    write_memory_bytes: Option<u64>,
    max_series_per_database: Option<u64>,
    max_values_per_tag: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct HttpSection {
    bind: Option<BindAddress>,
    max_body_bytes: Option<usize>,
    max_connections: Option<usize>,
    max_concurrent_queries: Option<usize>,
    query_timeout_secs: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct ConsoleSection {
    enabled: Option<bool>,
    bind: Option<BindAddress>,
    dashboards_dir: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct AgentSection {
    enabled: Option<bool>,
    config: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct AlertsSection {
    file: Option<PathBuf>,
}

impl RunSettings {
    /// Reads the file that `args` names, if any, and lets `args` override it.
    pub(crate) fn resolve(args: RunArgs) -> Result<Self> {
        let file = match &args.config {
            Some(path) => read_file(path)?,
            None => FileConfig::default(),
        };
        let settings = Self::merge(args, file);
        settings.check()?;
        Ok(settings)
    }

    fn merge(args: RunArgs, file: FileConfig) -> Self {
        let cardinality = CardinalityLimits::default();
        let console_on = !args.no_console && file.console.enabled.unwrap_or(true);
        let agent_on = !args.no_agent && file.agent.enabled.unwrap_or(true);
        let agent = match args.agent_config.or(file.agent.config) {
            _ if !agent_on => AgentChoice::Off,
            Some(path) => AgentChoice::File(path),
            None => AgentChoice::ThisHost,
        };
        Self {
            data_dir: args.data_dir.or(file.data.dir).unwrap_or_else(|| "skywatch-data".into()),
            durability: args.durability.or(file.data.durability).unwrap_or(DurabilityMode::Fsync),
            memory_budget: args.memory_budget.or(file.data.memory_budget),
            write_memory_bytes: file.data.write_memory_bytes.unwrap_or(StoreOptions::MEMTABLE_BYTES_MAX),
            max_series_per_database: file
                .data
                .max_series_per_database
                .unwrap_or(cardinality.max_series_per_database),
            max_values_per_tag: file.data.max_values_per_tag.unwrap_or(cardinality.max_values_per_tag),
            http_bind: args.http_bind.or(file.http.bind).unwrap_or_else(|| BindAddress::loopback(8086)),
            max_body_bytes: file.http.max_body_bytes.unwrap_or(25_000_000),
            max_connections: file.http.max_connections.unwrap_or(4096),
            max_concurrent_queries: file.http.max_concurrent_queries.unwrap_or(16),
            query_timeout_secs: file.http.query_timeout_secs.unwrap_or(0),
            console_bind: console_on.then(|| {
                args.console_bind.or(file.console.bind).unwrap_or_else(|| BindAddress::loopback(3000))
            }),
            dashboards_dir: file.console.dashboards_dir,
            agent,
            alerts: args.alerts.or(file.alerts.file),
            log: args.log.or(file.log).unwrap_or_else(|| "warn".into()),
        }
    }

    fn check(&self) -> Result<()> {
        if self.console_bind.as_ref() == Some(&self.http_bind) && self.http_bind.port() != 0 {
            bail!(
                "the HTTP API and the console are both to listen on {}: give one of them another port",
                self.http_bind
            );
        }
        for (value, key) in [
            (self.max_body_bytes, "max-body-bytes"),
            (self.max_connections, "max-connections"),
            (self.max_concurrent_queries, "max-concurrent-queries"),
        ] {
            if value == 0 {
                bail!("[http] {key} is 0: it must be at least 1");
            }
        }
        if self.write_memory_bytes < WRITE_MEMORY_BYTES_MIN {
            bail!(
                "[data] write-memory-bytes is {}: it must be at least {WRITE_MEMORY_BYTES_MIN}",
                self.write_memory_bytes
            );
        }
        if let Some(budget) = self.memory_budget {
            let needed = ByteSize((BUDGET_BODIES * self.max_body_bytes as u64).max(BUDGET_BYTES_MIN));
            if budget < needed {
                bail!(
                    "memory-budget is {budget}: it must be at least {needed} for writes of up to {} bytes; \
                     raise [data] memory-budget (--memory-budget) or lower [http] max-body-bytes",
                    self.max_body_bytes
                );
            }
        }
        Ok(())
    }

    /// What the whole process shares.
    pub(crate) fn memory(&self) -> MemoryBudget {
        let total = self.memory_budget.map_or_else(memory::default_budget_bytes, |budget| budget.0);
        MemoryBudget::new(total).with_ceiling(Consumer::Memtables, self.write_memory_bytes)
    }
}

/// A write passes through memory as a body, as parsed points and as rows: so many times its size at once.
const BUDGET_BODIES: u64 = 4;
/// Less would not do for anything.
const BUDGET_BYTES_MIN: u64 = 64 << 20;

/// Below this no memtable would hold a body of the largest size.
const WRITE_MEMORY_BYTES_MIN: u64 = 64 << 20;

/// Reads a `skywatch.toml` and says what is wrong with it: file, line, key.
pub(crate) fn check_file(path: &Path) -> Result<()> {
    let args = RunArgs { config: Some(path.to_path_buf()), ..RunArgs::default() };
    RunSettings::resolve(args).map(drop)
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

    #[test]
    fn the_default_file_says_the_defaults() {
        let from_file = RunSettings::merge(RunArgs::default(), parse(DEFAULT_FILE).unwrap());
        let built_in = RunSettings::merge(RunArgs::default(), FileConfig::default());
        assert_eq!(from_file, built_in);
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
        let settings = RunSettings::merge(args, file);
        assert_eq!(settings.http_bind.port(), 2);
        assert_eq!(settings.agent, AgentChoice::File("t.conf".into()));
    }

    #[test]
    fn the_memory_budget_is_a_size_or_a_number() {
        for text in ["memory-budget = \"1g\"", "memory-budget = 1073741824"] {
            let file = parse(&format!("[data]\n{text}\nwrite-memory-bytes = 67108864")).unwrap();
            let settings = RunSettings::merge(RunArgs::default(), file);
            let memory = settings.memory();
            assert_eq!(memory.total_bytes(), 1 << 30);
            assert_eq!(memory.limit_bytes(Consumer::Memtables), 64 << 20);
        }
        let error = parse("[data]\nmemory-budget = \"much\"").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("512m"), "{error}");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = parse("[http]\nbind = \"127.0.0.1:1\"\nbnid = 3").unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("bnid") && error.contains("bind"), "{error}");
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let same = parse("[http]\nbind = \"127.0.0.1:3000\"").unwrap();
        let error = RunSettings::merge(RunArgs::default(), same).check().unwrap_err().to_string();
        assert!(error.contains("127.0.0.1:3000"), "{error}");
        let small = parse("[data]\nmemory-budget = \"64m\"").unwrap();
        let error = RunSettings::merge(RunArgs::default(), small).check().unwrap_err().to_string();
        for part in ["64m", "100000000", "--memory-budget", "max-body-bytes"] {
            assert!(error.contains(part), "{error}");
        }
        let none = parse("[http]\nmax-connections = 0").unwrap();
        assert!(RunSettings::merge(RunArgs::default(), none).check().is_err());
    }
}
