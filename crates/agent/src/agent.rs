//! Running an agent: what it is told while it runs, and its end. Only this module and those below it read clocks, draw
//! random numbers, and start threads and tasks.

mod buffers;
mod health;
mod input_task;
mod input_thread;
mod output_task;
mod pipeline_task;
mod plan;
mod route;
mod run_once;
mod running;
mod service_task;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

// Rounds, schedules and inputs take the time of day from here.
pub(crate) use skywatch_model::wall_clock_ns;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{error, info, warn};

use crate::config::{AgentSettings, Config, ConfigError, ConfigErrors};
use crate::context::Shared;
use crate::delivery::Totals;
use crate::delivery::disk::OpenError;
use crate::inputs::INPUTS;
use crate::metric::Metric;
use crate::outputs::OUTPUTS;
use crate::registry::names;
use crate::state::{States, WRITE_EVERY};
use running::{Mode, Running};

/// How long the last writing of the state file may take.
const LAST_STATE_MAX: Duration = Duration::from_secs(5);

/// One gather's metrics, shared by all outputs.
type Gathered = Arc<[Arc<Metric>]>;

/// An agent ready to run.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    service_wait: Duration,
}

/// What a running agent may be told.
#[derive(Debug)]
pub enum AgentCommand {
    /// Go on with this configuration. One that lacks inputs or outputs is refused, in the log, and the agent goes on as
    /// it was.
    Reload(Box<Config>),
    /// Have every output send what it holds.
    Flush,
    /// Say what runs, as in `3 inputs and 1 outputs`, once what was told before is done.
    Describe(oneshot::Sender<String>),
}

/// Why an agent cannot do what is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The configuration does not suffice.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// A thread could not be started.
    #[error("cannot start the thread of {plugin}: {source}")]
    Thread {
        /// Whose.
        plugin: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A plugin failed to start that must not, as its `startup_error_behavior` is `error`.
    #[error("{0}, and its `startup_error_behavior` is \"error\"")]
    Start(StartFailed),
    /// An output's buffer on disk cannot be used.
    #[error("{plugin}: {source}")]
    Buffer {
        /// Whose.
        plugin: String,
        /// Why not.
        source: OpenError,
    },
    /// Lines could not be printed.
    #[error("cannot print: {0}")]
    Print(#[source] std::io::Error),
}

/// A plugin that failed to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartFailed {
    plugin: String,
    reason: String,
}

impl fmt::Display for StartFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: cannot start: {}", self.plugin, self.reason)
    }
}

/// What became of the metrics, by output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Gathers that failed, wholly or in part.
    pub failed_gathers: u64,
    /// Metrics gathered and not filtered away.
    pub gathered: u64,
    /// Each output's counters.
    pub outputs: Vec<(String, Totals)>,
}

impl Report {
    /// Metrics that no output will ever store.
    pub fn lost(&self) -> u64 {
        self.outputs.iter().map(|(_, totals)| totals.lost()).sum()
    }
}

/// What surrounds the plugins of one configuration as they start.
#[derive(Debug)]
struct Setting<'a> {
    agent: &'a AgentSettings,
    /// The host's included.
    global_tags: &'a Arc<BTreeMap<String, String>>,
    shared: &'a Shared,
    /// Where a start that must not fail reports its failure.
    failed_starts: &'a mpsc::Sender<StartFailed>,
}

impl<'a> Setting<'a> {
    fn new(
        agent: &'a AgentSettings,
        global_tags: &'a Arc<BTreeMap<String, String>>,
        shared: &'a Shared,
        failed_starts: &'a mpsc::Sender<StartFailed>,
    ) -> Self {
        Self { agent, global_tags, shared, failed_starts }
    }
}

impl Agent {
    /// An agent of this configuration, which must have an input.
    pub fn new(config: Config) -> Result<Self, ConfigErrors> {
        needs_input(&config)?;
        Ok(Self { config, service_wait: Duration::ZERO })
    }

    /// How long services are given to report something when there is only one round (`--test-wait`).
    #[must_use]
    pub fn with_service_wait(mut self, wait: Duration) -> Self {
        self.service_wait = wait;
        self
    }

