//! Golden tests: what libvirt told, as written down below `fixtures/libvirt/`, and the line protocol it becomes.

use std::path::Path;

use super::super::details::Nova;
use super::*;

/// The original's points.
fn plain() -> PointOptions {
    PointOptions { halted_as_text: true, state_group: true, vcpu_group: true, ..PointOptions::default() }
}

/// `domain NAME UUID`, then `TYPE KEY VALUE` lines with libvirt's types.
fn parse(text: &str) -> Domain {
    let mut domain = Domain::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (kind, rest) = line.split_once(' ').expect("a type");
        let (key, value) = rest.split_once(' ').expect("a value");
        let value = match kind {
            "domain" => {
                (domain.name, domain.uuid) = (key.to_owned(), value.to_owned());
                continue;
            }
            // As the connection hands them over: a boolean is 0 or 1.
            "int" | "llong" | "boolean" => FieldValue::Integer(value.parse().expect("an integer")),
            "uint" | "ullong" => FieldValue::Unsigned(value.parse().expect("an unsigned integer")),
            "double" => FieldValue::Float(value.parse().expect("a number")),
            "string" => FieldValue::String(value.into()),
            other => panic!("no type of libvirt's: {other}"),
        };
        domain.params.push((key.to_owned(), value));
    }
    domain
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/libvirt").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn lines(domain: &Domain, options: &PointOptions) -> Vec<String> {
    let mut acc = Accumulator::new(5);
    add_points(&mut acc, domain, options);
    let text = |metric: &Metric| {
        let mut out = String::new();
        let serialize =
            skywatch_model::serialize::SerializeOptions { uint_support: true, ..Default::default() };
        crate::line::append(&mut out, metric, true, serialize).expect("serialisable");
        out.trim_end().to_owned()
    };
    acc.into_parts().0.iter().map(text).collect()
}

fn golden(name: &str, expected: &str, options: &PointOptions) {
    let found = lines(&parse(&fixture(&format!("{name}.txt"))), options).join("\n");
    assert_eq!(found, fixture(&format!("{expected}.lp")).trim_end(), "{name}, now:\n{found}\n");
}

#[test]
fn a_running_guest_of_qemu() {
    golden("qemu-running", "qemu-running", &plain());
}

#[test]
fn a_guest_that_is_shut_off() {
    golden("qemu-shutoff", "qemu-shutoff", &plain());
}

#[test]
fn every_statistic_that_is_documented() {
    golden("documented", "documented", &plain());
}

#[test]
fn newer_statistics_only_on_request() {
    golden("newer", "newer-original", &plain());
    golden("newer", "newer-extended", &PointOptions { extended: true, ..plain() });
}

fn domain() -> Domain {
    let string = |s: &str| FieldValue::String(s.into());
    let params = [
        ("state.state", FieldValue::Integer(3)),
        ("cpu.time", FieldValue::Unsigned(70)),
        ("vcpu.current", FieldValue::Unsigned(2)),
        ("vcpu.0.time", FieldValue::Unsigned(60)),
        ("vcpu.0.halted", FieldValue::Integer(1)),
        ("vcpu.1.halted", FieldValue::Integer(0)),
        ("net.0.name", string("vnet0")),
        ("net.0.rx.bytes", FieldValue::Unsigned(9)),
        ("block.0.name", string("vda")),
        ("block.0.path", string("/dev/vg/web")),
    ];
    let some = |text: &str| Some(text.to_owned());
    let nova = Nova {
        name: some("shop-1"),
        flavor: some("m1.small"),
        project: some("demo"),
        project_id: some("0a1b"),
    };
    Domain {
        name: "web 1".to_owned(),
        uuid: "u-1".to_owned(),
        params: params.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        pins: vec![
            Pin { vcpu: 0, cpus: vec![0, 3], current: Some(3) },
            Pin { vcpu: 1, cpus: vec![], current: None },
        ],
        details: Some(Arc::new(Details { title: some("Shop"), nova: Some(nova) })),
        problem: None,
    }
}

#[test]
fn points_of_a_domain_as_the_original_writes_them() {
    assert_eq!(
        lines(&domain(), &plain()),
        [
            r#"libvirt_state,domain_name=web\ 1 state=3i 5"#,
            r#"libvirt_cpu,domain_name=web\ 1 time=70u 5"#,
            r#"libvirt_vcpu_total,domain_name=web\ 1 current=2u 5"#,
            r#"libvirt_vcpu,domain_name=web\ 1,vcpu_id=0 time=60u,halted="yes",halted_i=1i,cpu_id=3i 5"#,
            r#"libvirt_vcpu,domain_name=web\ 1,vcpu_id=1 halted="no",halted_i=0i 5"#,
            r#"libvirt_net,domain_name=web\ 1,interface_id=0 name="vnet0",rx_bytes=9u 5"#,
            r#"libvirt_block,block_id=0,domain_name=web\ 1 name="vda",path="/dev/vg/web" 5"#,
            r#"libvirt_cpu_affinity,domain_name=web\ 1,vcpu_id=0 cpu_id="0,3" 5"#,
        ]
    );
}

#[test]
fn tags_on_request() {
    let options = PointOptions {
        uuid_tag: true,
        title_tag: true,
        nova_tags: true,
        state_tag: true,
        device_tag: true,
        path_tag: true,
        ..plain()
    };
    let found = lines(&domain(), &options);
    let of_domain = "domain_name=web\\ 1,domain_state=paused";
    let of_nova =
        "nova_flavor=m1.small,nova_name=shop-1,nova_project=demo,nova_project_id=0a1b,title=Shop,uuid=u-1";
    assert_eq!(found[0], format!("libvirt_state,{of_domain},{of_nova} state=3i 5"));
    assert!(found[5].starts_with("libvirt_net,device=vnet0,"), "{}", found[5]);
    assert!(
        found[6].starts_with("libvirt_block,block_id=0,device=vda,device_path=/dev/vg/web,"),
        "{}",
        found[6]
    );
    let without_details = Domain { details: None, ..domain() };
    assert!(lines(&without_details, &options)[0].ends_with("domain_state=paused,uuid=u-1 state=3i 5"));
}

#[test]
fn halted_as_a_number_on_request() {
    let lines = lines(&domain(), &PointOptions { halted_as_text: false, ..plain() });
    assert!(lines[3].contains("halted=1i,halted_i=1i,cpu_id=3i 5"), "{}", lines[3]);
}

#[test]
fn the_time_of_a_cpu_under_a_name_that_influxdb_keeps() {
    let lines = lines(&domain(), &PointOptions { cpu_time_field: Some("time_ns".into()), ..plain() });
    assert!(lines[1].ends_with(" time_ns=70u,time=70u 5"), "{}", lines[1]);
    assert!(lines[3].contains(" time_ns=60u,time=60u,"), "{}", lines[3]);
}

#[test]
fn groups_that_were_not_asked_for_are_not_told() {
    // The state may be read for its tag alone; where a vCPU runs is a field of the vcpu group.
    let lines = lines(&domain(), &PointOptions { state_group: false, vcpu_group: false, ..plain() });
    assert!(!lines.iter().any(|line| line.starts_with("libvirt_state") || line.contains("cpu_id=3i")));
}
