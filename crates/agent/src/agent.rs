//! Running inputs and outputs together. The only part that reads clocks, draws random numbers,
//! and starts threads and tasks.

mod buffers;
mod input_task;
mod input_thread;
mod output_task;
mod pipeline_task;
mod route;
mod run_once;
mod service_task;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::config::{
    AgentSettings, Config, ConfigError, ConfigErrors, ConfiguredInput, ConfiguredOutput, InputOptions,
};
use crate::delivery::Totals;
use crate::delivery::disk::OpenError;
use crate::inputs::INPUTS;
use crate::metric::Metric;
use crate::outputs::OUTPUTS;
use crate::pipeline::Pipeline;
use crate::registry::{Source, names};
use crate::schedule::{Schedule, precision};
use crate::shape::InputShape;
use route::{Entrance, Fanout};

/// How long the last flush of all outputs together may take.
const LAST_FLUSH_MAX: Duration = Duration::from_secs(20);
/// Gathers whose metrics wait for an output at most; an output takes them at once, even while it writes.
const GATHERS_QUEUED_MAX: usize = 64;

/// One gather's metrics, shared by all outputs.
type Gathered = Arc<[Arc<Metric>]>;

/// An agent ready to run.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    global_tags: Arc<BTreeMap<String, String>>,
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

impl Agent {
    /// An agent of this configuration, which must have an input.
    pub fn new(config: Config) -> Result<Self, ConfigErrors> {
        if config.inputs.is_empty() {
            return Err(missing(&config, "inputs", names(INPUTS)));
        }
        let mut tags = config.global_tags.clone();
        if !config.agent.omit_hostname {
            tags.insert("host".to_owned(), hostname(&config.agent.hostname));
        }
        Ok(Self { config, global_tags: Arc::new(tags) })
    }

    /// Collects and ships until `shutdown` is over; then flushes once. Needs an output.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<Report, AgentError> {
        let Started { inputs, outputs, stop } = self.start(true)?;
        shutdown.await;
        info!("stopping");
        // Fails only if no input is left to hear it.
        stop.send(true).ok();
        finish(inputs, outputs).await
    }

    fn start(self, periodic: bool) -> Result<Started, AgentError> {
        if self.config.outputs.is_empty() {
            return Err(missing(&self.config, "outputs", names(OUTPUTS)).into());
        }
        warn_of_idle_processors(&self.config);
        self.config.warnings.iter().for_each(|warning| warn!("{warning}"));
        let (stop, stopped) = watch::channel(false);
        let (agent, tags) = (self.config.agent, self.global_tags);
        let mut outputs = Vec::new();
        let mut senders = Vec::new();
        let fanout = Fanout::default();
        let buffers = buffers::open(&agent, self.config.outputs.iter().map(|one| (&one.id, &one.options)))?;
        for (ConfiguredOutput { id, options, output, fingerprint: _ }, buffer) in
            self.config.outputs.into_iter().zip(buffers)
        {
            let (sender, receiver) = mpsc::channel(GATHERS_QUEUED_MAX);
            let name = id.to_string();
            let task = output_task::OutputTask::new(id, options, output, &agent, buffer, periodic);
            outputs.push((name, tokio::spawn(task.run(receiver))));
            senders.push(sender);
        }
        fanout.set(senders);
        let entrance = Entrance::new(fanout.clone());
        let pipeline =
            Pipeline::new(self.config.processors, self.config.aggregators, &agent, wall_clock_ns());
        if !pipeline.is_empty() {
            let (sender, receiver) = mpsc::channel(GATHERS_QUEUED_MAX);
            entrance.set_pipeline(Some(sender));
            tokio::spawn(pipeline_task::run(pipeline, receiver, fanout));
        }
        let mut inputs = Vec::new();
        for ConfiguredInput { id, options, input, fingerprint: _ } in self.config.inputs {
            let (tags, entrance) = (Arc::clone(&tags), entrance.clone());
            inputs.push(match input {
                Source::Polled(input) => {
                    let task = input_task::InputTask::new(id, options, input, &agent, tags, entrance)?;
                    if periodic {
                        tokio::spawn(task.run(stopped.clone()))
                    } else {
                        tokio::spawn(task.run_once())
                    }
                }
                Source::Service(service) => {
                    let interval = options.interval.unwrap_or(agent.interval);
                    let offset = options.collection_offset.unwrap_or(agent.collection_offset);
                    let schedule = Schedule::new(interval, offset, agent.round_interval, wall_clock_ns());
                    let shape = service_shape(options, &agent, tags);
                    let task = service_task::ServiceTask { id, service, shape, entrance, schedule };
                    tokio::spawn(task.run(stopped.clone()))
                }
            });
        }
        Ok(Started { inputs, outputs, stop })
    }
}

/// The tasks of a running agent.
struct Started {
    inputs: Vec<tokio::task::JoinHandle<input_task::InputReport>>,
    outputs: Vec<(String, tokio::task::JoinHandle<Totals>)>,
    stop: watch::Sender<bool>,
}

/// Waits for the inputs, whose ends close the outputs' channels, then for the last flush.
async fn finish(
    inputs: Vec<tokio::task::JoinHandle<input_task::InputReport>>,
    outputs: Vec<(String, tokio::task::JoinHandle<Totals>)>,
) -> Result<Report, AgentError> {
    let mut report = Report::default();
    for input in inputs {
        match input.await {
            Ok(own) => {
                report.failed_gathers += own.failed_gathers;
                report.gathered += own.gathered;
            }
            Err(error) => warn!("an input's task ended badly: {error}"),
        }
    }
    let deadline = tokio::time::Instant::now() + LAST_FLUSH_MAX;
    for (name, mut task) in outputs {
        match tokio::time::timeout_at(deadline, &mut task).await {
            Ok(Ok(totals)) => report.outputs.push((name, totals)),
            Ok(Err(error)) => warn!("the task of {name} ended badly: {error}"),
            Err(_) => {
                task.abort();
                warn!(
                    "{name}: the last flush took longer than {} s and was given up",
                    LAST_FLUSH_MAX.as_secs()
                );
            }
        }
    }
    Ok(report)
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

fn input_shape(
    options: InputOptions,
    agent: &AgentSettings,
    global_tags: Arc<BTreeMap<String, String>>,
) -> InputShape {
    let interval = options.interval.unwrap_or(agent.interval);
    let unit = precision(options.precision.unwrap_or(agent.precision), interval);
    InputShape::new(options, global_tags, agent, unit)
}

/// A service's own times are kept to the nanosecond unless its table has a `precision`.
fn service_shape(
    options: InputOptions,
    agent: &AgentSettings,
    global_tags: Arc<BTreeMap<String, String>>,
) -> InputShape {
    let unit = options.precision.unwrap_or(1);
    InputShape::new(options, global_tags, agent, unit)
}

/// Nanoseconds since the Unix epoch, by the wall clock.
pub(crate) fn wall_clock_ns() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
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
