//! How nodes speak to each other: calls with a deadline, answered or failed in a way that tells what may have happened.
//!
//! [`Transport`] places calls, a [`Router`] answers them. What they say is in two parts, so that it can grow: a `head`
//! of JSON, in which unknown keys are ignored, and a `body` of bytes. Over a network calls travel as frames on
//! authenticated connections ([`TcpTransport`], [`serve`]); a simulated cluster carries them by other means.
//!
//! ```text
//!   TcpTransport -> peer (absence, connections) -> connection -> link ~~ frames ~~ link -> answering -> Router
//! ```

mod budget;
mod call;
mod client;
mod counters;
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod keepalive;
mod link;
mod router;
mod server;
mod wire;

pub use call::{Call, CallError, Failure, FailureKind, Reply, Transport, ask, tell};
pub use client::{TcpTransport, TransportOptions};
pub use counters::{PeerStatistics, ServerStatistics};
pub use identity::{Identity, KnownCluster, Secret};
pub use keepalive::Patience;
pub use router::{CallCounts, Handler, Router};
pub use server::{ServeOptions, ServerCounters, serve};
pub use wire::message::{BODY_BYTES_MAX, HEAD_BYTES_MAX};
