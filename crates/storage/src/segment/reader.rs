//! Reads a segment: maps the file, checks header, trailer, tables and directory once, entries and chunks each time.

use std::{
    ops::{Range, RangeInclusive},
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use skywatch_model::{Bitmap, Column, FieldType, TimeRange, Values, Version};

use super::{
    HEADER_LEN, MAGIC, SegmentField, SegmentMeta, VERSION,
    entry::{self, BlockHead, CRC_LEN, Chunk, Entry, FieldBlock, VersionsAt, Wanted},
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
    /// Of its format.
    version: u32,
    bytes: FileBytes,
    measurements: Vec<Measurement>,
    directory: Range<usize>,
    keys: Range<usize>,
    fs: Arc<dyn Fs>,
    /// Set once replaced by another: the file goes with the last reader, unless the shard is closed by then, after
    /// which the name may belong to somebody else.
    obsolete: OnceLock<Arc<AtomicBool>>,
    is_damaged: AtomicBool,
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
        // 16 bytes a series have been read; which of them are needed again, queries will tell.
        bytes.expect_random(trailer.directory.clone());
        bytes.forget(0..bytes.len());
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
            version,
            bytes,
            measurements,
            directory: trailer.directory,
            keys: trailer.keys,
            fs: Arc::clone(fs),
            obsolete: OnceLock::new(),
            is_damaged: AtomicBool::new(false),
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

    /// Prepares to read these fields of a measurement; `None` if it is not here.
    pub(crate) fn columns(&self, measurement: &str, fields: &[Option<FieldId>]) -> Option<Columns<'_>> {
        let measurement = self.measurement(measurement)?;
        let place = |field: &SegmentField| fields.iter().position(|wanted| *wanted == Some(field.id));
        let places = measurement.fields.iter().map(place).collect();
        let Range { start, end } = measurement.series;
        let last = end.checked_sub(1).filter(|last| *last >= start)?;
        let ids = self.directory_record(start).0.0..=self.directory_record(last).0.0;
        Some(Columns { segment: self, measurement, places, width: fields.len(), ids })
    }

    /// An index entry without its checksum.
    fn entry(&self, offset: u64, len: u32) -> Result<&[u8], Malformed> {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|start| self.bytes.get(start..start.checked_add(len as usize)?))
            .ok_or(Malformed("index entry lies outside the file"))?;
        check_crc(bytes)
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

    /// The rows of a block that lie inside `range`, those without a wanted value included. Versions are read only if
    /// asked for.
    pub(crate) fn decode(
        &self,
        block: &BlockHead<'_>,
        range: TimeRange,
        with_versions: bool,
    ) -> Result<Rows, ReadError> {
        let (times, rows) = self.times(block, range)?;
        let mut columns = Vec::with_capacity(block.fields.len());
        for field in &block.fields {
            let column = field.as_ref().map(|field| self.column(block, field, &rows)).transpose()?;
            columns.push(column.flatten());
        }
        let versions = if with_versions { self.versions(block)?.slice(&rows) } else { Versions::SETTLED };
        Ok(Rows { times, columns, versions })
    }

    /// The times inside `range`, and which rows of the block these are.
    fn times(&self, block: &BlockHead<'_>, range: TimeRange) -> Result<(Vec<i64>, Range<usize>), ReadError> {
        let TimeRange { start, end } = block.range;
        let Some(chunk) = block.times else {
            let step = entry::time_unit(block.rows, block.range, true);
            let time = |row: usize| start.wrapping_add_unsigned(row as u64 * step);
            let rows = rows_inside(block.rows, range, time);
            return Ok((rows.clone().map(time).collect(), rows));
        };
        let mut times = self.chunk(chunk, |bytes| {
            let mut reader = Reader::new(bytes);
            let times = times::decode(&mut reader, block.rows, start, end)?;
            reader.finish()?;
            Ok(times)
        })?;
        let rows = rows_inside(block.rows, range, |row| times[row]);
        times.truncate(rows.end);
        times.drain(..rows.start);
        Ok((times, rows))
    }

    /// The values of these rows; `None` if there are none.
    fn column(
        &self,
        block: &BlockHead<'_>,
        field: &FieldBlock<'_>,
        rows: &Range<usize>,
    ) -> Result<Option<Column>, ReadError> {
        let count = field.cell.count;
        self.chunk(field.cell.chunk, |bytes| {
            if count == block.rows {
                let values = codec::decode(field.field_type, count, rows.clone(), bytes)?;
                return Ok((!rows.is_empty()).then_some(Column { values, valid: None }));
            }
            let mut reader = Reader::new(bytes);
            let valid = bits::decode_bitmap(&mut reader, block.rows)?;
            if valid.count_set() != count {
                return Err(Malformed("validity and count disagree"));
            }
            let set_in = |rows: Range<usize>| rows.filter(|row| valid.get(*row)).count();
            let before = set_in(0..rows.start);
            let dense = before..before + set_in(rows.clone());
            if dense.is_empty() {
                return Ok(None);
            }
            let rest = reader.take(reader.remaining())?;
            let values = codec::decode(field.field_type, count, dense.clone(), rest)?;
            if dense.len() == rows.len() {
                return Ok(Some(Column { values, valid: None }));
            }
            let valid = if rows.len() == block.rows { valid } else { slice_bitmap(&valid, rows) };
            Ok(Some(Column { values: spread(&values, &valid), valid: Some(valid) }))
        })
    }

    fn versions(&self, block: &BlockHead<'_>) -> Result<Versions, ReadError> {
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
        self.bytes_of(chunk)
            .and_then(check_crc)
            .and_then(decode)
            .map_err(|reason| self.corrupt(chunk.offset, reason))
    }

    /// A chunk as it is, with its checksum, which is right.
    pub(super) fn whole_chunk(&self, chunk: Chunk) -> Result<&[u8], ReadError> {
        let bytes = self.bytes_of(chunk).and_then(|bytes| check_crc(bytes).map(|_| bytes));
        bytes.map_err(|reason| self.corrupt(chunk.offset, reason))
    }

    fn bytes_of(&self, chunk: Chunk) -> Result<&[u8], Malformed> {
        let bytes = || -> Option<&[u8]> {
            let start = usize::try_from(chunk.offset).ok()?;
            let len = usize::try_from(chunk.len.checked_add(CRC_LEN)?).ok()?;
            self.bytes.get(start..start.checked_add(len)?)
        };
        bytes().ok_or(Malformed("lies outside the file"))
    }

    /// Whether something in it turned out damaged. What is not is still read: every read checks what it uses.
    pub(crate) fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    /// The one place where damage is found: says so once, and keeps the file from being merged with others.
    fn corrupt(&self, offset: u64, reason: Malformed) -> ReadError {
        if !self.is_damaged.swap(true, Ordering::Relaxed) {
            tracing::error!(
                file = %self.path.display(), offset, %reason,
                "a segment is damaged; queries that need the damaged part will fail, and it is not compacted"
            );
        }
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

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Version of the file's format.
    pub(super) fn format_version(&self) -> u32 {
        check_header(&self.bytes).unwrap_or_default()
    }

    /// How many series a measurement has here.
    pub(super) const fn series_of(&self, measurement: &Measurement) -> usize {
        measurement.series.end - measurement.series.start
    }
}

/// Some fields of one measurement of a segment, looked up once.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    pub(crate) segment: &'a Segment,
    measurement: &'a Measurement,
    /// Place of each of the measurement's fields among the wanted ones.
    places: Box<[Option<usize>]>,
    width: usize,
    /// First and last series.
    ids: RangeInclusive<u32>,
}

