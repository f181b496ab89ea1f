//! `kernel`: interrupts, context switches, forks, entropy; on request page merging (`ksm`) and
//! pressure stall information (`psi`).

use std::fs;

use super::proc_stat::{number, numbers};
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input, read_text};
use crate::metric::{Kind, Metric};
use crate::paths::HostPaths;

/// Files of `/sys/kernel/mm/ksm`, each a field with `ksm_` before it.
const KSM: [&str; 15] = [
    "full_scans",
    "max_page_sharing",
    "merge_across_nodes",
    "pages_shared",
    "pages_sharing",
    "pages_to_scan",
    "pages_unshared",
    "pages_volatile",
    "run",
    "sleep_millisecs",
    "stable_node_chains",
    "stable_node_chains_prune_millisecs",
    "stable_node_dups",
    "use_zero_pages",
    "general_profit",
];

/// The input.
#[derive(Debug)]
struct Kernel {
    ksm: bool,
    psi: bool,
    paths: HostPaths,
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let collect = section.strings("collect")?.unwrap_or_default();
    if let Some(unknown) = collect.iter().find(|name| !matches!(name.as_str(), "ksm" | "psi")) {
        return Err(section.bad("collect", format!("{unknown:?} is neither \"ksm\" nor \"psi\"")));
    }
    let has = |name: &str| collect.iter().any(|c| c == name);
    Ok(Box::new(Kernel { ksm: has("ksm"), psi: has("psi"), paths: context.paths.clone() }))
}

impl Input for Kernel {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let stat = read_text(&self.paths.proc("stat"))?;
        let mut metric = stat_fields(acc.metric("kernel").kind(Kind::Counter), &stat);
        match self.entropy() {
            Ok(bits) => metric.set_field("entropy_avail", bits),
            Err(error) => acc.report(error),
        }
        if self.ksm {
            self.ksm(acc, &mut metric);
        }
        acc.add(metric);
        if self.psi {
            self.psi(acc);
        }
        Ok(())
    }
}

impl Kernel {
    fn entropy(&self) -> Result<i64, GatherError> {
        let path = self.paths.proc("sys/kernel/random/entropy_avail");
        let text = read_text(&path)?;
        let bits = text.trim().parse();
        bits.map_err(|_| GatherError::Malformed { path, reason: format!("no number: {:?}", text.trim()) })
    }

    /// Which files there are depends on the kernel.
    fn ksm(&self, acc: &mut Accumulator, metric: &mut Metric) {
        let directory = self.paths.sys("kernel/mm/ksm");
        if let Err(source) = fs::metadata(&directory) {
            acc.report(GatherError::Read { path: directory, source });
            return;
        }
        for name in KSM {
            let path = directory.join(name);
            if let Some(value) =
                fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<i64>().ok())
            {
                metric.set_field(format!("ksm_{name}"), value);
            }
        }
    }

    fn psi(&self, acc: &mut Accumulator) {
        for resource in ["cpu", "memory", "io"] {
            match read_text(&self.paths.proc(format!("pressure/{resource}"))) {
                Ok(text) => pressure(acc, resource, &text),
                Err(error) => acc.report(error),
            }
        }
    }
}

/// Fields of what `/proc/stat` has; disk pages only of kernels before 2.6.
fn stat_fields(mut metric: Metric, stat: &str) -> Metric {
    for (field, keyword) in [
        ("interrupts", "intr"),
        ("context_switches", "ctxt"),
        ("processes_forked", "processes"),
        ("boot_time", "btime"),
    ] {
        if let Some(value) = number(stat, keyword) {
            metric.set_field(field, value);
        }
    }
    if let Some(mut pages) = numbers(stat, "page") {
        for field in ["disk_pages_in", "disk_pages_out"] {
            if let Some(Some(value)) = pages.next() {
                metric.set_field(field, value);
            }
        }
    }
    metric
}

/// Lines such as `some avg10=0.12 avg60=0.05 avg300=0.01 total=80002`, total in microseconds.
/// A CPU cannot stall all tasks of the whole system, so its `full` line means nothing.
fn pressure(acc: &mut Accumulator, resource: &'static str, text: &str) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(kind @ ("some" | "full")) = words.next() else { continue };
        if (resource, kind) == ("cpu", "full") {
            continue;
        }
        let metric = |of| acc.metric("pressure").kind(of).tag("resource", resource).tag("type", kind);
        let (mut counter, mut gauge) = (metric(Kind::Counter), metric(Kind::Gauge));
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            match key {
                "total" => value.parse::<u64>().into_iter().for_each(|v| counter.set_field("total", v)),
                "avg10" | "avg60" | "avg300" => {
                    value.parse::<f64>().into_iter().for_each(|v| gauge.set_field(key.to_owned(), v));
                }
                _ => {}
            }
        }
        acc.add(counter);
        acc.add(gauge);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skywatch_model::FieldValue::{Float, Integer, Unsigned};

    #[test]
    fn fields_of_stat() {
        let stat = "cpu 1 2\npage 5741 1808\nintr 1472 27\nctxt 2626618\nbtime 1457505775\nprocesses 26442\n";
        let m = stat_fields(Metric::new("kernel", 0), stat);
        let fields: Vec<_> = m.fields().iter().map(|(k, v)| (k.as_ref(), v.clone())).collect();
        let expected = [
            ("interrupts", 1472),
            ("context_switches", 2_626_618),
            ("processes_forked", 26442),
            ("boot_time", 1_457_505_775),
            ("disk_pages_in", 5741),
            ("disk_pages_out", 1808),
        ];
        assert_eq!(fields, expected.map(|(k, v)| (k, Integer(v))));
        assert_eq!(stat_fields(Metric::new("kernel", 0), "ctxt 1\n").fields().len(), 1);
    }

    #[test]
    fn pressure_of_memory_and_cpu() {
        let text = "some avg10=0.12 avg60=0.05 avg300=0.01 total=80002\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        let mut acc = Accumulator::new(0);
        pressure(&mut acc, "memory", text);
        pressure(&mut acc, "cpu", text);
        let (metrics, _) = acc.into_parts();
        assert_eq!(metrics.len(), 6);
        assert_eq!(metrics[0].field_value("total"), Some(&Unsigned(80002)));
        assert_eq!(metrics[1].field_value("avg10"), Some(&Float(0.12)));
        assert_eq!(metrics[3].tag_value("type"), Some("full"));
        assert_eq!(metrics[5].tag_value("resource"), Some("cpu"));
    }

    #[test]
    fn unknown_collections_are_refused() {
        let mut section = crate::config::section_for_tests("collect = ['ksm', 'xyz']");
        let error = build(&mut section, &Context::default()).expect_err("unknown");
        assert!(error.to_string().contains("\"xyz\""), "{error}");
    }
}
