//! The places of an index file's parts, read and checked when it is opened: header, trailer, checksums, catalog.

use std::{ops::Range, sync::Arc};

use super::super::{CHECKED_LEN, HEADER_LEN, IndexFileError, IndexFileMeta, MAGIC, TRAILER_LEN, VERSION};
use crate::{
    fs::FileBytes,
    index::{Bounds, sketch::SeriesSketch},
    wal::{FieldDefinition, take_field},
    wire::{Malformed, Reader, check_crc},
};

/// Bytes checked between two calls that let memory go.
const FORGET_EVERY: usize = 16 * CHECKED_LEN;

#[derive(Debug)]
pub(super) struct FileMeasurement {
    pub(super) name: Arc<str>,
    pub(super) tags: Vec<FileTag>,
    pub(super) tables: Vec<FileTable>,
}

#[derive(Debug)]
pub(super) struct FileTag {
    pub(super) key: Arc<str>,
    pub(super) values: u32,
    pub(super) bitmaps_at: usize,
    pub(super) references_at: usize,
    pub(super) texts_at: usize,
    pub(super) ends_at: usize,
    pub(super) is_plain: bool,
}

#[derive(Debug)]
pub(super) struct FileTable {
    pub(super) tags: Box<[u32]>,
    pub(super) widths: Box<[usize]>,
    pub(super) first_slot: u32,
    pub(super) rows: u32,
    pub(super) series: Range<usize>,
    pub(super) rows_at: usize,
    /// Of a row: that of the number and those of the values.
    pub(super) width: usize,
    /// Whether rows are in the order of their keys.
    pub(super) is_plain: bool,
}

/// Bytes that hold any number below `values`.
pub(in crate::index::file) const fn value_width(values: u32) -> usize {
    match values {
        0..=1 => 0,
        2..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        0x1_0001..=0x100_0000 => 3,
        _ => 4,
    }
}

/// The version that the header names; of one that this release does not know the header's checksum is checked.
pub(in crate::index::file) fn version_of(bytes: &[u8]) -> Result<u32, IndexFileError> {
    let mut reader = Reader::new(bytes);
    let mut read = || {
        if reader.array()? != MAGIC {
            return Err(Malformed("no index file"));
        }
        let version = reader.u32()?;
        if version > VERSION {
            check_crc(bytes.get(..HEADER_LEN).ok_or(Malformed("too short for a header"))?)?;
        }
        Ok(version)
    };
    read().map_err(|reason| IndexFileError::Damaged { offset: 0, reason })
}

pub(super) struct Trailer {
    /// Slots, fingerprints, buckets, catalog, checksums, trailer.
    pub(super) places: [usize; 6],
    pub(super) series: u32,
    pub(super) bucket_bits: u32,
    pub(super) checksums: Vec<u32>,
}

impl Trailer {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let at = bytes.len().checked_sub(TRAILER_LEN).ok_or(Malformed("too short for a trailer"))?;
        let mut reader = Reader::new(&bytes[at..]);
        let mut places = [0; 6];
        for place in &mut places {
            *place = usize::try_from(reader.u64()?).map_err(|_| Malformed("sections are out of order"))?;
        }
        if !places.is_sorted() || places[0] < HEADER_LEN || places[5] != at {
            return Err(Malformed("sections are out of order"));
        }
        // The checksums are under that of the trailer.
        let mut checked = Reader::new(check_crc(&bytes[places[4]..])?);
        let count = places[4].div_ceil(CHECKED_LEN);
        if (at - places[4]) != count * 4 {
            return Err(Malformed("checksums are not as many as the blocks"));
        }
        let checksums = (0..count).map(|_| checked.u32()).collect::<Result<_, _>>()?;
        let (series, bucket_bits) = (reader.u32()?, reader.u32()?);
        if reader.array()? != MAGIC {
            return Err(Malformed("trailer of another file"));
        }
        Ok(Self { places, series, bucket_bits, checksums })
    }
}

