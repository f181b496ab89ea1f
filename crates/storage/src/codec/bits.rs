//! Booleans and validity, eight to a byte, least significant bit first.

use std::ops::Range;

use skywatch_model::Bitmap;

use crate::wire::{Malformed, Reader};

/// Appends `⌈n/8⌉` bytes; bits past the last value are zero.
pub(crate) fn encode(values: impl ExactSizeIterator<Item = bool>, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + values.len().div_ceil(8), 0);
    for (index, value) in values.enumerate() {
        out[start + index / 8] |= u8::from(value) << (index % 8);
    }
}

/// Reads those at `wanted` positions of `count`.
pub(crate) fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    wanted: Range<usize>,
) -> Result<Vec<bool>, Malformed> {
    let bytes = reader.take(count.div_ceil(8))?;
    Ok(wanted.map(|index| bytes[index / 8] >> (index % 8) & 1 == 1).collect())
}

/// As [`encode`], of a bitmap.
pub(crate) fn encode_bitmap(bitmap: &Bitmap, out: &mut Vec<u8>) {
    let bytes = bitmap.words().iter().flat_map(|word| word.to_le_bytes());
    out.extend(bytes.take(bitmap.len().div_ceil(8)));
}

pub(crate) fn decode_bitmap(reader: &mut Reader<'_>, count: usize) -> Result<Bitmap, Malformed> {
    let mut bitmap = Bitmap::filled(count, false);
    for (index, valid) in decode(reader, count, 0..count)?.into_iter().enumerate() {
        if valid {
            bitmap.set(index, true);
        }
    }
    Ok(bitmap)
}
