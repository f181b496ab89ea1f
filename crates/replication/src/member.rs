//! A data node as a member of its cluster: what its parts share, the calls it answers, and what it does by itself.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use skywatch_meta::NodeId;
use skywatch_model::{Clock, WallClock};
use skywatch_rpc::{Failure, FailureKind, Router, Transport, tell};
use skywatch_storage::{
    Store,
    fs::{Fs, FsError},
};
use tokio::time::Instant;

use crate::{
    Doubts,
    calls::{
        APPLY, ApplyAnswer, ApplyOutcome, ApplyQuestion, HELLO, HelloAnswer, HelloQuestion, REACH,
        ReachAnswer, ReachQuestion, split,
    },
    catalogues::Catalogues,
    coordinator::Coordinator,
    handoff::Handoff,
    hints::{HintSettings, Hints},
    offload,
    operation::decode,
    owner::{Admission, Owner},
    standing::{Standing, TRUST},
};

/// Most operations of one call.
const OPERATIONS_MAX: usize = 100_000;
/// How long to wait for the catalogue where a caller asks for its state.
const REACH_LIMIT: Duration = Duration::from_millis(450);
/// How long others may take to hear that this node is back.
const HELLO_LIMIT: Duration = Duration::from_millis(1_000);
/// How often a node looks whether it is whole.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// How a node takes part.
#[derive(Debug, Clone)]
pub struct MemberSettings {
    /// How long an owner that is in step is waited for.
    pub patience: Duration,
    /// How hints are kept.
    pub hints: HintSettings,
}

impl Default for MemberSettings {
    fn default() -> Self {
        Self { patience: Duration::from_secs(2), hints: HintSettings::default() }
    }
}

/// Until when a node knows that nothing is kept for it elsewhere.
#[derive(Debug, Default)]
struct Wholeness(Mutex<Option<Instant>>);

impl Wholeness {
    fn is_known(&self) -> bool {
        self.0.lock().is_some_and(|until| Instant::now() < until)
    }

    fn holds_until(&self, until: Instant) {
        *self.0.lock() = Some(until);
    }

    fn ends(&self) {
        *self.0.lock() = None;
    }
}

/// What a member is made of.
#[derive(Debug)]
pub struct Parts {
    /// Its number.
    pub me: NodeId,
    /// Its shards.
    pub store: Arc<Store>,
    /// Hands out its versions.
    pub clock: Arc<Clock>,
    /// The time of day.
    pub wall: Arc<dyn WallClock>,
    /// Its disk, for hints.
    pub fs: Arc<dyn Fs>,
    /// How it reaches others.
    pub transport: Arc<dyn Transport>,
    /// The catalogue.
    pub catalogues: Arc<dyn Catalogues>,
    /// Limits of databases.
    pub admission: Arc<dyn Admission>,
}

/// See the module's header.
#[derive(Debug)]
pub struct Member {
    me: NodeId,
    owner: Arc<Owner>,
    catalogues: Arc<dyn Catalogues>,
    transport: Arc<dyn Transport>,
    hints: Arc<Hints>,
    standing: Arc<Standing>,
    coordinator: Coordinator,
    handoff: Arc<Handoff>,
    wholeness: Wholeness,
    doubts: std::sync::OnceLock<Arc<Doubts>>,
}

impl Member {
    /// Opens the hints below `hints_dir`. Nothing is sent before [`Self::run`].
    pub fn open(parts: Parts, hints_dir: &Path, settings: MemberSettings) -> Result<Arc<Self>, FsError> {
        let Parts { me, store, clock, wall, fs, transport, catalogues, admission } = parts;
        let hints = Arc::new(Hints::open(fs, hints_dir, Arc::clone(&wall), settings.hints)?);
        let owner = Arc::new(Owner::new(me, store, clock, wall, admission));
        let standing = Arc::new(Standing::new(me, Arc::clone(&catalogues), Arc::clone(&transport)));
        let coordinator = Coordinator {
            me,
            owner: Arc::clone(&owner),
            catalogues: Arc::clone(&catalogues),
            transport: Arc::clone(&transport),
            hints: Arc::clone(&hints),
            standing: Arc::clone(&standing),
            patience: settings.patience,
        };
        let handoff = Arc::new(Handoff::new(
            Arc::clone(&catalogues),
            Arc::clone(&transport),
            Arc::clone(&hints),
            Arc::clone(&standing),
        ));
        let member = Self {
            me,
            owner,
            catalogues,
            transport,
            hints,
            standing,
            coordinator,
            handoff,
            wholeness: Wholeness::default(),
            doubts: std::sync::OnceLock::new(),
        };
        member.restore();
        Ok(Arc::new(member))
    }

