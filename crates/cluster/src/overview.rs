//! How each data node of a cluster is: what it says of itself, gathered by whichever is asked.
//!
//! | call | question | answer |
//! |---|---|---|
//! | `node.overview` | | [`Overview`] |

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use skywatch_meta::DataNode;
use skywatch_replication::log::LagAnswer;
use skywatch_rpc::{CallError, Failure, FailureKind, Router, tell};

use crate::{Node, NotReady, clustered::Clustered, keeper::Keeper, node::NodeCore};

const OVERVIEW: &str = "node.overview";

/// How long another node is waited for: whoever asks wants to know who hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Nodes that are asked at a time.
const ASKED_AT_ONCE: usize = 16;

/// Head of the call.
#[derive(Debug, Default, Serialize, Deserialize)]
struct OverviewQuestion {}

/// What a data node says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overview {
    /// The release that runs there.
    pub version: String,
    /// Why clients should be sent elsewhere, if they should.
    pub not_ready: Option<Unready>,
    /// Shards on its disk.
    pub shards: u64,
    /// Bytes of these.
    pub disk_bytes: u64,
    /// What it keeps for other nodes, by their numbers.
    pub hints: Vec<HintQueue>,
    /// How far it has applied the log that the cluster writes through.
    pub lag: Option<LagAnswer>,
}

/// Why a node is not ready.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unready {
    /// One word: `stopping`, `behind`, `cut off`, `lagging`, `no log`, `wrong log`.
    pub state: String,
    /// The sentence that `GET /ready` has.
    pub reason: String,
}

/// What a node keeps for another one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HintQueue {
    /// For whom.
    pub node: u64,
    /// Operations that wait.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Operations that found no room, since the start.
    pub dropped: u64,
    /// Whether something that belonged there was given up, so that shards are compared instead.
    pub has_gaps: bool,
}

impl NotReady {
    const fn word(&self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::Behind => "behind",
            Self::CutOff => "cut off",
            Self::Lagging(_) => "lagging",
            Self::NoLog(_) => "no log",
            Self::WrongLog(_) => "wrong log",
        }
    }
}

impl NodeCore {
    fn overview(&self, clustered: &Clustered) -> Overview {
        let unready = |why: NotReady| Unready { state: why.word().to_owned(), reason: why.to_string() };
        let statistics = clustered.statistics();
        let hints = statistics.hints.into_iter().map(|(node, queue)| HintQueue {
            node,
            entries: queue.entries,
            bytes: queue.bytes,
            dropped: queue.dropped,
            has_gaps: queue.has_gaps,
        });
        let shards = self.store.shards();
        let bytes = shards
            .iter()
            .map(|shard| shard.stats())
            .map(|it| it.segment_bytes + it.index_bytes + it.log_bytes);
        Overview {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            not_ready: self.readiness_for(crate::Purpose::Both).err().map(unready),
            shards: shards.len() as u64,
            disk_bytes: bytes.sum(),
            hints: hints.collect(),
            lag: statistics.log.map(|log| log.lag),
        }
    }
}

/// Answers for a node for as long as it is open.
pub(crate) fn router(core: &Arc<NodeCore>) -> Router {
    let core = Arc::downgrade(core);
    Router::new().on(OVERVIEW, move |_: OverviewQuestion, _| {
        let told = own(&core);
        async move { Ok((told?, Bytes::new())) }
    })
}

fn own(core: &Weak<NodeCore>) -> Result<Overview, Failure> {
    let stopping = || Failure::new(FailureKind::Unavailable, "the node is stopping");
    let core = core.upgrade().ok_or_else(stopping)?;
    match &core.host {
        Keeper::Cluster(clustered) => Ok(core.overview(clustered)),
        Keeper::Local(_) => Err(Failure::new(FailureKind::Invalid, "this server is no member of a cluster")),
    }
}

impl Node {
    /// What each data node of the cluster says of itself, this one included, by number; nothing from a server that is no
    /// member of one.
    pub async fn overviews(&self) -> Vec<(DataNode, Result<Overview, CallError>)> {
        let Keeper::Cluster(clustered) = &self.core.host else { return Vec::new() };
        let nodes: Vec<DataNode> = clustered.current().data_nodes().to_vec();
        let asked = nodes.into_iter().map(|node| async move {
            let member = clustered.member();
            if node.id == member.id() {
                let told = self.core.overview(clustered);
                return (node, Ok(told));
            }
            let question = OverviewQuestion::default();
            let told = tell(&**member.transport(), &node.tcp_addr, OVERVIEW, &question, ANSWER_LIMIT).await;
            (node, told)
        });
        let mut told: Vec<_> = stream::iter(asked).buffer_unordered(ASKED_AT_ONCE).collect().await;
        told.sort_by_key(|(node, _)| node.id);
        told
    }
}
