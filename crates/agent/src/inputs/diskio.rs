//! `diskio`: the traffic of block devices, from `/proc/diskstats`.

use std::collections::BTreeMap;
use std::fs;

use super::udev;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::filter::glob::Globs;
use crate::input::{Accumulator, GatherError, Input, read_text};
use crate::metric::{Kind, Metric};
use crate::paths::HostPaths;

/// Bytes in a sector as the kernel counts them, whatever the device's.
const SECTOR: u64 = 512;

/// Names, serial numbers and the like change when a device is replaced or labelled: one file and more for each device, not
/// to be read at every gather.
const IDENTITY_NS_MAX: i64 = 60 * 1_000_000_000;

/// The input.
#[derive(Debug)]
struct DiskIo {
    /// Names or links below `/dev`, with globs; empty takes all.
    devices: Option<Globs>,
    skip_serial_number: bool,
    device_tags: Vec<String>,
    name_templates: Vec<String>,
    paths: HostPaths,
    last: BTreeMap<String, Counters>,
    last_ns: i64,
    identities: Identities,
}

/// What devices are called, by their kernel names; read anew once it is [`IDENTITY_NS_MAX`] old.
#[derive(Debug, Default)]
struct Identities {
    devices: BTreeMap<String, Identity>,
    read_ns: i64,
}

/// What a device is called and whether it is wanted.
#[derive(Debug)]
struct Identity {
    number: (u32, u32),
    wanted: bool,
    tags: Metric,
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let devices = section.strings("devices")?.filter(|list| !list.is_empty());
    Ok(Box::new(DiskIo {
        devices: devices
            .map(|list| Globs::compile(&list, ""))
            .transpose()
            .map_err(|why| section.bad("devices", why))?,
        skip_serial_number: section.boolean("skip_serial_number")?.unwrap_or(true),
        device_tags: section.strings("device_tags")?.unwrap_or_default(),
        name_templates: section.strings("name_templates")?.unwrap_or_default(),
        paths: context.paths.clone(),
        last: BTreeMap::new(),
        last_ns: 0,
        identities: Identities::default(),
    }))
}

impl Input for DiskIo {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let now_ns = acc.now_ns();
        let elapsed_ms = (now_ns - self.last_ns) as f64 / 1e6;
        let mut present = BTreeMap::new();
        if now_ns - self.identities.read_ns >= IDENTITY_NS_MAX {
            self.identities = Identities { devices: BTreeMap::new(), read_ns: now_ns };
        }
        for stat in parse_diskstats(&read_text(&self.paths.proc("diskstats"))?) {
            // A device that was never used: the loop and ram devices every kernel has.
            if stat.counters == Counters::default() {
                continue;
            }
            let identity = self.identity(&stat);
            if identity.wanted {
                let mut metric = identity.tags.child();
                metric.time_ns = now_ns;
                let metric = counter_fields(metric, &stat.counters);
                acc.add(match self.last.get(&stat.name) {
                    Some(last) => rate_fields(metric, last, &stat.counters, elapsed_ms),
                    None => metric,
                });
            }
            present.insert(stat.name, stat.counters);
        }
        self.last = present;
        self.last_ns = now_ns;
        Ok(())
    }
}

impl DiskIo {
    /// Reads what is not known yet, or belongs to a device that is gone.
    fn identity(&mut self, stat: &DiskStat) -> &Identity {
        let number = (stat.major, stat.minor);
        if self.identities.devices.get(&stat.name).is_none_or(|known| known.number != number) {
            let device = udev::Device::read(&self.paths, stat.major, stat.minor);
            let wanted = self.wants(&stat.name, &device);
            let blank = Metric::new("diskio", 0).kind(Kind::Counter);
            let tags = if wanted { self.tags(blank, &stat.name, &device) } else { blank };
            self.identities.devices.insert(stat.name.clone(), Identity { number, wanted, tags });
        }
        &self.identities.devices[&stat.name]
    }

