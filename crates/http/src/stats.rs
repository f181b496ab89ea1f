//! What the server counts about its own work.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper::StatusCode;

use crate::metrics::{Histogram, Metrics, MetricsSource};

/// Upper bounds of the latency histograms, in seconds.
const LATENCY_BOUNDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/ping`, `/status`, `/health`
    Ping,
    /// `/query`
    Query,
    /// `/write`, `/api/v2/write`
    Write,
    /// `/api/v1/prom/write`
    PrometheusWrite,
    /// `/api/v1/prom/read`
    PrometheusRead,
    /// `/metrics`, `/debug/...`
    Introspection,
    /// `/skywatch/v1/backup`, `/skywatch/v1/restore` and below
    Backup,
    /// Anything else: 404, 405, OPTIONS.
    Other,
}

impl Route {
    const ALL: [Self; 8] = [
        Self::Ping,
        Self::Query,
        Self::Write,
        Self::PrometheusWrite,
        Self::PrometheusRead,
        Self::Introspection,
        Self::Backup,
        Self::Other,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Query => "query",
            Self::Write => "write",
            Self::PrometheusWrite => "prometheus_write",
            Self::PrometheusRead => "prometheus_read",
            Self::Introspection => "introspection",
            Self::Backup => "backup",
            Self::Other => "other",
        }
    }
}

/// Counters of one kind of request.
#[derive(Debug)]
pub(crate) struct RouteStats {
    /// Requests answered, by first digit of the status less two: 2xx, 3xx, 4xx, 5xx.
    answered: [AtomicU64; 4],
    /// From the head of the request to the end of the answer.
    latency: Histogram,
}

/// All counters of one server.
#[derive(Debug)]
pub(crate) struct HttpStats {
    routes: [RouteStats; Route::ALL.len()],
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Connections refused because there were too many.
    pub connections_refused: AtomicU64,
    /// Connections open now.
    pub connections_open: AtomicU64,
    /// Requests being answered now.
    pub requests_active: AtomicU64,
    /// Bytes of write bodies as received, compressed or not.
    pub write_bytes: AtomicU64,
    /// Points stored.
    pub points_written: AtomicU64,
    /// Points refused by a write that stored others, or all of them.
    pub points_dropped: AtomicU64,
    /// Bytes of query answers before compression reached the socket layer.
    pub query_bytes: AtomicU64,
    /// Queries whose client went away before the end.
    pub queries_abandoned: AtomicU64,
    /// Requests whose credentials were missing or wrong.
    pub authentication_failures: AtomicU64,
    /// Panics caught in a request.
    pub panics: AtomicU64,
}

impl HttpStats {
    /// All zero.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            routes: Route::ALL.map(|_| RouteStats {
                answered: Default::default(),
                latency: Histogram::new(LATENCY_BOUNDS),
            }),
            connections: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            connections_open: AtomicU64::new(0),
            requests_active: AtomicU64::new(0),
            write_bytes: AtomicU64::new(0),
            points_written: AtomicU64::new(0),
            points_dropped: AtomicU64::new(0),
            query_bytes: AtomicU64::new(0),
            queries_abandoned: AtomicU64::new(0),
            authentication_failures: AtomicU64::new(0),
            panics: AtomicU64::new(0),
        })
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, route: Route, status: StatusCode, took: Duration) {
        let stats = &self.routes[route as usize];
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        stats.answered[class].fetch_add(1, Ordering::Relaxed);
        stats.latency.observe(took);
    }

    /// Requests of a kind answered so far.
    pub(crate) fn count(&self, route: Route) -> u64 {
        self.routes[route as usize].latency.count()
    }

    /// Time spent on a kind of request, in nanoseconds.
    pub(crate) fn duration_ns(&self, route: Route) -> u64 {
        self.routes[route as usize].latency.sum_ns()
    }

    /// Time spent on all requests, in nanoseconds.
    pub(crate) fn total_duration_ns(&self) -> u64 {
        Route::ALL.into_iter().map(|route| self.duration_ns(route)).sum()
    }

    /// Requests answered with this class of status (4 or 5).
    pub(crate) fn errors(&self, class: usize) -> u64 {
        self.routes.iter().map(|route| route.answered[class - 2].load(Ordering::Relaxed)).sum()
    }

    /// Requests answered so far.
    pub(crate) fn total(&self) -> u64 {
        Route::ALL.into_iter().map(|route| self.count(route)).sum()
    }
}

impl MetricsSource for HttpStats {
    fn collect(&self, metrics: &mut Metrics) {
        for route in Route::ALL {
            let stats = &self.routes[route as usize];
            for (class, count) in ["2xx", "3xx", "4xx", "5xx"].into_iter().zip(&stats.answered) {
                metrics.counter(
                    "skywatch_http_requests_total",
                    "Requests answered.",
                    &[("route", route.label()), ("status", class)],
                    count.load(Ordering::Relaxed),
                );
            }
            metrics.histogram(
                "skywatch_http_request_duration_seconds",
                "From the head of a request to the last byte of its answer.",
                &[("route", route.label())],
                &stats.latency,
            );
        }
        let counters = [
            ("skywatch_http_connections_total", "Connections accepted.", &self.connections),
            (
                "skywatch_http_connections_refused_total",
                "Connections over the limit.",
                &self.connections_refused,
            ),
            ("skywatch_http_write_bytes_total", "Bytes of write bodies as received.", &self.write_bytes),
            ("skywatch_http_points_written_total", "Points stored.", &self.points_written),
            ("skywatch_http_points_dropped_total", "Points refused.", &self.points_dropped),
            ("skywatch_http_query_bytes_total", "Bytes of query answers sent.", &self.query_bytes),
            (
                "skywatch_http_queries_abandoned_total",
                "Queries whose client went away.",
                &self.queries_abandoned,
            ),
            (
                "skywatch_http_authentication_failures_total",
                "Requests whose credentials were missing or wrong.",
                &self.authentication_failures,
            ),
            ("skywatch_http_panics_total", "Panics caught in a request.", &self.panics),
        ];
        for (name, help, counter) in counters {
            metrics.counter(name, help, &[], counter.load(Ordering::Relaxed));
        }
        let gauges = [
            ("skywatch_http_connections_open", "Connections open.", &self.connections_open),
            ("skywatch_http_requests_active", "Requests being answered.", &self.requests_active),
        ];
        for (name, help, gauge) in gauges {
            metrics.gauge(name, help, &[], gauge.load(Ordering::Relaxed) as f64);
        }
    }
}

/// Counts one in a gauge for as long as it lives.
#[derive(Debug)]
pub(crate) struct Active {
    stats: Arc<HttpStats>,
    gauge: fn(&HttpStats) -> &AtomicU64,
}

impl Active {
    /// One more in `gauge`.
    pub(crate) fn enter(stats: &Arc<HttpStats>, gauge: fn(&HttpStats) -> &AtomicU64) -> Self {
        gauge(stats).fetch_add(1, Ordering::Relaxed);
        Self { stats: Arc::clone(stats), gauge }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        (self.gauge)(&self.stats).fetch_sub(1, Ordering::Relaxed);
    }
}
