//! Anti-entropy: owners of a shard compare what they have, again and again, and fetch what they lack.
//!
//! Every owner compares each of its shards with the other owners ([`pull`]) once an interval, one shard at a time, and at
//! once where there is reason to: a shard that is missing or damaged here, one that this node is joining, one that another
//! owner or an operator names. What a node fetches is what wins elsewhere, with its versions, so that it does not matter
//! who fetches what from whom, nor how often.
//!
//! Until it has been compared, a shard of which something may be lost is in [doubt](Doubts): queries go to other owners.

mod answer;
pub mod calls;
mod compare;
mod doubts;
mod fields;
mod fill;
mod ledger;
mod look;
mod pull;
mod settle;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use skywatch_meta::{Command, NodeId};
use skywatch_rpc::Router;
use skywatch_storage::fs::{Fs, FsError};
use tokio::{sync::Notify, time::Instant};

pub use calls::{RepairStatus, ShardStatus};
pub use doubts::Doubts;

use crate::{
    Member,
    copy::{self, Copies, CopyQuestion},
    place::Place,
    rate::Rate,
};
use doubts::owned_with_others;
use fill::Filler;
use ledger::{Ledger, Trouble};
use look::Verdict;

/// How soon a shard that could not be repaired is tried again, if it is missing, damaged or joining.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// How replicas are compared.
#[derive(Debug, Clone)]
pub struct EntropySettings {
    /// Whether shards are compared unasked. What is missing, damaged or joining is repaired in any case.
    pub enabled: bool,
    /// How often each shard is compared.
    pub check_interval: Duration,
    /// The most that is fetched and read, in bytes a second; 0 for no limit.
    pub bytes_per_sec: u64,
    /// Whether shards that are missing here are copied from other owners.
    pub auto_repair_missing: bool,
    /// Spreads the beginnings of rounds of different nodes.
    pub seed: u64,
}

impl Default for EntropySettings {
    fn default() -> Self {
        Self {
            enabled: true,
            check_interval: Duration::from_secs(300),
            bytes_per_sec: 64 << 20,
            auto_repair_missing: true,
            seed: 0,
        }
    }
}

/// What has been done since the start; `ae` in statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EntropyStats {
    /// Bytes fetched from other owners.
    pub bytes_rx: u64,
    /// Comparisons that failed.
    pub errors: u64,
    /// Shards compared, or repaired.
    pub jobs: u64,
    /// Shards that are now.
    pub jobs_active: u64,
    /// Cells, deletes and fields taken in.
    pub taken: u64,
    /// Shards that are not known to be alike at all owners.
    pub differing: u64,
    /// Shards that queries about go to other owners.
    pub doubted: u64,
}

#[derive(Debug, Default)]
struct Counters {
    bytes_rx: AtomicU64,
    errors: AtomicU64,
    jobs: AtomicU64,
    taken: AtomicU64,
}

/// See the module's header.
#[derive(Debug)]
pub struct Entropy {
    member: Arc<Member>,
    settings: EntropySettings,
    doubts: Arc<Doubts>,
    copies: Arc<Copies>,
    ledger: Mutex<Ledger>,
    rate: Rate,
    counters: Counters,
    wake: Notify,
    random: Mutex<StdRng>,
    /// Whether somebody counts on what this round finds.
    is_thorough: AtomicBool,
    /// From whom shards are to be copied, where somebody has said so.
    sources: Mutex<BTreeMap<u64, String>>,
    /// When owners were told that they lack something of a shard.
    told: Mutex<BTreeMap<(u64, NodeId), Instant>>,
    /// Gaps of other nodes: the round that was asked for.
    fills: Mutex<BTreeMap<NodeId, u64>>,
}

impl Entropy {
    /// Finds out what is in doubt after a start; nothing is compared before [`Self::run`]. What it keeps goes to `dir`.
    pub fn open(
        member: Arc<Member>,
        fs: Arc<dyn Fs>,
        dir: &Path,
        settings: EntropySettings,
    ) -> Result<Arc<Self>, FsError> {
        let catalogue = member.catalogues().current();
        let doubts = Arc::new(Doubts::open(fs, dir, member.store(), &catalogue, member.id())?);
        member.doubt(Arc::clone(&doubts));
        let entropy = Arc::new(Self {
            copies: Copies::new(Arc::clone(&member)),
            doubts,
            ledger: Mutex::default(),
            rate: Rate::new(settings.bytes_per_sec),
            counters: Counters::default(),
            wake: Notify::new(),
            random: Mutex::new(StdRng::seed_from_u64(settings.seed)),
            is_thorough: AtomicBool::new(false),
            sources: Mutex::default(),
            told: Mutex::default(),
            fills: Mutex::default(),
            member,
            settings,
        });
        entropy.member.handoff().fill_gaps_with(Arc::new(Filler(Arc::downgrade(&entropy))));
        Ok(entropy)
    }

