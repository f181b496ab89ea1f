//! What all requests of one server share.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use hyper::{
    body::Incoming,
    header::{ACCEPT, ACCEPT_ENCODING, HeaderName},
    http::request::Parts,
};

use skywatch_cluster::{LogStatistics, ReplicationStatistics};
use skywatch_query::Identity;
use skywatch_storage::{Consumer, MemoryBudget};

use crate::{
    Engine, HttpConfig,
    access_log::AccessLog,
    body::BodyReader,
    encode::Format,
    gate::{BodyMemory, Gate},
    httpd::HttpdSource,
    metrics::{Metrics, MetricsRegistry, MetricsSource, ProcessMetrics},
    params::Params,
    peer::Peer,
    request_counts::RequestCounts,
    stats::HttpStats,
};

/// One server's state.
pub(crate) struct App {
    pub engine: Arc<dyn Engine>,
    pub config: HttpConfig,
    pub stats: Arc<HttpStats>,
    pub registry: Arc<MetricsRegistry>,
    pub process: Arc<ProcessMetrics>,
    pub bodies: BodyReader,
    pub writes: Gate,
    pub queries: Gate,
    /// Steps of backups and restores.
    pub copies: Gate,
    /// Passwords to be checked.
    pub passwords: Gate,
    /// Who asks and writes, for `/debug/requests`.
    pub requests: RequestCounts,
    pub access_log: Option<AccessLog>,
    /// Wall clock at the start.
    pub started: SystemTime,
    /// Where the server listens.
    pub local_addr: SocketAddr,
}

impl App {
    /// The state of a server that is about to begin.
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        config: HttpConfig,
        access_log: Option<AccessLog>,
        registry: &Arc<MetricsRegistry>,
        local_addr: SocketAddr,
    ) -> Arc<Self> {
        let memory = BodyMemory::new(Arc::clone(&config.memory), config.queue_timeout);
        let stats = HttpStats::new();
        let process = Arc::new(ProcessMetrics::new());
        let app = Arc::new(Self {
            bodies: BodyReader::new(
                config.body_limit(),
                config.body_pause_timeout,
                config.body_timeout,
                memory,
            ),
            writes: Gate::new(
                config.max_concurrent_writes,
                config.max_queued_writes,
                config.write_queue_timeout,
            ),
            queries: Gate::new(
                config.max_concurrent_queries,
                config.max_queued_queries,
                config.queue_timeout,
            ),
            passwords: Gate::new(
                config.max_concurrent_passwords,
                config.max_queued_passwords,
                config.queue_timeout,
            ),
            copies: Gate::new(config.max_concurrent_copies, config.max_queued_copies, config.queue_timeout),
            engine,
            config,
            stats: Arc::clone(&stats),
            registry: Arc::clone(registry),
            process: Arc::clone(&process),
            requests: RequestCounts::default(),
            access_log,
            started: SystemTime::now(),
            local_addr,
        });
        registry.add(stats);
        registry.add(process);
        registry.add(Arc::new(ServerMetrics(Arc::downgrade(&app))));
        app.config.monitor.add(Arc::new(HttpdSource(Arc::downgrade(&app))));
        app
    }
}

/// One request without its body.
pub(crate) struct Head<'a> {
    /// Method, path, headers.
    pub parts: &'a Parts,
    /// Parameters of the URL.
    pub url: Params,
    /// Form of the answer.
    pub format: Format,
    /// Where it comes from.
    pub peer: Peer,
    /// Who sends it, once the router has found out.
    pub identity: Identity,
}

impl<'a> Head<'a> {
    /// Reads what every handler needs.
    pub(crate) fn new(parts: &'a Parts, peer: Peer) -> Self {
        let accept = header_text(parts, &ACCEPT);
        Self {
            parts,
            url: Params::parse(parts.uri.query().unwrap_or_default()),
            format: Format::from_accept(accept),
            peer,
            identity: Identity::Anonymous,
        }
    }

    /// The text of a header; empty when absent or not text.
    pub(crate) fn header(&self, name: &HeaderName) -> &str {
        header_text(self.parts, name)
    }

    /// Whether the client takes gzip.
    pub(crate) fn accepts_gzip(&self) -> bool {
        self.header(&ACCEPT_ENCODING).split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
            gzip && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
    }
}

fn header_text<'a>(parts: &'a Parts, name: &HeaderName) -> &'a str {
    parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The body a handler may read.
