//! `skywatch query`: its command line, and the choice between statements, files, a pipe and the interactive shell.

use std::{
    env,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use skywatch_client::ClientError;
use skywatch_shell::{
    Format, Outcome, Precision, Session, SessionError, Settings, Vertical, run_interactive,
};
use tokio::runtime::{Builder, Runtime};

use crate::{
    connection::ConnectionArgs,
    ctl::warn,
    import::{self, IMPORT_EXAMPLES, ImportArgs},
};

pub(crate) const QUERY_EXAMPLES: &str = "\
Examples:
  skywatch query --db telegraf                     an interactive shell; try help
  skywatch query 'SHOW DATABASES' 'SHOW USERS'     statements, one after the other
  skywatch query --db telegraf --format csv 'SELECT * FROM mem LIMIT 10' > mem.csv
  skywatch query --db a --format line 'SELECT * FROM cpu GROUP BY *' |
    skywatch query import --db b                   copy a measurement, types and tags kept
  skywatch query --file schema.influxql --url https://store-1:8086 --user admin

Exit status: 0: all is well. 1: a statement failed. 2: the server cannot be talked to,
or the command line is wrong.";

/// Exit status when the server cannot be talked to; clap's own for a wrong command line.
const NO_SERVER: u8 = 2;
/// Where the interactive shell remembers what was typed, below the home directory, unless `HISTORY_VARIABLE` says where.
const HISTORY_FILE: &str = ".skywatch_history";
const HISTORY_VARIABLE: &str = "SKYWATCH_HISTORY";

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    #[command(subcommand)]
    pub(crate) command: Option<QueryCommand>,
    /// Statements, or commands of the shell; without any, and without --file, those of standard input
    #[arg(value_name = "STATEMENT")]
    pub(crate) statements: Vec<String>,
    /// File of statements, - for standard input; may be given several times
    #[arg(long, short, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// Database that the statements are about
    #[arg(long, alias = "database", value_name = "NAME", env = "SKYWATCH_DB")]
    pub(crate) db: Option<String>,
    /// Retention policy, where a statement names none
    #[arg(long, value_name = "NAME")]
    pub(crate) rp: Option<String>,
    /// How to print answers
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: OutputFormat,
    /// How to print times
    #[arg(long, value_name = "UNIT", default_value = "rfc3339", value_parser = ["rfc3339", "ns", "u", "ms", "s", "m", "h"])]
    pub(crate) precision: String,
    /// Indent JSON
    #[arg(long)]
    pub(crate) pretty: bool,
    /// When to print a row as a list of its columns; auto: when a table is wider than the terminal
    #[arg(long, value_name = "WHEN", default_value = "auto", value_parser = ["auto", "on", "off"])]
    pub(crate) vertical: String,
    /// Ask for JSON in chunks, a document a line: for answers that are too large to be held whole
    #[arg(long)]
    pub(crate) chunked: bool,
    /// Rows of a chunk [default: the server's, 10000]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) chunk_size: Option<u32>,
    /// Say on standard error how long each statement took
    #[arg(long)]
    pub(crate) timing: bool,
    /// Go on after a statement that failed
    #[arg(long)]
    pub(crate) keep_going: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueryCommand {
    /// Write a file of line protocol to a server: the same as skywatch import
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Aligned columns for people
    #[value(alias = "column")]
    Table,
    /// The server's JSON
    Json,
    /// Comma-separated values
    Csv,
    /// Line protocol, which import reads
    Line,
}

impl From<OutputFormat> for Format {
    fn from(format: OutputFormat) -> Self {
        match format {
            OutputFormat::Table => Self::Table,
            OutputFormat::Json => Self::Json,
            OutputFormat::Csv => Self::Csv,
            OutputFormat::Line => Self::Line,
        }
    }
}

pub(crate) fn run(args: QueryArgs) -> Result<ExitCode> {
    let result = match args.command {
        Some(QueryCommand::Import(args)) => return import::run(&args),
        None => answer(&args)?,
    };
    match result {
        Ok(Outcome::Failed) => Ok(ExitCode::FAILURE),
        Ok(Outcome::Done | Outcome::Exit) => Ok(ExitCode::SUCCESS),
        // A pipe closed by its reader (`| head`) is no error.
        Err(SessionError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        Err(SessionError::Client(error)) => {
            warn(&format!("error: {error}"));
            Ok(if error.is_connection() { ExitCode::from(NO_SERVER) } else { ExitCode::FAILURE })
        }
        Err(error) => Err(error.into()),
    }
}

fn answer(args: &QueryArgs) -> Result<Result<Outcome, SessionError>> {
    let runtime = runtime()?;
    let connection = match args.connection.connection() {
        Ok(connection) => connection,
        Err(error) => return Ok(Err(ClientError::Options(format!("{error:#}")).into())),
    };
    let mut session = match Session::new(connection, settings(args)?) {
        Ok(session) => session,
        Err(error) => return Ok(Err(error.into())),
    };
    if args.statements.is_empty() && args.file.is_empty() && io::stdin().is_terminal() {
        return Ok(run_interactive(&mut session, &runtime, history_file().as_deref()).map(|()| Outcome::Done));
    }
    Ok(runtime.block_on(run_all(&mut session, args)))
}

/// Statements first, then files; standard input if there are neither.
async fn run_all(session: &mut Session, args: &QueryArgs) -> Result<Outcome, SessionError> {
    let mut outcome = Outcome::Done;
    for text in &args.statements {
        match session.run_script(text, args.keep_going).await? {
            Outcome::Done => {}
            Outcome::Failed if args.keep_going => outcome = Outcome::Failed,
            ended => return Ok(ended),
        }
    }
    let standard_input = [PathBuf::from("-")];
    let files: &[PathBuf] =
        if args.statements.is_empty() && args.file.is_empty() { &standard_input } else { &args.file };
    for file in files {
        match session.run_file(file, args.keep_going).await? {
            Outcome::Done => {}
            Outcome::Failed if args.keep_going => outcome = Outcome::Failed,
            ended => return Ok(ended),
        }
    }
    Ok(outcome)
}

fn settings(args: &QueryArgs) -> Result<Settings> {
    Ok(Settings {
        database: args.db.clone().unwrap_or_default(),
        policy: args.rp.clone().unwrap_or_default(),
        format: args.format.into(),
        precision: args.precision.parse::<Precision>()?,
        pretty: args.pretty,
        chunked: args.chunked.then_some(true),
        chunk_size: args.chunk_size,
        timing: args.timing,
        vertical: args.vertical.parse::<Vertical>()?,
        ..Settings::default()
    })
}

/// `None` if nothing is to be kept: `SKYWATCH_HISTORY` is empty, or there is no home.
fn history_file() -> Option<PathBuf> {
    match env::var_os(HISTORY_VARIABLE) {
        Some(path) if path.is_empty() => None,
        Some(path) => Some(PathBuf::from(path)),
        None => env::var_os("HOME").map(|home| Path::new(&home).join(HISTORY_FILE)),
    }
}

/// With a thread of its own, so that requests go on while the main thread reads or a person types.
pub(crate) fn runtime() -> Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")
}
