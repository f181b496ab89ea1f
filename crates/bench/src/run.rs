//! The suite's run: in each round each server in turn is started on nothing, loaded, left to settle, asked, and
//! stopped; then the answers are compared.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    Progress, answers,
    bodies::Bodies,
    dataset::{Generator, Shape},
    http::Client,
    load,
    process::{Kind, Program, Server, Usage},
    queries::QueryType,
};

/// What to measure, and how.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) programs: Vec<Program>,
    pub(crate) shape: Shape,
    pub(crate) workers: usize,
    pub(crate) rounds: usize,
    pub(crate) repetitions: usize,
    pub(crate) warm_up: usize,
    pub(crate) queries: Vec<QueryType>,
    /// A server has settled when its data has not changed for this long.
    pub(crate) quiet: Duration,
    /// The longest to wait for that.
    pub(crate) settle_max: Duration,
    /// Most memory for the bodies of write requests.
    pub(crate) memory_bytes: u64,
    pub(crate) work_dir: PathBuf,
}

/// What was measured of the servers, and what they answered differently.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) servers: Vec<Measured>,
    pub(crate) agreement: Agreement,
    /// Why servers are missing, and what else a reader must know.
    pub(crate) notes: Vec<String>,
}

/// What was measured of one server.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) kind: Kind,
    pub(crate) title: String,
    pub(crate) rounds: Vec<Round>,
    /// Answers of the first round's warm-up, by query type, by number.
    answers: Vec<Vec<Vec<u8>>>,
}

/// What was measured of one server in one round.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub(crate) load: Duration,
    /// What the server had taken when the last write was acknowledged,
    pub(crate) loaded: Usage,
    /// when it had settled,
    pub(crate) settled: Usage,
    /// and after the queries.
    pub(crate) queried: Usage,
    pub(crate) disk_bytes_loaded: u64,
    pub(crate) disk_bytes_settled: u64,
    /// Whether its data stopped changing in time.
    pub(crate) has_settled: bool,
    /// By query type: the time of each repetition, or what went wrong.
    pub(crate) queries: Vec<Result<Vec<Duration>, String>>,
}

/// How many pairs of answers were compared, and what differs.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    pub(crate) compared: usize,
    pub(crate) differences: Vec<Difference>,
}

/// Two answers that differ.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) query: QueryType,
    pub(crate) between: [Kind; 2],
    pub(crate) what: String,
}

/// Carries out the plan. A server that fails is left out, with a note.
pub(crate) fn run(plan: &Plan, progress: &Progress) -> anyhow::Result<Outcome> {
    let bodies = make_bodies(plan, progress)?;
    let mut outcome = Outcome { servers: Vec::new(), agreement: Agreement::default(), notes: Vec::new() };
    let mut programs = plan.programs.clone();
    for number in 0..plan.rounds {
        programs.retain(|program| {
            let name = program.kind.name();
            let result = measure_round(program, plan, &bodies, progress, &mut outcome.servers);
            if let Err(error) = &result {
                progress.say(&format!("{name}: {error:#}"));
                outcome.servers.retain(|server| server.kind != program.kind);
                outcome.notes.push(format!("{name} is left out: {}", first_line(&format!("{error:#}"))));
            }
            result.is_ok()
        });
        progress.check()?;
        if plan.rounds > 1 {
            progress.say(&format!("round {} of {} done", number + 1, plan.rounds));
        }
    }
    drop(bodies);
    outcome.agreement = compare(plan, &outcome.servers, progress);
    Ok(outcome)
}

fn make_bodies(plan: &Plan, progress: &Progress) -> anyhow::Result<Bodies> {
    let shape = &plan.shape;
    progress.say(&format!(
        "making {:.1} million values of {} hosts",
        shape.values() as f64 / 1e6,
        shape.hosts
    ));
    let mut generator = Generator::new(shape);
    Bodies::make(&mut generator, shape.steps(), plan.memory_bytes, &plan.work_dir, progress)
}

fn measure_round(
    program: &Program,
    plan: &Plan,
    bodies: &Bodies,
    progress: &Progress,
    servers: &mut Vec<Measured>,
) -> anyhow::Result<()> {
    let name = program.kind.name();
    let server = Server::start(program, &plan.work_dir, progress)?;
    let client = Client::new(program.kind, server.port);
    client.create_database(None)?;
    progress.say(&format!("{}: loading", server.title()));
    let mut round = Round {
        load: load::load(server.kind(), &[server.port], bodies, plan.workers, progress)?,
        ..Round::default()
    };
    round.loaded = server.usage()?;
    round.disk_bytes_loaded = server.disk_bytes()?;
    progress.say(&format!("{name}: loaded in {:.1} s; settling", round.load.as_secs_f64()));
    client.flush()?;
    client.compact()?;
    round.has_settled = server.settle(plan.quiet, plan.settle_max, progress)?;
    round.settled = server.usage()?;
    round.disk_bytes_settled = server.disk_bytes()?;
    let answers = measure_queries(&client, plan, &mut round, progress)?;
    round.queried = server.usage()?;
    match servers.iter_mut().find(|server| server.kind == program.kind) {
        Some(server) => server.rounds.push(round),
        None => {
            servers.push(Measured {
                kind: program.kind,
                title: server.title(),
                rounds: vec![round],
                answers,
            });
        }
    }
    Ok(())
}

