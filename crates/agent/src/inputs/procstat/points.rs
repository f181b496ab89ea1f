//! The points of a process: what its files say, as fields. What cannot be read, as another user's, is left out.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};

use super::options::Options;
use super::process::{MAPS, Maps, Stat, USER_HZ, command_line, limit, number, uids, word};
use super::sockets::SocketTable;
use crate::input::{Accumulator, GatherError, read_text};
use crate::inputs::mem::MemInfo;
use crate::inputs::proc_dir::ProcDir;
use crate::inputs::proc_stat;
use crate::inputs::users::Users;
use crate::metric::Metric;
use crate::paths::HostPaths;

/// What all processes share.
#[derive(Debug)]
pub(super) struct Host {
    /// Seconds since the Unix epoch.
    boot_time: i64,
    memory_bytes: u64,
    cpus: usize,
    users: Users,
}

impl Host {
    pub(super) fn read(paths: &HostPaths) -> Result<Self, GatherError> {
        let stat = read_text(&paths.proc("stat"))?;
        let cpus = stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count();
        Ok(Self {
            boot_time: proc_stat::number(&stat, "btime").unwrap_or(0),
            memory_bytes: MemInfo::parse(&read_text(&paths.proc("meminfo"))?).bytes("MemTotal"),
            cpus: cpus.max(1),
            users: Users::read(paths),
        })
    }
}

/// The CPU time a process had used, and which process of that number it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    start_ticks: u64,
    cpu_seconds: f64,
    at_ns: i64,
}

/// Reads processes within one gather.
#[derive(Debug)]
pub(super) struct Points<'a> {
    proc: &'a ProcDir,
    host: &'a Host,
    options: &'a Options,
    sockets: &'a SocketTable,
    last: &'a BTreeMap<i32, Last>,
    now: BTreeMap<i32, Last>,
    bytes: Vec<u8>,
}

/// Limits, and the name in the kernel's file; see [`Points::limits`] for what is used of them.
const LIMITS: [(&str, &str); 11] = [
    ("cpu_time", "Max cpu time"),
    ("memory_data", "Max data size"),
    ("memory_stack", "Max stack size"),
    ("memory_rss", "Max resident set"),
    ("num_fds", "Max open files"),
    ("memory_locked", "Max locked memory"),
    ("memory_vms", "Max address space"),
    ("file_locks", "Max file locks"),
    ("signals_pending", "Max pending signals"),
    ("nice_priority", "Max nice priority"),
    ("realtime_priority", "Max realtime priority"),
];

impl<'a> Points<'a> {
    pub(super) fn new(
        proc: &'a ProcDir,
        host: &'a Host,
        options: &'a Options,
        sockets: &'a SocketTable,
        last: &'a BTreeMap<i32, Last>,
    ) -> Self {
        Self { proc, host, options, sockets, last, now: BTreeMap::new(), bytes: Vec::new() }
    }

    /// What the next gather compares with.
    pub(super) fn into_last(self) -> BTreeMap<i32, Last> {
        self.now
    }

