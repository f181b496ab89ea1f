//! A shard's files from one node to another.
//!
//! ```text
//! source                           destination
//! pin: flush, cut the log   <----- copy.begin
//! hashes of a file's blocks <----- copy.sums, for what has arrived in earlier attempts
//! part of a file, its CRC   <----- copy.chunk, again and again: a staged directory
//! let go                    <----- copy.end
//!                                  adopt: one rename, once everything is durable
//! ```
//!
//! Files are copied only where nothing of the shard is yet; where new writes have already made a directory, cells are
//! fetched instead ([`entropy`](crate::entropy)), which are taken in beside them. A copy that breaks off goes on where it
//! was, whatever happens to source and destination: what has arrived stays on disk, is no shard, and is compared with the
//! source, block by block, before it counts for anything. After it the replicas are compared: what was written meanwhile
//! is in neither of the two.

pub mod calls;
mod fetch;
mod source;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use skywatch_meta::DataNode;
use skywatch_rpc::{Failure, FailureKind, Router};
use skywatch_storage::{ShardId, fs::FsError};

pub use calls::{
    BEGIN, CHUNK, CopyQuestion, CopyStatus, DoneAnswer, END, KILL, Nothing, START, STATUS, SUMS, StartAnswer,
    StatusAnswer,
};
pub use fetch::CopyError;

use crate::{Member, offload, place::Place, rate::Rate};
use calls::{BeginQuestion, ChunkQuestion, EndQuestion, SumsQuestion};
use fetch::{Fetch, Watch};
use source::Sources;

/// Copies from and to this node.
#[derive(Debug)]
pub struct Copies {
    member: Arc<Member>,
    sources: Sources,
    running: Mutex<BTreeMap<u64, CopyStatus>>,
    /// Bytes that have arrived since the start.
    bytes_rx: AtomicU64,
}

impl Copies {
    pub(crate) fn new(member: Arc<Member>) -> Arc<Self> {
        let (sources, running) = (Sources::default(), Mutex::default());
        Arc::new(Self { member, sources, running, bytes_rx: AtomicU64::new(0) })
    }

    /// Bytes of files that have arrived since the start.
    pub(crate) fn bytes_rx(&self) -> u64 {
        self.bytes_rx.load(Ordering::Relaxed)
    }

    /// The calls of those who copy from here.
    pub(crate) fn router(self: &Arc<Self>) -> Router {
        let me = || Arc::clone(self);
        let (beginning, summing, reading, ending, telling) = (me(), me(), me(), me(), me());
        Router::new()
            .on(BEGIN, move |question: BeginQuestion, _| {
                let copies = Arc::clone(&beginning);
                async move {
                    let shard = copies.member.store().shard(ShardId(question.shard)).ok_or_else(|| {
                        Failure::new(FailureKind::NotFound, format!("shard {} is not here", question.shard))
                    })?;
                    Ok((copies.sources.begin(&shard, copies.member.owner().now_ms())?, Bytes::new()))
                }
            })
            .on(SUMS, move |question: SumsQuestion, _| {
                let copies = Arc::clone(&summing);
                async move { Ok((copies.sources.sums(&question)?, Bytes::new())) }
            })
            .on(CHUNK, move |question: ChunkQuestion, _| {
                let copies = Arc::clone(&reading);
                async move { copies.sources.chunk(&question) }
            })
            .on(END, move |question: EndQuestion, _| {
                let copies = Arc::clone(&ending);
                async move { Ok((DoneAnswer { done: copies.sources.end(question.session) }, Bytes::new())) }
            })
            .on(STATUS, move |_: Nothing, _| {
                let copies = Arc::clone(&telling);
                async move { Ok((StatusAnswer { copies: copies.status() }, Bytes::new())) }
            })
    }

    /// Copies under way to this node, also those that wait for their source to be back.
    pub fn status(&self) -> Vec<CopyStatus> {
        self.running.lock().values().cloned().collect()
    }

