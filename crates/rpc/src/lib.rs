//! How nodes speak to each other: calls with a deadline, answered or failed in a way that tells what may have happened.
//!
//! [`Transport`] places calls, a [`Router`] answers them. What they say is in two parts, so that it can grow: a `head`
//! of JSON, in which unknown keys are ignored, and a `body` of bytes. Over a network calls travel as frames on
//! authenticated connections; a simulated cluster carries them by other means.

mod call;
mod router;

pub use call::{Call, CallError, Failure, FailureKind, Reply, Transport, ask, tell};
pub use router::{Handler, Router};
