//! Which owners get operations at once and which through hinted handoff, as seen from this node.
//!
//! A destination is *in step* until an operation could not be delivered to it. Before that operation is acknowledged, its
//! hint is on disk, and the catalogue says that the node is behind: nobody asks it for answers from then on. When its queue
//! is empty it is in step again, here first, then in the catalogue.
//!
//! Both changes of a destination happen one after the other ([`Destination::changing`]), so that the catalogue never says
//! less than is so.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use skywatch_meta::{Behind, Command, DataNode, NodeId};
use skywatch_rpc::{Transport, tell};
use tokio::{sync::Mutex as AsyncMutex, time::Instant};

use crate::{
    calls::{REACH, ReachAnswer, ReachQuestion},
    catalogues::{Catalogues, ExecuteError},
};

/// How long the meta nodes may take to note that a node is behind; without them it is acknowledged all the same, since
/// writes go on when no meta node is there.
const MARK_LIMIT: Duration = TRUST;
/// How long the other data nodes may take to hear of it.
const NUDGE_LIMIT: Duration = Duration::from_millis(500);

/// How long a node trusts what it last knew of its own standing: whoever could not be told that a node is behind has
/// found out, or stopped answering queries, after this.
pub(crate) const TRUST: Duration = Duration::from_millis(2_500);

/// How often it is tried again to tell the catalogue what it could not be told.
pub(crate) const RETELL_EVERY: Duration = Duration::from_secs(1);

/// What the catalogue says of a destination because of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Mark {
    /// Nothing.
    Absent = 0,
    /// That it is behind.
    Present = 1,
    /// One of the two: a change is under way, or is not known to have been made.
    Unknown = 2,
}

/// One data node, seen from here.
#[derive(Debug, Default)]
struct Destination {
    is_behind: AtomicBool,
    mark: AtomicU8,
    /// Whether everybody who could be told that it is behind has been told, since it fell behind.
    is_told: AtomicBool,
    changing: AsyncMutex<()>,
}

impl Destination {
    fn mark(&self) -> Mark {
        match self.mark.load(Ordering::SeqCst) {
            0 => Mark::Absent,
            1 => Mark::Present,
            _ => Mark::Unknown,
        }
    }

    fn set_mark(&self, mark: Mark) {
        self.mark.store(mark as u8, Ordering::SeqCst);
    }
}

/// See the module's header.
#[derive(Debug)]
pub struct Standing {
    me: NodeId,
    catalogues: Arc<dyn Catalogues>,
    transport: Arc<dyn Transport>,
    destinations: Mutex<BTreeMap<NodeId, Arc<Destination>>>,
}

impl Standing {
    pub(crate) fn new(me: NodeId, catalogues: Arc<dyn Catalogues>, transport: Arc<dyn Transport>) -> Self {
        Self { me, catalogues, transport, destinations: Mutex::default() }
    }

    fn destination(&self, node: NodeId) -> Arc<Destination> {
        Arc::clone(self.destinations.lock().entry(node).or_default())
    }

    /// Whether operations for the node are kept for it instead of being sent at once.
    pub fn is_behind(&self, node: NodeId) -> bool {
        self.destination(node).is_behind.load(Ordering::SeqCst)
    }

    /// Something has been kept for the node. Returns when nobody takes it for whole any more.
    pub(crate) async fn fall_behind(&self, node: NodeId) {
        let destination = self.destination(node);
        destination.is_behind.store(true, Ordering::SeqCst);
        if destination.is_told.load(Ordering::SeqCst) {
            return;
        }
        let _changing = destination.changing.lock().await;
        destination.is_behind.store(true, Ordering::SeqCst);
        if !destination.is_told.load(Ordering::SeqCst) {
            let told_at = self.mark(node, &destination).await;
            // Whoever has not heard of it stops trusting what it knows by then.
            if let Err(since) = told_at {
                tokio::time::sleep_until(since + TRUST).await;
            }
            destination.is_told.store(true, Ordering::SeqCst);
        }
    }

    /// Tells the catalogue that the node is behind. Nothing else changes of it meanwhile. If some who
    /// serve queries may not know it, since when whoever asks is told.
    async fn mark(&self, node: NodeId, destination: &Destination) -> Result<(), Instant> {
        let began = Instant::now();
        destination.set_mark(Mark::Unknown);
        let command = Command::MarkBehind { node, holder: self.me };
        match tokio::time::timeout(MARK_LIMIT, self.catalogues.execute(&command)).await {
            Ok(Ok(_)) => {
                destination.set_mark(Mark::Present);
                let marked = Instant::now();
                if self.nudge(node).await { Ok(()) } else { Err(marked) }
            }
            // It was removed: nobody asks it any more.
            Ok(Err(ExecuteError::Refused(_))) => {
                destination.set_mark(Mark::Present);
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::warn!(node = node.0, %error, "the catalogue cannot be told that a node is behind");
                Err(began)
            }
            Err(_) => {
                tracing::warn!(node = node.0, "no meta node noted in time that a node is behind");
                Err(began)
            }
        }
    }

