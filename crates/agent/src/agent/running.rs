//! The tasks of a running agent, and how a reload changes them.
//!
//! ```text
//!  inputs --> Entrance --> pipeline (if there is one) --> Fanout --> outputs
//! ```
//!
//! A reload compares tables. What says the same goes on: an input keeps its times, an aggregator its window, an output
//! its buffer. Outputs change first, so that there is somewhere to go for what the others still hand over, then the
//! pipeline, then the inputs: old ones end before new ones start, since they may want the same address.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{error, info, warn};

use super::buffers::{self, Buffer, Place};
use super::input_task::{InputReport, InputTask, Times};
use super::output_task::{Equipment, LAST_FLUSH_MAX, OutputRequest, OutputTask, Pace};
use super::pipeline_task::{self, ToPipeline};
use super::plan::{Fate, Key, compare};
use super::route::{Entrance, Fanout};
use super::service_task::{STOP_MAX, ServiceTask};
use super::{AgentError, Gathered, Report, Setting, StartFailed, wall_clock_ns};
use crate::config::{
    AgentSettings, Config, ConfiguredInput, ConfiguredOutput, Fingerprint, InputOptions, OutputOptions,
};
use crate::context::Shared;
use crate::delivery::Totals;
use crate::metric::Metric;
use crate::pipeline::Pipeline;
use crate::registry::Source;
use crate::state::StateKey;

/// Gathers whose metrics wait for the pipeline or an output at most; both take them at once, even while it writes.
const GATHERS_QUEUED_MAX: usize = 64;
/// Requests to an output that wait.
const REQUESTS_QUEUED_MAX: usize = 4;
/// How long an input may take to end, handing on what it has included.
const INPUT_STOP_MAX: Duration = STOP_MAX.saturating_mul(2);
/// How long a busy task may take to hear a request.
const REQUEST_MAX: Duration = Duration::from_secs(2);

/// How inputs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// At their times, until told to stop.
    Periodic,
    /// Once; services for this long.
    Once(Duration),
}

/// A running agent.
#[derive(Debug)]
pub(super) struct Running {
    shared: Shared,
    failed_starts: mpsc::Sender<StartFailed>,
    mode: Mode,
    entrance: Entrance,
    fanout: Fanout,
    inputs: Vec<RunningInput>,
    pipeline: Option<RunningPipeline>,
    outputs: Vec<RunningOutput>,
    /// Outputs that a reload took out, busy with their last flush.
    leaving: Vec<(String, JoinHandle<Totals>)>,
    report: Report,
}

#[derive(Debug)]
struct RunningInput {
    key: Key,
    stop: watch::Sender<bool>,
    task: JoinHandle<InputReport>,
}

#[derive(Debug)]
struct RunningPipeline {
    inbox: mpsc::Sender<ToPipeline>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct RunningOutput {
    key: Key,
    place: Place,
    metrics: mpsc::Sender<Gathered>,
    requests: mpsc::Sender<OutputRequest>,
    task: JoinHandle<Totals>,
}

/// A configuration taken apart.
struct Parts {
    agent: AgentSettings,
    tags: Arc<BTreeMap<String, String>>,
    inputs: Vec<ConfiguredInput>,
    outputs: Vec<ConfiguredOutput>,
    pipeline: Pipeline,
    states: BTreeSet<StateKey>,
}

impl Running {
    /// Starts everything. `tags` are the global tags, the host's included.
    pub(super) fn start(
        config: Config,
        tags: BTreeMap<String, String>,
        mode: Mode,
        failed_starts: mpsc::Sender<StartFailed>,
    ) -> Result<Self, AgentError> {
        let shared = Shared::default();
        let fanout = Fanout::default();
        let mut running = Self {
            entrance: Entrance::new(fanout.clone()),
            fanout,
            shared,
            failed_starts,
            mode,
            inputs: Vec::new(),
            pipeline: None,
            outputs: Vec::new(),
            leaving: Vec::new(),
            report: Report::default(),
        };
        let parts = running.take_apart(config, tags);
        running.shared.states.claim(&parts.states);
        let setting = Setting::new(&parts.agent, &parts.tags, &running.shared, &running.failed_starts);
        let places = buffers::places(&parts.agent, &parts.outputs);
        for (output, place) in parts.outputs.into_iter().zip(places) {
            // Before anything runs: metrics are promised to be kept from the first on.
            let buffer = buffers::open(&output.id, &place, buffers::limits(&parts.agent, &output.options))?;
            running.outputs.push(RunningOutput::start(
                output,
                place,
                &setting,
                mode,
                ready((buffer, Vec::new())),
            ));
        }
        running.fanout.set(running.outputs.iter().map(|output| output.metrics.clone()).collect());
        if !parts.pipeline.is_empty() {
            running.pipeline = Some(RunningPipeline::start(parts.pipeline, running.fanout.clone()));
        }
        running.entrance.set_pipeline(running.pipeline.as_ref().map(|pipeline| pipeline.inbox.clone()));
        for input in parts.inputs {
            running.inputs.push(RunningInput::start(input, &setting, running.entrance.clone(), mode)?);
        }
        Ok(running)
    }