    fn wants(&self, name: &str, device: &udev::Device) -> bool {
        self.devices.as_ref().is_none_or(|globs| {
            globs.matches(name)
                || device
                    .links
                    .iter()
                    .any(|link| globs.matches(link) || globs.matches(&format!("/dev/{link}")))
        })
    }

    fn tags(&self, metric: Metric, name: &str, device: &udev::Device) -> Metric {
        let templated = self.name_templates.iter().find_map(|template| resolve(template, &device.properties));
        let mut metric = metric.tag("name", templated.unwrap_or_else(|| name.to_owned()));
        if let Ok(wwid) = fs::read_to_string(self.paths.sys(format!("block/{name}/wwid"))) {
            let wwid = wwid.trim();
            if !wwid.is_empty() {
                metric.set_tag("wwid", wwid);
            }
        }
        if !self.skip_serial_number {
            let serial = device.properties.get("ID_SERIAL").map_or("", String::as_str);
            metric.set_tag("serial", if serial.is_empty() { "unknown" } else { serial });
        }
        for tag in &self.device_tags {
            if let Some(value) = device.properties.get(tag) {
                metric.set_tag(tag.clone(), value.clone());
            }
        }
        metric
    }
}

/// Puts udev properties in the place of `$NAME`; `None` unless the device has all of them.
fn resolve(template: &str, properties: &BTreeMap<String, String>) -> Option<String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let name = &rest[at + 1..];
        let (name, used) = match name.strip_prefix('{').and_then(|n| n.split_once('}')) {
            Some((name, _)) => (name, name.len() + 2),
            None => {
                let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
                (&name[..end], end)
            }
        };
        out.push_str(properties.get(name).filter(|value| !value.is_empty())?);
        rest = &rest[at + 1 + used..];
    }
    out.push_str(rest);
    Some(out)
}

/// A line of `/proc/diskstats`.
#[derive(Debug, PartialEq, Eq)]
struct DiskStat {
    major: u32,
    minor: u32,
    name: String,
    counters: Counters,
}

/// Since boot; times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counters {
    reads: u64,
    merged_reads: u64,
    sectors_read: u64,
    read_time: u64,
    writes: u64,
    merged_writes: u64,
    sectors_written: u64,
    write_time: u64,
    in_progress: u64,
    io_time: u64,
    weighted_io_time: u64,
}

fn parse_diskstats(text: &str) -> Vec<DiskStat> {
    let parse = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (major, minor, name) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?);
        let mut next = || words.next()?.parse::<u64>().ok();
        let counters = Counters {
            reads: next()?,
            merged_reads: next()?,
            sectors_read: next()?,
            read_time: next()?,
            writes: next()?,
            merged_writes: next()?,
            sectors_written: next()?,
            write_time: next()?,
            in_progress: next()?,
            io_time: next()?,
            weighted_io_time: next()?,
        };
        Some(DiskStat { major, minor, name: name.to_owned(), counters })
    };
    text.lines().filter_map(parse).collect()
}

fn counter_fields(metric: Metric, c: &Counters) -> Metric {
    metric
        .field("reads", c.reads)
        .field("writes", c.writes)
        .field("read_bytes", c.sectors_read * SECTOR)
        .field("write_bytes", c.sectors_written * SECTOR)
        .field("read_time", c.read_time)
        .field("write_time", c.write_time)
        .field("io_time", c.io_time)
        .field("weighted_io_time", c.weighted_io_time)
        .field("iops_in_progress", c.in_progress)
        .field("merged_reads", c.merged_reads)
        .field("merged_writes", c.merged_writes)
}

