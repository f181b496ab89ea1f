//! How many, how much, and how far apart.

use super::{
    numbers::{Numbers, present},
    one_value, reduced_by_storage,
};
use crate::{Call, Cells, Error, Kind, ReductionFunction, Value};

/// Of rows, null or not.
pub(super) fn count(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    if let Some(pushed) = reduced_by_storage(call, ReductionFunction::Count)? {
        return Ok(pushed);
    }
    one_value(call, |context, column| {
        let rows = i64::try_from(column.rows()).map_err(|_| context.error("too many rows to count"))?;
        Ok((Kind::Int, Value::Int(rows)))
    })
}

/// Of the column's own type. Integers wrap around, as everywhere in Flux.
pub(super) fn sum(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    fn total<T: Copy>(cells: &Cells<T>, add: impl Fn(T, T) -> T) -> Option<T> {
        present(cells).reduce(add)
    }
    if let Some(pushed) = reduced_by_storage(call, ReductionFunction::Sum)? {
        return Ok(pushed);
    }
    one_value(call, |context, column| {
        let sum = match Numbers::of(context, column)? {
            Numbers::Int(cells) => total(&cells, i64::wrapping_add).map(Value::Int),
            Numbers::Uint(cells) => total(&cells, u64::wrapping_add).map(Value::Uint),
            Numbers::Float(cells) => total(&cells, |left, right| left + right).map(Value::Float),
        };
        Ok((column.kind(), sum.unwrap_or(Value::Null)))
    })
}

pub(super) fn mean(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    if let Some(pushed) = reduced_by_storage(call, ReductionFunction::Mean)? {
        return Ok(pushed);
    }
    one_value(call, |context, column| {
        let (count, sum) = Numbers::of(context, column)?.count_and_sum();
        let mean = if count == 0 { Value::Null } else { Value::Float(sum / count as f64) };
        Ok((Kind::Float, mean))
    })
}

/// From the least to the greatest.
pub(super) fn spread(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    fn bounds<T: Copy + PartialOrd>(cells: &Cells<T>) -> Option<(T, T)> {
        present(cells).fold(None, |bounds, value| match bounds {
            None => Some((value, value)),
            Some((least, greatest)) => Some((
                if value < least { value } else { least },
                if value > greatest { value } else { greatest },
            )),
        })
    }
    one_value(call, |context, column| {
        let spread = match Numbers::of(context, column)? {
            Numbers::Int(cells) => bounds(&cells).map(|(least, most)| Value::Int(most.wrapping_sub(least))),
            Numbers::Uint(cells) => bounds(&cells).map(|(least, most)| Value::Uint(most.wrapping_sub(least))),
            Numbers::Float(cells) => bounds(&cells).map(|(least, most)| Value::Float(most - least)),
        };
        Ok((column.kind(), spread.unwrap_or(Value::Null)))
    })
}
