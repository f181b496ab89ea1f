//! `count`, `sum`, `mean`, `spread`: states of fixed size.

use std::{cmp::Ordering, marker::PhantomData};

use skywatch_model::FieldValue;

use super::{Native, Points, Run, State, Statistics, native::Number};

/// Number of values.
#[derive(Debug)]
pub(super) struct Count<T>(u64, PhantomData<fn() -> T>);

impl<T> Default for Count<T> {
    fn default() -> Self {
        Self(0, PhantomData)
    }
}

impl<T: Native> State<T> for Count<T> {
    type Config = ();

    fn update(&mut self, _: &[T], run: &Run<'_>, (): &()) {
        self.0 += run.count() as u64;
    }

    fn update_statistics(&mut self, statistics: &Statistics<'_>, (): &()) -> bool {
        self.0 += statistics.count;
        true
    }

    fn merge(&mut self, other: Self, (): &()) {
        self.0 += other.0;
    }

    fn finish(self, window_start: i64, (): &(), out: &mut Points) {
        if self.0 > 0 {
            out.push(window_start, Some(FieldValue::Integer(self.0 as i64)), None);
        }
    }
}

/// Sum and count, for `sum` and `mean`. Floats are added in the order of time.
#[derive(Debug, Default)]
pub(super) struct Total<T> {
    sum: T,
    count: u64,
}

impl<T: Number> Total<T> {
    fn take(&mut self, values: &[T], run: &Run<'_>) {
        if run.is_dense() {
            self.sum = values[run.rows.clone()].iter().fold(self.sum, |sum, value| sum.add(*value));
            self.count += run.rows.len() as u64;
        } else {
            for row in run.valid_rows() {
                self.sum = self.sum.add(values[row]);
                self.count += 1;
            }
        }
    }

    /// Floats round otherwise when partial sums are added, or in the opposite order: their sum serves only where it is
    /// the first of a query in the same order.
    fn take_statistics(&mut self, statistics: &Statistics<'_>, descending: bool) -> bool {
        if !T::SUMS_IN_ANY_ORDER && (self.count > 0 || descending != statistics.latest_first) {
            return false;
        }
        let Some(sum) = T::from_sum(statistics.sum) else { return false };
        self.sum = self.sum.add(sum);
        self.count += statistics.count;
        true
    }
}

/// `sum`: keeps the type.
#[derive(Debug, Default)]
pub(super) struct SumOf<T>(Total<T>);

impl<T: Number> State<T> for SumOf<T> {
    /// Whether rows come latest first.
    type Config = bool;

    fn update(&mut self, values: &[T], run: &Run<'_>, _: &bool) {
        self.0.take(values, run);
    }

    fn update_statistics(&mut self, statistics: &Statistics<'_>, descending: &bool) -> bool {
        self.0.take_statistics(statistics, *descending)
    }

    fn merge(&mut self, other: Self, _: &bool) {
        self.0.sum = self.0.sum.add(other.0.sum);
        self.0.count += other.0.count;
    }

    fn finish(self, window_start: i64, _: &bool, out: &mut Points) {
        if self.0.count > 0 {
            out.push(window_start, Some(self.0.sum.into_value()), None);
        }
    }
}

/// `mean`: always a float.
///
/// InfluxDB averages each series (of each shard) and weighs these means by their counts, which rounds otherwise
/// than one sum over all would. The answers are to be the same to the last digit, so merging weighs means too.
#[derive(Debug, Default)]
pub(super) struct MeanOf<T> {
    own: Total<T>,
    merged: Option<Total<f64>>,
}

impl<T: Number> MeanOf<T> {
    /// Sum and count with every part of more than one value seen through its mean.
    fn weighted(&self) -> Total<f64> {
        if let Some(merged) = &self.merged {
            return Total { sum: merged.sum, count: merged.count };
        }
        let (sum, count) = (self.own.sum.to_f64(), self.own.count);
        Total { sum: if count < 2 { sum } else { sum / count as f64 * count as f64 }, count }
    }
}

impl<T: Number> State<T> for MeanOf<T> {
    /// Whether rows come latest first.
    type Config = bool;

    fn update(&mut self, values: &[T], run: &Run<'_>, _: &bool) {
        debug_assert!(self.merged.is_none(), "a merged mean takes no more rows");
        self.own.take(values, run);
    }

    fn update_statistics(&mut self, statistics: &Statistics<'_>, descending: &bool) -> bool {
        self.own.take_statistics(statistics, *descending)
    }

    fn merge(&mut self, other: Self, _: &bool) {
        let other = other.weighted();
        if other.count == 0 {
            return;
        }
        let mut merged = self.weighted();
        merged.sum += other.sum;
        merged.count += other.count;
        self.merged = Some(merged);
    }

    fn finish(self, window_start: i64, _: &bool, out: &mut Points) {
        let (sum, count) = match self.merged {
            Some(merged) => (merged.sum, merged.count),
            None => (self.own.sum.to_f64(), self.own.count),
        };
        if count > 0 {
            out.push(window_start, Some(FieldValue::Float(sum / count as f64)), None);
        }
    }
}

/// `spread`: greatest minus smallest.
#[derive(Debug, Default)]
pub(super) struct Spread<T>(Option<(T, T)>);

impl<T: Number> Spread<T> {
    fn take(&mut self, low: T, high: T) {
        let (own_low, own_high) = self.0.get_or_insert((low, high));
        if low.order(own_low) == Ordering::Less {
            *own_low = low;
        }
        if high.order(own_high) == Ordering::Greater {
            *own_high = high;
        }
    }
}

impl<T: Number> State<T> for Spread<T> {
    type Config = ();

    fn update(&mut self, values: &[T], run: &Run<'_>, (): &()) {
        run.valid_rows().for_each(|row| self.take(values[row], values[row]));
    }

    fn update_statistics(&mut self, statistics: &Statistics<'_>, (): &()) -> bool {
        let bound = |bound: Option<(Option<i64>, &FieldValue)>| T::from_value(bound?.1);
        let (Some(low), Some(high)) = (bound(statistics.min), bound(statistics.max)) else { return false };
        self.take(low, high);
        true
    }

    fn merge(&mut self, other: Self, (): &()) {
        if let Some((low, high)) = other.0 {
            self.take(low, high);
        }
    }

    fn finish(self, window_start: i64, (): &(), out: &mut Points) {
        if let Some((low, high)) = self.0 {
            out.push(window_start, Some(high.sub(low).into_value()), None);
        }
    }
}
