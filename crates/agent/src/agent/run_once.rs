//! Runs that end after one round: `--test`, which prints, and `--once`, which sends.

use std::io::Write;

use tracing::error;

use super::input_task::{DELTA_PAUSE, SINGLE_GATHER_MAX, thread_name};
use super::input_thread::InputThread;
use super::{
    Agent, AgentError, Report, Started, finish, input_shape, wall_clock_ns, warn_of_idle_processors,
};
use crate::config::ConfiguredInput;
use crate::line;
use crate::metric::Metric;
use crate::pipeline::Pipeline;
use crate::registry::Source;
use skywatch_model::serialize::SerializeOptions;

impl Agent {
    /// Gathers every input once (twice, half a second apart, where readings are differences) and
    /// prints `> ` and a line for each metric, with sorted fields and unsigned values as such.
    /// Needs no output. The report counts gathers that failed; their errors are logged.
    pub async fn test_once(self, sink: &mut (dyn Write + Send)) -> Result<Report, AgentError> {
        warn_of_idle_processors(&self.config);
        let mut report = Report::default();
        let mut pipeline = Pipeline::new(
            self.config.processors,
            self.config.aggregators,
            &self.config.agent,
            wall_clock_ns(),
        );
        let options =
            SerializeOptions { uint_support: true, sort_fields: true, ..SerializeOptions::default() };
        let mut threads = Vec::new();
        for ConfiguredInput { id, options, input, fingerprint: _ } in self.config.inputs {
            // A service has nothing to show at once.
            let Source::Polled(input) = input else { continue };
            let shape = input_shape(options, &self.config.agent, self.global_tags.clone());
            let is_delta = input.is_delta();
            let thread = InputThread::start(&thread_name(&id), input)
                .map_err(|source| AgentError::Thread { plugin: id.to_string(), source })?;
            threads.push((id, thread, is_delta, shape));
        }
        let first: Vec<_> = threads
            .iter()
            .filter(|(_, _, is_delta, _)| *is_delta)
            .map(|(_, t, _, _)| t.gather(wall_clock_ns()))
            .collect();
        if !first.is_empty() {
            tokio::time::sleep(DELTA_PAUSE).await;
        }
        let gathers: Vec<_> =
            threads.iter().map(|(_, thread, _, _)| thread.gather(wall_clock_ns())).collect();
        let deadline = tokio::time::Instant::now() + SINGLE_GATHER_MAX;
        for ((id, _, _, shape), gather) in threads.iter().zip(gathers) {
            let Ok(Ok((metrics, errors))) = tokio::time::timeout_at(deadline, gather).await else {
                report.failed_gathers += 1;
                error!("{id}: no answer within {} s", SINGLE_GATHER_MAX.as_secs());
                continue;
            };
            report.failed_gathers += u64::from(!errors.is_empty());
            errors.iter().for_each(|why| error!("{id}: {why}"));
            let shaped: Vec<_> = metrics.into_iter().filter_map(|metric| shape.apply(metric)).collect();
            report.gathered += shaped.len() as u64;
            let mut out = Vec::new();
            pipeline.apply(shaped, wall_clock_ns(), &mut out);
            print(&out, sink, options)?;
        }
        let mut out = Vec::new();
        pipeline.finish(wall_clock_ns(), &mut out);
        print(&out, sink, options)?;
        sink.flush().map_err(AgentError::Print)?;
        Ok(report)
    }

    /// Gathers every input once and sends the metrics. The report tells what failed and what is
    /// [lost](Report::lost). Needs an output.
    pub async fn once(self) -> Result<Report, AgentError> {
        let Started { inputs, outputs, stop: _ } = self.start(false)?;
        finish(inputs, outputs).await
    }
}

fn print(metrics: &[Metric], sink: &mut dyn Write, options: SerializeOptions) -> Result<(), AgentError> {
    for metric in metrics {
        let mut text = String::from("> ");
        match line::append(&mut text, metric, true, options) {
            Ok(()) => sink.write_all(text.as_bytes()).map_err(AgentError::Print)?,
            Err(why) => error!("{}: {why}", metric.name),
        }
    }
    Ok(())
}
