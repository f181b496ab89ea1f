//! Queries over two data nodes, each with half of the series, beside a single server with all of them.

use std::time::{Duration, Instant};

use super::{Plan, nodes::Cluster};
use crate::{
    Progress,
    bodies::Bodies,
    dataset::Generator,
    http::Client,
    load,
    process::{Kind, Program, Server},
    queries::QueryType,
    run::median,
};

/// How long after the last write the first phase begins: what is left in memory is not flushed by then.
const AFTER_LOAD: Duration = Duration::from_secs(8);

/// What was measured.
#[derive(Debug)]
pub(crate) struct Reads {
    pub(crate) phases: Vec<Phase>,
    pub(crate) has_settled: bool,
    /// Pairs of answers that were compared.
    pub(crate) compared: usize,
}

/// All queries while the data is in one state.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    /// By query type.
    pub(crate) queries: Vec<Asked>,
}

/// Medians of one type, and what travelled.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) query: QueryType,
    pub(crate) single: Duration,
    pub(crate) cluster: Duration,
    pub(crate) bytes_between: u64,
    /// Processor time of a query: of the single server, and of all data nodes.
    pub(crate) processor: [Duration; 2],
}

/// Runs the scenario.
pub(super) fn run(plan: &Plan, progress: &Progress, faults: &mut Vec<String>) -> anyhow::Result<Reads> {
    let suite = &plan.suite;
    progress.say(&format!("reads: making {:.1} million values", suite.shape.values() as f64 / 1e6));
    let mut generator = Generator::new(&suite.shape);
    let bodies =
        Bodies::make(&mut generator, suite.shape.steps(), suite.memory_bytes, &suite.work_dir, progress)?;
    let program = Program { kind: Kind::Skywatch, path: plan.program.clone() };
    let single = Server::start(&program, &suite.work_dir, progress)?;
    let cluster = Cluster::start(&plan.program, 2, None, &suite.work_dir, progress)?;
    let both = Both { single: &single, cluster: &cluster };
    let clients = [Client::new(Kind::Skywatch, single.port), cluster.data[0].client()];
    clients[0].create_database(None)?;
    clients[1].create_database(Some(1))?;
    progress.say("reads: loading");
    // At the same time, so that both have been left alone for equally long.
    std::thread::scope(|scope| {
        let ports = [vec![single.port], cluster.ports()];
        let loads = ports.map(|ports| {
            let bodies = &bodies;
            scope.spawn(move || load::load(Kind::Skywatch, &ports, bodies, suite.workers, progress))
        });
        let ended = loads.map(|load| load.join().unwrap_or_else(|_| anyhow::bail!("a load panicked")));
        ended.into_iter().try_for_each(|ended| ended.map(drop))
    })?;
    drop(bodies);
    std::thread::sleep(AFTER_LOAD);
    let mut reads = Reads { phases: Vec::new(), has_settled: true, compared: 0 };
    let mut measure = |name, reads: &mut Reads| -> anyhow::Result<()> {
        progress.say(&format!("reads: queries {name}"));
        let queries = ask(plan, &both, &clients, progress, &mut reads.compared, faults)?;
        reads.phases.push(Phase { name, queries });
        Ok(())
    };
    measure("soon after the load", &mut reads)?;
    progress.say("reads: settling");
    reads.has_settled = single.settle(suite.quiet, suite.settle_max, progress)?
        & cluster.settle(suite.quiet, suite.settle_max, progress)?;
    measure("when settled", &mut reads)?;
    Ok(reads)
}

/// What is measured beside each other.
struct Both<'a> {
    single: &'a Server,
    cluster: &'a Cluster,
}

impl Both<'_> {
    fn processor(&self) -> anyhow::Result<[Duration; 2]> {
        Ok([self.single.usage()?.processor, self.cluster.processor()?])
    }
}

fn ask(
    plan: &Plan,
    both: &Both<'_>,
    clients: &[Client; 2],
    progress: &Progress,
    compared: &mut usize,
    faults: &mut Vec<String>,
) -> anyhow::Result<Vec<Asked>> {
    let suite = &plan.suite;
    let mut all = Vec::new();
    for query in &suite.queries {
        let mut times = [Vec::new(), Vec::new()];
        let (mut bytes_between, mut before) = (0, [Duration::ZERO; 2]);
        for number in 0..suite.warm_up + suite.repetitions {
            progress.check()?;
            if number == suite.warm_up {
                bytes_between = both.cluster.bytes_between()?;
                before = both.processor()?;
            }
            let request = query.question(&suite.shape, number as u64).request(Kind::Skywatch);
            let mut answers = Vec::new();
            for (client, times) in clients.iter().zip(&mut times) {
                let asked = Instant::now();
                let answer = client.ask(&request)?;
                if number >= suite.warm_up {
                    times.push(asked.elapsed());
                }
                answers.push(answer);
            }
            *compared += 1;
            if answers[0] != answers[1] {
                let fault = format!("{}: single server and cluster answer differently", query.name());
                progress.say(&format!("{fault}: {request}"));
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
            }
        }
        let after = both.processor()?;
        let repetitions = suite.repetitions.max(1) as u32;
        let processor = [0, 1].map(|which| after[which].saturating_sub(before[which]) / repetitions);
        bytes_between = (both.cluster.bytes_between()? - bytes_between) / u64::from(repetitions);
        let [single, cluster] = times.map(|times| median(times).unwrap_or_default());
        all.push(Asked { query: *query, single, cluster, bytes_between, processor });
    }
    Ok(all)
}
