//! The meta node: one member at a time, what it answers, and what it does by itself.
//!
//! A node is made of its settings and a member: Raft, the catalogue and the store. When the node leaves its cluster, or
//! is taken into another, the member ends and another one begins on the emptied store; the node goes on.

mod execute;
mod housekeeping;
mod leases;
mod membership;
mod watch;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use openraft::ServerState;
use parking_lot::{Mutex, RwLock};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Serialize, de::DeserializeOwned};
use skywatch_meta::{Catalogue, NodeId};
use skywatch_model::WallClock;
use skywatch_rpc::{Failure, FailureKind, Router, Transport};
use tokio::task::{AbortHandle, JoinHandle};

pub use execute::ExecuteError;
pub use membership::MembershipError;

use crate::{
    announcements::{Announcement, Announcements},
    data_calls::{Announce, Status},
    disk::Disk,
    freshness::{self, Freshness, Metrics},
    machine::{Machine, Seen},
    network::{self, Answering, Network, Nothing},
    raft_types::{Member, Raft},
    settings::Settings,
    store::{Store, StoreError},
    succession::{self, Vigil},
};

/// The highest number that a member or a cluster is given: people and JSON can handle it.
pub const NUMBER_MAX: u64 = (1 << 53) - 1;

/// Why a meta node does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its settings contradict each other.
    #[error("the timing of Raft cannot be: {0}")]
    Timing(String),
    /// Raft refused what is in the store.
    #[error("Raft does not start: {0}")]
    Raft(String),
}

/// A meta node. Clones are the same node.
#[derive(Clone)]
pub struct MetaNode {
    inner: Arc<Inner>,
}

impl fmt::Debug for MetaNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetaNode").field("http_addr", &self.inner.settings.http_addr).finish_non_exhaustive()
    }
}

/// How other nodes are called.
#[derive(Debug, Clone)]
pub struct Transports {
    /// Meta nodes, on either of their ports.
    pub meta: Arc<dyn Transport>,
    /// Data nodes: their links may be secured in another way.
    pub data: Arc<dyn Transport>,
}

impl From<Arc<dyn Transport>> for Transports {
    fn from(both: Arc<dyn Transport>) -> Self {
        Self { meta: Arc::clone(&both), data: both }
    }
}

struct Inner {
    settings: Settings,
    /// To meta nodes.
    transport: Arc<dyn Transport>,
    /// To data nodes.
    data_transport: Arc<dyn Transport>,
    clock: Arc<dyn WallClock>,
    numbers: Mutex<StdRng>,
    running: RwLock<Running>,
    /// Changes to who is a member come one after the other.
    membership: tokio::sync::Mutex<()>,
    announcements: Announcements,
    leases: leases::Observed,
    reachable: execute::Reachable,
    frozen: watch::Frozen,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// A member: from when its store was made to when that is wiped.
#[derive(Clone)]
struct Running {
    id: u64,
    raft: Raft,
    machine: Machine,
    store: Store,
    freshness: Arc<Freshness>,
    vigil: Arc<Vigil>,
    /// What keeps both up to date.
    keeping: AbortHandle,
}

/// Who leads, as far as this node knows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Leadership {
    /// This one, and a majority has said so just now.
    Mine,
    /// That one, whose number in Raft this is.
    Other(u64, Member),
    /// Nobody.
    Unknown,
}

impl MetaNode {
    /// Starts from what is on the disk. It listens nowhere by itself: see [`Self::router_raft`], [`Self::router_data`] and
    /// [`Self::http`].
    pub async fn start(
        settings: Settings,
        transports: impl Into<Transports>,
        clock: Arc<dyn WallClock>,
        disk: &dyn Disk,
    ) -> Result<Self, StartError> {
        let Transports { meta: transport, data: data_transport } = transports.into();
        let mut numbers = StdRng::seed_from_u64(settings.seed);
        let store = Store::open(disk, numbers.random_range(1..=NUMBER_MAX))?;
        let running = Running::start(store, &settings, &transport).await?;
        let inner = Inner {
            numbers: Mutex::new(numbers),
            running: RwLock::new(running),
            membership: tokio::sync::Mutex::new(()),
            announcements: Announcements::new(settings.announcement_lasts),
            leases: leases::Observed::default(),
            reachable: execute::Reachable::default(),
            frozen: watch::Frozen::default(),
            tasks: Mutex::new(Vec::new()),
            settings,
            transport,
            data_transport,
            clock,
        };
        let node = Self { inner: Arc::new(inner) };
        if node.inner.settings.single_server
            && !Running::has_cluster(&node.running().metrics())
            && let Err(error) = node.bootstrap().await
        {
            return Err(StartError::Raft(error.to_string()));
        }
        node.inner.tasks.lock().push(tokio::spawn(housekeeping::keep(Arc::downgrade(&node.inner))));
        Ok(node)
    }

