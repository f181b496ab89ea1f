//! What very many series cost: how fast new ones are taken in, the memory each takes, and how long the server
//! needs to answer again: after an orderly end, and after it was killed right after further writes to a thousand
//! of them.

use std::time::{Duration, Instant};

use crate::{
    Progress,
    bodies::Bodies,
    dataset::{CPU_FIELDS, Generator, Shape},
    http::{Client, Request},
    load,
    process::{Ending, Kind, Program, Server},
    run::{Plan, first_line},
};

/// Hosts of the load that new series are measured against.
const STEADY_HOSTS: u32 = 1000;
/// Steps of it, at least: less is over before it is steady.
const STEADY_STEPS_MIN: u32 = 100;
/// How long a server may look for the rows it is asked for.
const FIND_MAX: Duration = Duration::from_secs(10);

/// What was measured of one server.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) kind: Kind,
    pub(crate) title: String,
    pub(crate) series: u64,
    /// Values a second: into a thousand series that exist,
    pub(crate) steady_rate: f64,
    /// where every row is a new series,
    pub(crate) new_rate: f64,
    /// and into those, once they exist; `None` if they get no further rows.
    pub(crate) later_rate: Option<f64>,
    /// Resident memory before anything was written, with a row in every series, with all rows, and at most.
    pub(crate) resident_bytes_empty: u64,
    pub(crate) resident_bytes_new: u64,
    pub(crate) resident_bytes_loaded: u64,
    pub(crate) resident_bytes_max: u64,
    pub(crate) disk_bytes_settled: u64,
    pub(crate) restarts: Vec<Restart>,
}

/// How the server came back.
#[derive(Debug)]
pub(crate) struct Restart {
    pub(crate) ending: Ending,
    /// From the start of the process until it answered both questions.
    pub(crate) time: Duration,
    /// Of so many acknowledged rows of the series asked about,
    pub(crate) rows_written: u64,
    /// it still had so many.
    pub(crate) rows: u64,
    /// Resident memory then.
    pub(crate) resident_bytes: u64,
}

/// Measures each server in turn; one that fails is left out, with a note.
pub(crate) fn run(plan: &Plan, progress: &Progress) -> anyhow::Result<(Vec<Measured>, Vec<String>)> {
    let shape = &plan.shape;
    let steps = u32::try_from(shape.rows() / u64::from(STEADY_HOSTS) / shape.steps()).unwrap_or(u32::MAX);
    let steady_shape = Shape {
        hosts: STEADY_HOSTS,
        span_ns: shape.step_ns * i64::from(steps.max(STEADY_STEPS_MIN)),
        ..*shape
    };
    progress.say(&format!(
        "making {:.1} million values of {STEADY_HOSTS} hosts",
        steady_shape.values() as f64 / 1e6
    ));
    let make = |generator: &mut Generator, steps: u64, memory_bytes| {
        Bodies::make(generator, steps, memory_bytes, &plan.work_dir, progress)
    };
    let steady = make(&mut Generator::new(&steady_shape), steady_shape.steps(), plan.memory_bytes / 4)?;
    progress.say(&format!(
        "making {:.1} million values of {} hosts",
        shape.values() as f64 / 1e6,
        shape.hosts
    ));
    let mut generator = Generator::new(shape);
    let new = make(&mut generator, 1, plan.memory_bytes / 4)?;
    let later = make(&mut generator, shape.steps() - 1, plan.memory_bytes / 2)?;
    drop(generator);
    let mut servers = Vec::new();
    let mut notes = Vec::new();
    for program in &plan.programs {
        match measure(program, plan, &steady_shape, [&steady, &new, &later], progress) {
            Ok(measured) => servers.push(measured),
            Err(error) => {
                progress.check()?;
                progress.say(&format!("{}: {error:#}", program.kind.name()));
                notes.push(format!(
                    "{} is left out: {}",
                    program.kind.name(),
                    first_line(&format!("{error:#}"))
                ));
            }
        }
    }
    Ok((servers, notes))
}

fn measure(
    program: &Program,
    plan: &Plan,
    steady_shape: &Shape,
    [steady, new, later]: [&Bodies; 3],
    progress: &Progress,
) -> anyhow::Result<Measured> {
    let name = program.kind.name();
    let load = |server: &Server, bodies: &Bodies, what: &str| -> anyhow::Result<f64> {
        let time = load::load(server.kind(), &[server.port], bodies, plan.workers, progress)?;
        let rate = (bodies.rows() * CPU_FIELDS.len() as u64) as f64 / time.as_secs_f64();
        progress.say(&format!("{name}: {what}: {:.2} million values/s", rate / 1e6));
        Ok(rate)
    };
    let start = || -> anyhow::Result<(Server, Client)> {
        let server = Server::start(program, &plan.work_dir, progress)?;
        let client = Client::new(program.kind, server.port);
        client.create_database(None)?;
        Ok((server, client))
    };
    let (server, _) = start()?;
    progress.say(&format!("{}: loading", server.title()));
    let steady_rate = load(&server, steady, "a thousand series")?;
    drop(server);

    let (mut server, client) = start()?;
    let resident_bytes_empty = server.usage()?.resident_bytes;
    let new_rate = load(&server, new, "new series")?;
    let resident_bytes_new = server.usage()?.resident_bytes;
    let later_rate = if later.len() > 0 { Some(load(&server, later, "the same series")?) } else { None };
    let loaded = server.usage()?;
    client.flush()?;
    client.compact()?;
    server.settle(plan.quiet, plan.settle_max, progress)?;
    let disk_bytes_settled = server.disk_bytes()?;
    let stopped = restart(&mut server, &client, &plan.shape, Ending::Orderly, progress)?;
    // The hosts of the steady load are the first of all, their first rows the same.
    load(&server, steady, "further rows of a thousand of them")?;
    let resident_bytes_max = loaded.resident_bytes_max.max(server.usage()?.resident_bytes_max);
    let killed = restart(&mut server, &client, steady_shape, Ending::Kill, progress)?;
    Ok(Measured {
        kind: program.kind,
        title: server.title(),
        series: u64::from(plan.shape.hosts),
        steady_rate,
        new_rate,
        later_rate,
        resident_bytes_empty,
        resident_bytes_new,
        resident_bytes_loaded: loaded.resident_bytes,
        resident_bytes_max: resident_bytes_max.max(server.usage()?.resident_bytes_max),
        disk_bytes_settled,
        restarts: vec![stopped, killed],
    })
}

