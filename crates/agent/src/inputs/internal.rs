//! `internal`: what the agent and its plugins did, from its own counters.

use std::collections::BTreeMap;

use crate::config::{ConfigError, Section};
use crate::context::{Context, Surroundings};
use crate::input::{Accumulator, GatherError, Input};
use crate::metric::Metric;
use crate::statistics::{Entry, Own, Stat};

/// The `version` tag.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The input.
#[derive(Debug)]
struct Internal {
    surroundings: Surroundings,
    collect_memory: bool,
    per_instance: bool,
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let internal = Internal {
        surroundings: context.surroundings().clone(),
        collect_memory: section.boolean("collect_memstats")?.unwrap_or(true),
        per_instance: section.boolean("per_instance")?.unwrap_or(false),
    };
    if section.boolean("collect_gostats")?.unwrap_or(false) {
        section.warn("collect_gostats", "has no effect: there is no Go runtime to be asked");
    }
    Ok(Box::new(internal))
}

impl Input for Internal {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let statistics = &self.surroundings.shared().statistics;
        let plugins = statistics.plugins();
        let time_ns = acc.now_ns();
        acc.add(agent(&plugins, time_ns));
        for metric in of_plugins(&plugins, self.per_instance, time_ns) {
            acc.add(metric);
        }
        for metric in of_their_own(&statistics.own_all(), time_ns) {
            acc.add(metric);
        }
        if self.collect_memory
            && let Some(metric) = memory(time_ns)
        {
            acc.add(metric);
        }
        Ok(())
    }
}

/// What all plugins did together.
fn agent(plugins: &[Entry], time_ns: i64) -> Metric {
    let sum = |kind: &str, stat: Stat| -> i64 {
        let of_kind = plugins.iter().filter(|one| one.id.kind == kind);
        signed(of_kind.map(|one| one.counters.get(stat)).sum())
    };
    Metric::new("internal_agent", time_ns)
        .tag("version", VERSION)
        .field("metrics_written", sum("outputs", Stat::MetricsWritten))
        .field("metrics_rejected", sum("outputs", Stat::MetricsRejected))
        .field("metrics_dropped", sum("outputs", Stat::MetricsDropped))
        .field("metrics_gathered", sum("inputs", Stat::MetricsGathered))
        .field("gather_errors", sum("inputs", Stat::GatherErrors))
        .field("gather_timeouts", sum("inputs", Stat::GatherTimeouts))
        .field("write_errors", sum("outputs", Stat::WriteErrors))
}

/// How a kind of plugin is told of.
struct Kind {
    measurement: &'static str,
    tag: &'static str,
    stats: &'static [Stat],
    /// The field of the mean time of a gather or a write.
    mean_time: Option<&'static str>,
}

fn kind(name: &str) -> Option<Kind> {
    use Stat::{
        BufferLimit, BufferSize, Errors, GatherErrors, GatherTimeouts, MetricsAdded, MetricsDropped,
        MetricsFiltered, MetricsGathered, MetricsPushed, MetricsRejected, MetricsWritten, PushTimeNs,
        StartupErrors, WriteErrors,
    };
    Some(match name {
        "inputs" => Kind {
            measurement: "internal_gather",
            tag: "input",
            stats: &[MetricsGathered, GatherTimeouts, GatherErrors, StartupErrors, Errors],
            mean_time: Some("gather_time_ns"),
        },
        "outputs" => Kind {
            measurement: "internal_write",
            tag: "output",
            stats: &[
                MetricsAdded,
                MetricsWritten,
                MetricsRejected,
                MetricsDropped,
                MetricsFiltered,
                BufferSize,
                BufferLimit,
                WriteErrors,
                StartupErrors,
                Errors,
            ],
            mean_time: Some("write_time_ns"),
        },
        "processors" => {
            Kind { measurement: "internal_process", tag: "processor", stats: &[Errors], mean_time: None }
        }
        "aggregators" => Kind {
            measurement: "internal_aggregate",
            tag: "aggregator",
            stats: &[MetricsPushed, MetricsFiltered, MetricsDropped, PushTimeNs, Errors],
            mean_time: None,
        },
        _ => return None,
    })
}

