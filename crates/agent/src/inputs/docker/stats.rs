//! What a container uses: the points of `/containers/ID/stats`. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::json::{entries, list, text, time_ns, unsigned};
use super::options::Options;
use crate::metric::Metric;

/// The counters of the kernel's memory controller that are told, where the container has them.
const MEMORY: [&str; 29] = [
    "active_anon",
    "active_file",
    "cache",
    "hierarchical_memory_limit",
    "inactive_anon",
    "inactive_file",
    "mapped_file",
    "pgfault",
    "pgmajfault",
    "pgpgin",
    "pgpgout",
    "rss",
    "rss_huge",
    "total_active_anon",
    "total_active_file",
    "total_cache",
    "total_inactive_anon",
    "total_inactive_file",
    "total_mapped_file",
    "total_pgfault",
    "total_pgmajfault",
    "total_pgpgin",
    "total_pgpgout",
    "total_rss",
    "total_rss_huge",
    "total_unevictable",
    "total_writeback",
    "unevictable",
    "writeback",
];
const NETWORK: [&str; 8] = [
    "rx_dropped",
    "rx_bytes",
    "rx_errors",
    "tx_packets",
    "tx_dropped",
    "rx_packets",
    "tx_errors",
    "tx_bytes",
];
/// Lists of the block controller, the fields they become, and whether those end in the kind of operation.
const BLOCK: [(&str, &str, bool); 8] = [
    ("io_service_bytes_recursive", "io_service_bytes_recursive", true),
    ("io_serviced_recursive", "io_serviced_recursive", true),
    ("io_queue_recursive", "io_queue_recursive", true),
    ("io_service_time_recursive", "io_service_time_recursive", true),
    ("io_wait_time_recursive", "io_wait_time", true),
    ("io_merged_recursive", "io_merged_recursive", true),
    ("io_time_recursive", "io_time_recursive", false),
    ("sectors_recursive", "sectors_recursive", false),
];

/// The counters whose growth is the share of the CPUs a container takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CpuSample {
    container: u64,
    system: u64,
}

impl CpuSample {
    fn read(stats: &Value, part: &str) -> Option<Self> {
        let system = unsigned(stats, &format!("/{part}/system_cpu_usage"));
        let container = unsigned(stats, &format!("/{part}/cpu_usage/total_usage"));
        (system > 0).then_some(Self { container, system })
    }

    /// What is to be remembered of these stats.
    pub(super) fn of(stats: &Value) -> Option<Self> {
        Self::read(stats, "cpu_stats")
    }
}

/// All points; none if the container was not measured. `before` is an earlier sample, for stats that have none.
pub(super) fn points(
    stats: &Value,
    base: &Metric,
    id: &str,
    options: &Options,
    before: Option<CpuSample>,
) -> Vec<Metric> {
    let Some(read_ns) = time_ns(text(stats, "/read")) else { return Vec::new() };
    let mut base = base.child();
    base.time_ns = read_ns;
    let mut points = vec![memory(stats, &base, id)];
    points.extend(cpu(stats, &base, id, options, before));
    points.extend(network(stats, &base, id, options));
    points.extend(block(stats, &base, id, options));
    points
}

fn point(base: &Metric, name: &'static str, id: &str) -> Metric {
    let mut metric = base.child();
    metric.name = name.into();
    metric.set_field("container_id", id);
    metric
}

fn memory(stats: &Value, base: &Metric, id: &str) -> Metric {
    let mut metric = point(base, "docker_container_mem", id);
    for key in MEMORY {
        if let Some(value) = stats.pointer(&format!("/memory_stats/stats/{key}")).and_then(Value::as_u64) {
            metric.set_field(key, value);
        }
    }
    let limit = unsigned(stats, "/memory_stats/limit");
    let raw = unsigned(stats, "/memory_stats/usage");
    // Pages of files that nobody used of late are given back whenever memory is short; both versions of the kernel's
    // control groups count them, under different names.
    let cached = ["total_inactive_file", "inactive_file"]
        .into_iter()
        .find_map(|key| stats.pointer(&format!("/memory_stats/stats/{key}")).and_then(Value::as_u64));
    let usage = cached.filter(|cached| *cached < raw).map_or(raw, |cached| raw - cached);
    metric.set_field("limit", limit);
    metric.set_field("max_usage", unsigned(stats, "/memory_stats/max_usage"));
    metric.set_field("usage", usage);
    metric.set_field("usage_percent", if limit == 0 { 0.0 } else { usage as f64 / limit as f64 * 100.0 });
    let failures = unsigned(stats, "/memory_stats/failcnt");
    if failures != 0 {
        metric.set_field("fail_count", failures);
    }
    metric
}

