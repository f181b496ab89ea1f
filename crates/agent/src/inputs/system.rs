//! `system`: load, uptime, CPUs, users; on request what the machine and its system are.

use std::collections::BTreeSet;
use std::fs;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input, read_text};
use crate::metric::{Kind, Metric};
use crate::paths::HostPaths;

/// What may be included.
const GROUPS: [&str; 7] = ["legacy", "cpus", "dmi", "load", "os", "uptime", "users"];

/// Files of `/sys/class/dmi/id` and their fields.
const DMI: [(&str, &str); 20] = [
    ("bios_vendor", "bios_vendor"),
    ("bios_version", "bios_version"),
    ("bios_date", "bios_date"),
    ("board_vendor", "board_vendor"),
    ("board_product", "board_name"),
    ("board_version", "board_version"),
    ("board_serial", "board_serial"),
    ("board_asset_tag", "board_asset_tag"),
    ("chassis_vendor", "chassis_vendor"),
    ("chassis_type_code", "chassis_type"),
    ("chassis_version", "chassis_version"),
    ("chassis_serial", "chassis_serial"),
    ("chassis_asset_tag", "chassis_asset_tag"),
    ("product_vendor", "sys_vendor"),
    ("product_name", "product_name"),
    ("product_family", "product_family"),
    ("product_version", "product_version"),
    ("product_serial", "product_serial"),
    ("product_sku", "product_sku"),
    ("product_uuid", "product_uuid"),
];

/// The input.
#[derive(Debug)]
struct System {
    include: BTreeSet<String>,
    paths: HostPaths,
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let include = section.strings("include")?.filter(|groups| !groups.is_empty());
    let include = include.unwrap_or_else(|| vec!["legacy".to_owned()]);
    if let Some(unknown) = include.iter().find(|name| !GROUPS.contains(&name.as_str())) {
        return Err(section.bad("include", format!("{unknown:?} is none of {}", GROUPS.join(", "))));
    }
    for key in ["os_cache_ttl", "dmi_cache_ttl"] {
        section.without_effect(key, "these are small files, read each time");
    }
    Ok(Box::new(System { include: include.into_iter().collect(), paths: context.paths.clone() }))
}

impl Input for System {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        if self.include.contains("legacy") {
            self.legacy(acc)?;
        }
        let mut metric = acc.metric("system");
        for group in self.include.iter().filter(|group| *group != "legacy") {
            self.group(group, &mut metric)?;
        }
        acc.add(metric);
        Ok(())
    }
}

impl System {
    /// Three points: gauges, the uptime, and the uptime for people.
    fn legacy(&self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let mut gauge = acc.metric("system").kind(Kind::Gauge);
        self.load(&mut gauge)?;
        self.users(&mut gauge);
        self.cpus(&mut gauge)?;
        acc.add(gauge);
        let uptime = self.uptime()?;
        let counter = acc.metric("system").kind(Kind::Counter).field("uptime", uptime);
        acc.add(counter);
        let text = acc.metric("system").field("uptime_format", format_uptime(uptime));
        acc.add(text);
        Ok(())
    }

    fn group(&self, group: &str, metric: &mut Metric) -> Result<(), GatherError> {
        match group {
            "cpus" => self.cpus(metric)?,
            "dmi" => self.dmi(metric),
            "load" => self.load(metric)?,
            "os" => self.os(metric),
            "users" => self.users(metric),
            _ => metric.set_field("uptime", self.uptime()?),
        }
        Ok(())
    }

    fn load(&self, metric: &mut Metric) -> Result<(), GatherError> {
        let path = self.paths.proc("loadavg");
        let text = read_text(&path)?;
        let averages: Vec<f64> = text.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
        let [load1, load5, load15, ..] = averages[..] else {
            return Err(GatherError::Malformed { path, reason: format!("no three averages: {text:?}") });
        };
        for (field, value) in [("load1", load1), ("load5", load5), ("load15", load15)] {
            metric.set_field(field, value);
        }
        Ok(())
    }

    fn cpus(&self, metric: &mut Metric) -> Result<(), GatherError> {
        let cpuinfo = read_text(&self.paths.proc("cpuinfo"))?;
        let logical = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
        let physical = self.core_count().unwrap_or_else(|| physical_cores(&cpuinfo));
        metric.set_field("n_cpus", logical as i64);
        metric.set_field("n_physical_cpus", physical as i64);
        Ok(())
    }

    /// Cores by the sets of CPUs that share one; `None` where the kernel does not tell.
    fn core_count(&self) -> Option<usize> {
        let cpus = fs::read_dir(self.paths.sys("devices/system/cpu")).ok()?;
        let siblings: BTreeSet<String> = cpus
            .filter_map(|cpu| {
                let topology = cpu.ok()?.path().join("topology");
                let read = |name| fs::read_to_string(topology.join(name)).ok();
                read("core_cpus_list").or_else(|| read("thread_siblings_list"))
            })
            .collect();
        Some(siblings.len()).filter(|count| *count > 0)
    }

