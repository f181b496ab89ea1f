//! `quantile`: quantiles of every field, estimated by a t-digest or exact.

use tdigest::TDigest;

use crate::aggregator::Aggregator;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::field_value;
use crate::metric::{Key, Metric};
use crate::series::SeriesMap;

/// Values kept before they go into a digest together.
const BATCH: usize = 512;

/// The aggregator.
#[derive(Debug)]
struct Quantile {
    /// Each with the end of its field's key.
    quantiles: Vec<(f64, String)>,
    algorithm: Algorithm,
    /// Centroids of a digest.
    compression: usize,
    series: SeriesMap<Vec<(Key, Sample)>>,
}

/// How quantiles are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    /// T. Dunning, "Computing Extremely Accurate Quantiles Using t-Digests", 2019.
    TDigest,
    /// R. J. Hyndman and Y. Fan, "Sample Quantiles in Statistical Packages", 1996, definition 7.
    ExactR7,
    /// The same, definition 8.
    ExactR8,
}

/// The values of a field.
#[derive(Debug)]
struct Sample {
    values: Vec<f64>,
    digest: Option<TDigest>,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Aggregator>, ConfigError> {
    let algorithm = match section.string("algorithm")?.as_deref() {
        None | Some("" | "t-digest") => Algorithm::TDigest,
        Some("exact R7") => Algorithm::ExactR7,
        Some("exact R8") => Algorithm::ExactR8,
        Some(other) => {
            let reason = format!("{other:?} is none of \"t-digest\", \"exact R7\", \"exact R8\"");
            return Err(section.bad("algorithm", reason));
        }
    };
    let wanted = section.floats("quantiles")?.filter(|list| !list.is_empty());
    let mut quantiles = Vec::new();
    for quantile in wanted.unwrap_or_else(|| vec![0.25, 0.5, 0.75]) {
        if !(0.0..=1.0).contains(&quantile) {
            return Err(section.bad("quantiles", format!("{quantile} is not between 0 and 1")));
        }
        let suffix = format!("_{:03}", (quantile * 100.0) as u32);
        if quantiles.iter().any(|(_, known)| *known == suffix) {
            let reason = format!("{quantile} and another quantile both end in {suffix:?}");
            return Err(section.bad("quantiles", reason));
        }
        quantiles.push((quantile, suffix));
    }
    let compression = section.float("compression")?.unwrap_or(100.0);
    if !(1.0..=100_000.0).contains(&compression) {
        return Err(section.bad("compression", "must be between 1 and 100000"));
    }
    let compression = compression as usize;
    Ok(Box::new(Quantile { quantiles, algorithm, compression, series: SeriesMap::default() }))
}

impl Sample {
    fn add(&mut self, value: f64, algorithm: Algorithm, compression: usize) {
        self.values.push(value);
        if algorithm == Algorithm::TDigest && self.values.len() >= BATCH {
            self.digest(compression);
        }
    }

    fn digest(&mut self, compression: usize) -> &TDigest {
        let digest = self.digest.take().unwrap_or_else(|| TDigest::new_with_size(compression));
        let digest = digest.merge_unsorted(std::mem::take(&mut self.values));
        self.digest.insert(digest)
    }

    /// The quantiles of a sample, which is not empty.
    fn quantiles(&mut self, wanted: &[(f64, String)], algorithm: Algorithm, compression: usize) -> Vec<f64> {
        if algorithm == Algorithm::TDigest {
            let digest = self.digest(compression);
            return wanted.iter().map(|(q, _)| digest.estimate_quantile(*q).unwrap_or(f64::NAN)).collect();
        }
        self.values.sort_by(f64::total_cmp);
        wanted.iter().map(|(q, _)| exact(&self.values, *q, algorithm == Algorithm::ExactR8)).collect()
    }
}

/// Between two order statistics, linearly. `sorted` is not empty.
fn exact(sorted: &[f64], quantile: f64, r8: bool) -> f64 {
    let count = sorted.len() as f64;
    // The rank from 1, with a fraction.
    let rank = if r8 { quantile * (count + 1.0 / 3.0) + 1.0 / 3.0 } else { quantile * (count - 1.0) + 1.0 };
    let rank = rank.clamp(1.0, count);
    let below = sorted[rank.floor() as usize - 1];
    let above = sorted[rank.ceil() as usize - 1];
    below + (above - below) * rank.fract()
}

impl Aggregator for Quantile {
    fn add(&mut self, metric: &Metric) {
        let samples = self.series.entry(metric, Vec::new);
        for (key, value) in metric.fields() {
            let Some(number) = field_value::number(value).filter(|number| !number.is_nan()) else { continue };
            let at = samples.iter().position(|(known, _)| known == key).unwrap_or_else(|| {
                samples.push((key.clone(), Sample { values: Vec::new(), digest: None }));
                samples.len() - 1
            });
            samples[at].1.add(number, self.algorithm, self.compression);
        }
    }

    fn push(&mut self, now_ns: i64, out: &mut Vec<Metric>) {
        let (wanted, algorithm, compression) = (&self.quantiles, self.algorithm, self.compression);
        self.series.retain(|entry| {
            let mut metric = entry.metric(now_ns);
            for (key, sample) in &mut entry.value {
                let found = sample.quantiles(wanted, algorithm, compression);
                for ((_, suffix), value) in wanted.iter().zip(found) {
                    metric.set_field(format!("{key}{suffix}"), value);
                }
            }
            if !metric.fields().is_empty() {
                out.push(metric);
            }
            true
        });
    }

    fn reset(&mut self) {
        self.series.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{try_aggregator, window};
    use super::*;

    fn values(values: &[f64]) -> Vec<Metric> {
        values.iter().map(|x| Metric::new("m", 1).field("x", *x)).collect()
    }

    #[test]
    fn exact_quantiles_are_those_of_r() {
        // quantile(c(3, 1, 4, 1, 5, 9, 2, 6), c(.25, .5, .75), type = 7) and type = 8.
        let sample = values(&[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]);
        let mut r7 = try_aggregator(build, "algorithm='exact R7'").expect("valid");
        assert_eq!(window(&mut *r7, &sample, 9), ["m x_025=1.75,x_050=3.5,x_075=5.25 9"]);
        let mut r8 = try_aggregator(build, "algorithm='exact R8'\nquantiles=[0.25,0.99]").expect("valid");
        let lines = window(&mut *r8, &sample, 9);
        assert!(lines[0].starts_with("m x_025=1.41666") && lines[0].contains(",x_099=9 "), "{lines:?}");
    }

    #[test]
    fn estimates_are_close() {
        let mut quantile = try_aggregator(build, "quantiles=[0.01,0.5,0.99]").expect("valid");
        // Every number from 0 to 9999 once, in no order.
        let sample: Vec<_> = (0..10_000_u64).map(|n| (n * 7919 % 10_000) as f64).collect();
        for metric in values(&sample) {
            quantile.add(&metric);
        }
        let mut out = Vec::new();
        quantile.push(9, &mut out);
        for (key, want) in [("x_001", 100.0), ("x_050", 5000.0), ("x_099", 9900.0)] {
            let Some(skywatch_model::FieldValue::Float(found)) = out[0].field_value(key) else {
                panic!("{key} in {out:?}");
            };
            assert!((found - want).abs() < 50.0, "{key}: {found}");
        }
    }

    #[test]
    fn faults_are_named() {
        for options in ["algorithm='x'", "quantiles=[1.5]", "quantiles=[0.501, 0.502]", "compression=0.0"] {
            assert!(try_aggregator(build, options).is_err(), "{options}");
        }
    }
}
