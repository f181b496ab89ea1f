//! Every group's keys, as libvirt's QEMU driver spells them.

use super::*;

fn routed(key: &str) -> String {
    match route(key) {
        None => "none".to_owned(),
        Some((place, field)) => {
            let tags: String = place.tags.iter().map(|(k, v)| format!(",{k}={v}")).collect();
            format!("{}{tags} {field}", place.measurement)
        }
    }
}

#[test]
fn keys_of_every_group() {
    for (key, want) in [
        ("state.state", "libvirt_state state"),
        ("state.reason", "libvirt_state reason"),
        ("cpu.time", "libvirt_cpu time"),
        ("cpu.haltpoll.success.time", "libvirt_cpu haltpoll_success_time"),
        ("cpu.haltpoll.fail.time", "libvirt_cpu haltpoll_fail_time"),
        ("cpu.cache.monitor.count", "libvirt_cpu_cache_monitor_total count"),
        ("cpu.cache.monitor.0.name", "libvirt_cpu_cache_monitor,cache_monitor_id=0 name"),
        ("cpu.cache.monitor.0.vcpus", "libvirt_cpu_cache_monitor,cache_monitor_id=0 vcpus"),
        ("cpu.cache.monitor.1.bank.count", "libvirt_cpu_cache_monitor,cache_monitor_id=1 bank_count"),
        (
            "cpu.cache.monitor.1.bank.2.bytes",
            "libvirt_cpu_cache_monitor_bank,cache_monitor_id=1,bank_index=2 bytes",
        ),
        ("balloon.current", "libvirt_balloon current"),
        ("balloon.last-update", "libvirt_balloon last_update"),
        ("balloon.hugetlb_pgalloc", "libvirt_balloon hugetlb_pgalloc"),
        ("vcpu.current", "libvirt_vcpu_total current"),
        ("vcpu.maximum", "libvirt_vcpu_total maximum"),
        ("vcpu.3.delay", "libvirt_vcpu,vcpu_id=3 delay"),
        ("vcpu.3.halted", "libvirt_vcpu,vcpu_id=3 halted"),
        ("net.count", "libvirt_net_total count"),
        ("net.0.rx.bytes", "libvirt_net,interface_id=0 rx_bytes"),
        ("net.12.tx.drop", "libvirt_net,interface_id=12 tx_drop"),
        ("perf.cpu_cycles", "libvirt_perf cpu_cycles"),
        ("perf.stalled_cycles_frontend", "libvirt_perf stalled_cycles_frontend"),
        ("block.count", "libvirt_block_total count"),
        ("block.0.backingIndex", "libvirt_block,block_id=0 backingIndex"),
        ("block.1.rd.times", "libvirt_block,block_id=1 rd_times"),
        ("block.1.threshold", "libvirt_block,block_id=1 threshold"),
        ("iothread.count", "libvirt_iothread_total count"),
        ("iothread.7.poll-max-ns", "libvirt_iothread,iothread_id=7 poll_max_ns"),
        ("memory.bandwidth.monitor.count", "libvirt_memory_bandwidth_monitor_total count"),
        (
            "memory.bandwidth.monitor.0.node.count",
            "libvirt_memory_bandwidth_monitor,memory_bandwidth_monitor_id=0 node_count",
        ),
        (
            "memory.bandwidth.monitor.0.node.1.bytes.local",
            "libvirt_memory_bandwidth_monitor_node,memory_bandwidth_monitor_id=0,controller_index=1 bytes_local",
        ),
        ("dirtyrate.calc_start_time", "libvirt_dirtyrate calc_start_time"),
        ("dirtyrate.vcpu.0.megabytes_per_second", "libvirt_dirtyrate_vcpu,vcpu_id=0 megabytes_per_second"),
    ] {
        assert_eq!(routed(key), want, "{key}");
    }
}

#[test]
fn newer_keys_and_nonsense_are_left_out() {
    for key in [
        "vm.remote_tlb_flush.sum",
        "vcpu.0.exits.sum",
        "block.0.limits.request_alignment",
        "iothread.1.poll-weight",
        "net.x.name",
        "net..name",
        "block",
        "",
        "cpu.cache.monitor.a.name",
        "memory.other",
    ] {
        assert_eq!(routed(key), "none", "{key}");
    }
}

fn lines(domain: &Domain, options: PointOptions) -> Vec<String> {
    let mut acc = Accumulator::new(5);
    add_points(&mut acc, domain, &options);
    let text = |metric: &Metric| {
        let mut out = String::new();
        let serialize =
            skywatch_model::serialize::SerializeOptions { uint_support: true, ..Default::default() };
        crate::line::append(&mut out, metric, true, serialize).expect("serialisable");
        out.trim_end().to_owned()
    };
    acc.into_parts().0.iter().map(text).collect()
}

fn domain() -> Domain {
    let string = |s: &str| FieldValue::String(s.into());
    let params = [
        ("state.state", FieldValue::Integer(1)),
        ("vcpu.current", FieldValue::Unsigned(2)),
        ("vcpu.0.state", FieldValue::Integer(1)),
        ("vcpu.0.halted", FieldValue::Integer(1)),
        ("vcpu.1.halted", FieldValue::Integer(0)),
        ("net.0.name", string("vnet0")),
        ("net.0.rx.bytes", FieldValue::Unsigned(9)),
        ("block.0.name", string("vda")),
    ];
    Domain {
        name: "web 1".to_owned(),
        uuid: "u-1".to_owned(),
        title: Some("Shop".to_owned()),
        params: params.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        pins: vec![
            Pin { vcpu: 0, cpus: vec![0, 3], current: Some(3) },
            Pin { vcpu: 1, cpus: vec![], current: None },
        ],
    }
}

#[test]
fn points_of_a_domain_as_the_original_writes_them() {
    let options = PointOptions { halted_as_text: true, vcpu_group: true, ..PointOptions::default() };
    assert_eq!(
        lines(&domain(), options),
        [
            r#"libvirt_state,domain_name=web\ 1 state=1i 5"#,
            r#"libvirt_vcpu_total,domain_name=web\ 1 current=2u 5"#,
            r#"libvirt_vcpu,domain_name=web\ 1,vcpu_id=0 state=1i,halted="yes",halted_i=1i,cpu_id=3i 5"#,
            r#"libvirt_vcpu,domain_name=web\ 1,vcpu_id=1 halted="no",halted_i=0i 5"#,
            r#"libvirt_net,domain_name=web\ 1,interface_id=0 name="vnet0",rx_bytes=9u 5"#,
            r#"libvirt_block,block_id=0,domain_name=web\ 1 name="vda" 5"#,
            r#"libvirt_cpu_affinity,domain_name=web\ 1,vcpu_id=0 cpu_id="0,3" 5"#,
        ]
    );
}

#[test]
fn extra_tags_and_numbers_on_request() {
    let options = PointOptions {
        uuid_tag: true,
        title_tag: true,
        device_tag: true,
        halted_as_text: false,
        vcpu_group: false,
    };
    let lines = lines(&domain(), options);
    assert_eq!(lines[0], r"libvirt_state,domain_name=web\ 1,title=Shop,uuid=u-1 state=1i 5");
    assert!(lines[2].contains("halted=1i,halted_i=1i 5"), "{}", lines[2]);
    assert!(lines[4].contains("device=vnet0,"), "{}", lines[4]);
    assert!(lines[5].contains("device=vda,"), "{}", lines[5]);
    assert!(!lines.iter().any(|line| line.contains("cpu_id=3i")), "without the vcpu group");
}
