//! Runs that end after one round: `--test`, which prints, and `--once`, which sends.

use std::io::Write;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tracing::{error, warn};

use super::pipeline_task::ToPipeline;
use super::route::{Entrance, Fanout};
use super::running::{Mode, Running, spawn_input};
use super::{
    Agent, AgentError, Report, Setting, global_tags, needs_output, wall_clock_ns, warn_of_idle_processors,
};
use crate::context::Shared;
use crate::line;
use crate::metric::Metric;
use crate::pipeline::Pipeline;
use skywatch_model::serialize::SerializeOptions;

/// Gathers of one input that wait until those of the inputs before it are printed.
const GATHERS_QUEUED_MAX: usize = 64;

impl Agent {
    /// Gathers every input once (twice, half a second apart, where readings are differences), gives services their
    /// [wait](Self::with_service_wait), and prints `> ` and a line for each metric that comes out of the processors and
    /// aggregators, with sorted fields and unsigned values as such. Inputs are printed in the order of the files, what
    /// aggregators say last. Needs no output. The report counts gathers that failed; their errors are logged.
    pub async fn test_once(self, sink: &mut (dyn Write + Send)) -> Result<Report, AgentError> {
        let mode = Mode::Once(self.service_wait);
        let tags = Arc::new(global_tags(&self.config));
        let mut config = self.config;
        config.warnings.iter().for_each(|warning| warn!("{warning}"));
        warn_of_idle_processors(&config);
        let shared = Shared::default();
        config.surroundings.join(&shared);
        let mut pipeline = Pipeline::new(&mut config, wall_clock_ns());
        // A test remembers nothing: it leaves the state file alone.
        let (failing, mut failed_starts) = mpsc::channel(1);
        let setting = Setting::new(&config.agent, &tags, &shared, &failing);
        // Held until the end: a service whose agent is gone stops.
        let (_stop, stopped) = watch::channel(false);
        let mut inputs = Vec::new();
        for input in config.inputs {
            let name = input.id.to_string();
            let (sender, gathered) = mpsc::channel(GATHERS_QUEUED_MAX);
            let entrance = Entrance::new(Fanout::default());
            entrance.set_pipeline(Some(sender));
            inputs.push((name, gathered, spawn_input(input, &setting, entrance, mode, stopped.clone())?));
        }
        let mut report = Report::default();
        let mut out = Vec::new();
        for (name, mut gathered, task) in inputs {
            while let Some(ToPipeline::Metrics(metrics)) = gathered.recv().await {
                pipeline.apply(metrics, wall_clock_ns(), &mut out);
                print(&mut out, sink)?;
            }
            match task.await {
                Ok(own) => {
                    report.failed_gathers += own.failed_gathers;
                    report.gathered += own.gathered;
                }
                Err(why) => error!("the task of {name} ended badly: {why}"),
            }
        }
        pipeline.finish(wall_clock_ns(), &mut out);
        print(&mut out, sink)?;
        sink.flush().map_err(AgentError::Print)?;
        match failed_starts.try_recv() {
            Ok(failed) => Err(AgentError::Start(failed)),
            Err(_) => Ok(report),
        }
    }

    /// Gathers every input once, gives services their [wait](Self::with_service_wait), and sends the metrics. The report
    /// tells what failed and what is [lost](Report::lost). Needs an output.
    pub async fn once(self) -> Result<Report, AgentError> {
        needs_output(&self.config)?;
        let tags = global_tags(&self.config);
        let (failing, mut failed_starts) = mpsc::channel(1);
        let running = Running::start(self.config, tags, Mode::Once(self.service_wait), failing)?;
        let states = Arc::clone(&running.shared().states);
        let report = running.stop().await;
        super::write_states(&states).await;
        match failed_starts.try_recv() {
            Ok(failed) => Err(AgentError::Start(failed)),
            Err(_) => Ok(report),
        }
    }
}

fn print(metrics: &mut Vec<Metric>, sink: &mut dyn Write) -> Result<(), AgentError> {
    let options = SerializeOptions { uint_support: true, sort_fields: true, ..SerializeOptions::default() };
    for metric in metrics.drain(..) {
        let mut text = String::from("> ");
        match line::append(&mut text, &metric, true, options) {
            Ok(()) => sink.write_all(text.as_bytes()).map_err(AgentError::Print)?,
            Err(why) => error!("{}: {why}", metric.name),
        }
    }
    Ok(())
}
