//! Who answers: nodes that have been silent for a while are waited for no longer, and told to be behind ahead of the first write. And
//! what those who ask are assured of.

use std::{sync::atomic::Ordering, time::Duration};

use skywatch_meta::NodeId;
use tokio::time::Instant;

use super::Standing;
use crate::assurance::Asking;

/// Where one half of the data nodes hears nothing of the other, the half without the first node waits for so long before it puts down a
/// node of the other.
const SECOND_HALF_WAITS: Duration = Duration::from_millis(300);
/// A node that does not run is found not to at least this often.
const REFUSED_WITHIN: Duration = Duration::from_millis(1_500);

impl Standing {
    /// A node asks, and names the assurance it has. Whether it is assured of being in step, by this number; see [`Given`].
    pub(crate) fn assure(&self, node: NodeId, asking: Asking, number: u64) -> bool {
        if self.catalogues.current().data_node(node).is_none() {
            return false;
        }
        let (destination, now) = (self.destination(node), Instant::now());
        // One that may not hear the answer gets none: what it gets nevertheless would have to be waited for.
        let is_heard = !destination.silence.lock().is_due(now, self.suspect_after / 2);
        let mut given = destination.given.lock();
        let is_in_step = is_heard && !destination.is_behind.load(Ordering::SeqCst);
        given.ask(now, asking, number, is_in_step)
    }

    /// The node has answered. Whether it had been taken for silent.
    pub(crate) fn heard(&self, node: NodeId) -> bool {
        let destination = self.destination(node);
        let was_silent = destination.silence.lock().hear(Instant::now(), self.suspect_after);
        if was_silent {
            destination.is_silent.store(false, Ordering::SeqCst);
        }
        was_silent
    }

    /// This node had no time to hear the other.
    pub(crate) fn excuse(&self, node: NodeId) {
        self.destination(node).silence.lock().excuse(Instant::now());
    }

    /// The node did not run when it was asked.
    pub(crate) fn refused(&self, node: NodeId, asked: Instant) {
        self.excuse(node);
        self.destination(node).refused.send_replace(Some(asked));
    }

    /// Whether the node is taken for silent: nobody waits for it.
    pub fn is_silent(&self, node: NodeId) -> bool {
        self.destination(node).is_silent.load(Ordering::SeqCst)
    }

    /// Returns when the node is taken for silent.
    pub(crate) async fn silence(&self, node: NodeId) {
        let destination = self.destination(node);
        loop {
            let silenced = destination.silenced.notified();
            if destination.is_silent.load(Ordering::SeqCst) {
                return;
            }
            silenced.await;
        }
    }

    /// How long a node may not answer before it is taken for silent.
    pub(crate) const fn suspect_after(&self) -> Duration {
        self.suspect_after
    }

    /// Looks who is silent, and takes those for it; these are told of. A node that most others do not answer is the silent one
    /// itself; so may be one that nobody answers at all.
    pub(crate) fn look(&self) -> Vec<NodeId> {
        let (now, catalogue) = (Instant::now(), self.catalogues.current());
        let (mut due, mut quiet, mut is_met) = (Vec::new(), 0, self.catalogues.is_met());
        for node in catalogue.data_nodes().iter().map(|node| node.id).filter(|node| *node != self.me) {
            let destination = self.destination(node);
            let silence = *destination.silence.lock();
            let has_ended = destination.refused.borrow().is_some_and(|at| now - at < REFUSED_WITHIN);
            let has_answered = silence.has_answered(now, self.suspect_after / 2);
            is_met |= has_answered;
            // Those that will be due soon count as well: one is always the first.
            quiet += usize::from(!has_answered && !has_ended);
            if silence.is_due(now, self.suspect_after) {
                due.push((node, destination));
            }
        }
        if !is_met || quiet * 2 > catalogue.data_nodes().len() {
            return Vec::new();
        }
        due.retain(|(_, destination)| {
            let is_new = destination.silence.lock().begin(now);
            if is_new {
                destination.is_silent.store(true, Ordering::SeqCst);
                destination.silenced.notify_waiters();
            }
            is_new
        });
        due.into_iter().map(|(node, _)| node).collect()
    }

    /// The node is silent: the catalogue is told already now that it is behind, so that no write has to wait for that. Not where
    /// all is written through a log; not by a node whose silence it may be as well; nor where another node is behind, which
    /// could leave nobody to answer queries: then it is told when something has to be kept.
    pub(crate) async fn forewarn(&self, node: NodeId) {
        let catalogue = self.catalogues.current();
        let is_first = catalogue.data_nodes().iter().all(|other| other.id >= self.me);
        if self.silent() * 2 == catalogue.data_nodes().len() && !is_first {
            // If the other half is cut off from this one only, it has put down a node of this half by then.
            tokio::time::sleep(SECOND_HALF_WAITS).await;
        }
        let catalogue = self.catalogues.current();
        let is_certain = self.is_silent(node) && self.silent() * 2 <= catalogue.data_nodes().len();
        let is_another_behind = catalogue.behind().iter().any(|behind| behind.node != node);
        if !is_certain || is_another_behind || catalogue.write_log().is_some() || !self.catalogues.is_met() {
            return;
        }
        tracing::info!(node = node.0, "a node has not answered for a while; what is written is kept for it");
        if let Err(untold) = self.leave_behind(node, &self.destination(node)).await {
            tracing::debug!(%untold, "it could not be told ahead");
        }
    }

    /// How many of the others are silent.
    fn silent(&self) -> usize {
        let catalogue = self.catalogues.current();
        let others = catalogue.data_nodes().iter().filter(|other| other.id != self.me);
        others.filter(|other| self.is_silent(other.id)).count()
    }
}
