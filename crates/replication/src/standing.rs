//! Which owners get operations at once and which through hinted handoff, as seen from this node.
//!
//! A destination is *in step* until an operation could not be delivered to it. Before that operation is acknowledged, its
//! hint is on disk, and the catalogue says that the node is behind: nobody asks it for answers from then on. When its queue
//! is empty it is in step again, here first, then in the catalogue.
//!
//! A node that has been [silent](Silence) for a while is waited for no longer, and the catalogue is told before anything has to be
//! kept for it, where that takes no answers from anybody who has them ([`Standing::forewarn`]).
//!
//! Where the catalogue cannot be told, this node may be the one that is cut off while the other answers queries: then nothing
//! is acknowledged ([`Untold`]), unless it is sure that the other does not run, or that no meta node confirms anything to it.
//!
//! Both changes of a destination happen one after the other ([`Destination::changing`]), so that the catalogue never says
//! less than is so.

mod watching;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use futures_util::future::{Either, join_all, select};
use parking_lot::Mutex;
use skywatch_meta::{Behind, Catalogue, Command, DataNode, NodeId};
use skywatch_rpc::{CallError, Transport};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, watch},
    time::{Instant, sleep_until},
};

use crate::{
    assurance::Given,
    calls::{REACH, ReachAnswer, ReachQuestion},
    catalogues::{Catalogues, ExecuteError},
    now::tell_now,
    silence::Silence,
};

/// How long the meta nodes may take to note that a node is behind; writes go on when none of them is there.
const MARK_LIMIT: Duration = TRUST;
/// The same of a node that is silent, which is noticed sooner than an election ends: the leading meta node may have gone with it.
const SILENT_MARK_LIMIT: Duration = Duration::from_secs(4);
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

/// Who has been told that a node is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// The catalogue, before this moment: whoever has not heard of it stops trusting what it knows soon.
    Catalogue(Instant),
    /// The catalogue does not know the node: nobody asks it any more.
    Removed,
    /// Nobody.
    Nobody,
}

/// Nobody could be told that a node lacks something: it may answer queries without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "node {} does not answer, no meta node can be told that it lacks something, and it may be this node that is cut off: \
     what was written is stored here, and acknowledged by nobody; write it through another node",
    .0.0
)]
pub(crate) struct Untold(NodeId);

/// One data node, seen from here.
#[derive(Debug)]
struct Destination {
    is_behind: AtomicBool,
    mark: AtomicU8,
    /// Whether everybody who could be told that it is behind has been told, since it fell behind.
    is_told: AtomicBool,
    /// Whether something may be kept for it that was acknowledged.
    is_owed: AtomicBool,
    /// When nobody could be told of it last.
    untold: Mutex<Option<Instant>>,
    changing: AsyncMutex<()>,
    /// What it was assured of.
    given: Mutex<Given>,
    silence: Mutex<Silence>,
    is_silent: AtomicBool,
    /// Wakes those that wait for an answer of it when it is taken for silent, in the order in which they came.
    silenced: Notify,
    /// When it was asked last and did not run.
    refused: watch::Sender<Option<Instant>>,
}

impl Destination {
    fn new(now: Instant) -> Self {
        Self {
            is_behind: AtomicBool::new(false),
            mark: AtomicU8::new(Mark::Absent as u8),
            is_told: AtomicBool::new(false),
            is_owed: AtomicBool::new(false),
            untold: Mutex::default(),
            changing: AsyncMutex::default(),
            given: Mutex::default(),
            silence: Mutex::new(Silence::new(now)),
            is_silent: AtomicBool::new(false),
            silenced: Notify::new(),
            refused: watch::Sender::new(None),
        }
    }

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
    /// How long a node may not answer before it is taken for silent.
    suspect_after: Duration,
}

impl Standing {
    pub(crate) fn new(
        me: NodeId,
        catalogues: Arc<dyn Catalogues>,
        transport: Arc<dyn Transport>,
        suspect_after: Duration,
    ) -> Self {
        Self { me, catalogues, transport, destinations: Mutex::default(), suspect_after }
    }

    fn destination(&self, node: NodeId) -> Arc<Destination> {
        let mut destinations = self.destinations.lock();
        Arc::clone(destinations.entry(node).or_insert_with(|| Arc::new(Destination::new(Instant::now()))))
    }

    /// Whether operations for the node are kept for it instead of being sent at once.
    pub fn is_behind(&self, node: NodeId) -> bool {
        self.destination(node).is_behind.load(Ordering::SeqCst)
    }

