//! `skywatch ctl`: the administration of a cluster, with the commands, tables and messages of `influxd-ctl`.
//!
//! A command asks a meta node's HTTP API (and, for a few things, the data nodes') and prints what became of it. Everything
//! that decides or formats is plain functions on values: [`table`], [`preflight`]'s checks, [`flags`]. Nothing here waits
//! for a server without a deadline, and whatever was not done ends with a status other than 0.
//!
//! | status | meaning |
//! |---|---|
//! | 0 | done; also `help` |
//! | 1 | not done, or not all of it |
//! | 2 | the command line has an option that does not exist, or a value that is none |
//! | 130 | interrupted |

mod address;
mod client;
mod command;
mod commands;
mod data_apis;
mod description;
mod error;
mod flags;
mod go_duration;
mod interrupt;
mod options;
mod preflight;
mod progress;
mod records;
mod streams;
mod table;
mod time;
mod token;
mod usage;

pub use command::run;
pub use data_apis::{DataApi, DataApis, data_apis};
pub use description::{CommandDescription, OptionDescription, commands, global_options};
pub use error::CtlError;
pub use go_duration::parse as parse_go_duration;
pub use options::{command_name, split_global};
pub use streams::{Environment, Streams};
