//! Columns of strings:
//!
//! ```text
//! body = 0  bytes                          as they are
//!      | 1  raw length (varint)  zstd      compressed
//! bytes = distinct (varint)  distinct x (length (varint)  UTF-8)
//!         then, unless distinct = 1, count x index of 1, 2 or 4 bytes (the least that holds distinct - 1)
//! ```
//!
//! Values that are all different make the dictionary the column and the indexes 0, 1, 2..., which zstd folds away.

use std::{ops::Range, sync::Arc};

use rustc_hash::FxHashMap;

use crate::wire::{Malformed, Reader, put_bytes, put_varint};

const RAW: u8 = 0;
const ZSTD: u8 = 1;
const LEVEL: i32 = 3;
/// Below this many bytes zstd's frame costs more than it saves.
const ZSTD_FROM: usize = 48;
/// The most a column may decompress to: 65,536 rows of 64 KB are refused long before they get here.
const MAX_RAW: usize = 1 << 30;

/// Appends strings.
pub(crate) fn encode(values: &[Arc<str>], out: &mut Vec<u8>) {
    let mut distinct: FxHashMap<&str, u32> = FxHashMap::default();
    let mut dictionary: Vec<&str> = Vec::new();
    let indexes: Vec<u32> = values
        .iter()
        .map(|value| {
            *distinct.entry(value).or_insert_with(|| {
                dictionary.push(value);
                dictionary.len() as u32 - 1
            })
        })
        .collect();
    let mut body = Vec::new();
    put_varint(&mut body, dictionary.len() as u64);
    for entry in &dictionary {
        put_bytes(&mut body, entry.as_bytes());
    }
    if dictionary.len() > 1 {
        let width = index_width(dictionary.len());
        for index in indexes {
            body.extend_from_slice(&index.to_le_bytes()[..width]);
        }
    }
    put_compressed(&body, out);
}

/// Reads the strings at `wanted` positions of `count`, sharing equal ones.
pub(crate) fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    wanted: Range<usize>,
) -> Result<Vec<Arc<str>>, Malformed> {
    let body = take_compressed(reader)?;
    let mut body = Reader::new(&body);
    let distinct = body.count(1)?;
    let dictionary: Vec<Arc<str>> =
        (0..distinct).map(|_| body.str().map(Arc::from)).collect::<Result<_, _>>()?;
    if let [only] = dictionary.as_slice() {
        body.finish()?;
        return Ok(vec![Arc::clone(only); wanted.len()]);
    }
    let width = index_width(distinct);
    let indexes = body.take(count.checked_mul(width).ok_or(Malformed("ends too early"))?)?;
    body.finish()?;
    indexes
        .chunks_exact(width)
        .skip(wanted.start)
        .take(wanted.len())
        .map(|bytes| {
            let mut index = [0; 4];
            index[..width].copy_from_slice(bytes);
            dictionary
                .get(u32::from_le_bytes(index) as usize)
                .cloned()
                .ok_or(Malformed("index past the dictionary"))
        })
        .collect()
}

const fn index_width(distinct: usize) -> usize {
    match distinct {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// Appends `body`, compressed where that helps.
pub(crate) fn put_compressed(body: &[u8], out: &mut Vec<u8>) {
    if body.len() >= ZSTD_FROM
        && let Ok(compressed) = zstd::bulk::compress(body, LEVEL)
        && compressed.len() < body.len()
    {
        out.push(ZSTD);
        put_varint(out, body.len() as u64);
        out.extend_from_slice(&compressed);
    } else {
        out.push(RAW);
        out.extend_from_slice(body);
    }
}

/// Everything left in `reader`, decompressed.
pub(crate) fn take_compressed(reader: &mut Reader<'_>) -> Result<Vec<u8>, Malformed> {
    match reader.u8()? {
        RAW => reader.take(reader.remaining()).map(<[u8]>::to_vec),
        ZSTD => {
            let len = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
            if len > MAX_RAW {
                return Err(Malformed("claims to decompress to more than 1 GiB"));
            }
            let compressed = reader.take(reader.remaining())?;
            let body =
                zstd::bulk::decompress(compressed, len).map_err(|_| Malformed("zstd cannot decode it"))?;
            if body.len() == len { Ok(body) } else { Err(Malformed("decompresses to another length")) }
        }
        _ => Err(Malformed("unknown compression")),
    }
}
