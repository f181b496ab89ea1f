//! What is watched: a table of rules, each a query whose newest value is compared with a number.

use crate::cloud::{Cloud, Role};

/// On which side of the number it is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// Above.
    Above,
    /// Below.
    Below,
    /// At it: of whole numbers, of which others mean something else.
    At,
}

/// A rule.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// Its identity, in letters, digits and hyphens.
    pub(super) uid: &'static str,
    pub(super) title: &'static str,
    /// A number for each thing that is watched: a series with labels.
    pub(super) query: String,
    /// How far back it looks, in seconds.
    pub(super) seconds: u32,
    pub(super) bad: Bad,
    pub(super) than: f64,
    /// How long it has to be so.
    pub(super) hold: &'static str,
    /// `critical` or `warning`.
    pub(super) severity: &'static str,
    /// What somebody is told; `{{ $labels.x }}` and `{{ $values.B.Value }}` are filled in.
    pub(super) summary: &'static str,
}

/// Those that make sense for a cloud.
pub(super) fn all(cloud: &Cloud) -> Vec<Rule> {
    let mut rules = vec![
        silent("system", r#""host""#),
        Rule {
            uid: "skywatch-cpu",
            title: "CPU busy",
            query: newest(r#"100 - mean("usage_idle")"#, "cpu", r#""cpu" = 'cpu-total' AND "#, r#""host""#),
            bad: Bad::Above,
            than: 90.0,
            hold: "10m",
            summary: "{{ $labels.host }} has been busy for ten minutes: {{ $values.B.Value }} % CPU.",
            ..warning()
        },
        Rule {
            uid: "skywatch-memory",
            title: "Memory almost full",
            query: newest(r#"mean("used_percent")"#, "mem", "", r#""host""#),
            than: 90.0,
            hold: "5m",
            summary: "{{ $labels.host }} uses {{ $values.B.Value }} % of its memory.",
            ..warning()
        },
        Rule {
            uid: "skywatch-disk",
            title: "Disk almost full",
            query: newest(r#"max("used_percent")"#, "disk", "", r#""host", "path""#),
            than: 85.0,
            hold: "5m",
            severity: "critical",
            summary: "{{ $labels.path }} of {{ $labels.host }} is {{ $values.B.Value }} % full.",
            ..warning()
        },
        Rule {
            uid: "skywatch-certificate",
            title: "Certificate expires",
            query: newest(
                r#"last("expiry") / 86400"#,
                "x509_cert",
                r#""type" = 'leaf' AND "#,
                r#""host", "common_name""#,
            ),
            seconds: 3600,
            bad: Bad::Below,
            than: 14.0,
            hold: "10m",
            severity: "critical",
            summary: "The certificate of {{ $labels.host }} is good for {{ $values.B.Value }} more days: skywatch cert.",
        },
    ];
    if cloud.with(Role::Hypervisor).next().is_some() {
        rules.push(Rule {
            uid: "skywatch-vm-crashed",
            title: "Virtual machine crashed",
            // 6 is libvirt's word for it; 7 is a machine that its guest has suspended.
            query: newest(r#"last("state")"#, "libvirt_state", "", r#""host", "domain_name""#),
            bad: Bad::At,
            than: 6.0,
            hold: "0s",
            severity: "critical",
            summary: "{{ $labels.domain_name }} on {{ $labels.host }} has crashed.",
            ..warning()
        });
    }
    rules.extend(of_data_nodes());
    if cloud.with(Role::Front).next().is_some() {
        rules.push(Rule {
            uid: "skywatch-front",
            title: "Front without data nodes",
            query: newest(
                r#"min("active_servers")"#,
                "haproxy",
                r#""type" = 'backend' AND "#,
                r#""host", "proxy""#,
            ),
            bad: Bad::Below,
            than: 1.0,
            hold: "30s",
            severity: "critical",
            summary: "{{ $labels.host }} has nobody to send clients of {{ $labels.proxy }} to.",
            ..warning()
        });
    }
    if cloud.kafka.is_some() {
        rules.extend(of_kafka());
    }
    rules
}

/// What a data node tells of itself.
fn of_data_nodes() -> Vec<Rule> {
    vec![
        Rule {
            uid: "skywatch-behind",
            title: "Data node behind",
            query: newest(r#"last("gauge")"#, "skywatch_node_is_whole", "", r#""host""#),
            bad: Bad::Below,
            than: 1.0,
            hold: "10m",
            severity: "critical",
            summary: "{{ $labels.host }} has not held all that was acknowledged for ten minutes: others answer for it.",
            ..warning()
        },
        Rule {
            uid: "skywatch-handoff",
            title: "Hinted handoff grows",
            query: newest(
                r#"last("gauge") / 1000000"#,
                "skywatch_hinted_handoff_bytes",
                "",
                r#""host", "node""#,
            ),
            than: 1000.0,
            hold: "5m",
            summary: "{{ $labels.host }} keeps {{ $values.B.Value }} MB for node {{ $labels.node }}.",
            ..warning()
        },
        Rule {
            uid: "skywatch-damage",
            title: "Damaged segments",
            query: newest(r#"last("gauge")"#, "skywatch_segments_damaged", "", r#""host""#),
            than: 0.0,
            hold: "0s",
            severity: "critical",
            summary: "{{ $labels.host }} has {{ $values.B.Value }} damaged segments: skywatch inspect verify names them.",
            ..warning()
        },
        Rule {
            uid: "skywatch-points-set-aside",
            title: "Points set aside",
            query: newest(r#"last("gauge")"#, "skywatch_set_aside_files", "", r#""host""#),
            than: 0.0,
            hold: "0s",
            summary: "{{ $labels.host }} gave up points in favour of another type, or refused them too late, and keeps them in \
                      {{ $values.B.Value }} files: set-aside/ of the shards, see docs/replication.md.",
            ..warning()
        },
        Rule {
            uid: "skywatch-failed-writes",
            title: "Writes fail",
            query: growth("skywatch_write_failed_total"),
            than: 0.0,
            hold: "0s",
            severity: "critical",
            summary: "{{ $labels.host }} failed to store {{ $values.B.Value }} writes in five minutes.",
            ..warning()
        },
    ]
}

fn of_kafka() -> Vec<Rule> {
    vec![
        Rule {
            uid: "skywatch-lag",
            title: "Data node behind Kafka",
            query: newest(r#"last("gauge")"#, "skywatch_log_lag_seconds", "", r#""host", "partition""#),
            than: 60.0,
            hold: "5m",
            summary: "{{ $labels.host }} is {{ $values.B.Value }} s behind in partition {{ $labels.partition }}.",
            ..warning()
        },
        Rule {
            uid: "skywatch-set-aside",
            title: "Records set aside",
            query: growth("skywatch_log_set_aside_total"),
            than: 0.0,
            hold: "0s",
            summary: "{{ $labels.host }} set {{ $values.B.Value }} records aside that it could not apply.",
            ..warning()
        },
        Rule {
            uid: "skywatch-kafka-copies",
            title: "Kafka lacks copies",
            query: newest(r#"last("under_replicated")"#, "kafka_cluster", "", r#""cluster""#),
            than: 0.0,
            hold: "5m",
            severity: "critical",
            summary: "{{ $values.B.Value }} partitions of Kafka lack copies: is a broker away?",
            ..warning()
        },
    ]
}

/// A host of which nothing has come for minutes, and came within the last hours. Minutes without a point count as 0; the
/// last of them is not over, so three are looked at together.
fn silent(measurement: &str, by: &str) -> Rule {
    Rule {
        uid: "skywatch-silent",
        title: "Host silent",
        query: format!(
            r#"SELECT moving_average(count("uptime"), 3) FROM "{measurement}" WHERE $timeFilter GROUP BY time(1m), {by} fill(0)"#
        ),
        seconds: 6 * 3600,
        bad: Bad::Below,
        than: 0.1,
        hold: "1m",
        severity: "critical",
        summary: "Nothing has been heard of {{ $labels.host }} for minutes.",
    }
}

/// Of one host alone.
pub(super) fn silent_host(host: &str) -> Rule {
    let mut rule = silent("system", r#""host""#);
    rule.query = rule.query.replace("WHERE ", &format!(r#"WHERE "host" = '{host}' AND "#));
    rule
}

fn warning() -> Rule {
    Rule {
        uid: "",
        title: "",
        query: String::new(),
        seconds: 300,
        bad: Bad::Above,
        than: 0.0,
        hold: "0s",
        severity: "warning",
        summary: "",
    }
}

fn newest(what: &str, measurement: &str, condition: &str, by: &str) -> String {
    format!(
        r#"SELECT {what} FROM "{measurement}" WHERE {condition}$timeFilter GROUP BY time(1m), {by} fill(none)"#
    )
}

/// How much a counter grew.
fn growth(measurement: &str) -> String {
    format!(r#"SELECT spread("counter") FROM "{measurement}" WHERE $timeFilter GROUP BY "host""#)
}
