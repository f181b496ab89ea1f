//! What a serializer is: metrics in, bytes out. The formats are in [`crate::serializers`].

use std::fmt;
use std::sync::Arc;

use crate::metric::Metric;

/// A data format that is written.
pub trait Serializer: Send + Sync + fmt::Debug {
    /// Appends one metric as a message of its own. On an error nothing is appended.
    fn metric(&self, metric: &Metric, out: &mut Vec<u8>) -> Result<(), Unwritable>;

    /// Appends several metrics as one document; those that cannot be written are left out and named by their index.
    fn batch(&self, metrics: &[Arc<Metric>], out: &mut Vec<u8>) -> Vec<(usize, Unwritable)> {
        let mut refused = Vec::new();
        for (index, metric) in metrics.iter().enumerate() {
            if let Err(why) = self.metric(metric, out) {
                refused.push((index, why));
            }
        }
        refused
    }
}

/// Why a metric has no place in a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unwritable(pub String);