    /// What lives as long as the agent.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Takes over a configuration that is known to be complete.
    pub(super) async fn reload(&mut self, tags: BTreeMap<String, String>, config: Config) {
        let parts = self.take_apart(config, tags);
        let (shared, failed_starts) = (self.shared.clone(), self.failed_starts.clone());
        let setting = Setting::new(&parts.agent, &parts.tags, &shared, &failed_starts);
        let outputs = self.reload_outputs(parts.outputs, &setting).await;
        self.reload_pipeline(parts.pipeline).await;
        let inputs = self.reload_inputs(parts.inputs, parts.states, &setting).await;
        info!(
            "the configuration is reloaded: {inputs} of the inputs and {outputs} of the outputs go on as they were"
        );
    }

    /// Has every output send what it holds.
    pub(super) async fn flush(&self) {
        for output in &self.outputs {
            let request = output.requests.send(OutputRequest::Flush);
            if timeout(REQUEST_MAX, request).await.is_err() {
                warn!("{}: is too busy to flush", output.key.id);
            }
        }
    }

    /// Stops the inputs, hands on what is held back, flushes the outputs once, and tells what became of it all.
    pub(super) async fn stop(mut self) -> Report {
        for input in &self.inputs {
            // Fails where the input has ended already.
            input.stop.send(true).ok();
        }
        let patience = match self.mode {
            Mode::Periodic => INPUT_STOP_MAX,
            // Its inputs end by themselves, and have limits of their own.
            Mode::Once(wait) => wait + Duration::from_secs(120),
        };
        let inputs = std::mem::take(&mut self.inputs);
        self.await_inputs(inputs, patience).await;
        self.entrance.set_pipeline(None);
        if let Some(RunningPipeline { inbox, mut task }) = self.pipeline.take() {
            drop(inbox);
            if timeout(STOP_MAX, &mut task).await.is_err() {
                warn!("a processor or aggregator does not end; what it holds is lost");
                task.abort();
            }
        }
        // Closes their channels, by which they know that it is the end.
        self.fanout.set(Vec::new());
        let outputs: Vec<_> = self.outputs.into_iter().map(RunningOutput::leave).collect();
        let deadline = Instant::now() + LAST_FLUSH_MAX + REQUEST_MAX;
        for (name, mut task) in self.leaving.into_iter().chain(outputs) {
            match timeout_at(deadline, &mut task).await {
                Ok(Ok(totals)) => self.report.outputs.push((name, totals)),
                Ok(Err(error)) => error!("the task of {name} ended badly: {error}"),
                Err(_) => {
                    task.abort();
                    error!("{name}: does not end and is abandoned");
                }
            }
        }
        self.report
    }

    fn take_apart(&self, mut config: Config, tags: BTreeMap<String, String>) -> Parts {
        config.warnings.iter().for_each(|warning| warn!("{warning}"));
        super::warn_of_idle_processors(&config);
        config.surroundings.join(&self.shared);
        self.shared.states.keep_in(&config.agent.statefile);
        let states = state_keys(&config);
        Parts {
            pipeline: Pipeline::new(&mut config, wall_clock_ns()),
            states,
            tags: Arc::new(tags),
            agent: config.agent,
            inputs: config.inputs,
            outputs: config.outputs,
        }
    }

