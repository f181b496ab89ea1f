//! A few data nodes that call each other's routers, and a catalogue that all of them see at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use skywatch_meta::{Applied, Catalogue, Command, Lease, NodeId, RetentionPolicySpec};
use skywatch_model::{Clock, FieldRef, TimeRange, Version, WallClock, line::PointBatch};
use skywatch_replication::{
    Catalogues, Entropy, EntropySettings, ExecuteError, ForgetSettings, Member, MemberSettings, NoLimits,
    Parts,
    log::{LogPath, LogSettings, MemoryLog, WriteLog},
    restore_copies,
};
use skywatch_rpc::{Call, CallError, Reply, Router, Transport};
use skywatch_storage::{Shard, ShardDigest, ShardId, Store, StoreOptions, VersionPolicy, fs::SimFs};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

/// When the tests begin, in milliseconds since 1970.
pub(crate) const BEGAN_MS: u64 = 1_700_000_000_000;
/// The log that writes go through, where they do.
pub(crate) const LOG: &str = "points";
/// A time in the group that is written through it.
pub(crate) const LOGGED_NS: i64 = NOW_NS + 14 * 24 * 3_600 * 1_000_000_000;
/// A time in the shard.
pub(crate) const NOW_NS: i64 = BEGAN_MS as i64 * 1_000_000;

#[derive(Debug)]
struct Wall(Instant);

impl WallClock for Wall {
    fn now_ns(&self) -> i64 {
        NOW_NS + self.0.elapsed().as_nanos() as i64
    }
}

/// The catalogue, the same for all.
#[derive(Debug)]
pub(crate) struct Shared {
    catalogue: Mutex<(u64, Arc<Catalogue>)>,
    index: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn apply(&self, command: &Command) -> Result<Applied, ExecuteError> {
        let mut kept = self.catalogue.lock();
        let mut next = (*kept.1).clone();
        let applied = next.apply(command)?;
        *kept = (kept.0 + 1, Arc::new(next));
        self.index.send_replace(kept.0);
        Ok(applied)
    }
}

#[derive(Debug)]
struct View {
    shared: Arc<Shared>,
}

#[async_trait]
impl Catalogues for View {
    fn current(&self) -> Arc<Catalogue> {
        Arc::clone(&self.shared.catalogue.lock().1)
    }

    fn index(&self) -> u64 {
        self.shared.catalogue.lock().0
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.index.subscribe()
    }

    fn age(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn is_met(&self) -> bool {
        true
    }

    async fn execute(&self, command: &Command) -> Result<Applied, ExecuteError> {
        self.shared.apply(command)
    }

    async fn lease(&self, name: &str, owner: NodeId, duration: Duration) -> Result<Lease, ExecuteError> {
        let duration_ms = duration.as_millis() as u64;
        let command = Command::AcquireLease { name: name.to_owned(), owner, duration_ms, unrenewed: None };
        Ok(self.shared.apply(&command)?.lease.unwrap())
    }

    async fn nobody_confirms(&self) -> bool {
        false
    }
}

/// Says which calls get lost, by address, method and number.
type Loses = Box<dyn Fn(&str, &str, u64) -> bool + Send>;

/// Carries calls to routers by address.
#[derive(Default)]
pub(crate) struct Wires {
    routers: Mutex<BTreeMap<String, Router>>,
    cut: Mutex<BTreeSet<String>>,
    calls: AtomicU64,
    loses: Mutex<Option<Loses>>,
    counts: Mutex<BTreeMap<String, u64>>,
}

impl std::fmt::Debug for Wires {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wires").finish_non_exhaustive()
    }
}

impl Wires {
    /// How often a method was called.
    pub(crate) fn count(&self, method: &str) -> u64 {
        self.counts.lock().get(method).copied().unwrap_or(0)
    }

    pub(crate) fn lose(&self, loses: impl Fn(&str, &str, u64) -> bool + Send + 'static) {
        *self.loses.lock() = Some(Box::new(loses));
    }

    pub(crate) fn lose_nothing(&self) {
        *self.loses.lock() = None;
    }
}

#[async_trait]
impl Transport for Wires {
    async fn call(&self, to: &str, call: Call, within: Duration) -> Result<Reply, CallError> {
        sleep(Duration::from_millis(1)).await;
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        *self.counts.lock().entry(call.method.to_string()).or_default() += 1;
        let unreachable = || CallError::Unreachable { to: to.to_owned(), reason: "it is away".to_owned() };
        if self.loses.lock().as_ref().is_some_and(|loses| loses(to, &call.method, number)) {
            return Err(CallError::TimedOut { to: to.to_owned(), within });
        }
        if self.cut.lock().contains(to) {
            return Err(unreachable());
        }
        let router = self.routers.lock().get(to).cloned().ok_or_else(unreachable)?;
        let failed = |failure| CallError::Failed { to: to.to_owned(), failure };
        router.answer(call).await.map_err(failed)
    }
}