/// What follows from two readings; nothing if a counter wrapped or the device was replaced.
fn rate_fields(metric: Metric, last: &Counters, now: &Counters, elapsed_ms: f64) -> Metric {
    let deltas = (|| {
        let operations = (now.reads + now.writes).checked_sub(last.reads + last.writes)?;
        let busy = (now.read_time + now.write_time).checked_sub(last.read_time + last.write_time)?;
        let io = now.io_time.checked_sub(last.io_time)?;
        Some((operations as f64, busy as f64, io as f64))
    })();
    let Some((operations, busy, io)) = deltas.filter(|_| elapsed_ms > 0.0) else { return metric };
    let metric = if operations > 0.0 {
        metric.field("io_await", busy / operations).field("io_svctm", io / operations)
    } else {
        metric
    };
    metric.field("io_util", 100.0 * io / elapsed_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use skywatch_model::FieldValue::{Float, Unsigned};

    const DISKSTATS: &str = "\
   8       0 sda 100 5 2048 300 200 6 4096 500 1 700 900 0 0 0 0 3 4
   8       1 sda1 0 0 0 0 0 0 0 0 0 0 0
   7       0 loop0 1 0 2
";

    #[test]
    fn lines_of_any_kernel_and_no_others() {
        let stats = parse_diskstats(DISKSTATS);
        assert_eq!(stats.len(), 2, "loop0 is cut short");
        assert_eq!((stats[0].major, stats[0].minor, stats[0].name.as_str()), (8, 0, "sda"));
        let m = counter_fields(Metric::new("diskio", 0), &stats[0].counters);
        assert_eq!(m.field_value("read_bytes"), Some(&Unsigned(2048 * 512)));
        assert_eq!(m.field_value("write_time"), Some(&Unsigned(500)));
        assert_eq!(m.field_value("weighted_io_time"), Some(&Unsigned(900)));
        assert_eq!(m.field_value("iops_in_progress"), Some(&Unsigned(1)));
        assert_eq!(m.fields().len(), 11);
    }

    #[test]
    fn rates_need_operations_and_no_wrap() {
        let last = Counters { reads: 10, read_time: 100, io_time: 50, ..Counters::default() };
        let now = Counters { reads: 14, writes: 6, read_time: 160, write_time: 40, io_time: 150, ..last };
        let m = rate_fields(Metric::new("diskio", 0), &last, &now, 1000.0);
        assert_eq!(m.field_value("io_await"), Some(&Float(10.0)));
        assert_eq!(m.field_value("io_svctm"), Some(&Float(10.0)));
        assert_eq!(m.field_value("io_util"), Some(&Float(10.0)));
        let idle = rate_fields(Metric::new("diskio", 0), &last, &last, 1000.0);
        assert_eq!(idle.fields().len(), 1, "only io_util");
        assert!(rate_fields(Metric::new("diskio", 0), &now, &last, 1000.0).fields().is_empty());
    }

    #[test]
    fn templates_need_every_property() {
        let properties =
            BTreeMap::from([("VG".to_owned(), "vg0".to_owned()), ("LV".to_owned(), "root".to_owned())]);
        assert_eq!(resolve("$VG/${LV}!", &properties).as_deref(), Some("vg0/root!"));
        assert_eq!(resolve("$VG/$X", &properties), None);
    }

    #[test]
    fn devices_match_by_name_or_link() {
        let mut section = crate::config::section_for_tests("devices = ['sd*', 'disk/by-label/data']");
        let globs = section.strings("devices").expect("list").map(|l| Globs::compile(&l, "").expect("valid"));
        let io = DiskIo {
            devices: globs,
            skip_serial_number: false,
            device_tags: vec!["ID_FS_TYPE".to_owned()],
            name_templates: vec!["$ID_FS_LABEL".to_owned()],
            paths: HostPaths::from_env(&|_| Some("/nonexistent".to_owned())),
            last: BTreeMap::new(),
            last_ns: 0,
            identities: Identities::default(),
        };
        let device = udev::Device {
            links: vec!["disk/by-label/data".to_owned()],
            properties: BTreeMap::from([
                ("ID_FS_LABEL".to_owned(), "data".to_owned()),
                ("ID_FS_TYPE".to_owned(), "xfs".to_owned()),
            ]),
        };
        assert!(io.wants("sda", &udev::Device::default()));
        assert!(io.wants("vdb", &device));
        assert!(!io.wants("vdb", &udev::Device::default()));
        let m = io.tags(Metric::new("diskio", 0), "vdb", &device);
        let tags: Vec<_> = m.tags().iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(tags, ["ID_FS_TYPE=xfs", "name=data", "serial=unknown"]);
    }
}