    /// Adds the points of a process; `false` if there is none of that number.
    pub(super) fn add(&mut self, acc: &mut Accumulator, pid: i32, tags: &[(&'static str, String)]) -> bool {
        let Some(mut stat) = self.text(pid, "stat").as_deref().and_then(Stat::parse) else { return false };
        let mut metric = self.tags(acc.metric("procstat"), &stat, tags);
        let status = self.text(pid, "status").unwrap_or_default();
        self.always(&mut metric, pid, &stat, &status);
        let properties = self.options.properties;
        if properties.memory || properties.limits {
            // What `stat` says lags behind by what each CPU has not added yet; this is summed up for whoever asks.
            let statm = self.text(pid, "statm");
            let resident =
                statm.as_deref().and_then(|text| text.split_ascii_whitespace().nth(1)?.parse().ok());
            stat.resident_pages = resident.unwrap_or(stat.resident_pages);
        }
        if properties.cpu {
            self.cpu(&mut metric, pid, &stat, acc.now_ns());
        }
        if properties.memory {
            self.memory(&mut metric, &stat);
        }
        if properties.mmap {
            self.maps(&mut metric, pid, &stat);
        }
        if properties.limits {
            self.limits(&mut metric, pid, &stat, &status);
        }
        self.identity(&mut metric, pid, &stat, &status);
        if properties.sockets {
            // The points of sockets carry what the process's own is tagged with.
            let mut blank = metric.child();
            blank.name = "procstat_socket".into();
            self.sockets.add(acc, &blank, pid, self.proc, &self.options.tag_with);
        }
        acc.add(metric);
        true
    }

    fn tags(&self, mut metric: Metric, stat: &Stat, tags: &[(&'static str, String)]) -> Metric {
        let name = self.options.process_name.as_ref().unwrap_or(&stat.comm);
        metric.set_tag("process_name", name.as_str());
        for (key, value) in tags {
            let on_request = matches!(*key, "child_level" | "level");
            if !on_request || self.options.tag_with.contains(*key) {
                metric.set_tag(*key, value.as_str());
            }
        }
        metric
    }

    fn set(&self, metric: &mut Metric, field: &'static str, value: impl Into<crate::metric::Value>) {
        if self.options.prefix.is_empty() {
            metric.set_field(field, value);
        } else {
            metric.set_field(format!("{}{field}", self.options.prefix), value);
        }
    }

    fn always(&mut self, metric: &mut Metric, pid: i32, stat: &Stat, status: &str) {
        self.set(metric, "num_threads", stat.threads);
        if let Some(count) = self.open_files(pid) {
            self.set(metric, "num_fds", count);
        }
        for (field, key) in [
            ("voluntary_context_switches", "voluntary_ctxt_switches"),
            ("involuntary_context_switches", "nonvoluntary_ctxt_switches"),
        ] {
            if let Some(count) = number(status, key).and_then(|count| i64::try_from(count).ok()) {
                self.set(metric, field, count);
            }
        }
        self.set(metric, "minor_faults", stat.minor_faults);
        self.set(metric, "major_faults", stat.major_faults);
        self.set(metric, "child_minor_faults", stat.child_minor_faults);
        self.set(metric, "child_major_faults", stat.child_major_faults);
        if let Some(io) = self.text(pid, "io") {
            for (field, key) in [
                ("read_count", "syscr"),
                ("write_count", "syscw"),
                ("read_bytes", "rchar"),
                ("write_bytes", "wchar"),
                ("disk_read_bytes", "read_bytes"),
                ("disk_write_bytes", "write_bytes"),
            ] {
                if let Some(value) = number(&io, key) {
                    self.set(metric, field, value);
                }
            }
        }
        let started_ms = self.host.boot_time * 1000 + (stat.start_ticks * 1000 / USER_HZ) as i64;
        self.set(metric, "created_at", started_ms * 1_000_000);
    }

    /// What may be a tag or a field.
    fn identity(&mut self, metric: &mut Metric, pid: i32, stat: &Stat, status: &str) {
        let tag_with = &self.options.tag_with;
        if tag_with.contains("pid") {
            metric.set_tag("pid", pid.to_string());
        } else {
            metric.set_field("pid", i64::from(pid));
        }
        if tag_with.contains("ppid") {
            metric.set_tag("ppid", stat.ppid.to_string());
        } else {
            self.set(metric, "ppid", i64::from(stat.ppid));
        }
        self.text_or_tag(metric, "status", stat.status().to_owned());
        if let Ok(()) = self.proc.read(pid, "cmdline", &mut self.bytes) {
            let line = command_line(&self.bytes);
            self.text_or_tag(metric, "cmdline", line);
        }
        // Where processes are chosen by their user, that is a tag already.
        if let Some((real, _)) = uids(status).filter(|_| metric.tag_value("user").is_none()) {
            self.text_or_tag(metric, "user", self.host.users.name(real));
        }
    }

    fn text_or_tag(&self, metric: &mut Metric, key: &'static str, value: String) {
        if !self.options.tag_with.contains(key) {
            self.set(metric, key, value);
        } else if !value.is_empty() {
            metric.set_tag(key, value);
        }
    }

    fn cpu(&mut self, metric: &mut Metric, pid: i32, stat: &Stat, now_ns: i64) {
        let seconds = |ticks: u64| ticks as f64 / USER_HZ as f64;
        self.set(metric, "cpu_time_user", seconds(stat.user_ticks));
        self.set(metric, "cpu_time_system", seconds(stat.system_ticks));
        self.set(metric, "cpu_time_iowait", seconds(stat.io_wait_ticks));
        let now = Last { start_ticks: stat.start_ticks, cpu_seconds: stat.cpu_seconds(), at_ns: now_ns };
        // Another process may have the number of one that ended.
        if let Some(last) = self.last.get(&pid).filter(|last| last.start_ticks == now.start_ticks) {
            let elapsed = (now_ns - last.at_ns) as f64 / 1e9;
            if elapsed > 0.0 {
                let cpus = if self.options.share_of_all_cpus { self.host.cpus } else { 1 };
                let used = (now.cpu_seconds - last.cpu_seconds).max(0.0);
                self.set(metric, "cpu_usage", 100.0 * used / elapsed / cpus as f64);
            }
        }
        self.now.insert(pid, now);
    }

    fn memory(&self, metric: &mut Metric, stat: &Stat) {
        let resident = resident_bytes(stat);
        self.set(metric, "memory_rss", resident);
        self.set(metric, "memory_vms", stat.virtual_bytes);
        if self.host.memory_bytes > 0 {
            self.set(metric, "memory_usage", 100.0 * resident as f64 / self.host.memory_bytes as f64);
        }
    }

    /// The kernel's own sums where it has them: a file of a few lines instead of one of thousands.
    fn maps(&self, metric: &mut Metric, pid: i32, stat: &Stat) {
        let open = |name| fs::File::open(self.proc.path(pid, name));
        let (file, rollup) = match open("smaps_rollup") {
            Ok(file) => (file, true),
            Err(error) if error.kind() == ErrorKind::NotFound => match open("smaps") {
                Ok(file) => (file, false),
                Err(_) => return,
            },
            Err(_) => return,
        };
        let mut maps = Maps::default();
        let mut lines = BufReader::new(file);
        let mut line = String::new();
        loop {
            line.clear();
            match lines.read_line(&mut line) {
                Ok(0) => break,
                Ok(_) => maps.add(&line),
                Err(_) => return,
            }
        }
        if rollup {
            // The sums lack the mappings' size, which the process's own is.
            maps.add(&format!("Size: {} kB", stat.virtual_bytes / 1024));
        }
        for ((field, _), sum) in MAPS.iter().zip(maps.sums) {
            self.set(metric, field, sum);
        }
    }

    fn limits(&mut self, metric: &mut Metric, pid: i32, stat: &Stat, status: &str) {
        let Some(limits) = self.text(pid, "limits") else { return };
        let kilobytes = |key| number(status, key).map(|kilobytes| kilobytes * 1024);
        let used = |name: &str| match name {
            "cpu_time" => Some((stat.user_ticks + stat.system_ticks) / USER_HZ),
            "memory_data" => kilobytes("VmData"),
            "memory_stack" => kilobytes("VmStk"),
            "memory_rss" => Some(resident_bytes(stat)),
            "num_fds" => self.open_files(pid).map(i64::unsigned_abs),
            "memory_locked" => kilobytes("VmLck"),
            "memory_vms" => Some(stat.virtual_bytes),
            "signals_pending" => {
                word(status, "SigQ", 0).and_then(|word| word.split('/').next()?.parse().ok())
            }
            // The limit counts from the lowest priority, 20 being an ordinary process's.
            "nice_priority" => Some((20 - stat.nice).unsigned_abs()),
            "realtime_priority" => Some(stat.realtime_priority),
            // Nothing tells how many locks a process holds.
            _ => None,
        };
        for (name, title) in LIMITS {
            let Some((soft, hard)) = limit(&limits, title) else { continue };
            let prefix = &self.options.prefix;
            metric.set_field(format!("{prefix}rlimit_{name}_soft"), soft);
            metric.set_field(format!("{prefix}rlimit_{name}_hard"), hard);
            if let Some(used) = used(name) {
                self.set(metric, name, used);
            }
        }
    }

    fn open_files(&self, pid: i32) -> Option<i64> {
        let entries = fs::read_dir(self.proc.path(pid, "fd")).ok()?;
        i64::try_from(entries.count()).ok()
    }

    fn text(&mut self, pid: i32, file: &str) -> Option<String> {
        self.proc.read(pid, file, &mut self.bytes).ok()?;
        Some(String::from_utf8_lossy(&self.bytes).into_owned())
    }
}

fn resident_bytes(stat: &Stat) -> u64 {
    stat.resident_pages.saturating_mul(rustix::param::page_size() as u64)
}
