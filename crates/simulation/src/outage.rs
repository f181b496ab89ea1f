//! How long clients notice that machines are gone: a data node and the meta node that leads vanish together, as with a host that runs
//! both, and the nodes that are left are written to and queried all the while.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use skywatch_model::Version;
use skywatch_rpc::{CallError, Router, tell};

use crate::{
    Fault, Host, Machine, Plan, Planned, Program, Scenario, SimWall, Trace, Violation,
    data_cluster::DataCluster,
    data_node::{MEASUREMENT, READ, ReadAnswer, TAG, WRITE, WriteQuestion, Written, client_address},
    invariants::durability,
    ledger::{Action, Ledger},
    meta_cluster::raft_address,
    stream,
};

/// How long meta nodes have to form a cluster, and data nodes to know that they are in step.
const PEACE: Duration = Duration::from_secs(12);
/// For so long nodes are away.
const AWAY: Duration = Duration::from_secs(9);
/// When clients go on that have rested.
const UNSEEN: Duration = Duration::from_secs(5);
/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(20);
/// Meta nodes.
const METAS: usize = 3;
/// For so long a node is away that is taken for silent by mistake.
const HICCUP: Duration = Duration::from_millis(700);
/// A request that takes longer has noticed something.
const SLOW: Duration = Duration::from_millis(500);
/// How long a client waits: longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who goes, besides a data node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum With {
    /// Nobody.
    Nobody,
    /// The meta node that leads.
    Leader,
}

/// See the module's header.
#[derive(Debug, Clone)]
pub struct Outage {
    /// As its test is called.
    pub name: &'static str,
    /// Data nodes.
    pub nodes: usize,
    /// Who goes.
    pub with: With,
    /// Whether nobody writes or queries while they go, so that no request can have it noticed.
    pub unseen: bool,
    /// Whether the data node was taken for silent by mistake a moment before.
    pub after_hiccup: bool,
    /// How long after they are gone a request may fail, or be slow.
    pub limit: Duration,
}

/// A request of a client.
#[derive(Debug, Clone)]
struct Attempt {
    kind: &'static str,
    node: String,
    began: Duration,
    ended: Duration,
    problem: Option<String>,
}

impl Attempt {
    /// Whether its client has noticed something.
    fn is_bad(&self) -> bool {
        self.problem.is_some() || self.ended - self.began > SLOW
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, node, began, ended, problem } = self;
        let (took, began) = ((*ended - *began).as_secs_f64(), began.as_secs_f64());
        let problem = problem.as_deref().unwrap_or("done");
        write!(f, "a {kind} through {node} that began at {began:.3} s took {took:.3} s: {problem}")
    }
}

/// A client that goes on and on at one node.
#[derive(Debug, Clone)]
struct Probe {
    to: String,
    ledger: Ledger,
    rests: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    attempts: Vec<Attempt>,
    violations: Vec<Violation>,
}

#[async_trait]
impl Program for Probe {
    async fn boot(&self, machine: Machine) -> Result<Vec<(String, Router)>, String> {
        let [writing, reading] = [(); 2].map(|()| (self.clone(), machine.clone()));
        tokio::spawn(async move { writing.0.write(writing.1).await });
        tokio::spawn(async move { reading.0.read(reading.1).await });
        Ok(Vec::new())
    }

    fn crashed(&self) {}
}

impl Probe {
    async fn write(&self, machine: Machine) {
        machine.time.sleep_until(PEACE).await;
        for number in 0.. {
            let began = machine.time.now();
            let point =
                (format!("{MEASUREMENT},{TAG}={}", self.to), SimWall::true_ns(Duration::ZERO) + number);
            let operation = self.ledger.begin(Action::Write(vec![point.clone()]), began);
            let question = WriteQuestion { operation, points: vec![point], level: "one".to_owned() };
            let answer = tell(&*machine.transport, &self.to, WRITE, &question, PATIENCE).await;
            let answer = answer.map(|written: Written| Version(written.version));
            if let Ok(version) = answer {
                self.ledger.acknowledge(operation, version, machine.time.now());
            }
            self.note("write", began, &machine, answer.err());
            self.rest().await;
        }
    }

    async fn read(&self, machine: Machine) {
        machine.time.sleep_until(PEACE).await;
        loop {
            let began = machine.time.now();
            let answer: Result<ReadAnswer, _> =
                tell(&*machine.transport, &self.to, READ, &(), PATIENCE).await;
            let problem = match answer {
                Ok(answer) => {
                    let rows = answer.rows.into_iter();
                    let found = rows.map(|(series, time, a, b)| ((series, time), (a, b))).collect();
                    let place = format!("an answer of {}", self.to);
                    let judged = durability::check(&self.ledger.operations(), began, &found, &place);
                    self.seen.lock().violations.extend(judged.err());
                    None
                }
                Err(error) => Some(error),
            };
            self.note("query", began, &machine, problem);
            self.rest().await;
        }
    }

