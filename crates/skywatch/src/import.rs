//! `skywatch import`, which is `skywatch query import` as well: the command line around the import of `skywatch-shell`.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Result;
use clap::Args;
use skywatch_shell::{ImportError, ImportOptions, run_import};

use crate::{connection::ConnectionArgs, ctl::warn, query::runtime};

pub(crate) const IMPORT_EXAMPLES: &str = "\
Examples:
  skywatch import telegraf.gz
  skywatch import --url http://store-1:8086 --from-line 2000001 telegraf.txt
  influx_inspect export -database telegraf -out telegraf.txt ... ; skywatch import telegraf.txt
  skywatch query --db a --format line 'SELECT * FROM cpu GROUP BY *' | skywatch import --db b

Exit status: 0: all is well. 1: something was left out, or the import stopped. 2: the server
cannot be talked to, or the command line is wrong.";

/// Exit status when nothing was tried: no server to talk to, or nothing to read.
const NOT_STARTED: u8 = 2;

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// File of line protocol, gzip or not; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    /// Database for lines before the first `# CONTEXT-DATABASE:`
    #[arg(long, alias = "database", value_name = "NAME", env = "SKYWATCH_DB")]
    pub(crate) db: Option<String>,
    /// Retention policy for them
    #[arg(long, value_name = "NAME", requires = "db")]
    pub(crate) rp: Option<String>,
    /// Unit of the timestamps
    #[arg(long, value_name = "UNIT", default_value = "ns", value_parser = ["ns", "u", "ms", "s", "m", "h"])]
    pub(crate) precision: String,
    /// Begin at this line: where an interrupted import said it was
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) from_line: u64,
    /// Requests under way at a time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) requests: u8,
    /// Say nothing but errors
    #[arg(long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

pub(crate) fn run(args: &ImportArgs) -> Result<ExitCode> {
    let options = ImportOptions {
        file: args.file.clone(),
        database: args.db.clone().unwrap_or_default(),
        policy: args.rp.clone().unwrap_or_default(),
        precision: args.precision.clone(),
        from_line: args.from_line,
        requests: usize::from(args.requests),
        is_quiet: args.quiet,
    };
    let wrong = |reason: String| {
        warn(&format!("error: {reason}"));
        Ok(ExitCode::from(NOT_STARTED))
    };
    if options.file.as_os_str() == "-" && io::stdin().is_terminal() {
        return wrong("which file? give one, or points on standard input".to_owned());
    }
    let connection = match args.connection.connection() {
        Ok(connection) => connection,
        Err(error) => return wrong(format!("{error:#}")),
    };
    match run_import(&runtime()?, connection, &options) {
        Ok(summary) if summary.is_whole() => Ok(ExitCode::SUCCESS),
        Ok(_) => Ok(ExitCode::FAILURE),
        Err(ImportError::Client(error)) if error.is_connection() => wrong(error.to_string()),
        Err(error) => Err(error.into()),
    }
}
