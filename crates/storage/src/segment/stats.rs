//! Statistics of one field of one block: computed when it is written, stored in the series' index entry.

use std::sync::Arc;

use skywatch_model::{Column, FieldType, FieldValue, TimeRange, Values};

use crate::{
    BlockStats, Sum,
    codec::decimal,
    wire::{Malformed, Reader, put_bytes, put_signed, put_varint},
};

/// Longer strings are not kept as first or last; the block then has no statistics.
const MAX_TEXT: usize = 256;

/// Floats as they are; other values have their exponent.
const RAW: u8 = 0xff;

/// Statistics of a column; `None` if its strings are too long.
pub(super) fn compute(times: &[i64], column: &Column) -> Option<BlockStats> {
    let mut valid = (0..times.len()).filter(|row| column.is_valid(*row));
    let first = valid.next()?;
    let last = valid.next_back().unwrap_or(first);
    let count = column.valid.as_ref().map_or(times.len(), skywatch_model::Bitmap::count_set) as u64;
    let (sum, low, high) = match &column.values {
        Values::Float(values) => {
            let (low, high) = extremes(column, values)?;
            (Sum::Float(fold(column, values, 0.0, |sum, value| sum + value)), Some(low), Some(high))
        }
        Values::Integer(values) => {
            let (low, high) = extremes(column, values)?;
            (Sum::Integer(fold(column, values, 0, i64::wrapping_add)), Some(low), Some(high))
        }
        Values::Unsigned(values) => {
            let (low, high) = extremes(column, values)?;
            (Sum::Unsigned(fold(column, values, 0, u64::wrapping_add)), Some(low), Some(high))
        }
        Values::String(values) => {
            if values[first].len().max(values[last].len()) > MAX_TEXT {
                return None;
            }
            (Sum::None, None, None)
        }
        Values::Boolean(_) => (Sum::None, None, None),
    };
    let cell = |row: usize| (times[row], column.values.get(row));
    Some(BlockStats {
        count,
        first: cell(first),
        last: cell(last),
        min: low.map(cell),
        max: high.map(cell),
        sum,
    })
}

/// The values there are, in order.
fn fold<T: Copy, S>(column: &Column, values: &[T], start: S, add: impl Fn(S, T) -> S) -> S {
    match &column.valid {
        None => values.iter().copied().fold(start, add),
        Some(valid) => {
            let there = values.iter().enumerate().filter(|(row, _)| valid.get(*row));
            there.map(|(_, value)| *value).fold(start, add)
        }
    }
}

/// Rows of the smallest and the greatest value, the earliest of each.
fn extremes<T: PartialOrd + Copy>(column: &Column, values: &[T]) -> Option<(usize, usize)> {
    let first = (0..values.len()).find(|row| column.is_valid(*row))?;
    let (mut low, mut high) = (first, first);
    let mut look = |row: usize| {
        low = if values[row] < values[low] { row } else { low };
        high = if values[row] > values[high] { row } else { high };
    };
    match &column.valid {
        None => (first..values.len()).for_each(&mut look),
        Some(valid) => (first..values.len()).filter(|row| valid.get(*row)).for_each(&mut look),
    }
    Some((low, high))
}

/// Times inside a block as multiples of its step.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeScale {
    pub(super) range: TimeRange,
    /// Distance of its rows if they are regular, else 1.
    pub(super) unit: u64,
}

impl TimeScale {
    fn put(self, time: i64, out: &mut Vec<u8>) {
        put_varint(out, time.abs_diff(self.range.start) / self.unit);
    }

    fn take(self, reader: &mut Reader<'_>) -> Result<i64, Malformed> {
        let offset = reader.varint()?.checked_mul(self.unit).ok_or(Malformed("time overflows"))?;
        let time = self.range.start.checked_add_unsigned(offset).ok_or(Malformed("time overflows"))?;
        if time <= self.range.end { Ok(time) } else { Err(Malformed("time outside its block")) }
    }
}

