//! One aggregator, its window, and what is done to the metrics it says.

use std::sync::Arc;
use std::time::Instant;

use tracing::{debug, error};

use super::window::{Limits, Window};
use crate::aggregator::Aggregator;
use crate::config::{AgentSettings, AggregatorOptions, ConfiguredAggregator, Fingerprint, PluginId};
use crate::guard::guarded;
use crate::metric::Metric;
use crate::schedule::{precision, round_time};
use crate::shape::fill;
use crate::statistics::{Counters, Stat};

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
    counters: Arc<Counters>,
    failing: bool,
    has_inherited: bool,
}

impl Aggregation {
    pub(super) fn new(
        configured: ConfiguredAggregator,
        agent: &AgentSettings,
        counters: Arc<Counters>,
        now_ns: i64,
    ) -> Self {
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
            counters,
            failing: false,
            has_inherited: false,
        }
    }

    /// Whether it may go on for the other: the same table, under the same settings of the agent.
    pub(super) fn may_inherit(&self, old: &Self) -> bool {
        !self.has_inherited
            && self.id == old.id
            && self.fingerprint == old.fingerprint
            && self.precision == old.precision
            && self.window.has_limits_of(&old.window)
    }

    /// Goes on with the other's aggregator and window.
    pub(super) fn inherit(&mut self, old: &mut Self) {
        std::mem::swap(&mut self.aggregator, &mut old.aggregator);
        self.window = old.window.clone();
        self.failing = old.failing;
        self.has_inherited = true;
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
                self.counters.add(Stat::MetricsFiltered, 1);
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
            self.counters.add(Stat::MetricsDropped, 1);
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
        let began = Instant::now();
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
            self.counters.add(Stat::MetricsPushed, 1);
        }
        self.counters.add(Stat::PushTimeNs, u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }

    /// Tells of the first panic in a row.
    fn noticed(&mut self, result: Result<(), String>) {
        if result.is_err() {
            self.counters.add(Stat::Errors, 1);
        }
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
