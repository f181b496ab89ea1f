//! The statistics `httpd`: what a server counts, under InfluxDB's names.

use std::sync::{
    Weak,
    atomic::{AtomicU64, Ordering},
};

use skywatch_monitor::{Selection, Statistic, StatisticsSource};

use crate::{app::App, stats::Route};

/// Tells of a server for as long as it serves.
pub(crate) struct HttpdSource(pub(crate) Weak<App>);

impl StatisticsSource for HttpdSource {
    fn collect(&self, selection: Selection<'_>, statistics: &mut Vec<Statistic>) {
        let Some(app) = self.0.upgrade().filter(|_| selection.includes("httpd")) else { return };
        let stats = &app.stats;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let active = count(&stats.requests_active);
        let httpd = Statistic::new("httpd").tag("bind", app.local_addr.to_string());
        statistics.push(httpd.values([
            ("authFail", count(&stats.authentication_failures)),
            ("authFail", count(&stats.authentication_failures)),
            ("clientError", stats.errors(4)),
            ("pingReq", stats.count(Route::Ping)),
            ("pointsWrittenDropped", count(&stats.points_dropped)),
            ("pointsWrittenOK", count(&stats.points_written)),
            ("promReadReq", stats.count(Route::PrometheusRead)),
            ("promWriteReq", stats.count(Route::PrometheusWrite)),
            ("queryReq", stats.count(Route::Query)),
            ("queryReqDurationNs", stats.duration_ns(Route::Query)),
            ("queryRespBytes", count(&stats.query_bytes)),
            ("recoveredPanics", count(&stats.panics)),
            ("req", stats.total() + active),
            ("reqActive", active),
            ("reqDurationNs", stats.total_duration_ns()),
            ("serverError", stats.errors(5)),
            // As in InfluxDB, a write is one whatever its language.
            ("writeReq", stats.count(Route::Write) + stats.count(Route::PrometheusWrite)),
            ("writeReqActive", app.writes.inside() as u64),
            ("writeReqBytes", count(&stats.write_bytes)),
            (
                "writeReqDurationNs",
                stats.duration_ns(Route::Write) + stats.duration_ns(Route::PrometheusWrite),
            ),
        ]));
    }
}