/// A data node that runs.
pub(crate) struct Node {
    pub(crate) fs: SimFs,
    pub(crate) store: Arc<Store>,
    pub(crate) entropy: Arc<Entropy>,
    pub(crate) member: Arc<Member>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

pub(crate) struct Cluster {
    pub(crate) shared: Arc<Shared>,
    pub(crate) wires: Arc<Wires>,
    pub(crate) nodes: BTreeMap<u64, Node>,
    pub(crate) settings: EntropySettings,
    pub(crate) forget: ForgetSettings,
    /// The ways of nodes to the log that writes go through, where they do.
    pub(crate) links: BTreeMap<u64, MemoryLog>,
    began: Instant,
}

pub(crate) fn address(id: u64) -> String {
    format!("data{id}:8088")
}

impl Cluster {
    /// Some data nodes, and a database with one shard, 1, on the first two.
    pub(crate) fn new(nodes: u64) -> Self {
        let shared = Arc::new(Shared { catalogue: Mutex::default(), index: watch::Sender::new(0) });
        let spec = RetentionPolicySpec {
            name: "rp".into(),
            duration_ns: 0,
            shard_group_duration_ns: 0,
            replica_n: Some(2),
        };
        shared.apply(&Command::NameCluster { id: 7 }).unwrap();
        for id in 1..=nodes {
            let (tcp_addr, http_addr) = (address(id), format!("data{id}:8086"));
            let labels = BTreeMap::new();
            shared.apply(&Command::CreateDataNode { tcp_addr, http_addr, https: false, labels }).unwrap();
        }
        shared.apply(&Command::CreateDatabase { name: "db".into(), policy: Some(spec) }).unwrap();
        shared
            .apply(&Command::CreateShardGroup {
                database: "db".into(),
                retention_policy: "rp".into(),
                time_ns: NOW_NS,
                nodes: vec![NodeId(1), NodeId(2)],
            })
            .unwrap();
        let settings =
            EntropySettings { check_interval: Duration::from_secs(10), ..EntropySettings::default() };
        let wires = Arc::new(Wires::default());
        let (nodes, links) = (BTreeMap::new(), BTreeMap::new());
        let forget = ForgetSettings { after: Duration::ZERO, ..ForgetSettings::default() };
        Self { shared, wires, nodes, settings, forget, links, began: Instant::now() }
    }

