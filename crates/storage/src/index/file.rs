//! The index on disk: files that each hold a range of series and field numbers. Layout in `docs/formats/index.md`.
//!
//! A flush writes what is new since the last one, together with those of the youngest files that are not much
//! larger (the caller decides which), so that the number of files grows with the logarithm of the series.

use std::{borrow::Cow, collections::BTreeMap, ops::Range, sync::Arc};

use parking_lot::RwLock;
use roaring::RoaringBitmap;
use skywatch_model::series::{fnv1a64, parse_key};

use super::{Bounds, Index, Postings};
use crate::{
    codec::text::{put_compressed, take_compressed},
    rows::{FieldId, SeriesId},
    wal::{FieldDefinition, SeriesDefinition, put_field, take_field},
    wire::{Malformed, Reader, check_crc, put_bytes, put_crc, put_varint},
};

const MAGIC: [u8; 8] = *b"SKYWIDX\n";
const VERSION: u32 = 1;
/// magic 8, version 4, blocks 4, from series 4, to series 4, from field 4, to field 4, CRC 4.
const HEADER_LEN: usize = 36;
/// Series in one block.
const BLOCK_SERIES: u32 = 1 << 16;

/// Which numbers a file holds: from inclusive, to exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexFileMeta {
    pub(crate) from: Bounds,
    pub(crate) to: Bounds,
}

/// The bytes of a file for the numbers of `range`. The index is locked for the copying of one block at a time.
pub(crate) fn encode(index: &RwLock<Index>, range: IndexFileMeta) -> Vec<u8> {
    let IndexFileMeta { from, to } = range;
    let starts: Vec<u32> =
        (from.series..to.series.max(from.series + 1)).step_by(BLOCK_SERIES as usize).collect();
    let mut out = Vec::new();
    out.extend_from_slice(&MAGIC);
    for number in [VERSION, starts.len() as u32, from.series, to.series, from.fields, to.fields] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    put_crc(&mut out, 0);
    for (position, start) in starts.into_iter().enumerate() {
        let fields = if position == 0 { from.fields..to.fields } else { 0..0 };
        let block =
            Block::copy(&index.read(), start..start.saturating_add(BLOCK_SERIES).min(to.series), fields);
        let mut body = Vec::new();
        block.put(&mut body);
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        put_compressed(&body, &mut out);
        let len = (out.len() - at - 4) as u32;
        out[at..at + 4].copy_from_slice(&len.to_le_bytes());
        put_crc(&mut out, at);
    }
    out
}

/// What one block holds.
struct Block {
    fields: Vec<FieldDefinition>,
    series: BTreeMap<Arc<str>, Vec<(u32, Arc<str>)>>,
}

impl Block {
    fn copy(index: &Index, series: Range<u32>, fields: Range<u32>) -> Self {
        let fields = fields.filter_map(|id| index.field(FieldId(id)).cloned()).collect();
        let mut by_measurement: BTreeMap<Arc<str>, Vec<(u32, Arc<str>)>> = BTreeMap::new();
        for id in series {
            if let (Some(key), Some(measurement)) =
                (index.series_key(SeriesId(id)), index.measurement_of(SeriesId(id)))
            {
                by_measurement.entry(Arc::clone(&measurement.name)).or_default().push((id, Arc::clone(key)));
            }
        }
        Self { fields, series: by_measurement }
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.fields.len() as u64);
        self.fields.iter().for_each(|field| put_field(out, field));
        put_varint(out, self.series.len() as u64);
        for (measurement, series) in &self.series {
            put_bytes(out, measurement.as_bytes());
            put_varint(out, series.len() as u64);
            let mut previous = 0;
            for (id, key) in series {
                put_varint(out, u64::from(id - previous));
                previous = *id;
                put_bytes(out, key.as_bytes());
            }
            put_tags(series, out);
        }
    }
}

/// Each tag value with the series that carry it.
fn put_tags(series: &[(u32, Arc<str>)], out: &mut Vec<u8>) {
    let mut tags: BTreeMap<Cow<'_, str>, BTreeMap<Cow<'_, str>, Vec<u32>>> = BTreeMap::new();
    for (id, key) in series {
        for (tag, value) in parse_key(key).1 {
            tags.entry(tag).or_default().entry(value).or_default().push(*id);
        }
    }
    put_varint(out, tags.len() as u64);
    for (tag, values) in tags {
        put_bytes(out, tag.as_bytes());
        put_varint(out, values.len() as u64);
        for (value, ids) in values {
            put_bytes(out, value.as_bytes());
            put_bitmap(&ids.into_iter().collect(), out);
        }
    }
}

