//! A node that was away while values came in: how long until it has them all, and what clients notice meanwhile.
//!
//! ```text
//!  both nodes   | calm: clients as ever
//!  node 2 away  | outage: the values come in as fast as they can, not in real time | calm once more
//!  node 2 back  | catching up: until it is ready; then until both replicas answer the same
//! ```
//!
//! "Clients" are a writer that keeps a steady rate and a reader that asks for an hour of one host, both through the node that
//! stays. Every state is measured with the same two.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::{Plan, broker::Topic, nodes::Cluster};
use crate::{
    Progress,
    bodies::Bodies,
    dataset::{CPU_FIELDS, Generator, Shape},
    http::{Client, Request},
    load,
    process::{Ending, Kind},
    run::median,
};

/// Hosts whose values come in; a second is between two rows of one.
const HOSTS: u32 = 10_000;
/// Rows of a request of the steady writer.
const FOREGROUND_ROWS: usize = 500;
/// Time between two questions of the steady reader.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Steps that are made at once while the node is away.
const STEPS_AT_ONCE: u64 = 20;
/// How long the node may take.
const CATCH_UP_MAX: Duration = Duration::from_secs(3600);

/// What clients noticed in one state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies {
    pub(crate) writes: Vec<Duration>,
    pub(crate) queries: Vec<Duration>,
    /// Requests that failed.
    pub(crate) errors: usize,
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Rejoin {
    /// Values of the outage, and how long it took to write them.
    pub(crate) values: u64,
    pub(crate) outage: Duration,
    /// Bytes kept for the node that was away.
    pub(crate) hint_bytes: u64,
    /// From its start until it was ready, and until both replicas answered the same.
    pub(crate) ready: Duration,
    pub(crate) equal: Duration,
    pub(crate) calm: Latencies,
    pub(crate) away: Latencies,
    pub(crate) catching_up: Latencies,
}

/// Runs the scenario, on nodes that write through this topic of Kafka if there is one.
pub(super) fn run(
    plan: &Plan,
    topic: Option<&Topic>,
    progress: &Progress,
    faults: &mut Vec<String>,
) -> anyhow::Result<Rejoin> {
    let suite = &plan.suite;
    let steps = plan.outage_values.div_ceil(u64::from(HOSTS) * CPU_FIELDS.len() as u64);
    let shape =
        Shape { hosts: HOSTS, step_ns: 1_000_000_000, span_ns: steps as i64 * 1_000_000_000, ..suite.shape };
    let foreground = Foreground::new(plan, progress)?;
    let mut cluster = Cluster::start(&plan.program, 2, topic, &suite.work_dir, progress)?;
    cluster.data[0].client().create_database(Some(2))?;
    let port = cluster.data[0].port;
    // Every series exists before, as in a cluster that has been there for a while.
    let mut generator = Generator::new(&shape);
    let load = |generator: &mut Generator, steps: u64| -> anyhow::Result<Duration> {
        let bodies = Bodies::make(generator, steps, suite.memory_bytes, &suite.work_dir, progress)?;
        load::load(Kind::Skywatch, &[port], &bodies, suite.workers, progress)
    };
    load(&mut generator, 2)?;
    progress.say("rejoin: clients while both nodes are there");
    let calm = foreground.during(port, plan.watch, progress)?;
    cluster.data[1].stop(Ending::Kill);
    progress.say(&format!("rejoin: node 2 is away; {:.0} million values", plan.outage_values as f64 / 1e6));
    let mut outage = Duration::ZERO;
    let mut written = 0;
    while written < steps {
        let more = STEPS_AT_ONCE.min(steps - written);
        outage += load(&mut generator, more)?;
        written += more;
    }
    let hint_bytes = cluster.data[0].hint_bytes()?;
    // What the load left behind for the node to do is not what is measured.
    std::thread::sleep(Duration::from_secs(15));
    progress.say("rejoin: clients while node 2 is away");
    let away = foreground.during(port, plan.watch, progress)?;
    progress.say("rejoin: node 2 is back");
    let since = Instant::now();
    let mut ready = None;
    cluster.start_again(1)?;
    let is_done = AtomicBool::new(false);
    let catching_up = std::thread::scope(|scope| {
        let clients = scope.spawn(|| foreground.until(port, &is_done, progress));
        let waited = cluster.wait(CATCH_UP_MAX, progress, "the node to be ready", |cluster| {
            Ok(cluster.data[1].client().is_ready())
        });
        ready = Some(since.elapsed());
        is_done.store(true, Ordering::Relaxed);
        let clients = clients.join().unwrap_or_else(|_| anyhow::bail!("a client panicked"));
        waited.and(clients)
    })?;
    let ready = ready.unwrap_or_default();
    progress.say(&format!("rejoin: ready after {:.1} s; comparing", ready.as_secs_f64()));
    let same = cluster.wait(CATCH_UP_MAX, progress, "both replicas to be the same", |cluster| same(cluster));
    if let Err(error) = same {
        faults.push(format!("{error:#}"));
    }
    let equal = since.elapsed();
    let values = steps * u64::from(HOSTS) * CPU_FIELDS.len() as u64;
    Ok(Rejoin { values, outage, hint_bytes, ready, equal, calm, away, catching_up })
}

