//! The right to do what only one node does at a time, held for as long as it is asked for.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use skywatch_meta::NodeId;
use tokio::time::Instant;

use crate::catalogues::Catalogues;

/// How long a lease lasts without being renewed: another node takes over after this, and a little.
pub const LEASE_DURATION: Duration = Duration::from_secs(6);
/// How often it is renewed, or asked for.
const ASK_EVERY: Duration = Duration::from_millis(1_500);
/// It is given up so long before it ends, for clocks that do not run alike and for what is under way.
const MARGIN: Duration = Duration::from_millis(500);

/// One lease, held or not.
#[derive(Debug)]
pub struct LeaseHolder {
    name: String,
    me: NodeId,
    catalogues: Arc<dyn Catalogues>,
    held_until: Mutex<Option<Instant>>,
}

impl LeaseHolder {
    /// Does not hold it before [`Self::keep`] runs.
    pub fn new(name: &str, me: NodeId, catalogues: Arc<dyn Catalogues>) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), me, catalogues, held_until: Mutex::default() })
    }

    /// Whether this node may act now.
    pub fn is_held(&self) -> bool {
        self.held_until.lock().is_some_and(|until| Instant::now() < until)
    }

    /// Asks for it again and again until the future is dropped.
    pub async fn keep(&self) {
        loop {
            self.ask().await;
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    async fn ask(&self) {
        // What the answer grants begins when it was asked for: the meta node's count began later.
        let asked = Instant::now();
        let asking = self.catalogues.lease(&self.name, self.me, LEASE_DURATION);
        let granted = match tokio::time::timeout(LEASE_DURATION, asking).await {
            Ok(Ok(lease)) => lease.owner == self.me,
            Ok(Err(error)) => {
                tracing::debug!(lease = self.name, %error, "cannot ask for a lease");
                return;
            }
            Err(_) => return,
        };
        let until = asked + LEASE_DURATION - MARGIN;
        let mut held_until = self.held_until.lock();
        if granted != held_until.is_some() {
            tracing::info!(lease = self.name, granted, "a lease has moved");
        }
        *held_until = granted.then_some(until);
    }
}
