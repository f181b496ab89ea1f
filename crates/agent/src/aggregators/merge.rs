//! `merge`: metrics of the same series and time become one.

use crate::aggregator::Aggregator;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::{Metric, Value};
use crate::schedule::round_time;
use crate::series::SeriesMap;

/// The aggregator: merged metrics by series, in the order of their first.
#[derive(Debug)]
struct Merge {
    /// Nanoseconds to which times are rounded before they are compared.
    unit: i64,
    order: Vec<Metric>,
    /// Places in `order`, by series.
    series: SeriesMap<Vec<usize>>,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Aggregator>, ConfigError> {
    let unit = section.duration("round_timestamp_to")?.unwrap_or(1).max(1);
    Ok(Box::new(Merge { unit, order: Vec::new(), series: SeriesMap::default() }))
}

impl Aggregator for Merge {
    fn add(&mut self, metric: &Metric) {
        let time_ns = round_time(metric.time_ns, self.unit);
        let places = self.series.entry(metric, Vec::new);
        // Metrics to merge follow each other closely, so the newest places are looked at first.
        let place = places.iter().rev().copied().find(|at| self.order[*at].time_ns == time_ns);
        let at = place.unwrap_or_else(|| {
            let mut merged = metric.child();
            merged.untrack();
            merged.time_ns = time_ns;
            self.order.push(merged);
            places.push(self.order.len() - 1);
            self.order.len() - 1
        });
        for (key, value) in metric.fields() {
            self.order[at].set_field(key.clone(), Value(value.clone()));
        }
    }

    fn push(&mut self, _: i64, out: &mut Vec<Metric>) {
        out.append(&mut self.order);
    }

    fn reset(&mut self) {
        self.order.clear();
        self.series.clear();
    }

    fn keeps_times(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{try_aggregator, window};
    use super::*;

    #[test]
    fn same_series_and_time() {
        let mut merge = try_aggregator(build, "").expect("valid");
        let metrics = [
            Metric::new("m", 1).tag("t", "a").field("x", 1_i64),
            Metric::new("m", 1).tag("t", "b").field("x", 2_i64),
            Metric::new("m", 2).tag("t", "a").field("x", 3_i64),
            Metric::new("m", 1).tag("t", "a").field("y", 4_i64).field("x", 5_i64),
        ];
        assert_eq!(window(&mut *merge, &metrics, 9), ["m,t=a x=5i,y=4i 1", "m,t=b x=2i 1", "m,t=a x=3i 2"]);
    }

    #[test]
    fn times_that_round_to_the_same() {
        let mut merge = try_aggregator(build, "round_timestamp_to='10ns'").expect("valid");
        let metrics = [Metric::new("m", 104).field("x", 1_i64), Metric::new("m", 96).field("y", 2_i64)];
        assert_eq!(window(&mut *merge, &metrics, 9), ["m x=1i,y=2i 100"]);
    }
}
