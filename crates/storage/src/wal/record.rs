//! What records say: new series, new fields, rows, deletes. Layout in `docs/formats/wal.md`.
//!
//! Rows name series and fields by number, so a record that defines a number is appended before, or together with,
//! the first that uses it.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use skywatch_model::{FieldType, Version};

use super::frame::{self, MAX_BODY_LEN};
use crate::{
    codec::{bits, decimal},
    error::WriteError,
    index::Retired,
    rows::{Buffer, FieldId, Group, Layout, RowSet, Run, SeriesId},
    tombstone::{Tombstone, put_bitmap, put_tombstone, take_bitmap, take_tombstone},
    wire::{Malformed, Reader, put_bytes, put_signed, put_varint},
};

const SERIES: u8 = 1;
const FIELDS: u8 = 2;
const ROWS: u8 = 3;
const TOMBSTONE: u8 = 4;
const RETIRED: u8 = 5;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
const LEVEL: i32 = 1;
/// Smaller bodies are left plain.
const ZSTD_FROM: usize = 128;
const MAX_RAW_LEN: usize = 1 << 30;

const FLOATS_RAW: u8 = 0xff;

/// "Series `id` has this key."
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeriesDefinition {
    pub(crate) id: SeriesId,
    pub(crate) key: Arc<str>,
}

/// "Field `id` is this one."
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldDefinition {
    pub(crate) id: FieldId,
    pub(crate) measurement: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) field_type: FieldType,
}

/// A record read back.
#[derive(Debug)]
pub(crate) enum Record {
    Series(Vec<SeriesDefinition>),
    Fields(Vec<FieldDefinition>),
    /// Decoded by a [`RowDecoder`].
    Rows(Vec<u8>),
    /// Some cells written before it are deleted.
    Tombstone(Box<Tombstone>),
    /// Series were dropped, with the fields that nobody else had.
    Retired(Retired),
}

impl Record {
    /// Reads the body of a frame.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let kind = reader.u8()?;
        let payload = match reader.u8()? {
            PLAIN => reader.take(reader.remaining())?.to_vec(),
            ZSTD => {
                let len = reader.varint()? as usize;
                if len > MAX_RAW_LEN {
                    return Err(Malformed("record claims to decompress to more than 1 GiB"));
                }
                let compressed = reader.take(reader.remaining())?;
                zstd::bulk::decompress(compressed, len)
                    .map_err(|_| Malformed("zstd cannot decode the record"))?
            }
            _ => return Err(Malformed("unknown compression of a record")),
        };
        match kind {
            SERIES => decode_series(&payload).map(Self::Series),
            FIELDS => decode_fields(&payload).map(Self::Fields),
            ROWS => Ok(Self::Rows(payload)),
            TOMBSTONE => decode_tombstone(&payload).map(|tombstone| Self::Tombstone(Box::new(tombstone))),
            RETIRED => decode_retired(&payload).map(Self::Retired),
            _ => Err(Malformed("unknown kind of record")),
        }
    }
}

/// Turns records into frames; keeps its buffers.
pub(crate) struct Encoder {
    frames: Vec<u8>,
    payload: Vec<u8>,
    integers: Vec<i64>,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Encoder({} bytes)", self.frames.len())
    }
}

impl Default for Encoder {
    fn default() -> Self {
        let zstd = zstd::bulk::Compressor::new(LEVEL).ok();
        Self { frames: Vec::new(), payload: Vec::new(), integers: Vec::new(), zstd }
    }
}

impl Encoder {
    /// Encodes rows; the frame stays valid until the next call.
    pub(crate) fn rows(&mut self, rows: &RowSet) -> Result<&[u8], WriteError> {
        self.payload.clear();
        put_rows(rows, &mut self.payload, &mut self.integers);
        self.frames.clear();
        self.frame(ROWS)?;
        Ok(&self.frames)
    }