fn cpu(stats: &Value, base: &Metric, id: &str, options: &Options, before: Option<CpuSample>) -> Vec<Metric> {
    let per_cpu: Vec<u64> =
        list(stats, "/cpu_stats/cpu_usage/percpu_usage").iter().filter_map(Value::as_u64).collect();
    let online = usize::try_from(unsigned(stats, "/cpu_stats/online_cpus")).unwrap_or(0);
    let online = if online == 0 { per_cpu.len() } else { online };
    let mut points = Vec::new();
    if options.total.cpu {
        let mut total = point(base, "docker_container_cpu", id).tag("cpu", "cpu-total");
        for (field, at) in [
            ("usage_total", "cpu_usage/total_usage"),
            ("usage_in_usermode", "cpu_usage/usage_in_usermode"),
            ("usage_in_kernelmode", "cpu_usage/usage_in_kernelmode"),
            ("usage_system", "system_cpu_usage"),
            ("throttling_periods", "throttling_data/periods"),
            ("throttling_throttled_periods", "throttling_data/throttled_periods"),
            ("throttling_throttled_time", "throttling_data/throttled_time"),
        ] {
            total.set_field(field, unsigned(stats, &format!("/cpu_stats/{at}")));
        }
        let before = CpuSample::read(stats, "precpu_stats").or(before);
        total.set_field("usage_percent", percent(before, CpuSample::of(stats), online));
        points.push(total);
    }
    if options.per_device.cpu {
        // The kernel may count for CPUs that could be plugged; they were never online.
        points.extend(per_cpu.iter().take(online).enumerate().map(|(cpu, usage)| {
            point(base, "docker_container_cpu", id)
                .tag("cpu", format!("cpu{cpu}"))
                .field("usage_total", *usage)
        }));
    }
    points
}

/// The share of one CPU, in percent, so that two of them are 200; zero while there is nothing to compare with.
fn percent(before: Option<CpuSample>, now: Option<CpuSample>, cpus: usize) -> f64 {
    let (Some(before), Some(now)) = (before, now) else { return 0.0 };
    let container = now.container.saturating_sub(before.container);
    let system = now.system.saturating_sub(before.system);
    if container == 0 || system == 0 {
        return 0.0;
    }
    container as f64 / system as f64 * cpus as f64 * 100.0
}

fn network(stats: &Value, base: &Metric, id: &str, options: &Options) -> Vec<Metric> {
    let mut points = Vec::new();
    let mut total = [0_u64; NETWORK.len()];
    let mut any = false;
    for (name, network) in entries(stats, "/networks") {
        let values = NETWORK.map(|field| unsigned(network, &format!("/{field}")));
        total.iter_mut().zip(values).for_each(|(sum, value)| *sum = sum.wrapping_add(value));
        any = true;
        if options.per_device.network {
            points.push(network_point(base, id, name, values));
        }
    }
    if any && options.total.network {
        points.push(network_point(base, id, "total", total));
    }
    points
}

fn network_point(base: &Metric, id: &str, name: &str, values: [u64; NETWORK.len()]) -> Metric {
    let metric = point(base, "docker_container_net", id).tag("network", name);
    NETWORK.into_iter().zip(values).fold(metric, |metric, (field, value)| metric.field(field, value))
}

fn block(stats: &Value, base: &Metric, id: &str, options: &Options) -> Vec<Metric> {
    let mut devices: BTreeMap<(u64, u64), BTreeMap<String, u64>> = BTreeMap::new();
    let mut total: BTreeMap<String, u64> = BTreeMap::new();
    for (key, field, by_operation) in BLOCK {
        for entry in list(stats, &format!("/blkio_stats/{key}")) {
            let field = match by_operation {
                true => format!("{field}_{}", text(entry, "/op").to_ascii_lowercase()),
                false => field.to_owned(),
            };
            let value = unsigned(entry, "/value");
            let sum = total.entry(field.clone()).or_default();
            *sum = sum.wrapping_add(value);
            let device = (unsigned(entry, "/major"), unsigned(entry, "/minor"));
            devices.entry(device).or_default().insert(field, value);
        }
    }
    let with = |device: &str, fields: BTreeMap<String, u64>| {
        let metric = point(base, "docker_container_blkio", id).tag("device", device);
        fields.into_iter().fold(metric, |metric, (field, value)| metric.field(field, value))
    };
    let mut points = Vec::new();
    if options.per_device.blkio {
        points.extend(
            devices.into_iter().map(|((major, minor), fields)| with(&format!("{major}:{minor}"), fields)),
        );
    }
    if options.total.blkio && !total.is_empty() {
        points.push(with("total", total));
    }
    points
}
