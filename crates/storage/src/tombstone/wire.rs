//! Tombstones and bitmaps as bytes, the same in the log and in the manifest. Layout in `docs/formats/wal.md`.

use std::sync::Arc;

use roaring::RoaringBitmap;
use skywatch_model::{TimeRange, Version};

use super::{Rule, Tombstone};
use crate::{
    TagPredicate,
    wire::{Malformed, Reader, put_bytes, put_signed, put_varint},
};

/// Predicates nested deeper than this are not stored.
pub(crate) const MAX_DEPTH: usize = 256;

pub(crate) fn put_tombstone(out: &mut Vec<u8>, tombstone: &Tombstone) {
    let Tombstone { id, version, range, barrier, log, series, resolved, rule } = tombstone;
    put_varint(out, *id);
    put_varint(out, version.0);
    put_signed(out, range.start);
    put_signed(out, range.end);
    put_varint(out, *barrier);
    put_varint(out, *log);
    put_varint(out, u64::from(*resolved));
    put_bitmap(out, series);
    match rule {
        None => out.push(0),
        Some(rule) => {
            out.push(1);
            rule.encode(out);
        }
    }
}

pub(crate) fn take_tombstone(reader: &mut Reader<'_>) -> Result<Tombstone, Malformed> {
    let (id, version) = (reader.varint()?, Version(reader.varint()?));
    let range = TimeRange::new(reader.signed()?, reader.signed()?);
    let (barrier, log, resolved) = (reader.varint()?, reader.varint()?, reader.varint_u32()?);
    let series = take_bitmap(reader)?;
    let rule = match reader.u8()? {
        0 => None,
        1 => Some(Rule::decode(reader)?),
        _ => return Err(Malformed("unknown kind of rule")),
    };
    Ok(Tombstone { id, version, range, barrier, log, series, resolved, rule })
}

impl Rule {
    /// Appends what [`Self::decode`] reads: the same on disk and between nodes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Self { measurements, predicate } = self;
        put_varint(out, measurements.len() as u64);
        measurements.iter().for_each(|name| put_bytes(out, name.as_bytes()));
        predicate.encode(out);
    }

    /// Reads a rule. One that is nested too deeply to be stored is refused.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = reader.count(1)?;
        let measurements = (0..count).map(|_| reader.str().map(Arc::from)).collect::<Result<_, _>>()?;
        Ok(Self { measurements, predicate: TagPredicate::decode(reader, MAX_DEPTH)? })
    }
}

/// The length of a serialised bitmap, and the bitmap.
pub(crate) fn put_bitmap(out: &mut Vec<u8>, ids: &RoaringBitmap) {
    put_varint(out, ids.serialized_size() as u64);
    let written = ids.serialize_into(&mut *out);
    assert!(written.is_ok(), "writing to memory cannot fail");
}

pub(crate) fn take_bitmap(reader: &mut Reader<'_>) -> Result<RoaringBitmap, Malformed> {
    RoaringBitmap::deserialize_from(reader.bytes()?).map_err(|_| Malformed("unreadable bitmap"))
}
