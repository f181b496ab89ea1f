//! The report of the suite's run.

use serde_json::{Value, json};

use super::{Better, Figure, Report, Row, Table, duration, machine::machine, three_digits};
use crate::{
    dataset::{UseCase, Values},
    process::{Kind, Usage},
    queries::QueryType,
    run::{Agreement, Measured, Outcome, Plan, Round, median},
};

/// Reports what was measured.
pub(crate) fn suite(plan: &Plan, outcome: &Outcome) -> Report {
    let table = table(plan, &outcome.servers);
    let mut markdown = heading(plan);
    markdown += &table.markdown();
    let agreement = agreement(&outcome.agreement);
    markdown += &agreement;
    for note in outcome.notes.iter().chain(&unsettled(plan, &outcome.servers)) {
        markdown += &format!("\n{note}.\n");
    }
    let mut faults: Vec<String> = outcome.notes.clone();
    if !outcome.agreement.differences.is_empty() {
        faults.push(format!("{} answers differ; see above", outcome.agreement.differences.len()));
    }
    let failed = table.rows.iter().flat_map(|row| &row.figures).filter(|figure| figure.is_err()).count();
    if failed > 0 {
        faults.push(format!("{failed} query types failed on a server; see above"));
    }
    Report { markdown, json: json(plan, outcome, &table), faults }
}

/// Whether this is the workload that the targets are set for.
fn has_targets(plan: &Plan) -> bool {
    let shape = &plan.shape;
    shape.use_case == UseCase::CpuOnly
        && shape.written == Values::Integer
        && shape.hosts == UseCase::CpuOnly.default_hosts()
        && shape.step_ns == 10_000_000_000
        && shape.span_ns == UseCase::CpuOnly.default_span_s() as i64 * 1_000_000_000
}

const fn target_of(query: QueryType) -> Option<&'static str> {
    match query {
        QueryType::SingleGroupby { metrics: 1, hosts: 1, hours: 1 } => Some("0.3"),
        QueryType::DoubleGroupby { metrics: 1 } => Some("4"),
        QueryType::DoubleGroupby { metrics: 10 } => Some("25"),
        QueryType::Lastpoint => Some("2"),
        QueryType::HighCpu { all_hosts: true } => Some("60"),
        _ => None,
    }
}

fn table(plan: &Plan, servers: &[Measured]) -> Table {
    let values = plan.shape.values() as f64;
    let mut rows = Vec::new();
    let mut row = |what: &str, better, target, figure: &dyn Fn(&Round) -> f64| {
        let figure = |server: &Measured| {
            median(server.rounds.iter().map(figure)).ok_or_else(|| "it was not measured".to_owned())
        };
        let figures: Vec<Figure> = servers.iter().map(figure).collect();
        rows.push(Row { what: what.to_owned(), better, figures, target });
    };
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let processor = |usage: &Usage| usage.processor.as_secs_f64() / values * 1e6;
    row("ingest, million values/s", Better::Higher, Some("10"), &|round| {
        values / round.load.as_secs_f64() / 1e6
    });
    row("processor for it, s/million values", Better::Lower, None, &|round| processor(&round.loaded));
    row("processor until settled, s/million values", Better::Lower, None, &|round| processor(&round.settled));
    row("on disk after the load, bytes/value", Better::Lower, None, &|round| {
        round.disk_bytes_loaded as f64 / values
    });
    row("on disk when settled, bytes/value", Better::Lower, Some("0.36"), &|round| {
        round.disk_bytes_settled as f64 / values
    });
    row("memory after the load, MB", Better::Lower, Some("120"), &|round| {
        megabytes(round.loaded.resident_bytes)
    });
    row("memory when settled, MB", Better::Lower, None, &|round| megabytes(round.settled.resident_bytes));
    row("memory after the queries, MB", Better::Lower, None, &|round| {
        megabytes(round.queried.resident_bytes)
    });
    row("memory at most, MB", Better::Lower, None, &|round| megabytes(round.queried.resident_bytes_max));
    for (at, query) in plan.queries.iter().enumerate() {
        rows.push(Row {
            what: format!("{}, ms", query.name()),
            better: Better::Lower,
            figures: servers.iter().map(|server| latency_ms(server, at)).collect(),
            target: target_of(*query),
        });
    }
    if !has_targets(plan) {
        rows.iter_mut().for_each(|row| row.target = None);
    }
    Table { servers: servers.iter().map(|server| (server.kind, server.title.clone())).collect(), rows }
}

/// The median over all repetitions of all rounds.
fn latency_ms(server: &Measured, query: usize) -> Figure {
    let mut times = Vec::new();
    for round in &server.rounds {
        times.extend(round.queries[query].as_ref().map_err(Clone::clone)?);
    }
    let median: std::time::Duration = median(times).ok_or_else(|| "it was not measured".to_owned())?;
    Ok(median.as_secs_f64() * 1e3)
}

