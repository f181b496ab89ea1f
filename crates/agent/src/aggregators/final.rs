//! `final`: the last metric of a series, once the series is silent, or of every window.

use crate::aggregator::Aggregator;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::{Metric, Value};
use crate::series::SeriesMap;

/// The aggregator.
#[derive(Debug)]
struct Final {
    /// Nanoseconds of silence after which a series counts as ended; `None` says so at the end of every window.
    timeout: Option<i64>,
    suffix: &'static str,
    last: SeriesMap<Metric>,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Aggregator>, ConfigError> {
    let timeout = section.duration("series_timeout")?.unwrap_or(300_000_000_000);
    let timeout = match section.string("output_strategy")?.as_deref() {
        None | Some("" | "timeout") => Some(timeout),
        Some("periodic") => None,
        Some(other) => {
            let reason = format!("{other:?} is neither \"timeout\" nor \"periodic\"");
            return Err(section.bad("output_strategy", reason));
        }
    };
    let keep = section.boolean("keep_original_field_names")?.unwrap_or(false);
    Ok(Box::new(Final { timeout, suffix: if keep { "" } else { "_final" }, last: SeriesMap::default() }))
}

impl Aggregator for Final {
    fn add(&mut self, metric: &Metric) {
        let copy = || {
            let mut copy = metric.clone();
            copy.untrack();
            copy
        };
        let last = self.last.entry(metric, copy);
        if metric.time_ns >= last.time_ns {
            *last = copy();
        }
    }

    fn push(&mut self, now_ns: i64, out: &mut Vec<Metric>) {
        let (timeout, suffix) = (self.timeout, self.suffix);
        self.last.retain(|entry| {
            let last = &entry.value;
            if timeout.is_some_and(|timeout| now_ns.saturating_sub(last.time_ns) <= timeout) {
                return true;
            }
            let mut metric = last.child();
            for (key, value) in last.fields() {
                metric.set_field(format!("{key}{suffix}"), Value(value.clone()));
            }
            out.push(metric);
            false
        });
    }

    /// Series outlive windows.
    fn reset(&mut self) {}

    fn keeps_times(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{try_aggregator, window};
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn a_series_is_told_of_when_it_is_silent() {
        let mut last = try_aggregator(build, "series_timeout='10s'").expect("valid");
        let metric = |time: i64, x: i64| Metric::new("m", time * S).field("x", x).field("s", "text");
        assert!(window(&mut *last, &[metric(2, 2), metric(1, 1)], 5 * S).is_empty());
        assert!(window(&mut *last, &[], 12 * S).is_empty());
        assert_eq!(window(&mut *last, &[], 13 * S), ["m x_final=2i,s_final=\"text\" 2000000000"]);
        assert!(window(&mut *last, &[], 30 * S).is_empty());
    }

    #[test]
    fn or_at_the_end_of_every_window() {
        let options = "output_strategy='periodic'\nkeep_original_field_names=true";
        let mut last = try_aggregator(build, options).expect("valid");
        let metric = |x: i64| Metric::new("m", x).field("x", x);
        assert_eq!(window(&mut *last, &[metric(1), metric(2)], S), ["m x=2i 2"]);
        assert!(window(&mut *last, &[], 2 * S).is_empty());
    }
}
