//! libvirt's names of statistics, and where each belongs: measurement, tags, field. Pure.
//!
//! libvirt names a statistic by a path, `block.0.rd.bytes`: its group, often the number of a device, and words that
//! it separates by dots, dashes or underscores. The tables hold what the original knows; what later versions of
//! libvirt added comes only on request, under names made by the same rule.

use std::borrow::Cow;

/// A tag: its key, and a value that is mostly a part of libvirt's path.
pub(super) type Tag<'a> = (&'static str, Cow<'a, str>);

/// Which point of a domain: its measurement, and the tags besides those of the domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) measurement: &'static str,
    pub(super) tags: [Option<Tag<'a>>; 2],
}

impl<'a> Place<'a> {
    pub(super) fn new(measurement: &'static str) -> Self {
        Self { measurement, tags: [None, None] }
    }

    pub(super) fn indexed(
        measurement: &'static str,
        tag: &'static str,
        index: impl Into<Cow<'a, str>>,
    ) -> Self {
        Self { measurement, tags: [Some((tag, index.into())), None] }
    }

    fn within(mut self, tag: &'static str, index: &'a str) -> Self {
        self.tags[1] = Some((tag, index.into()));
        self
    }
}

/// A statistic's point, and its field there.
pub(super) type Route<'a> = (Place<'a>, Cow<'static, str>);

/// Where a statistic belongs; `None` for one that is not asked for.
pub(super) fn route(key: &str, extended: bool) -> Option<Route<'_>> {
    known(key).or_else(|| if extended { newer(key) } else { None })
}

const BALLOON: &[&str] = &[
    "current",
    "maximum",
    "swap_in",
    "swap_out",
    "major_fault",
    "minor_fault",
    "unused",
    "available",
    "rss",
    "usable",
    "last_update",
    "disk_caches",
    "hugetlb_pgalloc",
    "hugetlb_pgfail",
];
const BLOCK: &[&str] = &[
    "name",
    "backingIndex",
    "path",
    "rd_reqs",
    "rd_bytes",
    "rd_times",
    "wr_reqs",
    "wr_bytes",
    "wr_times",
    "fl_reqs",
    "fl_times",
    "errors",
    "allocation",
    "capacity",
    "physical",
    "threshold",
];
const CPU: &[&str] = &["time", "user", "system", "haltpoll_success_time", "haltpoll_fail_time"];
const DIRTYRATE: &[&str] =
    &["calc_status", "calc_start_time", "calc_period", "megabytes_per_second", "calc_mode"];
const IOTHREAD: &[&str] = &["poll_max_ns", "poll_grow", "poll_shrink"];
const NET: &[&str] =
    &["name", "rx_bytes", "rx_pkts", "rx_errs", "rx_drop", "tx_bytes", "tx_pkts", "tx_errs", "tx_drop"];
const PERF: &[&str] = &[
    "cmt",
    "mbmt",
    "mbml",
    "cpu_cycles",
    "instructions",
    "cache_references",
    "cache_misses",
    "branch_instructions",
    "branch_misses",
    "bus_cycles",
    "stalled_cycles_frontend",
    "stalled_cycles_backend",
    "ref_cpu_cycles",
    "cpu_clock",
    "task_clock",
    "page_faults",
    "context_switches",
    "cpu_migrations",
    "page_faults_min",
    "page_faults_maj",
    "alignment_faults",
    "emulation_faults",
];
const VCPU: &[&str] = &["state", "time", "wait", "delay", "halted"];

/// What the original knows.
fn known(key: &str) -> Option<Route<'_>> {
    let (group, rest) = key.split_once('.')?;
    match group {
        "state" => plain("libvirt_state", rest, &["state", "reason"]),
        "cpu" => match rest.strip_prefix("cache.monitor.") {
            Some(rest) => monitor(rest, &CACHE_MONITOR),
            None => plain("libvirt_cpu", rest, CPU),
        },
        "balloon" => plain("libvirt_balloon", rest, BALLOON),
        "vcpu" => plain("libvirt_vcpu_total", rest, &["current", "maximum"])
            .or_else(|| indexed("libvirt_vcpu", "vcpu_id", rest, VCPU)),
        "net" => plain("libvirt_net_total", rest, &["count"])
            .or_else(|| indexed("libvirt_net", "interface_id", rest, NET)),
        "block" => plain("libvirt_block_total", rest, &["count"])
            .or_else(|| indexed("libvirt_block", "block_id", rest, BLOCK)),
        "perf" => plain("libvirt_perf", rest, PERF),
        "iothread" => plain("libvirt_iothread_total", rest, &["count"])
            .or_else(|| indexed("libvirt_iothread", "iothread_id", rest, IOTHREAD)),
        "memory" => monitor(rest.strip_prefix("bandwidth.monitor.")?, &MEMORY_MONITOR),
        "dirtyrate" => match rest.strip_prefix("vcpu.") {
            Some(rest) => indexed("libvirt_dirtyrate_vcpu", "vcpu_id", rest, &["megabytes_per_second"]),
            None => plain("libvirt_dirtyrate", rest, DIRTYRATE),
        },
        _ => None,
    }
}

