//! What one query, and all of them together, may use.

use std::time::Duration;

/// Bounds on queries; 0 switches a bound off, as in InfluxDB's `[coordinator]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Queries running at once (`max-concurrent-queries`).
    pub max_concurrent_queries: usize,
    /// How long a query may run (`query-timeout`); zero means for ever.
    pub query_timeout: Duration,
    /// A query that runs longer is logged (`log-queries-after`); zero logs none.
    pub log_queries_after: Duration,
    /// Whether a query that `query_timeout` stopped is logged (`log-timedout-queries`).
    pub log_timedout_queries: bool,
    /// How long `SELECT INTO` waits for room for its points (`write-timeout`).
    pub write_timeout: Duration,
    /// Points a SELECT may read (`max-select-point`).
    pub max_select_point: u64,
    /// Series a SELECT may read (`max-select-series`).
    pub max_select_series: u64,
    /// Windows a `GROUP BY time()` may make (`max-select-buckets`).
    pub max_select_buckets: u64,
    /// Bytes of intermediate values one query may hold. Functions that need every value (median, percentile,
    /// distinct, ...) and subqueries are what fills it.
    pub max_query_memory_bytes: usize,
    /// Threads that all queries together may use beside the ones that called.
    pub worker_threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_concurrent_queries: 0,
            query_timeout: Duration::ZERO,
            log_queries_after: Duration::ZERO,
            log_timedout_queries: false,
            write_timeout: Duration::from_secs(10),
            max_select_point: 0,
            max_select_series: 0,
            max_select_buckets: 0,
            max_query_memory_bytes: 512 << 20,
            worker_threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }
}
