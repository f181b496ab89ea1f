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
    held: Mutex<Option<Held>>,
    /// Until when another node may act, as far as is known.
    elsewhere: Mutex<Option<Instant>>,
}

/// What was granted last.
#[derive(Debug, Clone, Copy)]
struct Held {
    until: Instant,
    term: u64,
}

impl LeaseHolder {
    /// Does not hold it before [`Self::keep`] runs.
    pub fn new(name: &str, me: NodeId, catalogues: Arc<dyn Catalogues>) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            me,
            catalogues,
            held: Mutex::default(),
            elsewhere: Mutex::default(),
        })
    }

    /// Whether this node may act now.
    pub fn is_held(&self) -> bool {
        self.term().is_some()
    }

    /// Whether another node holds it, as far as is known: it may have died since it asked for it the last time.
    pub fn is_held_elsewhere(&self) -> bool {
        self.elsewhere.lock().is_some_and(|until| Instant::now() < until)
    }

    /// Which time this is that it is held, if it may act now. Greater than every term before it, at whatever node: the catalogue's
    /// count of renewals at the grant with which it began. It stays the same for as long as the lease is renewed in time, so
    /// that whoever finds another term knows that somebody else may have acted in between.
    pub fn term(&self) -> Option<u64> {
        self.held.lock().filter(|held| Instant::now() < held.until).map(|held| held.term)
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
        let lease = match tokio::time::timeout(LEASE_DURATION, asking).await {
            Ok(Ok(lease)) => lease,
            Ok(Err(error)) => {
                tracing::debug!(lease = self.name, %error, "cannot ask for a lease");
                return;
            }
            Err(_) => return,
        };
        let granted = lease.owner == self.me;
        let renewed = self.term();
        let mut held = self.held.lock();
        if granted != held.is_some() {
            tracing::info!(lease = self.name, granted, "a lease has moved");
        }
        *self.elsewhere.lock() = (!granted).then(|| asked + LEASE_DURATION);
        let until = asked + LEASE_DURATION - MARGIN;
        *held = granted.then(|| Held { until, term: renewed.unwrap_or(lease.renewals) });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use skywatch_meta::{Applied, Catalogue, Command, Lease};
    use tokio::{sync::watch, time::sleep};

    use super::*;
    use crate::ExecuteError;

    /// A catalogue that grants a lease to whoever asks first, while it can be reached.
    #[derive(Debug, Default)]
    struct Granting {
        catalogue: Mutex<Catalogue>,
        is_cut_off: AtomicBool,
        index: watch::Sender<u64>,
    }

    #[async_trait]
    impl Catalogues for Granting {
        fn current(&self) -> Arc<Catalogue> {
            Arc::new(self.catalogue.lock().clone())
        }

        fn index(&self) -> u64 {
            0
        }

        fn changes(&self) -> watch::Receiver<u64> {
            self.index.subscribe()
        }

        fn age(&self) -> Option<Duration> {
            None
        }

        fn is_met(&self) -> bool {
            true
        }

        async fn execute(&self, command: &Command) -> Result<Applied, ExecuteError> {
            Ok(self.catalogue.lock().apply(command)?)
        }

        async fn lease(&self, name: &str, owner: NodeId, lasts: Duration) -> Result<Lease, ExecuteError> {
            if self.is_cut_off.load(Ordering::SeqCst) {
                return Err(ExecuteError::Unavailable("cut off".into()));
            }
            let (name, duration_ms) = (name.to_owned(), lasts.as_millis() as u64);
            let command = Command::AcquireLease { name, owner, duration_ms, unrenewed: None };
            Ok(self.execute(&command).await?.lease.expect("it is told who has it"))
        }

        async fn nobody_confirms(&self) -> bool {
            false
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_term_lasts_while_the_lease_is_renewed_and_every_other_is_greater() {
        let granting = Arc::new(Granting::default());
        for name in ["d1", "d2"] {
            let command = Command::CreateDataNode {
                tcp_addr: format!("{name}:8088"),
                http_addr: format!("{name}:8086"),
                https: false,
                labels: std::collections::BTreeMap::new(),
            };
            granting.execute(&command).await.expect("a node");
        }
        let holder = LeaseHolder::new("alerts", NodeId(1), Arc::clone(&granting) as _);
        let other = LeaseHolder::new("alerts", NodeId(2), Arc::clone(&granting) as _);
        assert!(!holder.is_held() && holder.term().is_none());
        let kept = Arc::clone(&holder);
        let keeping = tokio::spawn(async move { kept.keep().await });
        sleep(Duration::from_millis(100)).await;
        let first = holder.term().expect("it is granted");
        assert!(
            !holder.is_held_elsewhere() && !other.is_held_elsewhere(),
            "nobody has told the other one yet"
        );
        other.ask().await;
        assert!(!other.is_held() && other.is_held_elsewhere());
        sleep(10 * LEASE_DURATION).await;
        assert_eq!(holder.term(), Some(first), "renewed, and never lost");

        granting.is_cut_off.store(true, Ordering::SeqCst);
        sleep(LEASE_DURATION).await;
        assert!(!holder.is_held() && holder.term().is_none());
        assert!(!other.is_held_elsewhere(), "it has heard nothing for as long as a lease lasts");
        granting.is_cut_off.store(false, Ordering::SeqCst);
        sleep(2 * ASK_EVERY).await;
        assert!(holder.term().is_some_and(|again| again > first), "somebody may have held it in between");
        keeping.abort();
    }
}
