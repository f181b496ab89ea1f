//! Log lines go to standard error; standard output belongs to answers.

mod lines;

use std::io::{self, IsTerminal};

use anyhow::{Context, Result};
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use lines::Lines;

/// How log lines look; InfluxDB's names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    #[serde(alias = "console")]
    Auto,
    /// `ts=... lvl=info msg="..." key=value`.
    Logfmt,
    /// An object on each line, with the same names.
    Json,
}

/// Starts logging with a filter such as `warn` or `info,skywatch_agent=debug`.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<()> {
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("log filter {filter:?}: expected error, warn, info, debug, trace, or a list like warn,skywatch_agent=info"))?;
    // Colours are for terminals; in a journal or a file they would be noise.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Auto => builder.with_target(true).init(),
        LogFormat::Logfmt => builder.event_format(Lines::Logfmt).init(),
        LogFormat::Json => builder.event_format(Lines::Json).init(),
    }
    Ok(())
}