    /// Whoever hints wait for is behind, whatever else is known; and whoever the catalogue says is behind because of this
    /// node stays so until it has been looked at.
    fn restore(&self) {
        let catalogue = self.catalogues.current();
        let is_marked = |node: NodeId| {
            catalogue.behind().iter().any(|behind| behind.node == node && behind.holder == self.me)
        };
        for (node, _) in self.hints.queues() {
            if self.hints.waiting_for(node).is_some() {
                self.standing.restore(node, is_marked(node));
            }
        }
        for behind in catalogue.behind().iter().filter(|behind| behind.holder == self.me) {
            self.standing.restore(behind.node, true);
        }
    }

    /// Its number.
    pub const fn id(&self) -> NodeId {
        self.me
    }

    /// The catalogue.
    pub fn catalogues(&self) -> &Arc<dyn Catalogues> {
        &self.catalogues
    }

    /// How it reaches others.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    /// Its shards.
    pub fn store(&self) -> &Arc<Store> {
        self.owner.store()
    }

    /// Applies operations here.
    pub const fn owner(&self) -> &Arc<Owner> {
        &self.owner
    }

    /// Writes to all owners.
    pub const fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    /// What is kept for others.
    pub const fn hints(&self) -> &Arc<Hints> {
        &self.hints
    }

    /// Who gets operations at once.
    pub const fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// Delivers what is kept.
    pub const fn handoff(&self) -> &Arc<Handoff> {
        &self.handoff
    }

    /// The calls it answers about operations.
    pub fn router(self: &Arc<Self>) -> Router {
        let (applying, greeted, reaching) = (Arc::clone(self), Arc::clone(self), Arc::clone(self));
        Router::new()
            .on(APPLY, move |_: ApplyQuestion, body: Bytes| {
                let member = Arc::clone(&applying);
                async move { Ok((member.apply(&body)?, Bytes::new())) }
            })
            .on(HELLO, move |question: HelloQuestion, _| {
                let member = Arc::clone(&greeted);
                async move { Ok((member.greeted(question.node), Bytes::new())) }
            })
            .on(REACH, move |question: ReachQuestion, _| {
                let member = Arc::clone(&reaching);
                async move {
                    let reached = member.catalogues.reach(question.index, REACH_LIMIT).await;
                    Ok((ReachAnswer { reached }, Bytes::new()))
                }
            })
    }

    fn apply(&self, body: &Bytes) -> Result<ApplyAnswer, Failure> {
        let invalid = |error: skywatch_storage::wire::Malformed| Failure::new(FailureKind::Invalid, error);
        let operations = split(body).map_err(invalid)?;
        if operations.len() > OPERATIONS_MAX {
            let text = format!("{} operations in one call, {OPERATIONS_MAX} are the most", operations.len());
            return Err(Failure::new(FailureKind::Invalid, text));
        }
        let catalogue = self.catalogues.current();
        let apply = |bytes: Bytes| {
            let operation = decode(&bytes).map_err(invalid)?;
            self.owner.apply(&catalogue, &operation).map_err(Failure::from)
        };
        let outcome = |bytes| match apply(bytes) {
            Ok(report) => ApplyOutcome::Stored(report),
            Err(failure) => ApplyOutcome::Failed(failure),
        };
        Ok(offload(|| ApplyAnswer { outcomes: operations.into_iter().map(outcome).collect() }))
    }

