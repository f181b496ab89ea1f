//! The API through real sockets, over an engine that plays every part. Expected bytes are those of InfluxDB 1.6.7
//! (`curl -i --raw`), except where 1.8 is known to differ, which is said beside them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod accounts;
mod auth;
mod backup;
mod connection;
mod fake;
mod harness;
mod introspection;
mod limits;
mod observation;
mod ping;
mod prometheus;
mod query;
mod v2;
mod write;
