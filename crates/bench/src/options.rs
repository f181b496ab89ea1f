//! The command line.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use clap::Parser;

use crate::{
    cluster::{self, Scenario, Source},
    dataset::{Shape, UseCase, Values},
    process::{Kind, Program},
    queries::QueryType,
    run::Plan,
};

/// Measure Skywatch beside InfluxDB and VictoriaMetrics and print one Markdown table.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// The skywatch binary; without it only the others are measured
    #[arg(long, value_name = "FILE")]
    skywatch: Option<PathBuf>,
    /// InfluxDB 1.x's server
    #[arg(long, value_name = "FILE", default_value = "influxd")]
    influxd: PathBuf,
    /// VictoriaMetrics, single node
    #[arg(long, value_name = "FILE", default_value = "victoria-metrics")]
    victoria_metrics: PathBuf,
    /// Measure these servers [default: all; with --use-case cardinality Skywatch]
    #[arg(long, value_enum, value_name = "SERVER", value_delimiter = ',')]
    servers: Vec<Kind>,
    /// What the hosts send, and what is measured
    #[arg(long, value_enum, default_value = "cpu-only")]
    use_case: UseCase,
    /// How values are written
    #[arg(long, value_enum, default_value = "integer")]
    values: Values,
    /// Number of hosts that send at each step [default: 1000; cardinality: 1000000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=20_000_000))]
    hosts: Option<u32>,
    /// Time between two rows of a host
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    step: Duration,
    /// Time from the first row of a host to past its last [default: 4h; cardinality: 100s]
    #[arg(long, value_parser = humantime::parse_duration)]
    span: Option<Duration>,
    /// Concurrent writers
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=256))]
    workers: u32,
    /// Rows in a write request
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,
    /// How often each server is started on nothing, loaded and asked; in turn, so that a noisy while hits all alike
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Measured queries of each type in a round, each over another window and other hosts
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    repetitions: u32,
    /// Queries of each type before those that are measured; their answers are compared
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    warm_up: u32,
    /// Query types to run, by the start of their names; all if none is given
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    queries: Vec<String>,
    /// A server has settled when it has had the time to compact what is not written to any more, and its files have
    /// not changed for this long
    #[arg(long, default_value = "15s", value_parser = humantime::parse_duration)]
    quiet: Duration,
    /// The longest to wait for that
    #[arg(long, default_value = "5m", value_parser = humantime::parse_duration)]
    settle: Duration,
    /// Measure a cluster of Skywatch beside a single server instead: these scenarios
    #[arg(long, value_enum, value_name = "SCENARIO", value_delimiter = ',')]
    cluster: Vec<Scenario>,
    /// Values that come in while a node of the cluster is away: an hour at 100,000 a second
    #[arg(long, default_value_t = 360_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000_000))]
    outage_values: u64,
    /// Values a second that clients of the cluster go on writing meanwhile
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    foreground: u32,
    /// How long the cluster's clients are watched in each state
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    watch: Duration,
    /// Brokers of Kafka for the scenario kafka, with commas between them [default: one that --kafka-script starts]
    #[arg(long, value_name = "ADDRESSES")]
    kafka: Option<String>,
    /// What starts a broker of Kafka
    #[arg(long, value_name = "FILE", default_value = "scripts/kafka.sh")]
    kafka_script: PathBuf,
    /// Seed of the data and of the queries
    #[arg(long, default_value_t = 123)]
    seed: u64,
    /// Keep at most so many megabytes of data to be written in memory; the rest waits in a file
    #[arg(long, value_name = "MEGABYTES", default_value_t = 2000)]
    memory: u64,
    /// Where the servers keep their data while they run [default: the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// Write the table to this file too
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write the raw figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    /// What to measure of a cluster, if that is what is asked for.
    pub(crate) fn cluster(&self) -> anyhow::Result<Option<cluster::Plan>> {
        if self.cluster.is_empty() {
            return Ok(None);
        }
        let program = self.skywatch.clone().context("--cluster needs --skywatch")?;
        if !(Program { kind: Kind::Skywatch, path: program.clone() }).is_there() {
            bail!("there is no {}", program.display());
        }
        let suite = self.suite(Vec::new())?;
        if suite.shape.use_case != UseCase::CpuOnly {
            bail!("--cluster measures with --use-case cpu-only");
        }
        Ok(Some(cluster::Plan {
            program,
            scenarios: self.cluster.clone(),
            suite,
            outage_values: self.outage_values,
            foreground_values_per_s: self.foreground,
            watch: self.watch,
            kafka: match &self.kafka {
                Some(brokers) => Source::Brokers(brokers.clone()),
                None => Source::Script(self.kafka_script.clone()),
            },
        }))
    }

    /// What to measure, and which servers cannot be, in words.
    pub(crate) fn plan(&self) -> anyhow::Result<(Plan, Vec<String>)> {
        let (programs, missing) = self.programs()?;
        Ok((self.suite(programs)?, missing))
    }

    fn suite(&self, programs: Vec<Program>) -> anyhow::Result<Plan> {
        Ok(Plan {
            programs,
            shape: self.shape()?,
            workers: self.workers as usize,
            rounds: self.rounds as usize,
            repetitions: self.repetitions as usize,
            warm_up: self.warm_up as usize,
            queries: self.queries()?,
            quiet: self.quiet,
            settle_max: self.settle,
            memory_bytes: self.memory.saturating_mul(1_000_000),
            work_dir: self.work_dir.clone().unwrap_or_else(std::env::temp_dir),
        })
    }

    fn shape(&self) -> anyhow::Result<Shape> {
        let nanoseconds = |what: &str, duration: Duration| {
            i64::try_from(duration.as_nanos()).with_context(|| format!("--{what} is too long"))
        };
        let span = self.span.unwrap_or(Duration::from_secs(self.use_case.default_span_s()));
        let shape = Shape {
            use_case: self.use_case,
            written: self.values,
            hosts: self.hosts.unwrap_or(self.use_case.default_hosts()),
            step_ns: nanoseconds("step", self.step)?,
            span_ns: nanoseconds("span", span)?,
            rows_per_batch: self.batch as usize,
            seed: self.seed,
        };
        if shape.step_ns == 0 || shape.span_ns < shape.step_ns {
            bail!("--span must be at least as long as --step, and --step more than nothing");
        }
        if shape.step_ns % 1_000_000 != 0 {
            bail!("--step must be of whole milliseconds: VictoriaMetrics keeps no finer times");
        }
        Ok(shape)
    }

    fn queries(&self) -> anyhow::Result<Vec<QueryType>> {
        let is_wanted = |query: &QueryType| {
            self.queries.is_empty() || self.queries.iter().any(|name| query.name().starts_with(name))
        };
        let queries: Vec<_> = QueryType::ALL.into_iter().filter(is_wanted).collect();
        if queries.is_empty() {
            bail!("--queries names none of: {}", QueryType::ALL.map(QueryType::name).join(", "));
        }
        Ok(queries)
    }

    fn programs(&self) -> anyhow::Result<(Vec<Program>, Vec<String>)> {
        let mut programs = Vec::new();
        let mut missing = Vec::new();
        for (kind, path) in [
            (Kind::Skywatch, self.skywatch.as_ref()),
            (Kind::Influxdb, Some(&self.influxd)),
            (Kind::VictoriaMetrics, Some(&self.victoria_metrics)),
        ] {
            let is_wanted = match &self.servers[..] {
                [] => self.use_case != UseCase::Cardinality || kind == Kind::Skywatch,
                wanted => wanted.contains(&kind),
            };
            let program = path.map(|path| Program { kind, path: path.clone() });
            match program {
                _ if !is_wanted => {}
                Some(program) if program.is_there() => programs.push(program),
                // Whoever names a program wants to hear that it is not there; so does who builds ours.
                Some(program) if kind == Kind::Skywatch => {
                    bail!("there is no {}", program.path.display());
                }
                Some(program) => {
                    missing.push(format!(
                        "{} is left out: there is no {}",
                        kind.name(),
                        program.path.display()
                    ));
                }
                None => missing.push(format!("{} is left out: --skywatch names no program", kind.name())),
            }
        }
        if programs.is_empty() {
            bail!("no server to measure: {}", missing.join("; "));
        }
        Ok((programs, missing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arguments: &str) -> anyhow::Result<(Plan, Vec<String>)> {
        Options::parse_from(format!("bench {arguments}").split_whitespace()).plan()
    }

    #[test]
    fn defaults_are_those_of_the_use_case() {
        let (plan, missing) =
            plan("--skywatch /bin/true --influxd /bin/true --victoria-metrics /bin/true").expect("a plan");
        assert!(missing.is_empty());
        assert_eq!((plan.programs.len(), plan.queries.len()), (3, QueryType::ALL.len()));
        assert_eq!((plan.shape.values(), plan.shape.steps()), (14_400_000, 1440));
        let (plan, _) = self::plan("--use-case cardinality --skywatch /bin/true").expect("a plan");
        assert_eq!(plan.programs.len(), 1);
        assert_eq!((plan.shape.values(), plan.shape.steps()), (100_000_000, 10));
    }

    #[test]
    fn missing_servers_are_named() {
        let (plan, missing) =
            plan("--skywatch /bin/true --influxd /none --servers skywatch,influxdb").expect("a plan");
        assert_eq!(plan.programs.len(), 1);
        assert_eq!(missing, ["InfluxDB is left out: there is no /none"]);
        for (arguments, expected) in [
            ("--skywatch /none", "there is no /none"),
            (
                "--servers influxdb --influxd /none",
                "no server to measure: InfluxDB is left out: there is no /none",
            ),
            ("--skywatch /bin/true --queries nothing", "--queries names none of: single-groupby-1-1-1, "),
            ("--skywatch /bin/true --span 1s", "--span must be at least as long as --step"),
            ("--skywatch /bin/true --step 1500us", "--step must be of whole milliseconds"),
        ] {
            let error = self::plan(arguments).expect_err("no plan").to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
