//! The store from outside: what is acknowledged can be read, whatever happens in between.

#![allow(missing_docs, reason = "tests document themselves by their names")]

mod concurrency;
mod faults;
mod lifecycle;
mod model;
mod support;