/// 0 and the only number, or the length of a serialised bitmap and the bitmap.
fn put_bitmap(ids: &RoaringBitmap, out: &mut Vec<u8>) {
    if let (1, Some(only)) = (ids.len(), ids.min()) {
        put_varint(out, 0);
        put_varint(out, u64::from(only));
        return;
    }
    put_varint(out, ids.serialized_size() as u64);
    let written = ids.serialize_into(&mut *out);
    assert!(written.is_ok(), "writing to memory cannot fail");
}

fn take_bitmap(reader: &mut Reader<'_>) -> Result<RoaringBitmap, Malformed> {
    let len = reader.count(1)?;
    if len == 0 {
        return Ok([reader.varint_u32()?].into_iter().collect());
    }
    RoaringBitmap::deserialize_from(reader.take(len)?).map_err(|_| Malformed("unreadable bitmap"))
}

/// Why an index file was not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum IndexFileError {
    /// A later release's.
    TooNew { found: u32, supported: u32 },
    /// Where, and what is wrong.
    Damaged { offset: u64, reason: Malformed },
}

/// Adds what a file holds to `index`.
pub(crate) fn decode(index: &mut Index, bytes: &[u8]) -> Result<IndexFileMeta, IndexFileError> {
    let damaged =
        |offset: usize| move |reason: Malformed| IndexFileError::Damaged { offset: offset as u64, reason };
    let mut reader = Reader::new(bytes);
    let header = reader.take(HEADER_LEN).and_then(check_crc).map_err(damaged(0))?;
    let mut header = Reader::new(header);
    if header.array().map_err(damaged(0))? != MAGIC {
        return Err(damaged(0)(Malformed("no index file")));
    }
    let mut numbers = [0; 6];
    for number in &mut numbers {
        *number = header.u32().map_err(damaged(0))?;
    }
    let [version, blocks, from_series, to_series, from_fields, to_fields] = numbers;
    if version != VERSION {
        return Err(IndexFileError::TooNew { found: version, supported: VERSION });
    }
    for _ in 0..blocks {
        let at = bytes.len() - reader.remaining();
        take_block(&mut reader, bytes, at, index).map_err(damaged(at))?;
    }
    reader.finish().map_err(damaged(bytes.len() - reader.remaining()))?;
    Ok(IndexFileMeta {
        from: Bounds { series: from_series, fields: from_fields },
        to: Bounds { series: to_series, fields: to_fields },
    })
}

fn take_block(reader: &mut Reader<'_>, bytes: &[u8], at: usize, index: &mut Index) -> Result<(), Malformed> {
    let len = reader.u32()? as usize;
    reader.take(len)?;
    reader.take(4)?;
    let block = check_crc(&bytes[at..at + len + 8])?;
    let body = take_compressed(&mut Reader::new(&block[4..]))?;
    let mut body = Reader::new(&body);
    for _ in 0..body.count(4)? {
        let field = take_field(&mut body)?;
        index.insert_field(&field);
    }
    for _ in 0..body.count(4)? {
        take_measurement(&mut body, index)?;
    }
    body.finish()
}

fn take_measurement(body: &mut Reader<'_>, index: &mut Index) -> Result<(), Malformed> {
    let name = body.str()?;
    let measurement = index.measurement_entry(name);
    let count = body.count(2)?;
    let mut ids = RoaringBitmap::new();
    let mut definitions = Vec::with_capacity(count);
    let mut id = 0u32;
    for _ in 0..count {
        id = id.checked_add(body.varint_u32()?).ok_or(Malformed("series number exceeds 32 bits"))?;
        ids.insert(id);
        definitions.push(SeriesDefinition { id: SeriesId(id), key: body.str()?.into() });
    }
    for definition in definitions {
        index.reserve_series(definition.id);
        if index.series_key(definition.id).is_none() && !index.is_retired(definition.id) {
            index.enter_series(&definition, measurement, fnv1a64(definition.key.as_bytes()));
        }
    }
    index.measurements[measurement as usize].series |= ids;
    for _ in 0..body.count(2)? {
        let key = body.str()?;
        let tag = index.measurements[measurement as usize].tag_entry(key);
        for _ in 0..body.count(2)? {
            let value = body.str()?;
            let ids = take_bitmap(body)?;
            tag.present |= &ids;
            match tag.values.get_mut(value) {
                Some(postings) => postings.merge(&ids),
                None => {
                    let postings = Postings::from_bitmap(ids).ok_or(Malformed("tag value without series"))?;
                    tag.values.insert(value.into(), postings);
                }
            }
        }
    }
    Ok(())
}
