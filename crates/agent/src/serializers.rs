//! The data formats that are written: one file each, and the table by which `data_format` finds them.

mod csv;
mod graphite;
pub(crate) mod influx;
mod json;
mod prometheus;
mod time_format;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::registry::{self, Entry};
use crate::serializer::Serializer;

/// Every format there is.
pub const SERIALIZERS: &[Entry<dyn Serializer>] = &[
    Entry { name: "csv", build: csv::build },
    Entry { name: "graphite", build: graphite::build },
    Entry { name: "influx", build: influx::build },
    Entry { name: "json", build: json::build },
    Entry { name: "prometheus", build: prometheus::build },
];

/// The serializer that a plugin's table asks for by `data_format` (`influx` without it), with its options.
pub(crate) fn from_section(
    section: &mut Section,
    context: &Context,
) -> Result<Box<dyn Serializer>, ConfigError> {
    registry::format(SERIALIZERS, section, context, "influx")
}
