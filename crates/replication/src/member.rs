//! A data node as a member of its cluster: what its parts share, the calls it answers, and what it does by itself.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use skywatch_meta::{Catalogue, NodeId};
use skywatch_model::{Clock, WallClock};
use skywatch_rpc::{Failure, FailureKind, Router, Transport, tell};
use skywatch_storage::{
    ShardId, Store,
    fs::{Fs, FsError},
};
use tokio::time::Instant;

use crate::{
    Doubts,
    calls::{
        APPLY, ApplyAnswer, ApplyOutcome, ApplyQuestion, HELLO, HelloAnswer, HelloQuestion, REACH, ROOM,
        ReachAnswer, ReachQuestion, RoomAnswer, RoomQuestion, split,
    },
    catalogues::Catalogues,
    coordinator::Coordinator,
    floors::Floors,
    handoff::Handoff,
    heartbeat::Assurances,
    hints::{HintSettings, Hints},
    listing::{LIST_SHARDS, list},
    log::LogPath,
    offload,
    offload::offload_quietly,
    owner::{Admission, Owner, Report},
    standing::{RETELL_EVERY, Standing, TRUST},
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
    /// How long a node may not answer before nobody waits for it any more.
    pub suspect_after: Duration,
    /// Whether an operation is tried at once at an owner for which others still wait. It may take it before them; which of two
    /// values of a cell counts does not depend on that.
    pub allow_out_of_order_writes: bool,
    /// How hints are kept.
    pub hints: HintSettings,
    /// When deletes are forgotten.
    pub forget: ForgetSettings,
}

/// When deletes that all owners have carried out are forgotten; see [`crate::entropy`].
#[derive(Debug, Clone, Copy)]
pub struct ForgetSettings {
    /// How long they are remembered at least; 0 for ever.
    pub after: Duration,
    /// Fewer of a shard are no burden, however old.
    pub at_least: u64,
    /// A mistake for simulations to find: nobody is asked first.
    pub unasked: bool,
}

impl Default for ForgetSettings {
    fn default() -> Self {
        Self { after: Duration::from_secs(6 * 3600), at_least: 64, unasked: false }
    }
}

impl Default for MemberSettings {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(2),
            suspect_after: Duration::from_millis(600),
            allow_out_of_order_writes: false,
            hints: HintSettings::default(),
            forget: ForgetSettings::default(),
        }
    }
}

/// Until when a node knows something of itself.
#[derive(Debug, Default)]
struct Known(Mutex<Option<Instant>>);

impl Known {
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

/// What the other data nodes say to one that is back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Greeting {
    /// Operations that wait for it.
    pub waiting: u64,
    /// The most commands that a catalogue has seen.
    pub newest: u64,
    /// How many nodes have not answered.
    pub silent: usize,
}

/// What a member was asked to apply by others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// Operations.
    pub requests: u64,
    /// Points stored of them.
    pub points: u64,
    /// Operations that were not taken.
    pub failed: u64,
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
    doubts: std::sync::OnceLock<Arc<Doubts>>,
    /// The log that writes go through, if there is one.
    log: std::sync::OnceLock<Arc<LogPath>>,
    /// Operations applied for others, points of theirs, and those that were not taken.
    applied: [AtomicU64; 3],
    /// That nothing is kept for it elsewhere.
    wholeness: Known,
    /// That its catalogue is as good as any.
    currency: Known,
    /// That it is not behind whatever its catalogue says, as of the index that this had.
    caught_up: Known,
    caught_up_index: AtomicU64,
    /// What others have assured it of.
    assurances: Assurances,
    /// Operations that it is at work on.
    floors: Floors,
    forget: ForgetSettings,
}

