//! A cluster of nodes in one process: a network that can be cut, meta nodes reduced to one catalogue, and what tests ask.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use skywatch_cluster::{
    Consistency, Membership, Node, NodeConfig, NodeError, WriteError, WriteRequest, WriteSummary,
    WriteThrough,
};
use skywatch_meta::{Catalogue, Command, NodeId};
use skywatch_model::{SystemClock, line::Precision};
use skywatch_query::{CancelToken, Limits, OutputColumn, QueryRequest, StatementResult};
use skywatch_replication::{
    Catalogues, EntropySettings, Follower, MemberSettings,
    hints::HintSettings,
    log::{LogSettings, MemoryLog},
};
use skywatch_rpc::{Call, CallError, Failure, Reply, Router, Transport};
use skywatch_storage::{CardinalityLimits, Durability, MemoryBudget, OpenError, fs::OsFs};

/// When points are written, unless a test says otherwise.
pub(crate) const NOW_NS: i64 = 1_700_000_000_000_000_000;
const META: &str = "meta";
/// The log's name.
pub(crate) const LOG: &str = "points";

/// Carries calls between the nodes that are up.
#[derive(Debug, Default)]
pub(crate) struct Network {
    routers: Mutex<BTreeMap<String, Router>>,
    /// Nodes that answer nobody, and do not refuse either.
    frozen: Mutex<BTreeSet<String>>,
}

/// The network as one node sees it.
#[derive(Debug)]
struct Seat(Arc<Network>);

#[async_trait]
impl Transport for Seat {
    async fn call(&self, to: &str, call: Call, within: Duration) -> Result<Reply, CallError> {
        if self.0.frozen.lock().contains(to) {
            tokio::time::sleep(within).await;
            return Err(CallError::TimedOut { to: to.to_owned(), within });
        }
        let Some(router) = self.0.routers.lock().get(to).cloned() else {
            return Err(CallError::Unreachable {
                to: to.to_owned(),
                reason: "Connection refused (os error 111)".into(),
            });
        };
        let answered = tokio::time::timeout(within, router.answer(call)).await;
        answered
            .map_err(|_| CallError::TimedOut { to: to.to_owned(), within })?
            .map_err(|failure| CallError::Failed { to: to.to_owned(), failure })
    }
}

