//! Options of the processes that serve: `run`, `meta`, `data`. `None` means: look in the file, then take the default.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{bind_address::BindAddress, byte_size::ByteSize};

pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  skywatch run                                    everything on 127.0.0.1, data under ./skywatch-data
  skywatch run --data-dir /var/lib/skywatch --http-bind 0.0.0.0:8086 --console-bind 0.0.0.0:3000
  skywatch run --alerts alerts.yaml               with alert rules
  skywatch run --no-agent --no-console            just the store
  SKYWATCH_HTTP_BIND=127.0.0.1:9086 skywatch run  options as environment variables";

pub(super) const META_EXAMPLES: &str = "\
A meta node waits until it is made a member of a cluster (`skywatch ctl add-meta`); the first one makes the cluster. It
reads the configuration of InfluxDB's meta nodes as it is, and its environment variables (INFLUXDB_META_DIR).

Examples:
  skywatch meta --config /etc/skywatch/meta.toml
  skywatch config default meta > meta.toml        a configuration to begin with
  skywatch meta --single-server                   a cluster of one, at once";

pub(super) const DATA_EXAMPLES: &str = "\
A data node waits until it is made a member of a cluster (`skywatch ctl add-data`), then serves as long as it runs. It
reads the configuration of InfluxDB's data nodes as it is.

Examples:
  skywatch data --config /etc/skywatch/data.toml
  skywatch data --hostname data-1 --data-dir /var/lib/skywatch --http-bind :8086 --tcp-bind :8088";

/// Options of `skywatch run`. `None` means: look in the file, then take the default.
#[derive(Debug, Default, Args)]
pub(crate) struct RunArgs {
    /// Configuration file (TOML); `skywatch config default run` prints one
    #[arg(long, value_name = "FILE", env = "SKYWATCH_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Where everything is stored [default: skywatch-data]
    #[arg(long, value_name = "DIR", env = "SKYWATCH_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address of the HTTP API [default: 127.0.0.1:8086]
    #[arg(long, value_name = "ADDR:PORT", env = "SKYWATCH_HTTP_BIND")]
    pub(crate) http_bind: Option<BindAddress>,
    /// Serve HTTPS with this certificate (PEM); renewed when the file changes
    #[arg(long, value_name = "FILE", env = "SKYWATCH_HTTPS_CERTIFICATE")]
    pub(crate) https_certificate: Option<PathBuf>,
    /// The certificate's key (PEM) [default: in the same file]
    #[arg(long, value_name = "FILE", env = "SKYWATCH_HTTPS_PRIVATE_KEY")]
    pub(crate) https_private_key: Option<PathBuf>,
    /// Ask for a user and a password; see docs/security.md
    #[arg(long, env = "SKYWATCH_AUTH")]
    pub(crate) auth: bool,
    /// What the challenge for a user and a password calls this server [default: InfluxDB]
    #[arg(long, value_name = "NAME", env = "SKYWATCH_REALM")]
    pub(crate) realm: Option<String>,
    /// Take tokens (JWT) signed with this secret; better as an environment variable, which other users do not see
    #[arg(long, value_name = "SECRET", env = "SKYWATCH_SHARED_SECRET", hide_env_values = true)]
    pub(crate) shared_secret: Option<String>,
    /// Address of the console [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDR:PORT", env = "SKYWATCH_CONSOLE_BIND")]
    pub(crate) console_bind: Option<BindAddress>,
    /// Alert rules (YAML); reloaded when the file changes
    #[arg(long, value_name = "FILE", env = "SKYWATCH_ALERTS")]
    pub(crate) alerts: Option<PathBuf>,
    /// Telegraf configuration of the agent [default: this host and, where libvirt runs, its virtual machines]
    #[arg(long, value_name = "FILE", env = "SKYWATCH_AGENT_CONFIG")]
    pub(crate) agent_config: Option<PathBuf>,
    /// When a write is acknowledged
    #[arg(long, value_name = "MODE", env = "SKYWATCH_DURABILITY")]
    pub(crate) durability: Option<DurabilityMode>,
    /// Most memory for points, queries and requests together, such as 512m or 1g [default: a quarter of this
    /// machine's, or of this container's, between 256m and 4g]
    #[arg(long, value_name = "SIZE", env = "SKYWATCH_MEMORY_BUDGET")]
    pub(crate) memory_budget: Option<ByteSize>,
    /// Do not collect metrics of this host
    #[arg(long, env = "SKYWATCH_NO_AGENT")]
    pub(crate) no_agent: bool,
    /// Do not keep statistics of the server itself in the database _internal
    #[arg(long, env = "SKYWATCH_NO_MONITOR")]
    pub(crate) no_monitor: bool,
    /// Do not serve the console
    #[arg(long, env = "SKYWATCH_NO_CONSOLE")]
    pub(crate) no_console: bool,
    /// Write the process's number into this file while it runs
    #[arg(long, value_name = "FILE")]
    pub(crate) pidfile: Option<PathBuf>,
    /// Log more: info, debug or trace, or a filter such as skywatch_storage=debug [default: warn]
    #[arg(long, value_name = "FILTER", env = "SKYWATCH_LOG")]
    pub(crate) log: Option<String>,
}