impl Member {
    /// Opens the hints below `hints_dir`. Nothing is sent before [`Self::run`].
    pub fn open(parts: Parts, hints_dir: &Path, settings: MemberSettings) -> Result<Arc<Self>, FsError> {
        let Parts { me, store, clock, wall, fs, transport, catalogues, admission } = parts;
        let hints = Arc::new(Hints::open(fs, hints_dir, Arc::clone(&wall), settings.hints)?);
        let owner = Arc::new(Owner::new(me, store, clock, wall, admission));
        let reached = (Arc::clone(&catalogues), Arc::clone(&transport));
        let standing = Arc::new(Standing::new(me, reached.0, reached.1, settings.suspect_after));
        let coordinator = Coordinator {
            me,
            owner: Arc::clone(&owner),
            catalogues: Arc::clone(&catalogues),
            transport: Arc::clone(&transport),
            hints: Arc::clone(&hints),
            standing: Arc::clone(&standing),
            patience: settings.patience,
            allow_out_of_order_writes: settings.allow_out_of_order_writes,
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
            doubts: std::sync::OnceLock::new(),
            log: std::sync::OnceLock::new(),
            applied: Default::default(),
            wholeness: Known::default(),
            currency: Known::default(),
            caught_up: Known::default(),
            caught_up_index: AtomicU64::new(0),
            assurances: Assurances::new(Instant::now()),
            floors: Floors::default(),
            forget: settings.forget,
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
            match offload(|| self.hints.queue(behind.node)) {
                Ok(queue) => offload(|| queue.expect_kept()),
                Err(error) => tracing::error!(node = behind.node.0, %error, "cannot open the queue of hints"),
            }
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

    /// What others had it apply so far.
    pub fn applied(&self) -> Applied {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let [requests, points, failed] = &self.applied;
        Applied { requests: read(requests), points: read(points), failed: read(failed) }
    }

    /// The calls it answers about operations.
    pub fn router(self: &Arc<Self>) -> Router {
        let (applying, greeted, reaching) = (Arc::clone(self), Arc::clone(self), Arc::clone(self));
        let listing = Arc::clone(self.store());
        let roomy = Arc::clone(self);
        self.clock_router()
            .on(ROOM, move |question: RoomQuestion, _| {
                let refusal = roomy.owner.refuses_deletes(question.shard);
                async move { Ok((RoomAnswer { refusal }, Bytes::new())) }
            })
            .on(LIST_SHARDS, move |_: serde_json::Value, _| {
                let listed = offload(|| list(&listing));
                async move { Ok((listed, Bytes::new())) }
            })
            .on(APPLY, move |question: ApplyQuestion, body: Bytes| {
                let member = Arc::clone(&applying);
                async move { Ok((member.apply(&body, &question)?, Bytes::new())) }
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

    fn apply(&self, body: &Bytes, question: &ApplyQuestion) -> Result<ApplyAnswer, Failure> {
        let invalid = |error: skywatch_storage::wire::Malformed| Failure::new(FailureKind::Invalid, error);
        let operations = split(body).map_err(invalid)?;
        if operations.len() > OPERATIONS_MAX {
            let text = format!("{} operations in one call, {OPERATIONS_MAX} are the most", operations.len());
            return Err(Failure::new(FailureKind::Invalid, text));
        }
        let catalogue = self.catalogues.current();
        let apply = || self.owner.apply_all(&catalogue, &operations, &question.unseen);
        let results = if question.late { offload_quietly(apply) } else { offload(apply) };
        let [requests, points, failed] = &self.applied;
        let outcome = |result: Result<Report, Failure>| {
            requests.fetch_add(1, Ordering::Relaxed);
            match result {
                Ok(report) => {
                    points.fetch_add(report.written, Ordering::Relaxed);
                    ApplyOutcome::Stored(report)
                }
                Err(failure) => {
                    failed.fetch_add(1, Ordering::Relaxed);
                    ApplyOutcome::Failed(failure)
                }
            }
        };
        Ok(ApplyAnswer { outcomes: results.into_iter().map(outcome).collect() })
    }

    fn greeted(&self, node: NodeId) -> HelloAnswer {
        let waiting = match self.hints.waiting_for(node) {
            Some(queue) => {
                queue.filled.notify_one();
                queue.stats().entries.max(1)
            }
            None => u64::from(self.standing.is_behind(node)),
        };
        HelloAnswer { waiting, index: self.catalogues.index() }
    }

    /// Whether this node holds everything that was acknowledged for its shards, so that queries may be answered from them.
    /// Those that are still joining are another matter. Who has no catalogue that names it knows of nobody to ask, which is not
    /// to say that nobody keeps something for it.
    pub fn is_whole(&self) -> bool {
        if !self.wholeness.is_known() || !self.is_assured() {
            return false;
        }
        let catalogue = self.catalogues.current();
        catalogue.data_node(self.me).is_some()
            && (!catalogue.is_behind(self.me) || self.has_caught_up_unnoted())
    }

    /// Whether the others have assured this node lately that it is in step, or the catalogue is younger than that. To be looked at
    /// before the catalogue is.
    fn is_assured(&self) -> bool {
        let as_of = self.catalogues.age().and_then(|age| Instant::now().checked_sub(age));
        let catalogue = self.catalogues.current();
        let others = catalogue.data_nodes().iter().map(|node| node.id).filter(|node| *node != self.me);
        self.assurances.allow(others, as_of)
    }

    /// Operations that it is at work on.
    pub(crate) const fn floors(&self) -> &Floors {
        &self.floors
    }

    /// When deletes are forgotten.
    pub const fn forget(&self) -> &ForgetSettings {
        &self.forget
    }

    /// What others have assured this node of.
    pub(crate) const fn assurances(&self) -> &Assurances {
        &self.assurances
    }

    /// Whether everybody has said that nothing is kept for this node, and the catalogue could not be told so.
    fn has_caught_up_unnoted(&self) -> bool {
        self.caught_up.is_known() && self.caught_up_index.load(Ordering::SeqCst) == self.catalogues.index()
    }

    /// As [`Self::is_whole`], of one shard: nothing of it may have got lost here either.
    /// What goes through the log is here as far as the log has been applied, whatever waits for this node elsewhere.
    pub fn holds(&self, shard: u64) -> bool {
        let is_there = match self.log_of(shard) {
            Some((log, partition)) => log.is_some_and(|log| log.is_fresh(partition)),
            None => self.is_whole(),
        };
        is_there
            && self.doubts.get().is_none_or(|doubts| !doubts.has(shard) && !self.is_damaged(shard, doubts))
    }

    /// Whether damage has shown in a shard since it was opened, which puts it in doubt, if others own it too.
    fn is_damaged(&self, shard: u64, doubts: &Doubts) -> bool {
        if !self.store().shard(ShardId(shard)).is_some_and(|shard| shard.is_damaged()) {
            return false;
        }
        let catalogue = self.catalogues.current();
        let is_shared = catalogue.live_shard(shard).is_some_and(|shard| shard.owners.len() > 1);
        if is_shared && let Err(error) = offload(|| doubts.add(shard)) {
            tracing::error!(shard, %error, "it cannot be noted that a shard is in doubt");
        }
        is_shared
    }

    /// Writes go through this log from now on, where shard groups are made for it; only the first one counts.
    pub fn write_through(&self, log: Arc<LogPath>) {
        if let Some(doubts) = self.doubts.get() {
            log.doubt(Arc::clone(doubts));
        }
        drop(self.log.set(log));
    }

    /// The log that writes go through, if this node has one.
    pub fn log(&self) -> Option<&Arc<LogPath>> {
        self.log.get()
    }

    /// Of a shard that is written through the log, its partition; and the log, unless this node is not set to it.
    pub fn log_of(&self, shard: u64) -> Option<(Option<&Arc<LogPath>>, u32)> {
        let partition = LogPath::partition_of(&self.catalogues.current(), shard)?;
        Some((self.log(), partition))
    }

    /// Who knows of which shards something may have got lost; only the first one counts.
    pub(crate) fn doubt(&self, doubts: Arc<Doubts>) {
        self.owner.doubt(Arc::clone(&doubts));
        if let Some(log) = self.log.get() {
            log.doubt(Arc::clone(&doubts));
        }
        drop(self.doubts.set(doubts));
    }

    /// Whether this node's copy of the catalogue names every shard in which something was acknowledged, so that queries may
    /// be planned by it.
    pub fn is_current(&self) -> bool {
        self.currency.is_known()
    }

    /// Finds out again and again whether this node is whole and its catalogue current, until the future is dropped.
    ///
    /// Who keeps something for it has said so in the catalogue, if there were meta nodes to tell; and otherwise says so when
    /// it is asked. A node that has been away, or is cut off from the meta nodes, therefore asks everybody. So does one that
    /// hears from them again: who could not tell them anything either needs a moment to make up for it.
    pub async fn watch_wholeness(&self) {
        let mut has_asked = false;
        let mut fresh_since = None;
        loop {
            let asked = Instant::now();
            let age = self.catalogues.age().filter(|age| *age < TRUST);
            match age {
                Some(age) => {
                    fresh_since.get_or_insert(asked);
                    self.currency.holds_until(asked + TRUST - age);
                }
                None => (has_asked, fresh_since) = (false, None),
            }
            match age {
                Some(age) if has_asked => self.wholeness.holds_until(asked + TRUST - age),
                _ => {
                    let index = self.catalogues.index();
                    let greeting = self.greet().await;
                    let all_told = fresh_since.is_some_and(|since| since.elapsed() > RETELL_EVERY + TRUST);
                    let is_current = greeting.newest <= self.catalogues.index();
                    if greeting.silent == 0 && is_current {
                        self.currency.holds_until(asked + TRUST);
                    }
                    // Whoever marks it anew has the catalogue changed first, or waits until this has run out.
                    if age.is_none() && greeting.silent == 0 && greeting.waiting == 0 {
                        self.caught_up_index.store(index, Ordering::SeqCst);
                        self.caught_up.holds_until(asked + TRUST);
                    }
                    if greeting.waiting > 0 {
                        self.wholeness.ends();
                        self.caught_up.ends();
                    } else if is_current && (greeting.silent == 0 || all_told) {
                        has_asked = age.is_some();
                        self.wholeness.holds_until(asked + TRUST);
                    }
                }
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Returns when every data node that plans queries knows of what this one has changed in the catalogue, as far as they
    /// can be told.
    pub async fn spread_catalogue(&self) {
        self.standing.nudge(self.me).await;
    }

    /// As [`Self::spread_catalogue`], and whoever cannot be told plans no queries by what it knows any more: so that a
    /// query never misses a shard in which something was acknowledged.
    pub async fn make_catalogue_known(&self) {
        if !self.standing.nudge(self.me).await {
            tokio::time::sleep(TRUST).await;
        }
    }

    /// Tells the other data nodes that this one is back, so that what waits for it comes at once.
    pub async fn greet(&self) -> Greeting {
        let catalogue = self.catalogues.current();
        let question = HelloQuestion { node: self.me };
        let others = catalogue.data_nodes().iter().filter(|node| node.id != self.me);
        let asked = others.map(|node| async {
            tell(&*self.transport, &node.tcp_addr, HELLO, &question, HELLO_LIMIT).await
        });
        let answers: Vec<Result<HelloAnswer, _>> = futures_util::future::join_all(asked).await;
        let silent = answers.iter().filter(|answer| answer.is_err()).count();
        let answers = answers.into_iter().flatten();
        answers.fold(Greeting { silent, ..Greeting::default() }, |all, answer| Greeting {
            waiting: all.waiting + answer.waiting,
            newest: all.newest.max(answer.index),
            ..all
        })
    }

    /// A mark that this node set and does not remember, because it ended before it heard that the mark was made, is looked at
    /// by whoever delivers to that node.
    fn look_at_marks(&self, catalogue: &Catalogue) {
        let mine = catalogue.behind().iter().filter(|behind| behind.holder == self.me);
        for behind in mine.filter(|behind| !self.standing.is_behind(behind.node)) {
            if let Ok(queue) = offload(|| self.hints.queue(behind.node)) {
                queue.filled.notify_one();
            }
        }
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
            self.look_at_marks(&catalogue);
            tokio::select! {
                Some(node) = futures_util::StreamExt::next(&mut serving), if !serving.is_empty() => {
                    served.remove(&node);
                }
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }
}
