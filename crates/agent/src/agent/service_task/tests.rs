//! Services in an agent whose output is a file.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::agent::{Agent, AgentError, Report as AgentReport};
use crate::config::Config;
use crate::registry::Source;
use crate::service::ServiceFuture;

/// What a service does each time it is run.
type Act = fn(&Probe, Feed, u32) -> ServiceFuture<'static>;

/// Does what a test wants, and counts its runs.
#[derive(Clone)]
struct Probe {
    act: Act,
    runs: Arc<AtomicU32>,
    delivered: Arc<AtomicU32>,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Probe")
    }
}

impl Service for Probe {
    fn run<'a>(&'a mut self, feed: &'a mut Feed) -> ServiceFuture<'a> {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        (self.act)(self, feed.clone(), run)
    }
}

fn probe(act: Act) -> Probe {
    Probe { act, runs: Arc::default(), delivered: Arc::default() }
}

fn agent(probe: &Probe, input: &str, out: &Path) -> Agent {
    let text = format!(
        "[agent]\nomit_hostname = true\nround_interval = false\ninterval = '100ms'\nflush_interval = '1h'\n\
         [[inputs.mem]]\n{input}\n[[outputs.file]]\nfiles = ['{}']\n",
        out.display()
    );
    let mut config = Config::parse_with(&text, "test.conf", &|_| None).expect("valid");
    config.inputs[0].input = Source::Service(Box::new(probe.clone()));
    Agent::new(config).expect("an input")
}

async fn run(probe: &Probe, input: &str, out: &Path, millis: u64) -> Result<AgentReport, AgentError> {
    agent(probe, input, out).run(sleep(Duration::from_millis(millis))).await
}

fn written(out: &Path) -> Vec<String> {
    std::fs::read_to_string(out).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn metric(name: &'static str, time: i64) -> Metric {
    Metric::new(name, time).field("x", 1_i64)
}

fn failure(text: &str) -> GatherError {
    GatherError::Service { service: "there".to_owned(), reason: text.to_owned() }
}

#[tokio::test]
async fn what_a_service_reports_as_it_ends_is_handed_on_and_its_times_are_kept() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let out = dir.path().join("out.lp");
    let probe = probe(|_, mut feed, _| {
        Box::pin(async move {
            feed.stopped().await;
            for time in 0..100 {
                feed.send(vec![metric("last", 1_000_000_001 + time), Metric::new("empty", 1)]).await;
            }
            Ok(())
        })
    });
    let report = run(&probe, "name_suffix = '_words'", &out, 50).await.expect("ran");
    assert_eq!((report.gathered, report.lost()), (100, 0));
    let lines = written(&out);
    assert_eq!((lines.len(), lines[0].as_str()), (100, "last_words x=1i 1000000001"));
}

#[tokio::test]
async fn a_service_sees_the_ticks_of_its_interval() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let out = dir.path().join("out.lp");
    let probe = probe(|_, mut feed, _| {
        Box::pin(async move {
            let mut stopping = feed.clone();
            loop {
                tokio::select! {
                    time = feed.tick() => feed.send(vec![metric("tick", time)]).await,
                    () = stopping.stopped() => return Ok(()),
                }
            }
        })
    });
    let report = run(&probe, "", &out, 650).await.expect("ran");
    assert!((4..=7).contains(&report.gathered), "at once and then every 100 ms: {report:?}");
}

#[tokio::test]
async fn what_is_collected_has_the_precision_of_the_interval() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let out = dir.path().join("out.lp");
    let probe = probe(|_, mut feed, _| {
        Box::pin(async move {
            feed.send_collected(vec![metric("tick", 1_600_000_001)]).await;
            feed.send(vec![metric("own", 1_600_000_001)]).await;
            feed.stopped().await;
            Ok(())
        })
    });
    run(&probe, "interval = '10s'", &out, 100).await.expect("ran");
    assert_eq!(written(&out), ["tick x=1i 2000000000", "own x=1i 1600000001"]);
}

#[tokio::test]
async fn a_service_that_fails_or_panics_is_run_again() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let out = dir.path().join("out.lp");
    let probe = probe(|_, feed, run| {
        Box::pin(async move {
            feed.send(vec![metric("run", i64::from(run))]).await;
            match run {
                0 => panic!("a bug"),
                _ => Err(failure("no")),
            }
        })
    });
    let report = run(&probe, "startup_error_behavior = 'retry'", &out, 1600).await.expect("ran");
    assert_eq!(report.failed_gathers, 2, "{report:?}");
    assert_eq!(written(&out), ["run x=1i 0", "run x=1i 1"], "again after a second, then after two");
}

