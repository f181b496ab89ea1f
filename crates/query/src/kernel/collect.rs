//! `median`, `percentile`, `stddev`, `mode`, `distinct`, `count(distinct())`: functions that need every value.

use std::{cmp::Ordering, fmt::Debug, marker::PhantomData};

use rustc_hash::FxHashMap;
use skywatch_model::{FieldType, FieldValue};

use super::{
    Aux, Native, Points, Run, State, Statistics,
    extreme::{PointTime, SelectorConfig},
    native::{Key, Number},
};

/// One collected value.
#[derive(Debug, Clone)]
pub(super) struct Sample<T> {
    time: i64,
    value: T,
    aux: Aux,
}

/// What is made of all values of a window.
pub(super) trait Summary<T: Native>: Debug + Default + Send + 'static {
    /// Parameters.
    type Config: Clone + Debug + Send + Sync + 'static;

    /// Adds the answer; `samples` is not empty and in the order of series, then time.
    fn summarise(samples: Vec<Sample<T>>, window_start: i64, config: &Self::Config, out: &mut Points);
}

/// Every value of a window.
#[derive(Debug)]
pub(super) struct Collected<T, S> {
    samples: Vec<Sample<T>>,
    summary: PhantomData<S>,
}

impl<T, S> Default for Collected<T, S> {
    fn default() -> Self {
        Self { samples: Vec::new(), summary: PhantomData }
    }
}

impl<T: Native, S: Summary<T>> State<T> for Collected<T, S> {
    type Config = S::Config;

    fn update(&mut self, values: &[T], run: &Run<'_>, _: &S::Config) {
        let sample =
            |row: usize| Sample { time: run.times[row], value: values[row].clone(), aux: run.aux.row(row) };
        self.samples.extend(run.valid_rows().map(sample));
    }

    fn update_statistics(&mut self, _: &Statistics<'_>, _: &S::Config) -> bool {
        false
    }

    fn merge(&mut self, mut other: Self, _: &S::Config) {
        self.samples.append(&mut other.samples);
    }

    fn finish(self, window_start: i64, config: &S::Config, out: &mut Points) {
        if !self.samples.is_empty() {
            S::summarise(self.samples, window_start, config, out);
        }
    }

    fn heap_bytes(&self) -> usize {
        self.samples.capacity() * size_of::<Sample<T>>()
    }
}

/// By value, equal values in the order of the query.
fn sort_by_value<T: Native>(samples: &mut [Sample<T>], descending: bool) {
    samples.sort_by(|a, b| a.value.order(&b.value).then_with(|| in_order(a.time, b.time, descending)));
}

fn in_order(a: i64, b: i64, descending: bool) -> Ordering {
    if descending { b.cmp(&a) } else { a.cmp(&b) }
}

/// `median`: the middle, or half way between the two in the middle.
#[derive(Debug, Default)]
pub(super) struct Median;

impl<T: Number> Summary<T> for Median {
    type Config = ();

    fn summarise(mut samples: Vec<Sample<T>>, window_start: i64, (): &(), out: &mut Points) {
        sort_by_value(&mut samples, false);
        let middle = samples.len() / 2;
        let high = samples[middle].value;
        let median = if samples.len() % 2 == 1 {
            high.to_f64()
        } else {
            let low = samples[middle - 1].value;
            low.to_f64() + high.sub(low).to_f64() / 2.0
        };
        out.push(window_start, Some(FieldValue::Float(median)), None);
    }
}

/// `percentile(field, p)`: the point at nearest rank p.
#[derive(Debug, Default)]
pub(super) struct Percentile;

/// Parameters of `percentile`.
#[derive(Debug, Clone, Copy)]
pub(super) struct PercentileConfig {
    pub(super) percent: f64,
    pub(super) selector: SelectorConfig,
    pub(super) descending: bool,
}

impl<T: Number> Summary<T> for Percentile {
    type Config = PercentileConfig;

    fn summarise(
        mut samples: Vec<Sample<T>>,
        window_start: i64,
        config: &PercentileConfig,
        out: &mut Points,
    ) {
        sort_by_value(&mut samples, config.descending);
        let rank = (samples.len() as f64 * config.percent / 100.0 + 0.5).floor() - 1.0;
        if rank < 0.0 || rank >= samples.len() as f64 {
            return;
        }
        let sample = samples.swap_remove(rank as usize);
        let time = if config.selector.time == PointTime::Own { sample.time } else { window_start };
        out.push(time, Some(sample.value.into_value()), sample.aux);
    }
}

/// `stddev`: of a sample (divides by n - 1). Of a single value it is no number, which is shown as null and which
/// `fill` takes for a value.
#[derive(Debug, Default)]
pub(super) struct StdDev;

impl<T: Number> Summary<T> for StdDev {
    /// Whether rows come latest first.
    type Config = bool;

