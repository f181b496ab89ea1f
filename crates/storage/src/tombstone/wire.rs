//! Tombstones and bitmaps as bytes, the same in the log and in the manifest. Layout in `docs/formats/wal.md`.

use std::sync::Arc;

use regex::RegexBuilder;
use roaring::RoaringBitmap;
use skywatch_model::{TimeRange, Version};

use super::{Rule, Tombstone};
use crate::{
    TagPredicate,
    wire::{Malformed, Reader, put_bytes, put_signed, put_varint},
};

const ALL: u8 = 0;
const NONE: u8 = 1;
const EQUAL: u8 = 2;
const MATCHES: u8 = 3;
const NOT: u8 = 4;
const AND: u8 = 5;
const OR: u8 = 6;

/// Predicates nested deeper than this are not stored.
pub(crate) const MAX_DEPTH: usize = 256;
/// A regular expression that was small enough once must be so when it is read back.
const REGEX_BYTES_MAX: usize = 256 << 20;

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
        put_predicate(out, predicate);
    }

    /// Reads a rule. One that is nested too deeply to be stored is refused.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = reader.count(1)?;
        let measurements = (0..count).map(|_| reader.str().map(Arc::from)).collect::<Result<_, _>>()?;
        Ok(Self { measurements, predicate: take_predicate(reader, 0)? })
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

/// How deep a predicate is nested.
pub(crate) fn depth(predicate: &TagPredicate) -> usize {
    1 + match predicate {
        TagPredicate::Not(inner) => depth(inner),
        TagPredicate::And(inner) | TagPredicate::Or(inner) => inner.iter().map(depth).max().unwrap_or(0),
        TagPredicate::All
        | TagPredicate::None
        | TagPredicate::Equal { .. }
        | TagPredicate::Matches { .. } => 0,
    }
}

fn put_predicate(out: &mut Vec<u8>, predicate: &TagPredicate) {
    let list = |out: &mut Vec<u8>, kind: u8, inner: &[TagPredicate]| {
        out.push(kind);
        put_varint(out, inner.len() as u64);
        inner.iter().for_each(|inner| put_predicate(out, inner));
    };
    match predicate {
        TagPredicate::All => out.push(ALL),
        TagPredicate::None => out.push(NONE),
        TagPredicate::Equal { key, value } => {
            out.push(EQUAL);
            put_bytes(out, key.as_bytes());
            put_bytes(out, value.as_bytes());
        }
        TagPredicate::Matches { key, regex } => {
            out.push(MATCHES);
            put_bytes(out, key.as_bytes());
            put_bytes(out, regex.as_str().as_bytes());
        }
        TagPredicate::Not(inner) => {
            out.push(NOT);
            put_predicate(out, inner);
        }
        TagPredicate::And(inner) => list(out, AND, inner),
        TagPredicate::Or(inner) => list(out, OR, inner),
    }
}

fn take_predicate(reader: &mut Reader<'_>, depth: usize) -> Result<TagPredicate, Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed("predicate is nested too deeply"));
    }
    let list = |reader: &mut Reader<'_>| -> Result<Vec<TagPredicate>, Malformed> {
        let count = reader.count(1)?;
        (0..count).map(|_| take_predicate(reader, depth + 1)).collect()
    };
    Ok(match reader.u8()? {
        ALL => TagPredicate::All,
        NONE => TagPredicate::None,
        EQUAL => TagPredicate::Equal { key: reader.str()?.into(), value: reader.str()?.into() },
        MATCHES => {
            let key = reader.str()?.into();
            let regex = RegexBuilder::new(reader.str()?).size_limit(REGEX_BYTES_MAX).build();
            let regex = regex.map_err(|_| Malformed("unreadable regular expression"))?;
            TagPredicate::Matches { key, regex: Arc::new(regex) }
        }
        NOT => TagPredicate::Not(Box::new(take_predicate(reader, depth + 1)?)),
        AND => TagPredicate::And(list(reader)?),
        OR => TagPredicate::Or(list(reader)?),
        _ => return Err(Malformed("unknown kind of predicate")),
    })
}
