//! `skywatch config`: prints default files and checks given ones.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Result, bail};

use crate::{
    agent, alerts,
    cli::{ConfigCommand, Role},
    config,
};

pub(crate) fn run(command: &ConfigCommand) -> Result<ExitCode> {
    match command {
        ConfigCommand::Check { file } => {
            let kind = check(file)?;
            writeln!(io::stdout(), "{}: {kind}, no problem found", file.display())?;
        }
        ConfigCommand::Default { role } => {
            let text = match role {
                Role::Run => config::DEFAULT_FILE.to_owned(),
                Role::Agent => agent::default_file(),
                Role::Alerts => alerts::DEFAULT_FILE.to_owned(),
            };
            io::stdout().write_all(text.as_bytes())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks a file by what its name says it is, and names that.
fn check(file: &Path) -> Result<&'static str> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => config::check_file(file).map(|()| "configuration of skywatch run"),
        Some("conf") if config::is_server_file(file) => {
            config::check_file(file).map(|()| "configuration of InfluxDB, for skywatch run")
        }
        Some("conf") => agent::check_file(file).map(|()| "Telegraf configuration"),
        Some("yaml" | "yml") => alerts::check(file).map(|_| "alert rules"),
        _ => bail!(
            "{}: the name does not say what it is: expected .toml (skywatch run), .conf (agent) or .yaml (alerts)",
            file.display()
        ),
    }
}