    /// Encodes definitions, in one frame or two.
    pub(crate) fn definitions(
        &mut self,
        series: &[SeriesDefinition],
        fields: &[FieldDefinition],
    ) -> Result<&[u8], WriteError> {
        self.frames.clear();
        if !series.is_empty() {
            self.payload.clear();
            put_varint(&mut self.payload, series.len() as u64);
            for SeriesDefinition { id, key } in series {
                put_varint(&mut self.payload, u64::from(id.0));
                put_bytes(&mut self.payload, key.as_bytes());
            }
            self.frame(SERIES)?;
        }
        if !fields.is_empty() {
            self.payload.clear();
            put_varint(&mut self.payload, fields.len() as u64);
            for field in fields {
                put_field(&mut self.payload, field);
            }
            self.frame(FIELDS)?;
        }
        Ok(&self.frames)
    }

    /// Encodes a tombstone.
    pub(crate) fn tombstone(&mut self, tombstone: &Tombstone) -> Result<&[u8], WriteError> {
        self.payload.clear();
        put_tombstone(&mut self.payload, tombstone);
        self.frames.clear();
        self.frame(TOMBSTONE)?;
        Ok(&self.frames)
    }

    /// Encodes numbers that were retired.
    pub(crate) fn retired(&mut self, retired: &Retired) -> Result<&[u8], WriteError> {
        self.payload.clear();
        put_retired(&mut self.payload, retired);
        self.frames.clear();
        self.frame(RETIRED)?;
        Ok(&self.frames)
    }

    /// Appends a frame around the payload.
    fn frame(&mut self, kind: u8) -> Result<(), WriteError> {
        let start = frame::begin(&mut self.frames);
        self.frames.push(kind);
        let compressed = self.payload.len() >= ZSTD_FROM && self.put_zstd();
        if !compressed {
            self.frames.push(PLAIN);
            self.frames.extend_from_slice(&self.payload);
        }
        let body_len = self.frames.len() - start - frame::FRAME_HEADER_LEN;
        if body_len > MAX_BODY_LEN || self.payload.len() > MAX_RAW_LEN {
            self.frames.truncate(start);
            let bytes = body_len.max(self.payload.len()) as u64;
            return Err(WriteError::TooLarge { bytes, limit_bytes: MAX_BODY_LEN as u64 });
        }
        frame::end(&mut self.frames, start);
        Ok(())
    }

    /// Appends the payload compressed, unless that would not make it smaller.
    fn put_zstd(&mut self) -> bool {
        let Some(zstd) = &mut self.zstd else {
            return false;
        };
        let start = self.frames.len();
        self.frames.push(ZSTD);
        put_varint(&mut self.frames, self.payload.len() as u64);
        let body = self.frames.len();
        // Room for less than the payload: what does not shrink fails, and is left plain.
        self.frames.resize(body + self.payload.len() - self.payload.len() / 16, 0);
        match zstd.compress_to_buffer(&self.payload, &mut self.frames[body..]) {
            Ok(len) => {
                self.frames.truncate(body + len);
                true
            }
            Err(_) => {
                self.frames.truncate(start);
                false
            }
        }
    }
}

pub(crate) fn put_field(out: &mut Vec<u8>, field: &FieldDefinition) {
    put_varint(out, u64::from(field.id.0));
    put_bytes(out, field.measurement.as_bytes());
    put_bytes(out, field.name.as_bytes());
    out.push(field.field_type as u8);
}

pub(crate) fn take_field(reader: &mut Reader<'_>) -> Result<FieldDefinition, Malformed> {
    Ok(FieldDefinition {
        id: FieldId(reader.varint_u32()?),
        measurement: reader.str()?.into(),
        name: reader.str()?.into(),
        field_type: take_type(reader)?,
    })
}

pub(crate) fn take_type(reader: &mut Reader<'_>) -> Result<FieldType, Malformed> {
    FieldType::numbered(reader.u8()?).ok_or(Malformed("unknown field type"))
}

fn decode_series(payload: &[u8]) -> Result<Vec<SeriesDefinition>, Malformed> {
    let mut reader = Reader::new(payload);
    let count = reader.count(2)?;
    let series = (0..count)
        .map(|_| Ok(SeriesDefinition { id: SeriesId(reader.varint_u32()?), key: reader.str()?.into() }))
        .collect::<Result<_, _>>()?;
    reader.finish()?;
    Ok(series)
}

