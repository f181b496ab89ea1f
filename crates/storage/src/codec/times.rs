//! The timestamps of a block that are not regular (regular ones need no bytes beyond the block's header):
//!
//! ```text
//! unit (varint)   numbers of (time - first) / unit, see `numbers`
//! ```

use super::numbers;
use crate::wire::{Malformed, Reader, put_varint};

/// The distance between neighbours, if it is always the same.
pub(crate) fn regular_step(times: &[i64]) -> Option<u64> {
    let [first, second, ..] = times else {
        return Some(0);
    };
    let step = second.abs_diff(*first);
    times.windows(2).all(|pair| pair[1].abs_diff(pair[0]) == step).then_some(step)
}

/// Appends ascending times, not empty.
pub(crate) fn encode(times: &[i64], out: &mut Vec<u8>) {
    let first = times.first().copied().unwrap_or(0);
    let mut offsets: Vec<u64> = times.iter().map(|time| time.abs_diff(first)).collect();
    let unit = offsets
        .iter()
        .fold(0, |unit, offset| if unit == 1 { 1 } else { common_divisor(unit, *offset) })
        .max(1);
    if unit > 1 {
        for offset in &mut offsets {
            *offset /= unit;
        }
    }
    put_varint(out, unit);
    numbers::encode(&offsets, out);
}

/// Reads `count` times of which the first is `first`; they ascend strictly and end at `last`.
pub(crate) fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    first: i64,
    last: i64,
) -> Result<Vec<i64>, Malformed> {
    let unit = reader.varint()?;
    let offsets: Vec<u64> = numbers::decode(reader, count, 0..count)?;
    let times: Vec<i64> =
        offsets.into_iter().map(|offset| first.wrapping_add(offset.wrapping_mul(unit) as i64)).collect();
    let ascends = times.windows(2).all(|pair| pair[0] < pair[1]);
    if ascends && times.first() == Some(&first) && times.last() == Some(&last) {
        Ok(times)
    } else {
        Err(Malformed("times do not ascend within their range"))
    }
}

fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
