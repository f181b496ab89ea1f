//! From one point to the next: `difference`, `derivative`, `elapsed`.

use skywatch_model::{Column, Values};

use super::{Machine, PointRun, Transform};
use crate::kernel::Number;

/// A number of which the change to another is known exactly.
pub(super) trait Changing: Number {
    /// Type of a difference.
    type Difference: Number;

    /// `self - before`.
    fn difference(self, before: Self) -> Self::Difference;

    /// The same as a float.
    fn difference_f64(self, before: Self) -> f64;
}

impl Changing for f64 {
    type Difference = Self;

    fn difference(self, before: Self) -> Self {
        self - before
    }
    fn difference_f64(self, before: Self) -> f64 {
        self - before
    }
}

impl Changing for i64 {
    type Difference = Self;

    fn difference(self, before: Self) -> Self {
        self.wrapping_sub(before)
    }
    fn difference_f64(self, before: Self) -> f64 {
        self.wrapping_sub(before) as f64
    }
}

/// An unsigned may fall: its differences are integers.
impl Changing for u64 {
    type Difference = i64;

    fn difference(self, before: Self) -> i64 {
        self.wrapping_sub(before) as i64
    }
    fn difference_f64(self, before: Self) -> f64 {
        if self >= before { (self - before) as f64 } else { -((before - self) as f64) }
    }
}

/// The point before. Of points of equal time, which merged series have, only the first counts.
#[derive(Debug)]
struct Before<T>(Option<(i64, T)>);

impl<T: Copy> Before<T> {
    /// The point before this one, which takes its place.
    fn replace(&mut self, time: i64, value: T) -> Option<(i64, T)> {
        match self.0 {
            Some((before, _)) if before == time => None,
            _ => self.0.replace((time, value)),
        }
    }
}

/// `difference(x)`: this value less the one before.
#[derive(Debug)]
pub(super) struct Difference<T>(Before<T>);

impl<T> Difference<T> {
    pub(super) const fn new() -> Self {
        Self(Before(None))
    }
}

impl<T: Changing> Machine<T> for Difference<T> {
    type Out = T::Difference;

    fn push(&mut self, time: i64, value: T) -> Option<T::Difference> {
        self.0.replace(time, value).map(|(_, before)| value.difference(before))
    }
}

/// `non_negative_difference(x)`: the same, where the value has not fallen.
#[derive(Debug)]
pub(super) struct Rise<T>(Before<T>);

impl<T> Rise<T> {
    pub(super) const fn new() -> Self {
        Self(Before(None))
    }
}

impl<T: Changing> Machine<T> for Rise<T> {
    type Out = T;

    fn push(&mut self, time: i64, value: T) -> Option<T> {
        let (_, before) = self.0.replace(time, value)?;
        // The difference decides, not the values: that of integers far apart wraps around.
        let has_fallen = value.difference_f64(before) < 0.0;
        (!has_fallen).then(|| value.sub(before))
    }
}

/// `derivative(x, unit)`: how much the value changes in a unit of time. Time that runs backwards, in a query that
/// asks for the newest first, counts as if it ran forwards.
#[derive(Debug)]
pub(super) struct Derivative<T> {
    before: Before<T>,
    unit_ns: f64,
    /// Whether falling values have no answer.
    non_negative: bool,
}

impl<T> Derivative<T> {
    pub(super) const fn new(unit_ns: i64, non_negative: bool) -> Self {
        Self { before: Before(None), unit_ns: unit_ns as f64, non_negative }
    }
}

impl<T: Changing> Machine<T> for Derivative<T> {
    type Out = f64;

    fn push(&mut self, time: i64, value: T) -> Option<f64> {
        let (before_time, before) = self.before.replace(time, value)?;
        let change = value.difference_f64(before);
        if self.non_negative && change < 0.0 {
            return None;
        }
        Some(change / (time.abs_diff(before_time) as f64 / self.unit_ns))
    }
}

/// `elapsed(x, unit)`: whole units of time since the point before, whatever the values.
#[derive(Debug)]
pub(super) struct Elapsed {
    before: Option<i64>,
    unit_ns: i64,
}

impl Elapsed {
    /// For a unit above zero.
    pub(super) const fn new(unit_ns: i64) -> Self {
        Self { before: None, unit_ns }
    }
}

impl Transform for Elapsed {
    fn feed(&mut self, times: &[i64], column: &Column, out: &mut PointRun) {
        let Values::Integer(answers) = &mut out.column.values else { return };
        for (row, time) in times.iter().enumerate() {
            if !column.is_valid(row) {
                continue;
            }
            if let Some(before) = self.before.replace(*time) {
                out.times.push(*time);
                answers.push(time.wrapping_sub(before) / self.unit_ns);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers<T: Copy, M: Machine<T>>(mut machine: M, points: &[(i64, T)]) -> Vec<(i64, M::Out)> {
        points.iter().filter_map(|(time, value)| Some((*time, machine.push(*time, *value)?))).collect()
    }

    #[test]
    fn changes_go_out_at_the_later_point_and_equal_times_count_once() {
        let points = [(0, 1.0), (10, 4.0), (10, 100.0), (20, 2.0)];
        assert_eq!(answers(Difference::new(), &points), [(10, 3.0), (20, -2.0)]);
        assert_eq!(answers(Derivative::new(5, false), &points), [(10, 1.5), (20, -1.0)]);
        assert_eq!(answers(Derivative::new(5, true), &points), [(10, 1.5)]);
        assert_eq!(answers(Rise::new(), &points), [(10, 3.0)]);
    }

    #[test]
    fn a_difference_that_wraps_around_is_told_by_its_sign() {
        let points = [(0, i64::MAX), (1, i64::MIN), (2, 1)];
        assert_eq!(answers(Rise::new(), &points), [(1, 1)]);
    }

    #[test]
    fn time_may_run_backwards() {
        assert_eq!(answers(Derivative::new(1, false), &[(20, 1i64), (10, 31)]), [(10, 3.0)]);
    }

    #[test]
    fn an_unsigned_may_fall() {
        assert_eq!(answers(Difference::new(), &[(0, 5u64), (1, 3), (2, 10)]), [(1, -2), (2, 7)]);
        assert_eq!(answers(Derivative::new(1, false), &[(0, 5u64), (1, 3)]), [(1, -2.0)]);
        assert_eq!(answers(Rise::new(), &[(0, 5u64), (1, 3), (2, 10)]), [(2, 7u64)]);
    }
}
