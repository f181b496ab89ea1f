//! One aggregator, its window, and what is done to the metrics it says.

use tracing::{debug, error};

use super::window::{Limits, Window};
use crate::aggregator::Aggregator;
use crate::config::{AgentSettings, AggregatorOptions, ConfiguredAggregator, Fingerprint, PluginId};
use crate::guard::guarded;
use crate::metric::Metric;
use crate::schedule::{precision, round_time};
use crate::shape::fill;

/// An aggregator at work.
#[derive(Debug)]
pub(super) struct Aggregation {
    id: PluginId,
    fingerprint: Fingerprint,
    options: AggregatorOptions,
    aggregator: Box<dyn Aggregator>,
    window: Window,
    /// Unit of its metrics' times in nanoseconds.
    precision: i64,
    failing: bool,
}

impl Aggregation {
    pub(super) fn new(configured: ConfiguredAggregator, agent: &AgentSettings, now_ns: i64) -> Self {
        let ConfiguredAggregator { id, fingerprint, options, aggregator } = configured;
        let limits = Limits {
            period: options.period,
            delay: options.delay,
            grace: options.grace,
            aligned: agent.round_interval,
        };
        let precision = if aggregator.keeps_times() { 1 } else { precision(agent.precision, agent.interval) };
        Self {
            id,
            fingerprint,
            options,
            aggregator,
            window: Window::new(limits, now_ns),
            precision,
            failing: false,
        }
    }

    /// When the window ends.
    pub(super) fn end(&self) -> i64 {
        self.window.end()
    }

    /// Takes a metric into account, if it is selected and of the window's time. Whether it is taken away from the
    /// outputs: with `drop_original` all that is selected is, be it in time or not.
    pub(super) fn add(&mut self, metric: &Metric) -> bool {
        let filter = &self.options.filter;
        if !filter.selects(metric) {
            return false;
        }
        let modified;
        let seen = if filter.modifies() {
            let mut own = metric.clone();
            filter.modify(&mut own);
            if own.fields().is_empty() {
                return self.options.drop_original;
            }
            modified = own;
            &modified
        } else {
            metric
        };
        if self.window.accepts(seen.time_ns) {
            let result = guarded(|| self.aggregator.add(seen));
            self.noticed(result);
        } else {
            debug!("{}: a metric of {} is not of the window's time", self.id, metric.name);
        }
        self.options.drop_original
    }

    /// Closes the window if it is over, and begins the next.
    pub(super) fn push_due(&mut self, now_ns: i64, out: &mut Vec<Metric>) {
        if self.window.is_over(now_ns) {
            self.push(self.window.end(), out);
            self.window.advance(now_ns);
        }
    }

    /// Closes the window before its end.
    pub(super) fn push_early(&mut self, now_ns: i64, out: &mut Vec<Metric>) {
        self.push(now_ns.min(self.window.end()), out);
    }

    fn push(&mut self, time_ns: i64, out: &mut Vec<Metric>) {
        let mut said = Vec::new();
        let result = guarded(|| {
            self.aggregator.push(time_ns, &mut said);
            self.aggregator.reset();
        });
        self.noticed(result);
        for mut metric in said {
            if metric.fields().is_empty() {
                continue;
            }
            self.options.rename.apply(&mut metric);
            fill(&mut metric, &self.options.tags);
            metric.time_ns = round_time(metric.time_ns, self.precision);
            out.push(metric);
        }
    }

    /// Tells of the first panic in a row.
    fn noticed(&mut self, result: Result<(), String>) {
        match result {
            Ok(()) => self.failing = false,
            Err(panic) if self.failing => debug!("{}: failed again: {panic}", self.id),
            Err(panic) => {
                self.failing = true;
                error!("{}: failed, and its window may be incomplete: {panic}", self.id);
            }
        }
    }
}
