//! What is heard: from the log where it ends, from other data nodes what they have acknowledged and how far they are.
//!
//! Either is enough to know until when this node has everything. The log's end is beyond whatever was acknowledged. And since
//! nobody but data nodes acknowledges, so is the greatest place that any of them has acknowledged, if every one of them has
//! told: that is how queries go on while no broker answers. A node that is down, or has been started since and not reached
//! the log yet, may have acknowledged something that it cannot tell.

use std::time::Duration;

use skywatch_meta::{DataNode, NodeId};
use skywatch_rpc::{CallError, Transport, tell};
use tokio::time::Instant;

use super::{
    LagAnswer, LogPath, Position, PositionToken, ReadError,
    calls::{POSITIONS, PositionsQuestion, REACH, ReachAnswer, ReachQuestion},
};

/// How much longer than asked for an answer may be on its way.
const SLACK: Duration = Duration::from_millis(500);
/// So often in a row the log has to end before what is applied, before it is taken to have lost something.
const WENT_BACK_TIMES: u32 = 8;

/// What a data node says of how far it is.
pub async fn lag_of(
    transport: &dyn Transport,
    address: &str,
    within: Duration,
) -> Result<LagAnswer, CallError> {
    tell(transport, address, POSITIONS, &PositionsQuestion {}, within).await
}

impl LogPath {
    /// Asks the log again and again where it ends, until the future is dropped.
    pub async fn watch_log(&self) {
        loop {
            let asked = Instant::now();
            let applied = self.progress.lock().next();
            match tokio::time::timeout(self.settings.freshness, self.log.ends()).await {
                Ok(Ok(ends)) => self.hear_ends(asked, &applied, &ends),
                Ok(Err(error)) => self.is_unreachable(&error.to_string()),
                Err(_) => self.is_unreachable("no broker has said in time where it ends"),
            }
            tokio::time::sleep_until(asked + self.settings.probe_every).await;
        }
    }

    fn is_unreachable(&self, reason: &str) {
        let before = self.unreachable.lock().replace(reason.to_owned());
        if before.is_none() {
            tracing::warn!(log = self.name, reason, "the log does not answer; it is asked again and again");
        }
    }

    fn hear_ends(&self, asked: Instant, applied: &std::collections::BTreeMap<u32, u64>, ends: &[Position]) {
        if self.unreachable.lock().take().is_some() {
            tracing::info!(log = self.name, "the log answers again");
        }
        {
            let mut known = self.ends.lock();
            for end in ends {
                let place = end.partition as usize;
                if known.len() <= place {
                    known.resize(place + 1, 0);
                }
                known[place] = end.offset;
            }
        }
        {
            let mut acknowledged = self.acknowledged.lock();
            if !acknowledged.is_complete {
                for end in ends {
                    let known = acknowledged.ends.entry(end.partition).or_default();
                    *known = end.offset.max(*known);
                }
                acknowledged.is_complete = true;
            }
        }
        for end in ends {
            match applied.get(&end.partition) {
                Some(next) if end.offset < *next => self.suspect(*end, *next),
                _ => {
                    self.went_back.lock().remove(&end.partition);
                    self.progress.lock().hear_end(asked, *end);
                }
            }
        }
    }

    /// A broker that has just become the leader may not know yet how far the log goes: one that has says so again and again.
    fn suspect(&self, end: Position, next: u64) {
        let times = {
            let mut went_back = self.went_back.lock();
            let times = went_back.entry(end.partition).or_default();
            *times += 1;
            *times
        };
        if times >= WENT_BACK_TIMES {
            self.went_back.lock().remove(&end.partition);
            self.log_went_back(end, next);
        }
    }

    /// The log has lost records that this node has applied, or is another one of the same name.
    fn log_went_back(&self, end: Position, next: u64) {
        tracing::error!(
            log = self.name,
            partition = end.partition,
            end = end.offset,
            applied = next,
            "the log ends before what this node has applied of it: it lost records, or was made anew; the replicas are compared"
        );
        let wanted = Position { partition: end.partition, offset: next };
        self.lacks(&ReadError::Expired { wanted, first: end.offset });
    }

