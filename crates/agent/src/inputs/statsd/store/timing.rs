//! The observations of a timing or histogram: moments of all, percentiles of a sample of bounded size. Pure.

use crate::metric::Metric;

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Timing {
    count: u64,
    sum: f64,
    lower: f64,
    upper: f64,
    /// Mean and sum of squared deviations by B. P. Welford's method (Technometrics 4, 1962).
    mean: f64,
    squares: f64,
    /// At most `percentile_limit` of the observations, each with the same chance: J. S. Vitter's algorithm R ("Random
    /// Sampling with a Reservoir", 1985).
    sample: Vec<f64>,
}

impl Timing {
    /// Takes an observation in that stands for `weight` equal ones.
    pub(super) fn add(&mut self, value: f64, weight: u64, limit: usize) {
        for _ in 0..weight {
            self.add_one(value, limit);
        }
    }

    fn add_one(&mut self, value: f64, limit: usize) {
        self.count += 1;
        self.sum += value;
        self.lower = if self.count == 1 { value } else { self.lower.min(value) };
        self.upper = if self.count == 1 { value } else { self.upper.max(value) };
        let deviation = value - self.mean;
        self.mean += deviation / self.count as f64;
        self.squares += deviation * (value - self.mean);
        if self.sample.len() < limit {
            self.sample.push(value);
        } else {
            let at = rand::random_range(0..self.count) as usize;
            if let Some(place) = self.sample.get_mut(at) {
                *place = value;
            }
        }
    }

    /// Sets the fields of a metric, their names after `prefix`.
    pub(super) fn write(
        &self,
        metric: &mut Metric,
        prefix: &str,
        percentiles: &[(f64, String)],
        float_count: bool,
    ) {
        let mut sorted = self.sample.clone();
        sorted.sort_by(f64::total_cmp);
        metric.set_field(format!("{prefix}mean"), self.mean);
        metric.set_field(format!("{prefix}median"), median(&sorted));
        metric.set_field(format!("{prefix}stddev"), (self.squares / self.count as f64).sqrt());
        metric.set_field(format!("{prefix}sum"), self.sum);
        metric.set_field(format!("{prefix}upper"), self.upper);
        metric.set_field(format!("{prefix}lower"), self.lower);
        let key = format!("{prefix}count");
        if float_count {
            metric.set_field(key, self.count as f64);
        } else {
            metric.set_field(key, i64::try_from(self.count).unwrap_or(i64::MAX));
        }
        for (percentile, name) in percentiles {
            metric.set_field(format!("{prefix}{name}"), nearest_rank(&sorted, *percentile));
        }
    }
}

/// The middle one, or the mean of the two in the middle. `sorted` is not empty.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { (sorted[middle - 1] + sorted[middle]) / 2.0 } else { sorted[middle] }
}

/// The observation below which `percentile` percent of all lie. `sorted` is not empty.
fn nearest_rank(sorted: &[f64], percentile: f64) -> f64 {
    let rank = (percentile / 100.0 * sorted.len() as f64) as usize;
    sorted[rank.min(sorted.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_percentiles() {
        let mut timing = Timing::default();
        for n in 1..=100 {
            timing.add(f64::from(n), 1, 1000);
        }
        let mut metric = Metric::new("t", 0);
        timing.write(
            &mut metric,
            "",
            &[(90.0, "90_percentile".to_owned()), (100.0, "100_percentile".to_owned())],
            false,
        );
        let text = crate::processors::testing::lines(&[metric]).remove(0);
        assert_eq!(
            text,
            "t mean=50.5,median=50.5,stddev=28.86607004772212,sum=5050,upper=100,lower=1,count=100i,90_percentile=91,100_percentile=100 0"
        );
    }

    #[test]
    fn the_sample_is_bounded_and_the_count_is_not() {
        let mut timing = Timing::default();
        for n in 0..10_000 {
            timing.add(f64::from(n), 2, 100);
        }
        assert_eq!((timing.sample.len(), timing.count), (100, 20_000));
    }
}
