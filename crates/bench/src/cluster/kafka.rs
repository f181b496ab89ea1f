//! Writes through Kafka beside those from node to node: how fast, and after how long a query finds what was accepted; and
//! how fast a node that was away reads what it missed ([`rejoin`](super::rejoin)).

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::{
    Plan, Rejoin,
    broker::{Broker, Topic},
    nodes::Cluster,
    rejoin::{self, Foreground},
};
use crate::{
    Progress,
    bodies::Bodies,
    dataset::Generator,
    http::{Client, Request},
    load,
    process::Kind,
    run::median,
};

/// How long nodes may take to apply what was accepted.
const APPLY_MAX: Duration = Duration::from_secs(600);
/// Between two points whose way is followed.
const MARK_EVERY: Duration = Duration::from_millis(100);

/// What was measured.
#[derive(Debug)]
pub(crate) struct Kafka {
    /// Whether the broker was one alone, on this machine.
    pub(crate) is_own_broker: bool,
    pub(crate) values: u64,
    /// Medians over the rounds of how long the same data took from node to node,
    pub(crate) direct: Duration,
    /// through Kafka until the last write was acknowledged,
    pub(crate) accepted: Duration,
    /// and until both nodes had applied all of it.
    pub(crate) applied: Duration,
    pub(crate) delays: Delays,
    pub(crate) rejoin: Rejoin,
}

/// From the acknowledgement of a point to the end of the first query that finds it.
#[derive(Debug, Default)]
pub(crate) struct Delays {
    /// Asked of the node that took the write, and of the other one.
    pub(crate) here: Vec<Duration>,
    pub(crate) there: Vec<Duration>,
    /// The same query once more.
    pub(crate) query: Vec<Duration>,
}

/// Runs the scenario.
pub(super) fn run(plan: &Plan, progress: &Progress, faults: &mut Vec<String>) -> anyhow::Result<Kafka> {
    let suite = &plan.suite;
    let broker = Broker::start(&plan.kafka, &suite.work_dir, progress)?;
    progress.say(&format!("kafka: making {:.1} million values", suite.shape.values() as f64 / 1e6));
    let mut generator = Generator::new(&suite.shape);
    let bodies =
        Bodies::make(&mut generator, suite.shape.steps(), suite.memory_bytes, &suite.work_dir, progress)?;
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..suite.rounds {
        progress.say("kafka: two copies, from node to node");
        times[0].push(written(plan, None, &bodies, progress)?[0]);
        progress.say("kafka: two copies, through Kafka");
        let [accepted, applied] = written(plan, Some(&broker.topic()), &bodies, progress)?;
        times[1].push(accepted);
        times[2].push(applied);
    }
    drop(bodies);
    let delays = delays(plan, &broker.topic(), progress)?;
    let rejoin = rejoin::run(plan, Some(&broker.topic()), progress, faults)?;
    let [direct, accepted, applied] = times.map(|times| median(times).unwrap_or_default());
    let (is_own_broker, values) = (broker.is_own(), suite.shape.values());
    Ok(Kafka { is_own_broker, values, direct, accepted, applied, delays, rejoin })
}

/// How long the data took to be acknowledged, and to be at both nodes.
fn written(
    plan: &Plan,
    topic: Option<&Topic>,
    bodies: &Bodies,
    progress: &Progress,
) -> anyhow::Result<[Duration; 2]> {
    let suite = &plan.suite;
    let mut cluster = Cluster::start(&plan.program, 2, topic, &suite.work_dir, progress)?;
    cluster.data[0].client().create_database(Some(2))?;
    let since = Instant::now();
    let accepted = load::load(Kind::Skywatch, &cluster.ports(), bodies, suite.workers, progress)?;
    let question = Request::influxql("SELECT count(usage_user) FROM cpu".to_owned());
    cluster.wait(APPLY_MAX, progress, "both nodes to have all of it", |cluster| {
        for node in &cluster.data {
            let question = question.clone().with("node_id", node.id()?.to_string());
            // A node that is behind says so.
            let answer = node.client().ask(&question).unwrap_or_default();
            if last_value(&answer) != Some(bodies.rows()) {
                return Ok(false);
            }
        }
        Ok(true)
    })?;
    Ok([accepted, since.elapsed()])
}

/// The last value of the last row of an answer.
fn last_value(answer: &[u8]) -> Option<u64> {
    let answer: serde_json::Value = serde_json::from_slice(answer).ok()?;
    answer["results"][0]["series"][0]["values"].as_array()?.last()?.as_array()?.last()?.as_u64()
}

fn delays(plan: &Plan, topic: &Topic, progress: &Progress) -> anyhow::Result<Delays> {
    let foreground = Foreground::new(plan, progress)?;
    let cluster = Cluster::start(&plan.program, 2, Some(topic), &plan.suite.work_dir, progress)?;
    cluster.data[0].client().create_database(Some(2))?;
    let clients = [cluster.data[0].client(), cluster.data[1].client()];
    // Shards and series are made before.
    foreground.during(cluster.data[0].port, Duration::from_secs(5), progress)?;
    follow(&clients, &mut Delays::default(), 1)?;
    progress.say("kafka: from the acknowledgement to the query");
    let is_done = AtomicBool::new(false);
    let mut delays = Delays::default();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| foreground.until(cluster.data[0].port, &is_done, progress));
        let since = Instant::now();
        let mut followed = Ok(());
        for number in 2.. {
            followed = progress.check().and_then(|()| follow(&clients, &mut delays, number));
            if followed.is_err() || since.elapsed() > plan.watch {
                break;
            }
            std::thread::sleep(MARK_EVERY);
        }
        is_done.store(true, Ordering::Relaxed);
        let wrote = writing.join().unwrap_or_else(|_| anyhow::bail!("a client panicked"));
        followed.and(wrote.map(drop))
    })?;
    Ok(delays)
}

/// Writes one point to the first node, and asks one of them until it has it.
fn follow(clients: &[Client; 2], delays: &mut Delays, number: u64) -> anyhow::Result<()> {
    let asks_other = number.is_multiple_of(2);
    let client = &clients[usize::from(asks_other)];
    let question = Request::influxql(format!("SELECT v FROM followed WHERE time = {number}"));
    clients[0].write(format!("followed v={number}i {number}").as_bytes())?;
    let since = Instant::now();
    while last_value(&client.ask(&question)?) != Some(number) {
        anyhow::ensure!(since.elapsed() < APPLY_MAX, "a point was accepted and is not to be found");
        std::thread::sleep(Duration::from_millis(1));
    }
    if asks_other { &mut delays.there } else { &mut delays.here }.push(since.elapsed());
    let since = Instant::now();
    client.ask(&question).context("the same question again")?;
    delays.query.push(since.elapsed());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_an_answer() {
        let answer = br#"{"results":[{"series":[{"name":"m","values":[["t",1],["t",7]]}]}]}"#;
        assert_eq!(last_value(answer), Some(7));
        assert_eq!(last_value(br#"{"results":[{}]}"#), None);
        assert_eq!(last_value(b""), None);
    }
}