impl<'a> Columns<'a> {
    /// Whether a wanted field is among them.
    pub(crate) fn has_wanted_fields(&self) -> bool {
        self.places.iter().any(Option::is_some)
    }

    /// Appends the blocks of a series that have a wanted field and overlap `range`, in order of time.
    pub(crate) fn blocks(
        &self,
        series: SeriesId,
        range: TimeRange,
        blocks: &mut Vec<BlockHead<'a>>,
    ) -> Result<(), ReadError> {
        let Some(mut runs) = self.runs(series)? else { return Ok(()) };
        while self.next_run(&mut runs, range, blocks)? {}
        Ok(())
    }

    /// The runs of a series; `None` if it is not here.
    pub(crate) fn runs(&self, series: SeriesId) -> Result<Option<Runs<'a>>, ReadError> {
        let Some((offset, len)) = self.find(series) else { return Ok(None) };
        let entry = self.segment.entry(offset, len).and_then(Entry::new);
        entry.map(|entry| Some(Runs { entry, offset })).map_err(|reason| self.segment.corrupt(offset, reason))
    }

    /// As [`Self::blocks`], of the next run only; whether there was one.
    pub(crate) fn next_run(
        &self,
        runs: &mut Runs<'a>,
        range: TimeRange,
        blocks: &mut Vec<BlockHead<'a>>,
    ) -> Result<bool, ReadError> {
        let wanted = Wanted {
            version: self.segment.version,
            types: &self.measurement.types,
            places: &self.places,
            width: self.width,
            range,
        };
        runs.entry.next_run(&wanted, blocks).map_err(|reason| self.segment.corrupt(runs.offset, reason))
    }

    /// Whether a block can go to another segment as it is: its format is today's, all its fields are wanted, and so
    /// are its versions.
    pub(crate) fn can_copy(&self, block: &BlockHead<'_>, keep_versions: bool) -> bool {
        self.segment.version == VERSION
            && self.places.iter().all(Option::is_some)
            && (keep_versions || matches!(block.versions, VersionsAt::Settled))
    }

    /// The `index`-th series, by number.
    pub(crate) fn series_at(&self, index: usize) -> Option<SeriesId> {
        self.segment.series_at(self.measurement, index)
    }

    /// Offset and length of a series' entry.
    ///
    /// Series are numbered in the order they were first seen, so that those of a measurement lie about equally far
    /// apart: the search starts where the number should be and doubles its steps from there.
    fn find(&self, series: SeriesId) -> Option<(u64, u32)> {
        if !self.ids.contains(&series.0) {
            return None;
        }
        let Range { start, end } = self.measurement.series;
        let (first, last) = (*self.ids.start(), *self.ids.end());
        let share = u64::from(series.0 - first) * (end - start - 1) as u64 / u64::from((last - first).max(1));
        let (mut low, mut high) = (start, end);
        let (mut at, mut step) = (start + share as usize, 1);
        while low < high {
            let (id, offset, len) = self.segment.directory_record(at);
            match id.cmp(&series) {
                std::cmp::Ordering::Equal => return Some((offset, len)),
                std::cmp::Ordering::Less => {
                    low = at + 1;
                    at = if step > 0 { at.saturating_add(step) } else { high };
                }
                std::cmp::Ordering::Greater => {
                    high = at;
                    at = if step > 0 { at.saturating_sub(step) } else { low };
                }
            }
            // Both bounds are known: halve what is between them.
            if at < low || at >= high {
                at = low + (high - low) / 2;
                step = 0;
            } else if step > 0 {
                step *= 2;
            } else {
                at = low + (high - low) / 2;
            }
        }
        None
    }
}

