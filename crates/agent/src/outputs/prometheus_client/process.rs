//! What the page tells about this process, under the names every client library of Prometheus has.

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use crate::exposition::write_scalar;
use crate::input::read_text;
use crate::metric::Kind;
use crate::paths::HostPaths;

/// One value.
#[derive(Debug, PartialEq)]
pub(super) struct Value {
    pub(super) name: &'static str,
    help: &'static str,
    kind: Kind,
    value: f64,
}

impl Value {
    pub(super) fn write(&self, out: &mut String) {
        write_scalar(out, self.name, self.help, self.kind, self.value);
    }
}

/// Reads `/proc`.
pub(super) fn read(paths: &HostPaths) -> Result<Vec<Value>, String> {
    let text = |name| read_text(&paths.proc(name)).map_err(|error| error.to_string());
    let (ticks, page) = (clock_ticks_per_second() as f64, page_size() as f64);
    let stat = text("self/stat")?;
    let mut values = of_stat(&stat, boot_time(&text("stat")?), ticks, page)
        .ok_or_else(|| format!("cannot understand {}", paths.proc("self/stat").display()))?;
    let gauge = |name, help, value| Value { name, help, kind: Kind::Gauge, value };
    if let Ok(entries) = std::fs::read_dir(paths.proc("self/fd")) {
        values.push(gauge("process_open_fds", "Number of open file descriptors.", entries.count() as f64));
    }
    for (name, help, resource) in [
        ("process_max_fds", "Maximum number of open file descriptors.", Resource::Nofile),
        (
            "process_virtual_memory_max_bytes",
            "Maximum amount of virtual memory available in bytes.",
            Resource::As,
        ),
    ] {
        let limit = getrlimit(resource).current.map_or(u64::MAX, |limit| limit);
        values.push(gauge(name, help, limit as f64));
    }
    values.sort_by_key(|value| value.name);
    Ok(values)
}

fn of_stat(stat: &str, boot_time: f64, ticks: f64, page: f64) -> Option<Vec<Value>> {
    // The name in the parentheses may hold anything; what is after the last one is numbers from the third field on.
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let value = |name, help, kind, value| Value { name, help, kind, value };
    Some(vec![
        value(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            Kind::Counter,
            (field(14)? + field(15)?) / ticks,
        ),
        value(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            Kind::Gauge,
            field(24)? * page,
        ),
        value(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            Kind::Gauge,
            boot_time + field(22)? / ticks,
        ),
        value("process_virtual_memory_bytes", "Virtual memory size in bytes.", Kind::Gauge, field(23)?),
    ])
}

fn boot_time(stat: &str) -> f64 {
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_hostile_name() {
        let stat = "42 (a) 1 (b) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 1 0 1000 8192 3 184467";
        let values = of_stat(stat, 1_700_000_000.0, 100.0, 4096.0).expect("valid");
        let of = |name| values.iter().find(|value| value.name == name).map(|value| value.value);
        assert_eq!(of("process_cpu_seconds_total"), Some(2.0));
        assert_eq!(of("process_start_time_seconds"), Some(1_700_000_010.0));
        assert_eq!(of("process_virtual_memory_bytes"), Some(8192.0));
        assert_eq!(of("process_resident_memory_bytes"), Some(12288.0));
        assert_eq!(of_stat("42 (x) S 1", 0.0, 100.0, 4096.0), None);
    }

    #[test]
    fn this_process() {
        let values = read(&HostPaths::default()).expect("Linux has it");
        let of = |name| values.iter().find(|value| value.name == name).expect(name).value;
        assert!(of("process_open_fds") >= 3.0 && of("process_max_fds") > of("process_open_fds"));
        assert!(of("process_resident_memory_bytes") > 1e6);
        assert_eq!(values.len(), 7);
    }
}
