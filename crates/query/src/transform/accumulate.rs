//! Over the points so far: `cumulative_sum`, `moving_average`.

use std::collections::VecDeque;

use super::Machine;
use crate::kernel::Number;

/// `cumulative_sum(x)`.
#[derive(Debug)]
pub(super) struct CumulativeSum<T>(T);

impl<T: Number> CumulativeSum<T> {
    pub(super) fn new() -> Self {
        Self(T::default())
    }
}

impl<T: Number> Machine<T> for CumulativeSum<T> {
    type Out = T;

    fn push(&mut self, _time: i64, value: T) -> Option<T> {
        self.0 = self.0.add(value);
        Some(self.0)
    }
}

/// `moving_average(x, n)`: the mean of the last `n` values, once there are so many.
///
/// The sum is carried on from point to point: what leaves is subtracted, what comes is added, in this order, which
/// decides how floats round.
#[derive(Debug)]
pub(super) struct MovingAverage<T> {
    window: usize,
    values: VecDeque<T>,
    sum: T,
}

impl<T: Number> MovingAverage<T> {
    /// Over a window of at least two values.
    pub(super) fn new(window: usize) -> Self {
        Self { window, values: VecDeque::new(), sum: T::default() }
    }
}

impl<T: Number> Machine<T> for MovingAverage<T> {
    type Out = f64;

    fn push(&mut self, _time: i64, value: T) -> Option<f64> {
        if self.values.len() == self.window
            && let Some(oldest) = self.values.pop_front()
        {
            self.sum = self.sum.sub(oldest);
        }
        self.values.push_back(value);
        self.sum = self.sum.add(value);
        (self.values.len() == self.window).then(|| self.sum.to_f64() / self.window as f64)
    }

    fn heap_bytes(&self) -> usize {
        self.values.capacity() * size_of::<T>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_begin_with_a_full_window() {
        let mut average = MovingAverage::new(3);
        let answers: Vec<Option<f64>> = [3i64, 6, 9, 0, -9].map(|value| average.push(0, value)).into();
        assert_eq!(answers, [None, None, Some(6.0), Some(5.0), Some(0.0)]);
    }

    #[test]
    fn sums_run_on() {
        let mut sum = CumulativeSum::new();
        assert_eq!([1.5, -0.5, 4.0].map(|value| sum.push(0, value)), [Some(1.5), Some(1.0), Some(5.0)]);
    }
}
