//! The outputs: one file each, and the table by which the configuration finds them.

pub(crate) mod discard;
pub(crate) mod file;
pub(crate) mod http;
pub(crate) mod influxdb;
pub(crate) mod kafka;
pub(crate) mod prometheus_client;

use crate::output::Output;
use crate::registry::Entry;

/// Every output there is.
pub const OUTPUTS: &[Entry<dyn Output>] = &[
    Entry { name: "discard", build: discard::build },
    Entry { name: "file", build: file::build },
    Entry { name: "http", build: http::build },
    Entry { name: "influxdb", build: influxdb::build },
    Entry { name: "influxdb_v2", build: influxdb::build_v2 },
    Entry { name: "kafka", build: kafka::build },
    Entry { name: "prometheus_client", build: prometheus_client::build },
];
