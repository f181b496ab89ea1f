//! The value that a part of all values lies below.

use std::sync::Arc;

use tdigest::TDigest;

use super::{aggregated, numbers::floats, one_value};
use crate::{Call, Cells, Column, Error, Kind, Value};

/// Values that a digest keeps, unless it is told.
const COMPRESSION: f64 = 1000.0;

pub(super) fn quantile(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let part = call.float("q")?;
    if !(0.0..=1.0).contains(&part) {
        return Err(call.error(format!("q must be between 0.0 and 1.0, but is {part}")));
    }
    found(call, part)
}

pub(super) fn median(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    found(call, 0.5)
}

fn found(call: &Call<'_, '_>, part: f64) -> Result<Value, Error> {
    let compression = match call.opt_float("compression")? {
        Some(compression) if compression.is_nan() || compression < 0.0 => {
            return Err(call.error(format!("compression must not be negative, but is {compression}")));
        }
        Some(compression) if compression > 0.0 => compression,
        _ => COMPRESSION,
    };
    match &*call.string_or("method", "estimate_tdigest")? {
        "estimate_tdigest" => aggregate(call, move |values| estimate(values, part, compression)),
        "exact_mean" => aggregate(call, move |values| exact(values, part)),
        "exact_selector" => select(call, part),
        other => {
            let methods = "\"estimate_tdigest\", \"exact_mean\" or \"exact_selector\"";
            Err(call.error(format!("method is {methods}, not \"{other}\"")))
        }
    }
}

/// A value of all that there are, which are not none.
fn aggregate(call: &Call<'_, '_>, make: impl Fn(Vec<f64>) -> f64 + 'static) -> Result<Value, Error> {
    one_value(call, move |context, column| {
        let cells = floats(context, column)?;
        let _room = context.hold(cells.values.len().saturating_mul(size_of::<f64>()))?;
        let values: Vec<f64> = cells.iter().flatten().copied().collect();
        let value = if values.is_empty() { Value::Null } else { Value::Float(make(values)) };
        Ok((Kind::Float, value))
    })
}

fn estimate(mut values: Vec<f64>, part: f64, compression: f64) -> f64 {
    // A digest takes no infinities, and what is no number has no place in it.
    values.retain(|value| !value.is_nan());
    if values.iter().any(|value| value.is_infinite()) {
        return exact(values, part);
    }
    let size = (compression as usize).max(1);
    TDigest::new_with_size(size).merge_unsorted(values).estimate_quantile(part).unwrap_or(f64::NAN)
}

/// Between the two values that are nearest to the part, as near to each as the part is.
fn exact(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let place = part * last as f64;
    let below = place.floor();
    let at = |place: f64| values.get(place as usize).copied().unwrap_or(f64::NAN);
    if place == below {
        at(below)
    } else {
        at(below) * (below + 1.0 - place) + at(below + 1.0) * (place - below)
    }
}

/// The row with the least value that at least the part of all values do not exceed.
fn select(call: &Call<'_, '_>, part: f64) -> Result<Value, Error> {
    let label: Arc<str> = call.string_or("column", "_value")?;
    call.each_table(move |context, table, made| {
        let column = aggregated(context, table, &label)?;
        let cells = floats(context, column)?;
        let _room = context.hold(cells.values.len().saturating_mul(size_of::<usize>()))?;
        if let Some(row) = selected(column, &cells, part) {
            made.push(table.take(&[row]));
        }
        Ok(())
    })
}

fn selected(column: &Column, cells: &Cells<f64>, part: f64) -> Option<usize> {
    let mut rows: Vec<usize> = (0..cells.values.len()).filter(|&row| cells.get(row).is_some()).collect();
    let place = (part * rows.len() as f64).ceil() as usize;
    let place = place.saturating_sub(1);
    if place >= rows.len() {
        return None;
    }
    let compare = |left: &usize, right: &usize| column.compare(*left, *right).then(left.cmp(right));
    let (_, row, _) = rows.select_nth_unstable_by(place, compare);
    Some(*row)
}
