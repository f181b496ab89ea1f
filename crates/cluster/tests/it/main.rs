//! Whole nodes in one process, in a cluster whose network is memory: calls arrive unless a test says otherwise.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod consistency;
mod logged;
mod reads;
mod support;