    /// Returns how many go on as they were.
    async fn reload_outputs(&mut self, configured: Vec<ConfiguredOutput>, setting: &Setting<'_>) -> usize {
        let mut old: Vec<_> = std::mem::take(&mut self.outputs).into_iter().map(Some).collect();
        let old_keys: Vec<_> = old.iter().flatten().map(|output| output.key.clone()).collect();
        let keys: Vec<_> = configured
            .iter()
            .map(|one| Key {
                id: one.id.clone(),
                table: one.fingerprint,
                setting: output_setting(&one.options, setting),
            })
            .collect();
        let places = buffers::places(setting.agent, &configured);
        let mut kept = 0;
        let mut outputs = Vec::with_capacity(keys.len());
        let new = compare(&old_keys, &keys).into_iter().zip(keys).zip(configured).zip(places);
        for (((fate, key), configured), place) in new {
            let predecessor = match fate {
                Fate::Keep(at) | Fate::Replace(at) => old.get_mut(at).and_then(Option::take),
                Fate::Start => None,
            };
            // One that ended, as it could not connect, is tried anew.
            let is_running = predecessor.as_ref().is_some_and(|output| !output.task.is_finished());
            outputs.push(match (fate, predecessor) {
                (Fate::Keep(_), Some(output)) if is_running && output.place.settings == place.settings => {
                    kept += 1;
                    output
                }
                (_, Some(output)) if is_running => {
                    info!("{}: changes", key.id);
                    self.replace_output(output, key, configured, place, setting).await
                }
                (_, predecessor) => {
                    info!("{}: starts", key.id);
                    self.leaving.extend(predecessor.map(RunningOutput::leave));
                    RunningOutput::start_later(configured, place, setting, self.mode, None)
                }
            });
        }
        for output in old.into_iter().flatten() {
            info!("{}: ends after a last flush", output.key.id);
            self.leaving.push(output.leave());
        }
        self.outputs = outputs;
        self.fanout.set(self.outputs.iter().map(|output| output.metrics.clone()).collect());
        kept
    }

    async fn replace_output(
        &mut self,
        old: RunningOutput,
        key: Key,
        configured: ConfiguredOutput,
        place: Place,
        setting: &Setting<'_>,
    ) -> RunningOutput {
        let requests = old.requests.clone();
        let Ok(Ok(permit)) = timeout(REQUEST_MAX, requests.reserve()).await else {
            warn!("{}: is too busy to be changed; another one starts beside it", key.id);
            self.leaving.push(old.leave());
            return RunningOutput::start_later(configured, place, setting, self.mode, None);
        };
        if old.place.settings == place.settings {
            permit.send(OutputRequest::Replace(Box::new(Equipment::new(configured, setting))));
            return RunningOutput { key, ..old };
        }
        // Its metrics are to wait elsewhere: another task begins with what this one hands over at its end.
        let (heir, inherited) = oneshot::channel();
        permit.send(OutputRequest::HandOver(heir));
        self.leaving.push(old.leave());
        RunningOutput::start_later(configured, place, setting, self.mode, Some(inherited))
    }

    async fn reload_pipeline(&mut self, new: Pipeline) {
        match self.pipeline.take() {
            Some(old) if new.is_empty() => {
                // Its channel closes, and it hands on what it holds.
                self.entrance.set_pipeline(None);
                drop(old.inbox);
                let mut task = old.task;
                if timeout(STOP_MAX, &mut task).await.is_err() {
                    warn!("a processor or aggregator that is taken out does not end");
                }
            }
            Some(running) => {
                let request = running.inbox.send(ToPipeline::Replace(Box::new(new)));
                if timeout(STOP_MAX, request).await.is_err() {
                    error!("the processors and aggregators are too busy to be changed and stay as they were");
                }
                self.pipeline = Some(running);
            }
            None if new.is_empty() => {}
            None => {
                let running = RunningPipeline::start(new, self.fanout.clone());
                self.entrance.set_pipeline(Some(running.inbox.clone()));
                self.pipeline = Some(running);
            }
        }
    }

