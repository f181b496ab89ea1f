//! Every group's keys, as libvirt's QEMU driver spells them; the golden tests of the points have the rest.

use super::*;

fn routed(key: &str, extended: bool) -> String {
    match route(key, extended) {
        None => "none".to_owned(),
        Some((place, field)) => {
            let tags: String = place.tags.iter().flatten().map(|(k, v)| format!(",{k}={v}")).collect();
            format!("{}{tags} {field}", place.measurement)
        }
    }
}

#[test]
fn words_are_separated_by_dots_dashes_and_underscores() {
    for (key, want) in [
        ("cpu.haltpoll.success.time", "libvirt_cpu haltpoll_success_time"),
        ("balloon.last-update", "libvirt_balloon last_update"),
        ("balloon.hugetlb_pgalloc", "libvirt_balloon hugetlb_pgalloc"),
        ("net.12.tx.drop", "libvirt_net,interface_id=12 tx_drop"),
        ("block.0.backingIndex", "libvirt_block,block_id=0 backingIndex"),
        ("cpu.cache.monitor.1.bank.count", "libvirt_cpu_cache_monitor,cache_monitor_id=1 bank_count"),
        (
            "memory.bandwidth.monitor.0.node.1.bytes.local",
            "libvirt_memory_bandwidth_monitor_node,memory_bandwidth_monitor_id=0,controller_index=1 bytes_local",
        ),
    ] {
        assert_eq!(routed(key, false), want, "{key}");
        assert_eq!(routed(key, true), want, "{key}");
    }
}

#[test]
fn newer_keys_come_on_request() {
    for (key, want) in [
        ("vm.remote_tlb_flush.sum", "libvirt_vm remote_tlb_flush_sum"),
        ("vcpu.0.exits.sum", "libvirt_vcpu,vcpu_id=0 exits_sum"),
        ("block.0.limits.request_alignment", "libvirt_block,block_id=0 limits_request_alignment"),
        ("block.0.timed_group.count", "libvirt_block,block_id=0 timed_group_count"),
        (
            "block.3.timed_group.1.rd_latency_avg",
            "libvirt_block_timed_group,block_id=3,timed_group_id=1 rd_latency_avg",
        ),
        ("iothread.1.poll-weight", "libvirt_iothread,iothread_id=1 poll_weight"),
        ("net.0.hwaddr", "libvirt_net,interface_id=0 hwaddr"),
        ("dirtyrate.calc_unit", "libvirt_dirtyrate calc_unit"),
    ] {
        assert_eq!(routed(key, false), "none", "{key}");
        assert_eq!(routed(key, true), want, "{key}");
    }
}

#[test]
fn nonsense_is_left_out() {
    for key in ["net.x.name", "net..name", "net.0.", "block", "", ".", "cpu.", "memory.other", "gpu.0.load"] {
        assert_eq!(routed(key, false), "none", "{key}");
        assert_eq!(routed(key, true), "none", "{key}");
    }
}
