//! Owners of shards, in one thread under virtual time: what one lacks comes from another, whatever got lost.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod copies;
mod entropy;
mod hints;
mod log;
mod settle;
mod support;
mod unseen;
