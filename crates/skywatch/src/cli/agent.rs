//! Options of `skywatch agent`: those that Telegraf has, under its names.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::config::go_duration::GoDuration;

pub(super) const AGENT_EXAMPLES: &str = "\
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
