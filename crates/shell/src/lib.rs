//! `skywatch query`: a client of any InfluxDB 1.x: statements and commands in, tables, CSV, JSON or line protocol out,
//! once or interactively; and files of line protocol in.
//!
//! ```text
//! interactive (the line editor)  \                                    / render (table, csv, json, line)
//! run_script (files, arguments)  -> script (units) -> session -> answer (documents of /query)
//!                                                   \ command, settings, help
//! import (reader -> lanes -> sender)
//! ```
//!
//! How a server is reached is `skywatch_client`'s business.

mod answer;
mod command;
mod complete;
mod editor;
mod help;
mod history;
mod import;
mod interactive;
mod mistake;
mod output;
mod render;
mod schema;
mod script;
mod session;
mod settings;
mod style;
mod words;

pub use import::{ImportError, ImportOptions, ImportSummary, run_import};
pub use interactive::run_interactive;
pub use session::{Outcome, Session, SessionError};
pub use settings::{Format, Precision, Settings, UnknownWord, Vertical};
