//! What the data nodes of a cluster ask each other about running queries, and what statements show of the cluster.
//!
//! | call | question | answer |
//! |---|---|---|
//! | `query.list` | | `queries`: `id`, `text`, `database`, `elapsed_ns`, `is_killed` |
//! | `query.kill` | `id` | `done` |

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use skywatch_query::{ClusterNode, ClusterView, Executor, RunningQuery};
use skywatch_rpc::{CallError, Failure, FailureKind, Router, tell};

use crate::clustered::Clustered;

const LIST: &str = "query.list";
const KILL: &str = "query.kill";

/// How long another node is waited for: a statement about running queries is asked for when something hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Head of [`LIST`].
#[derive(Debug, Default, Serialize, Deserialize)]
struct ListQuestion {}

/// Answer to [`LIST`].
#[derive(Debug, Default, Serialize, Deserialize)]
struct Listed {
    queries: Vec<ListedQuery>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ListedQuery {
    id: u64,
    text: String,
    database: String,
    elapsed_ns: u64,
    is_killed: bool,
}

/// Head of [`KILL`].
#[derive(Debug, Serialize, Deserialize)]
struct KillQuestion {
    id: u64,
}

/// Answer to [`KILL`].
#[derive(Debug, Serialize, Deserialize)]
struct Killed {
    done: bool,
}

impl From<RunningQuery> for ListedQuery {
    fn from(query: RunningQuery) -> Self {
        let RunningQuery { id, text, database, elapsed, is_killed } = query;
        let elapsed_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        Self { id, text, database, elapsed_ns, is_killed }
    }
}

impl From<ListedQuery> for RunningQuery {
    fn from(query: ListedQuery) -> Self {
        let ListedQuery { id, text, database, elapsed_ns, is_killed } = query;
        Self { id, text, database, elapsed: Duration::from_nanos(elapsed_ns), is_killed }
    }
}

/// Answers for the queries of `executor`.
pub(crate) fn router(executor: &Executor) -> Router {
    let (listing, killing) = (executor.clone(), executor.clone());
    Router::new()
        .on(LIST, move |_: ListQuestion, _| {
            let queries = listing.running_queries().into_iter().map(Into::into).collect();
            async move { Ok((Listed { queries }, Bytes::new())) }
        })
        .on(KILL, move |question: KillQuestion, _| {
            let killed = killing.kill(question.id);
            async move {
                killed.map_err(|error| Failure::new(FailureKind::NotFound, error))?;
                Ok((Killed { done: true }, Bytes::new()))
            }
        })
}

impl ClusterView for Clustered {
    fn own_number(&self) -> u64 {
        self.member().id().0
    }

    fn data_nodes(&self) -> Vec<ClusterNode> {
        let catalogue = self.current();
        let shown = |node: &skywatch_meta::DataNode| ClusterNode {
            id: node.id.0,
            http_addr: node.http_addr.clone(),
            tcp_addr: node.tcp_addr.clone(),
        };
        catalogue.data_nodes().iter().map(shown).collect()
    }

    fn meta_nodes(&self) -> Vec<ClusterNode> {
        let catalogue = self.current();
        let shown = |node: &skywatch_meta::MetaNode| ClusterNode {
            id: node.id.0,
            http_addr: node.http_addr.clone(),
            tcp_addr: node.raft_addr.clone(),
        };
        catalogue.meta_nodes().iter().map(shown).collect()
    }

    fn running_elsewhere(&self) -> Vec<(ClusterNode, Result<Vec<RunningQuery>, String>)> {
        let transport = self.member().transport();
        let me = self.own_number();
        let others = self.data_nodes().into_iter().filter(|node| node.id != me);
        let asked = others.map(|node| async move {
            let told: Result<Listed, CallError> =
                tell(&**transport, &node.tcp_addr, LIST, &ListQuestion::default(), ANSWER_LIMIT).await;
            let queries = told.map(|listed| listed.queries.into_iter().map(Into::into).collect());
            (node, queries.map_err(|error| error.to_string()))
        });
        self.runtime().block_on(join_all(asked))
    }

    fn kill(&self, node: &ClusterNode, query: u64) -> Result<(), String> {
        let question = KillQuestion { id: query };
        let asking = tell(&**self.member().transport(), &node.tcp_addr, KILL, &question, ANSWER_LIMIT);
        let killed: Result<Killed, CallError> = self.runtime().block_on(asking);
        killed.map(drop).map_err(|error| match error.failure() {
            Some(failure) => failure.text.clone(),
            None => error.to_string(),
        })
    }
}
