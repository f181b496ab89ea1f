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
use skywatch_meta::{Command, NodeId};
use skywatch_rpc::{Transport, tell};
use tokio::sync::Mutex as AsyncMutex;

use crate::{
    calls::{REACH, ReachAnswer, ReachQuestion},
    catalogues::{Catalogues, ExecuteError},
};

/// How long the meta nodes may take to note that a node is behind; without them it is acknowledged all the same, since
/// writes go on when no meta node is there.
const MARK_LIMIT: Duration = Duration::from_secs(3);
/// How long the other data nodes may take to hear of it.
const NUDGE_LIMIT: Duration = Duration::from_millis(500);

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

    /// Something has been kept for the node. Returns when the catalogue and the other data nodes know that it is behind,
    /// or cannot be told.
    pub(crate) async fn fall_behind(&self, node: NodeId) {
        let destination = self.destination(node);
        destination.is_behind.store(true, Ordering::SeqCst);
        if destination.mark() == Mark::Present {
            return;
        }
        let _changing = destination.changing.lock().await;
        destination.is_behind.store(true, Ordering::SeqCst);
        if destination.mark() != Mark::Present {
            self.mark(node, &destination).await;
        }
    }

    /// Tells the catalogue that the node is behind. Nothing else changes of it meanwhile.
    async fn mark(&self, node: NodeId, destination: &Destination) {
        destination.set_mark(Mark::Unknown);
        let command = Command::MarkBehind { node, holder: self.me };
        match tokio::time::timeout(MARK_LIMIT, self.catalogues.execute(&command)).await {
            Ok(Ok(_)) => {
                destination.set_mark(Mark::Present);
                self.nudge(node).await;
            }
            // It was removed: nobody asks it any more.
            Ok(Err(ExecuteError::Refused(_))) => destination.set_mark(Mark::Present),
            Ok(Err(error)) => {
                tracing::warn!(node = node.0, %error, "the catalogue cannot be told that a node is behind");
            }
            Err(_) => tracing::warn!(node = node.0, "no meta node noted in time that a node is behind"),
        }
    }

    /// Makes the other data nodes look at the catalogue now.
    async fn nudge(&self, except: NodeId) {
        let question = ReachQuestion { index: self.catalogues.index() };
        let catalogue = self.catalogues.current();
        let others = catalogue.data_nodes().iter().filter(|node| node.id != self.me && node.id != except);
        let nudges = others.map(|node| async {
            let nudged: Result<ReachAnswer, _> =
                tell(&*self.transport, &node.tcp_addr, REACH, &question, NUDGE_LIMIT).await;
            if !nudged.is_ok_and(|answer| answer.reached) {
                tracing::debug!(node = node.id.0, "did not hear in time that another node is behind");
            }
        });
        futures_util::future::join_all(nudges).await;
    }

    /// Tries again to tell the catalogue, where it could not be told.
    pub(crate) async fn mark_again(&self, node: NodeId) {
        let destination = self.destination(node);
        let _changing = destination.changing.lock().await;
        if destination.is_behind.load(Ordering::SeqCst) && destination.mark() != Mark::Present {
            self.mark(node, &destination).await;
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
        if before == Mark::Present {
            destination.set_mark(Mark::Unknown);
        }
        destination.is_behind.store(false, Ordering::SeqCst);
        if !is_done() {
            destination.is_behind.store(true, Ordering::SeqCst);
            destination.set_mark(before);
            return false;
        }
        if before == Mark::Absent {
            return true;
        }
        match self.catalogues.execute(&Command::ClearBehind { node, holder: self.me }).await {
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
    }

    /// Forgets a node that is no more.
    pub(crate) fn forget(&self, node: NodeId) {
        self.destinations.lock().remove(&node);
    }
}
