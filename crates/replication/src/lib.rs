//! Copies of what is written: how owners of a shard get and keep the same cells.

mod offload;

pub use offload::offload;
