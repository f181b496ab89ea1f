//! Statistics of parts of a block, so that a window of time answers without decoding the block it lies in.
//!
//! The parts lie between multiples, counted from 1970, of the least width in [`WIDTHS`] at which they hold
//! [`LEAST_ROWS`] rows or more on average. Where the parts are follows from a regular block's times; an irregular one
//! stores it once for all its fields:
//!
//! ```text
//! layout = for each part: rows (varint)  first time - the part before's last (varint; the block's first, of the first)
//!          last time - first time (varint)
//! ```
//!
//! and each field that has statistics, but strings, has, with numbers relative to each other:
//!
//! ```text
//! field = [exponent (byte; floats only)]  part...
//! part  = [values (varint), if some of the block's rows have none; 0: no part]
//!         [first time - the part's first time, the part's last time - last time (varints, in the block's unit)]
//!         first - the part before's last (signed; the block's first, of the first)  last - first (signed)
//!         first - min (varint)  max - first (varint)  sum - values * first (signed)
//!         [floats: the sum's bits - those of the decimal just given (signed)]
//! ```
//!
//! modulo 2^64. Floats that are no decimals of one exponent have exponent 255 and the five numbers as they are; of
//! booleans there is a byte, first + 2 * last.

use std::ops::Range;

use skywatch_model::{FieldType, FieldValue, TimeRange};

use super::entry::time_unit;
use crate::{
    BlockStats, SpanStats, Sum,
    codec::decimal,
    wire::{Malformed, Reader, put_bytes, put_signed, put_varint},
};

const SECOND: i64 = 1_000_000_000;
/// 1 min, 10 min, 1 h, 6 h, 1 d.
const WIDTHS: [i64; 5] = [60 * SECOND, 600 * SECOND, 3600 * SECOND, 6 * 3600 * SECOND, 24 * 3600 * SECOND];
/// Fewer rows than these are decoded about as fast as their statistics are read.
const LEAST_ROWS: usize = 128;
/// Instead of an exponent: floats as they are.
const RAW: u8 = 0xff;

/// Rows of one part, and first and last time of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) rows: usize,
    pub(super) range: TimeRange,
}

/// Where a block's parts are, as its entry says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Layout<'a> {
    /// It has none.
    Whole,
    /// Rows are equally far apart; the parts have this one of the widths.
    Regular(usize),
    /// So too; where they are see the module's header.
    Listed(usize, &'a [u8]),
}

/// The parts of a block with these times; a single one if there is nothing to gain.
pub(super) fn divide(times: &[i64]) -> (Option<usize>, Vec<Range<usize>>) {
    if let (Some(first), Some(last)) = (times.first(), times.last()) {
        for (index, width) in WIDTHS.into_iter().enumerate() {
            if first.div_euclid(width) == last.div_euclid(width) {
                break;
            }
            let parts = parts_of(times, width);
            if times.len() / parts.len().max(1) >= LEAST_ROWS {
                return (Some(index), parts);
            }
        }
    }
    (None, std::iter::once(0..times.len()).collect())
}

fn parts_of(times: &[i64], width: i64) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    while let Some(time) = times.get(start) {
        let number = time.div_euclid(width);
        let rest = times.get(start..).unwrap_or_default();
        let end = start + rest.partition_point(|time| time.div_euclid(width) == number);
        // More parts than may be: the rest does not matter.
        if parts.len() > times.len() / LEAST_ROWS {
            break;
        }
        parts.push(start..end);
        start = end;
    }
    parts
}

/// Appends where the parts of a block are.
pub(super) fn put_layout(
    width: Option<usize>,
    parts: &[Range<usize>],
    times: &[i64],
    is_regular: bool,
    out: &mut Vec<u8>,
) {
    let Some((width, first)) = width.zip(times.first()) else {
        return Layout::Whole.put(out);
    };
    if is_regular {
        return Layout::Regular(width).put(out);
    }
    let mut layout = Vec::new();
    let mut previous = *first;
    for part in layout_of(parts, times) {
        put_varint(&mut layout, part.rows as u64);
        put_varint(&mut layout, part.range.start.abs_diff(previous));
        put_varint(&mut layout, part.range.end.abs_diff(part.range.start));
        previous = part.range.end;
    }
    Layout::Listed(width, &layout).put(out);
}

