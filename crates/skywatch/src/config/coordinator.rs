//! `[coordinator]`: bounds on queries, under InfluxDB's names.

use std::{path::PathBuf, time::Duration};

use skywatch_query::Limits;

use super::{go_duration::GoDuration, influxdb::section};

section! {
    /// The section as written.
    CoordinatorSection "coordinator"
    reads {
        write_timeout: Option<GoDuration>,
        max_concurrent_queries: Option<usize>,
        query_timeout: Option<GoDuration>,
        log_queries_after: Option<GoDuration>,
        log_timedout_queries: Option<bool>,
        max_select_point: Option<u64>,
        max_select_series: Option<u64>,
        max_select_buckets: Option<u64>,
        max_query_memory_bytes: Option<usize>,
        // Of clusters.
        dial_timeout: Option<GoDuration>,
        owner_timeout: Option<GoDuration>,
        suspect_after: Option<GoDuration>,
        allow_out_of_order_writes: Option<bool>,
        https_enabled: Option<bool>,
        https_certificate: Option<PathBuf>,
        https_private_key: Option<PathBuf>,
        https_ca: Option<PathBuf>,
        https_insecure_tls: Option<bool>,
    }
    ignores {
        termination_query_log,
        pool_max_idle_time,
        pool_max_idle_streams,
        shard_reader_timeout,
        cluster_tracing,
    }
}

/// Bounds on queries; 0 is no bound.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CoordinatorSettings {
    limits: Limits,
}

impl CoordinatorSettings {
    pub(super) fn merge(file: &CoordinatorSection) -> Self {
        let built_in = Limits::default();
        let span = |key: Option<GoDuration>, default: Duration| key.map_or(default, |span| span.0);
        Self {
            limits: Limits {
                max_concurrent_queries: file.max_concurrent_queries.unwrap_or(0),
                query_timeout: span(file.query_timeout, Duration::ZERO),
                log_queries_after: span(file.log_queries_after, Duration::ZERO),
                log_timedout_queries: file.log_timedout_queries.unwrap_or(false),
                write_timeout: span(file.write_timeout, built_in.write_timeout),
                max_select_point: file.max_select_point.unwrap_or(0),
                max_select_series: file.max_select_series.unwrap_or(0),
                max_select_buckets: file.max_select_buckets.unwrap_or(0),
                max_query_memory_bytes: file
                    .max_query_memory_bytes
                    .unwrap_or(built_in.max_query_memory_bytes),
                ..built_in
            },
        }
    }

    /// With `[http] query-timeout-secs` (0: none): the shorter of two timeouts counts.
    pub(crate) fn limits(&self, http_query_timeout_secs: u64) -> Limits {
        let spans = [self.limits.query_timeout, Duration::from_secs(http_query_timeout_secs)];
        let query_timeout = spans.into_iter().filter(|span| !span.is_zero()).min().unwrap_or(Duration::ZERO);
        Limits { query_timeout, ..self.limits.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::tests::{settings, settings_error};

    #[test]
    fn the_section_has_influxdbs_keys() {
        let text = "[coordinator]\nwrite-timeout = \"20s\"\nmax-concurrent-queries = 7\nquery-timeout = \"1m30s\"\n\
                    log-queries-after = \"500ms\"\nlog-timedout-queries = true\nmax-select-point = 1\n\
                    max-select-series = 2\nmax-select-buckets = 3\nmax-query-memory-bytes = 4";
        let limits = settings(text).coordinator.limits(0);
        assert_eq!((limits.max_concurrent_queries, limits.query_timeout), (7, Duration::from_secs(90)));
        assert_eq!(
            (limits.write_timeout, limits.log_queries_after),
            (Duration::from_secs(20), Duration::from_millis(500))
        );
        assert!(limits.log_timedout_queries);
        assert_eq!((limits.max_select_point, limits.max_select_series, limits.max_select_buckets), (1, 2, 3));
        assert_eq!(limits.max_query_memory_bytes, 4);
        assert!(settings_error("[coordinator]\nquery-timeout = \"soon\"").contains("no duration"));
    }

    #[test]
    fn the_shorter_of_two_timeouts_counts() {
        let timeout = |text: &str, secs| settings(text).coordinator.limits(secs).query_timeout.as_secs();
        assert_eq!(timeout("", 0), 0);
        assert_eq!(timeout("", 5), 5);
        assert_eq!(timeout("[coordinator]\nquery-timeout = \"3s\"", 0), 3);
        assert_eq!(timeout("[coordinator]\nquery-timeout = \"3s\"", 5), 3);
        assert_eq!(timeout("[coordinator]\nquery-timeout = \"8s\"", 5), 5);
    }
}