    /// As [`Self::new`], and a second shard group, at [`LOGGED_NS`], that is written through a log of so many partitions.
    pub(crate) fn logged(nodes: u64, partitions: u32) -> Self {
        let mut cluster = Self::new(nodes);
        let log = MemoryLog::new(partitions, 4_000, Duration::ZERO, Arc::new(Wall(cluster.began)));
        let level = skywatch_meta::FEATURE_LEVEL;
        let mut commands: Vec<Command> =
            (1..=nodes).map(|id| Command::AnnounceFeatureLevel { node: NodeId(id), level }).collect();
        commands.push(Command::RaiseFeatureLevel { level });
        let name = Some(LOG.to_owned());
        commands
            .extend((1..=nodes).map(|id| Command::AnnounceWriteLog { node: NodeId(id), log: name.clone() }));
        commands.push(Command::CreateLoggedShardGroup {
            database: "db".into(),
            retention_policy: "rp".into(),
            time_ns: LOGGED_NS,
            log_starts: vec![0; partitions as usize],
        });
        commands.iter().for_each(|command| drop(cluster.shared.apply(command).unwrap()));
        cluster.links = (1..=nodes).map(|id| (id, log.link())).collect();
        cluster
    }

    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.shared.catalogue.lock().1)
    }

    /// The shard that there is, and its times.
    pub(crate) fn shard(&self) -> (ShardId, TimeRange) {
        let catalogue = self.catalogue();
        let group = &catalogue.databases()[0].retention_policies[0].shard_groups[0];
        (ShardId(group.shards[0].id), TimeRange::new(group.start_ns, group.end_ns - 1))
    }

    /// The store of a node that does not run, on its disk.
    pub(crate) fn open(&self, fs: &SimFs) -> Store {
        let options =
            StoreOptions { versions: VersionPolicy::Keep, background: false, ..StoreOptions::default() };
        Store::open_on(Arc::new(fs.clone()), Path::new("data"), options).unwrap()
    }

    /// Starts a node on a disk.
    pub(crate) fn start(&mut self, id: u64, fs: SimFs) {
        let store = Arc::new(self.open(&fs));
        let me = NodeId(id);
        let parts = Parts {
            me,
            store: Arc::clone(&store),
            clock: Arc::new(Clock::new(id as u16, store.latest_version())),
            wall: Arc::new(Wall(self.began)),
            fs: Arc::new(fs.clone()),
            transport: Arc::clone(&self.wires) as Arc<dyn Transport>,
            catalogues: Arc::new(View { shared: Arc::clone(&self.shared) }),
            admission: Arc::new(NoLimits),
        };
        let member = {
            let settings = MemberSettings { forget: self.forget, ..MemberSettings::default() };
            Member::open(parts, Path::new("hh"), settings).unwrap()
        };
        let mut logged = Vec::new();
        let mut calls = Router::new();
        if let Some(link) = self.links.get(&id) {
            let settings = LogSettings {
                patience: Duration::ZERO,
                idle: Duration::from_millis(10),
                threads: 1,
                batch_bytes: 20_000,
                ..LogSettings::default()
            };
            let log = (LOG, Arc::new(link.same_link()) as Arc<dyn WriteLog>);
            let path =
                LogPath::open(&member, Arc::new(fs.clone()), Path::new("meta"), log, settings).unwrap();
            member.write_through(Arc::clone(&path));
            calls = path.router();
            let [applying, watching, asking] = [(); 3].map(|()| Arc::clone(&path));
            logged.push(tokio::spawn(async move { applying.run().await }));
            logged.push(tokio::spawn(async move { watching.watch_log().await }));
            logged.push(tokio::spawn(async move { asking.watch_peers().await }));
        }
        let settings = EntropySettings { seed: id, ..self.settings.clone() };
        let entropy =
            Entropy::open(Arc::clone(&member), Arc::new(fs.clone()), Path::new("data"), settings).unwrap();
        let router = member.router().and(entropy.all_routes()).and(calls);
        self.wires.routers.lock().insert(address(id), router);
        let (delivering, watching, comparing) =
            (Arc::clone(&member), Arc::clone(&member), Arc::clone(&entropy));
        let kept = Arc::clone(&member);
        let mut tasks = vec![
            tokio::spawn(async move { delivering.run().await }),
            tokio::spawn(async move { watching.watch_wholeness().await }),
            tokio::spawn(async move { comparing.run().await }),
            tokio::spawn(restore_copies(member)),
        ];
        tasks.extend(logged);
        self.nodes.insert(id, Node { fs, store, entropy, member: kept, tasks });
    }

    /// Stops a node as a power cut does; its disk.
    pub(crate) async fn stop(&mut self, id: u64) -> SimFs {
        self.wires.routers.lock().remove(&address(id));
        let node = self.nodes.remove(&id).unwrap();
        let fs = node.fs.clone();
        drop(node);
        // Tasks end when they are next looked at.
        sleep(Duration::from_secs(1)).await;
        fs.restart();
        fs
    }

    pub(crate) fn node(&self, id: u64) -> &Node {
        &self.nodes[&id]
    }

    /// Whether nodes hold the same of the shard, and something.
    pub(crate) fn are_alike(&self, ids: &[u64]) -> bool {
        let digests: Vec<Option<ShardDigest>> =
            ids.iter().map(|id| Some(self.node(*id).shard(self.shard().0)?.digest().unwrap())).collect();
        digests.windows(2).all(|pair| pair[0].is_some() && pair[0] == pair[1])
    }

    /// Waits, in virtual time, until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..3600 {
            if holds(self) {
                return;
            }
            sleep(Duration::from_millis(500)).await;
        }
        panic!("{what} does not become true");
    }
}

impl Node {
    pub(crate) fn shard(&self, id: ShardId) -> Option<Arc<Shard>> {
        self.store.shard(id)
    }
}

/// Points of some series, one at each of some times, in seconds after [`NOW_NS`].
pub(crate) fn points(series: std::ops::Range<u32>, seconds: std::ops::Range<i64>) -> PointBatch<'static> {
    let mut batch = PointBatch::new();
    for series in series {
        for second in seconds.clone() {
            let value = FieldRef::Float(f64::from(series) * 1.5 + second as f64);
            batch
                .push(&format!("cpu,host=h{series}"), NOW_NS + second * 1_000_000_000, [("v", value)])
                .unwrap();
        }
    }
    batch
}

/// A version of some milliseconds after the beginning.
pub(crate) fn version(ms: u64) -> Version {
    Version::from_parts(BEGAN_MS + ms, 0, 9)
}

/// Stores a batch at one owner alone.
pub(crate) fn store_at(
    store: &Store,
    (id, range): (ShardId, TimeRange),
    batch: &PointBatch<'_>,
    version: Version,
) {
    let shard = store.create_shard(id, range).unwrap();
    let all: Vec<u32> = (0..batch.len() as u32).collect();
    assert_eq!(shard.write(batch, &all, version).unwrap().rejected, []);
}
