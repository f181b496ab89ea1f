//! Nodes ask each other several times a second: who answers, whose clock says what, and whether the asker is in step.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use skywatch_meta::{DataNode, NodeId};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{Member, assurance::Held};

/// How often each of the others is asked, unless it has not answered the last time yet.
const EVERY: Duration = Duration::from_millis(100);

/// The assurances that a node has been given.
#[derive(Debug)]
pub(crate) struct Assurances {
    started: Instant,
    held: Mutex<BTreeMap<NodeId, Held>>,
}

impl Assurances {
    pub(crate) fn new(started: Instant) -> Self {
        Self { started, held: Mutex::default() }
    }

    fn change<T>(&self, node: NodeId, change: impl FnOnce(&mut Held) -> T) -> T {
        change(self.held.lock().entry(node).or_insert_with(|| Held::none(self.started)))
    }

    /// Whether those of all these nodes together allow answers by a catalogue that has everything of before `as_of`.
    pub(crate) fn allow(&self, nodes: impl Iterator<Item = NodeId>, as_of: Option<Instant>) -> bool {
        let (held, now) = (self.held.lock(), Instant::now());
        let none = Held::none(self.started);
        nodes.into_iter().all(|node| held.get(&node).unwrap_or(&none).allows(now, as_of))
    }

    /// Forgets nodes that are no more.
    fn retain(&self, is_there: impl Fn(NodeId) -> bool) {
        self.held.lock().retain(|node, _| is_there(*node));
    }
}

impl Member {
    /// Asks again and again, until the future is dropped.
    pub async fn keep_in_touch(&self) {
        let mut under_way = BTreeSet::new();
        let mut beats = FuturesUnordered::new();
        let mut forewarnings = FuturesUnordered::new();
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked = Instant::now();
        loop {
            tokio::select! {
                biased;
                Some(node) = beats.next(), if !beats.is_empty() => {
                    under_way.remove(&node);
                }
                Some(()) = forewarnings.next(), if !forewarnings.is_empty() => {}
                _ = ticks.tick() => {
                    let catalogue = self.catalogues().current();
                    let others = catalogue.data_nodes().iter().filter(|node| node.id != self.id());
                    // While this node had no time to listen nobody was silent.
                    let had_time = looked.elapsed() < EVERY + self.standing().suspect_after() / 2;
                    looked = Instant::now();
                    for node in others {
                        if !had_time {
                            self.standing().excuse(node.id);
                        }
                        if under_way.insert(node.id) {
                            beats.push(self.beat(node.clone()));
                        }
                    }
                    self.assurances().retain(|node| catalogue.data_node(node).is_some());
                    forewarnings.extend(self.standing().look().into_iter().map(|node| self.standing().forewarn(node)));
                }
            }
        }
    }

    async fn beat(&self, node: DataNode) -> NodeId {
        let asked = Instant::now();
        let holds = self.assurances().change(node.id, |held| held.number());
        match self.ask_for_assurance(&node, holds).await {
            Ok(answer) => {
                if self.standing().heard(node.id)
                    && let Some(queue) = self.hints().known(node.id)
                {
                    queue.filled.notify_one();
                }
                if answer.assured {
                    let now = Instant::now();
                    self.assurances().change(node.id, |held| held.receive(answer.version, asked, now));
                }
            }
            Err(error) if error.nobody_listens() => {
                let now = Instant::now();
                self.standing().refused(node.id, asked);
                self.assurances().change(node.id, |held| held.giver_ended(now));
            }
            // That it was not tried says nothing.
            Err(error) => tracing::trace!(node = node.id.0, %error, "no answer"),
        }
        node.id
    }
}
