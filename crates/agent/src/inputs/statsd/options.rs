//! The options of `statsd`.

use std::time::Duration;

use super::name::Names;
use super::store::StoreOptions;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::graphite_template::Templates;
use crate::inputs::listener_options::bytes;
use crate::net::address::Address;

/// What `[[inputs.statsd]]` sets.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) address: Address,
    pub(super) connections_max: usize,
    /// Zero is the system's period.
    pub(super) keep_alive: Option<Duration>,
    /// Bytes the kernel keeps for datagrams; 0 is its own number.
    pub(super) read_buffer: usize,
    pub(super) datadog: bool,
    pub(super) datadog_distributions: bool,
    pub(super) keep_container_tag: bool,
    pub(super) names: Names,
    pub(super) store: StoreOptions,
}

impl Options {
    pub(super) fn from_section(section: &mut Section, _: &Context) -> Result<Self, ConfigError> {
        let address = section.string("service_address")?.filter(|text| !text.is_empty());
        let address = address.unwrap_or_else(|| ":8125".to_owned());
        let protocol = section.string("protocol")?.unwrap_or_else(|| "udp".to_owned());
        let full = if address.contains("://") { address } else { format!("{protocol}://{address}") };
        let address = Address::parse(&full).map_err(|why| section.bad("service_address", why))?;
        section.without_effect("allowed_pending_messages", "datagrams wait in the kernel: read_buffer_size");
        section.without_effect("number_workers_threads", "lines are taken as they come");
        section.without_effect("parse_data_dog_tags", "use datadog_extensions");
        let separator = section
            .string("metric_separator")?
            .filter(|separator| !separator.is_empty())
            .unwrap_or_else(|| "_".to_owned());
        let templates = section.strings("templates")?.unwrap_or_default();
        let templates =
            Templates::compile(&templates, &separator).map_err(|why| section.bad("templates", why))?;
        let sanitize = match section.string("sanitize_name_method")?.as_deref() {
            None | Some("") => false,
            Some("upstream") => true,
            Some(other) => {
                let reason = format!("{other:?} is neither \"\" nor \"upstream\"");
                return Err(section.bad("sanitize_name_method", reason));
            }
        };
        let keep_alive = section.boolean("tcp_keep_alive")?.unwrap_or(false);
        let keep_alive_period = section.duration("tcp_keep_alive_period")?.unwrap_or(0);
        Ok(Self {
            address,
            connections_max: section.count("max_tcp_connections")?.filter(|most| *most > 0).unwrap_or(250),
            keep_alive: keep_alive.then(|| Duration::from_nanos(keep_alive_period.unsigned_abs())),
            read_buffer: bytes(section, "read_buffer_size")?.unwrap_or(0),
            datadog: section.boolean("datadog_extensions")?.unwrap_or(false),
            datadog_distributions: section.boolean("datadog_distributions")?.unwrap_or(false),
            keep_container_tag: section.boolean("datadog_keep_container_tag")?.unwrap_or(false),
            names: Names { templates, sanitize, convert: section.boolean("convert_names")?.unwrap_or(false) },
            store: StoreOptions::from_section(section)?,
        })
    }
}
