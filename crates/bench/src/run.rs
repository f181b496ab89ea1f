//! A whole run: each server in turn, then the comparison.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    Progress, compare,
    dataset::{self, Shape},
    http::Client,
    load,
    process::{Program, Server},
    queries::QueryType,
    report::{self, Table},
};

/// What to measure.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) servers: Vec<Program>,
    pub(crate) shape: Shape,
    pub(crate) workers: usize,
    pub(crate) repetitions: usize,
    pub(crate) warm_up: usize,
    pub(crate) queries: Vec<QueryType>,
    pub(crate) settle: Duration,
    pub(crate) work_dir: Option<PathBuf>,
}

/// What was measured of one server.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) load: Duration,
    /// Bytes on disk when the last write was acknowledged.
    pub(crate) disk_bytes_loaded: u64,
    /// The same after the server had rested and answered the queries.
    pub(crate) disk_bytes_settled: u64,
    /// Resident memory when the last write was acknowledged.
    pub(crate) resident_bytes_loaded: u64,
    /// The most it ever was.
    pub(crate) resident_bytes_peak: u64,
    pub(crate) queries: Vec<MeasuredQuery>,
}

/// What was measured of one query type.
#[derive(Debug)]
pub(crate) struct MeasuredQuery {
    /// Time of each repetition, ascending.
    pub(crate) times: Vec<Duration>,
    /// Answers of the warm-up, to be compared.
    answers: Vec<Vec<u8>>,
}

impl MeasuredQuery {
    /// The middle one; of two the lower.
    pub(crate) fn median(&self) -> Duration {
        self.times[(self.times.len() - 1) / 2]
    }
}

/// Carries out the plan and makes the table.
pub(crate) fn run(plan: &Plan, progress: &Progress) -> anyhow::Result<Table> {
    progress.say(&format!(
        "making {:.1} million values: {} hosts, {} rows",
        plan.shape.values() as f64 / 1e6,
        plan.shape.hosts,
        plan.shape.rows()
    ));
    let batches = dataset::make(&plan.shape);
    let measured: Vec<Measured> = plan
        .servers
        .iter()
        .map(|program| measure(program, plan, &batches, progress))
        .collect::<anyhow::Result<_>>()?;
    drop(batches);
    let (compared, differences) = compare_answers(plan, &measured);
    for difference in &differences {
        progress.say(difference);
    }
    Ok(report::table(plan, &measured, compared, differences.len()))
}

fn measure(
    program: &Program,
    plan: &Plan,
    batches: &[Vec<u8>],
    progress: &Progress,
) -> anyhow::Result<Measured> {
    let name = program.kind.name();
    let server = Server::start(program, plan.work_dir.as_deref(), progress)?;
    let client = Client::new(server.port);
    client.create_database()?;
    progress.say(&format!("{name} {}: loading", server.version));
    let load = load::load(server.port, batches, plan.workers, progress)?;
    let (resident_bytes_loaded, _) = server.resident_bytes()?;
    let disk_bytes_loaded = server.disk_bytes()?;
    progress.say(&format!("{name}: loaded in {:.1} s; resting", load.as_secs_f64()));
    rest(plan.settle, progress)?;
    let queries = plan
        .queries
        .iter()
        .map(|&query| measure_query(&client, query, plan, progress, name))
        .collect::<anyhow::Result<_>>()?;
    Ok(Measured {
        name: format!("{name} {}", server.version).trim_end().to_owned(),
        load,
        disk_bytes_loaded,
        disk_bytes_settled: server.disk_bytes()?,
        resident_bytes_loaded,
        resident_bytes_peak: server.resident_bytes()?.1,
        queries,
    })
}

fn rest(time: Duration, progress: &Progress) -> anyhow::Result<()> {
    let started = Instant::now();
    while started.elapsed() < time {
        progress.check()?;
        std::thread::sleep(Duration::from_millis(100).min(time));
    }
    Ok(())
}

fn measure_query(
    client: &Client,
    query: QueryType,
    plan: &Plan,
    progress: &Progress,
    server: &str,
) -> anyhow::Result<MeasuredQuery> {
    let mut answers = Vec::with_capacity(plan.warm_up);
    let mut times = Vec::with_capacity(plan.repetitions);
    for number in 0..plan.warm_up + plan.repetitions {
        progress.check()?;
        let text = query.text(&plan.shape, number as u64);
        let asked = Instant::now();
        let answer = client.query(&text)?;
        let time = asked.elapsed();
        if number < plan.warm_up {
            answers.push(answer);
        } else {
            times.push(time);
        }
    }
    times.sort_unstable();
    let measured = MeasuredQuery { times, answers };
    progress.say(&format!("{server}: {} {:.2} ms", query.name(), measured.median().as_secs_f64() * 1e3));
    Ok(measured)
}

/// How many pairs of answers were compared, and what differs.
fn compare_answers(plan: &Plan, measured: &[Measured]) -> (usize, Vec<String>) {
    let [a, b] = measured else { return (0, Vec::new()) };
    let mut compared = 0;
    let mut differences = Vec::new();
    for (query, (of_a, of_b)) in plan.queries.iter().zip(a.queries.iter().zip(&b.queries)) {
        for (number, (a, b)) in of_a.answers.iter().zip(&of_b.answers).enumerate() {
            compared += 1;
            if let Some(difference) = compare::difference(a, b) {
                let text = query.text(&plan.shape, number as u64);
                differences.push(format!("{} differs: {difference}\n    {text}", query.name()));
            }
        }
    }
    (compared, differences)
}
