//! The command line. Every option of `run` also has a key in the configuration file and an environment variable.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    bind_address::BindAddress,
    byte_size::ByteSize,
    config::go_duration::GoDuration,
    connection::ConnectionArgs,
    import::{IMPORT_EXAMPLES, ImportArgs},
    query::{QUERY_EXAMPLES, QueryArgs},
};

/// Monitors a KVM cloud: agent, time-series store, queries, dashboards and alerts in one binary.
#[derive(Debug, Parser)]
#[command(name = "skywatch", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything on this machine: store, HTTP API, console, alerts, and an agent that watches this host
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Start a meta node of a cluster: the catalogue of databases, shards and nodes, on Raft
    #[command(after_help = META_EXAMPLES)]
    Meta(Box<MetaArgs>),
    /// Start a data node of a cluster: shards, HTTP API, queries, replication
    #[command(after_help = DATA_EXAMPLES)]
    Data(Box<DataArgs>),
    /// Collect metrics as a Telegraf configuration says and ship them
    #[command(after_help = AGENT_EXAMPLES, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
    Agent(Box<AgentArgs>),
    /// Ask InfluxQL statements, or open an interactive shell when none are given
    #[command(after_help = QUERY_EXAMPLES, args_override_self = true, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
    Query(Box<QueryArgs>),
    /// Administer a cluster as with influxd-ctl; back databases up, restore them: `skywatch ctl help` lists the commands
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Ctl {
        /// What `skywatch ctl help` lists
        #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Look into the files of a data directory: verify, describe, export as line protocol
    Inspect {
        #[command(subcommand)]
        command: InspectCommand,
    },
    /// Write a file of line protocol, as `inspect export` and `influx_inspect export` make them, to a server
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),
    /// Check or print configuration files
    #[command(after_help = CONFIG_EXAMPLES)]
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

const RUN_EXAMPLES: &str = "\
Examples:
  skywatch run                                    everything on 127.0.0.1, data under ./skywatch-data
  skywatch run --data-dir /var/lib/skywatch --http-bind 0.0.0.0:8086 --console-bind 0.0.0.0:3000
  skywatch run --alerts alerts.yaml               with alert rules
  skywatch run --no-agent --no-console            just the store
  SKYWATCH_HTTP_BIND=127.0.0.1:9086 skywatch run  options as environment variables";

const DATA_EXAMPLES: &str = "\
A data node waits until it is made a member of a cluster (`skywatch ctl add-data`), then serves as long as it runs. It
reads the configuration of InfluxDB's data nodes as it is.

Examples:
  skywatch data --config /etc/skywatch/data.toml
  skywatch data --hostname data-1 --data-dir /var/lib/skywatch --http-bind :8086 --tcp-bind :8088";

const AGENT_EXAMPLES: &str = "\
Examples:
  skywatch agent --config telegraf.conf --test    collect once and print line protocol
  skywatch agent --config telegraf.conf --once    collect once and ship it
  skywatch agent --config telegraf.conf --config-directory telegraf.d
  skywatch agent --config telegraf.conf --input-filter cpu:mem --test
  skywatch agent --config https://store.example/telegraf.conf   with $INFLUX_TOKEN, if the server asks for one
  skywatch agent discover --output telegraf.conf  a configuration of what runs on this host
  skywatch config default agent > telegraf.conf   a configuration to begin with";

const DISCOVER_EXAMPLES: &str = "\
Looks at files of this host, its sockets and 127.0.0.1, for three seconds at most.
Run it as the user that the agent runs as: what does not answer that user is
written as comments, with the reason.

Examples:
  skywatch agent discover                         print what is found on this host
  skywatch agent discover --output telegraf.conf --url http://store-1:8086
  skywatch agent --config telegraf.conf --test    what it collects";

