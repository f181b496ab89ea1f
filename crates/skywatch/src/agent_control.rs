//! What a running agent is told: by signals, and by changes of its files.
//!
//! SIGHUP, and a change where files are watched, load the configuration anew. One with errors is told of and left
//! alone: the old one goes on. SIGUSR1 flushes the outputs. SIGINT and SIGTERM stop.

use std::{future::pending, path::PathBuf};

use anyhow::{Context, Result};
use skywatch_agent::{Agent, AgentCommand, Config, Report, Sources, watch};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
};
use tracing::{error, info};

use crate::{
    agent::AgentLog,
    service_manager::{self, Watched},
    signals::StopSignals,
};

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

/// What an agent is of its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// All of it: what the agent does is what the service manager is told.
    Process,
    /// One part beside others.
    Part,
}

/// Runs an agent until a signal stops it, reloading it from `origin` when a signal or a change of its files asks for it.
pub(crate) async fn run(
    agent: Agent,
    origin: Origin,
    watched: Option<watch::Watch>,
    place: Place,
) -> Result<Report> {
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
    let told = tokio::spawn(tell(commander.clone(), origin, hangup, user, changes));
    let watched = (place == Place::Process).then(|| tokio::spawn(tell_service_manager(commander)));
    let stopping = async {
        stop.requested().await;
        // From now on the loop answers nobody.
        if let Some(watched) = watched {
            watched.abort();
        }
    };
    let report = agent.run_commanded(commands, stopping).await;
    told.abort();
    Ok(report?)
}

/// Tells the service manager once the agent runs, and what it does then. Aborted at the agent's end.
async fn tell_service_manager(commander: mpsc::Sender<AgentCommand>) {
    if let Ok(doing) = describe(&commander).await {
        service_manager::ready(doing);
        let _watched = Watched::start(move || {
            let commander = commander.clone();
            async move { describe(&commander).await }
        });
        pending::<()>().await;
    }
}

/// What the agent's loop says it does, once it gets to it.
async fn describe(commander: &mpsc::Sender<AgentCommand>) -> Result<String, String> {
    let (answer, answered) = oneshot::channel();
    let ended = || "the agent's loop has ended".to_owned();
    commander.send(AgentCommand::Describe(answer)).await.map_err(|_| ended())?;
    answered.await.map(|running| format!("collecting with {running}")).map_err(|_| ended())
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
        let reason = tokio::select! {
            _ = hangup.recv() => Some("SIGHUP"),
            () = changed(&mut changes) => Some("a change of its files"),
            _ = user.recv() => None,
        };
        let Some(reason) = reason else {
            if commander.send(AgentCommand::Flush).await.is_err() {
                return;
            }
            continue;
        };
        service_manager::reloading();
        if let Some(command) = reloaded(&origin, reason).await
            && commander.send(command).await.is_err()
        {
            return;
        }
        // Commands are done one after the other: the answer comes when the reload is over.
        match describe(&commander).await {
            Ok(doing) => service_manager::ready(doing),
            Err(_) => return,
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