/// Asks every type once, then every type again, so that a noisy moment falls on one repetition of each rather than
/// on all of one. A type that fails is not asked again. Returns the answers of the warm-up, by type.
fn measure_queries(
    client: &Client,
    plan: &Plan,
    round: &mut Round,
    progress: &Progress,
) -> anyhow::Result<Vec<Vec<Vec<u8>>>> {
    let kind = client.kind();
    let mut answers = vec![Vec::new(); plan.queries.len()];
    round.queries = vec![Ok(Vec::new()); plan.queries.len()];
    for number in 0..plan.warm_up + plan.repetitions {
        if number % 5 == 0 {
            progress.say(&format!(
                "{}: queries, pass {} of {}",
                kind.name(),
                number + 1,
                plan.warm_up + plan.repetitions
            ));
        }
        for (at, query) in plan.queries.iter().enumerate() {
            progress.check()?;
            let Ok(times) = &mut round.queries[at] else { continue };
            let request = query.question(&plan.shape, number as u64).request(kind);
            let asked = Instant::now();
            let answer = client.ask(&request);
            let time = asked.elapsed();
            match answer {
                Ok(answer) if number < plan.warm_up => answers[at].push(answer),
                Ok(_) => times.push(time),
                Err(error) => {
                    progress.say(&format!("{}: {} fails: {error:#}", kind.name(), query.name()));
                    round.queries[at] = Err(first_line(&error.root_cause().to_string()));
                    answers[at].clear();
                }
            }
        }
    }
    Ok(answers)
}

/// Compares what every two servers answered to the same question.
fn compare(plan: &Plan, servers: &[Measured], progress: &Progress) -> Agreement {
    let mut agreement = Agreement::default();
    for (at, a) in servers.iter().enumerate() {
        for b in &servers[at + 1..] {
            for (query, (of_a, of_b)) in plan.queries.iter().zip(a.answers.iter().zip(&b.answers)) {
                for (number, (answer_of_a, answer_of_b)) in of_a.iter().zip(of_b).enumerate() {
                    agreement.compared += 1;
                    let question = query.question(&plan.shape, number as u64);
                    let answers = [(a.kind, &answer_of_a[..]), (b.kind, &answer_of_b[..])];
                    let Some(what) = answers::difference(&question, answers[0], answers[1]) else { continue };
                    let [a, b] = [a.kind, b.kind];
                    progress.say(&format!(
                        "{}: {} and {} differ: {what}\n    {}\n    {}",
                        query.name(),
                        a.name(),
                        b.name(),
                        question.request(a),
                        question.request(b)
                    ));
                    agreement.differences.push(Difference { query: *query, between: [a, b], what });
                }
            }
        }
    }
    agreement
}

/// What fits in a cell or a note.
pub(crate) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

/// The middle one of several, of two in the middle the lower; `None` of none.
pub(crate) fn median<T: Copy + PartialOrd>(values: impl IntoIterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{UseCase, Values};

    fn measured(kind: Kind, answers: &[&str]) -> Measured {
        let answers = vec![answers.iter().map(|answer| answer.as_bytes().to_vec()).collect()];
        Measured { kind, title: String::new(), rounds: Vec::new(), answers }
    }

    #[test]
    fn every_two_servers_are_compared_and_differences_found() {
        let shape = Shape {
            use_case: UseCase::CpuOnly,
            written: Values::Integer,
            hosts: 1,
            step_ns: 1_000_000_000,
            span_ns: 60_000_000_000,
            rows_per_batch: 1,
            seed: 1,
        };
        let plan = Plan {
            programs: Vec::new(),
            shape,
            workers: 1,
            rounds: 1,
            repetitions: 1,
            warm_up: 2,
            queries: vec![QueryType::Lastpoint],
            quiet: Duration::ZERO,
            settle_max: Duration::ZERO,
            memory_bytes: 0,
            work_dir: PathBuf::new(),
        };
        let influx = r#"{"results":[{"statement_id":0,"series":[{"name":"cpu","tags":{"hostname":"host_0"},"columns":["time","usage_user"],"values":[["2016-01-01T00:00:59Z",7]]}]}]}"#;
        let other = influx.replace(",7]", ",8]");
        let metrics = r#"{"status":"success","data":{"result":[{"metric":{"__name__":"cpu_usage_user","hostname":"host_0"},"value":[1451606459.999,"7"]}]}}"#;
        let servers = [
            measured(Kind::Skywatch, &[influx, influx]),
            measured(Kind::Influxdb, &[influx, &other]),
            measured(Kind::VictoriaMetrics, &[metrics, metrics]),
        ];
        let agreement = compare(&plan, &servers, &Progress::silent());
        assert_eq!(agreement.compared, 6);
        let between: Vec<_> = agreement.differences.iter().map(|difference| difference.between).collect();
        assert_eq!(between, [[Kind::Skywatch, Kind::Influxdb], [Kind::Influxdb, Kind::VictoriaMetrics]]);
        assert!(agreement.differences[0].what.ends_with("values[0][1]: 7 against 8"));
        let failed = [measured(Kind::Skywatch, &[influx, influx]), measured(Kind::Influxdb, &[])];
        assert_eq!(compare(&plan, &failed, &Progress::silent()).compared, 0, "no answer agrees with nothing");
    }

    #[test]
    fn medians() {
        assert_eq!(median([3, 1, 2]), Some(2));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.0));
        assert_eq!(median::<u8>([]), None);
    }
}