/// Reads what [`Layout::put`] wrote.
pub(super) fn take_layout<'a>(reader: &mut Reader<'a>, is_regular: bool) -> Result<Layout<'a>, Malformed> {
    let index = match reader.varint()? {
        0 => return Ok(Layout::Whole),
        index => index as usize - 1,
    };
    if index >= WIDTHS.len() {
        return Err(Malformed("unknown width of parts"));
    }
    if is_regular { Ok(Layout::Regular(index)) } else { Ok(Layout::Listed(index, reader.bytes()?)) }
}

/// The parts at `ranges` of rows.
pub(super) fn layout_of(ranges: &[Range<usize>], times: &[i64]) -> Vec<Part> {
    let part = |rows: &Range<usize>| Part {
        rows: rows.len(),
        range: TimeRange::new(times[rows.start], times[rows.end - 1]),
    };
    ranges.iter().map(part).collect()
}

impl Layout<'_> {
    /// The parts of a block of `rows` rows.
    pub(super) fn parts(self, rows: usize, block: TimeRange) -> Result<Vec<Part>, Malformed> {
        match self {
            Self::Whole => Ok(Vec::new()),
            Self::Regular(width) => Ok(regular_parts(rows, block, WIDTHS[width])),
            Self::Listed(_, bytes) => listed_parts(rows, block, bytes),
        }
    }

    /// Appends what [`take_layout`] reads.
    pub(super) fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Whole => put_varint(out, 0),
            Self::Regular(width) => put_varint(out, width as u64 + 1),
            Self::Listed(width, bytes) => {
                put_varint(out, width as u64 + 1);
                put_bytes(out, bytes);
            }
        }
    }
}

fn regular_parts(rows: usize, block: TimeRange, width: i64) -> Vec<Part> {
    let unit = time_unit(rows, block, true).max(1);
    let mut parts = Vec::new();
    let mut row = 0;
    while row < rows {
        let start = block.start.wrapping_add_unsigned(row as u64 * unit);
        // Nanoseconds to the next multiple of the width.
        let room = (width - start.rem_euclid(width)) as u64;
        let here = (room.div_ceil(unit) as usize).clamp(1, rows - row);
        let end = start.wrapping_add_unsigned((here as u64 - 1) * unit);
        parts.push(Part { rows: here, range: TimeRange::new(start, end) });
        row += here;
    }
    parts
}

fn listed_parts(rows: usize, block: TimeRange, bytes: &[u8]) -> Result<Vec<Part>, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut parts = Vec::new();
    let (mut total, mut previous) = (0usize, block.start);
    while reader.remaining() > 0 {
        let here = reader.varint()? as usize;
        let add =
            |time: i64, distance| time.checked_add_unsigned(distance).ok_or(Malformed("time overflows"));
        let start = add(previous, reader.varint()?)?;
        previous = add(start, reader.varint()?)?;
        total = total.saturating_add(here);
        parts.push(Part { rows: here, range: TimeRange::new(start, previous) });
    }
    if total == rows && previous == block.end {
        Ok(parts)
    } else {
        Err(Malformed("parts of a block are not all of it"))
    }
}

/// How to read a field's parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) parts: &'a [Part],
    /// See [`time_unit`].
    pub(super) unit: u64,
    pub(super) has_nulls: bool,
    /// Of the whole block.
    pub(super) block: &'a BlockStats,
}