/// What it does not: the same places, and fields named by the rule.
fn newer(key: &str) -> Option<Route<'_>> {
    let (group, rest) = key.split_once('.')?;
    match group {
        "state" => unknown(Place::new("libvirt_state"), rest),
        "cpu" => unknown(Place::new("libvirt_cpu"), rest),
        "balloon" => unknown(Place::new("libvirt_balloon"), rest),
        "perf" => unknown(Place::new("libvirt_perf"), rest),
        "dirtyrate" => unknown(Place::new("libvirt_dirtyrate"), rest),
        "vm" => unknown(Place::new("libvirt_vm"), rest),
        "vcpu" => unknown_indexed("libvirt_vcpu", "vcpu_id", rest),
        "net" => unknown_indexed("libvirt_net", "interface_id", rest),
        "block" => timed_group(rest).or_else(|| unknown_indexed("libvirt_block", "block_id", rest)),
        "iothread" => unknown_indexed("libvirt_iothread", "iothread_id", rest),
        _ => None,
    }
}

/// `0.timed_group.1.rd_latency_avg`: a disk's latencies over one of the intervals it is set to keep.
fn timed_group(rest: &str) -> Option<Route<'_>> {
    let (block, rest) = number_prefix(rest)?;
    let (group, rest) = number_prefix(rest.strip_prefix("timed_group.")?)?;
    let place =
        Place::indexed("libvirt_block_timed_group", "block_id", block).within("timed_group_id", group);
    unknown(place, rest)
}

fn unknown_indexed<'a>(measurement: &'static str, tag: &'static str, rest: &'a str) -> Option<Route<'a>> {
    let (index, rest) = number_prefix(rest)?;
    unknown(Place::indexed(measurement, tag, index), rest)
}

fn unknown<'a>(place: Place<'a>, rest: &str) -> Option<Route<'a>> {
    (!rest.is_empty()).then(|| (place, rest.replace(['.', '-'], "_").into()))
}

/// The field's name where libvirt's words, however separated, are those of a known one.
fn field_name(rest: &str, known: &[&'static str]) -> Option<Cow<'static, str>> {
    let same = |a: u8, b: u8| a == b || (b == b'_' && matches!(a, b'.' | b'-'));
    let spelled =
        |name: &str| name.len() == rest.len() && rest.bytes().zip(name.bytes()).all(|(a, b)| same(a, b));
    known.iter().copied().find(|name| spelled(name)).map(Cow::Borrowed)
}

fn plain<'a>(measurement: &'static str, rest: &str, known: &[&'static str]) -> Option<Route<'a>> {
    Some((Place::new(measurement), field_name(rest, known)?))
}

/// `NUMBER.FIELD`
fn indexed<'a>(
    measurement: &'static str,
    tag: &'static str,
    rest: &'a str,
    known: &[&'static str],
) -> Option<Route<'a>> {
    let (index, rest) = number_prefix(rest)?;
    Some((Place::indexed(measurement, tag, index), field_name(rest, known)?))
}

fn number_prefix(text: &str) -> Option<(&str, &str)> {
    let (number, rest) = text.split_once('.')?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some((number, rest))
}

/// A resource monitor: its count, monitors, and the parts each watches.
struct Monitor {
    total: &'static str,
    measurement: &'static str,
    tag: &'static str,
    /// How libvirt calls a part.
    part: &'static str,
    part_count: &'static str,
    part_measurement: &'static str,
    part_tag: &'static str,
    part_fields: &'static [&'static str],
}

const CACHE_MONITOR: Monitor = Monitor {
    total: "libvirt_cpu_cache_monitor_total",
    measurement: "libvirt_cpu_cache_monitor",
    tag: "cache_monitor_id",
    part: "bank",
    part_count: "bank_count",
    part_measurement: "libvirt_cpu_cache_monitor_bank",
    part_tag: "bank_index",
    part_fields: &["id", "bytes"],
};

const MEMORY_MONITOR: Monitor = Monitor {
    total: "libvirt_memory_bandwidth_monitor_total",
    measurement: "libvirt_memory_bandwidth_monitor",
    tag: "memory_bandwidth_monitor_id",
    part: "node",
    part_count: "node_count",
    part_measurement: "libvirt_memory_bandwidth_monitor_node",
    part_tag: "controller_index",
    part_fields: &["id", "bytes_local", "bytes_total"],
};

/// `count`, `0.name`, `0.vcpus`, `0.bank.count`, `0.bank.1.id` ...
fn monitor<'a>(rest: &'a str, monitor: &Monitor) -> Option<Route<'a>> {
    if rest == "count" {
        return plain(monitor.total, rest, &["count"]);
    }
    let (id, rest) = number_prefix(rest)?;
    let Some(part) = rest.strip_prefix(monitor.part).and_then(|rest| rest.strip_prefix('.')) else {
        let own = Place::indexed(monitor.measurement, monitor.tag, id);
        return Some((own, field_name(rest, &["name", "vcpus"])?));
    };
    if part == "count" {
        return Some((Place::indexed(monitor.measurement, monitor.tag, id), monitor.part_count.into()));
    }
    let (index, rest) = number_prefix(part)?;
    let place = Place::indexed(monitor.part_measurement, monitor.tag, id).within(monitor.part_tag, index);
    Some((place, field_name(rest, monitor.part_fields)?))
}

#[cfg(test)]
mod tests;
