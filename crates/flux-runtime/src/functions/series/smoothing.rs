//! Averages in which older values weigh ever less: `exponentialMovingAverage` and what is made of several.

use crate::{
    Call, Error, Kind, Value,
    functions::series::{count_argument, number_column, rows_from},
    read::column_of,
};

type Numbers = Vec<Option<f64>>;

/// The average of the first `n` values, then of each later one and the average before it. One for each value but the
/// first `n - 1`; nulls leave it as it is. Of fewer values there is one, their mean.
fn smoothed(values: &[Option<f64>], n: usize) -> Numbers {
    let weight = 2.0 / (1.0 + n as f64);
    let (beginning, later) = values.split_at(n.min(values.len()));
    if beginning.is_empty() {
        return Vec::new();
    }
    let mut average = mean(beginning);
    let mut averages = Vec::with_capacity(later.len() + 1);
    averages.push(average);
    for value in later {
        if let Some(value) = value {
            average = Some(average.map_or(*value, |average| value * weight + average * (1.0 - weight)));
        }
        averages.push(average);
    }
    averages
}

fn mean(values: &[Option<f64>]) -> Option<f64> {
    let known = || values.iter().flatten();
    let count = known().count();
    (count > 0).then(|| known().sum::<f64>() / count as f64)
}

/// What `make` gives for the last rows of each table, as many as there are.
fn averaged(call: &Call<'_, '_>, make: fn(&[Option<f64>], usize) -> Numbers) -> Result<Value, Error> {
    let n = count_argument(call)?;
    call.each_table(move |context, table, made| {
        let column = number_column(context, table, "_value")?;
        let averages = make(&column.numbers().unwrap_or_default(), n);
        let first = table.rows().saturating_sub(averages.len());
        let averages = averages.into_iter().map(|average| average.map_or(Value::Null, Value::Float));
        made.push(rows_from(table, first, &[column_of("_value", Kind::Float, averages)]));
        Ok(())
    })
}

/// The last values of `all`, as many as `of` has, with those.
fn paired<'a>(
    all: &'a [Option<f64>],
    of: &'a [Option<f64>],
) -> impl Iterator<Item = (Option<f64>, Option<f64>)> + 'a {
    let first = all.len().saturating_sub(of.len());
    all.iter().skip(first).copied().zip(of.iter().copied())
}

pub(super) fn exponential(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    averaged(call, smoothed)
}

pub(super) fn double(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let make = |values: &[Option<f64>], n: usize| {
        let once = smoothed(values, n);
        let twice = smoothed(&once, n);
        paired(&once, &twice).map(|(once, twice)| Some(2.0 * once? - twice?)).collect()
    };
    averaged(call, make)
}

pub(super) fn triple(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let make = |values: &[Option<f64>], n: usize| {
        let once = smoothed(values, n);
        let twice = smoothed(&once, n);
        let thrice = smoothed(&twice, n);
        let first_two = paired(&once, &thrice).zip(paired(&twice, &thrice));
        first_two.map(|((once, thrice), (twice, _))| Some(3.0 * once? - 3.0 * twice? + thrice?)).collect()
    };
    averaged(call, make)
}

pub(super) fn triple_derivative(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let make = |values: &[Option<f64>], n: usize| {
        let thrice = smoothed(&smoothed(&smoothed(values, n), n), n);
        let change =
            |(before, value): (&Option<f64>, &Option<f64>)| Some(((*value)? / (*before)? - 1.0) * 100.0);
        if values.len() <= n.saturating_mul(3).saturating_sub(2) {
            // Too few for two averages: the last row says so.
            return values.last().map(|_| Some(f64::NAN)).into_iter().collect();
        }
        thrice.iter().zip(thrice.iter().skip(1)).map(change).collect()
    };
    averaged(call, make)
}
