//! The options of the `libvirt` input.

use std::collections::BTreeSet;
use std::time::Duration;

use super::points::PointOptions;
use crate::config::{ConfigError, Section};

/// Statistics groups and their bits in libvirt's mask.
const GROUPS: [(&str, u32); 10] = [
    ("state", virt::sys::VIR_DOMAIN_STATS_STATE),
    ("cpu_total", virt::sys::VIR_DOMAIN_STATS_CPU_TOTAL),
    ("balloon", virt::sys::VIR_DOMAIN_STATS_BALLOON),
    ("vcpu", virt::sys::VIR_DOMAIN_STATS_VCPU),
    ("interface", virt::sys::VIR_DOMAIN_STATS_INTERFACE),
    ("block", virt::sys::VIR_DOMAIN_STATS_BLOCK),
    ("perf", virt::sys::VIR_DOMAIN_STATS_PERF),
    ("iothread", virt::sys::VIR_DOMAIN_STATS_IOTHREAD),
    ("memory", virt::sys::VIR_DOMAIN_STATS_MEMORY),
    ("dirtyrate", virt::sys::VIR_DOMAIN_STATS_DIRTYRATE),
];

/// What `[[inputs.libvirt]]` sets.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) uri: String,
    /// Exact names; empty takes all.
    pub(super) domains: BTreeSet<String>,
    /// Bits of libvirt's statistics groups.
    pub(super) groups: u32,
    /// Whether to read on which CPUs of the host the vCPUs may run.
    pub(super) vcpu_mapping: bool,
    /// How long a gather may take.
    pub(super) timeout: Duration,
    pub(super) points: PointOptions,
}

impl Options {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let uri = section.string("libvirt_uri")?.filter(|uri| !uri.is_empty());
        let domains = section.strings("domains")?.unwrap_or_default();
        let groups = groups(section)?;
        let vcpu_mapping = vcpu_mapping(section)?;
        if groups == 0 && !vcpu_mapping {
            return Err(
                section.bad("statistics_groups", "nothing to collect: no group and no additional statistic")
            );
        }
        let timeout = section.duration("timeout")?.unwrap_or(8_000_000_000).unsigned_abs();
        if timeout < 100_000_000 {
            return Err(section.bad("timeout", "must be 100ms at least"));
        }
        Ok(Self {
            uri: uri.unwrap_or_else(|| "qemu:///system".to_owned()),
            domains: domains.into_iter().collect(),
            groups,
            vcpu_mapping,
            timeout: Duration::from_nanos(timeout),
            points: points(section, groups)?,
        })
    }
}

fn groups(section: &mut Section) -> Result<u32, ConfigError> {
    let Some(names) = section.strings("statistics_groups")? else {
        return Ok(GROUPS.iter().fold(0, |mask, (_, bit)| mask | bit));
    };
    let mut mask = 0;
    for name in names {
        let bit = GROUPS.iter().find(|(known, _)| *known == name).map(|(_, bit)| *bit).ok_or_else(|| {
            let known: Vec<_> = GROUPS.iter().map(|(known, _)| *known).collect();
            section.bad("statistics_groups", format!("{name:?} is none of {}", known.join(", ")))
        })?;
        if mask & bit != 0 {
            return Err(section.bad("statistics_groups", format!("{name:?} is given twice")));
        }
        mask |= bit;
    }
    Ok(mask)
}

fn vcpu_mapping(section: &mut Section) -> Result<bool, ConfigError> {
    let names = section.strings("additional_statistics")?.unwrap_or_default();
    match names.iter().find(|name| *name != "vcpu_mapping") {
        Some(unknown) => {
            Err(section.bad("additional_statistics", format!("{unknown:?} is not \"vcpu_mapping\"")))
        }
        None if names.len() > 1 => {
            Err(section.bad("additional_statistics", "\"vcpu_mapping\" is given twice"))
        }
        None => Ok(names.len() == 1),
    }
}

/// Options that the original does not have; without them the points are the original's.
fn points(section: &mut Section, groups: u32) -> Result<PointOptions, ConfigError> {
    let extra = section.strings("extra_tags")?.unwrap_or_default();
    if let Some(unknown) = extra.iter().find(|tag| !matches!(tag.as_str(), "uuid" | "title" | "device")) {
        return Err(section.bad("extra_tags", format!("{unknown:?} is none of uuid, title, device")));
    }
    let halted_as_text = match section.string("halted_format")?.as_deref() {
        None | Some("text") => true,
        Some("integer") => false,
        Some(other) => {
            return Err(
                section.bad("halted_format", format!("{other:?} is neither \"text\" nor \"integer\""))
            );
        }
    };
    let has = |tag: &str| extra.iter().any(|e| e == tag);
    Ok(PointOptions {
        uuid_tag: has("uuid"),
        title_tag: has("title"),
        device_tag: has("device"),
        halted_as_text,
        vcpu_group: groups & virt::sys::VIR_DOMAIN_STATS_VCPU != 0,
    })
}
