//! Measures Skywatch beside InfluxDB and VictoriaMetrics: the same data, the same questions, one table.
//!
//! The workload has the shape of the Time Series Benchmark Suite's cpu-only or devops case. Each server in turn is
//! started on an empty directory, loaded over HTTP, left to settle, asked every query type, and stopped; then the
//! answers are compared and the table is printed. Whatever ends the run, the servers are stopped and their data
//! removed.

mod answers;
mod bodies;
mod cardinality;
mod cluster;
mod dataset;
mod http;
mod load;
mod options;
mod process;
mod queries;
mod random;
mod report;
mod run;

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::{Context as _, bail};
use clap::Parser as _;
use options::Options;

fn main() -> std::process::ExitCode {
    let options = Options::parse();
    match measure(&options) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            writeln!(std::io::stderr().lock(), "skywatch-bench: {error:#}").unwrap_or_default();
            std::process::ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> anyhow::Result<()> {
    let progress = Progress { stop: stop_on_signals()?, since: Some(Instant::now()) };
    if let Some(plan) = options.cluster()? {
        let report = report::cluster(&plan, &cluster::run(&plan, &progress)?);
        return publish(options, &report);
    }
    let (plan, missing) = options.plan()?;
    missing.iter().for_each(|note| progress.say(note));
    let mut report = if plan.shape.use_case == dataset::UseCase::Cardinality {
        let (servers, notes) = cardinality::run(&plan, &progress)?;
        report::cardinality(&plan, &servers, &notes)
    } else {
        report::suite(&plan, &run::run(&plan, &progress)?)
    };
    for note in missing {
        report.markdown += &format!("\n{note}.\n");
    }
    publish(options, &report)
}

/// Prints the report and writes the files that were asked for; an error if something is wrong with what it says.
fn publish(options: &Options, report: &report::Report) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(report.markdown.as_bytes()).context("cannot print the table")?;
    if let Some(path) = &options.out {
        std::fs::write(path, &report.markdown).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &options.json {
        let json = format!("{:#}\n", report.json);
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if !report.faults.is_empty() {
        bail!("{}", report.faults.join("; "));
    }
    Ok(())
}

/// The first SIGINT or SIGTERM asks for an orderly end, the second ends the process at once.
fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("cannot handle signals")?;
    }
    Ok(stop)
}

/// Says what is going on, and whether to go on.
#[derive(Debug)]
struct Progress {
    stop: Arc<AtomicBool>,
    /// The start of the run; `None` says nothing.
    since: Option<Instant>,
}

impl Progress {
    /// One that says nothing and never stops.
    #[cfg(test)]
    fn silent() -> Self {
        Self { stop: Arc::default(), since: None }
    }

    /// Tells the person waiting, on standard error, with the seconds since the start.
    fn say(&self, what: &str) {
        if let Some(since) = self.since {
            // Nobody reading is no reason to stop measuring.
            writeln!(std::io::stderr().lock(), "{:6.1} s  {what}", since.elapsed().as_secs_f64())
                .unwrap_or_default();
        }
    }

    /// An error once a signal asked for the end.
    fn check(&self) -> anyhow::Result<()> {
        if self.stop.load(Ordering::Relaxed) { bail!("stopped by a signal") } else { Ok(()) }
    }
}
