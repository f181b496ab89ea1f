//! `valuecounter`: how often each value of a field occurred.

use std::collections::{BTreeMap, HashSet};

use crate::aggregator::Aggregator;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::field_value;
use crate::metric::Metric;
use crate::series::SeriesMap;

/// Different values counted by series, at most; a field of ever new values would fill the memory.
const VALUES_MAX: usize = 10_000;

/// The aggregator: field keys with values, and their counts, by series.
#[derive(Debug)]
struct ValueCounter {
    fields: HashSet<String>,
    series: SeriesMap<BTreeMap<String, i64>>,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Aggregator>, ConfigError> {
    let fields = section.strings("fields")?.unwrap_or_default().into_iter().collect();
    Ok(Box::new(ValueCounter { fields, series: SeriesMap::default() }))
}

impl Aggregator for ValueCounter {
    fn add(&mut self, metric: &Metric) {
        let counts = self.series.entry(metric, BTreeMap::new);
        for (key, value) in metric.fields().iter().filter(|(key, _)| self.fields.contains(key.as_ref())) {
            let counted = format!("{key}_{}", field_value::general(value));
            if let Some(count) = counts.get_mut(&counted) {
                *count += 1;
            } else if counts.len() < VALUES_MAX {
                counts.insert(counted, 1);
            }
        }
    }

    fn push(&mut self, now_ns: i64, out: &mut Vec<Metric>) {
        for entry in self.series.iter().filter(|entry| !entry.value.is_empty()) {
            let mut metric = entry.metric(now_ns);
            entry.value.iter().for_each(|(key, count)| metric.set_field(key.clone(), *count));
            out.push(metric);
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
    fn values_are_counted_by_their_text() {
        let mut counter = try_aggregator(build, "fields=['status','f']").expect("valid");
        let metrics = [
            Metric::new("m", 1).field("status", 200_i64).field("f", 1e6),
            Metric::new("m", 2).field("status", 404_i64).field("other", 1_i64),
            Metric::new("m", 3).field("status", 200_i64),
            Metric::new("n", 3).field("other", 200_i64),
        ];
        assert_eq!(window(&mut *counter, &metrics, 9), ["m f_1e+06=1i,status_200=2i,status_404=1i 9"]);
    }
}
