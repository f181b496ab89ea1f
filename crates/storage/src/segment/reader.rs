//! Reads a segment: maps the file, checks header, trailer, tables and directory once, entries and chunks each time.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use skywatch_model::{Bitmap, Column, FieldType, TimeRange, Values, Version};

use super::{
    HEADER_LEN, MAGIC, SegmentField, SegmentMeta, VERSION,
    entry::{self, BlockHead, CRC_LEN, Chunk, FieldBlock, VersionsAt},
    writer::{VERSIONS_BY_CELL, VERSIONS_BY_ROW},
};
use crate::{
    OpenError, ReadError,
    codec::{self, bits, numbers, text, times},
    fs::{FileBytes, Fs, FsError},
    merge::{Rows, Versions},
    rows::{FieldId, SeriesId},
    wal::{SeriesDefinition, take_type},
    wire::{Malformed, Reader, check_crc},
};

/// Nine numbers of 8 bytes, magic 8, CRC 4.
const TRAILER_LEN: usize = 9 * 8 + 8 + 4;
/// Series 4, length 4, offset 8.
const DIRECTORY_LEN: usize = 16;

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Segment {
    meta: SegmentMeta,
    path: PathBuf,
    bytes: FileBytes,
    measurements: Vec<Measurement>,
    directory: Range<usize>,
    keys: Range<usize>,
    fs: Arc<dyn Fs>,
    /// Set once replaced by another: the file goes with the last reader, unless the shard is closed by then, after
    /// which the name may belong to somebody else.
    obsolete: OnceLock<Arc<AtomicBool>>,
}

/// A measurement in the segment's tables.
#[derive(Debug)]
pub(crate) struct Measurement {
    pub(crate) name: Arc<str>,
    pub(crate) fields: Vec<SegmentField>,
    types: Vec<FieldType>,
    /// Its series, as positions in the directory.
    series: Range<usize>,
}

impl Drop for Segment {
    fn drop(&mut self) {
        if let Some(is_closed) = self.obsolete.get()
            && !is_closed.load(Ordering::Acquire)
            && let Err(error) = self.fs.remove_file(&self.path)
        {
            tracing::debug!(file = %self.path.display(), %error, "obsolete segment stays until the next start");
        }
    }
}

impl Segment {
    /// Opens segment `number` at `path`.
    pub(crate) fn open(fs: &Arc<dyn Fs>, path: &Path, number: u64) -> Result<Self, OpenError> {
        let bytes = fs.map(path).map_err(FsError::on("read", path))?;
        let damaged =
            |reason: Malformed| OpenError::Damaged { path: path.to_owned(), reason: reason.to_string() };
        let version = check_header(&bytes).map_err(damaged)?;
        if version > VERSION {
            return Err(OpenError::TooNew { path: path.to_owned(), found: version, supported: VERSION });
        }
        let trailer = Trailer::read(&bytes).map_err(damaged)?;
        let measurements = trailer.check(&bytes).map_err(damaged)?;
        let meta = SegmentMeta {
            number,
            size_bytes: bytes.len() as u64,
            rows: trailer.rows,
            cells: trailer.cells,
            series: trailer.series,
            range: trailer.range,
        };
        Ok(Self {
            meta,
            path: path.to_owned(),
            bytes,
            measurements,
            directory: trailer.directory,
            keys: trailer.keys,
            fs: Arc::clone(fs),
            obsolete: OnceLock::new(),
        })
    }

    pub(crate) const fn meta(&self) -> &SegmentMeta {
        &self.meta
    }

    /// Measurements, sorted by name.
    pub(crate) fn measurements(&self) -> &[Measurement] {
        &self.measurements
    }

    /// The measurement of that name.
    pub(crate) fn measurement(&self, name: &str) -> Option<&Measurement> {
        let index = self.measurements.binary_search_by(|known| (*known.name).cmp(name)).ok()?;
        self.measurements.get(index)
    }

    /// Lets the file go once nobody reads it any more, if `is_closed` is still false then.
    pub(crate) fn mark_obsolete(&self, is_closed: &Arc<AtomicBool>) {
        self.obsolete.get_or_init(|| Arc::clone(is_closed));
    }

