//! Golden tests: each input reads the host under `fixtures/host/root` and must give exactly the line protocol of
//! `fixtures/host/expected/CASE.lp`, as `--test` prints it but without times.
//!
//! `fixtures/host/later` holds what changed ten seconds later, for inputs that compare two readings. After a change that is
//! meant, `GOLDEN=write cargo test golden` writes the expected files anew, to be read before they are committed.

use std::fs;
use std::path::{Path, PathBuf};

use skywatch_model::serialize::SerializeOptions;

use super::INPUTS;
use crate::context::Context;
use crate::input::Accumulator;
use crate::line;
use crate::paths::HostPaths;
use crate::registry::Source;

/// As `--test` prints.
const AS_TESTED: SerializeOptions =
    SerializeOptions { uint_support: true, sort_fields: true, max_line_bytes: None };

const SECONDS: i64 = 1_000_000_000;

/// Name of the case, the input, its options.
const CASES: &[(&str, &str, &str)] = &[
    ("conntrack", "conntrack", "collect = ['all', 'percpu']"),
    ("cpu", "cpu", "collect_cpu_time = true\nreport_active = true\ncore_tags = true"),
    ("cpu_default", "cpu", ""),
    ("diskio", "diskio", ""),
    (
        "diskio_tags",
        "diskio",
        "devices = ['nvme0n1', '/dev/mapper/*', 'sda']\nskip_serial_number = false\n\
         device_tags = ['ID_FS_TYPE', 'ID_MODEL']\nname_templates = ['$ID_FS_LABEL', '$DM_VG_NAME/$DM_LV_NAME']",
    ),
    ("interrupts", "interrupts", ""),
    ("interrupts_cpu_as_tag", "interrupts", "cpu_as_tag = true"),
    ("kernel", "kernel", "collect = ['ksm', 'psi']"),
    ("kernel_vmstat", "kernel_vmstat", ""),
    ("linux_sysctl_fs", "linux_sysctl_fs", ""),
    ("mem", "mem", "collect_extended = true"),
    ("net", "net", ""),
    ("net_listed", "net", "interfaces = ['eno*', 'bond?', 'lo']"),
    ("netstat", "netstat", ""),
    ("nstat", "nstat", ""),
    ("nstat_zeros", "nstat", "dump_zeros = true"),
    ("processes", "processes", ""),
    ("swap", "swap", ""),
    ("system", "system", ""),
    ("system_groups", "system", "include = ['cpus', 'dmi', 'load', 'uptime', 'users']"),
    ("temp", "temp", "add_device_tag = true\nalways_gather_zones = true"),
    ("temp_v1", "temp", "metric_format = 'v1'"),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/host")
}

/// The paths of a host whose `/proc` may be elsewhere than the rest.
pub(super) fn host(proc: &Path) -> HostPaths {
    let root = fixtures().join("root");
    HostPaths::from_env(&|name| {
        let path = match name {
            "HOST_PROC" => proc.to_owned(),
            "HOST_SYS" => root.join("sys"),
            "HOST_RUN" => root.join("run"),
            "HOST_VAR" => root.join("var"),
            "HOST_ETC" => root.join("etc"),
            _ => return None,
        };
        Some(path.display().to_string())
    })
}

/// What an input gives at the second of two gathers ten seconds apart.
pub(super) fn lines(input: &str, options: &str) -> String {
    let root = fixtures();
    let proc = root.join("root/proc");
    let both = tempfile::tempdir().expect("temporary directory");
    let delta = matches!(input, "cpu" | "diskio");
    let paths = host(if delta { both.path() } else { &proc });
    let mut section = crate::config::section_for_tests(options);
    let entry = INPUTS.iter().find(|entry| entry.name == input).expect("an input");
    let source = entry.build(&mut section, &Context::new(paths)).expect("valid options");
    assert!(section.finish().is_ok(), "{input} takes all of {options}");
    let Source::Polled(mut source) = source else { panic!("{input} is polled") };
    for (from, at) in [(&proc, 0), (&root.join("later"), 10 * SECONDS)] {
        for file in ["stat", "cpuinfo", "diskstats"] {
            if delta && from.join(file).exists() {
                fs::copy(from.join(file), both.path().join(file)).expect("copied");
            }
        }
        let mut acc = Accumulator::new(at);
        source.gather(&mut acc).expect("the fixtures are in order");
        let (metrics, errors) = acc.into_parts();
        assert!(errors.is_empty(), "{input}: {errors:?}");
        if at > 0 {
            let mut text = String::new();
            for metric in &metrics {
                line::append(&mut text, metric, false, AS_TESTED).expect("a line");
            }
            return text;
        }
    }
    unreachable!("the second gather returns")
}

/// Compares with the expected file, or writes it if asked to.
pub(super) fn check(case: &str, lines: &str) {
    let path = fixtures().join(format!("expected/{case}.lp"));
    if std::env::var("GOLDEN").as_deref() == Ok("write") {
        fs::create_dir_all(path.parent().expect("a parent")).expect("created");
        fs::write(&path, lines).expect("written");
    }
    let expected = fs::read_to_string(&path).expect("an expected file");
    for (number, (line, expected)) in lines.lines().zip(expected.lines()).enumerate() {
        assert_eq!(line, expected, "{case}, line {}", number + 1);
    }
    assert_eq!(lines.lines().count(), expected.lines().count(), "{case}: lines");
}

#[test]
fn every_case_to_the_byte() {
    for (case, input, options) in CASES {
        check(case, &lines(input, options));
    }
}

/// Files that are missing or hold anything but what they should: an error or nothing, never a panic.
#[test]
fn garbage_is_survived() {
    for junk in [
        "",
        "\n",
        ":",
        "garbage",
        "cpu x\n",
        "a b c d e f g h i j k l m n o p\n",
        "\u{fffd}: 99999999999999999999",
    ] {
        let root = tempfile::tempdir().expect("temporary directory");
        let mut files = vec![fixtures().join("root/proc")];
        while let Some(path) = files.pop() {
            let below = path.strip_prefix(fixtures().join("root/proc")).expect("below");
            if path.is_symlink() {
            } else if path.is_dir() {
                fs::create_dir_all(root.path().join(below)).expect("created");
                files
                    .extend(fs::read_dir(&path).expect("readable").map(|entry| entry.expect("entry").path()));
            } else {
                fs::write(root.path().join(below), junk).expect("written");
            }
        }
        for missing in [false, true] {
            let paths = if missing { host(Path::new("/nonexistent")) } else { host(root.path()) };
            for (_, input, options) in CASES {
                let mut section = crate::config::section_for_tests(options);
                let entry = INPUTS.iter().find(|entry| entry.name == *input).expect("an input");
                let source = entry.build(&mut section, &Context::new(paths.clone())).expect("valid options");
                let Source::Polled(mut source) = source else { panic!("{input} is polled") };
                for at in [0, 10 * SECONDS] {
                    let mut acc = Accumulator::new(at);
                    let failed = source.gather(&mut acc).is_err();
                    let (_, errors) = acc.into_parts();
                    let silent = matches!(*input, "temp" | "linux_sysctl_fs");
                    assert!(
                        !missing || silent || failed || !errors.is_empty(),
                        "{input} is silent without its files"
                    );
                }
            }
        }
    }
}
