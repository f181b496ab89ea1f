//! Delivers what is kept for other nodes, in the order in which it came, as fast as they and the rate allow.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use skywatch_meta::NodeId;
use skywatch_rpc::{CallError, FailureKind, Transport, ask};
use tokio::time::Instant;

use crate::{
    calls::{APPLY, ApplyAnswer, ApplyOutcome, ApplyQuestion, join},
    catalogues::Catalogues,
    hints::{Hints, Queue},
    offload,
    offload::offload_quietly,
    operation::{peek, waiting},
    rate::Rate,
    standing::{RETELL_EVERY, Standing},
};

/// How long a delivery may take.
const DELIVERY_LIMIT: Duration = Duration::from_secs(10);

/// Fills what a queue could not keep: compares the node's replicas with others'. Answers whether they are equal now.
#[async_trait::async_trait]
pub trait GapFiller: Send + Sync + std::fmt::Debug {
    /// Brings the shards of a node up to date.
    async fn fill(&self, node: NodeId) -> bool;
}

/// See the module's header.
#[derive(Debug)]
pub struct Handoff {
    catalogues: Arc<dyn Catalogues>,
    transport: Arc<dyn Transport>,
    hints: Arc<Hints>,
    standing: Arc<Standing>,
    /// How fast hints go out, all destinations together.
    rate: Rate,
    gaps: std::sync::OnceLock<Arc<dyn GapFiller>>,
}

impl Handoff {
    pub(crate) fn new(
        catalogues: Arc<dyn Catalogues>,
        transport: Arc<dyn Transport>,
        hints: Arc<Hints>,
        standing: Arc<Standing>,
    ) -> Self {
        let bytes_per_sec = hints.settings().rate_limit;
        let rate = Rate::new(bytes_per_sec);
        Self { catalogues, transport, hints, standing, rate, gaps: std::sync::OnceLock::new() }
    }

    /// Who fills gaps; only the first one counts.
    pub fn fill_gaps_with(&self, filler: Arc<dyn GapFiller>) {
        drop(self.gaps.set(filler));
    }

    /// Delivers to a node until it is removed from the catalogue.
    pub(crate) async fn serve(&self, node: NodeId, queue: Arc<Queue>) {
        let settings = self.hints.settings().clone();
        let mut pause = settings.retry_interval;
        let mut purged = Instant::now();
        loop {
            if queue.is_closed() {
                return;
            }
            if self.catalogues.current().data_node(node).is_none() && self.catalogues.index() > 0 {
                self.standing.forget(node);
                if let Err(error) = offload(|| self.hints.remove(node)) {
                    tracing::warn!(node = node.0, %error, "cannot remove the hints of a node that was removed");
                }
                return;
            }
            if purged.elapsed() >= settings.purge_interval {
                purged = Instant::now();
                let given_up = offload(|| queue.purge(settings.max_age));
                if given_up > 0 {
                    tracing::warn!(
                        node = node.0,
                        given_up,
                        "hints were too old; comparing the replicas brings back what they held"
                    );
                }
            }
            match self.deliver(node, &queue, settings.batch_bytes).await {
                Progress::Delivered => pause = settings.retry_interval,
                Progress::Done => {
                    pause = settings.retry_interval;
                    let waiting = tokio::time::timeout(settings.purge_interval, queue.filled.notified());
                    // Whether something came or the time is up: look again.
                    drop(waiting.await);
                }
                Progress::Failed => {
                    self.standing.mark_again(node).await;
                    let pause_now =
                        if self.standing.is_marked(node) { pause } else { pause.min(RETELL_EVERY) };
                    // A node that is back says so.
                    drop(tokio::time::timeout(pause_now, queue.filled.notified()).await);
                    pause = (pause * 2).min(settings.retry_max_interval);
                }
            }
        }
    }

