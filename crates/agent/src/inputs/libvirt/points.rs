//! From libvirt's typed parameters to the original's measurements, tags and fields. Pure.
//!
//! libvirt names a parameter by a path: `block.0.rd.bytes`. [`route`] tells to which point it
//! belongs and as which field; what is not in its tables (newer keys of libvirt) is left out.

use skywatch_model::FieldValue;

use crate::input::Accumulator;
use crate::metric::Metric;

/// A domain as libvirt told of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Domain {
    pub(super) name: String,
    pub(super) uuid: String,
    /// Read only if it is to be a tag.
    pub(super) title: Option<String>,
    /// In libvirt's order.
    pub(super) params: Vec<(String, FieldValue)>,
    /// Empty unless asked for.
    pub(super) pins: Vec<Pin>,
}

/// Where a vCPU may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pin {
    pub(super) vcpu: u32,
    /// The host's CPUs.
    pub(super) cpus: Vec<usize>,
    /// Where it runs now; `None` for a domain that does not.
    pub(super) current: Option<u32>,
}

/// How points differ from the original's.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PointOptions {
    pub(super) uuid_tag: bool,
    pub(super) title_tag: bool,
    /// The name of a disk or an interface as a tag: unlike its index, it outlives a hot-unplug.
    pub(super) device_tag: bool,
    /// `halted` as `yes` or `no`, as documented; otherwise as 0 or 1, which the original really sends.
    pub(super) halted_as_text: bool,
    /// Whether the vcpu group was asked for; only then do vCPUs tell where they run.
    pub(super) vcpu_group: bool,
}

/// Adds a domain's points.
pub(super) fn add_points(acc: &mut Accumulator, domain: &Domain, options: &PointOptions) {
    let mut points = Points { now_ns: acc.now_ns(), domain, options, points: Vec::new() };
    for (key, value) in &domain.params {
        if let Some((place, field)) = route(key) {
            points.set(place, &field, value);
        }
    }
    domain.pins.iter().for_each(|pin| points.pin(pin));
    points.points.into_iter().for_each(|(_, metric)| acc.add(metric));
}

/// Which point: its measurement, and the tags besides the domain's.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    measurement: &'static str,
    tags: Vec<(&'static str, String)>,
}

/// A domain's points while they are put together.
struct Points<'a> {
    now_ns: i64,
    domain: &'a Domain,
    options: &'a PointOptions,
    points: Vec<(Place, Metric)>,
}

impl Points<'_> {
    fn set(&mut self, place: Place, field: &str, value: &FieldValue) {
        let is_device = matches!(place.measurement, "libvirt_block" | "libvirt_net");
        let device_tag = self.options.device_tag && is_device && field == "name";
        let halted = place.measurement == "libvirt_vcpu" && field == "halted";
        let halted_as_text = self.options.halted_as_text;
        let metric = self.point(place);
        if let (true, FieldValue::String(name)) = (device_tag, value) {
            metric.set_tag("device", name.as_ref());
        }
        if let (true, FieldValue::Integer(value)) = (halted, value) {
            let text = if *value == 0 { "no" } else { "yes" };
            let shown =
                if halted_as_text { FieldValue::String(text.into()) } else { FieldValue::Integer(*value) };
            metric.set_field("halted", shown);
            metric.set_field("halted_i", *value);
        } else {
            metric.set_field(field.to_owned(), value.clone());
        }
    }

    fn pin(&mut self, pin: &Pin) {
        let place = |measurement| Place { measurement, tags: vec![("vcpu_id", pin.vcpu.to_string())] };
        if !pin.cpus.is_empty() {
            let cpus: Vec<_> = pin.cpus.iter().map(ToString::to_string).collect();
            self.point(place("libvirt_cpu_affinity")).set_field("cpu_id", cpus.join(","));
        }
        if let Some(current) = pin.current.filter(|_| self.options.vcpu_group) {
            self.point(place("libvirt_vcpu")).set_field("cpu_id", i64::from(current));
        }
    }

    fn point(&mut self, place: Place) -> &mut Metric {
        // libvirt groups its parameters: the point is nearly always the last one.
        let at = match self.points.iter().rposition(|(known, _)| *known == place) {
            Some(at) => at,
            None => {
                let metric = self.new_metric(&place);
                self.points.push((place, metric));
                self.points.len() - 1
            }
        };
        &mut self.points[at].1
    }

    fn new_metric(&self, place: &Place) -> Metric {
        let mut metric =
            Metric::new(place.measurement, self.now_ns).tag("domain_name", self.domain.name.as_str());
        if self.options.uuid_tag {
            metric.set_tag("uuid", self.domain.uuid.as_str());
        }
        if let Some(title) = self.domain.title.as_deref().filter(|_| self.options.title_tag) {
            metric.set_tag("title", title);
        }
        for (key, value) in &place.tags {
            metric.set_tag(*key, value.as_str());
        }
        metric
    }
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

