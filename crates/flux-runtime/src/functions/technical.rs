//! Technical indicators of markets: ups against downs.
//!
//! ```text
//!   RSI   100 - 100 / (1 + U / D)    U, D: averages of rises and falls; the first rise is that from zero
//!   CMO   100 (U - D) / (U + D)      U, D: sums of rises and falls over the period
//!   ER    |CMO| / 100
//!   AMA   a(t) = a(t-1) + c^2 (x(t) - a(t-1)),  c = ER (2/3 - 2/31) + 2/31
//! ```
//!
//! Nulls move nothing: a row without a value is told what the row before it was told.

use std::ops::Add;

use crate::{
    Call, Error, Kind, Value,
    function::{Builtin, optional, piped, required},
    functions::series::{MovingSum, columns_argument, count_argument, number_column, rows_from},
    packages::{Library, no_constants},
    read::column_of,
};

/// Technical indicators of markets.
pub(crate) static LIBRARY: Library = Library {
    path: "",
    builtins: &[
        Builtin {
            name: "relativeStrengthIndex",
            parameters: &[piped("tables"), required("n"), optional("columns")],
            run: relative_strength_index,
        },
        Builtin {
            name: "chandeMomentumOscillator",
            parameters: &[piped("tables"), required("n"), optional("columns")],
            run: momentum_oscillator,
        },
        Builtin { name: "kaufmansER", parameters: &[piped("tables"), required("n")], run: efficiency_ratio },
        Builtin {
            name: "kaufmansAMA",
            parameters: &[piped("tables"), required("n"), optional("column")],
            run: adaptive_average,
        },
    ],
    constants: no_constants,
    text: "",
};

/// Weights of a value in an average that follows it as fast, and as slowly, as any does.
const FASTEST: f64 = 2.0 / 3.0;
const SLOWEST: f64 = 2.0 / 31.0;
/// Their difference, rounded once.
const RANGE: f64 = 56.0 / 93.0;

const _: () = assert!((FASTEST - SLOWEST - RANGE).abs() < 1e-15);

/// For each value what the indicator says; those of the first `n` are not told.
type Indicator = fn(&[Option<f64>], usize) -> Vec<Option<f64>>;

/// Rises and falls, both positive.
#[derive(Debug, Clone, Copy, Default)]
struct Moves {
    up: f64,
    down: f64,
}

impl Moves {
    fn between(before: f64, value: f64) -> Self {
        let change = value - before;
        if change < 0.0 { Self { up: 0.0, down: -change } } else { Self { up: change, down: 0.0 } }
    }

    /// From -100 to 100: all falls, all rises; in between if nothing moves.
    fn oscillator(self) -> f64 {
        let all = self.up + self.down;
        if all == 0.0 { 0.0 } else { 100.0 * (self.up - self.down) / all }
    }
}

impl Add for Moves {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { up: self.up + other.up, down: self.down + other.down }
    }
}

fn relative_strength_index(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let labels = columns_argument(call)?;
    indicated(call, labels, strength)
}

fn momentum_oscillator(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let labels = columns_argument(call)?;
    indicated(call, labels, oscillations)
}

fn efficiency_ratio(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    indicated(call, vec!["_value".into()], ratios)
}

fn adaptive_average(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let label = call.string_or("column", "_value")?;
    indicated(call, vec![label], adaptive)
}

fn indicated(
    call: &Call<'_, '_>,
    labels: Vec<std::sync::Arc<str>>,
    indicator: Indicator,
) -> Result<Value, Error> {
    let n = count_argument(call)?;
    call.each_table(move |context, table, made| {
        let mut computed = Vec::with_capacity(labels.len());
        for label in &labels {
            let values = number_column(context, table, label)?.numbers().unwrap_or_default();
            let said = indicator(&values, n).into_iter().skip(n);
            let said = said.map(|value| value.map_or(Value::Null, Value::Float));
            computed.push(column_of(label, Kind::Float, said));
        }
        made.push(rows_from(table, n, &computed));
        Ok(())
    })
}

