//! `movingAverage`: the mean of a row and so many before it; and sums of the last so many.

use std::ops::Add;

use crate::{
    Call, Error, Kind, Value,
    functions::series::{count_argument, number_column, rows_from},
    read::column_of,
};

pub(super) fn moving_average(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let n = count_argument(call)?;
    call.each_table(move |context, table, made| {
        let column = number_column(context, table, "_value")?;
        let values = column.numbers().unwrap_or_default();
        // Of too few rows one is left, with the mean of all.
        let first = n.min(table.rows()).saturating_sub(1);
        let means = moving_means(&values, n).into_iter().skip(first);
        let means = means.map(|mean| mean.map_or(Value::Null, Value::Float));
        made.push(rows_from(table, first, &[column_of("_value", Kind::Float, means)]));
        Ok(())
    })
}

/// For each row the mean of it and the `n - 1` before it, or as many as there are; nulls are not counted.
fn moving_means(values: &[Option<f64>], n: usize) -> Vec<Option<f64>> {
    let mut sums = MovingSum::new(n);
    let counted = |value: &Option<f64>| value.map_or_else(Counted::default, |sum| Counted { sum, count: 1 });
    values.iter().map(|value| sums.with(counted(value)).mean()).collect()
}

#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    sum: f64,
    count: u64,
}

impl Add for Counted {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { sum: self.sum + other.sum, count: self.count + other.count }
    }
}

impl Counted {
    fn mean(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// The sum of the last `n` of what comes. Nothing is ever subtracted, which would lose digits and never get rid of an
/// infinite value.
#[derive(Debug)]
pub(in crate::functions) struct MovingSum<T> {
    n: usize,
    /// Sums of what came until then, from each on; those that still count.
    tails: Vec<T>,
    /// What came since, and its sum.
    since: Vec<T>,
    sum_since: T,
}

impl<T: Copy + Default + Add<Output = T>> MovingSum<T> {
    pub(in crate::functions) fn new(n: usize) -> Self {
        Self { n, tails: Vec::new(), since: Vec::new(), sum_since: T::default() }
    }

    /// The sum with one more.
    pub(in crate::functions) fn with(&mut self, value: T) -> T {
        self.since.push(value);
        self.sum_since = self.sum_since + value;
        if self.tails.len() + self.since.len() > self.n {
            if self.tails.is_empty() {
                let mut tail = T::default();
                for value in self.since.drain(..).rev() {
                    tail = value + tail;
                    self.tails.push(tail);
                }
                self.sum_since = T::default();
            }
            self.tails.pop();
        }
        self.tails.last().copied().unwrap_or_default() + self.sum_since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_those_of_their_rows_alone() {
        let values: Vec<Option<f64>> =
            (0..50).map(|row| (row % 7 != 3).then(|| f64::from(row * row % 31))).collect();
        for n in 1..60 {
            for (row, mean) in moving_means(&values, n).into_iter().enumerate() {
                let window = &values[(row + 1).saturating_sub(n)..=row];
                let known: Vec<f64> = window.iter().copied().flatten().collect();
                let expected = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
                assert_eq!(mean, expected, "row {row} of {n}");
            }
        }
    }

    #[test]
    fn an_infinite_value_leaves_with_its_row() {
        let values = [Some(1.0), Some(f64::INFINITY), Some(2.0), Some(4.0)];
        assert_eq!(
            moving_means(&values, 2),
            [Some(1.0), Some(f64::INFINITY), Some(f64::INFINITY), Some(3.0)]
        );
    }
}
