//! Against libvirt's own test driver, which needs no daemon. What needs one is tried live by the
//! end-to-end tests with `scripts/libvirt-guests.sh`.

use super::*;
use crate::config::section_for_tests;
use crate::metric::Metric;

fn input(options: &str) -> Libvirt {
    Libvirt::new(Options::from_section(&mut section_for_tests(options)).expect("valid"))
}

fn gather(input: &mut Libvirt) -> (Result<(), GatherError>, Vec<Metric>, Vec<GatherError>) {
    let mut acc = Accumulator::new(0);
    let result = input.gather(&mut acc);
    let (metrics, errors) = acc.into_parts();
    (result, metrics, errors)
}

const DRIVER: &str = "libvirt_uri = 'test:///default'\n";

#[test]
fn the_test_drivers_domain_is_seen() {
    let mut input = input(DRIVER);
    for _ in 0..2 {
        let (result, metrics, errors) = gather(&mut input);
        assert!(result.is_ok() && errors.is_empty(), "{result:?} {errors:?}");
        let state = metrics.iter().find(|m| m.name == "libvirt_state").expect("a state");
        assert_eq!(state.tag_value("domain_name"), Some("test"));
        assert_eq!(state.field_value("state"), Some(&skywatch_model::FieldValue::Integer(1)));
    }
    assert!(input.stuck.is_empty());
}

#[test]
fn a_filter_of_names_is_exact_and_may_leave_nothing() {
    let (result, metrics, _) = gather(&mut input(&format!("{DRIVER}domains = ['test']")));
    assert!(result.is_ok() && !metrics.is_empty());
    let (result, metrics, errors) = gather(&mut input(&format!("{DRIVER}domains = ['tes*']")));
    assert!(result.is_ok() && errors.is_empty(), "no error");
    assert!(metrics.is_empty());
}

#[test]
fn groups_limit_what_is_asked() {
    let (_, metrics, _) =
        gather(&mut input(&format!("{DRIVER}statistics_groups = ['state']\nextra_tags = ['uuid']")));
    assert!(metrics.iter().all(|m| m.name == "libvirt_state"));
    assert_eq!(metrics[0].tag_value("uuid").map(str::len), Some(36));
}

#[test]
fn vcpus_tell_where_they_may_run() {
    let options = format!("{DRIVER}additional_statistics = ['vcpu_mapping']\nstatistics_groups = ['state']");
    let (result, metrics, errors) = gather(&mut input(&options));
    assert!(result.is_ok() && errors.is_empty(), "{result:?} {errors:?}");
    let affinity: Vec<_> = metrics.iter().filter(|m| m.name == "libvirt_cpu_affinity").collect();
    assert_eq!(affinity.len(), 2, "{metrics:?}");
    assert_eq!(affinity[0].tag_value("vcpu_id"), Some("0"));
}

#[test]
fn one_by_one_gives_the_same_points() {
    let mut bulk = input(DRIVER);
    let mut single = input(DRIVER);
    single.bulk_paused_until = Some(Instant::now() + BULK_PAUSE);
    // Times differ from moment to moment, names do not.
    let shapes = |metrics: &[Metric]| {
        metrics
            .iter()
            .map(|m| {
                format!(
                    "{} {:?} {:?}",
                    m.name,
                    m.tags(),
                    m.fields().iter().map(|(k, _)| k).collect::<Vec<_>>()
                )
            })
            .collect::<Vec<_>>()
    };
    let (_, expected, _) = gather(&mut bulk);
    let (result, metrics, errors) = gather(&mut single);
    assert!(result.is_ok() && errors.is_empty(), "{result:?} {errors:?}");
    assert_eq!(shapes(&metrics), shapes(&expected));
}

#[test]
fn a_domain_in_quarantine_is_left_out_and_told_of() {
    let mut input = input(DRIVER);
    input.quarantine.add("test", Instant::now());
    let (result, metrics, errors) = gather(&mut input);
    assert!(result.is_ok() && metrics.is_empty());
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].to_string().starts_with("test:///default: domain test does not answer"),
        "{}",
        errors[0]
    );
}

#[test]
fn no_daemon_is_an_error_and_no_more() {
    let mut input = input("libvirt_uri = 'qemu+unix:///system?socket=/nonexistent/sock'");
    for _ in 0..2 {
        let (result, metrics, _) = gather(&mut input);
        let error = result.expect_err("nobody is there").to_string();
        assert!(error.contains("/nonexistent/sock"), "{error}");
        assert!(metrics.is_empty());
    }
}

