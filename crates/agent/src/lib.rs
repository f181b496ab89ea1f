//! The agent: collects metrics and ships them, with Telegraf's configuration, names and types.
//!
//! ```text
//!  Input (a thread each)                        Output (a task each)
//!   cpu ----+                                   +-- Delivery -- influxdb
//!   disk ---+--> shape: filters, names, tags ---+
//!   libvirt +                                   +-- Delivery -- file
//! ```
//!
//! - [`Config`] reads Telegraf's TOML and builds the plugins that [`INPUTS`] and [`OUTPUTS`] list.
//! - [`Agent`] runs them: until told to stop, once, or as a test that prints lines.
//! - [`Delivery`](delivery::Delivery) decides about batches, retries and drops; it does no I/O.
//!
//! An input that hangs costs nobody but itself: it has a thread of its own, which the agent never
//! waits for. An output that hangs fills its own buffer and no other.

pub mod agent;
pub mod config;
pub mod delivery;
pub mod input;
pub mod metric;
pub mod output;

mod filter;
mod inputs;
mod line;
mod outputs;
mod paths;
mod registry;
mod schedule;
mod shape;

pub use agent::{Agent, AgentError, Report};
pub use config::{Config, ConfigErrors, DefaultConfig, default_toml};
pub use registry::{INPUTS, InputEntry, OUTPUTS, OutputEntry, input_names, output_names};
