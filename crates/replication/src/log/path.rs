//! A data node's part in a cluster that writes through a log: what it sends, what it applies, and what it knows of how far it
//! is.
//!
//! Lock order: none of its locks is held while another is taken.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use skywatch_meta::{Catalogue, NodeId};
use skywatch_rpc::{Router, Transport};
use skywatch_storage::fs::{Fs, FsError};
use tokio::{sync::watch, time::Instant};

use super::{
    LagAnswer, PartitionLag, Position, PositionToken, WriteLog,
    calls::{POSITIONS, PositionsQuestion, REACH, ReachAnswer, ReachQuestion},
    positions::Positions,
    progress::Progress,
};
use crate::{Catalogues, Doubts, Member, owner::Owner};

/// Refusals that are remembered for who waits to hear of them.
const REFUSALS_MAX: usize = 1_024;
/// The longest that another node is waited for in one call.
const REACH_MS_MAX: u64 = 60_000;

/// How a node reads and serves what goes through the log.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// Queries are answered by who has everything that was acknowledged so long ago.
    pub freshness: Duration,
    /// How long a query waits for a position that it asks for.
    pub position_timeout: Duration,
    /// How long a delete waits until owners have applied it.
    pub delete_timeout: Duration,
    /// How often it is asked where the log ends.
    pub probe_every: Duration,
    /// How long one look at the log waits for something to come.
    pub patience: Duration,
    /// How long to wait before the next look when there was nothing.
    pub idle: Duration,
    /// Bytes of records that are applied together, about.
    pub batch_bytes: usize,
    /// How often it is noted on disk how far the log has been applied.
    pub keep_every: Duration,
    /// Shards that are applied to at once.
    pub threads: usize,
    /// A mistake, made on purpose by simulations that have to find it: it is noted on disk that something was applied before
    /// it is.
    pub keeps_too_early: bool,
}

impl LogSettings {
    /// For this freshness.
    pub fn new(freshness: Duration) -> Self {
        Self {
            freshness,
            position_timeout: Duration::from_secs(5),
            delete_timeout: Duration::from_secs(5),
            probe_every: (freshness / 4).clamp(Duration::from_millis(50), Duration::from_millis(500)),
            patience: Duration::from_millis(50),
            idle: Duration::from_millis(1),
            batch_bytes: 8 << 20,
            keep_every: Duration::from_secs(1),
            threads: std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 8)),
            keeps_too_early: false,
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self::new(Duration::from_secs(2))
    }
}

/// What was done since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogStats {
    /// Records applied, those that were not for this node included.
    pub records: u64,
    /// Points stored of them.
    pub points: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Records that could not be applied, or not wholly, and were set aside by this node.
    pub set_aside: u64,
    /// Those of them that the log did not take.
    pub set_aside_failed: u64,
    /// Times that the log had given up what this node had not read yet.
    pub expired: u64,
    /// Records acknowledged by the log.
    pub appended: u64,
    /// Appends that it did not take, or not surely.
    pub append_errors: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) records: AtomicU64,
    pub(super) points: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) set_aside: AtomicU64,
    pub(super) set_aside_failed: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) appended: AtomicU64,
    pub(super) append_errors: AtomicU64,
}

/// What this node has told clients to be in the log.
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    /// By partition, the first place behind it.
    pub(super) ends: BTreeMap<u32, u64>,
    /// Whether what it had told before its start is in there too.
    pub(super) is_complete: bool,
}

/// See the module's header.
pub struct LogPath {
    pub(super) me: NodeId,
    pub(super) name: String,
    pub(super) log: Arc<dyn WriteLog>,
    pub(super) owner: Arc<Owner>,
    pub(super) catalogues: Arc<dyn Catalogues>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) positions: Positions,
    pub(super) progress: Mutex<Progress>,
    /// Counts what was reached: who waits looks again.
    pub(super) reached: watch::Sender<u64>,
    pub(super) acknowledged: Mutex<Acknowledged>,
    /// How far other nodes were when they said so last.
    pub(super) peers: Mutex<BTreeMap<NodeId, (Instant, LagAnswer)>>,
    /// What could not be applied lately, and why.
    pub(super) refusals: Mutex<VecDeque<(Position, Arc<str>)>>,
    /// The ends of the log as heard last: lower bounds for what comes later.
    pub(super) ends: Mutex<Vec<u64>>,
    pub(super) unreachable: Mutex<Option<String>>,
    /// How often in a row the log has said that a partition ends before what is applied of it.
    pub(super) went_back: Mutex<BTreeMap<u32, u32>>,
    /// Something could not be applied since it was last noted on disk how far everything is.
    pub(super) has_refused: AtomicBool,
    /// The reader has to be told again where to read.
    pub(super) must_assign: AtomicBool,
    pub(super) doubts: OnceLock<Arc<Doubts>>,
    pub(super) counters: Counters,
    pub(super) settings: LogSettings,
}

