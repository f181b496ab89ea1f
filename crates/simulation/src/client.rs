//! Clients: they write, delete and read through random nodes, and remember what they were told.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use skywatch_model::{TimeRange, Version};
use skywatch_rpc::{CallError, Router, tell};

use crate::{
    Machine, Program, SimTime, SimWall, Violation,
    data_node::{
        DELETE, DeleteQuestion, MEASUREMENT, READ, ReadAnswer, TAG, WRITE, WriteQuestion, Written,
        client_address,
    },
    invariants::durability,
    ledger::{Action, Ledger},
    random::Random,
    stream,
};

/// Points lie in two weeks, and each has a shard group of its own.
pub const WEEK_NS: i64 = 7 * 24 * 3_600 * 1_000_000_000;

/// How clients behave.
#[derive(Debug, Clone)]
pub struct Habits {
    /// Data nodes there are.
    pub nodes: usize,
    /// Clients at once.
    pub clients: u64,
    /// They begin then.
    pub from: Duration,
    /// They stop then.
    pub until: Duration,
    /// Series they write to.
    pub series: u64,
    /// Times that are written again and again, per series.
    pub hot_times: u64,
    /// Whether answers are held against what was acknowledged before the query.
    pub judge_reads: bool,
    /// How much older than its query an answer may be.
    pub lag_max: Duration,
}

/// See the module's header.
#[derive(Debug)]
pub struct Clients {
    habits: Habits,
    ledger: Ledger,
    /// What reads showed that may not be.
    violations: Arc<Mutex<Vec<Violation>>>,
}

impl Clients {
    /// Clients of these habits, whose doings go into the ledger.
    pub fn new(habits: Habits, ledger: Ledger) -> Arc<Self> {
        Arc::new(Self { habits, ledger, violations: Arc::default() })
    }

    /// What a read showed that may not be, if one did.
    pub fn seen(&self) -> Result<(), Violation> {
        self.violations.lock().first().map_or(Ok(()), |violation| Err(violation.clone()))
    }
}

#[async_trait]
impl Program for Clients {
    async fn boot(&self, machine: Machine) -> Result<Vec<(String, Router)>, String> {
        for number in 0..self.habits.clients {
            let client = Client {
                random: stream(machine.seed, &format!("client {number}")),
                habits: self.habits.clone(),
                ledger: self.ledger.clone(),
                machine: machine.clone(),
                violations: Arc::clone(&self.violations),
            };
            tokio::spawn(client.run());
        }
        Ok(Vec::new())
    }

    fn crashed(&self) {}
}

struct Client {
    random: Random,
    habits: Habits,
    ledger: Ledger,
    machine: Machine,
    violations: Arc<Mutex<Vec<Violation>>>,
}

impl Client {
    async fn run(mut self) {
        self.machine.time.sleep_until(self.habits.from).await;
        while self.machine.time.now() < self.habits.until {
            tokio::time::sleep(Duration::from_millis(self.random.between(1, 400))).await;
            let to = client_address(self.random.between(1, self.habits.nodes as u64) as usize);
            match self.random.between(0, 99) {
                0..6 => self.delete(&to).await,
                6..30 => self.read(&to).await,
                _ => self.write(&to).await,
            }
        }
    }

    fn time(&self) -> &SimTime {
        &self.machine.time
    }

    fn note(&self, text: String) {
        self.machine.trace.note(self.time().now(), text);
    }

    fn patience(&mut self) -> Duration {
        Duration::from_millis(self.random.between(500, 6000))
    }

    fn draw_host(&mut self) -> String {
        format!("h{}", self.random.between(1, self.habits.series))
    }

    /// A time that is often written, in one of two shard groups, or one that is not.
    fn draw_time(&mut self) -> i64 {
        let base = SimWall::true_ns(Duration::ZERO);
        let hot = self.random.between(0, self.habits.hot_times) as i64;
        match self.random.between(0, 3) {
            0 => base + hot,
            1 => base + WEEK_NS + hot,
            _ => base + 1_000 + self.random.between(0, 1 << 40) as i64,
        }
    }

    async fn write(&mut self, to: &str) {
        let count = self.random.between(1, 4);
        let mut points: Vec<(String, i64)> = (0..count)
            .map(|_| (format!("{MEASUREMENT},{TAG}={}", self.draw_host()), self.draw_time()))
            .collect();
        points.sort();
        points.dedup();
        let level = (*self.random.pick(&["any", "one", "one", "quorum", "all"])).to_owned();
        let operation = self.ledger.begin(Action::Write(points.clone()), self.time().now());
        let told: Vec<String> = points.iter().map(|(series, time)| format!("{series}@{time}")).collect();
        self.note(format!("op {operation} writes {} at {level} through {to}", told.join(" ")));
        let question = WriteQuestion { operation, points, level };
        let within = self.patience();
        let answer = tell(&*self.machine.transport, to, WRITE, &question, within).await;
        self.conclude(operation, answer);
    }

    async fn delete(&mut self, to: &str) {
        let host = self.draw_host();
        let start = self.draw_time();
        let end = start + *self.random.pick(&[0, 5, 1 << 39]);
        let series = format!("{MEASUREMENT},{TAG}={host}");
        let operation =
            self.ledger.begin(Action::Delete(series.clone(), TimeRange::new(start, end)), self.time().now());
        self.note(format!("op {operation} deletes {series}@{start}..={end} through {to}"));
        let question = DeleteQuestion { operation, host, start, end };
        let within = self.patience();
        let answer = tell(&*self.machine.transport, to, DELETE, &question, within).await;
        self.conclude(operation, answer);
    }

    fn conclude(&self, operation: u64, answer: Result<Written, CallError>) {
        match answer {
            Ok(Written { version }) => {
                let version = Version(version);
                self.ledger.acknowledge(operation, version, self.time().now());
                self.note(format!("op {operation} is acknowledged as {version}"));
            }
            Err(error) => self.note(format!("op {operation} is not acknowledged: {error}")),
        }
    }

    async fn read(&mut self, to: &str) {
        let began = self.time().now();
        let within = self.patience();
        let answer: Result<ReadAnswer, _> = tell(&*self.machine.transport, to, READ, &(), within).await;
        let Ok(answer) = answer else { return };
        if !self.habits.judge_reads {
            return;
        }
        let found = answer.rows.into_iter().map(|(series, time, a, b)| ((series, time), (a, b))).collect();
        let place = format!("an answer of {to} to a query that began at {:.3} s", began.as_secs_f64());
        let as_of = began.saturating_sub(self.habits.lag_max);
        if let Err(violation) = durability::check(&self.ledger.operations(), as_of, &found, &place) {
            self.violations.lock().push(violation);
        }
    }
}
