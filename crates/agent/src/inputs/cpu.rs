//! `cpu`: how the CPUs spend their time, in percent since the last gather and, if asked for, in
//! seconds since boot.

use std::collections::BTreeMap;

use super::proc_stat::{CpuTimes, cpu_times};
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input, read_text};
use crate::metric::{Kind, Metric};
use crate::paths::HostPaths;

/// The input.
#[derive(Debug)]
struct Cpu {
    percpu: bool,
    totalcpu: bool,
    collect_cpu_time: bool,
    report_active: bool,
    core_tags: bool,
    paths: HostPaths,
    last: BTreeMap<String, CpuTimes>,
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    Ok(Box::new(Cpu {
        percpu: section.boolean("percpu")?.unwrap_or(true),
        totalcpu: section.boolean("totalcpu")?.unwrap_or(true),
        collect_cpu_time: section.boolean("collect_cpu_time")?.unwrap_or(false),
        report_active: section.boolean("report_active")?.unwrap_or(false),
        core_tags: section.boolean("core_tags")?.unwrap_or(false),
        paths: context.paths.clone(),
        last: BTreeMap::new(),
    }))
}

impl Input for Cpu {
    fn is_delta(&self) -> bool {
        true
    }

    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let path = self.paths.proc("stat");
        let times =
            cpu_times(&read_text(&path)?).map_err(|reason| GatherError::Malformed { path, reason })?;
        let cores =
            if self.core_tags { cores(&read_text(&self.paths.proc("cpuinfo"))?) } else { BTreeMap::new() };
        let mut present = BTreeMap::new();
        let mut result = Ok(());
        for (name, now) in times {
            let wanted = if name == "cpu-total" { self.totalcpu } else { self.percpu };
            if wanted && result.is_ok() {
                result = self.add(acc, &name, &now, cores.get(&name));
            }
            present.insert(name, now);
        }
        // Also after an error: the next gather compares with this one, so that a counter that
        // went back spoils one interval and no more.
        self.last = present;
        result
    }
}

impl Cpu {
    fn add(
        &self,
        acc: &mut Accumulator,
        name: &str,
        now: &CpuTimes,
        core: Option<&Core>,
    ) -> Result<(), GatherError> {
        let metric = |kind| {
            let mut metric = acc.metric("cpu").kind(kind).tag("cpu", name);
            if let Some(core) = core {
                metric.set_tag("core_id", core.id.clone());
                metric.set_tag("physical_id", core.package.clone());
            }
            metric
        };
        let usage = match self.last.get(name) {
            None => Ok(None),
            Some(last) => usage_fields(metric(Kind::Gauge), last, now, self.report_active),
        };
        if self.collect_cpu_time {
            let times = time_fields(metric(Kind::Counter), now, self.report_active);
            acc.add(times);
        }
        usage?.into_iter().for_each(|metric| acc.add(metric));
        Ok(())
    }
}

fn time_fields(metric: Metric, now: &CpuTimes, active: bool) -> Metric {
    let metric = metric
        .field("time_user", now.user)
        .field("time_system", now.system)
        .field("time_idle", now.idle)
        .field("time_nice", now.nice)
        .field("time_iowait", now.iowait)
        .field("time_irq", now.irq)
        .field("time_softirq", now.softirq)
        .field("time_steal", now.steal)
        .field("time_guest", now.guest)
        .field("time_guest_nice", now.guest_nice);
    if active { metric.field("time_active", now.active()) } else { metric }
}

/// Percentages of the time between two readings; `None` where no time has passed.
fn usage_fields(
    metric: Metric,
    last: &CpuTimes,
    now: &CpuTimes,
    active: bool,
) -> Result<Option<Metric>, GatherError> {
    let total = now.total() - last.total();
    if total < 0.0 {
        let message = "the CPUs' total time is less than at the last reading";
        return Err(GatherError::Inconsistent(message.to_owned()));
    }
    if total == 0.0 {
        return Ok(None);
    }
    let percent = |part: fn(&CpuTimes) -> f64| 100.0 * (part(now) - part(last)) / total;
    let metric = metric
        .field("usage_user", percent(|t| t.user - t.guest))
        .field("usage_system", percent(|t| t.system))
        .field("usage_idle", percent(|t| t.idle))
        .field("usage_nice", percent(|t| t.nice - t.guest_nice))
        .field("usage_iowait", percent(|t| t.iowait))
        .field("usage_irq", percent(|t| t.irq))
        .field("usage_softirq", percent(|t| t.softirq))
        .field("usage_steal", percent(|t| t.steal))
        .field("usage_guest", percent(|t| t.guest))
        .field("usage_guest_nice", percent(|t| t.guest_nice));
    Ok(Some(if active { metric.field("usage_active", percent(CpuTimes::active)) } else { metric }))
}