    /// A shard is being filled from a node; whatever was known of that stays until it has got further.
    pub(crate) fn began(&self, place: &Place<'_>, from: &DataNode) {
        let catalogue = self.member.catalogues().current();
        let mut running = self.running.lock();
        let status = running.entry(place.shard.id).or_insert_with(|| CopyStatus {
            dest: catalogue.data_node(self.member.id()).map(|me| me.tcp_addr.clone()).unwrap_or_default(),
            database: place.database.to_owned(),
            policy: place.policy.name.clone(),
            shard_id: place.shard.id,
            started_at: i64::try_from(self.member.owner().now_ms() * 1_000_000).unwrap_or(i64::MAX),
            ..CopyStatus::default()
        });
        status.source.clone_from(&from.tcp_addr);
    }

    /// Of so many bytes of a shard so many are here.
    pub(crate) fn progress(&self, shard: u64, total: u64, current: u64) {
        if let Some(status) = self.running.lock().get_mut(&shard) {
            (status.total_size, status.current_size) = (total, current);
            status.trouble.clear();
        }
    }

    /// A copy does not get on, or does again if there is nothing to say.
    pub(crate) fn note_trouble(&self, shard: u64, trouble: String) {
        if let Some(status) = self.running.lock().get_mut(&shard) {
            status.trouble = trouble;
        }
    }

    /// Why a copy does not get on; empty if it does.
    pub(crate) fn trouble(&self, shard: u64) -> String {
        self.running.lock().get(&shard).map_or_else(String::new, |status| status.trouble.clone())
    }

    /// Nothing is under way to this node but the shards that `is_wanted` names; nor does anything stay of others.
    pub(crate) fn retain(&self, is_wanted: impl Fn(u64) -> bool) -> Result<(), FsError> {
        self.running.lock().retain(|shard, _| is_wanted(*shard));
        let store = self.member.store();
        let goes_on = |id: ShardId| is_wanted(id.0) && store.shard(id).is_none();
        offload(|| store.forget_copies(goes_on))
    }

    /// A shard has been filled.
    pub(crate) fn ended(&self, shard: u64) {
        self.running.lock().remove(&shard);
    }

    /// Copies a shard that is not here from a node, unless `is_killed` says before the end that it is to stop.
    pub(crate) async fn fetch(
        &self,
        place: &Place<'_>,
        from: &DataNode,
        rate: &Rate,
        is_killed: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), CopyError> {
        let shard = place.shard.id;
        self.began(place, from);
        let running = Running { copies: self, shard, is_killed };
        let staged = offload(|| self.member.store().resume_copy(ShardId(shard)))?;
        let fetch = Fetch {
            transport: &**self.member.transport(),
            from: &from.tcp_addr,
            shard,
            range: place.range(),
            rate,
            watch: &running,
        };
        let absent = match fetch.fill(&staged).await {
            Ok(absent) => absent,
            Err(error) => {
                // A disk that is full wants its room back, and nobody goes on with what was ended.
                if matches!(error, CopyError::Killed | CopyError::Superseded | CopyError::Fs(_)) {
                    offload(|| staged.discard());
                    self.progress(shard, 0, 0);
                }
                return Err(error);
            }
        };
        let adopted =
            offload(|| self.member.store().adopt_shard(staged, ShardId(shard), place.range(), &absent))?;
        // Counts its series in the limits of its database.
        let owner = self.member.owner();
        if let Err(error) = offload(|| owner.open(shard, place.range(), place.database)) {
            tracing::error!(shard, %error, "a copied shard does not open");
        }
        if let Err(error) = owner.observe(adopted.latest_version()) {
            tracing::error!(shard, %error, "a copied shard has writes of a node whose clock is wrong");
        }
        let bytes = self.running.lock().get(&shard).map_or(0, |status| status.current_size);
        tracing::info!(shard, bytes, from = from.tcp_addr, "a shard has been copied");
        Ok(())
    }
}

/// Who is told of a copy of files.
struct Running<'a> {
    copies: &'a Copies,
    shard: u64,
    is_killed: &'a (dyn Fn() -> bool + Sync),
}

impl Watch for Running<'_> {
    fn progress(&self, total: u64, arrived: u64) {
        self.copies.progress(self.shard, total, arrived);
    }

    fn fetched(&self, bytes: u64) {
        self.copies.bytes_rx.fetch_add(bytes, Ordering::Relaxed);
    }

    fn is_killed(&self) -> bool {
        (self.is_killed)()
    }

    fn is_superseded(&self) -> bool {
        self.copies.member.store().shard(ShardId(self.shard)).is_some()
    }
}