    /// The `index`-th series of a measurement, by number.
    pub(crate) fn series_at(&self, measurement: &Measurement, index: usize) -> Option<SeriesId> {
        (index < measurement.series.len()).then(|| self.directory_record(measurement.series.start + index).0)
    }

    /// Blocks of a series in order of time, with the fields that `wanted` names; empty if it is not here.
    pub(crate) fn blocks(
        &self,
        measurement: &Measurement,
        series: SeriesId,
        wanted: &[Option<FieldId>],
    ) -> Result<Vec<BlockHead>, ReadError> {
        let (mut low, mut high) = (measurement.series.start, measurement.series.end);
        while low < high {
            let middle = low + (high - low) / 2;
            let (id, offset, len) = self.directory_record(middle);
            match id.cmp(&series) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    return self
                        .entry(measurement, offset, len, wanted)
                        .map_err(|reason| self.corrupt(offset, reason));
                }
            }
        }
        Ok(Vec::new())
    }

    fn entry(
        &self,
        measurement: &Measurement,
        offset: u64,
        len: u32,
        wanted: &[Option<FieldId>],
    ) -> Result<Vec<BlockHead>, Malformed> {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|start| self.bytes.get(start..start.checked_add(len as usize)?))
            .ok_or(Malformed("index entry lies outside the file"))?;
        let places: Vec<Option<usize>> = measurement
            .fields
            .iter()
            .map(|field| wanted.iter().position(|wanted| *wanted == Some(field.id)))
            .collect();
        entry::parse(check_crc(bytes)?, &measurement.types, &places, wanted.len())
    }

    /// The directory was checked when the file was opened, so a record is always there.
    fn directory_record(&self, index: usize) -> (SeriesId, u64, u32) {
        let start = self.directory.start + index * DIRECTORY_LEN;
        let mut reader = Reader::new(self.bytes.get(start..start + DIRECTORY_LEN).unwrap_or(&[]));
        let (id, len, offset) = (
            reader.u32().unwrap_or_default(),
            reader.u32().unwrap_or_default(),
            reader.u64().unwrap_or_default(),
        );
        (SeriesId(id), offset, len)
    }

    /// The rows of a block, those without a wanted value included. Versions are read only if asked for.
    pub(crate) fn decode(&self, block: &BlockHead, with_versions: bool) -> Result<Rows, ReadError> {
        let times = self.times(block)?;
        let mut columns = Vec::with_capacity(block.fields.len());
        for field in &block.fields {
            columns.push(field.as_ref().map(|field| self.column(block, field)).transpose()?);
        }
        let versions = if with_versions { self.versions(block)? } else { Versions::SETTLED };
        Ok(Rows { times, columns, versions })
    }

    fn times(&self, block: &BlockHead) -> Result<Vec<i64>, ReadError> {
        let TimeRange { start, end } = block.range;
        match block.times {
            None => {
                let step = entry::time_unit(block.rows, block.range, true);
                Ok((0..block.rows as u64).map(|row| start.wrapping_add_unsigned(row * step)).collect())
            }
            Some(chunk) => self.chunk(chunk, |bytes| {
                let mut reader = Reader::new(bytes);
                let times = times::decode(&mut reader, block.rows, start, end)?;
                reader.finish()?;
                Ok(times)
            }),
        }
    }

    fn column(&self, block: &BlockHead, field: &FieldBlock) -> Result<Column, ReadError> {
        self.chunk(field.chunk, |bytes| {
            let mut reader = Reader::new(bytes);
            if field.count == block.rows {
                let values = codec::decode(field.field_type, field.count, bytes)?;
                return Ok(Column { values, valid: None });
            }
            let valid = bits::decode_bitmap(&mut reader, block.rows)?;
            if valid.count_set() != field.count {
                return Err(Malformed("validity and count disagree"));
            }
            let rest = reader.take(reader.remaining())?;
            let dense = codec::decode(field.field_type, field.count, rest)?;
            Ok(Column { values: spread(&dense, &valid), valid: Some(valid) })
        })
    }

    fn versions(&self, block: &BlockHead) -> Result<Versions, ReadError> {
        match block.versions {
            VersionsAt::Settled => Ok(Versions::SETTLED),
            VersionsAt::Uniform(version) => Ok(Versions::Uniform(version)),
            VersionsAt::Chunk(chunk) => self.chunk(chunk, |bytes| take_versions(bytes, block)),
        }
    }

    /// Decodes a chunk after checking it.
    fn chunk<T>(
        &self,
        chunk: Chunk,
        decode: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, ReadError> {
        let bytes = || -> Option<&[u8]> {
            let start = usize::try_from(chunk.offset).ok()?;
            let len = usize::try_from(chunk.len.checked_add(CRC_LEN)?).ok()?;
            self.bytes.get(start..start.checked_add(len)?)
        };
        bytes()
            .ok_or(Malformed("lies outside the file"))
            .and_then(check_crc)
            .and_then(decode)
            .map_err(|reason| self.corrupt(chunk.offset, reason))
    }

    fn corrupt(&self, offset: u64, reason: Malformed) -> ReadError {
        ReadError::Corrupt { file: self.path.display().to_string(), offset, reason: reason.to_string() }
    }

    /// Every series with its key, for rebuilding a lost index.
    pub(crate) fn keys(&self) -> Result<Vec<SeriesDefinition>, ReadError> {
        let mut series = Vec::with_capacity(self.meta.series as usize);
        let mut offset = self.keys.start;
        while offset < self.keys.end {
            let page = self.key_page(offset).map_err(|reason| self.corrupt(offset as u64, reason))?;
            let mut reader = Reader::new(&page.1);
            while reader.remaining() > 0 {
                let key = reader.str().map_err(|reason| self.corrupt(offset as u64, reason))?;
                if series.len() as u64 >= self.meta.series {
                    return Err(self.corrupt(offset as u64, Malformed("more keys than series")));
                }
                series.push(SeriesDefinition { id: self.directory_record(series.len()).0, key: key.into() });
            }
            offset = page.0;
        }
        if series.len() as u64 == self.meta.series {
            Ok(series)
        } else {
            Err(self.corrupt(offset as u64, Malformed("fewer keys than series")))
        }
    }

    /// Where the next page begins, and the keys of the one at `offset`.
    fn key_page(&self, offset: usize) -> Result<(usize, Vec<u8>), Malformed> {
        let mut reader = Reader::new(&self.bytes[offset..self.keys.end]);
        let len = reader.u32()? as usize;
        reader.take(len)?;
        reader.take(CRC_LEN as usize)?;
        let end = self.keys.end - reader.remaining();
        let page = check_crc(&self.bytes[offset..end])?;
        Ok((end, text::take_compressed(&mut Reader::new(&page[4..]))?))
    }

    /// Reads and checks everything there is.
    #[cfg(test)]
    pub(crate) fn verify(&self) -> Result<(), ReadError> {
        self.keys()?;
        for measurement in &self.measurements {
            let all: Vec<_> = measurement.fields.iter().map(|field| Some(field.id)).collect();
            for index in 0..measurement.series.len() {
                let Some(series) = self.series_at(measurement, index) else { continue };
                for block in self.blocks(measurement, series, &all)? {
                    self.decode(&block, true)?;
                }
            }
        }
        Ok(())
    }
}

