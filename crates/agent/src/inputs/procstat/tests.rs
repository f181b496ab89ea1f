//! Processes of the fixtures' host as golden lines, and this very process.

use super::*;
use crate::config::section_for_tests;
use crate::inputs::golden;
use skywatch_model::FieldValue;

fn gather(options: &str) -> (Vec<crate::metric::Metric>, Vec<GatherError>) {
    let mut section = section_for_tests(options);
    let mut input = build(&mut section, &Context::default()).expect("valid options");
    assert!(section.finish().is_ok());
    let mut acc = Accumulator::new(1_000_000_000);
    input.gather(&mut acc).expect("gathers");
    acc.into_parts()
}

fn refused(options: &str) -> String {
    build(&mut section_for_tests(options), &Context::default()).expect_err("refused").to_string()
}

#[test]
fn a_host_to_the_byte() {
    for (case, options) in [
        ("procstat_exe", "exe = 'qemu-system'\nproperties = ['cpu', 'memory', 'mmap', 'limits']"),
        (
            "procstat_pattern",
            "pattern = 'guest=web'\nprefix = 'vm'\nprocess_name = 'guest'\nmode = 'solaris'",
        ),
        (
            "procstat_user",
            "user = 'libvirt-qemu'\ntag_with = ['pid', 'ppid', 'status', 'cmdline']\nproperties = []",
        ),
        ("procstat_cgroup", "cgroup = 'machine.slice/*.scope'\nproperties = ['memory']"),
        ("procstat_sockets", "exe = '^libvirtd$'\npid_finder = 'native'\nproperties = ['sockets']"),
        (
            "procstat_filters",
            "properties = ['memory']\ntag_with = ['child_level']\n\
             [[filter]]\nname = 'vms'\npatterns = ['guest=']\nrecursion_depth = -1\n\
             [[filter]]\nname = 'daemons'\nprocess_names = ['libvirt*']\nusers = ['root']\n\
             [[filter]]\nname = 'none'\nprocess_names = ['nothing']",
        ),
    ] {
        // The path of a control group is absolute.
        let root = format!("{}/fixtures/host/root", env!("CARGO_MANIFEST_DIR"));
        golden::check(case, &golden::lines("procstat", options).replace(&root, ""));
    }
}

#[test]
fn this_process_by_its_pid_file() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("own.pid");
    std::fs::write(&file, format!("{}\n", std::process::id())).expect("written");
    let (metrics, errors) = gather(&format!("pid_file = '{}'", file.display()));
    assert!(errors.is_empty(), "{errors:?}");
    let own = &metrics[0];
    assert_eq!(own.tag_value("pidfile"), file.to_str());
    assert_eq!(own.field_value("pid"), Some(&FieldValue::Integer(i64::from(std::process::id()))));
    for (field, unsigned) in
        [("num_fds", false), ("memory_rss", true), ("memory_pss", true), ("write_bytes", true)]
    {
        let value = own.field_value(field);
        let positive = match value {
            Some(FieldValue::Integer(value)) => !unsigned && *value > 0,
            Some(FieldValue::Unsigned(value)) => unsigned && *value > 0,
            _ => false,
        };
        assert!(positive, "{field}: {value:?}");
    }
    assert_eq!(own.field_value("cpu_usage"), None, "nothing to compare with yet");
    let lookup = &metrics[1];
    assert_eq!(lookup.name, "procstat_lookup");
    assert_eq!(lookup.tag_value("result"), Some("success"));
    assert_eq!(lookup.field_value("running"), Some(&FieldValue::Integer(1)));
}

#[test]
fn a_pid_file_that_is_none_is_a_lookup_error_and_of_a_dead_process_a_count() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("x.pid");
    let options = format!("pid_file = '{}'", file.display());
    for text in [None, Some("garbage")] {
        if let Some(text) = text {
            std::fs::write(&file, text).expect("written");
        }
        let (metrics, errors) = gather(&options);
        assert_eq!((metrics.len(), errors.len()), (1, 1), "{text:?}");
        assert_eq!(metrics[0].tag_value("result"), Some("lookup_error"));
        assert_eq!(metrics[0].field_value("result_code"), Some(&FieldValue::Integer(1)));
    }
    std::fs::write(&file, "4194305").expect("written");
    let (metrics, errors) = gather(&options);
    assert_eq!((metrics.len(), errors.len()), (1, 0));
    assert_eq!(metrics[0].field_value("pid_count"), Some(&FieldValue::Integer(1)));
    assert_eq!(metrics[0].field_value("running"), Some(&FieldValue::Integer(0)));
}

#[test]
fn sockets_of_this_process() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = u64::from(listener.local_addr().expect("address").port());
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("own.pid");
    std::fs::write(&file, std::process::id().to_string()).expect("written");
    let options =
        format!("pid_file = '{}'\nproperties = ['sockets']\nsocket_protocols = ['tcp4']", file.display());
    let (metrics, _) = gather(&options);
    let found = metrics.iter().find(|m| m.field_value("src_port") == Some(&FieldValue::Unsigned(port)));
    let found = found.expect("the listener");
    assert_eq!(found.name, "procstat_socket");
    assert_eq!(found.field_value("state"), Some(&FieldValue::String("listen".into())));
    assert_eq!(found.field_value("src"), Some(&FieldValue::String("127.0.0.1".into())));
    drop(listener);
}

#[test]
fn configurations_that_make_no_sense_are_refused() {
    assert!(refused("").contains("which processes"));
    assert!(refused("exe = 'a'\npattern = 'b'").contains("exe is given as well"));
    assert!(refused("exe = 'a'\n[[filter]]\nname = 'x'").contains("do not go together"));
    assert!(refused("exe = '('").contains("missing closing )"));
    assert!(refused("exe = 'a'\nproperties = ['cpus']").contains("\"cpus\""));
    assert!(refused("exe = 'a'\ntag_with = ['pids']").contains("\"pids\""));
    assert!(refused("exe = 'a'\nmode = 'linux'").contains("\"linux\""));
    assert!(refused("exe = 'a'\npid_finder = 'ps'").contains("\"ps\""));
    assert!(refused("exe = 'a'\nsocket_protocols = ['sctp']").contains("\"sctp\""));
    assert!(refused("win_service = 'a'").contains("Windows"));
    assert!(refused("[[filter]]\nusers = ['root']").contains("needs a name"));
    let two = "[[filter]]\nname = 'x'\ncgroups = ['a']\npid_files = ['b']";
    assert!(refused(two).contains("takes one of them"));
}
