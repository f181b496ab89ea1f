//! How much values change from row to row, and what they add up to: `difference`, `derivative`, `increase`,
//! `cumulativeSum`.

use std::sync::Arc;

use crate::{
    Call, Cells, Column, Context, Error, Table, Value, Values,
    functions::{
        series::{columns_argument, number_column, rows_from, unit_argument, with_rows},
        sources::time_column,
    },
};

/// What is made of a value that is less than the one before.
#[derive(Debug, Clone, Copy)]
struct Decrease {
    /// No result is negative.
    non_negative: bool,
    /// Where it would be, the counter is taken to have begun at zero again.
    initial_zero: bool,
}

impl Decrease {
    fn arguments(call: &Call<'_, '_>) -> Result<Self, Error> {
        Ok(Self {
            non_negative: call.bool_or("nonNegative", false)?,
            initial_zero: call.bool_or("initialZero", false)?,
        })
    }

    /// What a value is compared with; nothing where there is no result.
    fn base<T: PartialOrd + Default + Copy>(self, before: T, value: T) -> Option<T> {
        if !self.non_negative || value >= before {
            return Some(before);
        }
        // NaN has no order: what is made of it is NaN.
        if value.partial_cmp(&before).is_none() {
            return Some(before);
        }
        let zero = T::default();
        (self.initial_zero && value >= zero).then_some(zero)
    }
}

/// Cells of which some have no value.
fn cells<T: Default>(values: impl IntoIterator<Item = Option<T>>) -> Cells<T> {
    let values = values.into_iter();
    let mut cells = Cells { values: Vec::with_capacity(values.size_hint().0), valid: Some(Vec::new()) };
    for value in values {
        if let Some(valid) = &mut cells.valid {
            valid.push(value.is_some());
        }
        cells.values.push(value.unwrap_or_default());
    }
    cells
}

/// Each row's change since the last row with a value; the first has none.
fn changes<T: Copy + PartialOrd + Default, D: Default>(
    given: &Cells<T>,
    decrease: Decrease,
    subtract: impl Fn(T, T) -> D,
) -> Vec<Option<D>> {
    let mut before = None;
    let change = |value: Option<&T>| {
        let value = *value?;
        let base = decrease.base(before.replace(value)?, value)?;
        Some(subtract(value, base))
    };
    given.iter().map(change).collect()
}

/// The differences of a column of numbers, from row `first` on. Those of unsigned integers have a sign.
fn differences(column: &Column, decrease: Decrease, first: usize) -> Column {
    let whole = |changes: Vec<Option<i64>>| Values::Int(cells(changes.into_iter().skip(first)));
    let values = match column.values() {
        Values::Int(given) => whole(changes(given, decrease, i64::wrapping_sub)),
        Values::Uint(given) => whole(changes(given, decrease, |value, before| {
            // The sign of the difference as long as it fits.
            value.wrapping_sub(before).cast_signed()
        })),
        Values::Float(given) => Values::Float(cells(
            changes(given, decrease, |value, before| value - before).into_iter().skip(first),
        )),
        _ => return column.clone(),
    };
    Column::new(Arc::clone(column.label()), values)
}

pub(super) fn difference(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let labels = columns_argument(call)?;
    let decrease = Decrease::arguments(call)?;
    let first = usize::from(!call.bool_or("keepFirst", false)?);
    call.each_table(move |context, table, made| {
        let mut computed = Vec::with_capacity(labels.len());
        for label in &labels {
            computed.push(differences(&number_column(context, table, label)?, decrease, first));
        }
        made.push(rows_from(table, first, &computed));
        Ok(())
    })
}

pub(super) fn derivative(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let labels = columns_argument(call)?;
    let decrease = Decrease::arguments(call)?;
    let unit = unit_argument(call, "unit")?;
    let time = call.string_or("timeColumn", "_time")?;
    call.each_table(move |context, table, made| {
        let times = ascending_times(context, table, &time)?;
        let mut computed = Vec::with_capacity(labels.len());
        for label in &labels {
            computed.push(rates(&number_column(context, table, label)?, &times, decrease, unit));
        }
        let rows: Vec<usize> = times.iter().skip(1).map(|&(row, _)| row).collect();
        made.push(with_rows(table, &rows, &computed));
        Ok(())
    })
}