pub(crate) type RequestBody = Incoming;

/// The node's numbers, and the queues in front of it.
struct ServerMetrics(std::sync::Weak<App>);

impl MetricsSource for ServerMetrics {
    fn collect(&self, metrics: &mut Metrics) {
        let Some(app) = self.0.upgrade() else { return };
        metrics.gauge(
            "skywatch_build_info",
            "Always 1; the labels tell which build this is.",
            &[("version", &app.config.skywatch_version)],
            1.0,
        );
        for (work, gate) in [("query", &app.queries), ("write", &app.writes)] {
            let labels = [("work", work)];
            metrics.gauge(
                "skywatch_http_running",
                "Queries and writes running.",
                &labels,
                gate.inside() as f64,
            );
            metrics.gauge(
                "skywatch_http_queued",
                "Queries and writes waiting.",
                &labels,
                gate.waiting() as f64,
            );
        }
        for (work, gate) in [("query", &app.queries), ("write", &app.writes)] {
            for (reason, count) in gate.turned_away() {
                metrics.counter(
                    "skywatch_http_throttled_total",
                    "Queries and writes turned away because too many were under way.",
                    &[("work", work), ("reason", reason)],
                    count,
                );
            }
        }
        collect_memory(&app.config.memory, metrics);
        collect_node(&app.engine.statistics(), metrics);
    }
}

fn collect_memory(memory: &MemoryBudget, metrics: &mut Metrics) {
    let total = memory.total_bytes() as f64;
    metrics.gauge("skywatch_memory_budget_bytes", "The memory budget.", &[], total);
    for consumer in Consumer::ALL {
        let labels = [("consumer", consumer.name())];
        metrics.gauge(
            "skywatch_memory_used_bytes",
            "Memory held, of what the budget counts.",
            &labels,
            memory.used_bytes(consumer) as f64,
        );
        metrics.gauge(
            "skywatch_memory_limit_bytes",
            "Most that may be held now.",
            &labels,
            memory.limit_bytes(consumer) as f64,
        );
        metrics.counter(
            "skywatch_memory_refused_total",
            "Times that there was no room.",
            &labels,
            memory.refused(consumer),
        );
    }
}

/// Of a member of a cluster.
fn collect_replication(replication: &ReplicationStatistics, metrics: &mut Metrics) {
    let (gauge, counter) = ("Operations that wait for a node.", "Operations for a node that found no room.");
    for (node, queue) in &replication.hints {
        let node = node.to_string();
        let labels = [("node", node.as_str())];
        metrics.gauge("skywatch_hinted_handoff_operations", gauge, &labels, queue.entries as f64);
        metrics.gauge("skywatch_hinted_handoff_bytes", "Their bytes.", &labels, queue.bytes as f64);
        metrics.counter("skywatch_hinted_handoff_dropped_total", counter, &labels, queue.dropped);
        let help = "Deliveries to a node that failed.";
        metrics.counter("skywatch_hinted_handoff_failures_total", help, &labels, queue.failed_deliveries);
    }
    let whole = "Whether queries may be answered from the copies of this node.";
    metrics.gauge("skywatch_node_is_whole", whole, &[], f64::from(u8::from(replication.is_whole)));
    if let Some(log) = &replication.log {
        collect_log(log, metrics);
    }
    let entropy = &replication.entropy;
    let differing = "Shards not known to be alike at all owners.";
    metrics.gauge("skywatch_entropy_shards_differing", differing, &[], entropy.differing as f64);
    metrics.counter("skywatch_entropy_comparisons_total", "Shards compared.", &[], entropy.jobs);
    metrics.counter("skywatch_entropy_failures_total", "Comparisons that failed.", &[], entropy.errors);
    metrics.counter(
        "skywatch_entropy_fetched_bytes_total",
        "Bytes fetched to repair.",
        &[],
        entropy.bytes_rx,
    );
}