impl fmt::Debug for LogPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogPath").field("me", &self.me).field("name", &self.name).finish_non_exhaustive()
    }
}

impl LogPath {
    /// What a member has of the log `name`; how far it has applied it is kept in `dir`.
    pub fn open(
        member: &Member,
        fs: Arc<dyn Fs>,
        dir: &Path,
        (name, log): (&str, Arc<dyn WriteLog>),
        settings: LogSettings,
    ) -> Result<Arc<Self>, FsError> {
        Ok(Arc::new(Self {
            me: member.id(),
            name: name.to_owned(),
            log,
            owner: Arc::clone(member.owner()),
            catalogues: Arc::clone(member.catalogues()),
            transport: Arc::clone(member.transport()),
            positions: Positions::open(fs, dir, name)?,
            progress: Mutex::default(),
            reached: watch::Sender::new(0),
            acknowledged: Mutex::default(),
            peers: Mutex::default(),
            refusals: Mutex::default(),
            ends: Mutex::default(),
            unreachable: Mutex::default(),
            went_back: Mutex::default(),
            has_refused: AtomicBool::new(false),
            must_assign: AtomicBool::new(true),
            doubts: OnceLock::new(),
            counters: Counters::default(),
            settings,
        }))
    }

    /// The log's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it reads and serves.
    pub const fn settings(&self) -> &LogSettings {
        &self.settings
    }

    /// Who is told of shards of which something is lost; only the first one counts.
    pub(crate) fn doubt(&self, doubts: Arc<Doubts>) {
        drop(self.doubts.set(doubts));
    }

