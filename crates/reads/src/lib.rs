//! Reading shards that other nodes hold, as if they were here.
//!
//! A node answers for its shards with [`router`]. A query reads them through [`RemoteShard`], which asks an owner that holds
//! all of the shard ([`choose`]), and another one when that fails or is slow; every page names the series and the times that
//! it is about, so that any owner can go on. Where nobody can be asked, the query fails: an answer is never shorter for it. What
//! turns out damaged in a shard of the node's own is read from the other owners too ([`BackedShard`]).

mod asking;
mod backed;
mod choice;
mod listing;
mod predicate;
mod promise;
mod remembered;
mod remote;
mod server;
mod summary;
mod windows;
mod wire;

pub use asking::{Asking, Damaged, Patience, Unreachable};
pub use backed::BackedShard;
pub use choice::{Choice, choose};
pub use remembered::Remembered;
pub use remote::RemoteShard;
pub use server::{Answered, Offload, ShardSource, router, router_within};