    /// Something has been kept for the node. Returns when nobody takes it for whole any more.
    pub(crate) async fn fall_behind(&self, node: NodeId) -> Result<(), Untold> {
        let destination = self.destination(node);
        self.leave_behind(node, &destination).await?;
        destination.is_owed.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn leave_behind(&self, node: NodeId, destination: &Destination) -> Result<(), Untold> {
        destination.is_behind.store(true, Ordering::SeqCst);
        if destination.is_told.load(Ordering::SeqCst) {
            return Ok(());
        }
        let asked = Instant::now();
        let _changing = destination.changing.lock().await;
        destination.is_behind.store(true, Ordering::SeqCst);
        if destination.is_told.load(Ordering::SeqCst) {
            return Ok(());
        }
        // What others have just tried in vain is not tried again for each write.
        if destination.untold.lock().is_some_and(|at| at + RETELL_EVERY > asked) {
            return Err(Untold(node));
        }
        destination.given.lock().withhold();
        if !self.tell_all(node, destination).await {
            *destination.untold.lock() = Some(Instant::now());
            return Err(Untold(node));
        }
        destination.is_told.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Returns when nobody takes the node for whole any more; false if that cannot be.
    async fn tell_all(&self, node: NodeId, destination: &Destination) -> bool {
        let telling = std::pin::pin!(async {
            match self.mark(node, destination).await {
                Told::Catalogue(noted) => {
                    let ends = destination.given.lock().ends(noted);
                    self.spread(node, noted + TRUST, ends).await;
                    true
                }
                Told::Removed => true,
                Told::Nobody => false,
            }
        });
        let looking = std::pin::pin!(async { (self.answers_nobody(node).await, Instant::now()) });
        let (was_silent, looked) = match select(telling, looking).await {
            Either::Left((true, _)) => return true,
            Either::Left((false, looking)) => looking.await,
            Either::Right((seen, telling)) => {
                if telling.await {
                    return true;
                }
                seen
            }
        };
        if !was_silent {
            return false;
        }
        sleep_until(looked + TRUST).await;
        self.answers_nobody(node).await
    }

    /// Whether it is sure that the node answers no queries by what it knew, or will not for much longer: it does not run, and
    /// asks before it answers again; or no meta node confirms to it that nobody keeps anything for it.
    async fn answers_nobody(&self, node: NodeId) -> bool {
        let catalogue = self.catalogues.current();
        let probing = async {
            let Some(found) = catalogue.data_node(node) else { return true };
            let probing = std::pin::pin!(self.reach(&found.tcp_addr, &ReachQuestion { index: 0 }));
            match select(probing, std::pin::pin!(self.refusal(node))).await {
                Either::Left((probed, _)) => probed.is_err_and(|error| error.nobody_listens()),
                Either::Right(((), _)) => true,
            }
        };
        let (is_down, nobody_confirms) =
            futures_util::future::join(probing, self.catalogues.nobody_confirms()).await;
        is_down || nobody_confirms
    }

    /// Tells the catalogue that the node is behind. Nothing else changes of it meanwhile.
    async fn mark(&self, node: NodeId, destination: &Destination) -> Told {
        destination.set_mark(Mark::Unknown);
        let command = Command::MarkBehind { node, holder: self.me };
        let limit = if self.is_silent(node) { SILENT_MARK_LIMIT } else { MARK_LIMIT };
        match tokio::time::timeout(limit, self.catalogues.execute(&command)).await {
            Ok(Ok(_)) => {
                destination.set_mark(Mark::Present);
                Told::Catalogue(Instant::now())
            }
            Ok(Err(ExecuteError::Refused(_))) => {
                destination.set_mark(Mark::Present);
                Told::Removed
            }
            Ok(Err(error)) => {
                tracing::warn!(node = node.0, %error, "the catalogue cannot be told that a node is behind");
                Told::Nobody
            }
            Err(_) => {
                tracing::warn!(node = node.0, "no meta node noted in time that a node is behind");
                Told::Nobody
            }
        }
    }

    /// Makes the other data nodes look at the catalogue now. Whether all have that clients may ask.
    ///
    /// That includes the node that fell behind: one that was frozen, or is cut off from here only, still answers its own
    /// clients by what it knew before.
    pub(crate) async fn nudge(&self, fallen: NodeId) -> bool {
        let catalogue = self.catalogues.current();
        let nudges = self.asked_by_clients(&catalogue, fallen).map(|node| self.knows(node));
        join_all(nudges).await.into_iter().all(|knows| knows)
    }

    /// As [`Self::nudge`], and returns when each has looked, or trusts what it knew no more: at `trust_ends` at the latest, and
    /// the one that fell behind at `fallen_ends` if that is known and sooner.
    async fn spread(&self, fallen: NodeId, trust_ends: Instant, fallen_ends: Option<Instant>) {
        let catalogue = self.catalogues.current();
        let nudges = self.asked_by_clients(&catalogue, fallen).map(|node| async move {
            let is_fallen = node.id == fallen;
            let ends = fallen_ends.filter(|_| is_fallen).map_or(trust_ends, |ends| ends.min(trust_ends));
            if !tokio::time::timeout_at(ends, self.knows(node)).await.unwrap_or(false) {
                sleep_until(ends).await;
            }
        });
        join_all(nudges).await;
    }

    fn asked_by_clients<'a>(
        &'a self,
        catalogue: &'a Catalogue,
        fallen: NodeId,
    ) -> impl Iterator<Item = &'a DataNode> {
        let is_asked = move |node: &&DataNode| {
            node.id != self.me && (node.id == fallen || !catalogue.is_behind(node.id))
        };
        catalogue.data_nodes().iter().filter(is_asked)
    }

