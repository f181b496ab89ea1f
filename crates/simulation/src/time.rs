//! True time of a simulated world: what no node knows, and every invariant is judged by.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// Time since the world began. Clones tell the same time.
#[derive(Debug, Clone, Default)]
pub struct SimTime(Arc<Mutex<Now>>);

#[derive(Debug, Default)]
struct Now {
    /// Where the world stands between steps.
    world: Duration,
    /// Of the node that is being taken forward: its runtime is ahead of the world by a part of the step.
    node: Option<Origin>,
}

/// When a node's runtime was made, by the world's time and by its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) world: Duration,
    pub(crate) instant: Instant,
}

impl Origin {
    /// A time of the world by the runtime's clock.
    pub(crate) fn instant_at(&self, time: Duration) -> Instant {
        self.instant + time.saturating_sub(self.world)
    }
}

impl SimTime {
    /// Now: inside of a node to the millisecond, outside where the latest step ended.
    pub fn now(&self) -> Duration {
        let now = self.0.lock();
        match now.node {
            Some(origin) => origin.world + Instant::now().saturating_duration_since(origin.instant),
            None => now.world,
        }
    }

    /// Waits until a time, inside of a node.
    pub async fn sleep_until(&self, time: Duration) {
        let wait = time.saturating_sub(self.now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    pub(crate) fn set(&self, world: Duration) {
        self.0.lock().world = world;
    }

    /// From now on time is told by the clock of the runtime that this thread is in.
    pub(crate) fn enter(&self, origin: Origin) {
        self.0.lock().node = Some(origin);
    }

    pub(crate) fn leave(&self) {
        self.0.lock().node = None;
    }
}