/// Rows and their times. A row at the time of the one before is left out: nothing changes in no time.
fn ascending_times(context: &Context<'_>, table: &Table, label: &str) -> Result<Vec<(usize, i64)>, Error> {
    let column = time_column(context, table, label)?;
    let mut times: Vec<(usize, i64)> = Vec::with_capacity(table.rows());
    for (row, time) in column.iter().enumerate() {
        let Value::Time(time) = time else {
            return Err(context.error(format!("row {row} has no time in column \"{label}\"")));
        };
        match times.last() {
            Some(&(_, before)) if time < before => {
                let text = format!("times of column \"{label}\" do not ascend; sort by it before");
                return Err(context.error(text));
            }
            Some(&(_, before)) if time == before => {}
            _ => times.push((row, time)),
        }
    }
    Ok(times)
}

/// The changes of a column of numbers in a unit of time, of all but the first of the given rows.
fn rates(column: &Column, times: &[(usize, i64)], decrease: Decrease, unit: i64) -> Column {
    fn of<T: Copy + PartialOrd + Default>(
        given: &Cells<T>,
        times: &[(usize, i64)],
        decrease: Decrease,
        unit: i64,
        subtract: impl Fn(T, T) -> f64,
    ) -> Cells<f64> {
        let mut before = None;
        let rate = |&(row, time): &(usize, i64)| {
            let value = *given.get(row)?;
            let (before, since) = before.replace((value, time))?;
            let base = decrease.base(before, value)?;
            let elapsed = (i128::from(time) - i128::from(since)) as f64 / unit as f64;
            Some(subtract(value, base) / elapsed)
        };
        let rates: Vec<Option<f64>> = times.iter().map(rate).collect();
        cells(rates.into_iter().skip(1))
    }
    let rates = match column.values() {
        Values::Int(given) => {
            of(given, times, decrease, unit, |value, before| (i128::from(value) - i128::from(before)) as f64)
        }
        Values::Uint(given) => {
            of(given, times, decrease, unit, |value, before| (i128::from(value) - i128::from(before)) as f64)
        }
        Values::Float(given) => of(given, times, decrease, unit, |value, before| value - before),
        _ => return column.clone(),
    };
    Column::new(Arc::clone(column.label()), Values::Float(rates))
}

/// What the rows up to each add up to; one without a value adds nothing.
fn sums(column: &Column) -> Column {
    fn of<T: Copy + Default>(given: &Cells<T>, add: impl Fn(T, T) -> T) -> Cells<T> {
        let mut sum = T::default();
        let sums = given.iter().map(|value| {
            if let Some(value) = value {
                sum = add(sum, *value);
            }
            sum
        });
        Cells::all(sums.collect())
    }
    let values = match column.values() {
        Values::Int(given) => Values::Int(of(given, i64::wrapping_add)),
        Values::Uint(given) => Values::Uint(of(given, u64::wrapping_add)),
        Values::Float(given) => Values::Float(of(given, |sum, value| sum + value)),
        _ => return column.clone(),
    };
    Column::new(Arc::clone(column.label()), values)
}

pub(super) fn cumulative_sum(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    summed(call, sums)
}

pub(super) fn increase(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    summed(call, |column| {
        let decrease = Decrease { non_negative: true, initial_zero: true };
        sums(&differences(column, decrease, 0))
    })
}

fn summed(call: &Call<'_, '_>, sums: impl Fn(&Column) -> Column + 'static) -> Result<Value, Error> {
    let labels = columns_argument(call)?;
    call.each_table(move |context, table, made| {
        let mut sum = table.clone();
        for label in &labels {
            sum = sum.with_column(sums(&number_column(context, table, label)?));
        }
        made.push(sum);
        Ok(())
    })
}
