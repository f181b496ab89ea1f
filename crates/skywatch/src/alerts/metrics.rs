//! What the alert engine counts, on /metrics.

use std::sync::Arc;

use skywatch_http::{Metrics, MetricsSource};

use super::Alerts;

pub(super) struct AlertMetrics {
    alerts: Arc<Alerts>,
}

impl AlertMetrics {
    pub(super) const fn new(alerts: Arc<Alerts>) -> Self {
        Self { alerts }
    }
}

impl MetricsSource for AlertMetrics {
    fn collect(&self, metrics: &mut Metrics) {
        let now = self.alerts.counted();
        standing(&now, metrics);
        work_done(&now, metrics);
    }
}

/// How alerts stand: what a node of a cluster also tells of those that another node evaluates.
pub(super) fn standing(now: &skywatch_alert::Metrics, metrics: &mut Metrics) {
    let gauges: [(&'static str, &'static str, u64); 7] = [
        ("skywatch_alert_rules", "Alert rules loaded.", now.rules),
        ("skywatch_alert_instances_normal", "Instances that are normal.", now.instances_normal),
        ("skywatch_alert_instances_pending", "Instances that are pending.", now.instances_pending),
        ("skywatch_alert_instances_firing", "Instances that fire.", now.instances_firing),
        ("skywatch_alert_instances_muted", "Instances that fire in a mute timing.", now.instances_muted),
        ("skywatch_alert_notices_waiting", "Notices not delivered yet.", now.notices_waiting),
        ("skywatch_alert_channels_broken", "Contact points that do not work.", now.channels_broken),
    ];
    for (name, help, value) in gauges {
        metrics.gauge(name, help, &[], value as f64);
    }
}

/// What an engine has done since it started; whoever evaluates tells this.
pub(super) fn work_done(now: &skywatch_alert::Metrics, metrics: &mut Metrics) {
    let counters: [(&'static str, &'static str, u64); 8] = [
        ("skywatch_alert_evaluations_total", "Evaluations done.", now.evaluations),
        ("skywatch_alert_evaluation_failures_total", "Evaluations that failed.", now.evaluation_failures),
        (
            "skywatch_alert_evaluations_missed_total",
            "Evaluations skipped for lateness.",
            now.evaluations_missed,
        ),
        ("skywatch_alert_notices_total", "Notices put into queues.", now.notices),
        ("skywatch_alert_notices_delivered_total", "Notices delivered.", now.delivered),
        ("skywatch_alert_attempts_total", "Messages posted.", now.attempts),
        ("skywatch_alert_rate_limited_total", "Messages answered by 429.", now.rate_limited),
        ("skywatch_alert_rejected_total", "Messages refused in every form.", now.rejected),
    ];
    for (name, help, value) in counters {
        metrics.counter(name, help, &[], value);
    }
    metrics.counter_f64(
        "skywatch_alert_evaluation_seconds_total",
        "Time that evaluations took together.",
        &[],
        now.evaluation_seconds,
    );
}