fn decode_fields(payload: &[u8]) -> Result<Vec<FieldDefinition>, Malformed> {
    let mut reader = Reader::new(payload);
    let count = reader.count(4)?;
    let fields = (0..count).map(|_| take_field(&mut reader)).collect::<Result<_, _>>()?;
    reader.finish()?;
    Ok(fields)
}

fn decode_tombstone(payload: &[u8]) -> Result<Tombstone, Malformed> {
    let mut reader = Reader::new(payload);
    let tombstone = take_tombstone(&mut reader)?;
    reader.finish()?;
    Ok(tombstone)
}

fn decode_retired(payload: &[u8]) -> Result<Retired, Malformed> {
    let mut reader = Reader::new(payload);
    let retired = take_retired(&mut reader)?;
    reader.finish()?;
    Ok(retired)
}

pub(crate) fn put_retired(out: &mut Vec<u8>, retired: &Retired) {
    put_bitmap(out, &retired.series);
    put_bitmap(out, &retired.fields);
}

pub(crate) fn take_retired(reader: &mut Reader<'_>) -> Result<Retired, Malformed> {
    Ok(Retired { series: take_bitmap(reader)?, fields: take_bitmap(reader)? })
}

fn put_rows(rows: &RowSet, out: &mut Vec<u8>, integers: &mut Vec<i64>) {
    out.extend_from_slice(&rows.version.0.to_le_bytes());
    // Groups kept from earlier batches have no rows; number only those that do.
    let mut number = vec![0u64; rows.groups().len()];
    let used = rows.groups().iter().filter(|group| group.len() > 0).count();
    put_varint(out, used as u64);
    let filled = rows.groups().iter().enumerate().filter(|(_, group)| group.len() > 0);
    for (position, (index, group)) in filled.enumerate() {
        number[index] = position as u64;
        put_group(group, out, integers);
    }
    put_varint(out, rows.runs().len() as u64);
    for run in rows.runs() {
        put_varint(out, number[run.group as usize]);
        put_varint(out, u64::from(run.rows));
    }
}

fn put_group(group: &Group, out: &mut Vec<u8>, integers: &mut Vec<i64>) {
    put_varint(out, group.layout.fields.len() as u64);
    for (field, field_type) in group.layout.fields.iter().zip(&group.layout.types) {
        put_varint(out, u64::from(field.0));
        out.push(*field_type as u8);
    }
    put_varint(out, group.len() as u64);
    let mut previous = 0;
    for series in &group.series {
        put_signed(out, i64::from(series.0) - previous);
        previous = i64::from(series.0);
    }
    let mut previous = 0i64;
    for time in &group.times {
        put_signed(out, time.wrapping_sub(previous));
        previous = *time;
    }
    for column in &group.columns {
        put_column(column, out, integers);
    }
}

fn put_column(column: &Buffer, out: &mut Vec<u8>, integers: &mut Vec<i64>) {
    match column {
        Buffer::Float(values) => match decimal::fit(values, integers) {
            Some(exponent) => {
                out.push(exponent);
                integers.iter().for_each(|integer| put_signed(out, *integer));
            }
            None => {
                out.push(FLOATS_RAW);
                values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
            }
        },
        Buffer::Integer(values) => values.iter().for_each(|value| put_signed(out, *value)),
        Buffer::Unsigned(values) => values.iter().for_each(|value| put_varint(out, *value)),
        Buffer::Boolean(values) => bits::encode(values.iter().copied(), out),
        Buffer::String(values) => values.iter().for_each(|value| put_bytes(out, value.as_bytes())),
    }
}

/// Decodes the payloads of row records; keeps layouts from one to the next.
#[derive(Debug, Default)]
pub(crate) struct RowDecoder {
    layouts: FxHashMap<Box<[FieldId]>, Arc<Layout>>,
}

