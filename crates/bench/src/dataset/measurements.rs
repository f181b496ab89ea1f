//! The suite's nine measurements: their fields, their own tags, and how each value moves from step to step.
//!
//! Kinds of values, as the suite's: gauges walk between bounds by normal steps, counters grow by normal amounts,
//! some stay as they began, some follow from others of the same row.

use std::io::Write as _;

use super::Values;
use crate::random::Random;

/// What a host reports about one thing.
#[derive(Debug)]
pub(super) struct Measurement {
    pub(super) name: &'static str,
    /// Appends tags besides the host's, each after a comma; the sequence is the same for every row of a host.
    pub(super) append_tags: fn(&mut Vec<u8>, &mut Random),
    pub(super) fields: &'static [Field],
}

impl Measurement {
    /// Appends the fields, the first after a space.
    pub(super) fn append_fields(&self, out: &mut Vec<u8>, walks: &[f64], written: Values) {
        let mut separator = ' ';
        for (field, &walk) in self.fields.iter().zip(walks) {
            let value = if let Source::Of(formula) = field.source { formula(walks) } else { walk };
            let name = field.name;
            match written {
                Values::Integer if !field.is_float => write!(out, "{separator}{name}={}i", value as i64),
                Values::Integer | Values::Float => write!(out, "{separator}{name}={value}"),
            }
            .unwrap_or_default();
            separator = ',';
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    name: &'static str,
    pub(super) source: Source,
    is_float: bool,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// Begins anywhere between 0 and `high` and walks there.
    Gauge { high: f64, deviation: f64 },
    /// Begins at 0 and grows.
    Counter { mean: f64, deviation: f64 },
    /// `unit` times 2, 3 or 4, for ever.
    Choice { unit: f64 },
    /// Begins below `start` and grows by so much at every step.
    Clock { start: f64, by: f64 },
    /// Follows from the other values of the row, as they would be before rounding.
    Of(fn(&[f64]) -> f64),
}

impl Source {
    pub(super) fn start(self, random: &mut Random) -> f64 {
        match self {
            Self::Gauge { high, .. } => random.unit() * high,
            Self::Counter { .. } | Self::Of(_) => 0.0,
            Self::Choice { unit } => unit * (2 + random.below(3)) as f64,
            Self::Clock { start, .. } => (random.unit() * start).floor(),
        }
    }

    pub(super) fn step(self, value: &mut f64, random: &mut Random) {
        match self {
            Self::Gauge { high, deviation } => {
                *value = random.normal().mul_add(deviation, *value).clamp(0.0, high);
            }
            Self::Counter { mean, deviation } => {
                *value += random.normal().mul_add(deviation, mean).abs();
            }
            Self::Clock { by, .. } => *value += by,
            Self::Choice { .. } | Self::Of(_) => {}
        }
    }
}

const fn field(name: &'static str, source: Source) -> Field {
    Field { name, source, is_float: false }
}
const fn gauge(name: &'static str, high: f64, deviation: f64) -> Field {
    field(name, Source::Gauge { high, deviation })
}
const fn counter(name: &'static str, mean: f64) -> Field {
    field(name, Source::Counter { mean, deviation: 1.0 })
}
const fn of(name: &'static str, formula: fn(&[f64]) -> f64) -> Field {
    field(name, Source::Of(formula))
}
const fn percent(name: &'static str, formula: fn(&[f64]) -> f64) -> Field {
    Field { name, source: Source::Of(formula), is_float: true }
}

const GIB: f64 = 1_073_741_824.0;
const TERABYTE: f64 = 1e12;
const INODE_BYTES: f64 = 4096.0;

/// The fields of cpu, which all queries ask about.
pub(crate) const CPU_FIELDS: [&str; 10] = [
    "usage_user",
    "usage_system",
    "usage_idle",
    "usage_nice",
    "usage_iowait",
    "usage_irq",
    "usage_softirq",
    "usage_steal",
    "usage_guest",
    "usage_guest_nice",
];

const CPU_GAUGES: [Field; CPU_FIELDS.len()] = {
    let mut fields = [gauge("", 100.0, 1.0); CPU_FIELDS.len()];
    let mut at = 0;
    while at < fields.len() {
        fields[at].name = CPU_FIELDS[at];
        at += 1;
    }
    fields
};

pub(super) const CPU: Measurement = Measurement { name: "cpu", append_tags: |_, _| {}, fields: &CPU_GAUGES };

/// All nine, in the suite's order.
pub(super) const DEVOPS: [Measurement; 9] = [
    CPU,
    Measurement {
        name: "diskio",
        append_tags: |out, random| {
            let mut part = || random.below(1000);
            write!(out, ",serial={:03}-{:03}-{:03}", part(), part(), part()).unwrap_or_default();
        },
        fields: &[
            counter("reads", 50.0),
            counter("writes", 50.0),
            counter("read_bytes", 100.0),
            counter("write_bytes", 100.0),
            counter("read_time", 5.0),
            counter("write_time", 5.0),
            counter("io_time", 5.0),
        ],
    },
    Measurement {
        name: "disk",
        append_tags: |out, random| {
            let (disk, system) = (random.below(10), random.choose(&["ext3", "ext4", "btrfs"]));
            write!(out, ",path=/dev/sda{disk},fstype={system}").unwrap_or_default();
        },
        fields: &[
            of("total", |_| TERABYTE),
            field("free", Source::Gauge { high: TERABYTE, deviation: 1e6 }),
            of("used", |disk| TERABYTE - disk[1].floor()),
            of("used_percent", |disk| 100.0 * (TERABYTE - disk[1]) / TERABYTE),
            of("inodes_total", |_| TERABYTE / INODE_BYTES),
            of("inodes_free", |disk| disk[1] / INODE_BYTES),
            of("inodes_used", |disk| (TERABYTE - disk[1]) / INODE_BYTES),
        ],
    },
    Measurement {
        name: "kernel",
        append_tags: |_, _| {},
        fields: &[
            field("boot_time", Source::Clock { start: 1e9, by: 0.0 }),
            counter("interrupts", 5.0),
            counter("context_switches", 5.0),
            counter("processes_forked", 5.0),
            counter("disk_pages_in", 5.0),
            counter("disk_pages_out", 5.0),
        ],
    },
    Measurement {
        name: "mem",
        append_tags: |_, _| {},
        fields: &[
            field("total", Source::Choice { unit: 4.0 * GIB }),
            of("available", |mem| mem[0] - mem[2].floor()),
            gauge("used", 8.0 * GIB, GIB / 8.0),
            of("free", |mem| mem[0] - mem[2].floor()),
            gauge("cached", 8.0 * GIB, GIB / 8.0),
            gauge("buffered", 8.0 * GIB, GIB / 8.0),
            percent("used_percent", |mem| 100.0 * mem[2] / mem[0]),
            percent("available_percent", |mem| 100.0 * (mem[0] - mem[2]) / mem[0]),
            percent("buffered_percent", |mem| 100.0 * mem[5] / mem[0]),
        ],
    },
    Measurement {
        name: "net",
        append_tags: |out, random| {
            write!(out, ",interface=eth{}", random.below(4)).unwrap_or_default();
        },
        fields: &[
            counter("bytes_sent", 50.0),
            counter("bytes_recv", 50.0),
            counter("packets_sent", 50.0),
            counter("packets_recv", 50.0),
            counter("err_in", 5.0),
            counter("err_out", 5.0),
            counter("drop_in", 5.0),
            counter("drop_out", 5.0),
        ],
    },
    Measurement {
        name: "nginx",
        append_tags: |out, random| {
            write!(out, ",port={},server=nginx_{}", 3000 + random.below(20_000), random.below(100_000))
                .unwrap_or_default();
        },
        fields: &[
            counter("accepts", 5.0),
            gauge("active", 100.0, 5.0),
            counter("handled", 5.0),
            gauge("reading", 100.0, 5.0),
            counter("requests", 5.0),
            gauge("waiting", 100.0, 5.0),
            gauge("writing", 100.0, 5.0),
        ],
    },
    Measurement {
        name: "postgresl",
        append_tags: |_, _| {},
        fields: &[
            counter("numbackends", 5.0),
            counter("xact_commit", 5.0),
            counter("xact_rollback", 5.0),
            counter("blks_read", 5.0),
            counter("blks_hit", 5.0),
            counter("tup_returned", 5.0),
            counter("tup_fetched", 5.0),
            counter("tup_inserted", 5.0),
            counter("tup_updated", 5.0),
            counter("tup_deleted", 5.0),
            counter("conflicts", 5.0),
            counter("temp_files", 5.0),
            gauge("temp_bytes", GIB, 1024.0),
            counter("deadlocks", 5.0),
            gauge("blk_read_time", 100.0, 5.0),
            gauge("blk_write_time", 100.0, 5.0),
        ],
    },
    Measurement {
        name: "redis",
        append_tags: |out, random| {
            write!(out, ",port={},server=redis_{}", 6379 + random.below(20_000), random.below(100_000))
                .unwrap_or_default();
        },
        fields: &[
            field("uptime_in_seconds", Source::Clock { start: 1e6, by: 10.0 }),
            counter("total_connections_received", 5.0),
            counter("expired_keys", 50.0),
            counter("evicted_keys", 50.0),
            counter("keyspace_hits", 50.0),
            counter("keyspace_misses", 50.0),
            gauge("instantaneous_ops_per_sec", 100.0, 1.0),
            gauge("instantaneous_input_kbps", 100.0, 1.0),
            gauge("instantaneous_output_kbps", 100.0, 1.0),
            gauge("connected_clients", 10_000.0, 50.0),
            gauge("used_memory", 16.0 * GIB, 50.0),
            gauge("used_memory_rss", 16.0 * GIB, 50.0),
            gauge("used_memory_peak", 16.0 * GIB, 50.0),
            gauge("used_memory_lua", 16.0 * GIB, 50.0),
            counter("rdb_changes_since_last_save", 50.0),
            counter("sync_full", 5.0),
            counter("sync_partial_ok", 5.0),
            counter("sync_partial_err", 5.0),
            gauge("pubsub_channels", 100.0, 5.0),
            gauge("pubsub_patterns", 100.0, 5.0),
            counter("latest_fork_usec", 5.0),
            gauge("connected_slaves", 100.0, 5.0),
            counter("master_repl_offset", 50.0),
            gauge("repl_backlog_active", 1000.0, 50.0),
            gauge("repl_backlog_size", 16.0 * GIB, 50.0),
            gauge("repl_backlog_histlen", 16.0 * GIB, 50.0),
            gauge("mem_fragmentation_ratio", 100.0, 5.0),
            counter("used_cpu_sys", 5.0),
            counter("used_cpu_user", 5.0),
            counter("used_cpu_sys_children", 5.0),
            counter("used_cpu_user_children", 5.0),
        ],
    },
];
