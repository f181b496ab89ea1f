//! Planning and vectorised execution of InfluxQL over shard snapshots. Blocking, no network, no async; the only
//! clock it reads is the one for deadlines.

mod backend;
mod cancel;
mod error;
mod executor;
mod limits;
mod output;

pub use backend::{
    Backend, BackendError, DeleteRequest, NewRetentionPolicy, RetentionPolicyInfo, RetentionPolicyUpdate,
};
pub use cancel::{CancelToken, Interrupt};
pub use error::{QueryError, QueryErrorClass};
pub use executor::{Executor, QueryRequest};
pub use limits::Limits;
pub use output::{Message, OutputColumn, ResultSeries, ResultSink, SinkClosed, StatementResult};
