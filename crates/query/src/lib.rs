//! Planning and vectorised execution of InfluxQL over shard snapshots. Blocking, no network, no async; the only
//! clock it reads is the one for deadlines.

mod access;
mod backend;
mod cancel;
mod error;
mod exec;
mod executor;
mod expr;
mod go_heap;
mod kernel;
mod limits;
mod memory;
mod output;
mod plan;
mod reading;
mod running;
mod statement;
mod transform;
mod window;

pub use access::{Identity, UserRights};
pub use backend::{
    Administration, Backend, BackendError, ClusterNode, ClusterView, ContinuousQueryInfo, DeleteRequest,
    GrantInfo, NewRetentionPolicy, RetentionPolicyInfo, RetentionPolicyUpdate, ShardGroupInfo, ShardInfo,
    SubscriptionInfo, UserInfo,
};
pub use cancel::{CancelToken, Interrupt};
pub use error::{QueryError, QueryErrorClass};
pub use exec::{RowFilter, run_length};
pub use executor::{Executor, QueryRequest};
pub use limits::Limits;
pub use memory::{MemoryShard, MemoryStatistics};
pub use output::{Message, OutputColumn, ResultSeries, ResultSink, SinkClosed, StatementResult};
pub use plan::tags_match;
pub use reading::{Reading, RemotePart, RemoteParts};
pub use running::{OuterQuery, RunningQuery};
pub use skywatch_influxql::{ParamValue, Params, Privilege, SubscriptionMode};
