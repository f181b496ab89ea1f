//! The command line. Every option of `run` also has a key in the configuration file and an environment variable.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{bind_address::BindAddress, byte_size::ByteSize};

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
    /// Collect metrics as a Telegraf configuration says and ship them
    #[command(after_help = AGENT_EXAMPLES)]
    Agent(AgentArgs),
    /// Ask an InfluxQL query, or open an interactive shell when none is given
    #[command(after_help = QUERY_EXAMPLES)]
    Query(QueryArgs),
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

const AGENT_EXAMPLES: &str = "\
Examples:
  skywatch agent --config telegraf.conf --test    collect once and print line protocol
  skywatch agent --config telegraf.conf --once    collect once and ship it
  skywatch agent --config telegraf.conf --config-directory telegraf.d
  skywatch config default agent > telegraf.conf   a configuration to begin with";

const QUERY_EXAMPLES: &str = "\
Examples:
  skywatch query 'SHOW DATABASES'
  skywatch query --db telegraf 'SELECT mean(usage_idle) FROM cpu WHERE time > now() - 1h GROUP BY time(10m), host'
  skywatch query --db telegraf --format csv 'SELECT * FROM mem LIMIT 10' > mem.csv
  skywatch query --db telegraf                    an interactive shell";

const CONFIG_EXAMPLES: &str = "\
Examples:
  skywatch config default run > skywatch.toml
  skywatch config default agent > telegraf.conf
  skywatch config check skywatch.toml";

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
    /// Do not serve the console
    #[arg(long, env = "SKYWATCH_NO_CONSOLE")]
    pub(crate) no_console: bool,
    /// Log more: info, debug or trace, or a filter such as skywatch_storage=debug [default: warn]
    #[arg(long, value_name = "FILTER", env = "SKYWATCH_LOG")]
    pub(crate) log: Option<String>,
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
    /// Telegraf configuration file; may be given several times
    #[arg(long, value_name = "FILE", required_unless_present = "config_directory")]
    pub(crate) config: Vec<PathBuf>,
    /// Directory whose *.conf files are read too; may be given several times
    #[arg(long, value_name = "DIR")]
    pub(crate) config_directory: Vec<PathBuf>,
    /// Collect once and print line protocol instead of shipping it
    #[arg(long, conflicts_with = "once")]
    pub(crate) test: bool,
    /// Collect once, ship it, and stop
    #[arg(long)]
    pub(crate) once: bool,
    /// Log more: info, debug or trace [default: info]
    #[arg(long, value_name = "FILTER", env = "SKYWATCH_LOG")]
    pub(crate) log: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// The query; several statements are separated by semicolons
    #[arg(value_name = "QUERY")]
    pub(crate) query: Option<String>,
    /// The server
    #[arg(long, default_value = "http://127.0.0.1:8086", env = "SKYWATCH_URL")]
    pub(crate) url: String,
    /// Database that the query is about
    #[arg(long, value_name = "NAME", env = "SKYWATCH_DB")]
    pub(crate) db: Option<String>,
    /// How to print the answer
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: OutputFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Aligned columns for people
    Table,
    /// The server's JSON
    Json,
    /// Comma-separated values
    Csv,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read a file as the program would and say what is wrong with it
    Check {
        /// A skywatch.toml, a Telegraf configuration (.conf) or alert rules (.yaml)
        file: PathBuf,
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
    /// telegraf.conf for `skywatch agent`
    Agent,
    /// alerts.yaml for `skywatch run --alerts`
    Alerts,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
