//! What the cluster page shows, as plain records: the host process asks the nodes, the console serves what they said, to
//! administrators only.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use axum::{Json, extract::State};
use serde::Serialize;
use tokio::{sync::Mutex, time::Instant};

use crate::router::Console;

/// However many pages are open, nodes are not asked more often.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Where the console learns about the cluster.
pub trait ClusterView: Send + Sync + 'static {
    /// The cluster as of now, as far as its nodes answer; `None` from a single server.
    fn snapshot(&self) -> Pin<Box<dyn Future<Output = Option<ClusterSnapshot>> + Send + '_>>;
}

/// For a server that is no member of a cluster.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCluster;

impl ClusterView for NoCluster {
    fn snapshot(&self) -> Pin<Box<dyn Future<Output = Option<ClusterSnapshot>> + Send + '_>> {
        Box::pin(std::future::ready(None))
    }
}

/// A cluster as one of its data nodes sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ClusterSnapshot {
    /// The number of the node that tells.
    pub told_by: u64,
    /// What `skywatch ctl` is to be given so that it finds the meta nodes.
    pub ctl_options: String,
    /// Whatever the meta nodes decided longer ago than this is in what is shown; missing while none of them confirms that.
    pub catalogue_age_ms: Option<u64>,
    /// What every node is known to understand.
    pub feature_level: u32,
    /// By number.
    pub meta_nodes: Vec<MetaNodeState>,
    /// By number.
    pub data_nodes: Vec<DataNodeState>,
    /// Policies that have shards.
    pub policies: Vec<PolicyState>,
    /// The log that writes go through, if they do.
    pub log: Option<String>,
}

/// A meta node, and what it says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MetaNodeState {
    /// Its number.
    pub id: u64,
    /// Where its API is.
    pub http_addr: String,
    /// Where other meta nodes find it.
    pub raft_addr: String,
    /// Whether it says that it leads.
    pub is_leader: bool,
    /// Whether it knows a leader at all.
    pub knows_leader: bool,
    /// The release that runs there, if it answers.
    pub version: Option<String>,
    /// The index of its catalogue.
    pub index: Option<u64>,
    /// Why it does not answer.
    pub error: Option<String>,
}

/// A data node, and what it says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DataNodeState {
    /// Its number.
    pub id: u64,
    /// Where clients find it.
    pub http_addr: String,
    /// Where other nodes find it.
    pub tcp_addr: String,
    /// `dc`, `rack` and whatever else it is labelled with.
    pub labels: BTreeMap<String, String>,
    /// Whether others keep writes for it.
    pub is_behind: bool,
    /// Copies of shards that the catalogue has given it.
    pub copies: u64,
    /// Of which it has not got all that was written before.
    pub copies_joining: u64,
    /// What it says of itself, if it answers.
    pub told: Option<DataNodeTold>,
    /// Why it does not answer.
    pub error: Option<String>,
    /// Whether it answers, and runs an older release that says no more than that.
    pub is_older: bool,
}

/// What a data node says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DataNodeTold {
    /// The release that runs there.
    pub version: String,
    /// One word, if clients should be sent elsewhere: `stopping`, `behind`, `cut off`, `lagging`, `no log`, `wrong log`.
    pub not_ready: Option<String>,
    /// The sentence for it.
    pub reason: Option<String>,
    /// Shards on its disk, and their bytes.
    pub shards: u64,
    /// See [`Self::shards`].
    pub disk_bytes: u64,
    /// What it keeps for other nodes.
    pub hints: Vec<HintsState>,
    /// Partitions of the log that it applies.
    pub partitions: Vec<PartitionState>,
    /// Why it does not reach the log.
    pub log_error: Option<String>,
}

/// What a node keeps for another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HintsState {
    /// For whom.
    pub node: u64,
    /// Operations that wait.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Operations that found no room, since the start.
    pub dropped: u64,
    /// Whether something that belonged there was given up.
    pub has_gaps: bool,
}

/// How far a node has applied a partition of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PartitionState {
    /// Which.
    pub partition: u32,
    /// The first record that it has not applied.
    pub applied: u64,
    /// Where the log ends, as far as it has heard.
    pub end: Option<u64>,
    /// Records between the two.
    pub lag: Option<u64>,
    /// For how long the oldest of these has waited, about.
    pub lag_ms: Option<u64>,
    /// One word: `fresh`, `behind`, `silent`, `stuck`.
    pub state: String,
    /// Why it does not go on.
    pub trouble: Option<String>,
}

/// A retention policy and how well its copies are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PolicyState {
    /// The database.
    pub database: String,
    /// The policy.
    pub policy: String,
    /// How many copies of each shard are wanted.
    pub copies_wanted: u32,
    /// Its shards.
    pub shards: u64,
    /// Owners of the shard that has the fewest whole ones.
    pub copies_fewest: u64,
    /// Copies that are being filled.
    pub copies_joining: u64,
    /// Copies that went with removed nodes and that nobody has been given yet.
    pub copies_lost: u64,
}

/// Keeps an answer for as long as it is new.
pub(crate) struct Cluster {
    view: Arc<dyn ClusterView>,
    latest: Mutex<Option<(Instant, Option<ClusterSnapshot>)>>,
}

impl Cluster {
    pub(crate) fn new(view: Arc<dyn ClusterView>) -> Self {
        Self { view, latest: Mutex::default() }
    }

    /// Who comes while the nodes are being asked waits for that answer.
    async fn snapshot(&self) -> Option<ClusterSnapshot> {
        let mut latest = self.latest.lock().await;
        if let Some((at, known)) = &*latest
            && at.elapsed() < ASK_EVERY
        {
            return known.clone();
        }
        let told = self.view.snapshot().await;
        *latest = Some((Instant::now(), told.clone()));
        told
    }
}

pub(crate) async fn serve(State(console): State<Console>) -> Json<Option<ClusterSnapshot>> {
    Json(console.cluster.snapshot().await)
}