    async fn deliver(&self, node: NodeId, queue: &Queue, bytes: u64) -> Progress {
        if queue.is_empty() {
            return self.finish(node, queue).await;
        }
        let batch = match offload_quietly(|| queue.next(bytes)) {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(node = node.0, %error, "cannot read hints");
                return Progress::Failed;
            }
        };
        let wanted: Vec<Bytes> =
            batch.entries.iter().filter(|entry| self.is_wanted(node, (*entry).clone())).cloned().collect();
        if !wanted.is_empty() {
            let size = wanted.iter().map(Bytes::len).sum::<usize>() as u64;
            self.rate.take(size).await;
            let has_arrived = self.send(node, &wanted, queue).await;
            queue.tried(has_arrived);
            if !has_arrived {
                return Progress::Failed;
            }
        }
        offload(|| queue.delivered(&batch));
        Progress::Delivered
    }

    /// Whether the node still owns the shard that an operation is for.
    fn is_wanted(&self, node: NodeId, entry: Bytes) -> bool {
        let Ok(encoded) = peek(entry) else { return false };
        let catalogue = self.catalogues.current();
        match catalogue.live_shard(encoded.shard) {
            Some(shard) => shard.is_owned_by(node),
            None => encoded.shard > catalogue.shard_id_last(),
        }
    }

    /// Whether all of it has arrived; what the node can never take is not sent again.
    async fn send(&self, node: NodeId, entries: &[Bytes], queue: &Queue) -> bool {
        let Some(address) = self.catalogues.current().data_node(node).map(|node| node.tcp_addr.clone())
        else {
            return false;
        };
        let (operations, are_unseen): (Vec<Bytes>, Vec<bool>) = entries.iter().map(waiting).unzip();
        let unseen =
            (0..).zip(are_unseen).filter_map(|(place, is_unseen)| is_unseen.then_some(place)).collect();
        let question = ApplyQuestion { late: true, unseen };
        let answer: Result<(ApplyAnswer, _), CallError> =
            ask(&*self.transport, &address, APPLY, &question, join(&operations), DELIVERY_LIMIT).await;
        let outcomes = match answer {
            Ok((answer, _)) if answer.outcomes.len() == entries.len() => answer.outcomes,
            Ok(_) => return false,
            Err(error) => {
                tracing::debug!(node = node.0, %error, "hints are not delivered yet");
                return false;
            }
        };
        let mut all = true;
        for outcome in outcomes {
            let failure = match outcome {
                ApplyOutcome::Stored(report) => {
                    queue.arrived(report.written);
                    continue;
                }
                ApplyOutcome::Failed(failure) => failure,
            };
            match failure.kind {
                FailureKind::NotFound => {}
                FailureKind::Invalid | FailureKind::Conflict => {
                    tracing::error!(node = node.0, %failure, "a node refuses what was kept for it for good");
                    offload(|| queue.note_gap());
                }
                _ => {
                    tracing::debug!(node = node.0, %failure, "hints are not taken yet");
                    all = false;
                }
            }
        }
        all
    }

    /// The queue is empty: the node is in step again, once gaps are filled.
    async fn finish(&self, node: NodeId, queue: &Queue) -> Progress {
        // Whatever it has, it would be taken for behind again at once.
        if self.standing.is_silent(node) {
            return Progress::Failed;
        }
        if !self.standing.is_behind(node) && self.standing.adopt_mark(node).await {
            offload(|| queue.expect_kept());
        }
        if self.standing.is_settled(node) && !queue.has_gaps() {
            return Progress::Done;
        }
        if queue.has_gaps()
            && let Some(filler) = self.gaps.get()
        {
            if !filler.fill(node).await {
                return Progress::Failed;
            }
            if !queue.is_empty() {
                return Progress::Delivered;
            }
            offload(|| queue.close_gaps());
        }
        let is_done = || queue.is_empty() && !queue.has_gaps();
        if self.standing.catch_up(node, is_done).await { Progress::Done } else { Progress::Failed }
    }
}

enum Progress {
    /// Something arrived; there may be more.
    Delivered,
    /// Nothing is left.
    Done,
    /// The node does not take it now.
    Failed,
}
