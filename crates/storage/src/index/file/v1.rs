//! Files of version 1: compressed blocks of keys and postings. Read whole; their series are written anew, in today's
//! format, by the next flush of the index.

use super::{IndexFileError, IndexFileMeta, MAGIC};
use crate::{
    codec::text::take_compressed,
    index::Bounds,
    rows::SeriesId,
    wal::{FieldDefinition, SeriesDefinition, take_field},
    wire::{Malformed, Reader, check_crc},
};

/// magic 8, version 4, blocks 4, from series 4, to series 4, from field 4, to field 4, CRC 4.
const HEADER_LEN: usize = 36;

/// What a file defines.
#[derive(Debug, Default)]
pub(in crate::index) struct Definitions {
    pub(in crate::index) range: IndexFileMeta,
    pub(in crate::index) series: Vec<SeriesDefinition>,
    pub(in crate::index) fields: Vec<FieldDefinition>,
}

pub(super) fn decode(bytes: &[u8]) -> Result<Definitions, IndexFileError> {
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
    let [_, blocks, from_series, to_series, from_fields, to_fields] = numbers;
    let mut definitions = Definitions::default();
    for _ in 0..blocks {
        let at = bytes.len() - reader.remaining();
        take_block(&mut reader, bytes, at, &mut definitions).map_err(damaged(at))?;
    }
    reader.finish().map_err(damaged(bytes.len() - reader.remaining()))?;
    definitions.range = IndexFileMeta {
        from: Bounds { series: from_series, fields: from_fields },
        to: Bounds { series: to_series, fields: to_fields },
    };
    Ok(definitions)
}

fn take_block(
    reader: &mut Reader<'_>,
    bytes: &[u8],
    at: usize,
    definitions: &mut Definitions,
) -> Result<(), Malformed> {
    let len = reader.u32()? as usize;
    reader.take(len)?;
    reader.take(4)?;
    let block = check_crc(&bytes[at..at + len + 8])?;
    let body = take_compressed(&mut Reader::new(&block[4..]))?;
    let mut body = Reader::new(&body);
    for _ in 0..body.count(4)? {
        definitions.fields.push(take_field(&mut body)?);
    }
    for _ in 0..body.count(4)? {
        take_measurement(&mut body, definitions)?;
    }
    body.finish()
}

fn take_measurement(body: &mut Reader<'_>, definitions: &mut Definitions) -> Result<(), Malformed> {
    body.str()?;
    let mut id = 0u32;
    for _ in 0..body.count(2)? {
        id = id.checked_add(body.varint_u32()?).ok_or(Malformed("series number exceeds 32 bits"))?;
        definitions.series.push(SeriesDefinition { id: SeriesId(id), key: body.str()?.into() });
    }
    // The postings say nothing that the keys do not.
    for _ in 0..body.count(2)? {
        body.str()?;
        for _ in 0..body.count(2)? {
            body.str()?;
            match body.count(1)? {
                0 => drop(body.varint_u32()?),
                len => drop(body.take(len)?),
            }
        }
    }
    Ok(())
}