#[tokio::test]
async fn a_service_that_does_not_end_is_abandoned_and_what_it_reported_is_not() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let out = dir.path().join("out.lp");
    let probe = probe(|_, feed, _| {
        Box::pin(async move {
            feed.send(vec![metric("heard", 1)]).await;
            std::future::pending().await
        })
    });
    let begin = std::time::Instant::now();
    run(&probe, "", &out, 50).await.expect("ran");
    assert!(begin.elapsed() >= STOP_MAX && begin.elapsed() < STOP_MAX * 2, "{:?}", begin.elapsed());
    assert_eq!(written(&out), ["heard x=1i 1"]);
}

#[tokio::test]
async fn a_source_is_told_of_delivery_and_not_of_loss() {
    let act: Act = |probe, mut feed, _| {
        let delivered = Arc::clone(&probe.delivered);
        Box::pin(async move {
            let tell = move || {
                delivered.fetch_add(1, Ordering::Relaxed);
            };
            feed.send_tracked(vec![metric("a", 1), metric("b", 2)], tell).await;
            feed.stopped().await;
            Ok(())
        })
    };
    let dir = tempfile::tempdir().expect("temporary directory");
    let stored = probe(act);
    run(&stored, "", &dir.path().join("out.lp"), 50).await.expect("ran");
    assert_eq!(stored.delivered.load(Ordering::Relaxed), 1);
    let filtered = probe(act);
    run(&filtered, "namedrop = ['*']", &dir.path().join("out.lp"), 50).await.expect("ran");
    assert_eq!(filtered.delivered.load(Ordering::Relaxed), 1, "nobody wants it");
    let lost = probe(act);
    let report = run(&lost, "", &dir.path().join("absent/out.lp"), 50).await.expect("ran");
    assert_eq!((report.lost(), lost.delivered.load(Ordering::Relaxed)), (2, 0), "it may be offered again");
}

#[tokio::test]
async fn a_failed_start_means_what_its_option_says() {
    let act: Act = |_, _, _| Box::pin(async { Err(failure("address in use")) });
    let dir = tempfile::tempdir().expect("temporary directory");
    let out = dir.path().join("out.lp");
    let strict = probe(act);
    let error =
        run(&strict, "startup_error_behavior = 'error'", &out, 60_000).await.expect_err("ends at once");
    assert_eq!(
        error.to_string(),
        "inputs.mem: cannot start: there: address in use, and its `startup_error_behavior` is \"error\""
    );
    for behaviour in ["ignore", "probe"] {
        let lenient = probe(act);
        let option = format!("startup_error_behavior = '{behaviour}'");
        run(&lenient, &option, &out, 1300).await.expect("ran");
        assert_eq!(lenient.runs.load(Ordering::Relaxed), 1, "{behaviour}: left out");
    }
}

#[tokio::test]
async fn a_single_round_gives_services_their_wait() {
    let act: Act = |_, mut feed, _| {
        Box::pin(async move {
            let mut stopping = feed.clone();
            tokio::select! {
                () = sleep(Duration::from_millis(300)) => feed.send(vec![metric("slow", 1)]).await,
                () = stopping.stopped() => return Ok(()),
            }
            feed.stopped().await;
            feed.send(vec![metric("end", 2)]).await;
            Ok(())
        })
    };
    let dir = tempfile::tempdir().expect("temporary directory");
    let out = dir.path().join("out.lp");
    let wait = Duration::from_millis(400);
    let report = agent(&probe(act), "", &out).with_service_wait(wait).once().await.expect("ran");
    assert_eq!((report.gathered, report.lost()), (2, 0));
    assert_eq!(written(&out).len(), 2);
    let mut printed = Vec::new();
    agent(&probe(act), "", &out).with_service_wait(wait).test_once(&mut printed).await.expect("ran");
    assert_eq!(String::from_utf8(printed).expect("text"), "> slow x=1i 1\n> end x=1i 2\n");
    let mut printed = Vec::new();
    agent(&probe(act), "", &out).test_once(&mut printed).await.expect("ran");
    assert_eq!(String::from_utf8(printed).expect("text"), "", "without a wait there is nothing yet");
}
