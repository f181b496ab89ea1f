//! One node's shards: WAL, memtable, segments, index. No network, no async.

mod read;

pub use read::{BlockStats, BlockStream, Order, ReadError, ScanBlock, ScanRequest, SeriesRef, ShardRead, Sum, TagPredicate};