const CONFIG_EXAMPLES: &str = "\
Examples:
  skywatch config default run > skywatch.toml
  skywatch config default agent > telegraf.conf
  skywatch config check skywatch.toml
  skywatch config check agent telegraf.conf telegraf.d";

const BACKUP_EXAMPLES: &str = "\
Examples:
  skywatch ctl backup /backup/skywatch                      all databases of the server on this machine
  skywatch ctl backup --db telegraf --keep 7 /backup/tele   the second time only what is new is copied
  skywatch ctl backup --url http://store-1:8086 --verify /backup/store-1
  skywatch ctl -bind meta1:8091,meta2:8091 backup /backup/cluster   a whole cluster, wherever its shards are
  skywatch ctl backup verify /backup/skywatch               is it whole? (needs no server)";

const RESTORE_EXAMPLES: &str = "\
Examples:
  skywatch ctl restore /backup/skywatch                     every database of the latest backup
  skywatch ctl restore --db telegraf --new-db telegraf_may /backup/skywatch
  skywatch ctl restore --data-dir /var/lib/skywatch /backup/skywatch   where no server runs yet
  skywatch ctl -bind meta1:8091 restore --db telegraf --new-rf 2 /backup/cluster   into a cluster
  skywatch ctl restore --list /backup/skywatch              what backups are there";

const VERIFY_EXAMPLES: &str = "\
Examples:
  skywatch inspect verify skywatch-data                     everything below a data directory
  skywatch inspect verify skywatch-data/data/3 skywatch-data/data/4/0000000007.seg
Exit status: 0 when all is well, 1 when something is damaged.";

const EXPORT_EXAMPLES: &str = "\
Examples:
  skywatch inspect export --data-dir skywatch-data --db telegraf --out telegraf.gz --compress
  skywatch inspect export --data-dir skywatch-data --measurement cpu --start 2026-05-01T00:00:00Z
  influx -import -path telegraf.txt                         InfluxDB reads what is exported";

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
    /// Log more: info, debug or trace, or a filter such as skywatch_storage=debug [default: warn]
    #[arg(long, value_name = "FILTER", env = "SKYWATCH_LOG")]
    pub(crate) log: Option<String>,
}

const META_EXAMPLES: &str = "\
A meta node waits until it is made a member of a cluster (`skywatch ctl add-meta`); the first one makes the cluster. It
reads the configuration of InfluxDB's meta nodes as it is, and its environment variables (INFLUXDB_META_DIR).

Examples:
  skywatch meta --config /etc/skywatch/meta.toml
  skywatch config default meta > meta.toml        a configuration to begin with
  skywatch meta --single-server                   a cluster of one, at once";

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
    /// Log more or less: warn, info, debug or trace, or a filter such as skywatch_meta_node=debug [default: info]
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
    /// Log more: info, debug or trace, or a filter such as skywatch_replication=debug [default: warn]
    #[arg(long, value_name = "FILTER", env = "SKYWATCH_LOG")]
    pub(crate) log: Option<String>,
}