/// Options of `skywatch meta`. `None` means: look in the file, then take the default.
#[derive(Debug, Default, Args)]
pub(crate) struct MetaArgs {
    /// Configuration file (TOML); `skywatch config default meta` prints one
    #[arg(long, value_name = "FILE", env = "INFLUXDB_META_CONFIG_PATH")]
    pub(crate) config: Option<PathBuf>,
    /// Where the catalogue is stored [default: skywatch-meta]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Name of this host, as every other node knows it [default: what the system says]
    #[arg(long, value_name = "NAME", env = "SKYWATCH_HOSTNAME")]
    pub(crate) hostname: Option<String>,
    /// Make a cluster of one at the first start
    #[arg(long)]
    pub(crate) single_server: bool,
    /// Write the process's number into this file while it runs
    #[arg(long, value_name = "FILE")]
    pub(crate) pidfile: Option<PathBuf>,
    /// Log more or less: warn, info, debug or trace, or a filter such as info,skywatch_meta_node=debug; info,openraft=info tells
    /// what the Raft library says too [default: info]
    #[arg(long, value_name = "FILTER", env = "SKYWATCH_LOG")]
    pub(crate) log: Option<String>,
}

/// Options of `skywatch data`. `None` means: look in the file, then take the default.
#[derive(Debug, Default, Args)]
pub(crate) struct DataArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "SKYWATCH_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Where everything is stored [default: skywatch-data]
    #[arg(long, value_name = "DIR", env = "SKYWATCH_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address of the HTTP API [default: :8086]
    #[arg(long, value_name = "ADDR:PORT", env = "SKYWATCH_HTTP_BIND")]
    pub(crate) http_bind: Option<BindAddress>,
    /// Address for other nodes [default: :8088]
    #[arg(long, value_name = "ADDR:PORT", env = "SKYWATCH_TCP_BIND")]
    pub(crate) tcp_bind: Option<BindAddress>,
    /// Name of this host, as every other node knows it [default: what the system says]
    #[arg(long, value_name = "NAME", env = "SKYWATCH_HOSTNAME")]
    pub(crate) hostname: Option<String>,
    /// What nodes prove to each other to know; better as an environment variable, which other users do not see
    #[arg(long, value_name = "SECRET", env = "SKYWATCH_CLUSTER_SECRET", hide_env_values = true)]
    pub(crate) cluster_secret: Option<String>,
    /// Alert rules (YAML); of all nodes that are given them one evaluates
    #[arg(long, value_name = "FILE", env = "SKYWATCH_ALERTS")]
    pub(crate) alerts: Option<PathBuf>,
    /// When a write is acknowledged
    #[arg(long, value_name = "MODE", env = "SKYWATCH_DURABILITY")]
    pub(crate) durability: Option<DurabilityMode>,
    /// Most memory for points, queries and requests together, such as 512m or 1g
    #[arg(long, value_name = "SIZE", env = "SKYWATCH_MEMORY_BUDGET")]
    pub(crate) memory_budget: Option<ByteSize>,
    /// Write the process's number into this file while it runs
    #[arg(long, value_name = "FILE")]
    pub(crate) pidfile: Option<PathBuf>,
    /// Log more: info, debug or trace, or a filter such as skywatch_replication=debug [default: warn]
    #[arg(long, value_name = "FILTER", env = "SKYWATCH_LOG")]
    pub(crate) log: Option<String>,
}

impl DataArgs {
    /// The options that `skywatch run` has too; a data node has no agent, and a console only by its file.
    pub(crate) fn as_run(&self) -> RunArgs {
        RunArgs {
            data_dir: self.data_dir.clone(),
            http_bind: self.http_bind.clone(),
            alerts: self.alerts.clone(),
            durability: self.durability,
            memory_budget: self.memory_budget,
            log: self.log.clone(),
            no_agent: true,
            ..RunArgs::default()
        }
    }
}

/// When a write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DurabilityMode {
    /// After fsync: survives kill -9 and power cuts
    Fsync,
    /// After the write; fsync every 100 ms: survives kill -9, a power cut may cost the last 100 ms
    Interval,
    /// After the write, never fsync: survives kill -9, a power cut may cost what the kernel had not written yet
    None,
}
