//! How a query reads shards that lie on several nodes.

use std::sync::Arc;

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
    lacking: Arc<Mutex<Vec<String>>>,
}

/// As many reasons are told.
const REASONS_MAX: usize = 16;

impl Reading {
    /// Of a query that this stops.
    pub fn new(cancel: CancelToken, node_id: Option<u64>, allows_partial: bool) -> Self {
        Self { cancel, node_id, allows_partial, lacking: Arc::default() }
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