/// An error is the offset of the block that differs.
pub(super) fn check_blocks(bytes: &FileBytes, trailer: &Trailer) -> Result<(), usize> {
    let checked = &bytes[..trailer.places[4]];
    for (number, (block, checksum)) in checked.chunks(CHECKED_LEN).zip(&trailer.checksums).enumerate() {
        let at = number * CHECKED_LEN;
        if crc32c::crc32c(block) != *checksum {
            return Err(at);
        }
        if (at + CHECKED_LEN).is_multiple_of(FORGET_EVERY) {
            bytes.forget(at + CHECKED_LEN - FORGET_EVERY..at + CHECKED_LEN);
        }
    }
    Ok(())
}

pub(super) fn read_header(header: &[u8]) -> Result<(u64, IndexFileMeta), Malformed> {
    let mut reader = Reader::new(check_crc(header)?);
    if reader.array()? != MAGIC || reader.u32()? != VERSION {
        return Err(Malformed("no index file of this version"));
    }
    let seed = reader.u64()?;
    let (from_series, to_series) = (reader.u32()?, reader.u32()?);
    let (from_fields, to_fields) = (reader.u32()?, reader.u32()?);
    let from = Bounds { series: from_series, fields: from_fields };
    Ok((seed, IndexFileMeta { from, to: Bounds { series: to_series, fields: to_fields } }))
}

/// Reads the beginning of the catalog.
pub(super) fn skip_sketch_and_fields(
    reader: &mut Reader<'_>,
    mut each: impl FnMut(Option<&SeriesSketch>, Option<FieldDefinition>),
) -> Result<(), Malformed> {
    let sketch = SeriesSketch::from_bytes(reader.take(SeriesSketch::LEN)?);
    each(Some(&sketch.ok_or(Malformed("impossible sketch"))?), None);
    for _ in 0..reader.count(4)? {
        each(None, Some(take_field(reader)?));
    }
    Ok(())
}

fn take_place(reader: &mut Reader<'_>) -> Result<usize, Malformed> {
    usize::try_from(reader.varint()?).map_err(|_| Malformed("a place beyond memory"))
}

pub(super) fn take_measurement(reader: &mut Reader<'_>) -> Result<FileMeasurement, Malformed> {
    let name = reader.str()?.into();
    let mut tags = Vec::new();
    for _ in 0..reader.count(7)? {
        tags.push(FileTag {
            key: reader.str()?.into(),
            values: reader.varint_u32()?,
            bitmaps_at: take_place(reader)?,
            references_at: take_place(reader)?,
            texts_at: take_place(reader)?,
            ends_at: take_place(reader)?,
            is_plain: reader.u8()? != 0,
        });
    }
    let mut tables = Vec::new();
    for _ in 0..reader.count(5)? {
        tables.push(take_table(reader, &tags)?);
    }
    Ok(FileMeasurement { name, tags, tables })
}

fn take_table(reader: &mut Reader<'_>, known: &[FileTag]) -> Result<FileTable, Malformed> {
    let count = reader.count(1)?;
    let tags: Box<[u32]> = (0..count).map(|_| reader.varint_u32()).collect::<Result<_, _>>()?;
    let mut widths = Vec::with_capacity(tags.len());
    let mut is_plain = true;
    for tag in &tags {
        let tag = known.get(*tag as usize).ok_or(Malformed("a table of unknown tags"))?;
        widths.push(value_width(tag.values));
        is_plain &= tag.is_plain;
    }
    let (first_slot, rows) = (reader.varint_u32()?, reader.varint_u32()?);
    let series_at = take_place(reader)?;
    let rows_at = series_at.saturating_add(take_place(reader)?);
    let width = 4 + widths.iter().sum::<usize>();
    let (widths, series) = (widths.into(), series_at..rows_at);
    Ok(FileTable { tags, widths, first_slot, rows, series, rows_at, width, is_plain })
}
