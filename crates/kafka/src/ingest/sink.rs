//! Where ingested points go.

use skywatch_cluster::{Node, PointsRequest, WriteError, WriteSummary};
use skywatch_model::{Version, line::PointBatch};

/// A store of points. Blocks.
pub trait IngestSink: Send + Sync + 'static {
    /// Creates a database; one that exists stays as it is.
    fn ensure_database(&self, name: &str) -> Result<(), String>;

    /// Stores points with a version; returns once they are durable. Storing them again changes nothing.
    fn write(
        &self,
        request: &PointsRequest<'_>,
        batch: &PointBatch<'_>,
        version: Version,
    ) -> Result<WriteSummary, WriteError>;
}

impl IngestSink for Node {
    fn ensure_database(&self, name: &str) -> Result<(), String> {
        Self::ensure_database(self, name, "").map_err(|error| error.to_string())
    }

    fn write(
        &self,
        request: &PointsRequest<'_>,
        batch: &PointBatch<'_>,
        version: Version,
    ) -> Result<WriteSummary, WriteError> {
        self.write_points_of(request, batch, version)
    }
}
