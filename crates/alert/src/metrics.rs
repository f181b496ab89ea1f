//! What the engine counts about itself.

use serde::{Deserialize, Serialize};

/// Counters since the start, and gauges of now. They travel between nodes: what one of another release does not tell is 0.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// Rules loaded (gauge).
    pub rules: u64,
    /// Instances that are normal (gauge).
    pub instances_normal: u64,
    /// Instances that are pending (gauge).
    pub instances_pending: u64,
    /// Instances that fire or recover (gauge).
    pub instances_firing: u64,
    /// Of those, instances nobody is told of for now (gauge).
    pub instances_muted: u64,
    /// Notices not delivered yet (gauge).
    pub notices_waiting: u64,
    /// Channels that do not work (gauge).
    pub channels_broken: u64,
    /// Evaluations done.
    pub evaluations: u64,
    /// Of those, failed.
    pub evaluation_failures: u64,
    /// Of those, without data.
    pub evaluations_without_data: u64,
    /// Evaluations skipped because the one before was not done in time.
    pub evaluations_missed: u64,
    /// Seconds that evaluations took together.
    pub evaluation_seconds: f64,
    /// Notices put into queues.
    pub notices: u64,
    /// Notices delivered.
    pub delivered: u64,
    /// Messages posted, successfully or not.
    pub attempts: u64,
    /// Attempts that failed and were tried again.
    pub retries: u64,
    /// Attempts answered by 429.
    pub rate_limited: u64,
    /// Messages refused and shortened.
    pub shortened: u64,
    /// Messages refused in every form.
    pub rejected: u64,
    /// Times the files were loaded again.
    pub reloads: u64,
    /// Times the files could not be used.
    pub reload_failures: u64,
    /// Times the state was stored.
    pub saves: u64,
    /// Times that failed.
    pub save_failures: u64,
}

impl Metrics {
    /// Names, kinds and values in Prometheus's text format.
    pub fn to_prometheus(&self) -> String {
        let rows: [(&str, &str, f64); 23] = [
            ("rules", "gauge", self.rules as f64),
            ("instances_normal", "gauge", self.instances_normal as f64),
            ("instances_pending", "gauge", self.instances_pending as f64),
            ("instances_firing", "gauge", self.instances_firing as f64),
            ("instances_muted", "gauge", self.instances_muted as f64),
            ("notices_waiting", "gauge", self.notices_waiting as f64),
            ("channels_broken", "gauge", self.channels_broken as f64),
            ("evaluations_total", "counter", self.evaluations as f64),
            ("evaluation_failures_total", "counter", self.evaluation_failures as f64),
            ("evaluations_without_data_total", "counter", self.evaluations_without_data as f64),
            ("evaluations_missed_total", "counter", self.evaluations_missed as f64),
            ("evaluation_seconds_total", "counter", self.evaluation_seconds),
            ("notices_total", "counter", self.notices as f64),
            ("notices_delivered_total", "counter", self.delivered as f64),
            ("delivery_attempts_total", "counter", self.attempts as f64),
            ("delivery_retries_total", "counter", self.retries as f64),
            ("delivery_rate_limited_total", "counter", self.rate_limited as f64),
            ("messages_shortened_total", "counter", self.shortened as f64),
            ("messages_rejected_total", "counter", self.rejected as f64),
            ("reloads_total", "counter", self.reloads as f64),
            ("reload_failures_total", "counter", self.reload_failures as f64),
            ("state_saves_total", "counter", self.saves as f64),
            ("state_save_failures_total", "counter", self.save_failures as f64),
        ];
        rows.iter()
            .map(|(name, kind, value)| {
                format!("# TYPE skywatch_alert_{name} {kind}\nskywatch_alert_{name} {value}\n")
            })
            .collect()
    }
}
