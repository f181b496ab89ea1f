//! Whoever changes the catalogue, remembers what was acknowledged, and holds what meta nodes show against it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use skywatch_meta::Command;
use skywatch_meta_node::data_calls::{Execute, Executed, Watch, Watched};
use skywatch_rpc::{CallError, Router, tell};

use super::http_address;
use crate::{Machine, Program, Violation, random::Random, stream};

/// Databases that were made, and what became of each.
#[derive(Debug, Default)]
struct Databases {
    asked: u64,
    /// Their names, and when they were acknowledged.
    acknowledged: Vec<(String, Duration)>,
    violation: Option<Violation>,
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Administrators {
    members: usize,
    count: u64,
    from: Duration,
    until: Duration,
    databases: Arc<Mutex<Databases>>,
}

impl Administrators {
    /// So many at once, from a time until another.
    pub(super) fn new(members: usize, count: u64, from: Duration, until: Duration) -> Arc<Self> {
        Arc::new(Self { members, count, from, until, databases: Arc::default() })
    }

    /// The names of databases that were acknowledged.
    pub(super) fn acknowledged(&self) -> Vec<String> {
        self.databases.lock().acknowledged.iter().map(|(name, _)| name.clone()).collect()
    }

    /// What a meta node showed that may not be, if one did.
    pub(super) fn seen(&self) -> Result<(), Violation> {
        self.databases.lock().violation.clone().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Program for Administrators {
    async fn boot(&self, machine: Machine) -> Result<Vec<(String, Router)>, String> {
        for number in 0..self.count {
            let administrator = Administrator {
                random: stream(machine.seed, &format!("administrator {number}")),
                members: self.members,
                until: self.until,
                databases: Arc::clone(&self.databases),
                machine: machine.clone(),
            };
            tokio::spawn(administrator.run(self.from));
        }
        Ok(Vec::new())
    }

    fn crashed(&self) {}
}

struct Administrator {
    random: Random,
    members: usize,
    until: Duration,
    databases: Arc<Mutex<Databases>>,
    machine: Machine,
}

impl Administrator {
    async fn run(mut self, from: Duration) {
        self.machine.time.sleep_until(from).await;
        while self.machine.time.now() < self.until {
            tokio::time::sleep(Duration::from_millis(self.random.between(1, 500))).await;
            let to = http_address(self.random.between(1, self.members as u64) as usize);
            if self.random.per_mille(300) { self.look(&to).await } else { self.create(&to).await }
        }
    }

    fn note(&self, text: String) {
        self.machine.trace.note(self.machine.time.now(), text);
    }

    async fn create(&mut self, to: &str) {
        let name = {
            let mut databases = self.databases.lock();
            databases.asked += 1;
            format!("db{}", databases.asked)
        };
        self.note(format!("database {name} through {to}"));
        let command = Command::CreateDatabase { name: name.clone(), policy: None };
        let question = Execute { command, forwarded: false };
        let within = Duration::from_millis(self.random.between(300, 4000));
        let answer: Result<Executed, CallError> =
            tell(&*self.machine.transport, to, "meta.execute", &question, within).await;
        match answer {
            Ok(Executed { refused: None, index, .. }) => {
                let now = self.machine.time.now();
                self.note(format!("database {name} is acknowledged at {index}"));
                self.databases.lock().acknowledged.push((name, now));
            }
            Ok(Executed { refused: Some(refusal), .. }) => {
                self.note(format!("database {name} is refused: {refusal}"));
            }
            Err(error) => self.note(format!("database {name} is not acknowledged: {error}")),
        }
    }

    /// A meta node says how old its catalogue may be: what was acknowledged before has to be in it.
    async fn look(&mut self, to: &str) {
        let began = self.machine.time.now();
        let question = Watch { index: 0, wait_ms: 0 };
        let within = Duration::from_millis(1_500);
        let answer: Result<Watched, _> =
            tell(&*self.machine.transport, to, "meta.watch", &question, within).await;
        let Ok(Watched { index, age_ms: Some(age_ms), catalogue: Some(catalogue), .. }) = answer else {
            return;
        };
        let before = began.saturating_sub(Duration::from_millis(age_ms));
        let mut databases = self.databases.lock();
        let old = databases.acknowledged.iter().filter(|(_, at)| *at < before);
        let missing = old.map(|(name, _)| name).find(|name| catalogue.database(name).is_none()).cloned();
        if let Some(name) = missing {
            let details = format!(
                "{to} shows a catalogue of {index} commands, {age_ms} ms old at most, to a question of {:.3} s, and \
                 database {name} is not in it",
                began.as_secs_f64()
            );
            let violation = Violation::new("a catalogue is as new as it says", details);
            databases.violation.get_or_insert(violation.about([format!("database {name} ")]));
        }
    }
}