/// Restarts the server and asks about the last host of `shape`.
fn restart(
    server: &mut Server,
    client: &Client,
    shape: &Shape,
    ending: Ending,
    progress: &Progress,
) -> anyhow::Result<Restart> {
    let [show, count] = questions(server.kind(), shape);
    let has_regions = |answer: &[u8]| answer.windows(11).any(|part| part == b"\"us-east-1\"");
    let mut shown: Option<Instant> = None;
    let (rows, time) = server.restart(ending, progress, || {
        client.ask(&show).ok().filter(|answer| has_regions(answer))?;
        let shown = shown.get_or_insert_with(Instant::now);
        let rows = client.ask(&count).ok().and_then(|answer| count_of(&answer));
        // A server that does not have the rows is given time to find them, and then said to have lost them.
        rows.or_else(|| (shown.elapsed() > FIND_MAX).then_some(0))
    })?;
    let rows_written = shape.steps();
    progress.say(&format!(
        "{}: {:.2} s until it answers again, with {rows} of {rows_written} rows",
        server.kind().name(),
        time.as_secs_f64(),
    ));
    Ok(Restart { ending, time, rows_written, rows, resident_bytes: server.usage()?.resident_bytes })
}

/// What a server is asked first: a SHOW of a tag's values, and how many rows the last host has.
fn questions(kind: Kind, shape: &Shape) -> [Request; 2] {
    let host = shape.hosts - 1;
    match kind {
        Kind::Skywatch | Kind::Influxdb => [
            Request::influxql("SHOW TAG VALUES FROM cpu WITH KEY = \"region\"".to_owned()),
            Request::influxql(format!("SELECT count(usage_user) FROM cpu WHERE hostname = 'host_{host}'")),
        ],
        Kind::VictoriaMetrics => {
            let (start, end) = (seconds(shape.times().start), seconds(shape.times().end));
            let time = seconds(shape.span_ns + shape.step_ns);
            let count = format!("count_over_time(cpu_usage_user{{hostname=\"host_{host}\"}}[{time}s])");
            [
                Request { path: "/api/v1/label/region/values", parameters: Vec::new() }
                    .with("start", start)
                    .with("end", end.clone()),
                Request { path: "/api/v1/query", parameters: vec![("query", count)] }
                    .with("time", end)
                    .with("nocache", "1"),
            ]
        }
    }
}

fn seconds(time_ns: i64) -> String {
    format!("{}", time_ns as f64 / 1e9)
}

/// The number in an answer to the second question, if it has one.
fn count_of(answer: &[u8]) -> Option<u64> {
    let answer: serde_json::Value = serde_json::from_slice(answer).ok()?;
    let influx = answer.pointer("/results/0/series/0/values/0/1").and_then(serde_json::Value::as_u64);
    let metrics = || answer.pointer("/data/result/0/value/1")?.as_str()?.parse().ok();
    influx.or_else(metrics)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queries::tests::SHAPE;

    #[test]
    fn questions_and_answers() {
        let [show, count] = questions(Kind::Influxdb, &SHAPE);
        assert!(show.to_string().ends_with("q=SHOW TAG VALUES FROM cpu WITH KEY = \"region\""));
        assert!(
            count.to_string().ends_with("q=SELECT count(usage_user) FROM cpu WHERE hostname = 'host_19'")
        );
        let [show, count] = questions(Kind::VictoriaMetrics, &SHAPE);
        assert_eq!(show.to_string(), "/api/v1/label/region/values start=1451606400 end=1451692800");
        assert_eq!(
            count.to_string(),
            "/api/v1/query query=count_over_time(cpu_usage_user{hostname=\"host_19\"}[86410s]) time=1451692800 nocache=1"
        );
        let influx = br#"{"results":[{"statement_id":0,"series":[{"name":"cpu","columns":["time","count"],"values":[["1970-01-01T00:00:00Z",10]]}]}]}"#;
        assert_eq!(count_of(influx), Some(10));
        let metrics = br#"{"status":"success","data":{"result":[{"metric":{},"value":[1451606500,"9"]}]}}"#;
        assert_eq!(count_of(metrics), Some(9));
        assert_eq!(count_of(br#"{"results":[{"statement_id":0}]}"#), None);
        assert_eq!(count_of(b"{"), None);
    }
}