/// The relative strength index.
fn strength(values: &[Option<f64>], n: usize) -> Vec<Option<f64>> {
    let weight = 1.0 / n as f64;
    let mut before = 0.0;
    let mut count = 0.0;
    // The sum of those in the first period, then their average, of which each later one becomes a part.
    let (mut sum, mut average) = (Moves::default(), None);
    let index = |(row, value): (usize, &Option<f64>)| {
        if let Some(value) = *value {
            let moves = Moves::between(std::mem::replace(&mut before, value), value);
            if row < n {
                sum = sum + moves;
                count += 1.0;
                average = Some(Moves { up: sum.up / count, down: sum.down / count });
            } else {
                average = Some(average.map_or(moves, |average: Moves| Moves {
                    up: moves.up * weight + average.up * (1.0 - weight),
                    down: moves.down * weight + average.down * (1.0 - weight),
                }));
            }
        }
        average.map(|average| 100.0 - 100.0 / (1.0 + average.up / average.down))
    };
    values.iter().enumerate().map(index).collect()
}

/// Chande's momentum oscillator.
fn oscillations(values: &[Option<f64>], n: usize) -> Vec<Option<f64>> {
    let mut before = None;
    let mut sums = MovingSum::new(n);
    let oscillation = |value: &Option<f64>| {
        let from = before;
        before = value.or(before);
        let moves = match (from, *value) {
            (Some(from), Some(value)) => Moves::between(from, value),
            _ => Moves::default(),
        };
        let sum = sums.with(moves);
        before.map(|_| sum.oscillator())
    };
    values.iter().map(oscillation).collect()
}

/// Kaufman's efficiency ratio.
fn ratios(values: &[Option<f64>], n: usize) -> Vec<Option<f64>> {
    let oscillations = oscillations(values, n).into_iter();
    oscillations.map(|oscillation| oscillation.map(|oscillation| oscillation.abs() / 100.0)).collect()
}

/// Kaufman's adaptive moving average. It begins with the last value of the first period.
fn adaptive(values: &[Option<f64>], n: usize) -> Vec<Option<f64>> {
    let mut average = None;
    let next = |(row, (value, ratio)): (usize, (&Option<f64>, Option<f64>))| {
        if let (Some(value), Some(ratio)) = (*value, ratio) {
            let weight = ratio * RANGE + SLOWEST;
            average = Some(match average {
                Some(average) if row >= n => average + weight * weight * (value - average),
                _ => value,
            });
        }
        average
    };
    values.iter().zip(ratios(values, n)).enumerate().map(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(indicator: Indicator, values: &[f64], n: usize) -> Vec<String> {
        let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
        indicator(&values, n).into_iter().skip(n).map(|value| format!("{:.9}", value.unwrap())).collect()
    }

    #[test]
    fn indicators_follow_their_formulas() {
        let (one, two) = ([-2.0, 10.0, 7.0, 17.0, 15.0, 4.0], [19.0, 4.0, -3.0, 19.0, 13.0, 1.0]);
        assert_eq!(told(strength, &one, 3), ["84.375000000", "73.972602740", "36.672325976"]);
        assert_eq!(told(strength, &two, 3), ["70.270270270", "59.428571429", "40.625000000"]);
        assert_eq!(told(oscillations, &one, 3), ["76.000000000", "33.333333333", "-13.043478261"]);
        assert_eq!(told(adaptive, &one, 3), ["9.726411840", "10.097401020", "9.972614968"]);
        assert_eq!(told(adaptive, &two, 3), ["-2.908428720", "-2.142970089", "-2.094072176"]);
    }

    #[test]
    fn nulls_move_nothing() {
        let values = [None, Some(1.0), None, Some(3.0), None, Some(2.0)];
        assert_eq!(
            oscillations(&values, 2),
            [None, Some(0.0), Some(0.0), Some(100.0), Some(100.0), Some(-100.0)]
        );
        assert_eq!(
            strength(&values, 2),
            [None, Some(100.0), Some(100.0), Some(100.0), Some(100.0), Some(60.0)]
        );
        assert_eq!(adaptive(&[None, None, Some(5.0)], 1), [None, None, Some(5.0)]);
    }
}
