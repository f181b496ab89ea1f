//! Cells with their versions, as they travel from one owner of a shard to another. Layout in `docs/formats/cells.md`.
//!
//! A batch says what won at its source; taken in elsewhere, any number of times and among whatever else is there, it
//! changes nothing that is not older. Deletes travel as [`Deletion`]s, before cells: what they cover is not sent at all.

use std::sync::Arc;

use skywatch_model::{Bitmap, Column, FieldType, TimeRange, Values, Version};

use crate::{
    Rule,
    codec::{self, bits, numbers, text, times},
    merge::{Rows, Versions, gather},
    segment::BLOCK_ROWS,
    wal::take_type,
    wire::{Malformed, Reader, check_crc, put_bytes, put_crc, put_signed, put_varint},
};

const FORMAT: u8 = 1;

const UNIFORM: u8 = 0;
const BY_ROW: u8 = 1;
const BY_CELL: u8 = 2;

/// A delete that a shard remembers.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// Of which series.
    pub rule: Rule,
    /// Of which times.
    pub range: TimeRange,
    /// Cells of lower versions are deleted.
    pub version: Version,
}

impl Deletion {
    /// Appends what [`Self::decode`] reads.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.version.0);
        put_signed(out, self.range.start);
        put_signed(out, self.range.end);
        self.rule.encode(out);
    }

    /// Reads a delete.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let version = Version(reader.varint()?);
        let range = TimeRange::new(reader.signed()?, reader.signed()?);
        Ok(Self { rule: Rule::decode(reader)?, range, version })
    }
}

/// Where an export goes on: after this time of this series.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cursor {
    /// Its key.
    pub series: String,
    /// The latest time that has been sent of it.
    pub time: i64,
}

/// Rows of one series, at most [`BLOCK_ROWS`] and at least one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    pub(crate) key: Arc<str>,
    /// Of the columns, each of which is there.
    pub(crate) fields: Vec<(Arc<str>, FieldType)>,
    /// Times ascend strictly.
    pub(crate) rows: Rows,
}

/// See the module's header.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CellBatch {
    pub(crate) pieces: Vec<Piece>,
}

impl CellBatch {
    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// How many cells it has.
    pub fn cells(&self) -> u64 {
        let cells =
            |piece: &Piece| piece.rows.columns.iter().flatten().map(Column::count_values).sum::<usize>();
        self.pieces.iter().map(cells).sum::<usize>() as u64
    }

    /// The greatest version of its cells.
    pub fn latest_version(&self) -> Version {
        let latest = |piece: &Piece| match &piece.rows.versions {
            Versions::Uniform(version) => *version,
            Versions::Rows(versions) => versions.iter().copied().max().unwrap_or_default(),
            Versions::Cells(columns) => columns.iter().flatten().copied().max().unwrap_or_default(),
        };
        self.pieces.iter().map(latest).max().unwrap_or_default()
    }

    /// Appends what [`Self::decode`] reads.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(FORMAT);
        let mut payload = Vec::new();
        put_varint(&mut payload, self.pieces.len() as u64);
        self.pieces.iter().for_each(|piece| put_piece(piece, &mut payload));
        text::put_compressed(&payload, out);
        put_crc(out, start);
    }

    /// Reads a batch.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(check_crc(bytes)?);
        if reader.u8()? != FORMAT {
            return Err(Malformed("cells of a later release"));
        }
        let payload = text::take_compressed(&mut reader)?;
        let mut reader = Reader::new(&payload);
        let pieces = (0..reader.count(8)?).map(|_| take_piece(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { pieces })
    }
}

fn put_piece(piece: &Piece, out: &mut Vec<u8>) {
    let Piece { key, fields, rows } = piece;
    put_bytes(out, key.as_bytes());
    put_times(&rows.times, out);
    put_varint(out, fields.len() as u64);
    for ((name, kind), column) in fields.iter().zip(&rows.columns) {
        put_bytes(out, name.as_bytes());
        out.push(*kind as u8);
        put_nested(out, |out| put_column(column.as_ref(), rows.times.len(), out));
    }
    let put = |versions: &[Version], out: &mut Vec<u8>| {
        put_nested(out, |out| numbers::encode(&versions.iter().map(|it| it.0).collect::<Vec<_>>(), out));
    };
    match &rows.versions {
        Versions::Uniform(version) => {
            out.push(UNIFORM);
            put_varint(out, version.0);
        }
        Versions::Rows(versions) => {
            out.push(BY_ROW);
            put(versions, out);
        }
        Versions::Cells(columns) => {
            out.push(BY_CELL);
            columns.iter().for_each(|versions| put(versions, out));
        }
    }
}

