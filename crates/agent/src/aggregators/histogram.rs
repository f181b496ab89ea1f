//! `histogram`: how many values of a field were in which bucket.

use crate::aggregator::Aggregator;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::field_value;
use crate::metric::{Key, Metric};
use crate::series::SeriesMap;
use skywatch_model::FieldValue;

/// The aggregator.
#[derive(Debug)]
struct Histogram {
    configs: Vec<Buckets>,
    reset: bool,
    cumulative: bool,
    /// Nanoseconds after its last value at which a series is forgotten; 0 is never.
    expiration: i64,
    push_only_on_update: bool,
    series: SeriesMap<Counts>,
}

/// One `[[aggregators.histogram.config]]`.
#[derive(Debug)]
struct Buckets {
    measurement: String,
    /// Every field if there is none.
    fields: Vec<String>,
    /// Upper bounds in rising order.
    bounds: Vec<f64>,
}

/// The counts of a series.
#[derive(Debug, Default)]
struct Counts {
    fields: Vec<FieldCounts>,
    updated: bool,
    /// Nanoseconds since the Unix epoch; set with the first push after a value.
    fresh_at: Option<i64>,
}

/// The counts of a field: one for each bound, and those above all of them.
#[derive(Debug)]
struct FieldCounts {
    key: Key,
    config: usize,
    counts: Vec<i64>,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Aggregator>, ConfigError> {
    let configs = section.sections("config", |config| {
        let measurement = config.string("measurement_name")?.unwrap_or_default();
        if measurement.is_empty() {
            return Err(config.bad("measurement_name", "say whose fields are counted"));
        }
        let mut bounds = config.floats("buckets")?.unwrap_or_default();
        if bounds.is_empty() || bounds.iter().any(|bound| bound.is_nan()) {
            return Err(config.bad("buckets", "a list of upper bounds is needed"));
        }
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        Ok(Buckets { measurement, fields: config.strings("fields")?.unwrap_or_default(), bounds })
    })?;
    Ok(Box::new(Histogram {
        configs,
        reset: section.boolean("reset")?.unwrap_or(false),
        cumulative: section.boolean("cumulative")?.unwrap_or(true),
        expiration: section.duration("expiration_interval")?.unwrap_or(0),
        push_only_on_update: section.boolean("push_only_on_update")?.unwrap_or(false),
        series: SeriesMap::default(),
    }))
}

impl Histogram {
    /// The buckets of a field: the first table that names it.
    fn config(&self, measurement: &str, field: &str) -> Option<usize> {
        self.configs.iter().position(|config| {
            config.measurement == measurement
                && (config.fields.is_empty() || config.fields.iter().any(|name| name == field))
        })
    }

    /// A metric for the bucket number `at` of one table, with the counts of all fields that use it.
    fn bucket(&self, mut metric: Metric, counts: &Counts, config: usize, at: usize) -> Metric {
        let bounds = &self.configs[config].bounds;
        let bound = |at: usize| bounds.get(at).map_or_else(|| "+Inf".to_owned(), |b| field_value::plain(*b));
        metric.set_tag("le", bound(at));
        if !self.cumulative {
            metric.set_tag("gt", at.checked_sub(1).map_or_else(|| "-Inf".to_owned(), bound));
        }
        for FieldCounts { key, counts, .. } in counts.fields.iter().filter(|field| field.config == config) {
            let count = if self.cumulative { counts[..=at].iter().sum() } else { counts[at] };
            metric.set_field(format!("{key}_bucket"), count);
        }
        metric
    }
}

impl Aggregator for Histogram {
    fn add(&mut self, metric: &Metric) {
        for (key, value) in metric.fields() {
            // As in the original, unsigned values are not counted.
            let (FieldValue::Float(_) | FieldValue::Integer(_)) = value else { continue };
            let Some(number) = field_value::number(value) else { continue };
            let Some(config) = self.config(&metric.name, key) else { continue };
            let bounds = &self.configs[config].bounds;
            let counts = self.series.entry(metric, Counts::default);
            counts.updated = true;
            let at = match counts.fields.iter().position(|field| field.key == *key) {
                Some(at) => at,
                None => {
                    let zeros = vec![0; bounds.len() + 1];
                    counts.fields.push(FieldCounts { key: key.clone(), config, counts: zeros });
                    counts.fields.len() - 1
                }
            };
            let bucket = bounds.partition_point(|bound| *bound < number);
            counts.fields[at].counts[bucket] += 1;
        }
    }

