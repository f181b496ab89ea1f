//! What clients asked for and were told: what the cluster is held to in the end.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use skywatch_model::{TimeRange, Version};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Points by series and time. Each has two fields, and both have the number of the operation as their value.
    Write(Vec<(String, i64)>),
    /// Cells of a series in a range of times.
    Delete(String, TimeRange),
}

/// Something a client asked for, and what became of it.
#[derive(Debug, Clone)]
pub struct Operation {
    /// What it is.
    pub action: Action,
    /// When the client asked.
    pub began: Duration,
    /// Versions given to it: one each time a node began to carry it out, whoever may have heard of that.
    pub attempts: Vec<Version>,
    /// Those that a client was told to be stored, and when.
    pub acknowledged: Vec<(Version, Duration)>,
}

impl Operation {
    /// The greatest version that was acknowledged before a time.
    pub fn acknowledged_before(&self, time: Duration) -> Option<Version> {
        let acknowledged = self.acknowledged.iter().filter(|(_, at)| *at < time);
        acknowledged.map(|(version, _)| *version).max()
    }

    /// The greatest version it may have been stored with.
    pub fn latest(&self) -> Option<Version> {
        self.attempts.iter().copied().max()
    }
}

/// All operations, by their numbers. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Vec<Operation>>>);

impl Ledger {
    /// A client is about to ask for something; returns its number.
    pub fn begin(&self, action: Action, began: Duration) -> u64 {
        let mut operations = self.0.lock();
        operations.push(Operation { action, began, attempts: Vec::new(), acknowledged: Vec::new() });
        operations.len() as u64 - 1
    }

    /// A node begins to carry it out.
    pub fn attempt(&self, operation: u64, version: Version) {
        self.0.lock()[operation as usize].attempts.push(version);
    }

    /// The client was told that it is stored.
    pub fn acknowledge(&self, operation: u64, version: Version, at: Duration) {
        self.0.lock()[operation as usize].acknowledged.push((version, at));
    }

    /// Everything so far.
    pub fn operations(&self) -> Vec<Operation> {
        self.0.lock().clone()
    }
}