    /// Ends: nothing is answered any more, and what was acknowledged is on the disk.
    pub async fn stop(&self) {
        for task in self.inner.tasks.lock().drain(..) {
            task.abort();
        }
        if let Err(error) = self.running().end().await {
            tracing::warn!(%error, "Raft did not end as it should");
        }
    }

    /// Why the node cannot go on, once it cannot: its disk failed. The process should end and say so.
    pub fn failure(&self) -> Option<String> {
        let running = self.running();
        running.metrics().running_state.err().map(|error| error.to_string())
    }

    /// Whether Raft's loop gets to what it is asked; the text says why it never will again. One that hangs does not answer.
    pub async fn is_alive(&self) -> Result<(), String> {
        let raft = self.running().raft;
        raft.with_raft_state(|_| ()).await.map_err(|error| error.to_string())
    }

    /// Answers other meta nodes, on their own port.
    pub fn router_raft(&self) -> Router {
        let inner = Arc::downgrade(&self.inner);
        network::router(move || {
            let inner = inner.upgrade().ok_or_else(closed)?;
            let running = inner.running.read();
            Ok(Answering {
                me: running.id,
                raft: running.raft.clone(),
                freshness: Arc::clone(&running.freshness),
                vigil: Arc::clone(&running.vigil),
            })
        })
    }

    /// Answers data nodes and other meta nodes, on the port of the HTTP API.
    pub fn router_data(&self) -> Router {
        Router::new()
            .with("meta.watch", Arc::new(watch::WatchHandler(Arc::downgrade(&self.inner))))
            .and(self.on("meta.execute", |node, question| async move { node.answer_execute(question).await }))
            .and(self.on("meta.lease", |node, question| async move { node.answer_lease(question).await }))
            .and(self.on("meta.release", |node, question| async move { node.answer_release(question).await }))
            .and(self.on("meta.announce", |node, question: Announce| async move {
                let age = Duration::from_millis(question.age_ms);
                node.inner.announcements.hear(question.announcement, age);
                Ok((Nothing {}, Bytes::new()))
            }))
            .and(self.on("meta.status", |node, _: Nothing| async move { Ok((node.status(), Bytes::new())) }))
            .and(self.on("meta.join", |node, question| async move { node.answer_reset(question).await }))
            .and(self.on("meta.leave", |node, _: Nothing| async move { node.answer_leave().await }))
            .and(self.on("meta.dismiss", |node, question| async move { node.answer_dismiss(question).await }))
    }

