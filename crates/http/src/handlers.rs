//! One file per family of endpoints.

pub(crate) mod backup;
pub(crate) mod buckets;
pub(crate) mod debug;
pub(crate) mod delete;
pub(crate) mod flux;
pub(crate) mod introspection;
pub(crate) mod ping;
pub(crate) mod prometheus;
pub(crate) mod query;
pub(crate) mod shard_repair;
pub(crate) mod streaming;
pub(crate) mod write;
