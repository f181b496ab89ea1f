//! The command line. Every option of `run` also has a key in the configuration file and an environment variable.

mod agent;
mod backup;
mod files;
mod servers;
mod times;

use std::{ffi::OsString, path::PathBuf};

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use agent::{AgentArgs, AgentCommand, WatchChoice};
pub(crate) use backup::{BackupArgs, BackupCommand, BackupStrategy, CtlCli, CtlCommand, RestoreArgs};
pub(crate) use files::{ConfigCommand, DescribeFormat, ExportArgs, InspectCommand, Role};
pub(crate) use servers::{DataArgs, DurabilityMode, MetaArgs, RunArgs};

use crate::{
    cert::{CERT_EXAMPLES, CertArgs},
    import::{IMPORT_EXAMPLES, ImportArgs},
    query::{QUERY_EXAMPLES, QueryArgs},
    ready::{READY_EXAMPLES, ReadyArgs},
    recover::{RECOVER_EXAMPLES, RecoverArgs},
    render::{RENDER_EXAMPLES, RenderArgs},
};
use agent::AGENT_EXAMPLES;
use files::CONFIG_EXAMPLES;
use servers::{DATA_EXAMPLES, META_EXAMPLES, RUN_EXAMPLES};

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
    /// Write everything that is copied to the hosts of a cloud, from one inventory
    #[command(after_help = RENDER_EXAMPLES)]
    Render(RenderArgs),
    /// Make the certificates of a cloud: an authority of one's own, and one for each host
    #[command(after_help = CERT_EXAMPLES)]
    Cert(CertArgs),
    /// Ask a server whether clients should be sent to it
    #[command(after_help = READY_EXAMPLES)]
    Ready(ReadyArgs),
    /// Make a meta node with which a cluster begins anew, once most of its meta nodes are lost for good
    #[command(after_help = RECOVER_EXAMPLES)]
    RecoverMeta(RecoverArgs),
    /// Print what a shell needs to complete commands and options
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// For which shell
        shell: CompletedShell,
        /// Complete this program
        #[arg(long, value_name = "NAME", default_value = "skywatch")]
        program: Program,
    },
    /// Print a manual page, or write all of them into a directory
    #[command(after_help = MAN_EXAMPLES)]
    Man {
        /// The page, as in run or ctl-backup [default: the program's]
        #[arg(value_name = "PAGE", conflicts_with = "out")]
        page: Option<String>,
        /// Write every page into this directory, which is made if missing
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Check or print configuration files
    #[command(after_help = CONFIG_EXAMPLES)]
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

const COMPLETIONS_EXAMPLES: &str = "\
The Debian package installs them.

Examples:
  skywatch completions bash > ~/.local/share/bash-completion/completions/skywatch
  skywatch completions zsh > ~/.zfunc/_skywatch          a directory of $fpath
  skywatch completions fish > ~/.config/fish/completions/skywatch.fish
  skywatch completions bash --program influxd-ctl        for that name of it";

const MAN_EXAMPLES: &str = "\
The Debian package installs them: man skywatch-run.

Examples:
  skywatch man run | man -l -
  skywatch man --out ~/.local/share/man/man1   dated by SOURCE_DATE_EPOCH, if set";

/// Shells that commands are completed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompletedShell {
    /// GNU Bash
    Bash,
    /// Z shell
    Zsh,
    /// fish
    Fish,
}

/// The names under which this binary is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Program {
    /// All of it
    Skywatch,
    /// `skywatch ctl` by its other name
    InfluxdCtl,
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
