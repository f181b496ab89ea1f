//! What an output is: something that takes a batch of metrics and says what became of it.
//!
//! Buffering, retrying, splitting and counting are not an output's business: see
//! [`crate::delivery`]. It only tells apart what may succeed later from what never will.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::metric::Metric;

/// A batch, shared with the buffer it came from.
pub type Batch = Arc<[Arc<Metric>]>;

/// What an output's methods return, since they are called through a trait object.
pub type OutputFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A destination of metrics.
pub trait Output: Send + fmt::Debug {
    /// Prepares the destination, as by creating a database. Called once before the first write;
    /// a failure is only logged, since a write reports for itself.
    fn connect(&mut self) -> OutputFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    /// Writes a batch. Ends within the output's own time limits.
    fn write(&mut self, batch: Batch) -> OutputFuture<'_, WriteOutcome>;

    /// Bytes of metrics sent since the start, before compression; nothing of an output that does not count them.
    fn bytes_written(&self) -> Option<u64> {
        None
    }
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// All of it is stored.
    Stored,
    /// The destination stored what it could and refused `rejected` metrics for good, without telling which.
    Partial {
        /// How many were refused.
        rejected: usize,
        /// The destination's words.
        reason: String,
    },
    /// What became of each metric is known.
    Each(Fates),
    /// The destination refused the batch as it is for good; a smaller part of it may pass.
    Rejected {
        /// The destination's words.
        reason: String,
    },
    /// The batch is larger than the destination takes.
    TooLarge {
        /// The destination's words.
        reason: String,
    },
    /// Nothing is certain to be stored; the same batch may succeed later.
    Retry {
        /// What went wrong.
        reason: String,
        /// How long the destination asked to be left alone.
        after: Option<Duration>,
    },
}

/// What became of the metrics of a batch, by their indices. What neither list names is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fates {
    /// Refused for good, each with the reason.
    pub rejected: Vec<(usize, String)>,
    /// Not stored now; they may be later. Written again as [`WriteOutcome::Retry`] would have it.
    pub kept: Vec<usize>,
    /// What went wrong with those that are kept.
    pub reason: String,
    /// How long the destination asked to be left alone.
    pub after: Option<Duration>,
}