    async fn rest(&self) {
        tokio::time::sleep(PAUSE).await;
        while self.rests.load(Ordering::Relaxed) {
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn note(&self, kind: &'static str, began: Duration, machine: &Machine, problem: Option<CallError>) {
        let problem = problem.map(|error| error.to_string());
        let attempt = Attempt { kind, node: self.to.clone(), began, ended: machine.time.now(), problem };
        machine.trace.note(attempt.ended, &attempt);
        self.seen.lock().attempts.push(attempt);
    }
}

impl Outage {
    fn cluster(&self) -> DataCluster {
        DataCluster {
            metas: METAS,
            sheltered: false,
            length: Duration::ZERO,
            ..DataCluster::new(self.name, self.nodes)
        }
    }

    /// What strikes whom.
    fn fault(seed: u64, hosts: &[Host]) -> Vec<Fault> {
        let each = |fault: fn(Host) -> Fault| hosts.iter().copied().map(fault).collect();
        match stream(seed, "outage").between(0, 2) {
            0 => each(Fault::Freeze),
            1 => each(Fault::Kill),
            _ => vec![Fault::Split(hosts.to_vec())],
        }
    }

    /// What nobody should have noticed any more.
    fn judge(&self, seen: &Seen, struck: Duration, ends: Duration) -> Result<(), Violation> {
        if let Some(violation) = seen.violations.first() {
            return Err(violation.clone());
        }
        let quiet = struck + self.limit;
        let notices =
            |attempt: &&Attempt| attempt.is_bad() && (attempt.ended < struck || attempt.ended > quiet);
        let bad = seen.attempts.iter().find(|attempt| !self.after_hiccup && notices(attempt));
        let late = seen.attempts.iter().find(|attempt| attempt.is_bad() && attempt.ended > quiet);
        if let Some(attempt) = bad.or(late) {
            let limit = self.limit.as_secs_f64();
            let struck = struck.as_secs_f64();
            let text = format!(
                "nodes are gone since {struck:.3} s, which may be noticed for {limit:.1} s; {attempt}"
            );
            return Err(Violation::new("an outage is short", text));
        }
        // One that never ended has noticed it as well.
        let is_served = |kind: &str| {
            let recent = |attempt: &&Attempt| attempt.kind == kind && attempt.ended + SLOW * 2 > ends;
            seen.attempts.iter().any(|attempt| recent(&attempt))
        };
        match ["write", "query"].into_iter().find(|kind| !is_served(kind)) {
            Some(kind) => Err(Violation::new("an outage is short", format!("a {kind} has not ended yet"))),
            None => Ok(()),
        }
    }
}

impl Scenario for Outage {
    fn name(&self) -> &'static str {
        self.name
    }

    fn script(&self, _seed: u64) -> Vec<Planned> {
        Vec::new()
    }

    fn run(&self, plan: &Plan, trace: &Trace) -> Result<(), Violation> {
        let mut cluster = self.cluster().build(plan, trace);
        let mut random = stream(plan.seed, "victims");
        let victim = random.between(1, self.nodes as u64) as usize;
        let data = Host(METAS + victim - 1);
        let rests = Arc::new(AtomicBool::new(false));
        let probes: Vec<Probe> = (1..=self.nodes)
            .filter(|number| *number != victim)
            .map(|number| Probe {
                to: client_address(number),
                ledger: cluster.witness.ledger.clone(),
                rests: Arc::clone(&rests),
                seen: Arc::default(),
            })
            .collect();
        for probe in &probes {
            cluster.world.add(&format!("probe of {}", probe.to), &[], Arc::new(probe.clone()));
        }
        cluster.form()?;
        let world = &mut cluster.world;
        world.run_while(PEACE + Duration::from_secs(1), |_| Ok(()))?;
        if self.after_hiccup {
            world.inflict(Fault::Freeze(data), HICCUP);
            world.run_for(HICCUP + Duration::from_secs(3))?;
        }
        world.run_for(Duration::from_millis(random.between(0, 1_000)))?;
        let mut gone = vec![data];
        if self.with == With::Leader {
            let leader = cluster.keepers.leader();
            let number = (1..=METAS).find(|number| leader.as_deref() == Some(&*raft_address(*number)));
            let number = number.ok_or_else(|| Violation::new("the cluster forms", "nobody leads"))?;
            gone.push(Host(number - 1));
        }
        if self.unseen {
            rests.store(true, Ordering::Relaxed);
            world.run_for(SLOW * 2)?;
        }
        let struck = world.time().now();
        for fault in Self::fault(plan.seed, &gone) {
            world.inflict(fault, AWAY);
        }
        world.run_while(struck + UNSEEN, |_| Ok(()))?;
        rests.store(false, Ordering::Relaxed);
        let ends = struck + AWAY - Duration::from_millis(100);
        world.run_while(ends, |_| Ok(()))?;
        // What goes on being written to is never the same everywhere.
        rests.store(true, Ordering::Relaxed);
        probes.iter().try_for_each(|probe| self.judge(&probe.seen.lock(), struck, ends))?;
        cluster.heal_and_judge()
    }
}