    /// What was done so far.
    pub fn stats(&self) -> LogStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        LogStats {
            records: read(&counters.records),
            points: read(&counters.points),
            bytes: read(&counters.bytes),
            set_aside: read(&counters.set_aside),
            set_aside_failed: read(&counters.set_aside_failed),
            expired: read(&counters.expired),
            appended: read(&counters.appended),
            append_errors: read(&counters.append_errors),
        }
    }

    /// For a new shard group: places of the log's partitions that are not beyond their ends.
    pub fn group_starts(&self) -> Vec<u64> {
        let count = (self.log.partitions() as usize).min(skywatch_meta::LOG_PARTITIONS_MAX);
        let mut starts = self.ends.lock().clone();
        starts.resize(count, 0);
        starts
    }

    /// The partition of a live shard that is written through the log.
    pub fn partition_of(catalogue: &Catalogue, shard: u64) -> Option<u32> {
        catalogue.shard_group_of(shard)?.partition_of(shard)
    }

    /// Whether this node has all of a partition that was acknowledged a moment ago.
    pub fn is_fresh(&self, partition: u32) -> bool {
        self.progress.lock().is_fresh(partition, Instant::now(), self.settings.freshness)
    }

    /// Why this node is not fresh in a partition, in words.
    pub fn staleness(&self, partition: u32) -> String {
        let lag = self.lag();
        let Some(lag) = lag.partitions.iter().find(|it| it.partition == partition) else {
            return format!("it does not read partition {partition} of the log yet");
        };
        let trouble = lag.trouble.as_ref().map_or_else(String::new, |trouble| format!(" ({trouble})"));
        match (lag.lag, lag.as_of_ms) {
            (Some(records @ 1..), _) => {
                let seconds = lag.lag_ms.unwrap_or(0) as f64 / 1e3;
                format!(
                    "it is {records} records ({seconds:.1} s) behind in partition {partition} of the log{trouble}"
                )
            }
            (_, Some(age_ms)) => {
                let (seconds, limit) = (age_ms as f64 / 1e3, self.settings.freshness.as_secs_f64());
                format!(
                    "it has not heard for {seconds:.1} s ({limit} s are the most) where partition {partition} of the log ends{trouble}"
                )
            }
            (_, None) => {
                format!("it has not heard yet where partition {partition} of the log ends{trouble}")
            }
        }
    }

    /// Partitions in which this node is not fresh, and why; also those that it has yet to begin to read.
    pub fn stale_partitions(&self) -> Vec<(u32, String)> {
        let mut partitions: BTreeSet<u32> = self.progress.lock().all().keys().copied().collect();
        partitions.extend(self.wanted(&self.catalogues.current()).iter().map(|it| it.partition));
        let stale = partitions.into_iter().filter(|partition| !self.is_fresh(*partition));
        stale.map(|partition| (partition, self.staleness(partition))).collect()
    }

    /// Why the log cannot be reached from here, if it cannot.
    pub fn unreachable(&self) -> Option<String> {
        self.unreachable.lock().clone()
    }

    /// How far this node is, and what it has acknowledged.
    pub fn lag(&self) -> LagAnswer {
        let acknowledged = {
            let known = self.acknowledged.lock();
            known.is_complete.then(|| known.ends.iter().map(|(partition, end)| (*partition, *end)).collect())
        };
        let (now, now_ms) = (Instant::now(), self.owner.now_ms());
        let partitions = {
            let progress = self.progress.lock();
            let told = progress.all().iter().map(|(&partition, it)| {
                let lag = PartitionLag {
                    partition,
                    applied: it.next,
                    end: it.end,
                    lag: it.lag(),
                    lag_ms: match it.lag() {
                        Some(0) => Some(0),
                        // What is not applied was appended after what is, and after everything was.
                        Some(_) => {
                            let applied = (it.appended_ms > 0).then(|| now_ms.saturating_sub(it.appended_ms));
                            let whole =
                                it.as_of.map(|at| now.saturating_duration_since(at).as_millis() as u64);
                            applied.into_iter().chain(whole).min()
                        }
                        None => None,
                    },
                    as_of_ms: it.as_of.map(|at| now.saturating_duration_since(at).as_millis() as u64),
                    fresh: progress.is_fresh(partition, now, self.settings.freshness),
                    trouble: it.trouble.clone(),
                    ..PartitionLag::default()
                };
                lag.described()
            });
            told.collect()
        };
        let set_aside = self.counters.set_aside.load(Ordering::Relaxed);
        LagAnswer {
            log: self.name.clone(),
            acknowledged,
            partitions,
            set_aside,
            unreachable: self.unreachable(),
        }
    }

    /// Waits until this node has applied everything up to these records; false if it has not by then.
    pub async fn reach(&self, token: &PositionToken, within: Duration) -> bool {
        let mut changes = self.reached.subscribe();
        let has_reached = || {
            let progress = self.progress.lock();
            token
                .positions()
                .all(|it| progress.get(it.partition).is_some_and(|partition| partition.next > it.offset))
        };
        let waiting = async {
            while !has_reached() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(within, waiting).await.is_ok()
    }

    /// Why records could not be applied here, if they could not.
    pub fn refusal_of(&self, token: &PositionToken) -> Option<Arc<str>> {
        let refusals = self.refusals.lock();
        let is_meant = |at: &Position| token.of_partition(at.partition) == Some(at.offset);
        refusals.iter().find(|(at, _)| is_meant(at)).map(|(_, reason)| Arc::clone(reason))
    }

    pub(super) fn remember_refusal(&self, position: Position, reason: &Arc<str>) {
        let mut refusals = self.refusals.lock();
        if refusals.len() == REFUSALS_MAX {
            refusals.pop_front();
        }
        refusals.push_back((position, Arc::clone(reason)));
    }

    /// The calls it answers.
    pub fn router(self: &Arc<Self>) -> Router {
        let (telling, reaching) = (Arc::clone(self), Arc::clone(self));
        Router::new()
            .on(POSITIONS, move |_: PositionsQuestion, _| {
                let answer = telling.lag();
                async move { Ok((answer, Bytes::new())) }
            })
            .on(REACH, move |question: ReachQuestion, _| {
                let path = Arc::clone(&reaching);
                async move {
                    let at = |(partition, offset)| Position { partition, offset };
                    let positions: Vec<Position> = question.positions.into_iter().map(at).collect();
                    let within = Duration::from_millis(question.within_ms.min(REACH_MS_MAX));
                    let reached = path.reach(&PositionToken::of(&positions), within).await;
                    Ok((ReachAnswer { reached }, Bytes::new()))
                }
            })
    }
}