/// Where a CPU sits.
#[derive(Debug, Default, PartialEq, Eq)]
struct Core {
    id: String,
    package: String,
}

/// The cores of `/proc/cpuinfo`, by the name `/proc/stat` gives the CPU.
fn cores(cpuinfo: &str) -> BTreeMap<String, Core> {
    let mut cores = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in cpuinfo.lines() {
        let Some((key, value)) = line.split_once(':').map(|(k, v)| (k.trim(), v.trim())) else { continue };
        if key == "processor" {
            current = Some(format!("cpu{value}"));
        }
        let Some(name) = &current else { continue };
        let core: &mut Core = cores.entry(name.clone()).or_default();
        match key {
            "core id" => value.clone_into(&mut core.id),
            "physical id" => value.clone_into(&mut core.package),
            _ => {}
        }
    }
    cores
}

#[cfg(test)]
mod tests {
    use super::*;
    use skywatch_model::FieldValue;

    fn times(user: f64, idle: f64) -> CpuTimes {
        CpuTimes { user, idle, ..CpuTimes::default() }
    }

    fn float(metric: &Metric, key: &str) -> f64 {
        match metric.field_value(key) {
            Some(FieldValue::Float(value)) => *value,
            other => panic!("{key} is {other:?}"),
        }
    }

    #[test]
    fn usage_is_the_share_of_the_interval_without_guests_twice() {
        let last = CpuTimes { user: 10.0, guest: 4.0, nice: 1.0, idle: 85.0, ..CpuTimes::default() };
        let now = CpuTimes {
            user: 16.0,
            guest: 8.0,
            nice: 2.0,
            guest_nice: 0.5,
            idle: 88.0,
            ..CpuTimes::default()
        };
        let m =
            usage_fields(Metric::new("cpu", 0), &last, &now, true).expect("forward").expect("time passed");
        assert_eq!(float(&m, "usage_user"), 20.0);
        assert_eq!(float(&m, "usage_guest"), 40.0);
        assert_eq!(float(&m, "usage_nice"), 5.0);
        assert_eq!(float(&m, "usage_idle"), 30.0);
        assert_eq!(float(&m, "usage_active"), 70.0);
        assert_eq!(m.fields().len(), 11);
    }

    #[test]
    fn no_time_gives_no_point_and_time_backwards_an_error() {
        let m = Metric::new("cpu", 0);
        assert!(
            usage_fields(m.clone(), &times(1.0, 1.0), &times(1.0, 1.0), false).expect("forward").is_none()
        );
        assert!(usage_fields(m, &times(2.0, 1.0), &times(1.0, 1.0), false).is_err());
    }

    #[test]
    fn a_gather_needs_a_first_one_and_recovers_from_a_reset() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let root = dir.path().display().to_string();
        let paths = HostPaths::from_env(&|name| (name == "HOST_PROC").then(|| root.clone()));
        let mut section = crate::config::section_for_tests("collect_cpu_time = true\npercpu = false");
        let mut cpu = build(&mut section, &Context::new(paths)).expect("valid");
        let mut gather = |stat: &str| {
            std::fs::write(dir.path().join("stat"), stat).expect("written");
            let mut acc = Accumulator::new(0);
            let result = cpu.gather(&mut acc);
            (result.is_ok(), acc.into_parts().0)
        };
        let (ok, first) = gather("cpu  100 0 0 900\ncpu0 100 0 0 900\n");
        assert!(ok);
        assert_eq!(first.len(), 1, "only the counters");
        assert_eq!(float(&first[0], "time_user"), 1.0);
        let (_, second) = gather("cpu  150 0 0 950\ncpu0 150 0 0 950\n");
        assert_eq!(second.len(), 2);
        assert_eq!(float(&second[1], "usage_user"), 50.0);
        assert_eq!(second[1].tag_value("cpu"), Some("cpu-total"));
        assert!(!gather("cpu  10 0 0 10\n").0, "backwards");
        assert!(gather("cpu  20 0 0 20\n").0, "compared with the reset reading");
    }

    #[test]
    fn cores_of_cpuinfo() {
        let text = "processor\t: 0\nphysical id\t: 0\ncore id\t\t: 3\n\nprocessor\t: 1\nphysical id\t: 1\ncore id\t\t: 2\n";
        let cores = cores(text);
        assert_eq!(cores["cpu0"], Core { id: "3".to_owned(), package: "0".to_owned() });
        assert_eq!(cores["cpu1"], Core { id: "2".to_owned(), package: "1".to_owned() });
    }
}
