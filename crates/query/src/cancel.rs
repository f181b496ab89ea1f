//! How a running query is stopped: by being killed, by its deadline, or because its client went away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// Stops a query from outside. Clones share one switch. Checked at least once per block of rows.
#[derive(Debug, Clone, Default)]
pub struct CancelToken {
    killed: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

/// Why a query was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Interrupt {
    /// By `KILL QUERY`, by its client, or because the node is stopping.
    #[error("query interrupted")]
    Killed,
    /// Its deadline passed.
    #[error("query-timeout limit exceeded")]
    Timeout,
}

impl CancelToken {
    /// A token without a deadline.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same switch with a deadline, or the earlier one of two.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        let deadline = Some(self.deadline.map_or(deadline, |own| own.min(deadline)));
        Self { killed: Arc::clone(&self.killed), deadline }
    }

    /// Stops the query at its next check.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Relaxed);
    }

    /// When the query ends at the latest.
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether [`Self::kill`] was called.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }

    /// Fails once the query has to stop.
    pub fn check(&self) -> Result<(), Interrupt> {
        if self.is_killed() {
            return Err(Interrupt::Killed);
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Interrupt::Timeout),
            _ => Ok(()),
        }
    }
}
