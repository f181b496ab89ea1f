//! The node behind the API, as far as HTTP needs it.

use std::{sync::Arc, time::Duration};

use skywatch_cluster::{
    Accounts, Entropy, Node, NodeStatistics, NotReady, PointsRequest, Purpose, WriteError, WriteRequest,
    WriteSummary, backup::Backups,
};
use skywatch_model::line::PointBatch;
use skywatch_query::{
    BackendError, CancelToken, DeleteRequest, OuterQuery, QueryError, QueryRequest, ResultSink,
};

/// Takes writes and answers queries. Every call may block; they are made from threads of their own.
pub trait Engine: Send + Sync + 'static {
    /// Stores a body of line protocol; returns once it is durable.
    fn write(&self, request: &WriteRequest<'_>) -> Result<WriteSummary, WriteError>;

    /// Stores points that did not come as line protocol; returns once they are durable.
    fn write_points(
        &self,
        request: &PointsRequest<'_>,
        batch: &PointBatch<'_>,
    ) -> Result<WriteSummary, WriteError>;

    /// Removes points.
    fn delete(&self, database: &str, request: &DeleteRequest) -> Result<(), BackendError>;

    /// What is wrong with a query at first sight; see [`skywatch_query::Executor::check`].
    fn check_query(&self, request: &QueryRequest) -> Result<(), QueryError>;

    /// Runs a query; see [`skywatch_query::Executor::execute`].
    fn query(
        &self,
        request: &QueryRequest,
        cancel: &CancelToken,
        sink: &mut dyn ResultSink,
    ) -> Result<(), QueryError>;

    /// Lists a query in another language; see [`skywatch_query::Executor::list_outer`].
    fn list_query(&self, _text: &str, _cancel: &CancelToken) -> Option<OuterQuery> {
        None
    }

    /// How long a query may take; zero means as long as it likes.
    fn query_timeout(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether clients that want this should be sent here.
    fn readiness_for(&self, purpose: Purpose) -> Result<(), NotReady>;

    /// What the node holds and has done, for `/metrics`.
    fn statistics(&self) -> NodeStatistics;

    /// Copies databases out and in.
    fn backups(&self) -> &dyn Backups;

    /// Who may log in.
    fn accounts(&self) -> &dyn Accounts;

    /// How shards compare with other owners', in a cluster.
    fn entropy(&self) -> Option<Arc<Entropy>> {
        None
    }
}

impl Engine for Node {
    fn write(&self, request: &WriteRequest<'_>) -> Result<WriteSummary, WriteError> {
        Self::write(self, request)
    }

    fn write_points(
        &self,
        request: &PointsRequest<'_>,
        batch: &PointBatch<'_>,
    ) -> Result<WriteSummary, WriteError> {
        Self::write_points(self, request, batch)
    }

    fn delete(&self, database: &str, request: &DeleteRequest) -> Result<(), BackendError> {
        self.executor().backend().delete(database, request)
    }

    fn check_query(&self, request: &QueryRequest) -> Result<(), QueryError> {
        self.executor().check(request)
    }

    fn query(
        &self,
        request: &QueryRequest,
        cancel: &CancelToken,
        sink: &mut dyn ResultSink,
    ) -> Result<(), QueryError> {
        self.executor().execute(request, cancel, sink)
    }

    fn list_query(&self, text: &str, cancel: &CancelToken) -> Option<OuterQuery> {
        Some(self.executor().list_outer(text.to_owned(), cancel.clone()))
    }

    fn query_timeout(&self) -> Duration {
        self.executor().limits().query_timeout
    }

    fn readiness_for(&self, purpose: Purpose) -> Result<(), NotReady> {
        Self::readiness_for(self, purpose)
    }

    fn statistics(&self) -> NodeStatistics {
        Self::statistics(self)
    }

    fn backups(&self) -> &dyn Backups {
        self
    }

    fn accounts(&self) -> &dyn Accounts {
        self
    }

    fn entropy(&self) -> Option<Arc<Entropy>> {
        Self::entropy(self).cloned()
    }
}
