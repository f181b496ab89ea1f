//! How the values of a block become bytes: [`numbers`] (pco, decimals as integers), [`times`], [`text`]
//! (dictionary and zstd), [`bits`] (booleans and validity). Pure; checksums are the caller's. A decoder is given the
//! number of values, which the caller has bounded, so damaged bytes cannot make it reserve much.

pub(crate) mod bits;
pub(crate) mod decimal;
pub(crate) mod numbers;
pub(crate) mod text;
pub(crate) mod times;

use std::ops::Range;

use skywatch_model::{FieldType, Values};

use crate::wire::{Malformed, Reader};

/// Appends the encoding of a block's values (those of valid rows only).
pub(crate) fn encode(values: &Values, out: &mut Vec<u8>) {
    match values {
        Values::Float(values) => numbers::encode_floats(values, out),
        Values::Integer(values) => numbers::encode(values, out),
        Values::Unsigned(values) => numbers::encode(values, out),
        Values::String(values) => text::encode(values, out),
        Values::Boolean(values) => bits::encode(values.iter().copied(), out),
    }
}

/// Decodes the values at `wanted` positions of `count`, which must be all that `bytes` hold.
pub(crate) fn decode(
    field_type: FieldType,
    count: usize,
    wanted: Range<usize>,
    bytes: &[u8],
) -> Result<Values, Malformed> {
    let mut reader = Reader::new(bytes);
    let values = match field_type {
        FieldType::Float => Values::Float(numbers::decode_floats(&mut reader, count, wanted)?),
        FieldType::Integer => Values::Integer(numbers::decode(&mut reader, count, wanted)?),
        FieldType::Unsigned => Values::Unsigned(numbers::decode(&mut reader, count, wanted)?),
        FieldType::String => Values::String(text::decode(&mut reader, count, wanted)?),
        FieldType::Boolean => Values::Boolean(bits::decode(&mut reader, count, wanted)?),
    };
    reader.finish()?;
    Ok(values)
}

#[cfg(test)]
mod tests;