    fn greeted(&self, node: NodeId) -> HelloAnswer {
        match self.hints.waiting_for(node) {
            Some(queue) => {
                queue.filled.notify_one();
                HelloAnswer { waiting: queue.stats().entries.max(1) }
            }
            None => HelloAnswer { waiting: u64::from(self.standing.is_behind(node)) },
        }
    }

    /// Whether this node holds everything that was acknowledged for its shards, so that queries may be answered from them.
    /// Those that are still joining are another matter.
    pub fn is_whole(&self) -> bool {
        self.wholeness.is_known() && !self.catalogues.current().is_behind(self.me)
    }

    /// As [`Self::is_whole`], of one shard: nothing of it may have got lost here either.
    pub fn holds(&self, shard: u64) -> bool {
        self.is_whole() && self.doubts.get().is_none_or(|doubts| !doubts.has(shard))
    }

    /// Who knows of which shards something may have got lost; only the first one counts.
    pub(crate) fn doubt(&self, doubts: Arc<Doubts>) {
        drop(self.doubts.set(doubts));
    }

    /// Finds out again and again whether this node is whole, until the future is dropped.
    ///
    /// Who keeps something for it has said so in the catalogue, if there were meta nodes to tell; and otherwise says so when
    /// it is asked. A node that has been away, or is cut off from the meta nodes, therefore asks everybody.
    pub async fn watch_wholeness(&self) {
        let mut has_asked = false;
        loop {
            let asked = Instant::now();
            let is_fresh = self.catalogues.age().is_some_and(|age| age < TRUST);
            if !has_asked || !is_fresh {
                let (waiting, silent) = self.greet().await;
                if waiting == 0 && (silent == 0 || is_fresh) {
                    has_asked = true;
                    self.wholeness.holds_until(asked + TRUST);
                } else if waiting > 0 {
                    self.wholeness.ends();
                }
            } else {
                self.wholeness.holds_until(asked + TRUST - self.catalogues.age().unwrap_or_default());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Tells the other data nodes that this one is back, so that what waits for it comes at once. Returns how many
    /// operations wait, and how many nodes have not answered.
    pub async fn greet(&self) -> (u64, usize) {
        let catalogue = self.catalogues.current();
        let question = HelloQuestion { node: self.me };
        let others = catalogue.data_nodes().iter().filter(|node| node.id != self.me);
        let asked = others.map(|node| async {
            let answer: Result<HelloAnswer, _> =
                tell(&*self.transport, &node.tcp_addr, HELLO, &question, HELLO_LIMIT).await;
            answer.map(|answer| answer.waiting)
        });
        let answers = futures_util::future::join_all(asked).await;
        let silent = answers.iter().filter(|answer| answer.is_err()).count();
        (answers.into_iter().flatten().sum(), silent)
    }

    /// Delivers hints until the future is dropped.
    pub async fn run(self: &Arc<Self>) {
        let mut served = std::collections::BTreeSet::new();
        let mut serving = futures_util::stream::FuturesUnordered::new();
        let mut changes = self.catalogues.changes();
        loop {
            let catalogue = self.catalogues.current();
            let named = catalogue.data_nodes().iter().map(|node| node.id).filter(|node| *node != self.me);
            let known = self.hints.queues().into_iter().map(|(node, _)| node);
            for node in named.chain(known).collect::<std::collections::BTreeSet<_>>() {
                if served.contains(&node) {
                    continue;
                }
                match offload(|| self.hints.queue(node)) {
                    Ok(queue) => {
                        served.insert(node);
                        let handoff = Arc::clone(&self.handoff);
                        serving.push(async move {
                            handoff.serve(node, queue).await;
                            node
                        });
                    }
                    Err(error) => tracing::error!(node = node.0, %error, "cannot open the queue of hints"),
                }
            }
            tokio::select! {
                Some(node) = futures_util::StreamExt::next(&mut serving), if !serving.is_empty() => {
                    served.remove(&node);
                }
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }
}
