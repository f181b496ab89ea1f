//! What being a cluster costs: the same data on a single server and on nodes of this machine, asked and written to in turn;
//! and how long a node that was away takes to have everything again.
//!
//! Single server and cluster run side by side and are asked alternately, so that a noisy while hits both. Their answers have
//! to be equal to the byte.

mod broker;
mod kafka;
mod nodes;
mod reads;
mod rejoin;
mod writes;

use std::{path::PathBuf, time::Duration};

#[cfg(test)]
pub(crate) use self::reads::{Asked, Phase};
pub(crate) use self::{
    broker::Source,
    kafka::Kafka,
    reads::Reads,
    rejoin::{Latencies, Rejoin, percentile},
    writes::Writes,
};
use crate::{Progress, run::Plan as Suite};

/// What is measured of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// Queries over two nodes, one copy of everything, beside a single server.
    Reads,
    /// Writes to two nodes with two copies, beside a single server.
    Writes,
    /// A node that was away while values came in.
    Rejoin,
    /// Writes through Kafka beside those from node to node, and a node that was away.
    Kafka,
}

/// What to measure.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) program: PathBuf,
    pub(crate) scenarios: Vec<Scenario>,
    /// Data, queries, repetitions and directories are those of the suite.
    pub(crate) suite: Suite,
    /// Values that come in while a node is away.
    pub(crate) outage_values: u64,
    /// Values a second that clients go on writing, before, during and after.
    pub(crate) foreground_values_per_s: u32,
    /// How long each state is measured, at least.
    pub(crate) watch: Duration,
    pub(crate) kafka: Source,
}

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) reads: Option<Reads>,
    pub(crate) writes: Option<Writes>,
    pub(crate) rejoin: Option<Rejoin>,
    pub(crate) kafka: Option<Kafka>,
    /// What went wrong.
    pub(crate) faults: Vec<String>,
}

/// Carries out the plan; a scenario that fails is a fault of the outcome.
pub(crate) fn run(plan: &Plan, progress: &Progress) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    for scenario in &plan.scenarios {
        let result = match scenario {
            Scenario::Reads => {
                reads::run(plan, progress, &mut outcome.faults).map(|it| outcome.reads = Some(it))
            }
            Scenario::Writes => writes::run(plan, progress).map(|it| outcome.writes = Some(it)),
            Scenario::Rejoin => {
                rejoin::run(plan, None, progress, &mut outcome.faults).map(|it| outcome.rejoin = Some(it))
            }
            Scenario::Kafka => {
                kafka::run(plan, progress, &mut outcome.faults).map(|it| outcome.kafka = Some(it))
            }
        };
        progress.check()?;
        if let Err(error) = result {
            progress.say(&format!("{error:#}"));
            outcome.faults.push(crate::run::first_line(&format!("{scenario:?}: {error:#}")));
        }
    }
    Ok(outcome)
}