    /// Whether the node's catalogue is as new as this node's. One that does not run answers nobody, and asks before it does again.
    async fn knows(&self, node: &DataNode) -> bool {
        let question = ReachQuestion { index: self.catalogues.index() };
        let asking = std::pin::pin!(self.reach(&node.tcp_addr, &question));
        match select(asking, std::pin::pin!(self.refusal(node.id))).await {
            Either::Left((Ok(answer), _)) => answer.reached,
            Either::Left((Err(error), _)) => error.nobody_listens(),
            Either::Right(((), _)) => true,
        }
    }

    /// Returns when somebody else has asked the node since now, and it does not run: of several who ask at the same time only one
    /// is told.
    async fn refusal(&self, node: NodeId) {
        let since = Instant::now();
        let mut refused = self.destination(node).refused.subscribe();
        if refused.wait_for(|at| at.is_some_and(|at| at >= since)).await.is_err() {
            // The node has been removed.
            std::future::pending::<()>().await;
        }
    }

    async fn reach(&self, address: &str, question: &ReachQuestion) -> Result<ReachAnswer, CallError> {
        tell_now(&*self.transport, address, REACH, question, NUDGE_LIMIT).await
    }

    /// Whether the catalogue knows that the node is behind.
    pub(crate) fn is_marked(&self, node: NodeId) -> bool {
        self.destination(node).mark() == Mark::Present
    }

    /// Tries again to tell the catalogue, where it could not be told. What was never
    /// acknowledged is no reason to keep queries from the node.
    pub(crate) async fn mark_again(&self, node: NodeId) {
        let destination = self.destination(node);
        let _changing = destination.changing.lock().await;
        let is_owed = destination.is_owed.load(Ordering::SeqCst);
        if is_owed && destination.is_behind.load(Ordering::SeqCst) && destination.mark() != Mark::Present {
            // Who acknowledged meanwhile has waited for as long as it takes already.
            let told = self.mark(node, &destination).await;
            *destination.untold.lock() = (told == Told::Nobody).then(Instant::now);
            if told != Told::Nobody {
                tracing::info!(node = node.0, "the catalogue knows now that a node is behind");
            }
        }
    }

    /// The catalogue may say that a node is behind because of this one, which does not know why: it is, until it has been
    /// looked at. Whether that is so.
    pub(crate) async fn adopt_mark(&self, node: NodeId) -> bool {
        let destination = self.destination(node);
        let _changing = destination.changing.lock().await;
        let mark = Behind { node, holder: self.me };
        let is_unknown =
            destination.mark() == Mark::Absent && self.catalogues.current().behind().contains(&mark);
        if is_unknown {
            destination.is_behind.store(true, Ordering::SeqCst);
            destination.set_mark(Mark::Present);
        }
        is_unknown
    }

    /// Whether nothing has to be done for the node: it is in step, and the catalogue says nothing else because of this one.
    pub(crate) fn is_settled(&self, node: NodeId) -> bool {
        !self.is_behind(node) && self.destination(node).mark() == Mark::Absent
    }

    /// The node has everything, if `is_done` still says so once nothing changes: it is in step from then on. Whether the
    /// catalogue knows that too.
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
        destination.is_owed.store(false, Ordering::SeqCst);
        destination.given.lock().resume();
        // A mark that is not there yet, and may come late, is adopted when it does. Only the one that is known is taken away: a
        // request that came late, and took away any, would take away a later one too.
        let known = self.catalogues.current().behind_mark(node, self.me);
        let (Mark::Present | Mark::Unknown, Some(mark)) = (before, known) else {
            destination.set_mark(Mark::Absent);
            return true;
        };
        destination.set_mark(Mark::Unknown);
        let command = Command::ClearBehind { node, holder: self.me, mark: Some(mark) };
        // It is in step all the same, and this node says so when it is asked; the catalogue says more than is so until it can
        // be told.
        match tokio::time::timeout(MARK_LIMIT, self.catalogues.execute(&command)).await {
            Ok(Ok(_)) => {
                destination.set_mark(Mark::Absent);
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(node = node.0, %error, "the catalogue cannot be told that a node has caught up; it is tried again");
                false
            }
            Err(_) => {
                tracing::warn!(
                    node = node.0,
                    "no meta node noted in time that a node has caught up; it is tried again"
                );
                false
            }
        }
    }

    /// What the queues and the catalogue say after a start.
    pub(crate) fn restore(&self, node: NodeId, is_marked: bool) {
        let destination = self.destination(node);
        destination.given.lock().withhold();
        destination.is_behind.store(true, Ordering::SeqCst);
        destination.is_owed.store(true, Ordering::SeqCst);
        destination.set_mark(if is_marked { Mark::Present } else { Mark::Unknown });
        // What waits was acknowledged only after that.
        destination.is_told.store(is_marked, Ordering::SeqCst);
    }

    /// Forgets a node that is no more.
    pub(crate) fn forget(&self, node: NodeId) {
        self.destinations.lock().remove(&node);
    }
}
