//! Writes to two data nodes that both keep everything, beside a single server.

use std::time::Duration;

use super::{Plan, nodes::Cluster};
use crate::{
    Progress,
    bodies::Bodies,
    dataset::Generator,
    http::Client,
    load,
    process::{Kind, Program, Server},
    run::median,
};

/// Medians over the rounds of how long the same data took.
#[derive(Debug)]
pub(crate) struct Writes {
    pub(crate) values: u64,
    pub(crate) single: Duration,
    /// All clients write to one node,
    pub(crate) through_one: Duration,
    /// and half of them to each.
    pub(crate) through_both: Duration,
}

/// Runs the scenario: in each round single server and cluster in turn.
pub(super) fn run(plan: &Plan, progress: &Progress) -> anyhow::Result<Writes> {
    let suite = &plan.suite;
    progress.say(&format!("writes: making {:.1} million values", suite.shape.values() as f64 / 1e6));
    let mut generator = Generator::new(&suite.shape);
    let bodies =
        Bodies::make(&mut generator, suite.shape.steps(), suite.memory_bytes, &suite.work_dir, progress)?;
    let program = Program { kind: Kind::Skywatch, path: plan.program.clone() };
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..suite.rounds {
        progress.say("writes: single server");
        let server = Server::start(&program, &suite.work_dir, progress)?;
        Client::new(Kind::Skywatch, server.port).create_database(None)?;
        times[0].push(load::load(Kind::Skywatch, &[server.port], &bodies, suite.workers, progress)?);
        drop(server);
        for (nodes, times) in [1, 2].into_iter().zip(&mut times[1..]) {
            progress.say(&format!("writes: two copies, through {nodes} of the nodes"));
            let cluster = Cluster::start(&plan.program, 2, None, &suite.work_dir, progress)?;
            cluster.data[0].client().create_database(Some(2))?;
            let ports = &cluster.ports()[..nodes];
            times.push(load::load(Kind::Skywatch, ports, &bodies, suite.workers, progress)?);
        }
    }
    let [single, through_one, through_both] = times.map(|times| median(times).unwrap_or_default());
    Ok(Writes { values: suite.shape.values(), single, through_one, through_both })
}