impl RowDecoder {
    /// The rows of one record.
    pub(crate) fn decode(&mut self, payload: &[u8]) -> Result<RowSet, Malformed> {
        let mut reader = Reader::new(payload);
        let mut rows = RowSet::default();
        rows.version = Version(reader.u64()?);
        let groups = reader.count(4)?;
        let mut numbers = Vec::with_capacity(groups);
        for _ in 0..groups {
            let layout = self.layout(&mut reader)?;
            let (number, group) = rows.group_for(&layout);
            if group.len() > 0 {
                return Err(Malformed("two groups of a record have the same fields"));
            }
            take_group(&mut reader, group)?;
            numbers.push(number);
        }
        let runs = take_runs(&mut reader, &numbers)?;
        reader.finish()?;
        let mut left: Vec<usize> = rows.groups().iter().map(Group::len).collect();
        for run in runs {
            let left = &mut left[run.group as usize];
            *left = left.checked_sub(run.rows as usize).ok_or(Malformed("runs exceed their group"))?;
            rows.add_rows(run.group, run.rows);
        }
        if left.iter().any(|left| *left > 0) {
            return Err(Malformed("runs do not cover their group"));
        }
        rows.check();
        Ok(rows)
    }

    fn layout(&mut self, reader: &mut Reader<'_>) -> Result<Arc<Layout>, Malformed> {
        let count = reader.count(2)?;
        let mut fields = Vec::with_capacity(count);
        let mut types = Vec::with_capacity(count);
        for _ in 0..count {
            fields.push(FieldId(reader.varint_u32()?));
            types.push(take_type(reader)?);
        }
        let layout = self
            .layouts
            .entry(fields.clone().into())
            .or_insert_with(|| Arc::new(Layout { fields: fields.into(), types: types.clone().into() }));
        if *layout.types != *types {
            return Err(Malformed("a field changes its type"));
        }
        Ok(Arc::clone(layout))
    }
}

fn take_runs(reader: &mut Reader<'_>, numbers: &[u32]) -> Result<Vec<Run>, Malformed> {
    let count = reader.count(2)?;
    (0..count)
        .map(|_| {
            let group =
                *numbers.get(reader.varint()? as usize).ok_or(Malformed("run of an unknown group"))?;
            Ok(Run { group, rows: reader.varint_u32()? })
        })
        .collect()
}

fn take_group(reader: &mut Reader<'_>, group: &mut Group) -> Result<(), Malformed> {
    let rows = reader.count(2)?;
    let mut previous = 0i64;
    for _ in 0..rows {
        previous = previous.wrapping_add(reader.signed()?);
        let id = u32::try_from(previous).map_err(|_| Malformed("series number out of range"))?;
        group.series.push(SeriesId(id));
    }
    let mut previous = 0i64;
    for _ in 0..rows {
        previous = previous.wrapping_add(reader.signed()?);
        group.times.push(previous);
    }
    group.columns.iter_mut().try_for_each(|column| take_column(reader, rows, column))
}

fn take_column(reader: &mut Reader<'_>, rows: usize, column: &mut Buffer) -> Result<(), Malformed> {
    match column {
        Buffer::Float(values) => match reader.u8()? {
            FLOATS_RAW => {
                let bytes = reader.take(rows.checked_mul(8).ok_or(Malformed("ends too early"))?)?;
                let words = bytes.chunks_exact(8).map(|chunk| chunk.try_into().unwrap_or_default());
                values.extend(words.map(f64::from_le_bytes));
            }
            exponent if exponent <= decimal::MAX_EXPONENT => {
                for _ in 0..rows {
                    values.push(decimal::restore(reader.signed()?, exponent));
                }
            }
            _ => return Err(Malformed("unknown decimal exponent")),
        },
        Buffer::Integer(values) => {
            for _ in 0..rows {
                values.push(reader.signed()?);
            }
        }
        Buffer::Unsigned(values) => {
            for _ in 0..rows {
                values.push(reader.varint()?);
            }
        }
        Buffer::Boolean(values) => *values = bits::decode(reader, rows, 0..rows)?,
        Buffer::String(values) => {
            for _ in 0..rows {
                values.push(reader.str()?);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