    fn others(&self) -> Vec<DataNode> {
        let catalogue = self.catalogues.current();
        catalogue.data_nodes().iter().filter(|node| node.id != self.me).cloned().collect()
    }

    /// Asks the other data nodes again and again what they have acknowledged, until the future is dropped.
    pub async fn watch_peers(&self) {
        loop {
            let asked = Instant::now();
            let others = self.others();
            let answers = others.iter().map(|node| async {
                let within = self.settings.probe_every.max(SLACK);
                (node.id, lag_of(&*self.transport, &node.tcp_addr, within).await.ok())
            });
            let answers = futures_util::future::join_all(answers).await;
            self.hear_peers(asked, &answers);
            tokio::time::sleep_until(asked + self.settings.probe_every).await;
        }
    }

    fn hear_peers(&self, asked: Instant, answers: &[(NodeId, Option<LagAnswer>)]) {
        let told = |answer: &LagAnswer| answer.acknowledged.clone().filter(|_| answer.log == self.name);
        let own = {
            let known = self.acknowledged.lock();
            known.is_complete.then(|| known.ends.clone())
        };
        let everybody: Option<Vec<Vec<(u32, u64)>>> =
            answers.iter().map(|(_, answer)| answer.as_ref().and_then(told)).collect();
        if let (Some(mut ends), Some(everybody)) = (own, everybody) {
            for (partition, end) in everybody.into_iter().flatten() {
                let known = ends.entry(partition).or_default();
                *known = end.max(*known);
            }
            let mut progress = self.progress.lock();
            let partitions: Vec<u32> = progress.all().keys().copied().collect();
            for partition in partitions {
                let offset = ends.get(&partition).copied().unwrap_or(0);
                progress.hear_acknowledged(asked, Position { partition, offset });
            }
        }
        let mut peers = self.peers.lock();
        peers.retain(|node, _| answers.iter().any(|(asked, _)| asked == node));
        for (node, answer) in answers {
            if let Some(answer) = answer {
                peers.insert(*node, (asked, answer.clone()));
            }
        }
    }

    /// What another node said last of a partition, if that was a moment ago.
    fn peer_says(&self, node: NodeId, partition: u32) -> Option<super::PartitionLag> {
        let peers = self.peers.lock();
        let (at, answer) = peers.get(&node)?;
        if at.elapsed() > self.settings.freshness {
            return None;
        }
        answer.partitions.iter().find(|it| it.partition == partition).cloned()
    }

    /// Whether a node, this one included, may answer for a partition, as far as is known here.
    pub fn is_fresh_at(&self, node: NodeId, partition: u32) -> bool {
        if node == self.me {
            return self.is_fresh(partition);
        }
        self.peer_says(node, partition).is_some_and(|it| it.fresh)
    }

    /// Waits until another node has applied everything up to these records; false if it has not by then, or does not answer.
    pub async fn reach_at(&self, node: NodeId, token: &PositionToken, within: Duration) -> bool {
        if node == self.me {
            return self.reach(token, within).await;
        }
        let catalogue = self.catalogues.current();
        let Some(address) = catalogue.data_node(node).map(|node| node.tcp_addr.clone()) else { return false };
        let positions = token.positions().map(|it| (it.partition, it.offset)).collect();
        let question = ReachQuestion { positions, within_ms: within.as_millis() as u64 };
        let answer: Result<ReachAnswer, _> =
            tell(&*self.transport, &address, REACH, &question, within + SLACK).await;
        answer.is_ok_and(|answer| answer.reached)
    }

    /// Waits until an owner has applied as much of a partition as this node has now.
    pub(crate) async fn is_level_with(&self, node: NodeId, partition: u32, within: Duration) -> bool {
        let next = self.progress.lock().get(partition).map_or(0, |it| it.next);
        let Some(offset) = next.checked_sub(1) else { return true };
        self.reach_at(node, &PositionToken::of(&[Position { partition, offset }]), within).await
    }
}
