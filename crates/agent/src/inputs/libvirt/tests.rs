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

/// A host of the test driver with so many domains, and their file.
fn host_of(domains: usize, more: &str) -> (tempfile::NamedTempFile, String) {
    let mut xml = format!("<node>{more}");
    for n in 0..domains {
        xml += &format!(
            "<domain type='test'><name>vm-{n:04}</name><uuid>{n:08x}-0000-4000-8000-000000000000</uuid>\
             <title>Guest {n}</title><metadata><nova:instance \
             xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'><nova:name>shop-{n}</nova:name>\
             <nova:flavor name='m1.small'/><nova:owner><nova:project uuid='p-1'>demo</nova:project></nova:owner>\
             </nova:instance></metadata><memory>65536</memory><vcpu>2</vcpu><os><type>hvm</type></os></domain>"
        );
    }
    xml += "</node>";
    let file = tempfile::NamedTempFile::new().expect("temporary file");
    std::fs::write(file.path(), xml).expect("written");
    let options = format!("libvirt_uri = 'test://{}'\n", file.path().display());
    (file, options)
}

#[test]
fn three_hundred_domains_come_with_one_call() {
    let (_file, options) = host_of(300, "");
    let mut input = input(&format!("{options}timeout = '60s'"));
    for _ in 0..2 {
        let (result, metrics, errors) = gather(&mut input);
        assert!(result.is_ok() && errors.is_empty(), "{result:?} {errors:?}");
        let mut names: Vec<_> = metrics
            .iter()
            .filter(|m| m.name == "libvirt_state")
            .filter_map(|m| m.tag_value("domain_name"))
            .collect();
        names.sort_unstable();
        let expected: Vec<_> = (0..300).map(|n| format!("vm-{n:04}")).collect();
        assert_eq!(names, expected);
        assert!(input.bulk_paused_until.is_none() && input.stuck.is_empty());
    }
}

#[test]
fn domains_are_selected_by_globs() {
    let (_file, options) = host_of(30, "");
    let (result, metrics, _) =
        gather(&mut input(&format!("{options}domains_include = ['vm-002?']\ndomains_exclude = ['*9']")));
    assert!(result.is_ok());
    let mut names = seen(&metrics);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 9, "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("vm-002")));
}

#[test]
fn only_domains_that_run_on_request() {
    let shut_off = "<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'><name>off</name>\
                    <memory>65536</memory><os><type>hvm</type></os><test:runstate>5</test:runstate></domain>";
    let (_file, options) = host_of(2, shut_off);
    for (more, count) in
        [("", 3), ("active_only = true\n", 2), ("active_only = true\ndomains_exclude = ['x']", 2)]
    {
        let (result, metrics, _) =
            gather(&mut input(&format!("{options}statistics_groups = ['state']\n{more}")));
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(metrics.len(), count, "{more}");
    }
    let (_, metrics, _) = gather(&mut input(&format!(
        "{options}domains = ['off']\nextra_tags = ['state']\nstatistics_groups = ['state']"
    )));
    assert_eq!(metrics[0].tag_value("domain_state"), Some("shutoff"));
}

#[test]
fn titles_and_novas_metadata_become_tags_on_request() {
    let (_file, options) = host_of(3, "");
    let mut input = input(&format!("{options}extra_tags = ['title', 'nova']"));
    for _ in 0..2 {
        let (result, metrics, errors) = gather(&mut input);
        assert!(result.is_ok() && errors.is_empty(), "{result:?} {errors:?}");
        let of =
            |name: &str| metrics.iter().find(|m| m.tag_value("domain_name") == Some(name)).expect("there");
        assert_eq!(of("vm-0002").tag_value("title"), Some("Guest 2"));
        assert_eq!(of("vm-0002").tag_value("nova_name"), Some("shop-2"));
        assert_eq!(of("vm-0001").tag_value("nova_flavor"), Some("m1.small"));
        assert_eq!(of("vm-0001").tag_value("nova_project"), Some("demo"));
        assert_eq!(of("vm-0001").tag_value("nova_project_id"), Some("p-1"));
    }
}

#[test]
fn a_daemon_that_asks_is_told_user_and_password() {
    let users = "<auth><user password='geheim'>monitor</user></auth>";
    let (_file, options) = host_of(1, users);
    let (result, metrics, _) =
        gather(&mut input(&format!("{options}username = 'monitor'\npassword = 'geheim'")));
    assert!(result.is_ok() && !metrics.is_empty(), "{result:?}");
    for wrong in ["username = 'monitor'\npassword = 'falsch'", "username = 'monitor'", ""] {
        let error = gather(&mut input(&format!("{options}{wrong}"))).0.expect_err("refused").to_string();
        assert!(error.contains("auth"), "{error}");
        assert!(!error.contains("falsch") && !error.contains("geheim"), "{error}");
    }
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
    let mut input = input("timeout = '800ms'");
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
    assert_eq!(input.stuck.len(), 3, "twice in the bulk call, once by itself");
    for _ in 0..5 {
        let start = Instant::now();
        let (_, metrics, _) = gather(&mut input);
        assert_eq!(seen(&metrics), ["a", "c"]);
        assert!(start.elapsed() < Duration::from_millis(200), "nobody waits for it again");
    }
    assert_eq!(input.stuck.len(), 3, "and no further thread is lost");
}

#[test]
fn the_second_call_passes_by_what_the_first_waits_for() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static WAITED_FOR: AtomicBool = AtomicBool::new(false);
    fn bulk(outbox: &Outbox) -> bool {
        if !WAITED_FOR.swap(true, Ordering::SeqCst) {
            return false;
        }
        outbox.send(Outcome::End(Ok(["a", "b", "c"].map(domain).into()))).expect("heard");
        true
    }
    let mut input = scripted_input(|_| scripted(bulk, |_, _| panic!("nobody is asked alone")));
    for _ in 0..3 {
        let (result, metrics, errors) = gather(&mut input);
        assert!(result.is_ok() && errors.is_empty(), "{result:?} {errors:?}");
        assert_eq!(seen(&metrics), ["a", "b", "c"]);
        assert_eq!(input.stuck.len(), 1);
        assert!(input.bulk_paused_until.is_none());
    }
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
        std::thread::sleep(Duration::from_millis(1200));
        // Nobody may be listening any more.
        outbox.send(Outcome::End(Ok(Vec::new()))).ok();
        true
    }
    let mut input = scripted_input(|_| scripted(late, answer));
    let (_, metrics, _) = gather(&mut input);
    assert_eq!(seen(&metrics), ["a", "b", "c"]);
    assert_eq!(input.stuck.len(), 2);
    let start = Instant::now();
    while !input.stuck.iter().all(JoinHandle::is_finished) {
        assert!(start.elapsed() < Duration::from_secs(20), "the calls end");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(gather(&mut input).0.is_ok());
    assert!(input.stuck.is_empty());
}
