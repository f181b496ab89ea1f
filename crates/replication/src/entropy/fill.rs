//! Gaps of another node: it is asked to compare all its shards, and waited for.

use std::{sync::Weak, time::Duration};

use skywatch_meta::NodeId;
use skywatch_rpc::tell;
use tokio::time::Instant;

use super::{
    Entropy,
    calls::{ROUND, RoundAnswer, RoundQuestion},
};
use crate::GapFiller;

/// How long filling gaps of another node may take before it is tried anew, and how often it is asked.
const FILL_LIMIT: Duration = Duration::from_secs(120);
const FILL_PAUSE: Duration = Duration::from_millis(500);
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// Has the replicas of a node compared by the node itself.
#[derive(Debug)]
pub(super) struct Filler(pub(super) Weak<Entropy>);

#[async_trait::async_trait]
impl GapFiller for Filler {
    async fn fill(&self, node: NodeId) -> bool {
        let Some(entropy) = self.0.upgrade() else { return false };
        entropy.fill(node).await
    }
}

impl Entropy {
    /// Asks a node to compare all its shards, and waits until it has; false if it has not in time, or could not. A round
    /// that was asked for is waited for again the next time.
    async fn fill(&self, node: NodeId) -> bool {
        let catalogue = self.member.catalogues().current();
        let Some(address) = catalogue.data_node(node).map(|node| node.tcp_addr.clone()) else { return true };
        let deadline = Instant::now() + FILL_LIMIT;
        while Instant::now() < deadline {
            let asked = self.fills.lock().get(&node).copied();
            let question = RoundQuestion { round: asked };
            let answer: Result<RoundAnswer, _> =
                tell(&**self.member.transport(), &address, ROUND, &question, CALL_LIMIT).await;
            let Ok(answer) = answer else { return false };
            if answer.done || answer.failed {
                self.fills.lock().remove(&node);
                return answer.done;
            }
            self.fills.lock().insert(node, answer.round);
            tokio::time::sleep(FILL_PAUSE).await;
        }
        false
    }
}
