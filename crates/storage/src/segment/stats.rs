//! Statistics of one field of one block and of its parts: computed when it is written, stored in the series' index
//! entry. [`super::spans`] stores those of the parts.

use std::{ops::Range, sync::Arc};

use skywatch_model::{Bitmap, Column, FieldType, FieldValue, TimeRange, Values};

use crate::{
    BlockStats, SpanStats, Sum,
    codec::decimal,
    wire::{Malformed, Reader, put_bytes, put_signed, put_varint},
};

/// Longer strings are not kept as first or last; the block then has no statistics.
const MAX_TEXT: usize = 256;

/// Floats as they are; other values have their exponent.
const RAW: u8 = 0xff;

/// Statistics of a column, `None` if its strings are too long; and those of its `parts`, neighbouring ranges that are
/// all of its rows, except of parts without values.
pub(super) fn compute(
    times: &[i64],
    column: &Column,
    parts: &[Range<usize>],
) -> Option<(BlockStats, Vec<SpanStats>)> {
    match &column.values {
        Values::Float(values) => summarize(times, column, values, parts),
        Values::Integer(values) => summarize(times, column, values, parts),
        Values::Unsigned(values) => summarize(times, column, values, parts),
        Values::String(values) => {
            let found = ends(times, column, parts)?;
            let is_short = |time: i64| {
                let row = times.binary_search(&time).ok();
                row.is_some_and(|row| values.get(row).is_some_and(|text| text.len() <= MAX_TEXT))
            };
            (is_short(found.0.first.0) && is_short(found.0.last.0)).then_some(found)
        }
        Values::Boolean(_) => ends(times, column, parts),
    }
}

/// What can be added and ordered.
trait Number: PartialOrd + Copy {
    const ZERO: Self;
    fn plus(self, other: Self) -> Self;
    fn sum(self) -> Sum;
    fn value(self) -> FieldValue;
}

impl Number for f64 {
    const ZERO: Self = 0.0;
    fn plus(self, other: Self) -> Self {
        self + other
    }
    fn sum(self) -> Sum {
        Sum::Float(self)
    }
    fn value(self) -> FieldValue {
        FieldValue::Float(self)
    }
}

impl Number for i64 {
    const ZERO: Self = 0;
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    fn sum(self) -> Sum {
        Sum::Integer(self)
    }
    fn value(self) -> FieldValue {
        FieldValue::Integer(self)
    }
}

impl Number for u64 {
    const ZERO: Self = 0;
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    fn sum(self) -> Sum {
        Sum::Unsigned(self)
    }
    fn value(self) -> FieldValue {
        FieldValue::Unsigned(self)
    }
}

/// Rows of one part that have a value, summed up.
struct Part<T> {
    rows: Range<usize>,
    count: u64,
    first: usize,
    last: usize,
    low: T,
    high: T,
    sum: T,
}

fn summarize<T: Number>(
    times: &[i64],
    column: &Column,
    values: &[T],
    parts: &[Range<usize>],
) -> Option<(BlockStats, Vec<SpanStats>)> {
    let mut total = T::ZERO;
    let valid = column.valid.as_ref();
    let parts: Vec<Part<T>> =
        parts.iter().filter_map(|rows| take_part(values, valid, rows.clone(), &mut total)).collect();
    let (first, last) = (parts.first()?, parts.last()?);
    let low = parts.iter().fold(first.low, |low, part| if part.low < low { part.low } else { low });
    let high = parts.iter().fold(first.high, |high, part| if part.high > high { part.high } else { high });
    let earliest = |value: T, of_part: fn(&Part<T>) -> T| {
        let part = parts.iter().find(|part| of_part(part) == value)?;
        let row = part.rows.clone().find(|row| column.is_valid(*row) && values[*row] == value)?;
        Some((times[row], value.value()))
    };
    let cell = |row: usize| (times[row], values[row].value());
    let stats = BlockStats {
        count: parts.iter().map(|part| part.count).sum(),
        first: cell(first.first),
        last: cell(last.last),
        min: Some(earliest(low, |part| part.low)?),
        max: Some(earliest(high, |part| part.high)?),
        sum: total.sum(),
    };
    let spans = parts.iter().map(|part| SpanStats {
        count: part.count,
        first: cell(part.first),
        last: cell(part.last),
        min: Some(part.low.value()),
        max: Some(part.high.value()),
        sum: part.sum.sum(),
    });
    Some((stats, spans.collect()))
}

/// One part; its values are also added to `total`. `None` without values.
fn take_part<T: Number>(
    values: &[T],
    valid: Option<&Bitmap>,
    rows: Range<usize>,
    total: &mut T,
) -> Option<Part<T>> {
    let is_valid = |row: &usize| valid.is_none_or(|valid| valid.get(*row));
    let first = rows.clone().find(is_valid)?;
    let last = rows.clone().rev().find(is_valid)?;
    let start = *values.get(first)?;
    let mut part = Part { rows: rows.clone(), count: 0, first, last, low: start, high: start, sum: T::ZERO };
    let mut take = |value: T| {
        part.low = if value < part.low { value } else { part.low };
        part.high = if value > part.high { value } else { part.high };
        part.sum = part.sum.plus(value);
        *total = total.plus(value);
        part.count += 1;
    };
    match valid {
        None => values[rows].iter().for_each(|value| take(*value)),
        Some(_) => rows.filter(is_valid).for_each(|row| take(values[row])),
    }
    Some(part)
}

/// Of values that are neither added nor ordered.
fn ends(times: &[i64], column: &Column, parts: &[Range<usize>]) -> Option<(BlockStats, Vec<SpanStats>)> {
    let cell = |row: usize| (times[row], column.values.get(row));
    let of_part = |rows: &Range<usize>| {
        let mut valid = rows.clone().filter(|row| column.is_valid(*row));
        let first = valid.next()?;
        let (mut last, mut count) = (first, 1);
        for row in valid {
            (last, count) = (row, count + 1);
        }
        Some(SpanStats { count, first: cell(first), last: cell(last), min: None, max: None, sum: Sum::None })
    };
    let spans: Vec<SpanStats> = parts.iter().filter_map(of_part).collect();
    let (first, last) = (spans.first()?.first.clone(), spans.last()?.last.clone());
    let count = spans.iter().map(|span| span.count).sum();
    Some((BlockStats { count, first, last, min: None, max: None, sum: Sum::None }, spans))
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
