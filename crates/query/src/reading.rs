//! How a query reads shards that lie on several nodes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;

use crate::CancelToken;

/// What a query asks of the shards it reads, and what became of that. Clones share the latter.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Stops reading, with the query.
    pub cancel: CancelToken,
    /// Only what this node holds; without, any node that holds all of a shard.
    pub node_id: Option<u64>,
    /// An answer that lacks something is better than none.
    pub allows_partial: bool,
    /// What was written at this place of the cluster's log is to be seen; in the words of the answer to the write.
    pub position: Option<String>,
    /// What was asked of other nodes on its behalf.
    pub remote: RemoteParts,
    lacking: Arc<Mutex<Vec<String>>>,
}

/// What one node was asked for of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RemotePart {
    /// How many questions.
    pub calls: u64,
    /// How many of them it did not answer, or not with what was asked for.
    pub failed: u64,
    /// Bytes of its answers, as they travelled.
    pub bytes: u64,
    /// How long it was waited for, all questions together.
    pub took: Duration,
}

/// What a query asked of other nodes, by shard and by number of the node. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct RemoteParts(Arc<Mutex<BTreeMap<(u64, u64), RemotePart>>>);

impl RemoteParts {
    /// Counts a question about `shard` that `node` was asked; `bytes` of its answer, if there was one.
    pub fn note(&self, shard: u64, node: u64, took: Duration, bytes: Option<u64>) {
        let mut parts = self.0.lock();
        let part = parts.entry((shard, node)).or_default();
        part.calls += 1;
        part.failed += u64::from(bytes.is_none());
        part.bytes += bytes.unwrap_or(0);
        part.took += took;
    }

    /// All of them so far, by shard and node, which counts from nothing again.
    pub fn take(&self) -> Vec<((u64, u64), RemotePart)> {
        std::mem::take(&mut *self.0.lock()).into_iter().collect()
    }
}

/// As many reasons are told.
const REASONS_MAX: usize = 16;

impl Reading {
    /// Of a query that this stops.
    pub fn new(cancel: CancelToken, node_id: Option<u64>, allows_partial: bool) -> Self {
        let remote = RemoteParts::default();
        Self { cancel, node_id, allows_partial, position: None, remote, lacking: Arc::default() }
    }

    /// As this, and what was written there is to be seen.
    #[must_use]
    pub fn at_least(self, position: Option<String>) -> Self {
        Self { position, ..self }
    }

    /// Tells that the answer may lack something, and why.
    pub fn lacks(&self, why: String) {
        let mut lacking = self.lacking.lock();
        if lacking.len() < REASONS_MAX && !lacking.contains(&why) {
            lacking.push(why);
        }
    }

    /// What the answer may lack, so far as it has been read; empty for one that is whole.
    pub fn take_lacking(&self) -> Vec<String> {
        std::mem::take(&mut *self.lacking.lock())
    }
}
