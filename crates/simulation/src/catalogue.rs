//! The catalogue in the place of meta nodes: one machine that answers their calls and forgets nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use skywatch_meta::{Applied, Catalogue, CatalogueError, Command, Lease, NodeId};
use skywatch_rpc::{Failure, Router};
use tokio::{sync::watch, time::Instant};

use crate::{Machine, Program};

/// The longest a `meta.watch` waits.
const WAIT_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
struct WatchQuestion {
    index: u64,
    wait_ms: u64,
}

#[derive(Debug, Serialize)]
struct WatchAnswer {
    index: u64,
    age_ms: u64,
    leader: String,
    catalogue: Option<Catalogue>,
}

#[derive(Debug, Deserialize)]
struct ExecuteQuestion {
    command: Command,
}

#[derive(Debug, Serialize)]
struct ExecuteAnswer {
    index: u64,
    applied: Option<Applied>,
    refused: Option<CatalogueError>,
}

#[derive(Debug, Deserialize)]
struct LeaseQuestion {
    name: String,
    owner: NodeId,
    duration_ms: u64,
}

#[derive(Debug, Serialize)]
struct LeaseAnswer {
    granted: bool,
    lease: Lease,
}

/// See the module's header. What it keeps outlives its process.
#[derive(Debug)]
pub struct CatalogueService {
    address: String,
    kept: Mutex<(u64, Catalogue)>,
    index: watch::Sender<u64>,
    /// A planted bug: nobody is ever noted to be behind.
    deaf_to_marks: bool,
}

impl CatalogueService {
    /// Keeps what the commands make, and answers at an address.
    ///
    /// # Panics
    /// If a command is refused.
    pub fn new(address: &str, commands: &[Command], deaf_to_marks: bool) -> Arc<Self> {
        let mut catalogue = Catalogue::default();
        for command in commands {
            if let Err(refusal) = catalogue.apply(command) {
                panic!("{command:?} is refused: {refusal}");
            }
        }
        let index = commands.len() as u64;
        let (kept, index) = (Mutex::new((index, catalogue)), watch::Sender::new(index));
        Arc::new(Self { address: address.to_owned(), kept, index, deaf_to_marks })
    }

    /// The catalogue as of now.
    pub fn current(&self) -> Catalogue {
        self.kept.lock().1.clone()
    }

    async fn watch(&self, question: WatchQuestion) -> WatchAnswer {
        let wait = Duration::from_millis(question.wait_ms).min(WAIT_MAX);
        let mut changes = self.index.subscribe();
        let newer = changes.wait_for(|index| *index > question.index);
        drop(tokio::time::timeout(wait, newer).await);
        let (index, catalogue) = &*self.kept.lock();
        let catalogue = (*index > question.index).then(|| catalogue.clone());
        WatchAnswer { index: *index, age_ms: 0, leader: self.address.clone(), catalogue }
    }

    fn execute(&self, command: &Command) -> ExecuteAnswer {
        let (index, result) = {
            let (index, catalogue) = &mut *self.kept.lock();
            *index += 1;
            let ignores = self.deaf_to_marks && matches!(command, Command::MarkBehind { .. });
            (*index, if ignores { Ok(Applied::default()) } else { catalogue.apply(command) })
        };
        self.index.send_replace(index);
        let (applied, refused) = match result {
            Ok(applied) => (Some(applied), None),
            Err(refusal) => (None, Some(refusal)),
        };
        ExecuteAnswer { index, applied, refused }
    }

    fn lease(&self, watcher: &LeaseWatcher, question: LeaseQuestion) -> Result<LeaseAnswer, Failure> {
        let LeaseQuestion { name, owner, duration_ms } = question;
        let known = self.kept.lock().1.lease(&name).cloned();
        let unrenewed = known.and_then(|lease| watcher.unrenewed(&lease));
        let answer = self.execute(&Command::AcquireLease { name, owner, duration_ms, unrenewed });
        let lease = answer.applied.and_then(|applied| applied.lease);
        let lease = lease.ok_or_else(|| Failure::internal("the catalogue gives no lease"))?;
        watcher.look_at(&lease);
        Ok(LeaseAnswer { granted: lease.owner == owner, lease })
    }
}

/// Since when leases stand as they do, by this process' own clock.
#[derive(Debug, Default)]
struct LeaseWatcher(Mutex<BTreeMap<String, (u64, Instant)>>);

impl LeaseWatcher {
    fn look_at(&self, lease: &Lease) -> Duration {
        let mut seen = self.0.lock();
        let now = Instant::now();
        let entry = seen.entry(lease.name.clone()).or_insert((lease.renewals, now));
        if entry.0 != lease.renewals {
            *entry = (lease.renewals, now);
        }
        now - entry.1
    }

    /// The count at which a lease has stood for as long as it lasts.
    fn unrenewed(&self, lease: &Lease) -> Option<u64> {
        let stood = self.look_at(lease);
        (stood >= Duration::from_millis(lease.duration_ms)).then_some(lease.renewals)
    }
}

/// The service as a program.
#[derive(Debug)]
pub struct CatalogueProgram(pub Arc<CatalogueService>);

#[async_trait]
impl Program for CatalogueProgram {
    async fn boot(&self, _machine: Machine) -> Result<Vec<(String, Router)>, String> {
        let watcher = Arc::new(LeaseWatcher::default());
        let [watching, executing, leasing] = [(); 3].map(|()| Arc::clone(&self.0));
        let router = Router::new()
            .on("meta.watch", move |question: WatchQuestion, _| {
                let service = Arc::clone(&watching);
                async move { Ok((service.watch(question).await, Bytes::new())) }
            })
            .on("meta.execute", move |question: ExecuteQuestion, _| {
                let service = Arc::clone(&executing);
                async move { Ok((service.execute(&question.command), Bytes::new())) }
            })
            .on("meta.lease", move |question: LeaseQuestion, _| {
                let (service, watcher) = (Arc::clone(&leasing), Arc::clone(&watcher));
                async move { Ok((service.lease(&watcher, question)?, Bytes::new())) }
            });
        Ok(vec![(self.0.address.clone(), router)])
    }

    fn crashed(&self) {}
}