    /// Makes the other data nodes look at the catalogue now. Whether all have that clients may ask.
    ///
    /// That includes the node that fell behind: one that was frozen, or is cut off from here only, still answers its own
    /// clients by what it knew before.
    pub(crate) async fn nudge(&self, fallen: NodeId) -> bool {
        let question = ReachQuestion { index: self.catalogues.index() };
        let catalogue = self.catalogues.current();
        let is_asked =
            |node: &&DataNode| node.id != self.me && (node.id == fallen || !catalogue.is_behind(node.id));
        let nudges = catalogue.data_nodes().iter().filter(is_asked).map(|node| async {
            let nudged: Result<ReachAnswer, _> =
                tell(&*self.transport, &node.tcp_addr, REACH, &question, NUDGE_LIMIT).await;
            // One that does not run answers nobody, and asks before it does again.
            nudged.map_or_else(|error| error.nobody_listens(), |answer| answer.reached)
        });
        futures_util::future::join_all(nudges).await.into_iter().all(|reached| reached)
    }

    /// Whether the catalogue knows that the node is behind.
    pub(crate) fn is_marked(&self, node: NodeId) -> bool {
        self.destination(node).mark() == Mark::Present
    }

    /// Tries again to tell the catalogue, where it could not be told.
    pub(crate) async fn mark_again(&self, node: NodeId) {
        let destination = self.destination(node);
        let _changing = destination.changing.lock().await;
        if destination.is_behind.load(Ordering::SeqCst) && destination.mark() != Mark::Present {
            // Who acknowledged meanwhile has waited for as long as it takes already.
            if self.mark(node, &destination).await.is_ok() {
                tracing::info!(node = node.0, "the catalogue knows now that a node is behind");
            }
        }
    }

    /// The catalogue may say that a node is behind because of this one, which does not know why: it is, until it has been
    /// looked at.
    pub(crate) async fn adopt_mark(&self, node: NodeId) {
        let destination = self.destination(node);
        let _changing = destination.changing.lock().await;
        let mark = Behind { node, holder: self.me };
        if destination.mark() == Mark::Absent && self.catalogues.current().behind().contains(&mark) {
            destination.is_behind.store(true, Ordering::SeqCst);
            destination.set_mark(Mark::Present);
        }
    }

    /// The node has everything, if `is_done` still says so once nothing changes. Whether it is in step from now on.
    ///
    /// A write that found the node behind may keep something for it at any moment, and then looks whether the catalogue
    /// says so. Therefore first it is forgotten that it does, then the queue is looked at: either the write is seen here,
    /// or it sees that it has to tell the catalogue again, and waits for this to end.
    pub(crate) async fn catch_up(&self, node: NodeId, is_done: impl Fn() -> bool) -> bool {
        let destination = self.destination(node);
        let _changing = destination.changing.lock().await;
        let before = destination.mark();
        let was_told = destination.is_told.swap(false, Ordering::SeqCst);
        destination.is_behind.store(false, Ordering::SeqCst);
        if !is_done() {
            destination.is_behind.store(true, Ordering::SeqCst);
            destination.is_told.store(was_told, Ordering::SeqCst);
            return false;
        }
        if before != Mark::Absent {
            destination.set_mark(Mark::Unknown);
        }
        if before == Mark::Absent {
            return true;
        }
        match self
            .catalogues
            .execute(&Command::ClearBehind {
                node,
                holder: self.me,
                mark: self.catalogues.current().behind_mark(node, self.me),
            })
            .await
        {
            Ok(_) => {
                destination.set_mark(Mark::Absent);
                true
            }
            Err(error) => {
                tracing::warn!(node = node.0, %error, "the catalogue cannot be told that a node has caught up; it is tried again");
                destination.is_behind.store(true, Ordering::SeqCst);
                false
            }
        }
    }

    /// What the queues and the catalogue say after a start.
    pub(crate) fn restore(&self, node: NodeId, is_marked: bool) {
        let destination = self.destination(node);
        destination.is_behind.store(true, Ordering::SeqCst);
        destination.set_mark(if is_marked { Mark::Present } else { Mark::Unknown });
        // What waits was acknowledged only after that.
        destination.is_told.store(is_marked, Ordering::SeqCst);
    }

    /// Forgets a node that is no more.
    pub(crate) fn forget(&self, node: NodeId) {
        self.destinations.lock().remove(&node);
    }
}
