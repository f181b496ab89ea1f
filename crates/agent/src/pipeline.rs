//! What happens to metrics between the inputs and the outputs: processors and aggregators. Pure: the clock is passed in.
//!
//! ```text
//!            +--------+              +------------------ originals ----+
//!  inputs -->| before |--> each ---->|                                 +--> outputs
//!            +--------+   aggregation: window --> after (processors) --+
//! ```
//!
//! - A processor sees the metrics that its selectors select, one at a time and in order; the others pass it by. Its
//!   modifiers are applied to what it is given, and a metric that they leave without fields is gone.
//! - An aggregator sees what came out of the processors. The original goes on to the outputs, unless an aggregator with
//!   `drop_original` selected it.
//! - What aggregators say goes through the processors too: through instances of their own, so that no processor
//!   remembers originals and aggregates at once.
//! - At the end processors give out what they hold back, and every window is closed early.

mod aggregation;
mod chain;
mod window;

use std::sync::Arc;

use crate::config::{Config, ConfiguredProcessor};
use crate::metric::Metric;
use aggregation::Aggregation;
use chain::{Chain, Step};

/// The processors and aggregators of an agent.
#[derive(Debug)]
pub struct Pipeline {
    before: Chain,
    aggregations: Vec<Aggregation>,
    after: Chain,
}

impl Pipeline {
    /// Takes the processors and aggregators out of a configuration and puts them in order. The first windows are those
    /// that are open at `now_ns`, the wall clock in nanoseconds since the Unix epoch.
    pub fn new(config: &mut Config, now_ns: i64) -> Self {
        let mut processors = std::mem::take(&mut config.processors);
        let aggregators = std::mem::take(&mut config.aggregators);
        let agent = &config.agent;
        let statistics = &config.surroundings.shared().statistics;
        // Stable: equal ones keep the order of the files.
        processors.sort_by_key(|processor| processor.options.order);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for ConfiguredProcessor { id, fingerprint, options, processor, after_aggregators } in processors {
            let options = Arc::new(options);
            let counters = statistics.register(&id, fingerprint);
            let step = |processor| {
                Step::new(id.clone(), fingerprint, Arc::clone(&options), Arc::clone(&counters), processor)
            };
            if !agent.skip_processors_before_aggregators {
                before.push(step(processor));
            }
            if !agent.skip_processors_after_aggregators && !aggregators.is_empty() {
                after.push(step(after_aggregators));
            }
        }
        let aggregations = aggregators
            .into_iter()
            .map(|one| {
                let counters = statistics.register(&one.id, one.fingerprint);
                Aggregation::new(one, agent, counters, now_ns)
            })
            .collect();
        Self { before: Chain::new(before), aggregations, after: Chain::new(after) }
    }

    /// Whether metrics pass as they are.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.aggregations.is_empty()
    }

    /// Takes metrics in, in order, and puts what goes on to the outputs into `out`. Windows that are over by `now_ns`
    /// are closed first.
    pub fn apply(&mut self, mut metrics: Vec<Metric>, now_ns: i64, out: &mut Vec<Metric>) {
        self.push_due(now_ns, out);
        self.before.apply(&mut metrics, now_ns);
        self.aggregate(metrics, out);
    }

    /// When the next window ends, by the wall clock in nanoseconds since the Unix epoch; none without aggregators.
    pub fn next_end(&self) -> Option<i64> {
        self.aggregations.iter().map(Aggregation::end).min()
    }

    /// Closes the windows that are over by `now_ns` and puts what they say into `out`.
    pub fn push_due(&mut self, now_ns: i64, out: &mut Vec<Metric>) {
        let mut said = Vec::new();
        self.aggregations.iter_mut().for_each(|one| one.push_due(now_ns, &mut said));
        self.after.apply(&mut said, now_ns);
        out.append(&mut said);
    }

    /// The end: puts all that is still held back into `out`.
    pub fn finish(&mut self, now_ns: i64, out: &mut Vec<Metric>) {
        self.push_due(now_ns, out);
        let mut held_back = Vec::new();
        self.before.drain(&mut held_back, now_ns, |_| true);
        self.aggregate(held_back, out);
        let mut said = Vec::new();
        self.aggregations.iter_mut().for_each(|one| one.push_early(now_ns, &mut said));
        self.after.apply(&mut said, now_ns);
        out.append(&mut said);
        self.after.drain(out, now_ns, |_| true);
    }

    /// Goes on where another left off: plugins that both have, by what their tables say, keep what they remember. The
    /// others of the old one give out what they hold back, the old way.
    pub fn inherit(&mut self, mut old: Self, now_ns: i64, out: &mut Vec<Metric>) {
        old.push_due(now_ns, out);
        let mut held_back = Vec::new();
        old.before.drain(&mut held_back, now_ns, |step| !self.before.has(step));
        old.aggregate(held_back, out);
        let mut said = Vec::new();
        for aggregation in &mut old.aggregations {
            let heir = self.aggregations.iter_mut().find(|new| new.may_inherit(aggregation));
            match heir {
                Some(heir) => heir.inherit(aggregation),
                None => aggregation.push_early(now_ns, &mut said),
            }
        }
        old.after.apply(&mut said, now_ns);
        out.append(&mut said);
        old.after.drain(out, now_ns, |step| !self.after.has(step));
        self.before.inherit(old.before);
        self.after.inherit(old.after);
    }

    fn aggregate(&mut self, mut metrics: Vec<Metric>, out: &mut Vec<Metric>) {
        if !self.aggregations.is_empty() {
            metrics.retain(|metric| {
                let mut taken_away = false;
                for aggregation in &mut self.aggregations {
                    taken_away |= aggregation.add(metric);
                }
                !taken_away
            });
        }
        out.append(&mut metrics);
    }
}

#[cfg(test)]
mod tests;
