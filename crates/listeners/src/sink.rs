//! Where points go.

use skywatch_cluster::{Node, PointsRequest, WriteError, WriteSummary};
use skywatch_model::line::PointBatch;

/// Takes batches of points. Every call may block.
pub trait PointSink: Send + Sync + 'static {
    /// Creates a database, with a default policy of this name unless it is empty; one that exists stays as it is.
    fn ensure_database(&self, name: &str, retention_policy: &str) -> Result<(), String>;

    /// Stores a batch; returns once it is durable.
    fn write_points(
        &self,
        request: &PointsRequest<'_>,
        batch: &PointBatch<'_>,
    ) -> Result<WriteSummary, WriteError>;
}

impl PointSink for Node {
    fn ensure_database(&self, name: &str, retention_policy: &str) -> Result<(), String> {
        Self::ensure_database(self, name, retention_policy).map_err(|error| error.to_string())
    }

    fn write_points(
        &self,
        request: &PointsRequest<'_>,
        batch: &PointBatch<'_>,
    ) -> Result<WriteSummary, WriteError> {
        Self::write_points(self, request, batch)
    }
}