impl DataArgs {
    /// The options that `skywatch run` has too; a data node has neither console nor agent.
    pub(crate) fn as_run(&self) -> RunArgs {
        RunArgs {
            data_dir: self.data_dir.clone(),
            http_bind: self.http_bind.clone(),
            alerts: self.alerts.clone(),
            durability: self.durability,
            memory_budget: self.memory_budget,
            log: self.log.clone(),
            no_agent: true,
            no_console: true,
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

#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    #[command(subcommand)]
    pub(crate) command: Option<AgentCommand>,
    /// Telegraf configuration, a file or an http(s) URL; may be given several times [default: $TELEGRAF_CONFIG_PATH,
    /// ~/.telegraf/telegraf.conf, or /etc/telegraf/telegraf.conf with /etc/telegraf/telegraf.d]
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) config: Vec<String>,
    /// Directory whose *.conf files are read too; may be given several times
    #[arg(long, value_name = "DIR")]
    pub(crate) config_directory: Vec<PathBuf>,
    /// Collect once and print line protocol instead of shipping it
    #[arg(long, conflicts_with = "once")]
    pub(crate) test: bool,
    /// Collect once, ship it, and stop
    #[arg(long)]
    pub(crate) once: bool,
    /// With --test or --once: how long inputs that run by themselves (listeners, consumers) are given
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) test_wait: u64,
    /// Reload when a file of the configuration changes; SIGHUP reloads in any case
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) watch_config: Option<WatchChoice>,
    /// With --watch-config poll: how often to look
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub(crate) watch_interval: GoDuration,
    /// With --watch-config: how long files have to rest before they are read
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub(crate) watch_debounce_interval: GoDuration,
    /// Only these inputs, as in cpu:mem
    #[arg(long, value_name = "NAMES")]
    pub(crate) input_filter: Option<String>,
    /// Only these outputs
    #[arg(long, value_name = "NAMES")]
    pub(crate) output_filter: Option<String>,
    /// Only these processors
    #[arg(long, value_name = "NAMES")]
    pub(crate) processor_filter: Option<String>,
    /// Only these aggregators
    #[arg(long, value_name = "NAMES")]
    pub(crate) aggregator_filter: Option<String>,
    /// Only these top-level tables, as in agent:inputs:outputs
    #[arg(long, value_name = "TABLES")]
    pub(crate) section_filter: Option<String>,
    /// Of the plugins with labels only those with these, as in region=eu-*;tier=gold; given several times, any of them
    #[arg(long, value_name = "LABELS")]
    pub(crate) select: Vec<String>,
    /// Put environment variables into the text of the configuration before it is parsed, not only into its strings
    #[arg(long)]
    pub(crate) non_strict_env_handling: bool,
    /// The same in the way of Telegraf before 1.27: $NAME and ${NAME} only, in comments too
    #[arg(long, conflicts_with = "non_strict_env_handling")]
    pub(crate) old_env_behavior: bool,
    /// Write the process's number into this file while the agent runs
    #[arg(long, value_name = "FILE")]
    pub(crate) pidfile: Option<PathBuf>,
    /// Log at debug level
    #[arg(long)]
    pub(crate) debug: bool,
    /// Log errors only
    #[arg(long, conflicts_with = "debug")]
    pub(crate) quiet: bool,
    /// Log by parts of the program, as in info,skywatch_agent=debug [default: as the configuration says]
    #[arg(long, value_name = "FILTER", env = "SKYWATCH_LOG")]
    pub(crate) log: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Look what there is to watch on this host and print a configuration that collects it
    #[command(after_help = DISCOVER_EXAMPLES)]
    Discover {
        /// Write the configuration into this file, which must not exist, instead of printing it
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Where the metrics are sent [default: what answers at http://127.0.0.1:8086]
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },
}

