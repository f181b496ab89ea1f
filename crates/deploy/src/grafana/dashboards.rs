//! The dashboards: hosts, virtual machines, Skywatch itself, and Kafka where there is one. All they ask is InfluxQL that a
//! panel of Grafana and one of the console understand.

use super::board::{Board, Query, Unit};
use crate::cloud::Cloud;

/// Those of a cloud: their identity and their text.
pub(super) fn all(cloud: &Cloud) -> Vec<(&'static str, String)> {
    let mut boards = vec![hosts(), virtual_machines(), skywatch()];
    if cloud.kafka.is_some() {
        boards.push(kafka());
    }
    boards.into_iter().map(Board::finish).collect()
}

const PERCENT: Unit = Unit::of("percent");
const BUSY: Unit = PERCENT.bad_from(75.0, 90.0);
const BYTES: Unit = Unit::of("bytes");
const PER_SECOND: Unit = Unit::of("ops");
const BITS: Unit = Unit::of("bps");
const COUNT: Unit = Unit::of("none");
const NONE: Unit = Unit::of("");

/// The hosts that are chosen.
const CHOSEN: &str =
    r#""host" =~ /^$host$/ AND "datacenter" =~ /^$datacenter$/ AND "rack" =~ /^$rack$/ AND $timeFilter"#;
/// The virtual machines that are.
const GUESTS: &str = r#""host" =~ /^$host$/ AND "domain_name" =~ /^$vm$/ AND $timeFilter"#;
/// The nodes that are.
const NODES: &str = r#""host" =~ /^$host$/ AND $timeFilter"#;
/// File systems that can be full.
const DISKS: &str = r#""fstype" !~ /^(tmpfs|devtmpfs|overlay|squashfs|iso9660)$/"#;
/// Disks whose bytes are not counted again as those of another.
const DEVICES: &str = r#""name" !~ /^(loop|ram|zram|sr|fd|dm-|md)/ AND "name" !~ /^((nvme|mmcblk)[0-9]+(n[0-9]+)?p[0-9]+|(sd|hd|vd|xvd)[a-z]+[0-9]+)$/"#;
/// The same of interfaces.
const INTERFACES: &str = r#""interface" !~ /^(lo|all|veth|vnet|tap|tun|br|virbr|docker|bond|ovs)/"#;

/// `SELECT what FROM measurement` over time, a line for each combination of tags.
fn over_time(what: &str, measurement: &str, condition: &str, by: &str) -> String {
    let by = if by.is_empty() { String::new() } else { format!(", {by}") };
    format!(
        r#"SELECT {what} FROM "{measurement}" WHERE {condition} GROUP BY time($__interval){by} fill(none)"#
    )
}

/// What counters grew a second, each by itself, and then together: `counters` are (field, name).
fn rates(counters: &[(&str, &str)], measurement: &str, condition: &str, each: &str, by: &str) -> String {
    scaled_rates(counters, "", measurement, condition, each, by)
}