/// Whether both replicas count and add up the same, host by host and field by field.
fn same(cluster: &Cluster) -> anyhow::Result<bool> {
    let client = cluster.data[0].client();
    let of_node = |number: usize| -> anyhow::Result<Vec<u8>> {
        let text = "SELECT count(*), sum(*) FROM cpu GROUP BY hostname".to_owned();
        let node = cluster.data[number].id()?.to_string();
        client.ask(&Request::influxql(text).with("node_id", node))
    };
    Ok(of_node(0)? == of_node(1)?)
}

/// The steady clients.
pub(super) struct Foreground {
    bodies: Bodies,
    every: Duration,
    question: Request,
}

impl Foreground {
    pub(super) fn new(plan: &Plan, progress: &Progress) -> anyhow::Result<Self> {
        // Data of their own, so that what was written before does not come again.
        let shape = Shape {
            hosts: 1000,
            step_ns: 1_000_000_000,
            span_ns: 600_000_000_000,
            rows_per_batch: FOREGROUND_ROWS,
            seed: plan.suite.shape.seed + 1,
            ..plan.suite.shape
        };
        let bodies = Bodies::make(
            &mut Generator::new(&shape),
            shape.steps(),
            plan.suite.memory_bytes,
            &plan.suite.work_dir,
            progress,
        )?;
        let values = (FOREGROUND_ROWS * CPU_FIELDS.len()) as f64;
        let every = Duration::from_secs_f64(values / f64::from(plan.foreground_values_per_s.max(1)));
        let text = "SELECT max(usage_user) FROM cpu WHERE hostname = 'host_17' AND time >= '2016-01-01T00:00:00Z' \
            AND time < '2016-01-01T01:00:00Z' GROUP BY time(1m)";
        Ok(Self { bodies, every, question: Request::influxql(text.to_owned()) })
    }

    pub(super) fn during(&self, port: u16, time: Duration, progress: &Progress) -> anyhow::Result<Latencies> {
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let clients = scope.spawn(|| self.until(port, &is_done, progress));
            std::thread::sleep(time);
            is_done.store(true, Ordering::Relaxed);
            clients.join().unwrap_or_else(|_| anyhow::bail!("a client panicked"))
        })
    }

    pub(super) fn until(
        &self,
        port: u16,
        is_done: &AtomicBool,
        progress: &Progress,
    ) -> anyhow::Result<Latencies> {
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let client = Client::new(Kind::Skywatch, port);
                steadily(ASK_EVERY, is_done, progress, |_| client.ask(&self.question).map(drop))
            });
            let client = Client::new(Kind::Skywatch, port);
            let mut buffer = Vec::new();
            let (writes, failed) = steadily(self.every, is_done, progress, |number| {
                let body = self.bodies.get(number % self.bodies.len(), &mut buffer)?;
                client.write(body.context("no body")?)
            });
            let (queries, unanswered) = reader.join().map_err(|_| anyhow::anyhow!("a reader panicked"))?;
            Ok(Latencies { writes, queries, errors: failed + unanswered })
        })
    }
}

/// Does something at a steady rate, and tells how long each took, and how many failed. What is late is not made up for.
fn steadily(
    every: Duration,
    is_done: &AtomicBool,
    progress: &Progress,
    mut work: impl FnMut(usize) -> anyhow::Result<()>,
) -> (Vec<Duration>, usize) {
    let (mut times, mut errors) = (Vec::new(), 0);
    let mut next = Instant::now();
    for number in 0.. {
        if is_done.load(Ordering::Relaxed) || progress.check().is_err() {
            break;
        }
        let began = Instant::now();
        match work(number) {
            Ok(()) => times.push(began.elapsed()),
            Err(error) => {
                progress.say(&format!("a client's request failed: {error:#}"));
                errors += 1;
            }
        }
        next = (next + every).max(Instant::now());
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    (times, errors)
}

impl Latencies {
    /// The middle one and the one that one of a hundred exceeds, of writes and of queries, in milliseconds.
    pub(crate) fn figures(&self) -> [f64; 4] {
        let ms = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64() * 1e3;
        let of = |times: &[Duration]| [ms(median(times.to_vec())), ms(percentile(times, 0.99))];
        let ([a, b], [c, d]) = (of(&self.writes), of(&self.queries));
        [a, b, c, d]
    }
}

/// The smallest one that so large a share of them does not exceed.
pub(crate) fn percentile(times: &[Duration], share: f64) -> Option<Duration> {
    let mut times = times.to_vec();
    times.sort_unstable();
    let place = (times.len() as f64 * share).ceil() as usize;
    times.get(place.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_medians_and_what_one_of_a_hundred_exceeds() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        let latencies = Latencies { writes: times.clone(), queries: times[..1].to_vec(), errors: 0 };
        assert_eq!(latencies.figures(), [100.0, 198.0, 1.0, 1.0]);
        assert_eq!(Latencies::default().figures(), [0.0; 4]);
    }

    #[test]
    fn what_is_done_steadily_is_counted() {
        let is_done = AtomicBool::new(false);
        let work = |number: usize| {
            is_done.store(number == 9, Ordering::Relaxed);
            if number.is_multiple_of(2) { Ok(()) } else { anyhow::bail!("odd") }
        };
        let (times, errors) = steadily(Duration::from_millis(1), &is_done, &Progress::silent(), work);
        assert_eq!((times.len(), errors), (5, 5));
    }
}