    /// Returns how many go on as they were.
    async fn reload_inputs(
        &mut self,
        configured: Vec<ConfiguredInput>,
        states: BTreeSet<StateKey>,
        setting: &Setting<'_>,
    ) -> usize {
        let mut old: Vec<_> = std::mem::take(&mut self.inputs).into_iter().map(Some).collect();
        let old_keys: Vec<_> = old.iter().flatten().map(|input| input.key.clone()).collect();
        let keys: Vec<_> = configured.iter().map(|one| input_key(one, setting)).collect();
        let fates = compare(&old_keys, &keys);
        for fate in &fates {
            if let Fate::Keep(at) = fate
                && let Some(input) =
                    old.get_mut(*at).and_then(|slot| slot.take_if(|one| !one.task.is_finished()))
            {
                self.inputs.push(input);
            }
        }
        let ending: Vec<_> = old.into_iter().flatten().collect();
        for input in &ending {
            info!("{}: ends", input.key.id);
            input.stop.send(true).ok();
        }
        self.await_inputs(ending, INPUT_STOP_MAX).await;
        self.shared.states.claim(&states);
        let kept = self.inputs.len();
        let mut is_kept: Vec<_> = self.inputs.iter().map(|input| Some(input.key.clone())).collect();
        for (configured, key) in configured.into_iter().zip(keys) {
            if let Some(slot) = is_kept.iter_mut().find(|kept| kept.as_ref() == Some(&key)) {
                *slot = None;
                continue;
            }
            info!("{}: starts", key.id);
            match RunningInput::start(configured, setting, self.entrance.clone(), self.mode) {
                Ok(input) => self.inputs.push(input),
                Err(why) => error!("{why}"),
            }
        }
        kept
    }

    async fn await_inputs(&mut self, inputs: Vec<RunningInput>, patience: Duration) {
        let deadline = Instant::now() + patience;
        for RunningInput { key, mut task, .. } in inputs {
            match timeout_at(deadline, &mut task).await {
                Ok(Ok(own)) => {
                    self.report.failed_gathers += own.failed_gathers;
                    self.report.gathered += own.gathered;
                }
                Ok(Err(why)) => error!("the task of {} ended badly: {why}", key.id),
                Err(_) => {
                    error!("{}: does not end and is abandoned", key.id);
                    task.abort();
                }
            }
        }
    }
}

impl std::fmt::Display for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} inputs and {} outputs", self.inputs.len(), self.outputs.len())
    }
}

impl RunningInput {
    fn start(
        configured: ConfiguredInput,
        setting: &Setting<'_>,
        entrance: Entrance,
        mode: Mode,
    ) -> Result<Self, AgentError> {
        let key = input_key(&configured, setting);
        let (stop, stopped) = watch::channel(false);
        let task = spawn_input(configured, setting, entrance, mode, stopped)?;
        Ok(Self { key, stop, task })
    }
}

/// Starts an input's task.
pub(super) fn spawn_input(
    configured: ConfiguredInput,
    setting: &Setting<'_>,
    entrance: Entrance,
    mode: Mode,
    stopped: watch::Receiver<bool>,
) -> Result<JoinHandle<InputReport>, AgentError> {
    let ConfiguredInput { id, fingerprint, options, input } = configured;
    let plugin = id.to_string();
    let counters = setting.shared.statistics.register(&id, fingerprint);
    Ok(match (input, mode) {
        (Source::Polled(input), mode) => {
            let task = InputTask::new(id, options, input, counters, setting, entrance)
                .map_err(|source| AgentError::Thread { plugin, source })?;
            match mode {
                Mode::Periodic => tokio::spawn(task.run(stopped)),
                Mode::Once(_) => tokio::spawn(task.run_once()),
            }
        }
        (Source::Service(service), Mode::Periodic) => {
            tokio::spawn(ServiceTask::new(id, options, service, counters, setting, entrance).run(stopped))
        }
        (Source::Service(service), Mode::Once(wait)) => {
            tokio::spawn(ServiceTask::new(id, options, service, counters, setting, entrance).run_for(wait))
        }
    })
}