    /// All calls about comparing and copying.
    pub fn all_routes(self: &Arc<Self>) -> Router {
        let (starting, killing) = (Arc::clone(self), Arc::clone(self));
        self.router()
            .and(self.copies.router())
            .and(self.settle_router())
            .on(copy::START, move |question: CopyQuestion, _| {
                let done = starting.copy_from(question.shard, question.source);
                let trouble = starting.copies.trouble(question.shard);
                async move { Ok((copy::StartAnswer { done, trouble }, Bytes::new())) }
            })
            .on(copy::KILL, move |question: CopyQuestion, _| {
                let entropy = Arc::clone(&killing);
                async move {
                    let done = entropy.kill_copy(question.shard).await;
                    Ok((copy::DoneAnswer { done }, Bytes::new()))
                }
            })
    }

    /// Copies under way.
    pub const fn copies(&self) -> &Arc<Copies> {
        &self.copies
    }

    /// Shards in doubt.
    pub const fn doubts(&self) -> &Arc<Doubts> {
        &self.doubts
    }

    /// What has been done so far.
    pub fn stats(&self) -> EntropyStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { bytes_rx, errors, jobs, taken } = &self.counters;
        let ledger = self.ledger.lock();
        EntropyStats {
            bytes_rx: read(bytes_rx) + self.copies.bytes_rx(),
            errors: read(errors),
            jobs: read(jobs),
            taken: read(taken),
            jobs_active: ledger.processing().len() as u64,
            differing: ledger.troubles().count() as u64,
            doubted: self.doubts.all().len() as u64,
        }
    }

    /// Shards that are not alike at all owners as far as this node knows, those that wait, and those under way.
    pub fn status(&self) -> RepairStatus {
        let catalogue = self.member.catalogues().current();
        let ledger = self.ledger.lock();
        let shard = |(id, trouble, is_processing, reason): (u64, Trouble, bool, &str)| {
            let place = Place::of(&catalogue, id)?;
            let status = match trouble {
                _ if is_processing => "repairing",
                Trouble::Differs => "diff",
                Trouble::Missing => "missing",
            };
            Some(ShardStatus {
                id,
                database: place.database.to_owned(),
                retention_policy: place.policy.name.clone(),
                start_time: place.group.start_ns,
                end_time: place.group.end_ns,
                expires: place.expires_ns(),
                status: status.to_owned(),
                reason: reason.to_owned(),
            })
        };
        RepairStatus {
            shards: ledger.troubles().filter_map(shard).collect(),
            queued_shards: ledger.queued(),
            processing_shards: ledger.processing(),
        }
    }

    /// Has a shard compared and repaired next; whether it was not waiting already.
    pub fn repair(&self, shard: u64) -> bool {
        let queued = self.ledger.lock().enqueue(shard);
        self.wake.notify_one();
        queued
    }

    /// Takes a shard out of the queue, and ends its repair; whether there was anything to end.
    pub fn kill_repair(&self, shard: u64) -> bool {
        self.ledger.lock().kill(shard)
    }

    /// Has a shard that this node is joining copied, from the node at `source` if that can be.
    pub fn copy_from(&self, shard: u64, source: String) -> bool {
        if !source.is_empty() {
            self.sources.lock().insert(shard, source);
        }
        self.repair(shard)
    }

    /// Ends the copy of a shard to this node. If it was joining, it gives the shard up.
    pub async fn kill_copy(&self, shard: u64) -> bool {
        let was_running = self.kill_repair(shard);
        let catalogue = self.member.catalogues().current();
        let me = self.member.id();
        let Some(found) = catalogue.live_shard(shard).filter(|found| found.joining.contains(&me)) else {
            return was_running;
        };
        if found.owners.len() < 2 {
            return was_running;
        }
        let at_ns = i64::try_from(self.member.owner().now_ms() * 1_000_000).unwrap_or(i64::MAX);
        let command = Command::RemoveShardOwner { shard, node: me, at_ns };
        match self.member.catalogues().execute(&command).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(shard, %error, "the catalogue cannot be told that a copy was ended");
                was_running
            }
        }
    }

    /// Whether everything that was acknowledged for a shard is here.
    pub fn vouches_for(&self, shard: u64) -> bool {
        self.member.holds(shard) && !self.is_joining(shard)
    }

    /// Whether this node and others own a shard.
    pub fn compares(&self, shard: u64) -> bool {
        let catalogue = self.member.catalogues().current();
        let me = self.member.id();
        catalogue.live_shard(shard).is_some_and(|shard| shard.is_owned_by(me) && shard.owners.len() > 1)
    }

    /// Whether somebody has ended what is being done to a shard, or it is this node's no more.
    fn is_killed(&self, shard: u64) -> bool {
        self.ledger.lock().is_killed(shard) || !self.compares(shard)
    }

    /// Compares and repairs until the future is dropped.
    pub async fn run(&self) {
        let first = self.random.lock().random_range(0.1..1.0);
        let mut next_round = Instant::now() + self.settings.check_interval.mul_f64(first);
        let mut changes = self.member.catalogues().changes();
        loop {
            self.follow();
            self.look_at_queue().await;
            self.look_at_suspects().await;
            let is_due = self.settings.enabled && Instant::now() >= next_round;
            if is_due || self.ledger.lock().is_round_asked() || !self.orphaned_marks().is_empty() {
                self.round().await;
                let spread = self.random.lock().random_range(0.9..1.1);
                next_round = Instant::now() + self.settings.check_interval.mul_f64(spread);
            }
            let patience = if self.suspects().is_empty() { self.settings.check_interval } else { TRY_AGAIN };
            let mut wake_at = Instant::now() + patience;
            if self.settings.enabled {
                wake_at = wake_at.min(next_round);
            }
            tokio::select! {
                () = tokio::time::sleep_until(wake_at) => {}
                () = self.wake.notified() => {}
                () = self.doubts.added.notified() => {}
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }

    fn follow(&self) {
        let catalogue = self.member.catalogues().current();
        let me = self.member.id();
        if let Err(error) = self.doubts.follow(self.member.store(), &catalogue, me) {
            tracing::error!(%error, "what shards there are cannot be noted");
        }
        let is_mine = |id: u64| catalogue.live_shard(id).is_some_and(|shard| shard.is_owned_by(me));
        self.ledger.lock().retain(is_mine);
        self.sources.lock().retain(|shard, _| is_mine(*shard));
        let suspects = self.suspects();
        if let Err(error) = self.copies.retain(|shard| suspects.contains(&shard)) {
            tracing::error!(%error, "what arrived of copies that nobody wants any more cannot be removed");
        }
    }

    async fn look_at_queue(&self) {
        loop {
            let next = self.ledger.lock().dequeue();
            let Some(shard) = next else { return };
            self.look_at(shard).await;
        }
    }

    /// Shards that are joining here, or in doubt.
    fn suspects(&self) -> Vec<u64> {
        let catalogue = self.member.catalogues().current();
        let me = self.member.id();
        let is_suspect = |shard: &&skywatch_meta::Shard| {
            shard.is_owned_by(me)
                && shard.owners.len() > 1
                && (shard.joining.contains(&me) || self.doubts.has(shard.id))
        };
        catalogue.live_shards().filter(is_suspect).map(|shard| shard.id).collect()
    }

    async fn look_at_suspects(&self) {
        for shard in self.suspects() {
            self.look_at(shard).await;
            self.look_at_queue().await;
        }
    }

    /// Every shard once. One that was asked for is done in one go and leaves nothing out.
    async fn round(&self) {
        let (round, was_asked) = {
            let mut ledger = self.ledger.lock();
            let was_asked = ledger.is_round_asked();
            (ledger.begin_round(), was_asked)
        };
        let orphaned = self.orphaned_marks();
        let is_thorough = was_asked || !orphaned.is_empty();
        self.is_thorough.store(is_thorough, Ordering::Relaxed);
        let catalogue = self.member.catalogues().current();
        let shards: Vec<u64> = owned_with_others(&catalogue, self.member.id()).collect();
        let mut all_alike = true;
        for shard in shards {
            // What is kept for a node that is behind comes by itself.
            if !is_thorough && (self.is_somebody_behind(shard) || self.is_log_ahead(shard)) {
                all_alike = false;
                continue;
            }
            let is_alike = self.look_at(shard).await == Verdict::Alike;
            if is_alike {
                self.settle(shard).await;
            }
            all_alike &= is_alike;
            self.look_at_queue().await;
        }
        self.is_thorough.store(false, Ordering::Relaxed);
        self.ledger.lock().end_round(round, all_alike);
        if all_alike {
            self.clear_marks(orphaned).await;
        }
    }

    /// Marks that say that this node is behind, and whose holder is no more: what it kept is lost, and other owners have
    /// it. With the number of each.
    fn orphaned_marks(&self) -> Vec<(NodeId, Option<u64>)> {
        let catalogue = self.member.catalogues().current();
        let me = self.member.id();
        let marks = catalogue.behind().iter().filter(|behind| behind.node == me);
        let orphaned = marks.filter(|behind| catalogue.data_node(behind.holder).is_none());
        orphaned.map(|behind| (behind.holder, catalogue.behind_mark(me, behind.holder))).collect()
    }

    async fn clear_marks(&self, marks: Vec<(NodeId, Option<u64>)>) {
        for (holder, mark) in marks {
            let command = Command::ClearBehind { node: self.member.id(), holder, mark };
            if let Err(error) = self.member.catalogues().execute(&command).await {
                tracing::warn!(%error, "the catalogue cannot be told that this node has caught up");
            }
        }
    }

    /// Whether an owner has not applied as much of the log as others, as far as is known: what it lacks comes by itself.
    fn is_log_ahead(&self, shard: u64) -> bool {
        let Some((log, partition)) = self.member.log_of(shard) else { return false };
        let catalogue = self.member.catalogues().current();
        let owners = catalogue.live_shard(shard).map(|shard| shard.owners.clone()).unwrap_or_default();
        log.is_none_or(|log| owners.into_iter().any(|owner| !log.is_fresh_at(owner, partition)))
    }

    fn is_somebody_behind(&self, shard: u64) -> bool {
        let catalogue = self.member.catalogues().current();
        let owners = catalogue.live_shard(shard).map(|shard| shard.owners.clone()).unwrap_or_default();
        owners.into_iter().any(|owner| catalogue.is_behind(owner))
    }
}
