//! The binary: reads the command line and starts the role asked for. No logic of its own.

mod agent;
mod agent_control;
mod alerts;
mod allocator;
mod bind_address;
mod byte_size;
mod cert;
mod cli;
mod cluster_view;
mod command_tree;
mod completions;
mod config;
mod configuration_files;
mod connection;
mod console_server;
mod continuous;
mod ctl;
mod data;
mod export;
mod exposure;
mod import;
mod inspect;
mod kafka_ingest;
mod kafka_metrics;
mod listeners;
mod logging;
mod manual;
mod memory;
mod meta;
mod monitor;
mod node_metrics;
mod node_tls;
mod originals;
mod pid_file;
mod query;
mod ready;
mod recover;
mod render;
mod run;
mod service_manager;
mod signals;

use std::{io::Write, process::ExitCode};

use anyhow::Result;
use clap::Parser;

use crate::{
    cli::{Cli, Command},
    originals::Original,
};

fn main() -> ExitCode {
    allocator::share_arenas();
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let result = match (ctl::is_influxd_ctl(&program), Original::called(&program)) {
        (true, _) => ctl::run(arguments.collect(), ctl::INFLUXD_CTL),
        (false, Some(original)) => original.run(arguments.collect()),
        (false, None) => dispatch(Cli::parse().command),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            // Standard error may be closed; then there is nobody to tell.
            drop(writeln!(std::io::stderr(), "error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Meta(args) => meta::run(&args),
        Command::Data(args) => data::run(&args),
        Command::Agent(args) => agent::run(&args),
        Command::Query(args) => query::run(*args),
        Command::Ctl { arguments } => ctl::run(arguments, "skywatch ctl"),
        Command::Inspect { command } => inspect::run(command),
        Command::Import(args) => import::run(&args),
        Command::Render(args) => render::run(&args),
        Command::Cert(args) => cert::run(&args),
        Command::Ready(args) => ready::run(&args),
        Command::RecoverMeta(args) => recover::run(args),
        Command::Completions { shell, program } => completions::run(shell, program),
        Command::Man { page, out } => manual::run(page.as_deref(), out.as_deref()),
        Command::Config { command } => configuration_files::run(&command),
    }
}