fn scaled_rates(
    counters: &[(&str, &str)],
    scale: &str,
    measurement: &str,
    condition: &str,
    each: &str,
    by: &str,
) -> String {
    let list = |one: &dyn Fn(&str, &str) -> String| {
        counters.iter().map(|(field, name)| one(field, name)).collect::<Vec<_>>().join(", ")
    };
    let inner =
        list(&|field, name| format!(r#"non_negative_derivative(max("{field}"), 1s){scale} AS "{name}""#));
    let outer = list(&|_, name| format!(r#"sum("{name}") AS "{name}""#));
    let inner = over_time(&inner, measurement, condition, each);
    let by = if by.is_empty() { String::new() } else { format!(", {by}") };
    format!("SELECT {outer} FROM ({inner}) WHERE $timeFilter GROUP BY time($__interval){by} fill(none)")
}

/// The newest value of each series, put together: `how` is sum, max, min or count.
fn newest(how: &str, field: &str, measurement: &str, condition: &str, each: &str) -> String {
    format!(
        r#"SELECT {how}("v") FROM (SELECT last("{field}") AS "v" FROM "{measurement}" WHERE {condition} GROUP BY {each})"#
    )
}

fn choice_of_hosts(board: Board) -> Board {
    board
        .variable("datacenter", "Data centre", r#"SHOW TAG VALUES FROM "system" WITH KEY = "datacenter""#)
        .variable(
            "rack",
            "Rack",
            r#"SHOW TAG VALUES FROM "system" WITH KEY = "rack" WHERE "datacenter" =~ /^$datacenter$/"#,
        )
        .variable(
            "host",
            "Host",
            r#"SHOW TAG VALUES FROM "system" WITH KEY = "host" WHERE "datacenter" =~ /^$datacenter$/ AND "rack" =~ /^$rack$/"#,
        )
}

fn hosts() -> Board {
    let cpu = format!(r#""cpu" = 'cpu-total' AND {CHOSEN}"#);
    let disk = format!("{DISKS} AND {CHOSEN}");
    let io = format!("{DEVICES} AND {CHOSEN}");
    let net = format!("{INTERFACES} AND {CHOSEN}");
    let each = r#""host""#;
    let lines = |what: &str, measurement: &str| over_time(what, measurement, CHOSEN, each);
    choice_of_hosts(Board::new("cloud-hosts", "Hosts", "What agents say of the machines they run on."))
        .stat("Hosts reporting", COUNT, &newest("count", "uptime", "system", CHOSEN, each))
        .stat("CPU busy", BUSY, &over_time(r#"100 - mean("usage_idle")"#, "cpu", &cpu, ""))
        .stat("Memory used", BUSY, &over_time(r#"mean("used_percent")"#, "mem", CHOSEN, ""))
        .stat("Highest load (1 min)", COUNT, &over_time(r#"max("load1")"#, "system", CHOSEN, ""))
        .stat("Fullest disk", PERCENT.bad_from(80.0, 90.0), &over_time(r#"max("used_percent")"#, "disk", &disk, ""))
        .stat("Shortest uptime", Unit::of("dtdurations"), &newest("min", "uptime", "system", CHOSEN, each))
        .table(
            "Hosts",
            "host",
            &[
                ("host", "Host", NONE),
                ("busy", "CPU busy", BUSY),
                ("memory", "Memory used", BUSY),
                ("load1", "Load 1 min", COUNT),
                ("load15", "Load 15 min", COUNT),
                ("cores", "Cores", COUNT),
                ("uptime", "Uptime", Unit::of("dtdurations")),
            ],
            &[
                &format!(r#"SELECT 100 - last("usage_idle") AS "busy" FROM "cpu" WHERE {cpu} GROUP BY "host""#),
                &format!(r#"SELECT last("used_percent") AS "memory" FROM "mem" WHERE {CHOSEN} GROUP BY "host""#),
                &format!(
                    r#"SELECT last("load1") AS "load1", last("load15") AS "load15", last("n_cpus") AS "cores" FROM "system" WHERE {CHOSEN} GROUP BY "host""#
                ),
                &format!(r#"SELECT last("uptime") AS "uptime" FROM "system" WHERE {CHOSEN} GROUP BY "host""#),
            ],
        )
        .row("CPU")
        .lines("CPU busy", BUSY, &[Query::new(over_time(r#"100 - mean("usage_idle")"#, "cpu", &cpu, each), "$tag_host")])
        .stack(
            "CPU by mode",
            PERCENT,
            &[Query::new(
                over_time(
                    r#"mean("usage_user") AS "user", mean("usage_system") AS "system", mean("usage_iowait") AS "iowait", mean("usage_irq") AS "irq", mean("usage_softirq") AS "softirq", mean("usage_steal") AS "steal", mean("usage_guest") AS "guest""#,
                    "cpu",
                    &cpu,
                    "",
                ),
                "$col",
            )],
        )
        .lines("Load (1 min)", COUNT, &[Query::new(lines(r#"mean("load1")"#, "system"), "$tag_host")])
        .lines(
            "Processes",
            COUNT,
            &[Query::new(lines(r#"max("running") AS "running", max("blocked") AS "blocked""#, "processes"), "$tag_host $col")],
        )
        .row("Memory")
        .lines("Memory used", BUSY, &[Query::new(lines(r#"mean("used_percent")"#, "mem"), "$tag_host")])
        .lines("Swap used", BUSY, &[Query::new(lines(r#"mean("used_percent")"#, "swap"), "$tag_host")])
        .row("Disks")
        .lines(
            "File systems",
            PERCENT.bad_from(80.0, 90.0),
            &[Query::new(over_time(r#"max("used_percent")"#, "disk", &disk, r#""host", "path""#), "$tag_host $tag_path")],
        )
        .lines(
            "Throughput",
            Unit::of("binBps"),
            &[Query::new(
                rates(&[("read_bytes", "read"), ("write_bytes", "write")], "diskio", &io, r#""host", "name""#, each),
                "$tag_host $col",
            )],
        )
        .lines(
            "Operations",
            Unit::of("iops"),
            &[Query::new(
                rates(&[("reads", "read"), ("writes", "write")], "diskio", &io, r#""host", "name""#, each),
                "$tag_host $col",
            )],
        )
        .lines(
            "Utilisation",
            BUSY,
            &[Query::new(
                over_time(
                    r#"non_negative_derivative(max("io_time"), 1s) / 10"#,
                    "diskio",
                    &io,
                    r#""host", "name""#,
                ),
                "$tag_host $tag_name",
            )],
        )
        .row("Network")
        .lines(
            "Traffic",
            BITS,
            &[Query::new(
                scaled_rates(
                    &[("bytes_recv", "received"), ("bytes_sent", "sent")],
                    " * 8",
                    "net",
                    &net,
                    r#""host", "interface""#,
                    each,
                ),
                "$tag_host $col",
            )],
        )
        .lines(
            "Errors and drops",
            Unit::of("pps"),
            &[Query::new(
                rates(
                    &[("err_in", "errors in"), ("err_out", "errors out"), ("drop_in", "drops in"), ("drop_out", "drops out")],
                    "net",
                    &net,
                    r#""host", "interface""#,
                    each,
                ),
                "$tag_host $col",
            )],
        )
}

fn virtual_machines() -> Board {
    let machine = r#""domain_name""#;
    let each = r#""host", "domain_name""#;
    let in_state = |state: &str| {
        format!(
            r#"SELECT count("state") FROM (SELECT last("state") AS "state" FROM "libvirt_state" WHERE {GUESTS} GROUP BY {each}) WHERE {state}"#
        )
    };
    let of = |counters: &[(&str, &str)], scale: &str, measurement: &str, part: &str| {
        let each = format!("{each}, {part}");
        Query::new(
            scaled_rates(counters, scale, measurement, GUESTS, &each, machine),
            "$tag_domain_name $col",
        )
    };
    Board::new("cloud-virtual-machines", "Virtual machines", "What libvirt says of the machines of every hypervisor.")
        .variable("host", "Hypervisor", r#"SHOW TAG VALUES FROM "libvirt_state" WITH KEY = "host""#)
        .variable(
            "vm",
            "Virtual machine",
            r#"SHOW TAG VALUES FROM "libvirt_state" WITH KEY = "domain_name" WHERE "host" =~ /^$host$/"#,
        )
        .stat("Running", COUNT, &in_state(r#""state" = 1 OR "state" = 2"#))
        .stat("Paused", COUNT.bad_from(1.0, 5.0), &in_state(r#""state" = 3 OR "state" = 7"#))
        .stat("Shut off", COUNT, &in_state(r#""state" = 4 OR "state" = 5"#))
        .stat("Crashed", COUNT.bad_from(0.5, 1.0), &in_state(r#""state" = 6"#))
        .stat("vCPUs", COUNT, &newest("sum", "current", "libvirt_vcpu_total", GUESTS, each))
        .stat("Memory held", BYTES_KIB, &newest("sum", "rss", "libvirt_balloon", GUESTS, each))
        .table(
            "Virtual machines",
            "domain_name",
            &[
                ("domain_name", "Virtual machine", NONE),
                ("host", "Hypervisor", NONE),
                ("state", "State", COUNT),
                ("vcpus", "vCPUs", COUNT),
                ("memory", "Memory", BYTES_KIB),
                ("rss", "Resident", BYTES_KIB),
            ],
            &[
                &format!(
                    r#"SELECT last("state") AS "state" FROM "libvirt_state" WHERE {GUESTS} GROUP BY "host", "domain_name""#
                ),
                &format!(
                    r#"SELECT last("current") AS "vcpus" FROM "libvirt_vcpu_total" WHERE {GUESTS} GROUP BY "domain_name""#
                ),
                &format!(
                    r#"SELECT last("current") AS "memory", last("rss") AS "rss" FROM "libvirt_balloon" WHERE {GUESTS} GROUP BY "domain_name""#
                ),
            ],
        )
        .row("CPU and memory")
        .lines(
            "CPU (100 % is one core)",
            PERCENT,
            &[Query::new(
                over_time(
                    r#"(non_negative_derivative(max("user"), 1s) + non_negative_derivative(max("system"), 1s)) / 10000000"#,
                    "libvirt_cpu",
                    GUESTS,
                    each,
                ),
                "$tag_domain_name",
            )],
        )
        .lines("Waiting for a core", PERCENT, &[of(&[("delay", "waiting")], " / 10000000", "libvirt_vcpu", r#""vcpu_id""#)])
        .lines(
            "Resident memory",
            BYTES_KIB,
            &[Query::new(over_time(r#"mean("rss")"#, "libvirt_balloon", GUESTS, each), "$tag_domain_name")],
        )
        .row("Network and disks")
        .lines(
            "Traffic",
            BITS,
            &[of(&[("rx_bytes", "received"), ("tx_bytes", "sent")], " * 8", "libvirt_net", r#""interface_id""#)],
        )
        .lines(
            "Errors and drops",
            Unit::of("pps"),
            &[of(
                &[("rx_errs", "rx errors"), ("tx_errs", "tx errors"), ("rx_drop", "rx drops"), ("tx_drop", "tx drops")],
                "",
                "libvirt_net",
                r#""interface_id""#,
            )],
        )
        .lines(
            "Disk throughput",
            Unit::of("binBps"),
            &[of(&[("rd_bytes", "read"), ("wr_bytes", "written")], "", "libvirt_block", r#""block_id""#)],
        )
        .lines(
            "Disk operations",
            Unit::of("iops"),
            &[of(&[("rd_reqs", "reads"), ("wr_reqs", "writes")], "", "libvirt_block", r#""block_id""#)],
        )
}

/// libvirt counts memory in KiB.
const BYTES_KIB: Unit = Unit::of("kbytes");

fn skywatch() -> Board {
    let each = r#""host""#;
    let gauge = |measurement: &str, by: &str, alias: &'static str| {
        Query::new(over_time(r#"max("gauge")"#, measurement, NODES, by), alias)
    };
    let counted = |measurement: &str, name: &str, by: &str, alias: &'static str| {
        Query::new(rates(&[("counter", name)], measurement, NODES, by, by), alias)
    };
    let certificate = r#"SELECT last("expiry") / 86400 AS "days" FROM "x509_cert" WHERE "type" = 'leaf' AND $timeFilter GROUP BY "host", "common_name""#;
    Board::new("cloud-skywatch", "Skywatch", "The cluster itself: data nodes, what they owe each other, fronts, certificates.")
        .variable("host", "Data node", r#"SHOW TAG VALUES FROM "skywatch_build_info" WITH KEY = "host""#)
        .stat("Data nodes reporting", COUNT, &newest("count", "gauge", "skywatch_build_info", NODES, each))
        .stat("Of which hold everything", COUNT, &newest("sum", "gauge", "skywatch_node_is_whole", NODES, each))
        .stat(
            "Hinted handoff waiting",
            BYTES.bad_from(1e6, 1e9),
            &newest("sum", "gauge", "skywatch_hinted_handoff_bytes", NODES, r#""host", "node""#),
        )
        .stat(
            "Shards that differ",
            COUNT.bad_from(1.0, 10.0),
            &newest("max", "gauge", "skywatch_entropy_shards_differing", NODES, each),
        )
        .stat(
            "Damaged segments",
            COUNT.bad_from(0.5, 1.0),
            &newest("sum", "gauge", "skywatch_segments_damaged", NODES, each),
        )
        .stat("On disk", BYTES, &newest("sum", "gauge", "skywatch_segment_bytes", NODES, each))
        .row("Writes and queries")
        .lines("Points stored", PER_SECOND, &[counted("skywatch_write_points_total", "points", each, "$tag_host")])
        .lines(
            "Requests",
            Unit::of("reqps"),
            &[counted("skywatch_http_requests_total", "requests", r#""host", "route", "status""#, "$tag_host $tag_route $tag_status")],
        )
        .lines(
            "Time of a request",
            Unit::of("s"),
            &[Query::new(
                over_time(
                    r#"non_negative_derivative(max("sum"), 1s) / non_negative_derivative(max("count"), 1s)"#,
                    "skywatch_http_request_duration_seconds",
                    NODES,
                    r#""host", "route""#,
                ),
                "$tag_host $tag_route",
            )],
        )
        .lines(
            "Refused and failed",
            PER_SECOND,
            &[
                counted("skywatch_write_points_rejected_total", "points rejected", each, "$tag_host points rejected"),
                counted("skywatch_write_overloaded_total", "no memory", each, "$tag_host no memory"),
                counted("skywatch_write_failed_total", "failed", each, "$tag_host failed"),
            ],
        )
        .row("Copies")
        .lines(
            "Hinted handoff waiting",
            BYTES,
            &[gauge("skywatch_hinted_handoff_bytes", r#""host", "node""#, "$tag_host for node $tag_node")],
        )
        .lines(
            "Hinted handoff given up",
            PER_SECOND,
            &[counted("skywatch_hinted_handoff_dropped_total", "dropped", r#""host", "node""#, "$tag_host for node $tag_node")],
        )
        .lines("Nodes that cannot be reached", COUNT, &[gauge("skywatch_rpc_absent", r#""host", "to""#, "$tag_host to $tag_to")])
        .lines("Shards that differ", COUNT, &[gauge("skywatch_entropy_shards_differing", each, "$tag_host")])
        .row("Storage and memory")
        .lines("Write-ahead log", BYTES, &[gauge("skywatch_wal_bytes", each, "$tag_host")])
        .lines("Bytes to merge", BYTES, &[gauge("skywatch_compaction_backlog_bytes", each, "$tag_host")])
        .lines(
            "Memory by use",
            BYTES,
            &[gauge("skywatch_memory_used_bytes", r#""host", "consumer""#, "$tag_host $tag_consumer")],
        )
        .lines("Series", COUNT, &[gauge("skywatch_database_series", r#""host", "database""#, "$tag_host $tag_database")])
        .lines("Resident memory", BYTES, &[gauge("process_resident_memory_bytes", each, "$tag_host")])
        .lines(
            "CPU (100 % is one core)",
            PERCENT,
            &[Query::new(
                over_time(
                    r#"non_negative_derivative(max("counter"), 1s) * 100"#,
                    "process_cpu_seconds_total",
                    NODES,
                    each,
                ),
                "$tag_host",
            )],
        )
        .row("Fronts and certificates")
        .lines(
            "Sessions",
            COUNT,
            &[Query::new(
                r#"SELECT max("scur") FROM "haproxy" WHERE "type" = 'frontend' AND $timeFilter GROUP BY time($__interval), "host", "proxy" fill(none)"#,
                "$tag_host $tag_proxy",
            )],
        )
        .lines(
            "Data nodes that a front sends clients to",
            COUNT,
            &[Query::new(
                r#"SELECT min("active_servers") FROM "haproxy" WHERE "type" = 'backend' AND $timeFilter GROUP BY time($__interval), "host", "proxy" fill(none)"#,
                "$tag_host $tag_proxy",
            )],
        )
        .table(
            "Certificates",
            "host",
            &[
                ("host", "Host", NONE),
                ("common_name", "Name", NONE),
                ("days", "Days left", COUNT.bad_from(30.0, 14.0)),
            ],
            &[certificate],
        )
}

fn kafka() -> Board {
    let partition = r#""host", "partition""#;
    let gauge = |measurement: &str, alias: &'static str| {
        Query::new(over_time(r#"max("gauge")"#, measurement, NODES, partition), alias)
    };
    let counted = |measurement: &str, alias: &'static str| {
        Query::new(rates(&[("counter", "records")], measurement, NODES, r#""host""#, r#""host""#), alias)
    };
    let all = "$timeFilter";
    Board::new(
        "cloud-kafka",
        "Kafka",
        "How far data nodes and other consumers are behind, and how the brokers are.",
    )
    .variable("host", "Data node", r#"SHOW TAG VALUES FROM "skywatch_log_reachable" WITH KEY = "host""#)
    .stat(
        "Brokers that answer",
        COUNT,
        &format!(r#"SELECT last("brokers_answering") FROM "kafka_cluster" WHERE {all}"#),
    )
    .stat(
        "Partitions without all copies",
        COUNT.bad_from(1.0, 10.0),
        &format!(r#"SELECT last("under_replicated") FROM "kafka_cluster" WHERE {all}"#),
    )
    .stat(
        "Partitions without a leader",
        COUNT.bad_from(0.5, 1.0),
        &format!(r#"SELECT last("offline") FROM "kafka_cluster" WHERE {all}"#),
    )
    .stat(
        "Furthest behind",
        Unit::of("s").bad_from(10.0, 60.0),
        &newest("max", "gauge", "skywatch_log_lag_seconds", NODES, partition),
    )
    .stat("Records behind", COUNT, &newest("sum", "gauge", "skywatch_log_lag_records", NODES, partition))
    .stat("Fresh copies", COUNT, &newest("sum", "gauge", "skywatch_log_fresh", NODES, partition))
    .row("Data nodes")
    .lines("Behind, in time", Unit::of("s"), &[gauge("skywatch_log_lag_seconds", "$tag_host $tag_partition")])
    .lines("Behind, in records", COUNT, &[gauge("skywatch_log_lag_records", "$tag_host $tag_partition")])
    .lines(
        "Records",
        PER_SECOND,
        &[
            counted("skywatch_log_appended_total", "$tag_host put in"),
            counted("skywatch_log_records_total", "$tag_host applied"),
        ],
    )
    .lines(
        "Trouble",
        PER_SECOND,
        &[
            counted("skywatch_log_append_errors_total", "$tag_host not taken"),
            counted("skywatch_log_set_aside_total", "$tag_host set aside"),
            counted("skywatch_log_expired_total", "$tag_host expired"),
        ],
    )
    .row("Brokers")
    .lines(
        "Answer after",
        Unit::of("s"),
        &[Query::new(
            over_time(r#"max("response_time")"#, "kafka_broker", all, r#""broker""#),
            "$tag_broker",
        )],
    )
    .lines(
        "Logs",
        BYTES,
        &[Query::new(over_time(r#"max("log_size")"#, "kafka_broker", all, r#""broker""#), "$tag_broker")],
    )
    .lines(
        "Messages",
        PER_SECOND,
        &[Query::new(
            rates(&[("high", "messages")], "kafka_partition", all, r#""topic", "partition""#, r#""topic""#),
            "$tag_topic",
        )],
    )
    .lines(
        "Groups behind",
        COUNT,
        &[Query::new(over_time(r#"max("lag")"#, "kafka_consumer_group", all, r#""group""#), "$tag_group")],
    )
    .row("ZooKeeper")
    .lines(
        "Outstanding requests",
        COUNT,
        &[Query::new(
            over_time(r#"max("outstanding_requests")"#, "zookeeper", all, r#""host""#),
            "$tag_host",
        )],
    )
    .lines(
        "Connections",
        COUNT,
        &[Query::new(
            over_time(r#"max("num_alive_connections")"#, "zookeeper", all, r#""host""#),
            "$tag_host",
        )],
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn no_two_panels_lie_on_each_other_and_none_leaves_the_grid() {
        for board in [hosts(), virtual_machines(), skywatch(), kafka()] {
            let (uid, text) = board.finish();
            let board: Value = serde_json::from_str(&text).unwrap();
            let places: Vec<[u64; 4]> = board["panels"]
                .as_array()
                .unwrap()
                .iter()
                .map(|panel| ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap()))
                .collect();
            for (i, [x, y, w, h]) in places.iter().enumerate() {
                assert!(x + w <= 24, "{uid}");
                for [other_x, other_y, other_w, other_h] in &places[i + 1..] {
                    let apart = x + w <= *other_x
                        || other_x + other_w <= *x
                        || y + h <= *other_y
                        || other_y + other_h <= *y;
                    assert!(apart, "{uid}: panel {i}");
                }
            }
        }
    }
}
