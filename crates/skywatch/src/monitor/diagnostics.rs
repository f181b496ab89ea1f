//! `SHOW DIAGNOSTICS`: the build, the host, the process, and the settings under InfluxDB's names.

use std::{
    thread::available_parallelism,
    time::{Duration, Instant},
};

use skywatch_cluster::Precreation;
use skywatch_model::wall_clock_ns;
use skywatch_monitor::{Cell, Diagnostics, Monitor};

use super::runtime;
use crate::config::RunSettings;

/// The version that clients take us for.
const INFLUXDB_VERSION: &str = "1.8.10";

/// Tells the monitor of what does not change while the process runs, and of the process.
pub(super) fn describe(monitor: &Monitor, settings: &RunSettings) {
    describe_process(monitor);
    for (module, row) in of_settings(settings) {
        monitor.describe(module, move || row.clone());
    }
}

fn describe_process(monitor: &Monitor) {
    let build = Diagnostics::new()
        .with("Branch", "skywatch")
        .with("Build Time", "")
        .with("Commit", concat!("skywatch-", env!("CARGO_PKG_VERSION")))
        .with("Version", INFLUXDB_VERSION);
    monitor.describe("build", move || build.clone());
    monitor.describe("network", || Diagnostics::new().with("hostname", runtime::hostname()));
    monitor.describe("runtime", || {
        Diagnostics::new()
            .with("GOARCH", go_architecture())
            .with("GOMAXPROCS", available_parallelism().map_or(1, usize::from))
            .with("GOOS", std::env::consts::OS)
    });
    let (started, started_ns) = (Instant::now(), wall_clock_ns());
    monitor.describe("system", move || {
        Diagnostics::new()
            .with("PID", u64::from(std::process::id()))
            .with("currentTime", Cell::Time(wall_clock_ns()))
            .with("started", Cell::Time(started_ns))
            .with("uptime", started.elapsed())
    });
}

fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn of_settings(settings: &RunSettings) -> Vec<(&'static str, Diagnostics)> {
    let RunSettings { data, http, monitor, continuous, subscriber, upkeep, .. } = settings;
    let query_timeout = Duration::from_secs(http.query_timeout_secs);
    vec![
        ("config", Diagnostics::new().with("reporting-enabled", false)),
        (
            "config-coordinator",
            Diagnostics::new()
                .with("max-concurrent-queries", http.max_concurrent_queries)
                .with("query-timeout", query_timeout),
        ),
        (
            "config-cqs",
            Diagnostics::new()
                .with("enabled", continuous.enabled)
                .with("query-stats-enabled", continuous.query_stats_enabled)
                .with("run-interval", continuous.run_interval),
        ),
        (
            "config-data",
            Diagnostics::new()
                .with("cache-max-memory-size", data.write_memory_bytes)
                .with("dir", data.dir.join("data").display().to_string())
                .with("max-series-per-database", data.max_series_per_database)
                .with("max-values-per-tag", data.max_values_per_tag)
                .with("wal-dir", data.dir.join("data").display().to_string()),
        ),
        (
            "config-httpd",
            Diagnostics::new()
                .with("bind-address", http.bind.to_string())
                .with("enabled", true)
                .with("max-connection-limit", http.max_connections),
        ),
        ("config-meta", Diagnostics::new().with("dir", data.dir.join("meta").display().to_string())),
        (
            "config-monitor",
            Diagnostics::new()
                .with("store-database", &*monitor.store_database)
                .with("store-enabled", monitor.store_enabled)
                .with("store-interval", monitor.store_interval),
        ),
        ("config-precreator", of_precreation(upkeep.precreation.as_ref())),
        (
            "config-retention",
            Diagnostics::new().with("check-interval", upkeep.retention_every).with("enabled", true),
        ),
        (
            "config-subscriber",
            Diagnostics::new()
                .with("enabled", subscriber.enabled)
                .with("http-timeout", subscriber.http_timeout)
                .with("write-buffer-size", subscriber.write_buffer_size)
                .with("write-concurrency", subscriber.write_concurrency),
        ),
    ]
}

fn of_precreation(precreation: Option<&Precreation>) -> Diagnostics {
    let built_in = Precreation::default();
    let Precreation { every, advance } = precreation.unwrap_or(&built_in);
    Diagnostics::new()
        .with("advance-period", *advance)
        .with("check-interval", *every)
        .with("enabled", precreation.is_some())
}
