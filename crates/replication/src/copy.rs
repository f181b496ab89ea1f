//! A shard's files from one node to another.
//!
//! ```text
//! source                           destination
//! pin: flush, cut the log   <----- copy.begin
//! part of a file, its CRC   <----- copy.chunk, again and again: a staged directory
//! let go                    <----- copy.end
//!                                  adopt: one rename, once everything is durable
//! ```
//!
//! Files are copied only where nothing of the shard is yet; where new writes have already made a directory, cells are
//! fetched instead ([`entropy`](crate::entropy)), which are taken in beside them. A copy that breaks off goes on where it
//! was as long as the destination runs, whatever happens to the source. After it the replicas are compared: what was
//! written meanwhile is in neither of the two.

pub mod calls;
mod fetch;
mod source;

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use skywatch_meta::DataNode;
use skywatch_rpc::{Failure, FailureKind, Router};
use skywatch_storage::ShardId;

pub use calls::{
    BEGIN, CHUNK, CopyQuestion, CopyStatus, DoneAnswer, END, KILL, Nothing, START, STATUS, StatusAnswer,
};
pub use fetch::CopyError;

use crate::{Member, offload, place::Place, rate::Rate};
use calls::{BeginQuestion, ChunkQuestion, EndQuestion};
use fetch::{Fetch, Watch};
use source::Sources;

/// Copies from and to this node.
#[derive(Debug)]
pub struct Copies {
    member: Arc<Member>,
    sources: Sources,
    running: Mutex<BTreeMap<u64, CopyStatus>>,
}

impl Copies {
    pub(crate) fn new(member: Arc<Member>) -> Arc<Self> {
        Arc::new(Self { member, sources: Sources::default(), running: Mutex::default() })
    }

    /// The calls of those who copy from here.
    pub(crate) fn router(self: &Arc<Self>) -> Router {
        let (beginning, reading, ending, telling) =
            (Arc::clone(self), Arc::clone(self), Arc::clone(self), Arc::clone(self));
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

    /// Copies under way to this node.
    pub fn status(&self) -> Vec<CopyStatus> {
        self.running.lock().values().cloned().collect()
    }

    /// Copies a shard that is not here from a node, unless `is_killed` says before the end that it is to stop. Returns
    /// how many bytes that took.
    pub(crate) async fn fetch(
        &self,
        place: &Place<'_>,
        from: &DataNode,
        rate: &Rate,
        is_killed: &(dyn Fn() -> bool + Sync),
    ) -> Result<u64, CopyError> {
        let shard = place.shard.id;
        let catalogue = self.member.catalogues().current();
        let status = CopyStatus {
            source: from.tcp_addr.clone(),
            dest: catalogue.data_node(self.member.id()).map(|me| me.tcp_addr.clone()).unwrap_or_default(),
            database: place.database.to_owned(),
            policy: place.policy.name.clone(),
            shard_id: shard,
            started_at: i64::try_from(self.member.owner().now_ms() * 1_000_000).unwrap_or(i64::MAX),
            ..CopyStatus::default()
        };
        self.running.lock().insert(shard, status);
        let running = Running { copies: self, shard, is_killed };
        let staged = offload(|| self.member.store().stage_shard())?;
        let fetch = Fetch {
            transport: &**self.member.transport(),
            from: &from.tcp_addr,
            shard,
            range: place.range(),
            rate,
            watch: &running,
        };
        let absent = fetch.fill(&staged).await?;
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
        Ok(bytes)
    }
}

/// Listed while it lives.
struct Running<'a> {
    copies: &'a Copies,
    shard: u64,
    is_killed: &'a (dyn Fn() -> bool + Sync),
}

impl Watch for Running<'_> {
    fn progress(&self, total: u64, arrived: u64) {
        if let Some(status) = self.copies.running.lock().get_mut(&self.shard) {
            status.total_size = total;
            status.current_size = arrived;
        }
    }

    fn is_killed(&self) -> bool {
        (self.is_killed)()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.copies.running.lock().remove(&self.shard);
    }
}
