//! The process as the kernel sees it, under the names Prometheus' own clients use.

use std::time::Instant;

use procfs::process::Process;

use super::{Metrics, MetricsSource};

/// Memory, CPU, file descriptors and threads of this process.
#[derive(Debug)]
pub(crate) struct ProcessMetrics {
    started: Instant,
}

impl ProcessMetrics {
    /// Counts up-time from now.
    pub(crate) fn new() -> Self {
        Self { started: Instant::now() }
    }

    /// Time since the process began to serve.
    pub(crate) fn uptime_seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

impl MetricsSource for ProcessMetrics {
    fn collect(&self, metrics: &mut Metrics) {
        metrics.gauge(
            "skywatch_uptime_seconds",
            "Time since the HTTP server began to serve.",
            &[],
            self.uptime_seconds(),
        );
        // Without /proc the rest is left out rather than made up.
        let Ok(process) = Process::myself() else { return };
        if let Ok(stat) = process.stat() {
            let ticks = procfs::ticks_per_second();
            let cpu_seconds = (stat.utime + stat.stime) as f64 / ticks as f64;
            metrics.counter_f64(
                "process_cpu_seconds_total",
                "CPU time used, user and system.",
                &[],
                cpu_seconds,
            );
            metrics.gauge(
                "process_resident_memory_bytes",
                "Resident memory.",
                &[],
                (stat.rss * procfs::page_size()) as f64,
            );
            metrics.gauge("process_virtual_memory_bytes", "Virtual memory.", &[], stat.vsize as f64);
            metrics.gauge("process_threads", "Threads.", &[], stat.num_threads as f64);
        }
        if let Ok(fds) = process.fd_count() {
            metrics.gauge("process_open_fds", "Open file descriptors.", &[], fds as f64);
        }
        if let Ok(limits) = process.limits()
            && let procfs::process::LimitValue::Value(max) = limits.max_open_files.soft_limit
        {
            metrics.gauge("process_max_fds", "File descriptors that may be open.", &[], max as f64);
        }
    }
}