/// An index entry, read run by run.
#[derive(Debug)]
pub(crate) struct Runs<'a> {
    entry: Entry<'a>,
    offset: u64,
}

/// The rows whose times, which ascend, lie inside `range`.
fn rows_inside(rows: usize, range: TimeRange, time: impl Fn(usize) -> i64) -> Range<usize> {
    let first = |is_before: &dyn Fn(i64) -> bool| {
        let (mut low, mut high) = (0, rows);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(time(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    };
    let start = first(&|time| time < range.start);
    start..first(&|time| time <= range.end).max(start)
}

fn slice_bitmap(bitmap: &Bitmap, rows: &Range<usize>) -> Bitmap {
    let mut slice = Bitmap::filled(rows.len(), false);
    for (index, row) in rows.clone().enumerate() {
        if bitmap.get(row) {
            slice.set(index, true);
        }
    }
    slice
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

fn take_versions(bytes: &[u8], block: &BlockHead<'_>) -> Result<Versions, Malformed> {
    let mut reader = Reader::new(bytes);
    let decode = |bytes: &[u8]| -> Result<Vec<Version>, Malformed> {
        let mut reader = Reader::new(bytes);
        let numbers = numbers::decode::<u64>(&mut reader, block.rows, 0..block.rows)?;
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
            let of_field = |field: &Option<FieldBlock<'_>>| match field {
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
