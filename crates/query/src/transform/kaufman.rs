//! P. J. Kaufman's functions (Trading Systems and Methods, 1995): `kaufmans_efficiency_ratio`,
//! `kaufmans_adaptive_moving_average`.
//!
//! ```text
//!   ER    |x(t) - x(t - period)| / sum of |x(i) - x(i-1)| over the period
//!   KAMA  k(t) = k(t-1) + c^2 (x(t) - k(t-1)),  c = ER (2/3 - 2/31) + 2/31
//! ```
//!
//! As in InfluxDB values before the first are zeros, and as long as the period is not full, `k(t-1)` is the value
//! before.

use std::collections::VecDeque;

use super::{Machine, smooth::Hold};
use crate::kernel::Number;

/// The efficiency ratio.
#[derive(Debug)]
struct Efficiency {
    period: usize,
    /// The last `period` values, oldest first; zeros before the first are left out.
    values: VecDeque<f64>,
    /// The last `period` changes.
    changes: VecDeque<f64>,
    /// Their sum, carried on.
    noise: f64,
}

impl Efficiency {
    fn new(period: u64) -> Self {
        let period = usize::try_from(period).unwrap_or(usize::MAX);
        Self { period, values: VecDeque::new(), changes: VecDeque::new(), noise: 0.0 }
    }

    /// The value before the next.
    fn last(&self) -> f64 {
        self.values.back().copied().unwrap_or(0.0)
    }

    fn is_full(&self) -> bool {
        self.values.len() == self.period
    }

    fn add(&mut self, value: f64) -> f64 {
        let change = (value - self.last()).abs();
        if self.changes.len() == self.period
            && let Some(oldest) = self.changes.pop_front()
        {
            self.noise -= oldest;
        }
        self.changes.push_back(change);
        self.noise += change;
        let start = if self.is_full() { self.values.pop_front().unwrap_or(0.0) } else { 0.0 };
        self.values.push_back(value);
        if self.noise == 0.0 { 0.0 } else { (value - start).abs() / self.noise }
    }

    fn heap_bytes(&self) -> usize {
        (self.values.capacity() + self.changes.capacity()) * size_of::<f64>()
    }
}

/// `kaufmans_efficiency_ratio(x, period, hold)`.
#[derive(Debug)]
pub(super) struct EfficiencyRatio {
    efficiency: Efficiency,
    hold: Hold,
}

impl EfficiencyRatio {
    pub(super) fn new(period: u64, hold: Option<u64>) -> Self {
        Self { efficiency: Efficiency::new(period), hold: Hold::new(hold.unwrap_or(period)) }
    }
}

impl<T: Number> Machine<T> for EfficiencyRatio {
    type Out = f64;

    fn push(&mut self, _time: i64, value: T) -> Option<f64> {
        let ratio = self.efficiency.add(value.to_f64());
        self.hold.pass(ratio)
    }

    fn heap_bytes(&self) -> usize {
        self.efficiency.heap_bytes()
    }
}

/// Weights of the fastest and the slowest average, of periods 2 and 30.
const FASTEST: f64 = 2.0 / 3.0;
const SLOWEST: f64 = 2.0 / 31.0;
/// Their difference, rounded once.
const RANGE: f64 = 56.0 / 93.0;

const _: () = assert!((FASTEST - SLOWEST - RANGE).abs() < 1e-15);

/// `kaufmans_adaptive_moving_average(x, period, hold)`.
#[derive(Debug)]
pub(super) struct AdaptiveAverage {
    efficiency: Efficiency,
    average: f64,
    /// Whether the average goes on from itself.
    running: bool,
    hold: Hold,
}

impl AdaptiveAverage {
    pub(super) fn new(period: u64, hold: Option<u64>) -> Self {
        let hold = Hold::new(hold.unwrap_or(period));
        Self { efficiency: Efficiency::new(period), average: 0.0, running: false, hold }
    }
}

impl<T: Number> Machine<T> for AdaptiveAverage {
    type Out = f64;

    fn push(&mut self, _time: i64, value: T) -> Option<f64> {
        let value = value.to_f64();
        let before = if self.running { self.average } else { self.efficiency.last() };
        self.running = self.efficiency.is_full();
        let weight = self.efficiency.add(value) * RANGE + SLOWEST;
        self.average = before + weight * weight * (value - before);
        self.hold.pass(self.average)
    }

    fn heap_bytes(&self) -> usize {
        self.efficiency.heap_bytes()
    }
}
