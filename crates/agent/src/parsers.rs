//! The data formats that are read: one file each, and the table by which `data_format` finds them.

pub(crate) mod influx;
pub(crate) mod prometheus;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::parser::Parser;
use crate::registry::{self, Entry};

/// Every format there is.
pub const PARSERS: &[Entry<dyn Parser>] =
    &[Entry { name: "influx", build: influx::build }, Entry { name: "prometheus", build: prometheus::build }];

/// The parser that a plugin's table asks for by `data_format`, with its options.
pub(crate) fn from_section(
    section: &mut Section,
    context: &Context,
    default: &'static str,
) -> Result<Box<dyn Parser>, ConfigError> {
    registry::format(PARSERS, section, context, default)
}