fn check_header(bytes: &[u8]) -> Result<u32, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut header = Reader::new(check_crc(reader.take(HEADER_LEN)?)?);
    if header.array()? != MAGIC {
        return Err(Malformed("no segment file"));
    }
    header.u32()
}

struct Trailer {
    directory: Range<usize>,
    tables: Range<usize>,
    keys: Range<usize>,
    series: u64,
    rows: u64,
    cells: u64,
    range: TimeRange,
}

impl Trailer {
    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let at = bytes.len().checked_sub(TRAILER_LEN).ok_or(Malformed("too short for a trailer"))?;
        let mut reader = Reader::new(check_crc(&bytes[at..])?);
        let mut numbers = [0u64; 9];
        for number in &mut numbers {
            *number = reader.u64()?;
        }
        if reader.array()? != MAGIC {
            return Err(Malformed("trailer of another file"));
        }
        let [directory, tables, keys, trailer, series, rows, cells, start, end] = numbers;
        let in_order =
            HEADER_LEN as u64 <= directory && directory <= tables && tables <= keys && keys <= trailer;
        if !in_order || trailer != at as u64 {
            return Err(Malformed("sections are out of order"));
        }
        let section = |from: u64, to: u64| from as usize..to as usize;
        Ok(Self {
            directory: section(directory, tables),
            tables: section(tables, keys),
            keys: section(keys, trailer),
            series,
            rows,
            cells,
            range: TimeRange::new(start as i64, end as i64),
        })
    }

    /// Checks directory and tables; returns the latter.
    fn check(&self, bytes: &[u8]) -> Result<Vec<Measurement>, Malformed> {
        let directory = check_crc(&bytes[self.directory.clone()])?;
        if (directory.len() / DIRECTORY_LEN) as u64 != self.series || directory.len() % DIRECTORY_LEN != 0 {
            return Err(Malformed("directory has another length"));
        }
        let tables = text::take_compressed(&mut Reader::new(check_crc(&bytes[self.tables.clone()])?))?;
        let mut reader = Reader::new(&tables);
        let mut measurements: Vec<Measurement> = Vec::new();
        for _ in 0..reader.count(3)? {
            let measurement = take_measurement(&mut reader, self.series)?;
            if let Some(last) = measurements.last_mut() {
                if last.name >= measurement.name || last.series.start > measurement.series.start {
                    return Err(Malformed("measurements are out of order"));
                }
                last.series.end = measurement.series.start;
            }
            measurements.push(measurement);
        }
        reader.finish()?;
        Ok(measurements)
    }
}