    /// Left out where nobody may read who is logged in.
    fn users(&self, metric: &mut Metric) {
        let utmp = fs::read(self.paths.var("run/utmp")).or_else(|_| fs::read(self.paths.run("utmp")));
        if let Ok(utmp) = utmp {
            let users = logged_in(&utmp);
            metric.set_field("n_users", users.len() as i64);
            metric.set_field("n_unique_users", users.iter().collect::<BTreeSet<_>>().len() as i64);
        }
    }

    fn uptime(&self) -> Result<u64, GatherError> {
        let path = self.paths.proc("uptime");
        let text = read_text(&path)?;
        let seconds = text.split_ascii_whitespace().next().and_then(|word| word.parse::<f64>().ok());
        seconds
            .map(|seconds| seconds as u64)
            .ok_or_else(|| GatherError::Malformed { path, reason: format!("no seconds: {text:?}") })
    }

    fn os(&self, metric: &mut Metric) {
        let uname = rustix::system::uname();
        let release = read_text(&self.paths.etc("os-release")).unwrap_or_default();
        let value = |key| os_release(&release, key);
        let platform = value("ID").unwrap_or_default();
        // Debian's point release stands in a file of its own.
        let point_release = (platform == "debian")
            .then(|| fs::read_to_string(self.paths.etc("debian_version")).ok())
            .flatten()
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty());
        let version = point_release.or_else(|| value("VERSION_ID")).unwrap_or_default();
        metric.set_field("os", "linux");
        metric.set_field("arch", uname.machine().to_string_lossy().into_owned());
        metric.set_field("platform_family", platform_family(&platform, value("ID_LIKE").as_deref()));
        metric.set_field("platform", platform);
        metric.set_field("platform_version", version);
        metric.set_field("kernel_version", uname.release().to_string_lossy().into_owned());
    }

    /// Serial numbers are for root only; what cannot be read is left out.
    fn dmi(&self, metric: &mut Metric) {
        for (field, file) in DMI {
            if let Ok(text) = fs::read_to_string(self.paths.sys(format!("class/dmi/id/{file}"))) {
                metric.set_field(field, text.trim());
                if field == "chassis_type_code" {
                    metric.set_field("chassis_type", chassis_type(text.trim()));
                }
            }
        }
    }
}

/// Whose descendant a distribution is: itself if it is one of those others descend from.
fn platform_family(id: &str, like: Option<&str>) -> String {
    const FAMILIES: [&str; 7] = ["alpine", "arch", "debian", "fedora", "gentoo", "rhel", "suse"];
    let mut candidates = [id].into_iter().chain(like.unwrap_or_default().split_ascii_whitespace());
    candidates.find(|name| FAMILIES.contains(name)).unwrap_or(id).to_owned()
}

/// The enclosure as SMBIOS names its types (DSP0134, 7.4.1).
fn chassis_type(code: &str) -> &'static str {
    const TYPES: [&str; 36] = [
        "Other",
        "Unknown",
        "Desktop",
        "Low profile desktop",
        "Pizza box",
        "Mini tower",
        "Tower",
        "Portable",
        "Laptop",
        "Notebook",
        "Hand held",
        "Docking station",
        "All in one",
        "Sub notebook",
        "Space-saving",
        "Lunch box",
        "Main server chassis",
        "Expansion chassis",
        "SubChassis",
        "Bus Expansion chassis",
        "Peripheral chassis",
        "RAID chassis",
        "Rack mount chassis",
        "Sealed-case PC",
        "Multi-system chassis",
        "Compact PCI",
        "Advanced TCA",
        "Blade",
        "Blade enclosure",
        "Tablet",
        "Convertible",
        "Detachable",
        "IoT gateway",
        "Embedded PC",
        "Mini PC",
        "Stick PC",
    ];
    let index = code.parse::<usize>().ok().and_then(|code| code.checked_sub(1));
    index.and_then(|index| TYPES.get(index)).copied().unwrap_or("Unknown")
}

/// Cores counted as pairs of package and core number.
fn physical_cores(cpuinfo: &str) -> usize {
    let mut cores = BTreeSet::new();
    let (mut package, mut processors) = (String::new(), 0);
    for (key, value) in cpuinfo.lines().filter_map(|line| line.split_once(':')) {
        match key.trim() {
            "processor" => processors += 1,
            "physical id" => value.trim().clone_into(&mut package),
            "core id" => {
                cores.insert((package.clone(), value.trim().to_owned()));
            }
            _ => {}
        }
    }
    if cores.is_empty() { processors } else { cores.len() }
}

