//! Entries as they lie on disk: compressed where that makes them smaller. Keys of series, which every batch of points names
//! anew, are most of an operation.

use std::borrow::Cow;

use bytes::Bytes;
use skywatch_storage::wire::{Malformed, Reader, put_varint};

/// Begins an entry that is compressed; no operation begins with it.
const PACKED: u8 = 0xff;
/// Fast, and enough for keys that repeat.
const LEVEL: i32 = 1;
/// What is shorter is not worth it.
const LEN_MIN: usize = 256;
/// No operation is longer.
const UNPACKED_MAX: usize = 256 << 20;

/// An entry as it is written.
pub(super) fn pack(entry: &[u8]) -> Cow<'_, [u8]> {
    if entry.len() < LEN_MIN {
        return Cow::Borrowed(entry);
    }
    let mut packed = vec![PACKED];
    put_varint(&mut packed, entry.len() as u64);
    match zstd::bulk::compress(entry, LEVEL) {
        Ok(bytes) if packed.len() + bytes.len() < entry.len() => {
            packed.extend_from_slice(&bytes);
            Cow::Owned(packed)
        }
        _ => Cow::Borrowed(entry),
    }
}

/// How long what [`unpack`] gives is.
pub(super) fn unpacked_len(entry: &[u8]) -> u64 {
    match entry.split_first() {
        Some((&PACKED, rest)) => Reader::new(rest).varint().unwrap_or(0),
        _ => entry.len() as u64,
    }
}

/// The entry that [`pack`] was given.
pub(super) fn unpack(entry: Bytes) -> Result<Bytes, Malformed> {
    let Some((&PACKED, rest)) = entry.split_first() else { return Ok(entry) };
    let mut reader = Reader::new(rest);
    let len = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
    if len > UNPACKED_MAX {
        return Err(Malformed("an entry that is too long"));
    }
    let bytes = reader.take(reader.remaining())?;
    let unpacked = zstd::bulk::decompress(bytes, len).map_err(|_| Malformed("damaged compression"))?;
    if unpacked.len() == len { Ok(unpacked.into()) } else { Err(Malformed("an entry of another length")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_as_they_were() {
        let repeats = b"cpu,hostname=host_1,region=eu-west-1,datacenter=eu-west-1a ".repeat(100);
        let noise: Vec<u8> = (0..4000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for entry in [b"".as_slice(), b"short", &repeats, &noise] {
            let packed = pack(entry);
            assert_eq!(unpacked_len(&packed), entry.len() as u64);
            assert_eq!(unpack(packed.into_owned().into()).expect("what was packed"), entry);
        }
        assert!(pack(&repeats).len() < repeats.len() / 10);
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let mut packed = pack(&[7; 1000]).into_owned();
        packed.truncate(packed.len() - 3);
        assert!(unpack(packed.into()).is_err());
        let mut long = vec![PACKED];
        put_varint(&mut long, 1 << 40);
        assert!(unpack(long.into()).is_err());
        assert!(unpack(Bytes::from_static(&[PACKED])).is_err());
    }
}
