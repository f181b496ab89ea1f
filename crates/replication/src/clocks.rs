//! The clocks of the nodes, kept close: of two writes of the same cell, or a write and a delete, through different nodes,
//! the later one has to have the greater version even where the nodes' wall clocks differ.
//!
//! Versions are of a hybrid logical clock: a node never falls behind a version it has seen. Nodes that share no shard see
//! none of each other's, so they tell each other every [`EXCHANGE_EVERY`]; and a delete, which has to be younger than all that
//! was acknowledged before it, asks first.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use skywatch_model::Version;
use skywatch_rpc::{Router, tell};

use crate::Member;

/// Asks for a node's clock, and tells the asker's.
const CLOCK: &str = "replication.clock";
/// How often clocks are exchanged.
const EXCHANGE_EVERY: Duration = Duration::from_secs(1);
/// How long a node may take to say what its clock is.
const CLOCK_LIMIT: Duration = Duration::from_secs(1);

/// Question and answer alike.
#[derive(Debug, Serialize, Deserialize)]
struct Reading {
    /// The latest version of the node's clock.
    version: u64,
}

impl Member {
    /// The call about clocks.
    pub(crate) fn clock_router(self: &Arc<Self>) -> Router {
        let member = Arc::clone(self);
        Router::new().on(CLOCK, move |question: Reading, _| {
            member.observe(Version(question.version));
            let version = member.owner().tick().0;
            async move { Ok((Reading { version }, Bytes::new())) }
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
        let question = Reading { version: self.owner().tick().0 };
        let others = catalogue.data_nodes().iter().filter(|node| node.id != self.id());
        let asked = others.map(|node| async {
            let answer: Result<Reading, _> =
                tell(&**self.transport(), &node.tcp_addr, CLOCK, &question, CLOCK_LIMIT).await;
            if let Ok(answer) = answer {
                self.observe(Version(answer.version));
            }
        });
        futures_util::future::join_all(asked).await;
    }

    /// Exchanges clocks until the future is dropped.
    pub async fn keep_clocks_close(&self) {
        loop {
            self.exchange_clocks().await;
            tokio::time::sleep(EXCHANGE_EVERY).await;
        }
    }
}
