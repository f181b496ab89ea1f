//! The agent: collects metrics and ships them, with Telegraf's configuration, names and types.
//!
//! ```text
//!  Input (a thread or task each)                             Output (a task each)
//!   cpu ----+                                                +-- Delivery -- influxdb
//!   disk ---+--> shape: filters, names, tags --> Pipeline ---+
//!   libvirt +                                                +-- Delivery -- file
//! ```
//!
//! - [`Config`] reads Telegraf's TOML and builds the plugins that the tables in
//!   [`inputs`], [`processors`], [`aggregators`] and [`outputs`] list.
//! - [`Agent`] runs them: until told to stop, once, or as a test that prints lines.
//! - [`Pipeline`](pipeline::Pipeline) is the processors and aggregators; without any, metrics go straight on.
//! - [`Delivery`](delivery::Delivery) decides about batches, retries and drops; it does no I/O.
//!
//! An input that hangs costs nobody but itself: it has a thread of its own, which the agent never
//! waits for. An output that hangs fills its own buffer and no other.

pub mod agent;
pub mod aggregator;
pub mod config;
pub mod delivery;
pub mod discover;
pub mod input;
pub mod metric;
pub mod output;
pub mod parser;
pub mod pipeline;
pub mod processor;
pub mod serializer;
pub mod service;
pub mod watch;

mod aggregators;
mod character_encoding;
mod context;
mod exposition;
mod field_value;
mod filter;
mod go_regex;
mod graphite_template;
mod guard;
mod inputs;
mod line;
mod net;
mod outputs;
mod parsers;
mod path_glob;
mod paths;
mod process;
mod processors;
mod registry;
mod schedule;
mod serializers;
mod series;
mod shape;
mod state;
mod statistics;
mod time_format;

pub use agent::{Agent, AgentCommand, AgentError, Report, StartFailed};
pub use aggregators::AGGREGATORS;
pub use config::{
    Config, ConfigErrors, DefaultConfig, Environment, LogLevel, LogSettings, Selection, Sources, default_toml,
};
pub use discover::{Discovery, discover};
pub use inputs::INPUTS;
pub use outputs::OUTPUTS;
pub use parsers::PARSERS;
pub use processors::PROCESSORS;
pub use registry::{Entry, InputEntry, Named, Source, names};
pub use serializers::SERIALIZERS;
