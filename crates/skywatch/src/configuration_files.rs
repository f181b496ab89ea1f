//! `skywatch config`: prints default files and checks given ones.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::{
    agent, alerts,
    cli::{ConfigCommand, Role},
    config,
};

pub(crate) fn run(command: &ConfigCommand) -> Result<ExitCode> {
    match command {
        ConfigCommand::Check { files } => match asked_for(files)? {
            (Some(Role::Agent), files) => say_agent(files)?,
            (role, files) => files.iter().try_for_each(|file| say(file, role))?,
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

/// The word for a role that stands before the files, if one does.
fn asked_for(files: &[PathBuf]) -> Result<(Option<Role>, &[PathBuf])> {
    let word = files.first().and_then(|file| file.to_str());
    let role = word.and_then(|word| Role::from_str(word, false).ok());
    match (files, word, role) {
        ([_], Some(word), Some(_)) if !Path::new(word).exists() => {
            bail!("which file? type the command as: skywatch config check {word} FILE")
        }
        ([_, rest @ ..], _, Some(_)) if !rest.is_empty() => Ok((role, rest)),
        _ => Ok((None, files)),
    }
}

fn say(file: &Path, role: Option<Role>) -> Result<()> {
    if let Some(role) = role {
        let kind = check_as(file, role)?;
        return Ok(writeln!(io::stdout(), "{}: {kind}, no problem found", file.display())?);
    }
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

/// Checks a file as what it is said to be, and names that.
fn check_as(file: &Path, role: Role) -> Result<&'static str> {
    match role {
        Role::Run => config::check_file(file).map(|()| "configuration of skywatch run"),
        Role::Data => config::check_data_file(file).map(|()| "configuration of skywatch data"),
        Role::Meta => config::check_meta_file(file).map(|()| "configuration of skywatch meta"),
        Role::Alerts => alerts::check(file).map(|_| "alert rules"),
        Role::Agent => agent::check(&[file.to_path_buf()]).map(|_| "Telegraf configuration"),
    }
}

/// Checks a file by what its name says it is, and names that.
fn check(file: &Path) -> Result<&'static str> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("toml" | "conf") if config::is_data_file(file) => check_as(file, Role::Data),
        Some("toml" | "conf" | "sample") if config::is_meta_file(file) => check_as(file, Role::Meta),
        Some("toml") => check_as(file, Role::Run),
        Some("conf") if config::is_server_file(file) => {
            config::check_file(file).map(|()| "configuration of InfluxDB, for skywatch run")
        }
        Some("yaml" | "yml" | "json") => check_as(file, Role::Alerts),
        _ => bail!(
            "{}: the name does not say what it is: expected .toml (skywatch run, data or meta), .conf (agent), .yaml or .json \
             (alerts); or say it, as in: skywatch config check run {}",
            file.display(),
            file.display()
        ),
    }
}
