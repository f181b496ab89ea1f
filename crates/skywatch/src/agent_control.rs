//! What a running agent is told: by signals, and by changes of its files.
//!
//! SIGHUP, and a change where files are watched, load the configuration anew. One with errors is told of and left
//! alone: the old one goes on. SIGUSR1 flushes the outputs. SIGINT and SIGTERM stop.

use std::{future::pending, path::PathBuf};

use anyhow::{Context, Result};
use skywatch_agent::{Agent, AgentCommand, Config, Report, Sources, watch};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tracing::{error, info};

use crate::{agent::AgentLog, signals::StopSignals};

/// Where a configuration comes from, and what logs as it says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    pub(crate) sources: Sources,
    /// None where the process logs in its own way.
    pub(crate) log: Option<AgentLog>,
}

impl Origin {
    /// Loads the configuration, and has it decide about logging.
    pub(crate) fn load(&self) -> Result<Config> {
        let config = Config::load_sources(&self.sources)?;
        if let Some(log) = &self.log {
            log.apply(&config)?;
        }
        Ok(config)
    }

    /// Its files and its directories.
    fn paths(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        (self.sources.file_paths(), self.sources.directories.clone())
    }
}

/// Runs an agent until a signal stops it, reloading it from `origin` when a signal or a change of its files asks for it.
pub(crate) async fn run(agent: Agent, origin: Origin, watched: Option<watch::Watch>) -> Result<Report> {
    let (commander, commands) = mpsc::channel(1);
    let changes = match watched {
        Some(how) => {
            let (files, directories) = origin.paths();
            Some(watch::changes(files, directories, how).context("cannot watch the configuration's files")?)
        }
        None => None,
    };
    // All are heard before anything runs, and so before anybody is told that it does.
    let stop = StopSignals::listen().context("cannot listen for signals")?;
    let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let user = signal(SignalKind::user_defined1()).context("cannot listen for SIGUSR1")?;
    let told = tokio::spawn(tell(commander, origin, hangup, user, changes));
    let report = agent.run_commanded(commands, stop.requested()).await;
    told.abort();
    Ok(report?)
}

/// Turns signals and changes into commands until the agent is gone.
async fn tell(
    commander: mpsc::Sender<AgentCommand>,
    origin: Origin,
    mut hangup: Signal,
    mut user: Signal,
    mut changes: Option<mpsc::Receiver<()>>,
) {
    loop {
        let command = tokio::select! {
            _ = hangup.recv() => reloaded(&origin, "SIGHUP").await,
            () = changed(&mut changes) => reloaded(&origin, "a change of its files").await,
            _ = user.recv() => Some(AgentCommand::Flush),
        };
        if let Some(command) = command
            && commander.send(command).await.is_err()
        {
            return;
        }
    }
}

async fn changed(changes: &mut Option<mpsc::Receiver<()>>) {
    let change = match changes {
        Some(changes) => changes.recv().await,
        None => pending().await,
    };
    if change.is_none() {
        error!("the configuration's files are not watched any longer; SIGHUP still reloads");
        *changes = None;
    }
}

async fn reloaded(origin: &Origin, reason: &str) -> Option<AgentCommand> {
    info!("loading the configuration anew, because of {reason}");
    let origin = origin.clone();
    match tokio::task::spawn_blocking(move || origin.load()).await {
        Ok(Ok(config)) => Some(AgentCommand::Reload(Box::new(config))),
        Ok(Err(errors)) => {
            error!("the configuration is not reloaded, the old one goes on: {errors:#}");
            None
        }
        Err(panic) => {
            error!("loading the configuration ended badly, the old one goes on: {panic}");
            None
        }
    }
}