/// A metric for each plugin; those of the same name and alias are summed unless each is wanted.
fn of_plugins(plugins: &[Entry], per_instance: bool, time_ns: i64) -> Vec<Metric> {
    let mut groups: BTreeMap<_, Vec<&Entry>> = BTreeMap::new();
    for one in plugins {
        let instance = per_instance.then_some(one.fingerprint);
        groups.entry((one.id.kind, one.id.name, &one.id.alias, instance)).or_default().push(one);
    }
    let told = groups.into_iter().filter_map(|((kind_name, name, alias, instance), members)| {
        let kind = kind(kind_name)?;
        let mut metric = Metric::new(kind.measurement, time_ns).tag("version", VERSION).tag(kind.tag, name);
        if let Some(alias) = alias {
            metric.set_tag("alias", alias.as_str());
        }
        if let Some(instance) = instance {
            metric.set_tag("_id", instance.to_string());
        }
        for stat in kind.stats {
            let sum = members.iter().map(|one| one.counters.get(*stat)).sum();
            metric.set_field(stat.name(), signed(sum));
        }
        if let Some(field) = kind.mean_time {
            metric.set_field(field, mean_time(&members));
        }
        Some(metric)
    });
    told.collect()
}

/// Of those that have a mean.
fn mean_time(members: &[&Entry]) -> i64 {
    let means = members.iter().map(|one| one.counters.mean_time_ns()).filter(|mean| *mean > 0);
    let (sum, count) = means.fold((0_u64, 0_u64), |(sum, count), mean| (sum.saturating_add(mean), count + 1));
    signed(sum.checked_div(count).unwrap_or(0))
}

/// The numbers that plugins keep themselves, joined by measurement and tags.
fn of_their_own(numbers: &[Own], time_ns: i64) -> Vec<Metric> {
    let mut metrics: BTreeMap<_, Metric> = BTreeMap::new();
    for Own { name, tags, field, value } in numbers {
        let metric = metrics.entry((name, tags)).or_insert_with(|| {
            let metric = Metric::new(format!("internal_{name}"), time_ns).tag("version", VERSION);
            tags.iter().fold(metric, |metric, (key, value)| metric.tag(*key, value.as_str()))
        });
        metric.set_field(*field, value.load(std::sync::atomic::Ordering::Relaxed));
    }
    metrics.into_values().collect()
}

/// What the allocator holds, under the names of Go's that are true for it.
#[cfg(target_env = "gnu")]
fn memory(time_ns: i64) -> Option<Metric> {
    // SAFETY: mallinfo2(3) may be called at any time from any thread; it only counts.
    let heap = unsafe { libc::mallinfo2() };
    // Blocks mapped one by one are in no arena.
    let used = (heap.uordblks + heap.hblkhd) as u64;
    let free = heap.fordblks as u64;
    let metric = Metric::new("internal_memstats", time_ns)
        .tag("version", VERSION)
        .field("alloc_bytes", used)
        .field("heap_alloc_bytes", used)
        .field("heap_in_use_bytes", used)
        .field("heap_idle_bytes", free)
        .field("heap_sys_bytes", used + free);
    Some(match resident_bytes() {
        Some(resident) => metric.field("sys_bytes", resident),
        None => metric,
    })
}

/// Other C libraries do not tell.
#[cfg(not(target_env = "gnu"))]
fn memory(time_ns: i64) -> Option<Metric> {
    let metric = Metric::new("internal_memstats", time_ns).tag("version", VERSION);
    Some(metric.field("sys_bytes", resident_bytes()?))
}