impl RunningPipeline {
    fn start(pipeline: Pipeline, outputs: Fanout) -> Self {
        let (inbox, received) = mpsc::channel(GATHERS_QUEUED_MAX);
        Self { inbox, task: tokio::spawn(pipeline_task::run(pipeline, received, outputs)) }
    }
}

impl RunningOutput {
    /// Starts an output's task, which first waits for its buffer and for the metrics it inherits.
    fn start(
        configured: ConfiguredOutput,
        place: Place,
        setting: &Setting<'_>,
        mode: Mode,
        beginning: impl Future<Output = (Buffer, Vec<Arc<Metric>>)> + Send + 'static,
    ) -> Self {
        let key = Key {
            id: configured.id.clone(),
            table: configured.fingerprint,
            setting: output_setting(&configured.options, setting),
        };
        let counters = setting.shared.statistics.register(&key.id, key.table);
        let failed_starts = setting.failed_starts.clone();
        let equipment = Equipment::new(configured, setting);
        let (metrics, received) = mpsc::channel(GATHERS_QUEUED_MAX);
        let (requests, requested) = mpsc::channel(REQUESTS_QUEUED_MAX);
        let id = key.id.clone();
        let task = tokio::spawn(async move {
            let (buffer, inherited) = beginning.await;
            let is_periodic = mode == Mode::Periodic;
            let task = OutputTask::new(id, equipment, buffer, counters, failed_starts, is_periodic);
            task.run(inherited, received, requested).await
        });
        Self { key, place, metrics, requests, task }
    }

    /// Starts one of a running agent.
    fn start_later(
        configured: ConfiguredOutput,
        place: Place,
        setting: &Setting<'_>,
        mode: Mode,
        inherited: Option<oneshot::Receiver<Vec<Arc<Metric>>>>,
    ) -> Self {
        let limits = buffers::limits(setting.agent, &configured.options);
        let (id, own_place) = (configured.id.clone(), place.clone());
        Self::start(configured, place, setting, mode, async move {
            let inherited = match inherited {
                // A task that fails to hand over has told of it.
                Some(inherited) => inherited.await.unwrap_or_default(),
                None => Vec::new(),
            };
            (buffers::open_later(id, own_place, limits).await, inherited)
        })
    }

    /// Closes its channels, by which it knows that it is the end once nobody else has them.
    fn leave(self) -> (String, JoinHandle<Totals>) {
        (self.key.id.to_string(), self.task)
    }
}

fn input_key(configured: &ConfiguredInput, setting: &Setting<'_>) -> Key {
    Key {
        id: configured.id.clone(),
        table: configured.fingerprint,
        setting: input_setting(&configured.options, setting),
    }
}

/// What outside of an input's table decides how it works.
fn input_setting(options: &InputOptions, setting: &Setting<'_>) -> Fingerprint {
    let agent = setting.agent;
    Fingerprint::of_text(&format!(
        "{:?} {:?} {:?} {} {}",
        Times::new(options, setting),
        options.precision.unwrap_or(agent.precision),
        setting.global_tags,
        agent.always_include_local_tags,
        agent.always_include_global_tags,
    ))
}

/// What outside of an output's table decides how it works.
fn output_setting(options: &OutputOptions, setting: &Setting<'_>) -> Fingerprint {
    Fingerprint::of_text(&format!("{:?}", Pace::new(options, setting)))
}

fn state_keys(config: &Config) -> BTreeSet<StateKey> {
    let inputs = config.inputs.iter().map(|one| StateKey::new(&one.id, one.fingerprint));
    let processors = config.processors.iter().flat_map(|one| {
        let key = StateKey::new(&one.id, one.fingerprint);
        [key.after_aggregators(), key]
    });
    let aggregators = config.aggregators.iter().map(|one| StateKey::new(&one.id, one.fingerprint));
    let outputs = config.outputs.iter().map(|one| StateKey::new(&one.id, one.fingerprint));
    inputs.chain(processors).chain(aggregators).chain(outputs).collect()
}