#[test]
fn a_daemon_that_accepts_and_says_nothing_costs_the_timeout() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let socket = dir.path().join("sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
    let mut input =
        input(&format!("libvirt_uri = 'qemu+unix:///system?socket={}'\ntimeout = '400ms'", socket.display()));
    for _ in 0..3 {
        let start = Instant::now();
        let (result, _, _) = gather(&mut input);
        assert!(result.expect_err("no answer").to_string().contains("not established in time"));
        assert!(start.elapsed() < Duration::from_secs(3));
        assert!(input.stuck.is_empty(), "one thread waits, and no further one");
    }
    // Once the peer is gone the waiting call fails, and the input says what is the matter.
    drop(listener);
    std::fs::remove_file(&socket).expect("removed");
    let start = Instant::now();
    loop {
        let error = gather(&mut input).0.expect_err("nobody is there").to_string();
        if !error.contains("not established in time") {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{error}");
    }
}

/// Does jobs for three domains, `a`, `b` and `c`, until one of them has to hang.
fn scripted(bulk: fn(&Outbox) -> bool, single: fn(&Outbox, &str) -> bool) -> std::io::Result<Worker> {
    Worker::spawn(move |jobs, outbox| {
        for job in jobs {
            outbox.send(Outcome::Connected).expect("heard");
            let goes_on = match job {
                Job::Bulk => bulk(outbox),
                Job::OneByOne { skip } => {
                    let names = ["a", "b", "c"].into_iter().filter(|name| !skip.contains(*name));
                    let goes_on = names.into_iter().all(|name| {
                        outbox.send(Outcome::Begin(name.to_owned())).expect("heard");
                        single(outbox, name)
                    });
                    if goes_on {
                        outbox.send(Outcome::End(Ok(Vec::new()))).expect("heard");
                    }
                    goes_on
                }
            };
            if !goes_on {
                loop {
                    std::thread::park();
                }
            }
        }
    })
}

type Outbox = std::sync::mpsc::Sender<Outcome>;

fn domain(name: &str) -> Domain {
    let params = vec![("state.state".to_owned(), skywatch_model::FieldValue::Integer(1))];
    Domain { name: name.to_owned(), params, ..Domain::default() }
}

fn answer(outbox: &Outbox, name: &str) -> bool {
    outbox.send(Outcome::Domain(Ok(domain(name)))).expect("heard");
    true
}

fn seen(metrics: &[Metric]) -> Vec<&str> {
    metrics.iter().filter_map(|metric| metric.tag_value("domain_name")).collect()
}

fn scripted_input(start: fn(&Options) -> std::io::Result<Worker>) -> Libvirt {
    let mut input = input("timeout = '400ms'");
    input.start = start;
    input
}

#[test]
fn a_domain_that_hangs_costs_the_others_nothing() {
    let mut input = scripted_input(|_| scripted(|_| false, |out, name| name != "b" && answer(out, name)));
    let start = Instant::now();
    let (result, metrics, errors) = gather(&mut input);
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(seen(&metrics), ["a", "c"], "although the bulk call hung on it, too");
    assert_eq!(errors.len(), 1);
    assert!(errors[0].to_string().contains("domain b does not answer"), "{}", errors[0]);
    assert_eq!(input.stuck.len(), 2);
    for _ in 0..5 {
        let start = Instant::now();
        let (_, metrics, _) = gather(&mut input);
        assert_eq!(seen(&metrics), ["a", "c"]);
        assert!(start.elapsed() < Duration::from_millis(200), "nobody waits for it again");
    }
    assert_eq!(input.stuck.len(), 2, "and no further thread is lost");
}

#[test]
fn a_domain_that_fails_is_named_and_the_others_are_there() {
    fn single(outbox: &Outbox, name: &str) -> bool {
        match name {
            "b" => {
                let failed = Err((name.to_owned(), "its disk is gone".to_owned()));
                outbox.send(Outcome::Domain(failed)).expect("heard");
                true
            }
            other => answer(outbox, other),
        }
    }
    fn refuse(outbox: &Outbox) -> bool {
        outbox.send(Outcome::End(Err(Failure::Call("its disk is gone".to_owned())))).expect("heard");
        true
    }
    let mut input = scripted_input(|_| scripted(refuse, single));
    let (result, metrics, errors) = gather(&mut input);
    assert!(result.is_ok() && input.stuck.is_empty());
    assert_eq!(seen(&metrics), ["a", "c"]);
    assert_eq!(errors[0].to_string(), "qemu:///system: domain b: its disk is gone");
}

#[test]
fn threads_that_never_return_are_few() {
    let mut input = scripted_input(|_| scripted(|_| false, |_, _| false));
    for _ in 0..4 {
        let start = Instant::now();
        let (_, metrics, _) = gather(&mut input);
        assert!(metrics.is_empty());
        assert!(start.elapsed() < Duration::from_secs(2));
        assert!(input.stuck.len() <= STUCK_MAX);
    }
}

#[test]
fn a_late_worker_is_let_go_and_room_is_made() {
    // Late rather than stuck: the bulk call ends after the deadline.
    fn late(outbox: &Outbox) -> bool {
        std::thread::sleep(Duration::from_millis(600));
        // Nobody may be listening any more.
        outbox.send(Outcome::End(Ok(Vec::new()))).ok();
        true
    }
    let mut input = scripted_input(|_| scripted(late, answer));
    let (_, metrics, _) = gather(&mut input);
    assert_eq!(seen(&metrics), ["a", "b", "c"]);
    assert_eq!(input.stuck.len(), 1);
    std::thread::sleep(Duration::from_millis(800));
    assert!(gather(&mut input).0.is_ok());
    assert!(input.stuck.is_empty());
}