    fn push(&mut self, now_ns: i64, out: &mut Vec<Metric>) {
        let expiration = self.expiration;
        self.series.retain(|entry| {
            let counts = &mut entry.value;
            if counts.updated {
                counts.fresh_at = Some(now_ns);
            }
            expiration == 0 || counts.fresh_at.is_some_and(|fresh| now_ns.saturating_sub(fresh) < expiration)
        });
        for entry in self.series.iter() {
            if self.push_only_on_update && !entry.value.updated {
                continue;
            }
            for (config, buckets) in self.configs.iter().enumerate() {
                if entry.value.fields.iter().any(|field| field.config == config) {
                    for at in 0..=buckets.bounds.len() {
                        out.push(self.bucket(entry.metric(now_ns), &entry.value, config, at));
                    }
                }
            }
        }
        self.series.retain(|entry| {
            entry.value.updated = false;
            true
        });
    }

    fn reset(&mut self) {
        if self.reset {
            self.series.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{try_aggregator, window};
    use super::*;

    const CONFIG: &str =
        "[[config]]\nbuckets=[0.0, 10.0, 50.0]\nmeasurement_name='cpu'\nfields=['idle','user']\n";

    fn cpu(idle: f64, user: i64) -> Metric {
        Metric::new("cpu", 1).tag("cpu", "cpu0").field("idle", idle).field("user", user).field("other", 1_i64)
    }

    #[test]
    fn cumulative_counts_survive_windows() {
        let mut histogram = try_aggregator(build, CONFIG).expect("valid");
        assert_eq!(
            window(&mut *histogram, &[cpu(10.0, 0), cpu(60.0, 11)], 9),
            [
                "cpu,cpu=cpu0,le=0 idle_bucket=0i,user_bucket=1i 9",
                "cpu,cpu=cpu0,le=10 idle_bucket=1i,user_bucket=1i 9",
                "cpu,cpu=cpu0,le=50 idle_bucket=1i,user_bucket=2i 9",
                "cpu,cpu=cpu0,le=+Inf idle_bucket=2i,user_bucket=2i 9"
            ]
        );
        let again = window(&mut *histogram, &[cpu(5.0, 0)], 10);
        assert_eq!(again[3], "cpu,cpu=cpu0,le=+Inf idle_bucket=3i,user_bucket=3i 10");
        assert_eq!(window(&mut *histogram, &[], 11).len(), 4, "told of without new values as well");
    }

    #[test]
    fn each_bucket_for_itself_and_reset() {
        let options = format!("reset=true\ncumulative=false\n{CONFIG}");
        let mut histogram = try_aggregator(build, &options).expect("valid");
        let lines = window(&mut *histogram, &[cpu(10.0, -3)], 9);
        assert_eq!(lines[0], "cpu,cpu=cpu0,gt=-Inf,le=0 idle_bucket=0i,user_bucket=1i 9");
        assert_eq!(lines[1], "cpu,cpu=cpu0,gt=0,le=10 idle_bucket=1i,user_bucket=0i 9");
        assert_eq!(lines[3], "cpu,cpu=cpu0,gt=50,le=+Inf idle_bucket=0i,user_bucket=0i 9");
        assert!(window(&mut *histogram, &[], 10).is_empty());
    }

    #[test]
    fn only_on_update_and_expiration() {
        let options = format!("push_only_on_update=true\nexpiration_interval='10s'\n{CONFIG}");
        let mut histogram = try_aggregator(build, &options).expect("valid");
        assert_eq!(window(&mut *histogram, &[cpu(1.0, 1)], 0).len(), 4);
        assert!(window(&mut *histogram, &[], 5_000_000_000).is_empty());
        assert!(window(&mut *histogram, &[], 10_000_000_000).is_empty());
        let lines = window(&mut *histogram, &[cpu(1.0, 1)], 11_000_000_000);
        assert!(lines[3].contains("idle_bucket=1i"), "the earlier counts are forgotten: {lines:?}");
    }

    #[test]
    fn other_measurements_and_unsigned_values_do_not_count() {
        let mut histogram = try_aggregator(build, CONFIG).expect("valid");
        let metrics = [Metric::new("mem", 1).field("idle", 1.0), Metric::new("cpu", 1).field("idle", 1_u64)];
        assert!(window(&mut *histogram, &metrics, 9).is_empty());
    }
}