    fn summarise(mut samples: Vec<Sample<T>>, window_start: i64, descending: &bool, out: &mut Points) {
        if samples.len() < 2 {
            out.push(window_start, Some(FieldValue::Float(f64::NAN)), None);
            return;
        }
        // In the order of time, so that shards do not show in the last digit.
        samples.sort_by(|a, b| in_order(a.time, b.time, *descending));
        // The running mean, then squared distances, rounds as InfluxDB's does.
        let mut mean = 0.0;
        for (index, sample) in samples.iter().enumerate() {
            mean += (sample.value.to_f64() - mean) / (index + 1) as f64;
        }
        let squares: f64 = samples.iter().fold(0.0, |sum, sample| {
            let distance = sample.value.to_f64() - mean;
            sum + distance * distance
        });
        let deviation = (squares / (samples.len() - 1) as f64).sqrt();
        out.push(window_start, Some(FieldValue::Float(deviation)), None);
    }
}

/// `mode`: the most frequent value, true before false; if no value occurs twice, the smallest. Of equally frequent
/// ones the smaller, unless the greater one begins no later than the smaller one reaches that frequency.
#[derive(Debug, Default)]
pub(super) struct Mode;

impl<T: Native> Summary<T> for Mode {
    /// Whether rows come latest first.
    type Config = bool;

    fn summarise(mut samples: Vec<Sample<T>>, window_start: i64, descending: &bool, out: &mut Points) {
        sort_by_value(&mut samples, *descending);
        let mut best = (0, samples[0].time, 0);
        let mut start = 0;
        for index in 1..samples.len() {
            if samples[index].value.order(&samples[start].value) != Ordering::Equal {
                start = index;
                continue;
            }
            let frequency = index - start + 1;
            if frequency > best.0 || (frequency == best.0 && samples[start].time <= best.1) {
                best = (frequency, samples[index].time, start);
            }
        }
        let trues = samples.iter().filter(|sample| sample.value.key() == Key::Bits(1)).count();
        let mode = match T::TYPE {
            FieldType::Boolean => FieldValue::Boolean(trues * 2 >= samples.len()),
            _ => samples.swap_remove(best.2).value.into_value(),
        };
        out.push(window_start, Some(mode), None);
    }
}

/// Distinct values with the time each occurs first in the order of the query. Small however many rows there are.
#[derive(Debug)]
pub(super) struct DistinctValues<T, O> {
    first: FxHashMap<Key, (i64, T)>,
    output: PhantomData<O>,
}

impl<T, O> Default for DistinctValues<T, O> {
    fn default() -> Self {
        Self { first: FxHashMap::default(), output: PhantomData }
    }
}

/// What is shown of distinct values.
pub(super) trait DistinctOutput: Debug + Send + 'static {
    /// Adds the answer to values in order.
    fn emit<T: Native>(values: Vec<(i64, T)>, window_start: i64, out: &mut Points);
}

/// `distinct()`: the values, in the order they first occur.
#[derive(Debug)]
pub(super) struct EachValue;
/// `count(distinct())`: how many there are.
#[derive(Debug)]
pub(super) struct NumberOfValues;

impl DistinctOutput for EachValue {
    fn emit<T: Native>(mut values: Vec<(i64, T)>, window_start: i64, out: &mut Points) {
        values.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.order(&b.1)));
        for (_, value) in values {
            out.push(window_start, Some(value.into_value()), None);
        }
    }
}

impl DistinctOutput for NumberOfValues {
    fn emit<T: Native>(values: Vec<(i64, T)>, window_start: i64, out: &mut Points) {
        out.push(window_start, Some(FieldValue::Integer(values.len() as i64)), None);
    }
}

impl<T: Native, O: DistinctOutput> DistinctValues<T, O> {
    fn take(&mut self, time: i64, value: T, descending: bool) {
        let first = self.first.entry(value.key()).or_insert_with(|| (time, value));
        first.0 = if descending { first.0.max(time) } else { first.0.min(time) };
    }
}

impl<T: Native, O: DistinctOutput> State<T> for DistinctValues<T, O> {
    /// Whether rows come latest first.
    type Config = bool;

    fn update(&mut self, values: &[T], run: &Run<'_>, descending: &bool) {
        for row in run.valid_rows() {
            self.take(run.times[row], values[row].clone(), *descending);
        }
    }

    fn update_statistics(&mut self, _: &Statistics<'_>, _: &bool) -> bool {
        false
    }

    #[expect(clippy::iter_over_hash_type, reason = "one time wins, in whatever order they come")]
    fn merge(&mut self, other: Self, descending: &bool) {
        for (_, (time, value)) in other.first {
            self.take(time, value, *descending);
        }
    }

    fn finish(self, window_start: i64, _: &bool, out: &mut Points) {
        if !self.first.is_empty() {
            O::emit(self.first.into_values().collect(), window_start, out);
        }
    }

    fn heap_bytes(&self) -> usize {
        self.first.capacity() * size_of::<(Key, (i64, T))>()
    }
}