/// A catalogue that answers as a meta node does.
fn meta_router(catalogue: Arc<Mutex<(u64, Catalogue)>>) -> Router {
    let (watched, executed, leased) = (Arc::clone(&catalogue), Arc::clone(&catalogue), catalogue);
    Router::new()
        .on("meta.watch", move |question: Value, _| {
            let watched = Arc::clone(&watched);
            async move {
                let seen = question["index"].as_u64().unwrap_or(0);
                for _ in 0..50 {
                    let (index, catalogue) = watched.lock().clone();
                    if index > seen {
                        return Ok((
                            json!({ "index": index, "age_ms": 0, "catalogue": catalogue }),
                            Bytes::new(),
                        ));
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Ok((json!({ "index": seen, "age_ms": 0, "catalogue": null }), Bytes::new()))
            }
        })
        .on("meta.execute", move |question: Value, _| {
            let executed = Arc::clone(&executed);
            async move {
                let command: Command =
                    serde_json::from_value(question["command"].clone()).map_err(Failure::internal)?;
                let mut state = executed.lock();
                state.0 += 1;
                let answer = match state.1.apply(&command) {
                    Ok(applied) => json!({ "index": state.0, "applied": applied }),
                    Err(refused) => json!({ "index": state.0, "refused": refused }),
                };
                Ok((answer, Bytes::new()))
            }
        })
        .on("meta.lease", move |question: Value, _| {
            let leased = Arc::clone(&leased);
            async move {
                let command = Command::AcquireLease {
                    name: question["name"].as_str().unwrap_or("").to_owned(),
                    owner: NodeId(question["owner"].as_u64().unwrap_or(0)),
                    duration_ms: question["duration_ms"].as_u64().unwrap_or(0),
                    unrenewed: None,
                };
                let mut state = leased.lock();
                state.0 += 1;
                let applied = state.1.apply(&command).map_err(Failure::internal)?;
                Ok((json!({ "lease": applied.lease }), Bytes::new()))
            }
        })
}

/// Data nodes `d1`, `d2`, ... with the ids 1, 2, ...
pub(crate) struct Cluster {
    runtime: tokio::runtime::Runtime,
    network: Arc<Network>,
    catalogue: Arc<Mutex<(u64, Catalogue)>>,
    dir: tempfile::TempDir,
    nodes: BTreeMap<u64, Arc<Node>>,
    pub(crate) hints: HintSettings,
    /// The ways of nodes to the log that they are set to write through, if they are.
    pub(crate) links: BTreeMap<u64, MemoryLog>,
}

impl Cluster {
    pub(crate) fn start(nodes: u64) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut catalogue = Catalogue::default();
        for node in 1..=nodes {
            let command = Command::CreateDataNode {
                tcp_addr: format!("d{node}"),
                http_addr: format!("h{node}"),
                https: false,
                labels: BTreeMap::new(),
            };
            catalogue.apply(&command).unwrap();
        }
        let mut cluster = Self {
            runtime,
            network: Arc::default(),
            catalogue: Arc::new(Mutex::new((nodes, catalogue))),
            dir: tempfile::tempdir().unwrap(),
            nodes: BTreeMap::new(),
            hints: HintSettings {
                retry_interval: Duration::from_millis(20),
                retry_max_interval: Duration::from_millis(100),
                ..HintSettings::default()
            },
            links: BTreeMap::new(),
        };
        cluster.meta_up();
        (1..=nodes).for_each(|node| cluster.up(node));
        cluster.until_in_step();
        cluster
    }

    /// Lets the catalogue rise to the newest level, and sets all nodes to a log of so many partitions, one by one.
    pub(crate) fn set_to_log(&mut self, partitions: u32) {
        let log = MemoryLog::new(partitions, 10_000, Duration::from_millis(2), Arc::new(SystemClock));
        {
            let mut state = self.catalogue.lock();
            let level = skywatch_meta::FEATURE_LEVEL;
            for node in self.nodes.keys() {
                let command = Command::AnnounceFeatureLevel { node: NodeId(*node), level };
                state.1.apply(&command).unwrap();
            }
            state.1.apply(&Command::RaiseFeatureLevel { level }).unwrap();
            state.0 += 1;
        }
        let nodes: Vec<u64> = self.nodes.keys().copied().collect();
        for node in nodes {
            self.links.insert(node, log.link());
            self.node(node).close();
            self.down(node);
            self.up(node);
        }
        self.until("every node knows of the log", |cluster| {
            let knows =
                |node: &Arc<Node>| node.member().unwrap().catalogues().current().write_log().is_some();
            cluster.nodes.values().all(knows)
        });
        self.until_in_step();
    }

    pub(crate) fn meta_up(&self) {
        let router = meta_router(Arc::clone(&self.catalogue));
        self.network.routers.lock().insert(META.into(), router);
    }

    pub(crate) fn meta_down(&self) {
        self.network.routers.lock().remove(META);
    }

    pub(crate) fn catalogue(&self) -> Catalogue {
        self.catalogue.lock().1.clone()
    }

    fn node_dir(&self, node: u64) -> PathBuf {
        self.dir.path().join(node.to_string())
    }

    /// Starts a node.
    pub(crate) fn up(&mut self, node: u64) {
        let dir = self.node_dir(node);
        // Tasks of the node before let go of its files a moment after it was dropped.
        let opened = (0..200)
            .find_map(|_| match self.open(node, &dir) {
                Err(NodeError::Store(OpenError::Locked { .. })) => {
                    std::thread::sleep(Duration::from_millis(10));
                    None
                }
                opened => Some(opened),
            })
            .expect("the node before has gone")
            .unwrap();
        self.network.routers.lock().insert(format!("d{node}"), opened.calls());
        self.nodes.insert(node, opened);
    }

    pub(crate) fn open(&self, node: u64, dir: &Path) -> Result<Arc<Node>, NodeError> {
        let transport: Arc<dyn Transport> = Arc::new(Seat(Arc::clone(&self.network)));
        let follower =
            Follower::open(Arc::clone(&transport), Arc::new(OsFs), &dir.join("meta"), vec![META.into()])
                .unwrap();
        let following = Arc::clone(&follower);
        self.runtime.spawn(async move { following.follow().await });
        self.runtime.block_on(follower.reach(1, Duration::from_secs(5)));
        let config = NodeConfig {
            data_dir: dir.to_path_buf(),
            durability: Durability::Fsync,
            memory: Arc::new(MemoryBudget::new(1 << 30)),
            cardinality: CardinalityLimits::default(),
            limits: Limits::default(),
            autogen: true,
            upkeep: skywatch_cluster::UpkeepSettings::default(),
            monitor: Arc::default(),
        };
        let membership = Membership {
            me: NodeId(node),
            transport,
            catalogues: follower,
            runtime: self.runtime.handle().clone(),
            settings: MemberSettings {
                patience: Duration::from_millis(300),
                hints: self.hints.clone(),
                ..MemberSettings::default()
            },
            entropy: EntropySettings { seed: node, ..EntropySettings::default() },
            write_timeout: Duration::from_secs(5),
            log: self.links.get(&node).map(|link| WriteThrough {
                name: LOG.to_owned(),
                log: Arc::new(link.same_link()),
                settings: LogSettings::new(Duration::from_millis(1_000)),
            }),
        };
        Node::enter(config, membership)
    }

    /// Stops a node as a crash does: nothing is flushed, nobody is told.
    pub(crate) fn down(&mut self, node: u64) {
        self.network.routers.lock().remove(&format!("d{node}"));
        drop(self.nodes.remove(&node));
    }

    /// Starts a node anew, bytes of whose segments have changed meanwhile, which nobody notices before they are read: chunks and
    /// entries of series, in the second quarter of each file.
    pub(crate) fn damage(&mut self, node: u64) {
        self.node(node).close();
        self.down(node);
        let segments = files_below(&self.node_dir(node).join("data"), "seg");
        assert!(!segments.is_empty());
        for segment in segments {
            let mut bytes = std::fs::read(&segment).unwrap();
            let (first, last) = (bytes.len() / 4, bytes.len() / 2);
            bytes[first..last].iter_mut().step_by(50).for_each(|byte| *byte = byte.wrapping_add(1));
            std::fs::write(&segment, bytes).unwrap();
        }
        self.up(node);
        self.until_in_step();
    }

    /// Shards of a node in which damage has shown, and which are in doubt from now on.
    pub(crate) fn doubted(&self, node: u64) -> usize {
        let (catalogue, entropy) = (self.catalogue(), self.node(node).entropy().unwrap());
        let own = catalogue.live_shards().filter(|shard| shard.is_owned_by(NodeId(node)));
        own.filter(|shard| !entropy.vouches_for(shard.id)).count()
    }

    pub(crate) fn until_repaired(&self, node: u64) {
        self.until("what is damaged is replaced", |cluster| cluster.doubted(node) == 0);
    }

    /// A node that is there and does not answer.
    pub(crate) fn freeze(&self, node: u64, is_frozen: bool) {
        let name = format!("d{node}");
        let mut frozen = self.network.frozen.lock();
        if is_frozen {
            frozen.insert(name);
        } else {
            frozen.remove(&name);
        }
    }

    pub(crate) fn node(&self, node: u64) -> &Arc<Node> {
        &self.nodes[&node]
    }

    pub(crate) fn write(
        &self,
        node: u64,
        body: &str,
        level: Consistency,
    ) -> Result<WriteSummary, WriteError> {
        self.node(node).write(&WriteRequest {
            database: "db",
            retention_policy: None,
            precision: Precision::Nanosecond,
            body: body.as_bytes(),
            received_at_ns: NOW_NS,
            consistency: level,
        })
    }

    /// Times and values of the first column of an answer, by time.
    pub(crate) fn ask(&self, node: u64, query: &str) -> Result<Vec<(i64, String)>, String> {
        self.ask_at(node, query, None)
    }

    /// As [`Self::ask`], of an owner that has applied a position.
    pub(crate) fn ask_at(
        &self,
        node: u64,
        query: &str,
        position: Option<String>,
    ) -> Result<Vec<(i64, String)>, String> {
        self.ask_for(node, &QueryRequest { position, ..QueryRequest::new(query, "db", NOW_NS) })
    }

    /// As [`Self::ask`], of any request.
    pub(crate) fn ask_for(&self, node: u64, request: &QueryRequest) -> Result<Vec<(i64, String)>, String> {
        let mut rows = Vec::new();
        let mut failed = None;
        let mut sink = |result: StatementResult| {
            failed = failed.take().or_else(|| result.error.map(|error| error.to_string()));
            for series in result.series {
                let (OutputColumn::Time(times), OutputColumn::Values(values)) =
                    (&series.values[0], &series.values[1])
                else {
                    continue;
                };
                rows.extend(
                    times.iter().enumerate().map(|(row, time)| (*time, format!("{:?}", values.get(row)))),
                );
            }
            Ok(())
        };
        let executed = self.node(node).executor().execute(request, &CancelToken::new(), &mut sink);
        executed.map_err(|error| error.to_string())?;
        rows.sort();
        failed.map_or(Ok(rows), Err)
    }

    /// Runs a statement that answers nothing.
    pub(crate) fn run(&self, node: u64, statement: &str) {
        let answer = self.ask(node, statement);
        assert!(answer.is_ok(), "{statement}: {answer:?}");
    }

    /// The times of what a query on `m` answers.
    pub(crate) fn times(&self, node: u64) -> Result<Vec<i64>, String> {
        Ok(self.ask(node, "SELECT v FROM m")?.into_iter().map(|(time, _)| time).collect())
    }

    /// Waits until the condition holds.
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let started = std::time::Instant::now();
        while !holds(self) {
            assert!(started.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until nobody is behind, as far as these nodes know.
    pub(crate) fn until_in_step(&self) {
        self.until("nobody is behind", |cluster| {
            cluster.nodes.values().all(|node| {
                let member = node.member().unwrap();
                member.is_whole() && member.hints().queues().iter().all(|(_, queue)| queue.is_empty())
            })
        });
    }
}

/// The files with an extension, in all directories below one.
fn files_below(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.values().for_each(|node| node.close());
    }
}
