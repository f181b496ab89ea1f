//! Exponential smoothing: `exponential_moving_average`, its double and triple forms, `triple_exponential_derivative`.
//!
//! ```text
//!   EMA   e(t) = e(t-1) + a (x(t) - e(t-1)),  a = 2 / (period + 1)       (S. W. Roberts, Technometrics 1959)
//!   DEMA  2 e1 - e2                where e2 smooths e1, e3 smooths e2    (P. Mulloy, Stocks & Commodities 12:1, 1994)
//!   TEMA  3 e1 - 3 e2 + e3                                               (P. Mulloy, Stocks & Commodities 12:2, 1994)
//!   TRIX  100 (e3(t) / e3(t-1) - 1)                                      (J. Hutson, Stocks & Commodities 1983)
//! ```
//!
//! The first `period` points warm an average up. *Exponential*: the n-th of them is weighted as if the period were n.
//! *Simple*: their mean so far stands for the average, and an average of averages begins only when the one below it is
//! warm; before that, it is the same as the one below.

use super::Machine;
use crate::kernel::Number;

/// How an average begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Warmup {
    /// `'exponential'`
    Exponential,
    /// `'simple'`
    Simple,
    /// `'none'`: no average, but sums over the period.
    None,
}

/// An exponential moving average.
#[derive(Debug)]
pub(super) struct Average {
    /// Points that warm it up.
    warm: u64,
    /// Weight of a point after that.
    alpha: f64,
    simple: bool,
    seen: u64,
    value: f64,
}

impl Average {
    /// Of a period, as its name has it.
    pub(super) fn of_period(period: u64, warmup: Warmup) -> Self {
        Self::new(period, 2.0 / (period as f64 + 1.0), warmup)
    }

    /// Wilder's: weights of `1 / period`, warmed up by one point more.
    pub(super) fn of_wilder(period: u64, warmup: Warmup) -> Self {
        Self::new(period.saturating_add(1), 1.0 / period as f64, warmup)
    }

    const fn new(warm: u64, alpha: f64, warmup: Warmup) -> Self {
        Self { warm, alpha, simple: matches!(warmup, Warmup::Simple), seen: 0, value: 0.0 }
    }

    pub(super) fn add(&mut self, value: f64) -> f64 {
        let seen = self.seen as f64;
        self.value = if self.seen == 0 {
            value
        } else if self.is_warm() {
            (value - self.value) * self.alpha + self.value
        } else if self.simple {
            (self.value * seen + value) / (seen + 1.0)
        } else {
            (value - self.value) * (2.0 / (seen + 2.0)) + self.value
        };
        self.seen = self.seen.saturating_add(1);
        self.value
    }

    const fn is_warm(&self) -> bool {
        self.seen >= self.warm
    }

    /// Adds to the average of this one: `value` is what this one came to.
    fn pass(&self, value: f64, next: &mut Self) -> f64 {
        if !self.simple || self.is_warm() { next.add(value) } else { value }
    }
}

/// Answers once more points were seen than are held back.
#[derive(Debug)]
pub(super) struct Hold {
    held: u64,
    seen: u64,
}

impl Hold {
    pub(super) const fn new(held: u64) -> Self {
        Self { held, seen: 0 }
    }

    pub(super) fn pass<T>(&mut self, answer: T) -> Option<T> {
        self.seen = self.seen.saturating_add(1);
        (self.seen > self.held).then_some(answer)
    }
}

/// Which of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// `exponential_moving_average`
    Single,
    /// `double_exponential_moving_average`
    Double,
    /// `triple_exponential_moving_average`
    Triple,
    /// `triple_exponential_derivative`
    Derivative,
}

/// Any of the family.
#[derive(Debug)]
pub(super) struct Smooth {
    order: Order,
    averages: [Average; 3],
    /// The last triple average, for the derivative.
    last: f64,
    hold: Hold,
}

impl Smooth {
    pub(super) fn new(order: Order, period: u64, warmup: Warmup, hold: Option<u64>) -> Self {
        let averages = [0; 3].map(|_| Average::of_period(period, warmup));
        let hold = Hold::new(hold.unwrap_or_else(|| default_hold(order, period, warmup)));
        Self { order, averages, last: 0.0, hold }
    }

    fn next(&mut self, value: f64) -> f64 {
        let [first, second, third] = &mut self.averages;
        let once = first.add(value);
        if self.order == Order::Single {
            return once;
        }
        let twice = first.pass(once, second);
        if self.order == Order::Double {
            return 2.0 * once - twice;
        }
        let thrice = second.pass(twice, third);
        if self.order == Order::Triple {
            return 3.0 * once - 3.0 * twice + thrice;
        }
        let last = std::mem::replace(&mut self.last, thrice);
        (thrice / last - 1.0) * 100.0
    }
}

/// Points held back where the query does not say: until all averages are warm.
fn default_hold(order: Order, period: u64, warmup: Warmup) -> u64 {
    let averages = match order {
        Order::Double if warmup == Warmup::Simple => 2,
        Order::Triple | Order::Derivative if warmup == Warmup::Simple => 3,
        _ => 1,
    };
    let held = period.saturating_sub(1).saturating_mul(averages);
    held.saturating_add(u64::from(order == Order::Derivative))
}

impl<T: Number> Machine<T> for Smooth {
    type Out = f64;

    fn push(&mut self, _time: i64, value: T) -> Option<f64> {
        let answer = self.next(value.to_f64());
        // A derivative of zero that is no longer zero is no answer.
        self.hold.pass(answer).filter(|answer| !answer.is_infinite() || self.order != Order::Derivative)
    }
}