fn heading(plan: &Plan) -> String {
    let shape = &plan.shape;
    let rounds = if plan.rounds == 1 { String::new() } else { format!(" in each of {} rounds", plan.rounds) };
    format!(
        "{} million values: {}, {} values; {} hosts, every {} for {}; {} rows a request, {} clients; medians \
         of {} queries{rounds}, each over another window. {}.\n\n",
        three_digits(shape.values() as f64 / 1e6),
        shape.use_case.name(),
        shape.written.name(),
        shape.hosts,
        duration(shape.step_ns),
        duration(shape.span_ns),
        shape.rows_per_batch,
        plan.workers,
        plan.repetitions,
        machine(),
    )
}

/// What the comparison showed, in a paragraph; nothing if there was nothing to compare.
fn agreement(agreement: &Agreement) -> String {
    let compared = agreement.compared;
    if compared == 0 {
        return String::new();
    }
    if agreement.differences.is_empty() {
        return format!("\nThe servers gave the same answers: all {compared} pairs compared agree.\n");
    }
    let mut which: Vec<String> = Vec::new();
    for difference in &agreement.differences {
        let [a, b] = difference.between.map(Kind::name);
        let text = format!("{} ({a} and {b})", difference.query.name());
        if !which.contains(&text) {
            which.push(text);
        }
    }
    let count = agreement.differences.len();
    format!("\n**{count} of {compared} pairs of answers compared differ**: {}.\n", which.join(", "))
}

fn unsettled(plan: &Plan, servers: &[Measured]) -> Vec<String> {
    let is_unsettled = |server: &&Measured| server.rounds.iter().any(|round| !round.has_settled);
    let note = |server: &Measured| {
        let waited = humantime::format_duration(plan.settle_max);
        format!("{} had {waited} to settle, which was not enough", server.kind.name())
    };
    servers.iter().filter(is_unsettled).map(note).collect()
}

fn json(plan: &Plan, outcome: &Outcome, table: &Table) -> Value {
    let usage = |usage: &Usage| {
        json!({
            "resident_bytes": usage.resident_bytes,
            "resident_bytes_max": usage.resident_bytes_max,
            "processor_s": usage.processor.as_secs_f64(),
        })
    };
    let queries = |round: &Round| -> Value {
        let of_query = |(query, times): (&QueryType, &Result<Vec<std::time::Duration>, String>)| {
            let times = match times {
                Ok(times) => json!(times.iter().map(|time| time.as_secs_f64() * 1e3).collect::<Vec<_>>()),
                Err(error) => json!({ "error": error }),
            };
            (query.name().to_owned(), times)
        };
        plan.queries.iter().zip(&round.queries).map(of_query).collect::<serde_json::Map<_, _>>().into()
    };
    let round = |round: &Round| {
        json!({
            "load_s": round.load.as_secs_f64(),
            "loaded": usage(&round.loaded),
            "settled": usage(&round.settled),
            "queried": usage(&round.queried),
            "disk_bytes_loaded": round.disk_bytes_loaded,
            "disk_bytes_settled": round.disk_bytes_settled,
            "has_settled": round.has_settled,
            "queries_ms": queries(round),
        })
    };
    let server = |server: &Measured| json!({ "title": server.title, "rounds": server.rounds.iter().map(round).collect::<Vec<_>>() });
    let difference = |difference: &crate::run::Difference| {
        json!({
            "query": difference.query.name(),
            "between": difference.between.map(Kind::name),
            "what": difference.what,
        })
    };
    json!({
        "machine": machine(),
        "use_case": plan.shape.use_case.name(),
        "values_written": plan.shape.written.name(),
        "values": plan.shape.values(),
        "rows": plan.shape.rows(),
        "hosts": plan.shape.hosts,
        "step_s": plan.shape.step_ns as f64 / 1e9,
        "span_s": plan.shape.span_ns as f64 / 1e9,
        "rows_per_request": plan.shape.rows_per_batch,
        "clients": plan.workers,
        "seed": plan.shape.seed,
        "servers": outcome.servers.iter().map(server).collect::<Vec<_>>(),
        "answers_compared": outcome.agreement.compared,
        "answers_differing": outcome.agreement.differences.iter().map(difference).collect::<Vec<_>>(),
        "notes": outcome.notes,
        "table": table.json(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Difference;

    #[test]
    fn agreement_is_said_plainly() {
        let mut found = Agreement { compared: 45, differences: Vec::new() };
        assert_eq!(agreement(&found), "\nThe servers gave the same answers: all 45 pairs compared agree.\n");
        for _ in 0..2 {
            found.differences.push(Difference {
                query: QueryType::Lastpoint,
                between: [Kind::Skywatch, Kind::Influxdb],
                what: String::new(),
            });
        }
        assert_eq!(
            agreement(&found),
            "\n**2 of 45 pairs of answers compared differ**: lastpoint (Skywatch and InfluxDB).\n"
        );
        assert_eq!(agreement(&Agreement::default()), "");
    }
}