/// Reads a measurement as if it were the last one.
fn take_measurement(reader: &mut Reader<'_>, series: u64) -> Result<Measurement, Malformed> {
    let name = Arc::from(reader.str()?);
    let first = reader.varint()?;
    if first > series {
        return Err(Malformed("series of a measurement lie outside the directory"));
    }
    let mut fields = Vec::new();
    for _ in 0..reader.count(3)? {
        let id = FieldId(reader.varint_u32()?);
        fields.push(SegmentField { id, name: reader.str()?.into(), field_type: take_type(reader)? });
    }
    let types = fields.iter().map(|field| field.field_type).collect();
    Ok(Measurement { name, fields, types, series: first as usize..series as usize })
}

fn take_versions(bytes: &[u8], block: &BlockHead) -> Result<Versions, Malformed> {
    let mut reader = Reader::new(bytes);
    let decode = |bytes: &[u8]| -> Result<Vec<Version>, Malformed> {
        let mut reader = Reader::new(bytes);
        let numbers = numbers::decode::<u64>(&mut reader, block.rows)?;
        reader.finish()?;
        Ok(numbers.into_iter().map(Version).collect())
    };
    match reader.u8()? {
        VERSIONS_BY_ROW => decode(reader.take(reader.remaining())?).map(Versions::Rows),
        VERSIONS_BY_CELL => {
            let mut by_position = Vec::new();
            while reader.remaining() > 0 {
                by_position.push(decode(reader.bytes()?)?);
            }
            let of_field = |field: &Option<FieldBlock>| match field {
                None => Ok(Vec::new()),
                Some(field) => {
                    by_position.get(field.position).cloned().ok_or(Malformed("field without versions"))
                }
            };
            block.fields.iter().map(of_field).collect::<Result<_, _>>().map(Versions::Cells)
        }
        _ => Err(Malformed("unknown kind of versions")),
    }
}

/// Dense values to the rows that have one.
fn spread(dense: &Values, valid: &Bitmap) -> Values {
    macro_rules! spread {
        ($variant:ident, $values:expr) => {{
            let mut next = $values.iter();
            let row = |row| {
                if valid.get(row) { next.next().cloned().unwrap_or_default() } else { Default::default() }
            };
            Values::$variant((0..valid.len()).map(row).collect())
        }};
    }
    match dense {
        Values::Float(values) => spread!(Float, values),
        Values::Integer(values) => spread!(Integer, values),
        Values::Unsigned(values) => spread!(Unsigned, values),
        Values::String(values) => spread!(String, values),
        Values::Boolean(values) => spread!(Boolean, values),
    }
}
