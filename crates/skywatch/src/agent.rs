//! `skywatch agent`: the agent alone.

mod discover;
mod log;
mod log_file;
mod log_line;

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use skywatch_agent::{
    Agent, Config, DefaultConfig, Environment, Selection, Sources, default_toml, watch::Watch,
};
use tracing::Level;

pub(crate) use log::AgentLog;

use crate::{
    agent_control::{self, Origin, Place},
    cli::{AgentArgs, AgentCommand, WatchChoice},
    pid_file::PidFile,
};

pub(crate) fn run(args: &AgentArgs) -> Result<ExitCode> {
    if let Some(AgentCommand::Discover { output, url }) = &args.command {
        return discover::run(output.as_deref(), url.as_deref());
    }
    let level = match (args.debug, args.quiet, args.test) {
        (true, ..) => Some(Level::DEBUG),
        (_, true, _) => Some(Level::ERROR),
        // The lines are what one wants to see.
        (.., true) => Some(Level::WARN),
        _ => None,
    };
    let log = AgentLog::start(args.log.as_deref(), level)?;
    let origin = Origin { sources: sources(args)?, log: Some(log) };
    let agent = Agent::new(origin.load()?)?.with_service_wait(Duration::from_secs(args.test_wait));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let pidfile = PidFile::write(args.pidfile.as_deref())?;
    let code = runtime.block_on(async {
        if args.test {
            test(agent).await
        } else if args.once {
            once(agent).await
        } else {
            agent_control::run(agent, origin, watch(args), Place::Process).await.map(|_| ExitCode::SUCCESS)
        }
    });
    drop(pidfile);
    // A hung libvirtd may hold a thread; it must not hold the process.
    runtime.shutdown_background();
    code
}

/// What the command line says about where the configuration is and what of it is taken.
fn sources(args: &AgentArgs) -> Result<Sources> {
    let mut sources = if args.config.is_empty() && args.config_directory.is_empty() {
        Sources::usual(&|name| std::env::var(name).ok(), Path::new("/")).map_err(|places| {
            anyhow!("no configuration: give --config FILE, or put one into one of {places}")
        })?
    } else {
        Sources {
            files: args.config.clone(),
            directories: args.config_directory.clone(),
            ..Sources::default()
        }
    };
    sources.environment = match (args.non_strict_env_handling, args.old_env_behavior) {
        (true, _) => Environment::Text,
        (_, true) => Environment::Old,
        (false, false) => Environment::Strict,
    };
    sources.selection = selection(args)?;
    Ok(sources)
}

fn selection(args: &AgentArgs) -> Result<Selection> {
    let mut selection = Selection::default();
    for (kind, names) in [
        ("inputs", &args.input_filter),
        ("outputs", &args.output_filter),
        ("processors", &args.processor_filter),
        ("aggregators", &args.aggregator_filter),
    ] {
        if let Some(names) = names {
            selection.only(kind, names);
        }
    }
    if let Some(tables) = &args.section_filter {
        selection.only_tables(tables);
    }
    for labels in &args.select {
        selection.labelled(labels).map_err(|why| anyhow!("--select: {why}"))?;
    }
    Ok(selection)
}

async fn test(agent: Agent) -> Result<ExitCode> {
    let report = agent.test_once(&mut io::stdout()).await?;
    if report.failed_gathers > 0 {
        bail!("{} of the inputs failed, see above", report.failed_gathers);
    }
    Ok(ExitCode::SUCCESS)
}

async fn once(agent: Agent) -> Result<ExitCode> {
    let report = agent.once().await?;
    if report.failed_gathers > 0 || report.lost() > 0 {
        bail!("{} gathers failed, {} metrics were not stored", report.failed_gathers, report.lost());
    }
    Ok(ExitCode::SUCCESS)
}

fn watch(args: &AgentArgs) -> Option<Watch> {
    let settle = args.watch_debounce_interval.0;
    Some(match args.watch_config? {
        WatchChoice::Notify => Watch::Notify { settle },
        WatchChoice::Poll => Watch::Poll { interval: args.watch_interval.0, settle },
    })
}

/// The default configuration, as `skywatch config default agent` prints it.
pub(crate) fn default_file() -> String {
    default_toml(&DefaultConfig::detect("http://127.0.0.1:8086"))
}

/// Reads the files and directories of a configuration: an error says what is wrong with it, lines tell what may surprise.
pub(crate) fn check(paths: &[PathBuf]) -> Result<Vec<String>> {
    let (directories, files): (Vec<_>, Vec<_>) = paths.iter().cloned().partition(|path| path.is_dir());
    let config = Config::load(&files, &directories)?;
    let warnings = config.warnings.iter().map(|warning| format!("warning: {warning}"));
    let remarks = warnings.chain(config.hints.iter().map(|hint| format!("note: {hint}"))).collect();
    Agent::new(config)?;
    Ok(remarks)
}
