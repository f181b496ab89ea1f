//! `minmax`: the lowest and the highest value of every field.

use crate::aggregator::Aggregator;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::field_value;
use crate::metric::{Key, Metric};
use crate::series::SeriesMap;

/// The aggregator: fields with their extremes, by series.
#[derive(Debug, Default)]
struct MinMax {
    series: SeriesMap<Vec<(Key, f64, f64)>>,
}

pub(super) fn build(_: &mut Section, _: &Context) -> Result<Box<dyn Aggregator>, ConfigError> {
    Ok(Box::new(MinMax::default()))
}

impl Aggregator for MinMax {
    fn add(&mut self, metric: &Metric) {
        let extremes = self.series.entry(metric, Vec::new);
        for (key, value) in metric.fields() {
            let Some(number) = field_value::number(value) else { continue };
            match extremes.iter_mut().find(|(known, ..)| known == key) {
                Some((_, min, max)) => {
                    *min = min.min(number);
                    *max = max.max(number);
                }
                None => extremes.push((key.clone(), number, number)),
            }
        }
    }

    fn push(&mut self, now_ns: i64, out: &mut Vec<Metric>) {
        for entry in self.series.iter() {
            let mut metric = entry.metric(now_ns);
            for (key, min, max) in &entry.value {
                metric.set_field(format!("{key}_min"), *min);
                metric.set_field(format!("{key}_max"), *max);
            }
            if !metric.fields().is_empty() {
                out.push(metric);
            }
        }
    }

    fn reset(&mut self) {
        self.series.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{try_aggregator, window};
    use super::*;

    #[test]
    fn extremes_by_series_and_field() {
        let mut minmax = try_aggregator(build, "").expect("valid");
        let metrics = [
            Metric::new("m", 1).tag("t", "a").field("x", 5_i64).field("s", "text").field("u", 7_u64),
            Metric::new("m", 2).tag("t", "b").field("x", 0.5),
            Metric::new("m", 3).tag("t", "a").field("x", -2_i64).field("b", true),
        ];
        assert_eq!(
            window(&mut *minmax, &metrics, 9),
            ["m,t=a x_min=-2,x_max=5,u_min=7,u_max=7 9", "m,t=b x_min=0.5,x_max=0.5 9"]
        );
        assert!(window(&mut *minmax, &[], 10).is_empty());
    }
}
