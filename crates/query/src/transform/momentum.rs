//! Ups against downs: `relative_strength_index`, `chande_momentum_oscillator`.
//!
//! ```text
//!   RSI  100 - 100 / (1 + U / D)      U, D: Wilder's averages of rises and falls
//!                                     (J. W. Wilder, New Concepts in Technical Trading Systems, 1978)
//!   CMO  100 (U - D) / (U + D)        U, D: sums over the period, or the same averages
//!                                     (T. Chande and S. Kroll, The New Technical Trader, 1994)
//! ```
//!
//! As in InfluxDB averages begin with a rise (or fall) from zero to the first value; sums do not.

use std::collections::VecDeque;

use super::{
    Machine,
    smooth::{Average, Hold, Warmup},
};
use crate::kernel::Number;

/// Wilder's averages of rises and falls.
#[derive(Debug)]
struct Averages {
    up: Average,
    down: Average,
    last: f64,
}

impl Averages {
    fn new(period: u64, warmup: Warmup) -> Self {
        let average = || Average::of_wilder(period, warmup);
        Self { up: average(), down: average(), last: 0.0 }
    }

    fn add(&mut self, value: f64) -> (f64, f64) {
        let change = value - std::mem::replace(&mut self.last, value);
        let (up, down) = if change > 0.0 { (change, 0.0) } else { (0.0, -change) };
        (self.up.add(up), self.down.add(down))
    }
}

/// Sums of rises and falls over the last `period` changes.
#[derive(Debug)]
struct Sums {
    period: usize,
    changes: VecDeque<f64>,
    up: f64,
    down: f64,
    last: Option<f64>,
}

impl Sums {
    fn add(&mut self, value: f64) -> (f64, f64) {
        if let Some(last) = self.last.replace(value) {
            if self.changes.len() == self.period
                && let Some(oldest) = self.changes.pop_front()
            {
                self.count(oldest, -1.0);
            }
            self.changes.push_back(value - last);
            self.count(value - last, 1.0);
        }
        (self.up, self.down)
    }

    fn count(&mut self, change: f64, sign: f64) {
        if change > 0.0 {
            self.up += sign * change;
        } else {
            self.down -= sign * change;
        }
    }
}

/// `relative_strength_index(x, period, hold, warmup)`.
#[derive(Debug)]
pub(super) struct RelativeStrength {
    averages: Averages,
    hold: Hold,
}

impl RelativeStrength {
    pub(super) fn new(period: u64, warmup: Warmup, hold: Option<u64>) -> Self {
        Self { averages: Averages::new(period, warmup), hold: Hold::new(hold.unwrap_or(period)) }
    }
}

impl<T: Number> Machine<T> for RelativeStrength {
    type Out = f64;

    fn push(&mut self, _time: i64, value: T) -> Option<f64> {
        let (up, down) = self.averages.add(value.to_f64());
        self.hold.pass(100.0 - 100.0 / (1.0 + up / down))
    }
}

/// `chande_momentum_oscillator(x, period, hold, warmup)`.
#[derive(Debug)]
pub(super) struct ChandeMomentum {
    movement: Movement,
    hold: Hold,
}

#[derive(Debug)]
enum Movement {
    Summed(Sums),
    Averaged(Averages),
}

impl ChandeMomentum {
    pub(super) fn new(period: u64, warmup: Warmup, hold: Option<u64>) -> Self {
        let (movement, held) = match warmup {
            Warmup::None => {
                let period_rows = usize::try_from(period).unwrap_or(usize::MAX);
                let changes = VecDeque::new();
                let sums = Sums { period: period_rows, changes, up: 0.0, down: 0.0, last: None };
                (Movement::Summed(sums), period.saturating_sub(1))
            }
            Warmup::Exponential | Warmup::Simple => {
                (Movement::Averaged(Averages::new(period, warmup)), period)
            }
        };
        Self { movement, hold: Hold::new(hold.unwrap_or(held)) }
    }
}

impl<T: Number> Machine<T> for ChandeMomentum {
    type Out = f64;

    fn push(&mut self, _time: i64, value: T) -> Option<f64> {
        let answer = match &mut self.movement {
            Movement::Averaged(averages) => {
                let (up, down) = averages.add(value.to_f64());
                100.0 * ((up - down) / (up + down))
            }
            Movement::Summed(sums) => match sums.add(value.to_f64()) {
                (up, down) if up + down == 0.0 => 0.0,
                (up, down) => 100.0 * ((up - down) / (up + down)),
            },
        };
        self.hold.pass(answer)
    }

    fn heap_bytes(&self) -> usize {
        match &self.movement {
            Movement::Summed(sums) => sums.changes.capacity() * size_of::<f64>(),
            Movement::Averaged(_) => 0,
        }
    }
}
