//! Options of `skywatch config` and `skywatch inspect`: what looks at files.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::times::TimeArgs;

pub(super) const CONFIG_EXAMPLES: &str = "\
Examples:
  skywatch config default run > skywatch.toml
  skywatch config default agent > telegraf.conf
  skywatch config check skywatch.toml
  skywatch config check run /etc/skywatch/server.cfg        whatever its name says
  skywatch config check agent telegraf.conf telegraf.d";

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

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read a file as the program would and say what is wrong with it
    Check {
        /// A skywatch.toml, a Telegraf configuration (.conf) or alert rules (.yaml), told apart by their names and contents;
        /// after one of the words run, data, meta and alerts: files for that. After the word agent: the files and directories
        /// that make up one Telegraf configuration
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
    #[command(flatten)]
    pub(crate) times: TimeArgs,
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
