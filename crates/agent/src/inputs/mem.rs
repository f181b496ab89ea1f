//! `mem`: the host's memory, from `/proc/meminfo`.

use std::collections::BTreeMap;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input, read_text};
use crate::metric::{Kind, Metric};
use crate::paths::HostPaths;

/// The input.
#[derive(Debug)]
struct Mem {
    extended: bool,
    paths: HostPaths,
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let extended = section.boolean("collect_extended")?.unwrap_or(false);
    Ok(Box::new(Mem { extended, paths: context.paths.clone() }))
}

impl Input for Mem {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let path = self.paths.proc("meminfo");
        let meminfo = MemInfo::parse(&read_text(&path)?);
        if meminfo.bytes("MemTotal") == 0 {
            return Err(GatherError::Malformed { path, reason: "MemTotal is missing".to_owned() });
        }
        let metric = fields(acc.metric("mem").kind(Kind::Gauge), &meminfo, self.extended);
        acc.add(metric);
        Ok(())
    }
}

/// `/proc/meminfo`, in bytes (counts where the file has no unit).
#[derive(Debug)]
pub(super) struct MemInfo(BTreeMap<String, u64>);

impl MemInfo {
    pub(super) fn parse(text: &str) -> Self {
        let entry = |line: &str| {
            let (key, rest) = line.split_once(':')?;
            let mut words = rest.split_ascii_whitespace();
            let number: u64 = words.next()?.parse().ok()?;
            let scale = if words.next() == Some("kB") { 1024 } else { 1 };
            Some((key.to_owned(), number.saturating_mul(scale)))
        };
        Self(text.lines().filter_map(entry).collect())
    }

    /// Zero where the kernel does not tell.
    pub(super) fn bytes(&self, key: &str) -> u64 {
        self.0.get(key).copied().unwrap_or(0)
    }

    /// What can be had without swapping. Kernels before 3.14 do not tell; then what is free or cached.
    fn available(&self) -> u64 {
        self.0
            .get("MemAvailable")
            .copied()
            .unwrap_or_else(|| self.bytes("MemFree") + self.bytes("Buffers") + self.bytes("Cached"))
    }
}

/// Plain copies: field, key of the file.
const COPIES: [(&str, &str); 26] = [
    ("active", "Active"),
    ("inactive", "Inactive"),
    ("buffered", "Buffers"),
    ("free", "MemFree"),
    ("commit_limit", "CommitLimit"),
    ("committed_as", "Committed_AS"),
    ("dirty", "Dirty"),
    ("high_free", "HighFree"),
    ("high_total", "HighTotal"),
    ("huge_pages_free", "HugePages_Free"),
    ("huge_pages_total", "HugePages_Total"),
    ("huge_page_size", "Hugepagesize"),
    ("low_free", "LowFree"),
    ("low_total", "LowTotal"),
    ("mapped", "Mapped"),
    ("page_tables", "PageTables"),
    ("shared", "Shmem"),
    ("slab", "Slab"),
    ("sreclaimable", "SReclaimable"),
    ("sunreclaim", "SUnreclaim"),
    ("swap_cached", "SwapCached"),
    ("swap_free", "SwapFree"),
    ("swap_total", "SwapTotal"),
    ("vmalloc_chunk", "VmallocChunk"),
    ("vmalloc_total", "VmallocTotal"),
    ("vmalloc_used", "VmallocUsed"),
];

/// Copies with `collect_extended`.
const EXTENDED: [(&str, &str); 6] = [
    ("active_file", "Active(file)"),
    ("inactive_file", "Inactive(file)"),
    ("active_anon", "Active(anon)"),
    ("inactive_anon", "Inactive(anon)"),
    ("unevictable", "Unevictable"),
    ("percpu", "Percpu"),
];

fn fields(metric: Metric, info: &MemInfo, extended: bool) -> Metric {
    let (total, available) = (info.bytes("MemTotal"), info.available());
    let used = total.saturating_sub(available);
    let percent = |part: u64| 100.0 * part as f64 / total as f64;
    let mut metric = metric
        .field("total", total)
        .field("available", available)
        .field("used", used)
        .field("used_percent", percent(used))
        .field("available_percent", percent(available))
        .field("cached", info.bytes("Cached") + info.bytes("SReclaimable"))
        .field("write_back", info.bytes("Writeback"))
        .field("write_back_tmp", info.bytes("WritebackTmp"));
    let further: &[_] = if extended { &EXTENDED } else { &[] };
    for (field, key) in COPIES.iter().chain(further) {
        metric.set_field(*field, info.bytes(key));
    }
    metric
}

#[cfg(test)]
mod tests {
    use super::*;
    use skywatch_model::FieldValue;

    const MEMINFO: &str = "\
MemTotal:       24683912 kB
MemFree:        20000000 kB
MemAvailable:   23683912 kB
Buffers:           10000 kB
Cached:           300000 kB
SReclaimable:      20000 kB
Shmem:              1234 kB
Percpu:              512 kB
HugePages_Total:       8
Hugepagesize:       2048 kB
";

    #[test]
    fn bytes_counts_and_shares() {
        let m = fields(Metric::new("mem", 0), &MemInfo::parse(MEMINFO), false);
        let value = |key: &str| m.field_value(key).cloned();
        assert_eq!(value("total"), Some(FieldValue::Unsigned(24_683_912 * 1024)));
        assert_eq!(value("used"), Some(FieldValue::Unsigned(1_000_000 * 1024)));
        assert_eq!(value("cached"), Some(FieldValue::Unsigned(320_000 * 1024)));
        assert_eq!(value("huge_pages_total"), Some(FieldValue::Unsigned(8)));
        assert_eq!(value("huge_page_size"), Some(FieldValue::Unsigned(2048 * 1024)));
        assert_eq!(value("high_total"), Some(FieldValue::Unsigned(0)), "absent keys are 0");
        let Some(FieldValue::Float(percent)) = value("used_percent") else { panic!("a float") };
        assert!((percent - 4.0512).abs() < 1e-4);
        assert_eq!(value("percpu"), None);
        assert_eq!(m.fields().len(), 34);
        let m = fields(Metric::new("mem", 0), &MemInfo::parse(MEMINFO), true);
        assert_eq!(m.field_value("percpu"), Some(&FieldValue::Unsigned(512 * 1024)));
        assert_eq!(m.fields().len(), 40);
    }

    #[test]
    fn old_kernels_do_not_tell_what_is_available() {
        let info = MemInfo::parse("MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 5 kB\nCached: 20 kB\n");
        assert_eq!(info.available(), 35 * 1024);
    }
}
