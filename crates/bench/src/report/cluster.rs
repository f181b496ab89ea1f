//! The report of what being a cluster costs.

use serde_json::{Value, json};

use super::{Report, duration, machine::machine, three_digits};
use crate::{
    cluster::{Kafka, Latencies, Outcome, Plan, Reads, Rejoin, Writes, percentile},
    run::median,
};

/// Reports what was measured.
pub(crate) fn cluster(plan: &Plan, outcome: &Outcome) -> Report {
    let mut markdown = format!("Single server and cluster on one machine: {}.\n", machine());
    let mut json = serde_json::Map::new();
    if let Some(found) = &outcome.reads {
        markdown += &reads(plan, found);
        json.insert("reads".into(), reads_json(found));
    }
    if let Some(found) = &outcome.writes {
        markdown += &writes(plan, found);
        let times = [found.single, found.through_one, found.through_both].map(|time| time.as_secs_f64());
        json.insert("writes".into(), json!({ "values": found.values, "seconds": times }));
    }
    if let Some(found) = &outcome.rejoin {
        markdown += &rejoin(plan, found);
        json.insert("rejoin".into(), rejoin_json(found));
    }
    if let Some(found) = &outcome.kafka {
        markdown += &kafka(plan, found);
        json.insert("kafka".into(), kafka_json(found));
    }
    for fault in &outcome.faults {
        markdown += &format!("\n**{fault}**\n");
    }
    Report { markdown, json: json.into(), faults: outcome.faults.clone() }
}

fn reads(plan: &Plan, found: &Reads) -> String {
    let shape = &plan.suite.shape;
    let mut text = format!(
        "\nTwo data nodes, one copy: {} million values of {} hosts, every {} for {}; medians of {} queries, both asked in \
         turn; {} pairs of answers compared.\n",
        three_digits(shape.values() as f64 / 1e6),
        shape.hosts,
        duration(shape.step_ns),
        duration(shape.span_ns),
        plan.suite.repetitions,
        found.compared,
    );
    if !found.has_settled {
        text += "They had not settled when they were asked the last time.\n";
    }
    for phase in &found.phases {
        text += &format!(
            "\n| {} | single, ms | cluster, ms | ratio | processor, ms | cluster | ratio | between the nodes, kB |\n",
            phase.name
        );
        text += "|---|---:|---:|---:|---:|---:|---:|---:|\n";
        for asked in &phase.queries {
            let (single, cluster) = (asked.single.as_secs_f64() * 1e3, asked.cluster.as_secs_f64() * 1e3);
            let processor = asked.processor.map(|time| time.as_secs_f64() * 1e3);
            text += &format!(
                "| {} | {} | {} | {} x | {} | {} | {} x | {} |\n",
                asked.query.name(),
                three_digits(single),
                three_digits(cluster),
                three_digits(cluster / single),
                three_digits(processor[0]),
                three_digits(processor[1]),
                three_digits(processor[1] / processor[0]),
                three_digits(asked.bytes_between as f64 / 1e3),
            );
        }
    }
    text
}

fn reads_json(found: &Reads) -> Value {
    let phases = found.phases.iter().map(|phase| {
        let queries = phase.queries.iter().map(|asked| {
            let times = json!({
                "single_ms": asked.single.as_secs_f64() * 1e3,
                "cluster_ms": asked.cluster.as_secs_f64() * 1e3,
                "bytes_between": asked.bytes_between,
                "processor_ms": asked.processor.map(|time| time.as_secs_f64() * 1e3),
            });
            (asked.query.name().to_owned(), times)
        });
        (phase.name.to_owned(), queries.collect::<serde_json::Map<_, _>>().into())
    });
    phases.collect::<serde_json::Map<_, _>>().into()
}

fn writes(plan: &Plan, found: &Writes) -> String {
    let rate = |time: std::time::Duration| found.values as f64 / time.as_secs_f64() / 1e6;
    let single = rate(found.single);
    let mut text = format!(
        "\n| two data nodes, two copies, consistency one, {} clients | million values/s | of the single server |\n\
         |---|---:|---:|\n| single server | {} | |\n",
        plan.suite.workers,
        three_digits(single),
    );
    for (what, time) in [("all through one node", found.through_one), ("through both", found.through_both)] {
        let rate = rate(time);
        text += &format!("| {what} | {} | {:.0} % |\n", three_digits(rate), rate / single * 100.0);
    }
    text
}

fn rejoin(plan: &Plan, found: &Rejoin) -> String {
    let values = found.values as f64;
    let mut text = format!(
        "\nA node was away while {} million values came in, as many as an hour at {} values/s; they were written in {:.0} s \
         ({} million values/s). {} MB were kept for it by the other node, {} bytes a value. It was ready {:.1} s after its start ({} million \
         values/s), and both replicas were seen to be the same after {:.1} s.\n\n",
        three_digits(values / 1e6),
        three_digits(values / 3600.0),
        found.outage.as_secs_f64(),
        three_digits(values / found.outage.as_secs_f64() / 1e6),
        three_digits(found.hint_bytes as f64 / 1e6),
        three_digits(found.hint_bytes as f64 / values),
        found.ready.as_secs_f64(),
        three_digits(values / found.ready.as_secs_f64() / 1e6),
        found.equal.as_secs_f64(),
    );
    text += &format!(
        "| clients ({} values/s), ms | write, median | p99 | query, median | p99 | errors |\n|---|---:|---:|---:|---:|---:|\n",
        plan.foreground_values_per_s
    );
    for (what, latencies) in states(found) {
        let figures = latencies.figures().map(three_digits);
        text += &format!("| {what} | {} | {} |\n", figures.join(" | "), latencies.errors);
    }
    text
}

