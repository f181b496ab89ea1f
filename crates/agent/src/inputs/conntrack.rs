//! `conntrack`: how full the kernel's table of connections is, and on request what happens to its entries.

use std::path::{Path, PathBuf};

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input, read_text};
use crate::metric::{Kind, Metric};
use crate::paths::HostPaths;

/// Fields of the columns of `/proc/net/stat/nf_conntrack`, in their order. Newer kernels call `searched` `clashres` and
/// `delete_list` `chainlength`; the places are the same.
const COLUMNS: [&str; 17] = [
    "entries",
    "searched",
    "found",
    "new",
    "invalid",
    "ignore",
    "delete",
    "delete_list",
    "insert",
    "insert_failed",
    "drop",
    "early_drop",
    "icmp_error",
    "expect_new",
    "expect_create",
    "expect_delete",
    "search_restart",
];

/// The counters of one CPU.
type Counters = [u64; COLUMNS.len()];

/// The input.
#[derive(Debug)]
struct Conntrack {
    all: bool,
    percpu: bool,
    dirs: Vec<String>,
    files: Vec<String>,
    paths: HostPaths,
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let collect = section.strings("collect")?.unwrap_or_default();
    if let Some(unknown) = collect.iter().find(|name| !matches!(name.as_str(), "all" | "percpu")) {
        return Err(section.bad("collect", format!("{unknown:?} is neither \"all\" nor \"percpu\"")));
    }
    let mut list = |key, default: &[&str]| {
        let given = section.strings(key)?.filter(|list| !list.is_empty());
        Ok::<_, ConfigError>(given.unwrap_or_else(|| default.iter().map(ToString::to_string).collect()))
    };
    let files = ["ip_conntrack_count", "ip_conntrack_max", "nf_conntrack_count", "nf_conntrack_max"];
    Ok(Box::new(Conntrack {
        dirs: list("dirs", &["/proc/sys/net/ipv4/netfilter", "/proc/sys/net/netfilter"])?,
        files: list("files", &files)?,
        all: collect.iter().any(|name| name == "all"),
        percpu: collect.iter().any(|name| name == "percpu"),
        paths: context.paths.clone(),
    }))
}

impl Input for Conntrack {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let mut metric = acc.metric("conntrack");
        for path in self.dirs.iter().flat_map(|dir| self.files.iter().map(|file| self.host(dir).join(file))) {
            self.read(acc, &mut metric, &path);
        }
        let found = !metric.fields().is_empty();
        acc.add(metric);
        if self.all || self.percpu {
            self.counters(acc)?;
        }
        if found {
            return Ok(());
        }
        Err(GatherError::Inconsistent(format!(
            "conntrack: no file was read of {} in {}; is the kernel module nf_conntrack loaded?",
            self.files.join(", "),
            self.dirs.join(", ")
        )))
    }
}

impl Conntrack {
    /// Where a directory of the host is: `/proc` may be mounted elsewhere.
    fn host(&self, dir: &str) -> PathBuf {
        match Path::new(dir).strip_prefix("/proc") {
            Ok(rest) => self.paths.proc(rest),
            Err(_) => PathBuf::from(dir),
        }
    }

    /// A number of a file under its name; the older `ip_conntrack` and `nf_conntrack` are one. Files that do not exist,
    /// as those of the other of the two, are none.
    fn read(&self, acc: &mut Accumulator, metric: &mut Metric, path: &Path) {
        let Ok(text) = read_text(path) else { return };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let field = match name.strip_prefix("nf_") {
            Some(rest) => format!("ip_{rest}"),
            None => name,
        };
        match text.trim().parse::<f64>() {
            Ok(value) if value.is_finite() => metric.set_field(field, value),
            _ => {
                let reason = format!("no number: {:?}", text.trim());
                acc.report(GatherError::Malformed { path: path.to_owned(), reason });
            }
        }
    }

    fn counters(&self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let path = self.paths.proc_net("stat/nf_conntrack");
        let cpus = parse(&read_text(&path)?).map_err(|reason| GatherError::Malformed { path, reason })?;
        if self.all {
            add(acc, "all".to_owned(), &sum(&cpus));
        }
        if self.percpu {
            cpus.iter().enumerate().for_each(|(number, cpu)| add(acc, format!("cpu{number}"), cpu));
        }
        Ok(())
    }
}