    /// Collects and ships until `shutdown` is over; then flushes once. Needs an output.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<Report, AgentError> {
        let (_commander, commands) = mpsc::channel(1);
        self.run_commanded(commands, shutdown).await
    }

    /// Like [`run`](Self::run), and does what it is told meanwhile. A closed channel means no more commands.
    pub async fn run_commanded(
        self,
        mut commands: mpsc::Receiver<AgentCommand>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Report, AgentError> {
        needs_output(&self.config)?;
        let (failing, mut failed_starts) = mpsc::channel(1);
        let tags = global_tags(&self.config);
        let mut running = Running::start(self.config, tags, Mode::Periodic, failing)?;
        info!("the agent runs with {running}");
        let states = StateKeeper::start(Arc::clone(&running.shared().states));
        tokio::pin!(shutdown);
        let failed = loop {
            tokio::select! {
                () = &mut shutdown => break None,
                Some(failed) = failed_starts.recv() => break Some(failed),
                Some(command) = commands.recv() => match command {
                    AgentCommand::Flush => running.flush().await,
                    // Whoever asked may be gone.
                    AgentCommand::Describe(asker) => drop(asker.send(running.to_string())),
                    AgentCommand::Reload(config) => match needs_input(&config).and_then(|()| needs_output(&config)) {
                        Ok(()) => running.reload(global_tags(&config), *config).await,
                        Err(why) => error!("the configuration is not reloaded, the old one goes on: {why}"),
                    },
                },
            }
        };
        info!("stopping");
        let report = running.stop().await;
        states.stop().await;
        match failed {
            Some(failed) => Err(AgentError::Start(failed)),
            None => Ok(report),
        }
    }
}

/// Has changed states written from time to time.
struct StateKeeper {
    states: Arc<States>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl StateKeeper {
    fn start(states: Arc<States>) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let own = Arc::clone(&states);
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(WRITE_EVERY) => write_states(&own).await,
                    _ = &mut stopped => return,
                }
            }
        });
        Self { states, stop, task }
    }

    /// Writes what the plugins saved last.
    async fn stop(self) {
        self.stop.send(()).ok();
        let last = async {
            self.task.await.ok();
            write_states(&self.states).await;
        };
        if tokio::time::timeout(LAST_STATE_MAX, last).await.is_err() {
            error!("the state file could not be written within {} s", LAST_STATE_MAX.as_secs());
        }
    }
}

async fn write_states(states: &Arc<States>) {
    let states = Arc::clone(states);
    if let Err(why) = spawn_blocking(move || states.write_if_changed()).await {
        error!("writing the state file ended badly: {why}");
    }
}

fn needs_input(config: &Config) -> Result<(), ConfigErrors> {
    if config.inputs.is_empty() { Err(missing(config, "inputs", names(INPUTS))) } else { Ok(()) }
}

fn needs_output(config: &Config) -> Result<(), ConfigErrors> {
    if config.outputs.is_empty() { Err(missing(config, "outputs", names(OUTPUTS))) } else { Ok(()) }
}

/// The configured ones and the host's.
fn global_tags(config: &Config) -> BTreeMap<String, String> {
    let mut tags = config.global_tags.clone();
    if !config.agent.omit_hostname {
        tags.insert("host".to_owned(), hostname(&config.agent.hostname));
    }
    tags
}

fn warn_of_idle_processors(config: &Config) {
    if config.agent.skip_processors_before_aggregators
        && config.aggregators.is_empty()
        && !config.processors.is_empty()
    {
        warn!(
            "no processor will run: `skip_processors_before_aggregators` leaves them to the aggregators' metrics, and there is no aggregator"
        );
    }
}

fn missing(config: &Config, kind: &'static str, known: String) -> ConfigErrors {
    ConfigError::NoPlugin { files: config.files.join(", "), kind, known }.into()
}

fn hostname(configured: &str) -> String {
    if configured.is_empty() {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    } else {
        configured.to_owned()
    }
}

/// A random time below `most` nanoseconds.
fn jitter(most: i64) -> i64 {
    if most <= 0 { 0 } else { rand::random_range(0..most) }
}

fn nanos(count: i64) -> Duration {
    Duration::from_nanos(count.max(0).unsigned_abs())
}

#[cfg(test)]
mod tests;
