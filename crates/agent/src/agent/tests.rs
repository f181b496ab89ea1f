//! Agents as a whole, with a file as their output.

use std::time::Duration;

use super::*;
use crate::config::Config;
use crate::registry::Source;

fn config(text: &str) -> Config {
    Config::parse_with(text, "test.conf", &|_| None).expect("valid")
}

#[tokio::test]
async fn an_agent_needs_inputs_and_an_output() {
    let error = Agent::new(config("[[outputs.file]]")).expect_err("no input").to_string();
    assert!(error.starts_with("test.conf: no [[inputs.NAME]] is configured; inputs that exist: "), "{error}");
    let agent = Agent::new(config("[[inputs.mem]]")).expect("an input");
    let error = agent.run(async {}).await.expect_err("no output").to_string();
    assert!(error.starts_with("test.conf: no [[outputs.NAME]] is configured; "), "{error}");
}

#[tokio::test]
async fn a_test_prints_lines_with_sorted_fields_and_unsigned_values() {
    let text = "[agent]\nhostname = 'h1'\n[global_tags]\ndc = 'north'\n\
                [[inputs.cpu]]\npercpu = false\n[[inputs.mem]]\nfieldinclude = ['total', 'free', 'used_percent']\n";
    let mut out = Vec::new();
    let report = Agent::new(config(text)).expect("inputs").test_once(&mut out).await.expect("printed");
    let out = String::from_utf8(out).expect("text");
    assert_eq!((report.gathered, report.failed_gathers), (2, 0), "{out}");
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with("> cpu,cpu=cpu-total,dc=north,host=h1 usage_guest="), "{out}");
    assert!(lines[1].starts_with("> mem,dc=north,host=h1 free="), "{out}");
    let fields = lines[1].split(' ').nth(2).expect("fields");
    let names: Vec<_> = fields.split(',').filter_map(|f| f.split('=').next()).collect();
    assert_eq!(names, ["free", "total", "used_percent"]);
    assert!(fields.contains("u,total="), "the suffix of unsigned values: {fields}");
    assert!(lines[1].ends_with("000000000"), "rounded to the second: {out}");
}

#[tokio::test]
async fn once_sends_everything_and_reports() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("out.lp");
    let text = format!(
        "[agent]\nomit_hostname = true\n[[inputs.mem]]\n[[inputs.swap]]\n[[outputs.file]]\nfiles = ['{}']\n",
        path.display()
    );
    let report = Agent::new(config(&text)).expect("inputs").once().await.expect("ran");
    assert_eq!((report.gathered, report.lost()), (3, 0));
    let written = std::fs::read_to_string(&path).expect("written");
    assert_eq!(written.lines().count(), 3);
    assert!(
        written.contains("mem total=") && written.contains("i,available="),
        "integers by default: {written}"
    );
}

#[tokio::test]
async fn what_cannot_be_sent_is_reported() {
    let text = "[[inputs.mem]]\n[[outputs.file]]\nfiles = ['/nonexistent/x']\n";
    let report = Agent::new(config(text)).expect("inputs").once().await.expect("ran");
    assert_eq!(report.lost(), 1);
}

#[tokio::test]
async fn an_agent_collects_in_step_and_flushes_at_the_end() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("out.lp");
    // The flush interval is never reached: what arrives, arrives with the last flush.
    let text = format!(
        "[agent]\ninterval = '200ms'\nflush_interval = '1h'\n[[inputs.mem]]\n[[outputs.file]]\nfiles = ['{}']\n",
        path.display()
    );
    let agent = Agent::new(config(&text)).expect("inputs");
    let report = agent.run(tokio::time::sleep(Duration::from_millis(1300))).await.expect("ran");
    assert_eq!(report.lost(), 0);
    assert!((4..=7).contains(&report.gathered), "{report:?}");
    let written = std::fs::read_to_string(&path).expect("written");
    let times: Vec<i64> = written
        .lines()
        .map(|line| line.rsplit(' ').next().expect("a time").parse().expect("a number"))
        .collect();
    assert_eq!(times.len() as u64, report.gathered);
    // Timestamps are the moments of collection, a little after each multiple.
    assert!(times.iter().all(|time| time % 200_000_000 < 150_000_000), "{times:?}");
}

/// Hangs in its first gather, as libvirt or a network file system may.
#[derive(Debug)]
struct Hangs;

impl crate::input::Input for Hangs {
    fn gather(&mut self, _: &mut crate::input::Accumulator) -> Result<(), crate::input::GatherError> {
        loop {
            std::thread::park();
        }
    }
}

/// Fails by a bug every time.
#[derive(Debug)]
struct Panics;

impl crate::input::Input for Panics {
    fn gather(&mut self, acc: &mut crate::input::Accumulator) -> Result<(), crate::input::GatherError> {
        let before = acc.metric("before").field("x", 1.0);
        acc.add(before);
        panic!("a bug");
    }
}

#[tokio::test]
async fn an_input_that_hangs_or_panics_costs_only_itself() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("out.lp");
    let text = format!(
        "[agent]\ninterval = '200ms'\n[[inputs.mem]]\n[[inputs.mem]]\n[[inputs.mem]]\n[[outputs.file]]\nfiles = ['{}']\n",
        path.display()
    );
    let mut config = config(&text);
    config.inputs[0].input = Source::Polled(Box::new(Hangs));
    config.inputs[1].input = Source::Polled(Box::new(Panics));
    let start = std::time::Instant::now();
    let agent = Agent::new(config).expect("inputs");
    let report = agent.run(tokio::time::sleep(Duration::from_millis(1100))).await.expect("ran");
    assert!(start.elapsed() < Duration::from_secs(6), "the end does not wait for the one that hangs");
    assert!(report.failed_gathers >= 3, "{report:?}");
    let written = std::fs::read_to_string(&path).expect("written");
    assert!(written.lines().filter(|line| line.starts_with("mem,")).count() >= 3, "{written}");
    assert!(written.contains("before"), "what a gather added before it failed is kept");
}

#[tokio::test]
async fn processors_and_aggregators_stand_between_inputs_and_outputs() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("out.lp");
    let text = format!(
        "[agent]\ninterval = '100ms'\nomit_hostname = true\n[[inputs.mem]]\nfieldinclude = ['total']\n\
         [[processors.rename]]\n[[processors.rename.replace]]\nmeasurement = 'mem'\ndest = 'memory'\n\
         [[aggregators.minmax]]\nperiod = '1h'\ndrop_original = true\nnamepass = ['memory']\n\
         [[outputs.file]]\nfiles = ['{}']\n",
        path.display()
    );
    let agent = Agent::new(config(&text)).expect("inputs");
    let report = agent.run(tokio::time::sleep(Duration::from_millis(600))).await.expect("ran");
    assert!(report.gathered >= 3, "{report:?}");
    let written = std::fs::read_to_string(&path).expect("written");
    assert_eq!(written.lines().count(), 1, "the window is closed at the end: {written}");
    assert!(
        written.starts_with("memory total_min=") || written.starts_with("memory total_max="),
        "{written}"
    );
    let mut out = Vec::new();
    Agent::new(config(&text)).expect("inputs").test_once(&mut out).await.expect("printed");
    let out = String::from_utf8(out).expect("text");
    assert!(out.starts_with("> memory total_max=") && out.lines().count() == 1, "{out}");
}

mod reload;