/// Memory of this process that is in RAM. The process itself, so never that of a host mounted elsewhere.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(kib.trim().trim_end_matches("kB").trim_end().parse::<u64>().ok()? * 1024)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Fingerprint, PluginId, section_for_tests};
    use crate::context::Shared;

    fn id(kind: &'static str, name: &'static str, alias: Option<&str>) -> PluginId {
        PluginId { kind, name, alias: alias.map(str::to_owned) }
    }

    fn lines(options: &str, shared: &Shared) -> Vec<String> {
        let context = Context::default();
        context.surroundings().join(shared);
        let mut input = build(&mut section_for_tests(options), &context).expect("valid");
        let mut acc = Accumulator::new(7);
        input.gather(&mut acc).expect("gathered");
        let text = |metric: &Metric| {
            let mut text = String::new();
            crate::line::append(&mut text, metric, true, Default::default()).expect("a line");
            text.replace(&format!("version={VERSION}"), "version=V").trim_end().to_owned()
        };
        acc.into_parts().0.iter().map(text).collect()
    }

    fn shared() -> Shared {
        let shared = Shared::default();
        let register =
            |id: PluginId, table: &str| shared.statistics.register(&id, Fingerprint::of_text(table));
        let cpu = register(id("inputs", "cpu", None), "a");
        cpu.add(Stat::MetricsGathered, 40);
        cpu.took(Duration::from_nanos(50));
        let second = register(id("inputs", "cpu", None), "b");
        second.add(Stat::MetricsGathered, 2);
        second.add(Stat::GatherErrors, 1);
        second.add(Stat::GatherTimeouts, 3);
        let out = register(id("outputs", "influxdb", Some("far")), "c");
        for (stat, count) in [(Stat::MetricsAdded, 42), (Stat::MetricsWritten, 30), (Stat::MetricsDropped, 5)]
        {
            out.add(stat, count);
        }
        out.set(Stat::BufferSize, 7);
        out.set(Stat::BufferLimit, 10_000);
        register(id("processors", "rename", None), "d").add(Stat::Errors, 1);
        register(id("aggregators", "minmax", None), "e").add(Stat::MetricsPushed, 9);
        let own = shared.statistics.own("statsd", vec![("address", "x".to_owned())], "tcp_bytes");
        own.store(5, std::sync::atomic::Ordering::Relaxed);
        shared
    }

    #[test]
    fn names_tags_fields_and_types_are_the_originals() {
        // The same order as the original's documentation gives the measurements is not promised; this one is stable.
        assert_eq!(
            lines("collect_memstats = false", &shared()),
            [
                "internal_agent,version=V metrics_written=30i,metrics_rejected=0i,metrics_dropped=5i,\
                 metrics_gathered=42i,gather_errors=1i,gather_timeouts=3i,write_errors=0i 7",
                "internal_aggregate,aggregator=minmax,version=V metrics_pushed=9i,metrics_filtered=0i,\
                 metrics_dropped=0i,push_time_ns=0i,errors=0i 7",
                "internal_gather,input=cpu,version=V metrics_gathered=42i,gather_timeouts=3i,gather_errors=1i,\
                 startup_errors=0i,errors=0i,gather_time_ns=50i 7",
                "internal_write,alias=far,output=influxdb,version=V metrics_added=42i,metrics_written=30i,\
                 metrics_rejected=0i,metrics_dropped=5i,metrics_filtered=0i,buffer_size=7i,buffer_limit=10000i,\
                 write_errors=0i,startup_errors=0i,errors=0i,write_time_ns=0i 7",
                "internal_process,processor=rename,version=V errors=1i 7",
                "internal_statsd,address=x,version=V tcp_bytes=5i 7",
            ]
        );
    }

    #[test]
    fn each_instance_is_told_of_where_that_is_wanted() {
        let lines = lines("collect_memstats = false\nper_instance = true", &shared());
        let gathers: Vec<_> = lines.iter().filter(|line| line.starts_with("internal_gather,_id=")).collect();
        assert_eq!(gathers.len(), 2, "{lines:?}");
    }

    #[test]
    fn memory_is_unsigned_and_plausible() {
        let metric = memory(0).expect("Linux tells");
        let value = |key: &str| match metric.field_value(key) {
            Some(skywatch_model::FieldValue::Unsigned(value)) => *value,
            other => panic!("{key}: {other:?}"),
        };
        assert!(value("alloc_bytes") > 1000 && value("sys_bytes") > value("alloc_bytes") / 2);
        assert_eq!(value("heap_sys_bytes"), value("heap_in_use_bytes") + value("heap_idle_bytes"));
    }
}