/// How changes of files are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WatchChoice {
    /// The system tells
    Notify,
    /// By looking; for file systems that do not tell, as of a network
    Poll,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read a file as the program would and say what is wrong with it
    Check {
        /// A skywatch.toml, a Telegraf configuration (.conf) or alert rules (.yaml); after the word agent: the files and
        /// directories that make up one Telegraf configuration
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Print a commented default configuration
    Default {
        /// For which role
        role: Role,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// skywatch.toml for `skywatch run`
    Run,
    /// data.toml for `skywatch data`
    Data,
    /// meta.toml for `skywatch meta`
    Meta,
    /// telegraf.conf for `skywatch agent`
    Agent,
    /// alerts.yaml for `skywatch run --alerts`
    Alerts,
}

/// The commands of `ctl` that work on a server and on directories; those of a cluster have options of another kind and are
/// read by `skywatch_ctl`.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub(crate) struct CtlCli {
    #[command(subcommand)]
    pub(crate) command: CtlCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CtlCommand {
    /// Copy databases of a running server into a directory; what is there already is not copied again
    #[command(after_help = BACKUP_EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Backup(BackupArgs),
    /// Make databases of a backup, on a running server or in a data directory that no process uses
    #[command(after_help = RESTORE_EXAMPLES)]
    Restore(RestoreArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    #[command(subcommand)]
    pub(crate) command: Option<BackupCommand>,
    /// Directory of the backups; created if missing
    #[arg(value_name = "DIR", required = true)]
    pub(crate) dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Database to back up; may be given several times [default: all]
    #[arg(long, value_name = "NAME")]
    pub(crate) db: Vec<String>,
    /// Say how much there is to back up, and copy nothing
    #[arg(long)]
    pub(crate) estimate: bool,
    /// Backups of the directory that stay restorable, this one included
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: u32,
    /// Read the backup again afterwards
    #[arg(long)]
    pub(crate) verify: bool,
    /// Say nothing but errors
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Read every backup of a directory and name what is damaged; needs no server
    Verify {
        /// Directory of the backups
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// Say nothing but errors
        #[arg(long)]
        quiet: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Directory of the backups
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Restore into this data directory instead, which no process may be using
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Restore this database only [default: all of the backup]
    #[arg(long, value_name = "NAME")]
    pub(crate) db: Option<String>,
    /// Restore it under this name
    #[arg(long, alias = "newdb", value_name = "NAME", requires = "db")]
    pub(crate) new_db: Option<String>,
    /// A new name for the retention policy, if only one is restored
    #[arg(long, alias = "newrp", value_name = "NAME", requires = "db")]
    pub(crate) new_rp: Option<String>,
    /// How many copies its shards are to have, in a cluster [default: as many as they had]
    #[arg(long, alias = "newrf", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) new_rf: Option<u32>,
    /// How long its retention policies are to keep points, as 168h; 0s for ever [default: as long as they did]
    #[arg(long, alias = "newduration", value_name = "DURATION")]
    pub(crate) new_duration: Option<GoDuration>,
    /// List the backups of the directory, and restore nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// Restore this retention policy only; may be given several times
    #[arg(long, value_name = "NAME", requires = "db")]
    pub(crate) rp: Vec<String>,
    /// Number of the backup, as `ctl backup verify` lists them [default: the latest]
    #[arg(long, value_name = "N")]
    pub(crate) number: Option<u64>,
    /// Say nothing but errors
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InspectCommand {
    /// Read every byte, check every checksum, decode every block; also beside a running server
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify {
        /// Data directories, shard directories, or single .seg, .idx, .wal and MANIFEST files
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
        /// Say nothing but damage
        #[arg(long)]
        quiet: bool,
    },
    /// Say what is in a file or directory
    Describe {
        /// A data directory, a shard directory, or a single .seg, .idx, .wal or MANIFEST file
        #[arg(value_name = "PATH")]
        path: PathBuf,
        /// How to print it
        #[arg(long, value_enum, default_value = "table")]
        format: DescribeFormat,
    },
    /// Write points as line protocol, in the format of `influx_inspect export`
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DescribeFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The data directory; no server may be using it
    #[arg(long, value_name = "DIR", env = "SKYWATCH_DATA_DIR", default_value = "skywatch-data")]
    pub(crate) data_dir: PathBuf,
    /// This database only [default: all]
    #[arg(long, value_name = "NAME")]
    pub(crate) db: Option<String>,
    /// This retention policy only
    #[arg(long, value_name = "NAME", requires = "db")]
    pub(crate) rp: Option<String>,
    /// This measurement only; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) measurement: Vec<String>,
    /// Points from this time on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<String>,
    /// Points up to this time, inclusive (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) end: Option<String>,
    /// Where to; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) out: PathBuf,
    /// Compress with gzip
    #[arg(long)]
    pub(crate) compress: bool,
    /// Say nothing but errors
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
        super::CtlCli::command().debug_assert();
    }
}
