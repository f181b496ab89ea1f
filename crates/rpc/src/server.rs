//! Answering calls, and HTTP on the same port.

mod answering;
mod greeting;
mod listener;
mod web;

pub use listener::{ServeOptions, ServerCounters, serve};
