//! The clocks of the nodes, kept close: of two writes of the same cell, or a write and a delete, through different nodes,
//! the later one has to have the greater version even where the nodes' wall clocks differ.
//!
//! Versions are of a hybrid logical clock: a node never falls behind a version it has seen. Nodes that share no shard see
//! none of each other's, so they tell each other with every [heartbeat](crate::heartbeat); and a delete, which has to be younger than
//! all that was acknowledged before it, asks first.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use skywatch_meta::{DataNode, NodeId};
use skywatch_model::Version;
use skywatch_rpc::{CallError, Router, tell};

use crate::{Member, assurance::Asking};

/// Asks for a node's clock, and tells the asker's.
const CLOCK: &str = "replication.clock";
/// How long a node may take to say what its clock is.
const CLOCK_LIMIT: Duration = Duration::from_secs(1);

/// Head of [`CLOCK`].
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    /// The latest version of the asker's clock.
    version: u64,
    /// Who asks, if it wants to be assured of being in step; see [`crate::assurance`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<NodeId>,
    /// The number of the assurance that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holds: Option<u64>,
    /// Whether it watches the catalogue closely when that has run out; nodes of earlier releases do not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    close: bool,
}

/// Answer to [`CLOCK`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reading {
    /// The latest version of the node's clock. No two answers of a node have the same.
    pub(crate) version: u64,
    /// Whether the asker is in step as far as this node knows: an assurance, whose number is the version.
    #[serde(default)]
    pub(crate) assured: bool,
}

impl Member {
    /// The call about clocks.
    pub(crate) fn clock_router(self: &Arc<Self>) -> Router {
        let member = Arc::clone(self);
        Router::new().on(CLOCK, move |question: Question, _| {
            member.observe(Version(question.version));
            let version = member.owner().tick().0;
            let asking = Asking { holds: question.holds, is_close: question.close };
            let assure = |node| member.standing().assure(node, asking, version);
            let assured = question.node.is_some_and(assure);
            async move { Ok((Reading { version, assured }, Bytes::new())) }
        })
    }

    fn observe(&self, version: Version) {
        if let Err(error) = self.owner().observe(version) {
            tracing::error!(%error, "the clock of a data node is wrong");
        }
    }

    /// Learns the clocks of all data nodes that answer: every version given out here from now on is greater than any that
    /// they had given out.
    pub async fn exchange_clocks(&self) {
        let catalogue = self.catalogues().current();
        let question = Question { version: self.owner().tick().0, node: None, holds: None, close: false };
        let others = catalogue.data_nodes().iter().filter(|node| node.id != self.id());
        let asked = others.map(|node| async {
            drop(self.exchange_clock(node, &question).await);
        });
        futures_util::future::join_all(asked).await;
    }

    /// Exchanges clocks with a node that may assure this one of being in step with it, and is told of which assurance
    /// this one knows.
    pub(crate) async fn ask_for_assurance(
        &self,
        node: &DataNode,
        holds: Option<u64>,
    ) -> Result<Reading, CallError> {
        let question = Question { version: self.owner().tick().0, node: Some(self.id()), holds, close: true };
        self.exchange_clock(node, &question).await
    }

    async fn exchange_clock(&self, node: &DataNode, question: &Question) -> Result<Reading, CallError> {
        let answer: Reading = tell(&**self.transport(), &node.tcp_addr, CLOCK, question, CLOCK_LIMIT).await?;
        self.observe(Version(answer.version));
        Ok(answer)
    }
}
