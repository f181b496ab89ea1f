//! Calls over TCP on loopback, between a transport and a server as nodes have them.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "calls/certificates.rs"]
mod certificates;
#[path = "calls/faults.rs"]
mod faults;
#[path = "calls/http.rs"]
mod http;
#[path = "calls/node.rs"]
mod node;
#[path = "calls/plain.rs"]
mod plain;
#[path = "calls/strangers.rs"]
mod strangers;
