//! Points on their way from a socket to the node: gathered, queued, written.

use std::{sync::Arc, time::Duration};

use skywatch_cluster::{Consistency, PointsRequest, WriteError, WriteErrorClass};
use skywatch_model::{line::PointBatch, wall_clock_ns};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use crate::{
    sink::PointSink,
    statistics::{Counters, add},
};

/// Bytes at which a batch is full whatever its points.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// How long a batch waits before it is tried again, and how often, when the node has no room for it.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const RETRIES_MAX: u32 = 60;

/// Where points go, and how they are gathered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchConfig {
    /// Created when the first points come.
    pub database: String,
    /// Empty for the database's default one.
    pub retention_policy: String,
    /// Points of a full batch.
    pub size: usize,
    /// Full batches that may wait for the node; then reading stops.
    pub pending: usize,
    /// How long a batch that is not full waits for more points.
    pub timeout: Duration,
    /// How many owners have to have them, in a cluster.
    pub consistency: Consistency,
}

/// A batch and the time when its last point came.
type Full = (PointBatch<'static>, i64);

/// Gathers points, and hands batches to the queue.
#[derive(Debug)]
pub(crate) struct Gatherer {
    config: BatchConfig,
    batch: PointBatch<'static>,
    /// When the batch is to leave; set by its first point.
    deadline: Option<Instant>,
    queue: mpsc::Sender<Full>,
}

impl Gatherer {
    /// A gatherer and the queue's other end.
    pub(crate) fn new(config: BatchConfig) -> (Self, mpsc::Receiver<Full>) {
        let (queue, waiting) = mpsc::channel(config.pending.max(1));
        (Self { config, batch: PointBatch::new(), deadline: None, queue }, waiting)
    }

    /// The batch to add points to; [`Self::added`] is to be called afterwards.
    pub(crate) const fn batch(&mut self) -> &mut PointBatch<'static> {
        &mut self.batch
    }

    /// Hands the batch on if it is full, waiting for room in the queue.
    pub(crate) async fn added(&mut self) {
        if self.batch.len() >= self.config.size.max(1) || self.batch.size_bytes() >= BATCH_BYTES_MAX {
            self.flush().await;
        } else if !self.batch.is_empty() && self.deadline.is_none() {
            self.deadline = Some(Instant::now() + self.config.timeout);
        }
    }

    /// Completes when the batch has waited long enough; never while it is empty.
    pub(crate) async fn due(&self) {
        match self.deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    }

    /// Hands the batch on as it is.
    pub(crate) async fn flush(&mut self) {
        self.deadline = None;
        if !self.batch.is_empty() {
            let full = std::mem::replace(&mut self.batch, PointBatch::new());
            // The writer outlives every gatherer; without it there is nobody to tell.
            drop(self.queue.send((full, wall_clock_ns())).await);
        }
    }
}

/// Writes the batches of a queue until every gatherer is gone. When `stop` is told, a batch without room is tried once
/// more and no longer waited for.
pub(crate) async fn write_batches(
    config: BatchConfig,
    mut waiting: mpsc::Receiver<Full>,
    sink: Arc<dyn PointSink>,
    counters: Arc<Counters>,
    mut stop: watch::Receiver<bool>,
) {
    let config = Arc::new(config);
    let mut is_made = false;
    while let Some((batch, received_at_ns)) = waiting.recv().await {
        let batch = Arc::new(batch);
        let mut attempt = 0;
        loop {
            let (job, points, target) = (Arc::clone(&sink), Arc::clone(&batch), Arc::clone(&config));
            let stored =
                tokio::task::spawn_blocking(move || store(&*job, &target, &points, received_at_ns, is_made));
            match stored.await {
                Ok(Ok(())) => {
                    is_made = true;
                    add(&counters.batches_written, 1);
                    add(&counters.points_written, batch.len() as u64);
                    break;
                }
                Ok(Err(Failed { reason, may_retry, .. }))
                    if may_retry && attempt < RETRIES_MAX && !*stop.borrow() =>
                {
                    tracing::warn!(
                        database = config.database,
                        reason,
                        "points wait: they could not be written"
                    );
                    is_made = false;
                    attempt += 1;
                    // Also ends when the listener is told to stop.
                    drop(tokio::time::timeout(RETRY_PAUSE, stop.wait_for(|stopping| *stopping)).await);
                }
                Ok(Err(Failed { reason, .. })) => {
                    tracing::warn!(
                        database = config.database,
                        reason,
                        "failed to write point batch to database"
                    );
                    add(&counters.batches_failed, 1);
                    break;
                }
                Err(_panicked) => {
                    tracing::error!(database = config.database, "writing a batch of points panicked");
                    add(&counters.batches_failed, 1);
                    break;
                }
            }
        }
    }
}

/// Why a batch was not stored.
pub(crate) struct Failed {
    /// In words.
    pub(crate) reason: String,
    /// Whether it is worth another try.
    may_retry: bool,
    /// Who has to act.
    pub(crate) class: WriteErrorClass,
}

/// Writes a batch, to a database that is made unless `is_made`. Blocking.
pub(crate) fn store(
    sink: &dyn PointSink,
    config: &BatchConfig,
    batch: &PointBatch<'_>,
    received_at_ns: i64,
    is_made: bool,
) -> Result<(), Failed> {
    if !is_made {
        sink.ensure_database(&config.database, &config.retention_policy).map_err(|reason| Failed {
            reason,
            may_retry: true,
            class: WriteErrorClass::Fatal,
        })?;
    }
    let request = PointsRequest {
        database: &config.database,
        retention_policy: Some(config.retention_policy.as_str()).filter(|policy| !policy.is_empty()),
        received_at_ns,
        consistency: config.consistency,
    };
    match sink.write_points(&request, batch) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failed {
            // A database that somebody dropped is made again.
            may_retry: matches!(error, WriteError::Overloaded { .. } | WriteError::DatabaseNotFound(_))
                || error.class() == WriteErrorClass::Fatal,
            class: error.class(),
            reason: error.to_string(),
        }),
    }
}
