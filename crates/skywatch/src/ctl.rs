//! `skywatch ctl`: the administration of a cluster, with the commands and tables of `influxd-ctl`, and that name if the
//! binary is installed under it.

mod backup;

use std::{
    ffi::{OsStr, OsString},
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Parser;
use skywatch_cluster::backup::BackupError;
use skywatch_ctl::{CtlError, Environment, Streams};

use crate::cli::CtlCli;

/// The name under which the binary is this command alone.
pub(crate) const INFLUXD_CTL: &str = "influxd-ctl";

/// The status after a command line that has an option that does not exist, or a value that is none.
const USAGE: u8 = 2;

/// Under that name a backup is one of a cluster, whose meta node is here unless the line says where.
const DEFAULT_BIND: [&str; 2] = ["-bind", "localhost:8091"];

/// Whether a line, or the environment, says which server is meant.
fn names_server(texts: &[String]) -> bool {
    let names = |text: &String| ["--url", "--data-dir"].contains(&text.split('=').next().unwrap_or_default());
    std::env::var_os("SKYWATCH_URL").is_some() || texts.iter().any(names)
}

/// Whether the program was called by that name.
pub(crate) fn is_influxd_ctl(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new(INFLUXD_CTL))
}

pub(crate) fn run(arguments: Vec<OsString>, program: &str) -> Result<ExitCode> {
    let texts: Option<Vec<String>> =
        arguments.iter().map(|argument| argument.to_str().map(str::to_owned)).collect();
    if let Some(name) = backup_name(&arguments, texts.as_deref()) {
        let (global, rest) = match texts {
            Some(texts) => {
                let (mut global, rest) = skywatch_ctl::split_global(&texts);
                if program == INFLUXD_CTL && global.is_empty() && !names_server(&rest) {
                    global = DEFAULT_BIND.map(str::to_owned).to_vec();
                }
                (global, rest.into_iter().map(OsString::from).collect())
            }
            None => (Vec::new(), arguments),
        };
        let line = std::iter::once(OsString::from(program)).chain(rest);
        return Ok(match CtlCli::try_parse_from(line) {
            Ok(line) => {
                backup::run(line.command, &global, program).unwrap_or_else(|error| failed(name, &error))
            }
            Err(told) if !told.use_stderr() => told.exit(),
            Err(mistake) => {
                let text = mistake.render().to_string();
                warn(&format!("{name}: {}", text.trim_start_matches("error: ").trim_end()));
                ExitCode::from(USAGE)
            }
        });
    }
    let Some(texts) = texts else {
        warn("an argument is not UTF-8, which addresses and names are");
        return Ok(ExitCode::FAILURE);
    };
    let mut input = io::stdin().lock();
    let streams = Streams {
        out: &mut io::stdout(),
        err: &mut io::stderr(),
        input: &mut input,
        is_terminal: io::stderr().is_terminal(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let environment = Environment::of_this_machine(program);
    Ok(ExitCode::from(runtime.block_on(skywatch_ctl::run(&texts, environment, streams))))
}

/// Backups work on directories, whose names may be of any bytes, with the options of `query` and `import`.
fn backup_name(arguments: &[OsString], texts: Option<&[String]>) -> Option<&'static str> {
    let name = match texts {
        Some(texts) => skywatch_ctl::command_name(texts),
        None => arguments.first().and_then(|first| first.to_str()),
    };
    ["backup", "restore"].into_iter().find(|known| name == Some(known))
}

/// Says why a command did not come about, as the other commands of `ctl` do, and gives the status to exit with.
fn failed(name: &str, error: &anyhow::Error) -> ExitCode {
    if let Some(error) = error.downcast_ref::<CtlError>() {
        warn(&error.line(name));
        return ExitCode::from(error.exit_code());
    }
    match error.downcast_ref() {
        Some(skywatch_backup::Error::Node(BackupError::Refused(text))) => {
            warn(&format!("{name}: operation exited with error: {text}"));
        }
        _ => warn(&format!("{name}: {error:#}")),
    }
    ExitCode::FAILURE
}

pub(crate) fn print(line: &str) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot print"),
    }
}

pub(crate) fn warn(line: &str) {
    // Standard error may be closed; then there is nobody to tell.
    drop(writeln!(io::stderr(), "{line}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_which_server_is_meant_or_does_not() {
        let names = |line: &str| {
            let texts: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            names_server(&skywatch_ctl::split_global(&texts).1)
        };
        assert!(names("backup -url http://a /b") && names("restore --data-dir=/d /b"));
        assert!(!names("backup -db a /b"));
    }
}