/// Appends statistics; the count is stored elsewhere, and so, without nulls, are the times of first and last.
pub(super) fn encode(stats: &BlockStats, scale: TimeScale, has_nulls: bool, out: &mut Vec<u8>) {
    put_value(&stats.first.1, out);
    put_value(&stats.last.1, out);
    if has_nulls {
        scale.put(stats.first.0, out);
        scale.put(stats.last.0, out);
    }
    if let (Some(min), Some(max)) = (&stats.min, &stats.max) {
        put_value(&min.1, out);
        put_value(&max.1, out);
        scale.put(min.0, out);
        scale.put(max.0, out);
    }
    match stats.sum {
        Sum::Float(sum) => put_float(sum, out),
        Sum::Integer(sum) => put_signed(out, sum),
        Sum::Unsigned(sum) => put_varint(out, sum),
        Sum::None => {}
    }
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(
    reader: &mut Reader<'_>,
    field_type: FieldType,
    scale: TimeScale,
    has_nulls: bool,
    count: u64,
) -> Result<BlockStats, Malformed> {
    let first = take_value(reader, field_type)?;
    let last = take_value(reader, field_type)?;
    let (first_time, last_time) = if has_nulls {
        (scale.take(reader)?, scale.take(reader)?)
    } else {
        (scale.range.start, scale.range.end)
    };
    let (mut min, mut max) = (None, None);
    let mut sum = Sum::None;
    if matches!(field_type, FieldType::Float | FieldType::Integer | FieldType::Unsigned) {
        let (low, high) = (take_value(reader, field_type)?, take_value(reader, field_type)?);
        min = Some((scale.take(reader)?, low));
        max = Some((scale.take(reader)?, high));
        sum = match take_value(reader, field_type)? {
            FieldValue::Float(sum) => Sum::Float(sum),
            FieldValue::Integer(sum) => Sum::Integer(sum),
            FieldValue::Unsigned(sum) => Sum::Unsigned(sum),
            FieldValue::String(_) | FieldValue::Boolean(_) => Sum::None,
        };
    }
    reader.finish()?;
    Ok(BlockStats { count, first: (first_time, first), last: (last_time, last), min, max, sum })
}

fn put_value(value: &FieldValue, out: &mut Vec<u8>) {
    match value {
        FieldValue::Float(value) => put_float(*value, out),
        FieldValue::Integer(value) => put_signed(out, *value),
        FieldValue::Unsigned(value) => put_varint(out, *value),
        FieldValue::String(value) => put_bytes(out, value.as_bytes()),
        FieldValue::Boolean(value) => out.push(u8::from(*value)),
    }
}

fn take_value(reader: &mut Reader<'_>, field_type: FieldType) -> Result<FieldValue, Malformed> {
    Ok(match field_type {
        FieldType::Float => FieldValue::Float(take_float(reader)?),
        FieldType::Integer => FieldValue::Integer(reader.signed()?),
        FieldType::Unsigned => FieldValue::Unsigned(reader.varint()?),
        FieldType::String => FieldValue::String(Arc::from(reader.str()?)),
        FieldType::Boolean => FieldValue::Boolean(reader.u8()? != 0),
    })
}

fn put_float(value: f64, out: &mut Vec<u8>) {
    match decimal::fit_one(value) {
        Some((exponent, integer)) => {
            out.push(exponent);
            put_signed(out, integer);
        }
        None => {
            out.push(RAW);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

fn take_float(reader: &mut Reader<'_>) -> Result<f64, Malformed> {
    match reader.u8()? {
        RAW => reader.array().map(f64::from_le_bytes),
        exponent if exponent <= decimal::MAX_EXPONENT => {
            reader.signed().map(|integer| decimal::restore(integer, exponent))
        }
        _ => Err(Malformed("unknown decimal exponent")),
    }
}
