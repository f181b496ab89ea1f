//! `dedup`: drops metrics that repeat what the last one of their series said. What passed is remembered over restarts,
//! where the agent has a state file, and over reloads.

use skywatch_model::line::Precision;
use skywatch_model::serialize::SerializeOptions;
use tracing::warn;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::line;
use crate::metric::{Metric, Value};
use crate::parsers::influx::parse_lines;
use crate::processor::Processor;
use crate::series::SeriesMap;
use crate::state::PluginState;

/// The processor.
#[derive(Debug)]
struct Dedup {
    /// Nanoseconds after which a metric passes although nothing changed.
    interval: i64,
    /// The last metric that passed, by series.
    passed: SeriesMap<Metric>,
    swept: i64,
    state: PluginState,
    has_loaded: bool,
}

pub(super) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Processor>, ConfigError> {
    Ok(Box::new(Dedup {
        interval: section.duration("dedup_interval")?.unwrap_or(600_000_000_000),
        passed: SeriesMap::default(),
        swept: i64::MIN,
        state: context.state(),
        has_loaded: false,
    }))
}

impl Processor for Dedup {
    fn apply(&mut self, metric: Metric, now_ns: i64, out: &mut Vec<Metric>) {
        self.load_once();
        self.sweep(now_ns);
        let Some(last) = self.passed.get_mut(&metric) else {
            self.passed.entry(&metric, || remembered(&metric));
            out.push(metric);
            return;
        };
        let expired = now_ns.saturating_sub(last.time_ns) >= self.interval;
        let changed = metric
            .fields()
            .iter()
            .any(|(key, value)| last.field_value(key).is_some_and(|before| before != value));
        if expired || changed {
            *last = remembered(&metric);
            out.push(metric);
        } else if metric.time_ns == last.time_ns {
            // Another part of the same reading.
            let new: Vec<_> =
                metric.fields().iter().filter(|(key, _)| last.field_value(key).is_none()).cloned().collect();
            if !new.is_empty() {
                new.into_iter().for_each(|(key, value)| last.set_field(key, Value(value)));
                out.push(metric);
            }
        }
    }

    fn drain(&mut self, now_ns: i64, _: &mut Vec<Metric>) {
        self.load_once();
        self.swept = i64::MIN;
        self.sweep(now_ns);
        self.state.save(self.lines().into());
    }
}

/// What is kept must not keep the metric's source waiting.
fn remembered(metric: &Metric) -> Metric {
    let mut copy = Metric::new(metric.name.clone(), metric.time_ns);
    metric.fields().iter().for_each(|(key, value)| copy.set_field(key.clone(), Value(value.clone())));
    copy
}

impl Dedup {
    /// Takes in what was remembered at the end of the last run.
    fn load_once(&mut self) {
        if std::mem::replace(&mut self.has_loaded, true) {
            return;
        }
        let Some(saved) = self.state.load() else { return };
        let mut metrics = Vec::new();
        let lines = saved.as_str().unwrap_or_default();
        if let Err(why) = parse_lines(lines.as_bytes(), Precision::Nanosecond, 0, &mut metrics) {
            warn!("processors.dedup: its state is damaged, some metrics may be repeated: {why}");
        }
        for metric in metrics {
            self.passed.entry(&metric, || remembered(&metric));
        }
    }

    /// What passed, as line protocol.
    fn lines(&self) -> String {
        let options = SerializeOptions { uint_support: true, ..SerializeOptions::default() };
        let mut lines = String::new();
        for entry in self.passed.iter() {
            let mut metric = entry.metric(entry.value.time_ns);
            for (key, value) in entry.value.fields() {
                metric.set_field(key.clone(), Value(value.clone()));
            }
            let length = lines.len();
            if line::append(&mut lines, &metric, true, options).is_err() {
                // What no line can hold passes once more.
                lines.truncate(length);
            }
        }
        lines
    }

    /// Forgets series that would pass anyway, once an interval.
    fn sweep(&mut self, now_ns: i64) {
        if now_ns.saturating_sub(self.swept) < self.interval {
            return;
        }
        self.swept = now_ns;
        let interval = self.interval;
        self.passed.retain(|entry| now_ns.saturating_sub(entry.value.time_ns) < interval);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{lines, try_processor};
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn what_passed_is_remembered_by_the_next_one() {
        let context = Context::default().of_plugin(
            &crate::config::PluginId { kind: "processors", name: "dedup", alias: None },
            crate::config::Fingerprint::of_text(""),
        );
        let started = || {
            let mut section = crate::config::section_for_tests("dedup_interval='1h'");
            build(&mut section, &context).expect("valid")
        };
        let metric = |time: i64| {
            let metric = Metric::new("m, x", time).tag("a b", "c=d").field("text", "two\nlines \"x\"");
            metric.field("u", 7_u64).field("i", -7_i64).field("f", 0.1).field("b", true)
        };
        let mut out = Vec::new();
        let mut first = started();
        first.apply(metric(S), S, &mut out);
        first.drain(2 * S, &mut out);
        assert_eq!(out.len(), 1);
        let mut second = started();
        second.apply(metric(3 * S), 3 * S, &mut out);
        assert_eq!(out.len(), 1, "it repeats what the first one let pass");
        second.apply(metric(4 * S).field("u", 8_u64), 4 * S, &mut out);
        assert_eq!(out.len(), 2, "this does not");
        // What is older than the interval is not kept.
        second.drain(4000 * S, &mut out);
        assert_eq!(context.state().load(), Some("".into()));
    }

    #[test]
    fn repetitions_are_dropped_until_the_interval_is_over() {
        let mut dedup = try_processor(build, "dedup_interval='10s'").expect("valid");
        let mut passes = |time: i64, metric: Metric| {
            let mut out = Vec::new();
            dedup.apply(metric, time, &mut out);
            lines(&out).len()
        };
        let metric = |time: i64, x: i64| Metric::new("m", time).tag("t", "1").field("x", x);
        assert_eq!(passes(S, metric(S, 1)), 1);
        assert_eq!(passes(2 * S, metric(2 * S, 1)), 0);
        assert_eq!(passes(2 * S, metric(2 * S, 1).tag("t", "2")), 1, "another series");
        assert_eq!(passes(3 * S, metric(3 * S, 2)), 1, "a change");
        assert_eq!(passes(4 * S, metric(4 * S, 2)), 0);
        assert_eq!(passes(3 * S, metric(3 * S, 2).field("y", 1_i64)), 1, "more of the same time");
        assert_eq!(passes(3 * S, metric(3 * S, 2).field("y", 1_i64)), 0);
        assert_eq!(passes(5 * S, metric(5 * S, 2).field("z", 1_i64)), 0, "a new field of a later time");
        assert_eq!(passes(13 * S, metric(13 * S, 2)), 1, "the interval is over");
        assert_eq!(passes(14 * S, metric(14 * S, 2)), 0);
    }
}