/// The point of a parameter, and its field there.
fn route(key: &str) -> Option<(Place, String)> {
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

/// libvirt separates words of a field with dots, dashes or underscores, the original by underscores.
fn field_name(rest: &str, known: &[&str]) -> Option<String> {
    let name = rest.replace(['.', '-'], "_");
    known.contains(&name.as_str()).then_some(name)
}

fn plain(measurement: &'static str, rest: &str, known: &[&str]) -> Option<(Place, String)> {
    Some((Place { measurement, tags: Vec::new() }, field_name(rest, known)?))
}

/// `NUMBER.FIELD`
fn indexed(
    measurement: &'static str,
    tag: &'static str,
    rest: &str,
    known: &[&str],
) -> Option<(Place, String)> {
    let (index, rest) = number_prefix(rest)?;
    Some((Place { measurement, tags: vec![(tag, index.to_owned())] }, field_name(rest, known)?))
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
    part_measurement: &'static str,
    part_tag: &'static str,
    part_fields: &'static [&'static str],
}

const CACHE_MONITOR: Monitor = Monitor {
    total: "libvirt_cpu_cache_monitor_total",
    measurement: "libvirt_cpu_cache_monitor",
    tag: "cache_monitor_id",
    part: "bank",
    part_measurement: "libvirt_cpu_cache_monitor_bank",
    part_tag: "bank_index",
    part_fields: &["id", "bytes"],
};

const MEMORY_MONITOR: Monitor = Monitor {
    total: "libvirt_memory_bandwidth_monitor_total",
    measurement: "libvirt_memory_bandwidth_monitor",
    tag: "memory_bandwidth_monitor_id",
    part: "node",
    part_measurement: "libvirt_memory_bandwidth_monitor_node",
    part_tag: "controller_index",
    part_fields: &["id", "bytes_local", "bytes_total"],
};

/// `count`, `0.name`, `0.vcpus`, `0.bank.count`, `0.bank.1.id` ...
fn monitor(rest: &str, monitor: &Monitor) -> Option<(Place, String)> {
    if rest == "count" {
        return plain(monitor.total, rest, &["count"]);
    }
    let (id, rest) = number_prefix(rest)?;
    let own = Place { measurement: monitor.measurement, tags: vec![(monitor.tag, id.to_owned())] };
    let Some(part) = rest.strip_prefix(monitor.part).and_then(|rest| rest.strip_prefix('.')) else {
        return Some((own, field_name(rest, &["name", "vcpus"])?));
    };
    if part == "count" {
        return Some((own, format!("{}_count", monitor.part)));
    }
    let (index, rest) = number_prefix(part)?;
    let tags = vec![(monitor.tag, id.to_owned()), (monitor.part_tag, index.to_owned())];
    Some((Place { measurement: monitor.part_measurement, tags }, field_name(rest, monitor.part_fields)?))
}

#[cfg(test)]
mod tests;
