//! `skywatch completions`: what shells need to complete commands and options.

use std::{io, process::ExitCode};

use anyhow::{Context, Result};
use clap_complete::{Shell, generate};

use crate::{
    cli::{CompletedShell, Program},
    command_tree,
    ctl::INFLUXD_CTL,
};

pub(crate) fn run(shell: CompletedShell, program: Program) -> Result<ExitCode> {
    use io::Write as _;

    // Made in memory first: the generator takes a pipe that nobody reads for a mistake of its own.
    let text = script(shell, program);
    match io::stdout().write_all(&text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        written => written.map(|()| ExitCode::SUCCESS).context("cannot print"),
    }
}

fn script(shell: CompletedShell, program: Program) -> Vec<u8> {
    let shell = match shell {
        CompletedShell::Bash => Shell::Bash,
        CompletedShell::Zsh => Shell::Zsh,
        CompletedShell::Fish => Shell::Fish,
    };
    let name = match program {
        Program::Skywatch => "skywatch",
        Program::InfluxdCtl => INFLUXD_CTL,
    };
    let mut text = Vec::new();
    generate(shell, &mut command_tree::of(program), name, &mut text);
    match (shell, name.split_once('-')) {
        // The generator calls the commands of a program with a hyphen in its name by two names, and finds none of them.
        (Shell::Bash, Some((first, second))) => {
            let text = String::from_utf8_lossy(&text);
            text.replace(&format!("{first}__subcmd__{second}"), &format!("{first}__{second}")).into_bytes()
        }
        _ => text,
    }
}