/// Of a node that writes through the cluster's log.
fn collect_log(log: &LogStatistics, metrics: &mut Metrics) {
    for lag in &log.lag.partitions {
        let partition = lag.partition.to_string();
        let labels = [("partition", partition.as_str())];
        let mut gauge = |name, help, value: f64| metrics.gauge(name, help, &labels, value);
        gauge("skywatch_log_applied_offset", "The first record not applied here.", lag.applied as f64);
        gauge(
            "skywatch_log_fresh",
            "Whether queries may be answered from this node's copy of the partition.",
            f64::from(u8::from(lag.fresh)),
        );
        if let Some(records) = lag.lag {
            gauge(
                "skywatch_log_lag_records",
                "Records in the log that are not applied here.",
                records as f64,
            );
        }
        if let Some(ms) = lag.lag_ms {
            let help = "For how long the oldest record that is not applied here has been in the log.";
            gauge("skywatch_log_lag_seconds", help, ms as f64 / 1e3);
        }
    }
    let reached = f64::from(u8::from(log.lag.unreachable.is_none()));
    metrics.gauge("skywatch_log_reachable", "Whether the log answers this node.", &[], reached);
    let done = &log.done;
    for (name, help, value) in [
        ("skywatch_log_records_total", "Records of the log that were read and applied.", done.records),
        ("skywatch_log_bytes_total", "Their bytes.", done.bytes),
        ("skywatch_log_points_total", "Points stored of them.", done.points),
        ("skywatch_log_appended_total", "Records that this node has put into the log.", done.appended),
        ("skywatch_log_append_errors_total", "Appends not taken, or not surely.", done.append_errors),
        ("skywatch_log_set_aside_total", "Records that cannot be applied, set aside.", done.set_aside),
        ("skywatch_log_set_aside_failed_total", "Those that the log did not take.", done.set_aside_failed),
        ("skywatch_log_expired_total", "Times that the log lacked what was wanted.", done.expired),
    ] {
        metrics.counter(name, help, &[], value);
    }
}

fn collect_node(node: &skywatch_cluster::NodeStatistics, metrics: &mut Metrics) {
    if let Some(replication) = &node.replication {
        collect_replication(replication, metrics);
    }
    let writes = &node.writes;
    let counters = [
        ("skywatch_write_requests_total", "Write requests that reached the node.", writes.requests),
        ("skywatch_write_bytes_total", "Bytes of line protocol in them.", writes.bytes),
        ("skywatch_write_points_total", "Points made durable.", writes.points_written),
        ("skywatch_write_points_rejected_total", "Points refused.", writes.points_rejected),
        ("skywatch_write_lines_unparsable_total", "Lines that could not be parsed.", writes.lines_unparsable),
        ("skywatch_write_overloaded_total", "Writes refused for want of memory.", writes.overloaded),
        ("skywatch_write_failed_total", "Writes that failed through the server's fault.", writes.failed),
    ];
    for (name, help, value) in counters {
        metrics.counter(name, help, &[], value);
    }
    let gauges = [
        ("skywatch_databases", "Databases.", node.databases),
        ("skywatch_shards", "Shards on this node.", node.shards),
        ("skywatch_series", "Series, summed over shards.", node.series),
        ("skywatch_segments", "Segment files.", node.segments),
        ("skywatch_segment_bytes", "Bytes of segments on disk.", node.segment_bytes),
        ("skywatch_wal_bytes", "Bytes of write-ahead log on disk.", node.wal_bytes),
        ("skywatch_memtable_bytes", "Bytes of points in memory.", node.memtable_bytes),
        ("skywatch_index_bytes", "Bytes of index files on disk.", node.index_bytes),
        (
            "skywatch_index_memory_bytes",
            "Bytes of series, tags and fields in memory.",
            node.index_memory_bytes,
        ),
        ("skywatch_segments_damaged", "Segment files that cannot be read.", node.damaged_segments),
        (
            "skywatch_set_aside_files",
            "Files of points that gave way or were refused too late.",
            node.set_aside_files,
        ),
        ("skywatch_tombstones", "Deletes that merges have not carried out yet.", node.tombstones),
        ("skywatch_flush_queue", "Memtables that wait to become segments.", node.flush_queue),
        (
            "skywatch_compaction_backlog_bytes",
            "Bytes of segments that the next merges would rewrite.",
            node.compaction_backlog_bytes,
        ),
    ];
    for (name, help, value) in gauges {
        metrics.gauge(name, help, &[], value as f64);
    }
    for known in &node.cardinality {
        let labels = [("database", known.database.as_str())];
        let series = known.series as f64;
        metrics.gauge("skywatch_database_series", "Distinct series, about.", &labels, series);
        metrics.counter(
            "skywatch_database_series_refused_total",
            "New series refused by the limits on cardinality.",
            &labels,
            known.refused,
        );
    }
}
