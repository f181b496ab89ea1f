//! `skywatch config`: prints default files and checks given ones.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
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
        ConfigCommand::Check { files } => match files.split_first() {
            Some((role, rest)) if role.as_os_str() == "agent" && !rest.is_empty() => say_agent(rest)?,
            _ => files.iter().try_for_each(|file| say(file))?,
        },
        ConfigCommand::Default { role } => {
            let text = match role {
                Role::Run => config::DEFAULT_FILE.to_owned(),
                Role::Data => config::DEFAULT_DATA_FILE.to_owned(),
                Role::Meta => config::DEFAULT_META_FILE.to_owned(),
                Role::Agent => agent::default_file(),
                Role::Alerts => alerts::DEFAULT_FILE.to_owned(),
            };
            io::stdout().write_all(text.as_bytes())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn say(file: &Path) -> Result<()> {
    if file.extension().is_some_and(|extension| extension == "conf") && !config::is_server_file(file) {
        return say_agent(&[file.to_path_buf()]);
    }
    let kind = check(file)?;
    Ok(writeln!(io::stdout(), "{}: {kind}, no problem found", file.display())?)
}

/// Checks the files and directories of one Telegraf configuration, and tells what in them may surprise.
fn say_agent(paths: &[PathBuf]) -> Result<()> {
    let remarks = agent::check(paths)?;
    let mut out = io::stdout();
    for remark in &remarks {
        writeln!(out, "{remark}")?;
    }
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    let found = if remarks.is_empty() { "no problem found" } else { "no error found" };
    Ok(writeln!(out, "{}: Telegraf configuration, {found}", names.join(", "))?)
}

/// Checks a file by what its name says it is, and names that.
fn check(file: &Path) -> Result<&'static str> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("toml" | "conf") if config::is_data_file(file) => {
            config::check_data_file(file).map(|()| "configuration of skywatch data")
        }
        Some("toml" | "conf" | "sample") if config::is_meta_file(file) => {
            config::check_meta_file(file).map(|()| "configuration of skywatch meta")
        }
        Some("toml") => config::check_file(file).map(|()| "configuration of skywatch run"),
        Some("conf") if config::is_server_file(file) => {
            config::check_file(file).map(|()| "configuration of InfluxDB, for skywatch run")
        }
        Some("yaml" | "yml" | "json") => alerts::check(file).map(|_| "alert rules"),
        _ => bail!(
            "{}: the name does not say what it is: expected .toml (skywatch run, skywatch meta), .conf (agent), .yaml or .json (alerts)",
            file.display()
        ),
    }
}