/// Appends a field's `spans`; those of strings are not kept.
pub(super) fn encode(spans: &[SpanStats], frame: Frame<'_>, out: &mut Vec<u8>) {
    let scale = Scale::fit(spans);
    let Some(scale) = scale else { return };
    if let Scale::Decimal(exponent) = scale {
        out.push(exponent);
    } else if matches!(scale, Scale::Raw) {
        out.push(RAW);
    }
    let mut spans = spans.iter().peekable();
    let mut previous = scale.word(&frame.block.first.1).unwrap_or(0);
    for part in frame.parts {
        let here = spans.next_if(|span| part.range.contains(span.first.0));
        if frame.has_nulls {
            put_varint(out, here.map_or(0, |span| span.count));
        }
        let Some(span) = here else { continue };
        if frame.has_nulls {
            put_varint(out, span.first.0.abs_diff(part.range.start) / frame.unit);
            put_varint(out, part.range.end.abs_diff(span.last.0) / frame.unit);
        }
        scale.put(span, &mut previous, out);
    }
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(
    bytes: &[u8],
    field_type: FieldType,
    frame: Frame<'_>,
) -> Result<Vec<SpanStats>, Malformed> {
    let mut reader = Reader::new(bytes);
    let scale = match field_type {
        FieldType::Integer => Scale::Integer,
        FieldType::Unsigned => Scale::Unsigned,
        FieldType::Boolean => Scale::Boolean,
        FieldType::String => return Err(Malformed("strings have no parts")),
        FieldType::Float => match reader.u8()? {
            RAW => Scale::Raw,
            exponent if exponent <= decimal::MAX_EXPONENT => Scale::Decimal(exponent),
            _ => return Err(Malformed("unknown decimal exponent")),
        },
    };
    let mut previous = scale.word(&frame.block.first.1).ok_or(Malformed("first value of another kind"))?;
    let mut spans = Vec::with_capacity(frame.parts.len());
    for part in frame.parts {
        let mut count = part.rows as u64;
        let mut range = part.range;
        if frame.has_nulls {
            count = reader.varint()?;
            if count == 0 {
                continue;
            }
            let distance = |steps: u64| steps.checked_mul(frame.unit).ok_or(Malformed("time overflows"));
            let start = range.start.checked_add_unsigned(distance(reader.varint()?)?);
            let end = range.end.checked_sub_unsigned(distance(reader.varint()?)?);
            let (Some(start), Some(end)) = (start, end) else { return Err(Malformed("time overflows")) };
            range = TimeRange::new(start, end);
        }
        if count > part.rows as u64 || range.is_empty() {
            return Err(Malformed("part of a block has too many values"));
        }
        spans.push(scale.take(&mut reader, count, range, &mut previous)?);
    }
    reader.finish()?;
    Ok(spans)
}

/// How the numbers of a field are stored.
#[derive(Debug, Clone, Copy)]
enum Scale {
    Integer,
    Unsigned,
    /// Exponent.
    Decimal(u8),
    Raw,
    Boolean,
}

impl Scale {
    /// The one that reproduces `spans` exactly; `None` if none does.
    fn fit(spans: &[SpanStats]) -> Option<Self> {
        match spans.first()?.first.1 {
            FieldValue::Integer(_) => Some(Self::Integer),
            FieldValue::Unsigned(_) => Some(Self::Unsigned),
            FieldValue::Boolean(_) => Some(Self::Boolean),
            FieldValue::String(_) => None,
            FieldValue::Float(_) => Some(Self::fit_decimal(spans).map_or(Self::Raw, Self::Decimal)),
        }
    }

    fn fit_decimal(spans: &[SpanStats]) -> Option<u8> {
        let numbers = |span: &SpanStats| -> Option<[f64; 4]> {
            match (&span.first.1, &span.last.1, &span.min, &span.max) {
                (
                    FieldValue::Float(first),
                    FieldValue::Float(last),
                    Some(FieldValue::Float(min)),
                    Some(FieldValue::Float(max)),
                ) => Some([*first, *last, *min, *max]),
                _ => None,
            }
        };
        let numbers: Vec<f64> = spans.iter().map(numbers).collect::<Option<Vec<_>>>()?.concat();
        let exponent = decimal::fit(&numbers, &mut Vec::new())?;
        let has_near_sum = |span: &SpanStats| matches!(span.sum, Sum::Float(sum) if decimal::nearest(sum, exponent).is_some());
        spans.iter().all(has_near_sum).then_some(exponent)
    }

    /// What stands for a value.
    fn word(self, value: &FieldValue) -> Option<u64> {
        match (self, value) {
            (Self::Integer, FieldValue::Integer(value)) => Some(*value as u64),
            (Self::Unsigned, FieldValue::Unsigned(value)) => Some(*value),
            (Self::Decimal(exponent), FieldValue::Float(value)) => {
                decimal::nearest(*value, exponent).map(|integer| integer as u64)
            }
            (Self::Raw, FieldValue::Float(value)) => Some(value.to_bits()),
            (Self::Boolean, FieldValue::Boolean(value)) => Some(u64::from(*value)),
            _ => None,
        }
    }

    fn value(self, word: u64) -> FieldValue {
        match self {
            Self::Integer => FieldValue::Integer(word as i64),
            Self::Unsigned => FieldValue::Unsigned(word),
            Self::Decimal(exponent) => FieldValue::Float(decimal::restore(word as i64, exponent)),
            Self::Raw => FieldValue::Float(f64::from_bits(word)),
            Self::Boolean => FieldValue::Boolean(word != 0),
        }
    }

    fn put(self, span: &SpanStats, previous: &mut u64, out: &mut Vec<u8>) {
        let word = |value: &FieldValue| self.word(value).unwrap_or_default();
        let (first, last) = (word(&span.first.1), word(&span.last.1));
        if let Self::Boolean = self {
            out.push((first | last << 1) as u8);
            return;
        }
        let (min, max) = (span.min.as_ref().map_or(first, word), span.max.as_ref().map_or(first, word));
        let (sum, bits) = match span.sum {
            Sum::Integer(sum) => (sum as u64, 0),
            Sum::Unsigned(sum) => (sum, 0),
            Sum::Float(sum) => (self.word(&FieldValue::Float(sum)).unwrap_or_default(), sum.to_bits()),
            Sum::None => (0, 0),
        };
        if let Self::Raw = self {
            [first, last, min, max, bits].iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
            return;
        }
        put_signed(out, first.wrapping_sub(*previous) as i64);
        put_signed(out, last.wrapping_sub(first) as i64);
        put_varint(out, first.wrapping_sub(min));
        put_varint(out, max.wrapping_sub(first));
        put_signed(out, sum.wrapping_sub(span.count.wrapping_mul(first)) as i64);
        if let Self::Decimal(exponent) = self {
            let near = decimal::restore(sum as i64, exponent).to_bits();
            put_signed(out, bits.wrapping_sub(near) as i64);
        }
        *previous = last;
    }

    fn take(
        self,
        reader: &mut Reader<'_>,
        count: u64,
        range: TimeRange,
        previous: &mut u64,
    ) -> Result<SpanStats, Malformed> {
        let span = |first, last, extremes: Option<(u64, u64)>, sum| SpanStats {
            count,
            first: (range.start, self.value(first)),
            last: (range.end, self.value(last)),
            min: extremes.map(|(min, _)| self.value(min)),
            max: extremes.map(|(_, max)| self.value(max)),
            sum,
        };
        match self {
            Self::Boolean => {
                let both = u64::from(reader.u8()?);
                Ok(span(both & 1, both >> 1, None, Sum::None))
            }
            Self::Raw => {
                let [first, last, min, max] = [reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?];
                Ok(span(first, last, Some((min, max)), Sum::Float(f64::from_bits(reader.u64()?))))
            }
            Self::Integer | Self::Unsigned | Self::Decimal(_) => {
                let first = previous.wrapping_add(reader.signed()? as u64);
                let last = first.wrapping_add(reader.signed()? as u64);
                let min = first.wrapping_sub(reader.varint()?);
                let max = first.wrapping_add(reader.varint()?);
                let sum = count.wrapping_mul(first).wrapping_add(reader.signed()? as u64);
                *previous = last;
                let sum = match self {
                    Self::Decimal(exponent) => {
                        let near = decimal::restore(sum as i64, exponent).to_bits();
                        Sum::Float(f64::from_bits(near.wrapping_add(reader.signed()? as u64)))
                    }
                    Self::Unsigned => Sum::Unsigned(sum),
                    Self::Integer | Self::Raw | Self::Boolean => Sum::Integer(sum as i64),
                };
                Ok(span(first, last, Some((min, max)), sum))
            }
        }
    }
}