const fn states(found: &Rejoin) -> [(&'static str, &Latencies); 3] {
    [
        ("both nodes are there", &found.calm),
        ("one is away", &found.away),
        ("it catches up", &found.catching_up),
    ]
}

fn rejoin_json(found: &Rejoin) -> Value {
    let states = states(found).map(|(what, latencies)| {
        let figures = json!({ "ms": latencies.figures(), "writes": latencies.writes.len(),
            "queries": latencies.queries.len(), "errors": latencies.errors });
        (what.to_owned(), figures)
    });
    json!({
        "values": found.values,
        "outage_s": found.outage.as_secs_f64(),
        "hint_bytes": found.hint_bytes,
        "ready_s": found.ready.as_secs_f64(),
        "equal_s": found.equal.as_secs_f64(),
        "clients": states.into_iter().collect::<serde_json::Map<_, _>>(),
    })
}

/// Median and 99th percentile, in milliseconds.
fn middle_and_high(times: &[std::time::Duration]) -> [f64; 2] {
    let ms = |time: Option<std::time::Duration>| time.unwrap_or_default().as_secs_f64() * 1e3;
    [ms(median(times.to_vec())), ms(percentile(times, 0.99))]
}

fn kafka(plan: &Plan, found: &Kafka) -> String {
    let rate = |time: std::time::Duration| found.values as f64 / time.as_secs_f64() / 1e6;
    let direct = rate(found.direct);
    let broker = if found.is_own_broker { "one broker on this machine" } else { "brokers that were there" };
    let mut text = format!(
        "\n| two data nodes, two copies, {} clients to both; {broker} | million values/s | of node to node |\n\
         |---|---:|---:|\n| from node to node, consistency one | {} | |\n",
        plan.suite.workers,
        three_digits(direct),
    );
    for (what, time) in [
        ("through Kafka, until acknowledged", found.accepted),
        ("until both nodes have applied it", found.applied),
    ] {
        text +=
            &format!("| {what} | {} | {:.0} % |\n", three_digits(rate(time)), rate(time) / direct * 100.0);
    }
    text += &format!(
        "\n| from accepted to found by a query, at {} values/s, ms | median | p99 |\n|---|---:|---:|\n",
        plan.foreground_values_per_s
    );
    for (what, times) in delays(found) {
        text += &format!("| {what} | {} |\n", middle_and_high(times).map(three_digits).join(" | "));
    }
    text + &rejoin(plan, &found.rejoin)
}

const fn delays(found: &Kafka) -> [(&'static str, &Vec<std::time::Duration>); 3] {
    let delays = &found.delays;
    [
        ("at the node that took the write", &delays.here),
        ("at the other node", &delays.there),
        ("the query alone", &delays.query),
    ]
}

fn kafka_json(found: &Kafka) -> Value {
    let seconds = [found.direct, found.accepted, found.applied].map(|time| time.as_secs_f64());
    let delays = delays(found).map(|(what, times)| (what.to_owned(), json!(middle_and_high(times))));
    json!({
        "values": found.values,
        "seconds": seconds,
        "delays_ms": delays.into_iter().collect::<serde_json::Map<_, _>>(),
        "rejoin": rejoin_json(&found.rejoin),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{cluster::Phase, queries::QueryType};

    #[test]
    fn ratios_are_of_the_cluster_to_the_single_server() {
        let ms = Duration::from_millis;
        let query = QueryType::Lastpoint;
        let asked = crate::cluster::Asked {
            query,
            single: ms(10),
            cluster: ms(15),
            bytes_between: 57_000,
            processor: [ms(20), ms(25)],
        };
        let reads = Reads {
            phases: vec![Phase { name: "when settled", queries: vec![asked] }],
            has_settled: true,
            compared: 3,
        };
        assert_eq!(reads_json(&reads)["when settled"]["lastpoint"]["bytes_between"], 57_000);
        let writes =
            Writes { values: 10_000_000, single: ms(1000), through_one: ms(2000), through_both: ms(1250) };
        let options = <crate::options::Options as clap::Parser>::parse_from([
            "bench",
            "--cluster",
            "reads",
            "--skywatch",
            "/bin/true",
        ]);
        let plan = options.cluster().expect("a plan").expect("of a cluster");
        let text = reads_text(&plan, &reads);
        assert!(
            text.contains("| lastpoint | 10.0 | 15.0 | 1.50 x | 20.0 | 25.0 | 1.25 x | 57.0 |\n"),
            "{text}"
        );
        let text = super::writes(&plan, &writes);
        assert!(
            text.contains("| all through one node | 5.00 | 50 % |\n| through both | 8.00 | 80 % |\n"),
            "{text}"
        );
    }

    fn reads_text(plan: &Plan, found: &Reads) -> String {
        reads(plan, found)
    }
}