fn take_piece(reader: &mut Reader<'_>) -> Result<Piece, Malformed> {
    let key = reader.str()?.into();
    let times = take_times(reader)?;
    let rows = times.len();
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for _ in 0..reader.count(3)? {
        let name: Arc<str> = reader.str()?.into();
        let kind = take_type(reader)?;
        columns.push(Some(take_column(kind, rows, reader.bytes()?)?));
        fields.push((name, kind));
    }
    let take = |reader: &mut Reader<'_>| -> Result<Vec<Version>, Malformed> {
        let mut reader = Reader::new(reader.bytes()?);
        let versions = numbers::decode::<u64>(&mut reader, rows, 0..rows)?;
        reader.finish()?;
        Ok(versions.into_iter().map(Version).collect())
    };
    let versions = match reader.u8()? {
        UNIFORM => Versions::Uniform(Version(reader.varint()?)),
        BY_ROW => Versions::Rows(take(reader)?),
        BY_CELL => Versions::Cells(fields.iter().map(|_| take(reader)).collect::<Result<_, _>>()?),
        _ => return Err(Malformed("unknown kind of versions")),
    };
    Ok(Piece { key, fields, rows: Rows { times, columns, versions } })
}

/// Appends the length of what `put` appends, and that.
fn put_nested(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = Vec::new();
    put(&mut bytes);
    put_bytes(out, &bytes);
}

fn put_times(times: &[i64], out: &mut Vec<u8>) {
    let (first, last) = (times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(0));
    put_varint(out, times.len() as u64);
    put_signed(out, first);
    put_varint(out, last.abs_diff(first));
    put_nested(out, |out| {
        if times::regular_step(times).is_none() {
            times::encode(times, out);
        }
    });
}

fn take_times(reader: &mut Reader<'_>) -> Result<Vec<i64>, Malformed> {
    let rows = reader.varint()? as usize;
    if !(1..=BLOCK_ROWS).contains(&rows) {
        return Err(Malformed("piece without rows, or with too many"));
    }
    let first = reader.signed()?;
    let span = reader.varint()?;
    let last = first.checked_add_unsigned(span).ok_or(Malformed("time overflows"))?;
    let mut bytes = Reader::new(reader.bytes()?);
    if bytes.remaining() > 0 {
        let times = times::decode(&mut bytes, rows, first, last)?;
        bytes.finish()?;
        return Ok(times);
    }
    let steps = rows as u64 - 1;
    let step = span.checked_div(steps).unwrap_or(0);
    if step * steps != span || (step == 0 && rows > 1) {
        return Err(Malformed("times are not regular"));
    }
    Ok((0..rows as u64).map(|row| first.wrapping_add_unsigned(row * step)).collect())
}

/// Validity (a byte: 0 if all rows have a value, else 1 and a bit for each row), then the values there are.
fn put_column(column: Option<&Column>, rows: usize, out: &mut Vec<u8>) {
    let Some(column) = column else {
        out.push(1);
        return bits::encode_bitmap(&Bitmap::filled(rows, false), out);
    };
    match &column.valid {
        None => {
            out.push(0);
            codec::encode(&column.values, out);
        }
        Some(valid) => {
            out.push(1);
            bits::encode_bitmap(valid, out);
            let picks: Vec<_> = (0..rows).filter(|row| valid.get(*row)).map(|row| Some((0, row))).collect();
            if let Some(dense) = gather(&[Some(column)], picks.into_iter()) {
                codec::encode(&dense.values, out);
            }
        }
    }
}

fn take_column(kind: FieldType, rows: usize, bytes: &[u8]) -> Result<Column, Malformed> {
    let mut reader = Reader::new(bytes);
    match reader.u8()? {
        0 => {
            let values = codec::decode(kind, rows, 0..rows, reader.take(reader.remaining())?)?;
            Ok(Column { values, valid: None })
        }
        1 => {
            let valid = bits::decode_bitmap(&mut reader, rows)?;
            let count = valid.count_set();
            let dense = match count {
                0 => Values::empty(kind),
                _ => codec::decode(kind, count, 0..count, reader.take(reader.remaining())?)?,
            };
            reader.finish()?;
            let mut next = 0..count;
            let picks: Vec<_> = (0..rows)
                .map(|row| if valid.get(row) { next.next().map(|at| (0, at)) } else { None })
                .collect();
            let dense = Column { values: dense, valid: None };
            // Without a value the column has no place in a piece.
            gather(&[Some(&dense)], picks.into_iter()).ok_or(Malformed("column without a value"))
        }
        _ => Err(Malformed("unknown kind of column")),
    }
}

#[cfg(test)]
mod tests;