/// Names of the user sessions in a `utmp` file: records of 384 bytes, the type at 0 (7 is a user's
/// session), the name in 32 bytes at 44.
fn logged_in(utmp: &[u8]) -> Vec<String> {
    const RECORD: usize = 384;
    const USER_PROCESS: i16 = 7;
    utmp.chunks_exact(RECORD)
        .filter(|record| i16::from_ne_bytes([record[0], record[1]]) == USER_PROCESS)
        .map(|record| {
            let name = &record[44..76];
            let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
            String::from_utf8_lossy(&name[..end]).into_owned()
        })
        .collect()
}

fn os_release(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

/// As in `3 days,  4:05`.
fn format_uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let clock = format!("{hours:2}:{minutes:02}");
    match days {
        0 => clock,
        1 => format!("1 day, {clock}"),
        days => format!("{days} days, {clock}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skywatch_model::FieldValue;

    #[test]
    fn uptime_for_people() {
        for (seconds, want) in [
            (59, " 0:00"),
            (3 * 86_400 + 4 * 3600 + 5 * 60, "3 days,  4:05"),
            (86_400 + 12 * 3600, "1 day, 12:00"),
            (45_296, "12:34"),
        ] {
            assert_eq!(format_uptime(seconds), want);
        }
    }

    #[test]
    fn users_are_the_user_records_of_utmp() {
        let record = |kind: i16, user: &str| {
            let mut bytes = vec![0_u8; 384];
            bytes[..2].copy_from_slice(&kind.to_ne_bytes());
            bytes[44..44 + user.len()].copy_from_slice(user.as_bytes());
            bytes
        };
        let utmp =
            [record(2, "reboot"), record(7, "ann"), record(7, "bob"), record(7, "ann"), record(8, "eve")]
                .concat();
        assert_eq!(logged_in(&utmp), ["ann", "bob", "ann"]);
        assert!(logged_in(&utmp[..100]).is_empty(), "a torn record");
    }

    #[test]
    fn cores_without_topology_files() {
        let hyperthreads =
            "processor: 0\nphysical id: 0\ncore id: 0\nprocessor: 1\nphysical id: 0\ncore id: 0\n";
        assert_eq!(physical_cores(hyperthreads), 1);
        assert_eq!(physical_cores("processor: 0\nprocessor: 1\n"), 2);
    }

    #[test]
    fn values_of_os_release() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_ID=\"12\"\n";
        assert_eq!(os_release(text, "VERSION_ID").as_deref(), Some("12"));
        assert_eq!(os_release(text, "ID").as_deref(), Some("debian"));
        assert_eq!(os_release(text, "ID_LIKE"), None);
    }

    #[test]
    fn families_and_enclosures() {
        for (id, like, family) in [
            ("debian", None, "debian"),
            ("ubuntu", Some("debian"), "debian"),
            ("linuxmint", Some("ubuntu debian"), "debian"),
            ("rhel", Some("fedora"), "rhel"),
            ("rocky", Some("rhel centos fedora"), "rhel"),
            ("opensuse-leap", Some("suse opensuse"), "suse"),
            ("void", None, "void"),
        ] {
            assert_eq!(platform_family(id, like), family, "{id}");
        }
        for (code, name) in [
            ("1", "Other"),
            ("23", "Rack mount chassis"),
            ("36", "Stick PC"),
            ("37", "Unknown"),
            ("x", "Unknown"),
        ] {
            assert_eq!(chassis_type(code), name, "{code}");
        }
    }

    #[test]
    fn this_machine_in_three_points_or_one() {
        let gather = |options: &str| {
            let mut acc = Accumulator::new(0);
            let mut input =
                build(&mut crate::config::section_for_tests(options), &Context::default()).expect("valid");
            input.gather(&mut acc).expect("readable");
            acc.into_parts().0
        };
        let points = gather("");
        assert_eq!(points.len(), 3);
        assert!(matches!(points[0].field_value("load1"), Some(FieldValue::Float(_))));
        assert!(matches!(points[0].field_value("n_cpus"), Some(FieldValue::Integer(n)) if *n > 0));
        assert!(matches!(points[1].field_value("uptime"), Some(FieldValue::Unsigned(n)) if *n > 0));
        let points = gather("include = ['os', 'uptime', 'load']");
        assert_eq!(points.len(), 1);
        assert_eq!(points[0].field_value("os"), Some(&FieldValue::String("linux".into())));
        assert!(points[0].field_value("load1").is_some() && points[0].field_value("uptime").is_some());
    }

    #[test]
    fn unknown_groups_are_refused() {
        let mut section = crate::config::section_for_tests("include = ['network']");
        assert!(build(&mut section, &Context::default()).is_err());
    }
}
