//! What befalls the log of a cluster that writes through one: it is out of reach for one node or for all, appends come to
//! bad ends, and it gives up what somebody has applied.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use skywatch_replication::log::{Fate, MemoryLog, Position, WriteLog};
use skywatch_rpc::Router;

use crate::{Machine, Program, SimWall, data_node::DataProgram, stream};

/// How long an append, or a question, takes.
const LATENCY: Duration = Duration::from_millis(4);
/// The largest body of a record: a point or two.
const BODY_BYTES_MAX: usize = 160;

/// The time of day at the log: it says nothing.
#[derive(Debug)]
struct Stopped;

impl skywatch_model::WallClock for Stopped {
    fn now_ns(&self) -> i64 {
        SimWall::true_ns(Duration::ZERO)
    }
}

/// A log of so many partitions.
pub(crate) fn new_log(partitions: u32) -> MemoryLog {
    MemoryLog::new(partitions, BODY_BYTES_MAX, LATENCY, Arc::new(Stopped))
}

/// See the module's header.
pub(crate) struct LogWeather {
    /// The log, by ways of its own.
    pub(crate) log: MemoryLog,
    pub(crate) nodes: Vec<Arc<DataProgram>>,
    /// Whether it gives up what some node has applied.
    pub(crate) expires: bool,
    pub(crate) from: Duration,
    pub(crate) until: Duration,
}

#[async_trait]
impl Program for LogWeather {
    async fn boot(&self, machine: Machine) -> Result<Vec<(String, Router)>, String> {
        let links = self.nodes.iter().filter_map(|node| node.log()).map(MemoryLog::same_link).collect();
        let front = Front {
            log: self.log.same_link(),
            links,
            nodes: self.nodes.clone(),
            expires: self.expires,
            from: self.from,
            until: self.until,
            machine,
        };
        tokio::spawn(front.pass());
        Ok(Vec::new())
    }

    fn crashed(&self) {}
}

struct Front {
    log: MemoryLog,
    links: Vec<MemoryLog>,
    nodes: Vec<Arc<DataProgram>>,
    expires: bool,
    from: Duration,
    until: Duration,
    machine: Machine,
}

impl Front {
    async fn pass(self) {
        let mut random = stream(self.machine.seed, "log weather");
        self.machine.time.sleep_until(self.from).await;
        while self.machine.time.now() < self.until {
            tokio::time::sleep(Duration::from_millis(random.between(20, 900))).await;
            let link = &self.links[random.between(0, self.links.len() as u64 - 1) as usize];
            let lasts = Duration::from_millis(random.between(10, 3_000));
            match random.between(0, 11) {
                0 => {
                    self.note("nobody reaches the log");
                    self.log.stop(true);
                    tokio::time::sleep(lasts).await;
                    self.log.stop(false);
                    self.note("the log is reached again");
                }
                1 | 2 => {
                    self.note("a node does not reach the log");
                    link.cut(true);
                    tokio::time::sleep(lasts).await;
                    link.cut(false);
                    self.note("it reaches the log again");
                }
                3 => link.will(Fate::Lost),
                4 | 5 => link.will(Fate::Unheard),
                6 => link.will(Fate::Part(random.between(0, 2) as usize)),
                7 => link.will(Fate::Twice),
                8 => drop(self.log.put(0, "cpu,host=a v=1 1")),
                9 | 10 if self.expires => self.expire(),
                _ => {}
            }
        }
        self.log.stop(false);
        self.links.iter().for_each(|link| link.cut(false));
    }

    /// Gives up what a running node has applied: what others still lack of it is on that one's disk.
    fn expire(&self) {
        for partition in 0..self.log.partitions() {
            let applied = self.nodes.iter().filter_map(|node| node.running()).filter_map(|node| {
                let lag = node.member.log()?.lag();
                lag.partitions.iter().find(|it| it.partition == partition).map(|it| it.applied)
            });
            if let Some(offset) = applied.max() {
                self.note(&format!("the log gives up partition {partition} before {offset}"));
                self.log.expire(Position { partition, offset });
            }
        }
    }

    fn note(&self, text: &str) {
        self.machine.trace.note(self.machine.time.now(), text.to_owned());
    }
}
