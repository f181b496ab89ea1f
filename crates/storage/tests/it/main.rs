//! The store from outside: what is acknowledged can be read, whatever happens in between.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod adoption;
mod concurrency;
mod convergence;
mod deletes;
mod faults;
mod forgetting;
mod inspection;
mod lifecycle;
mod model;
mod overlap;
mod owners;
mod support;
mod types;
