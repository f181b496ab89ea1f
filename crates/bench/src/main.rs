//! Measures Skywatch beside InfluxDB: the same data, the same queries, one table.
//!
//! The workload has the shape of the Time Series Benchmark Suite's cpu-only case. Each server in turn is
//! started on an empty directory, loaded over HTTP, asked every query type, and stopped; then the answers are
//! compared and the table is printed. Whatever ends the run, the servers are stopped and their data removed.

mod compare;
mod dataset;
mod http;
mod load;
mod process;
mod queries;
mod random;
mod report;
mod run;

use std::{
    io::Write as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::Parser;

/// Measure Skywatch beside InfluxDB and print one Markdown table.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The skywatch binary; without it only InfluxDB is measured
    #[arg(long, value_name = "FILE")]
    skywatch: Option<PathBuf>,
    /// InfluxDB 1.x's server
    #[arg(long, value_name = "FILE", default_value = "influxd")]
    influxd: PathBuf,
    /// Measure this server only
    #[arg(long, value_enum)]
    only: Option<process::Kind>,
    /// Number of hosts that send a row at each step
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    hosts: u32,
    /// Time between two rows of a host
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    step: Duration,
    /// Time from the first row of a host to past its last
    #[arg(long, default_value = "4h", value_parser = humantime::parse_duration)]
    span: Duration,
    /// Concurrent writers
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=256))]
    workers: u32,
    /// Rows in a write request
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,
    /// Measured queries of each type, each over another window and other hosts
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    repetitions: u32,
    /// Queries of each type before those that are measured; their answers are compared
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    warm_up: u32,
    /// Query types to run, by the start of their names; all if none is given
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    queries: Vec<String>,
    /// How long to let a server rest between the load and the queries
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    settle: Duration,
    /// Seed of the data and of the queries
    #[arg(long, default_value_t = 123)]
    seed: u64,
    /// Where the servers keep their data while they run
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// Write the table to this file too
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

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
    let stop = stop_on_signals()?;
    let plan = plan(options)?;
    let table = run::run(&plan, &Progress { stop })?;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(table.markdown.as_bytes()).context("cannot print the table")?;
    if let Some(path) = &options.out {
        std::fs::write(path, &table.markdown).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if table.disagreements > 0 {
        bail!("{} answers differ; see above", table.disagreements);
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

fn plan(options: &Options) -> anyhow::Result<run::Plan> {
    let nanoseconds = |what: &str, duration: Duration| {
        i64::try_from(duration.as_nanos()).with_context(|| format!("--{what} is too long"))
    };
    let shape = dataset::Shape {
        hosts: options.hosts,
        step_ns: nanoseconds("step", options.step)?,
        span_ns: nanoseconds("span", options.span)?,
        rows_per_batch: options.batch as usize,
        seed: options.seed,
    };
    if shape.step_ns == 0 || shape.span_ns < shape.step_ns {
        bail!("--span must be at least as long as --step, and --step more than nothing");
    }
    let queries = queries::QueryType::ALL
        .into_iter()
        .filter(|query| {
            options.queries.is_empty() || options.queries.iter().any(|name| query.name().starts_with(name))
        })
        .collect::<Vec<_>>();
    if queries.is_empty() {
        let names = queries::QueryType::ALL.map(queries::QueryType::name).join(", ");
        bail!("--queries names none of: {names}");
    }
    Ok(run::Plan {
        servers: servers(options)?,
        shape,
        workers: options.workers as usize,
        repetitions: options.repetitions as usize,
        warm_up: options.warm_up as usize,
        queries,
        settle: options.settle,
        work_dir: options.work_dir.clone(),
    })
}

fn servers(options: &Options) -> anyhow::Result<Vec<process::Program>> {
    let is_wanted = |kind| options.only.is_none_or(|only| only == kind);
    let mut servers = Vec::new();
    if is_wanted(process::Kind::Skywatch) {
        match &options.skywatch {
            Some(path) => {
                servers.push(process::Program { kind: process::Kind::Skywatch, path: path.clone() });
            }
            None if options.only.is_some() => bail!("--only skywatch needs --skywatch FILE"),
            None => {}
        }
    }
    if is_wanted(process::Kind::Influxdb) {
        servers.push(process::Program { kind: process::Kind::Influxdb, path: options.influxd.clone() });
    }
    Ok(servers)
}

/// Says what is going on, and whether to go on.
#[derive(Debug)]
struct Progress {
    stop: Arc<AtomicBool>,
}

impl Progress {
    /// Tells the person waiting, on standard error.
    fn say(&self, what: &str) {
        // Nobody reading is no reason to stop measuring.
        writeln!(std::io::stderr().lock(), "{what}").unwrap_or_default();
    }

    /// An error once a signal asked for the end.
    fn check(&self) -> anyhow::Result<()> {
        if self.stop.load(Ordering::Relaxed) { bail!("stopped by a signal") } else { Ok(()) }
    }
}