    /// A handler that does not keep the node.
    fn on<Q, A, F, R>(&self, method: &'static str, answer: F) -> Router
    where
        Q: DeserializeOwned + Send + 'static,
        A: Serialize + Send + 'static,
        F: Fn(Self, Q) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<(A, Bytes), Failure>> + Send + 'static,
    {
        let inner = Arc::downgrade(&self.inner);
        Router::new().on(method, move |question: Q, _body| {
            let node = inner.upgrade().map(|inner| Self { inner });
            let answer = answer.clone();
            async move { answer(node.ok_or_else(closed)?, question).await }
        })
    }

    /// The catalogue and its index, as of now and here.
    pub fn catalogue(&self) -> (u64, Arc<Catalogue>) {
        let seen = self.seen();
        (seen.index, seen.catalogue)
    }

    /// What the node says of itself.
    pub fn status(&self) -> Status {
        let running = self.running();
        let seen = running.machine.seen();
        let metrics = running.metrics();
        let leader = match self.leadership() {
            Leadership::Mine => self.inner.settings.raft_addr.clone(),
            Leadership::Other(_, member) => member.raft_addr,
            Leadership::Unknown => String::new(),
        };
        Status {
            node_type: "meta".into(),
            leader,
            http_addr: self.inner.settings.http_addr.clone(),
            raft_addr: self.inner.settings.raft_addr.clone(),
            peers: in_order(metrics.membership_config.nodes().map(|(_, member)| member), &seen.catalogue),
            cluster_id: seen.catalogue.cluster_id(),
            member: running.id,
            is_named: self.inner.settings.is_named,
            index: seen.index,
            version: self.inner.settings.version.clone(),
            more: std::collections::BTreeMap::new(),
        }
    }

    /// How old the catalogue here may be; see [`crate::Watched::age_ms`].
    pub fn age(&self) -> Option<Duration> {
        let running = self.running();
        let applied = running.machine.seen().applied.map(|id| id.index);
        running.freshness.age(applied)
    }

    /// What the node at an address last said of itself, if that was lately.
    pub fn heard_of(&self, tcp_addr: &str) -> Option<Announcement> {
        self.inner.announcements.of(tcp_addr)
    }

    fn running(&self) -> Running {
        self.inner.running.read().clone()
    }

    fn seen(&self) -> Seen {
        self.inner.running.read().machine.seen()
    }

    fn member(&self) -> Member {
        let Settings { http_addr, raft_addr, .. } = &self.inner.settings;
        Member { http_addr: http_addr.clone(), raft_addr: raft_addr.clone() }
    }

    fn leadership(&self) -> Leadership {
        let running = self.running();
        let metrics = running.metrics();
        if metrics.state == ServerState::Leader {
            // Raft lets a leader without a majority be; nothing would come of what it is told.
            let limit = self.inner.settings.timing.election + self.inner.settings.tick() * 2;
            let is_led = running.freshness.leading().is_some_and(|age| age <= limit);
            return if is_led { Leadership::Mine } else { Leadership::Unknown };
        }
        let leader = metrics.current_leader.filter(|leader| *leader != running.id);
        let known = leader.and_then(|id| Some((id, metrics.membership_config.membership().get_node(&id)?)));
        known.map_or(Leadership::Unknown, |(id, member)| Leadership::Other(id, member.clone()))
    }

    /// Takes note that somebody was there; false if that cannot be.
    pub(crate) fn hear(&self, announcement: Announcement) -> bool {
        self.inner.announcements.hear(announcement, Duration::ZERO)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    pub(crate) fn to_meta_nodes(&self) -> &dyn Transport {
        &*self.inner.transport
    }

    pub(crate) fn to_data_nodes(&self) -> &dyn Transport {
        &*self.inner.data_transport
    }

    /// Whether it belongs to a cluster.
    pub(crate) fn has_cluster(&self) -> bool {
        Running::has_cluster(&self.running().metrics())
    }

    pub(crate) fn draw(&self) -> u64 {
        self.inner.numbers.lock().random_range(1..=NUMBER_MAX)
    }

    pub(crate) fn now_ns(&self) -> i64 {
        self.inner.clock.now_ns()
    }

    /// What this node announces of itself.
    fn announcement(&self) -> Announcement {
        let settings = &self.inner.settings;
        Announcement {
            tcp_addr: settings.raft_addr.clone(),
            http_addr: settings.http_addr.clone(),
            http_scheme: if settings.https { "https" } else { "http" }.into(),
            time: rfc3339(self.now_ns()).into(),
            node_type: "meta".into(),
            status: "joined".into(),
            version: settings.version.clone(),
        }
    }
}

/// As Go writes times, in UTC.
pub(crate) fn rfc3339(time_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(time_ns.into()).map(|time| time.to_string()).unwrap_or_default()
}

/// Raft addresses of members, in the order in which the catalogue numbers them; whoever it does not name comes last.
fn in_order<'a>(members: impl Iterator<Item = &'a Member>, catalogue: &Catalogue) -> Vec<String> {
    let number = |addr: &String| {
        let named = catalogue.meta_nodes().iter().find(|node| node.raft_addr == *addr);
        named.map_or(NodeId(u64::MAX), |node| node.id)
    };
    let mut addrs: Vec<String> = members.map(|member| member.raft_addr.clone()).collect();
    addrs.sort_by_cached_key(|addr| (number(addr), addr.clone()));
    addrs
}

fn closed() -> Failure {
    Failure::new(FailureKind::Unavailable, "server closed")
}

impl Running {
    async fn start(
        store: Store,
        settings: &Settings,
        transport: &Arc<dyn Transport>,
    ) -> Result<Self, StartError> {
        let config = settings.raft().validate().map_err(|error| StartError::Timing(error.to_string()))?;
        let machine = Machine::open(&store)?;
        let freshness = Arc::new(Freshness::default());
        let network = Network { transport: Arc::clone(transport), me: store.identity() };
        let raft = Raft::new(store.identity(), Arc::new(config), network, store.clone(), machine.clone())
            .await
            .map_err(|error| StartError::Raft(error.to_string()))?;
        freshness.follow(raft.metrics());
        let vigil = Arc::new(Vigil::new(store.identity(), settings.timing.election));
        let keeping = freshness::keep(
            store.identity(),
            raft.clone(),
            Arc::clone(&freshness),
            Arc::clone(&vigil),
            Arc::clone(transport),
            settings.timing.heartbeat / 2,
        );
        let watching = succession::keep(raft.clone(), Arc::clone(&vigil), Arc::clone(transport));
        let keeping = tokio::spawn(futures_util::future::join(keeping, watching)).abort_handle();
        Ok(Self { id: store.identity(), raft, machine, store, freshness, vigil, keeping })
    }

    /// Nothing is written or asked any more after this.
    async fn end(&self) -> Result<(), String> {
        self.keeping.abort();
        let ended = self.raft.shutdown().await.map_err(|error| error.to_string());
        self.store.fence();
        ended
    }

    fn metrics(&self) -> Metrics {
        self.raft.metrics().borrow().clone()
    }

    /// Whether it belongs, or once belonged, to a cluster.
    fn has_cluster(metrics: &Metrics) -> bool {
        metrics.membership_config.nodes().next().is_some()
    }

    fn is_member(&self, metrics: &Metrics) -> bool {
        metrics.membership_config.membership().get_node(&self.id).is_some()
    }
}