fn add(acc: &mut Accumulator, cpu: String, counters: &Counters) {
    let metric = acc.metric("conntrack").kind(Kind::Counter).tag("cpu", cpu);
    let fields = COLUMNS.iter().zip(counters);
    acc.add(fields.fold(metric, |metric, (field, value)| metric.field(*field, *value)));
}

/// A line for each CPU behind the heading, in hexadecimal. Older kernels have fewer columns; the rest is 0.
fn parse(text: &str) -> Result<Vec<Counters>, String> {
    let parse = |line: &str| {
        let mut counters = Counters::default();
        for (slot, word) in counters.iter_mut().zip(line.split_ascii_whitespace()) {
            *slot = u64::from_str_radix(word, 16).map_err(|_| format!("no hexadecimal number: {word:?}"))?;
        }
        Ok(counters)
    };
    text.lines().skip(1).filter(|line| !line.trim().is_empty()).map(parse).collect()
}

/// All CPUs together. Each tells the entries of the whole table, so that these are not added up.
fn sum(cpus: &[Counters]) -> Counters {
    let mut sum = Counters::default();
    for cpu in cpus {
        for (total, value) in sum.iter_mut().zip(cpu).skip(1) {
            *total = total.wrapping_add(*value);
        }
        sum[0] = sum[0].max(cpu[0]);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use skywatch_model::FieldValue::{Float, Unsigned};

    const STAT: &str = "\
entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart
0000001f  00000001 00000002 00000003 00000004 00000005 00000006 00000007 00000008 00000009 0000000a 0000000b 0000000c  0000000d 0000000e 0000000f 00000010
0000001f  00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000  00000000 00000000 00000000 000000ff
";

    fn gather(files: &[(&str, &str)], options: &str) -> (bool, Vec<Metric>, usize) {
        let dir = tempfile::tempdir().expect("temporary directory");
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("created");
            std::fs::write(path, text).expect("written");
        }
        let root = dir.path().display().to_string();
        let paths = HostPaths::from_env(&|name| (name == "HOST_PROC").then(|| root.clone()));
        let mut section = crate::config::section_for_tests(options);
        let mut input = build(&mut section, &Context::new(paths)).expect("valid");
        let mut acc = Accumulator::new(0);
        let ok = input.gather(&mut acc).is_ok();
        let (metrics, errors) = acc.into_parts();
        (ok, metrics, errors.len())
    }

    #[test]
    fn both_generations_under_one_name() {
        let files =
            [("sys/net/netfilter/nf_conntrack_count", "12\n"), ("sys/net/netfilter/nf_conntrack_max", "x\n")];
        let (ok, metrics, errors) = gather(&files, "");
        assert!(ok);
        assert_eq!(metrics[0].fields(), [("ip_conntrack_count".into(), Float(12.0))]);
        assert_eq!(errors, 1, "the other is no number");
    }

    #[test]
    fn without_the_module_there_is_an_error() {
        let (ok, metrics, _) = gather(&[], "");
        assert!(!ok && metrics.is_empty());
    }

    #[test]
    fn counters_of_all_and_of_each() {
        let files = [("sys/net/netfilter/nf_conntrack_count", "31"), ("net/stat/nf_conntrack", STAT)];
        let (ok, metrics, _) = gather(&files, "collect = ['all', 'percpu']");
        assert!(ok);
        let cpus: Vec<_> = metrics.iter().map(|m| m.tag_value("cpu")).collect();
        assert_eq!(cpus, [None, Some("all"), Some("cpu0"), Some("cpu1")]);
        let value = |metric: &Metric, field: &str| metric.field_value(field).cloned();
        assert_eq!(value(&metrics[1], "entries"), Some(Unsigned(31)), "not twice");
        assert_eq!(value(&metrics[1], "searched"), Some(Unsigned(2)));
        assert_eq!(value(&metrics[1], "search_restart"), Some(Unsigned(271)));
        assert_eq!(value(&metrics[2], "drop"), Some(Unsigned(10)));
        assert_eq!(metrics[2].fields().len(), 17);
        let (ok, metrics, _) = gather(&files[..1], "collect = ['all']");
        assert!(!ok, "asked for and not there");
        assert_eq!(metrics.len(), 1);
    }

    #[test]
    fn unknown_sets_are_refused() {
        let mut section = crate::config::section_for_tests("collect = ['each']");
        assert!(build(&mut section, &Context::default()).is_err());
    }
}
