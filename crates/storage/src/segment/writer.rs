//! Writes a segment in one pass. Memory: the compressed chunks of one run of one series, 16 bytes a series for the
//! directory, and the compressed series keys.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use skywatch_model::{Column, TimeRange, Values};

use super::{
    BLOCK_ROWS, BlockHead, MAGIC, Segment, SegmentField, SegmentMeta, VERSION,
    entry::{self, Cell, Chunk, FieldOfRun, GroupDraft, VersionsAt, VersionsDraft},
    spans,
    stats::{self, TimeScale},
};
use crate::{
    MaintenanceError, ReadError,
    codec::{self, bits, numbers, text, times},
    fs::{File, Fs, FsError},
    merge::{Rows, Versions, gather},
    rows::SeriesId,
    wire::{put_bytes, put_crc, put_varint},
};

/// Bytes gathered before they are handed to the file.
const WRITE_BYTES: usize = 1 << 20;
/// A run of a series ends when its chunks have grown to this.
const RUN_BYTES: usize = 8 << 20;
/// Raw bytes of keys in one page.
const KEY_PAGE_BYTES: usize = 1 << 20;

pub(super) const VERSIONS_BY_ROW: u8 = 0;
pub(super) const VERSIONS_BY_CELL: u8 = 1;

/// See the module's header. Dropped unfinished, it leaves a file that no manifest names.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    file: Arc<dyn File>,
    path: PathBuf,
    number: u64,
    buffer: Vec<u8>,
    /// Bytes already handed to the file.
    flushed: u64,
    measurements: Vec<MeasurementDraft>,
    /// Series, offset and length of its entry.
    directory: Vec<(SeriesId, u64, u32)>,
    key_page: Vec<u8>,
    key_pages: Vec<u8>,
    series: Option<SeriesDraft>,
    rows: u64,
    cells: u64,
    range: Option<TimeRange>,
}

#[derive(Debug)]
struct MeasurementDraft {
    name: Arc<str>,
    fields: Vec<SegmentField>,
    first: usize,
}

#[derive(Debug)]
struct SeriesDraft {
    id: SeriesId,
    runs: u64,
    entry: Vec<u8>,
    run: RunDraft,
    last_time: Option<i64>,
}

/// Chunks of the run being written: times and versions, then by field of the measurement.
#[derive(Debug, Default)]
struct RunDraft {
    groups: Vec<GroupDraft>,
    heads: Vec<u8>,
    fields: Vec<FieldDraft>,
    size_bytes: usize,
}

#[derive(Debug, Default)]
struct FieldDraft {
    chunks: Vec<u8>,
    /// As [`entry::put_cell`] writes them.
    cells: Vec<u8>,
    /// How many there are.
    groups: usize,
}

impl FieldDraft {
    /// Adds the cell of group `index`, which has `rows` rows.
    fn put_cell(&mut self, index: usize, rows: usize, cell: Cell<'_>) {
        // A field that appears later than the run's first block lacks the cells before it.
        self.fill(index);
        entry::put_cell(rows, Some(cell), &mut self.cells);
        self.groups += 1;
    }

    /// Says that it lacks what is missing of `groups` cells.
    fn fill(&mut self, groups: usize) {
        for _ in self.groups..groups {
            entry::put_cell(0, None, &mut self.cells);
        }
        self.groups = groups;
    }
}

impl SegmentWriter {
    /// Starts the file of segment `number` at `path`, replacing a leftover.
    pub(crate) fn create(fs: &dyn Fs, path: &Path, number: u64) -> Result<Self, FsError> {
        match fs.remove_file(path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(FsError { action: "remove", path: path.to_owned(), source });
            }
            Ok(()) | Err(_) => {}
        }
        let file = fs.create(path).map_err(FsError::on("create", path))?;
        let mut buffer = Vec::with_capacity(WRITE_BYTES);
        buffer.extend_from_slice(&MAGIC);
        buffer.extend_from_slice(&VERSION.to_le_bytes());
        put_crc(&mut buffer, 0);
        Ok(Self {
            file,
            path: path.to_owned(),
            number,
            buffer,
            flushed: 0,
            measurements: Vec::new(),
            directory: Vec::new(),
            key_page: Vec::new(),
            key_pages: Vec::new(),
            series: None,
            rows: 0,
            cells: 0,
            range: None,
        })
    }

    /// Begins a measurement; they come in order of their names.
    pub(crate) fn begin_measurement(&mut self, name: &Arc<str>, fields: Vec<SegmentField>) {
        let ascends = self.measurements.last().is_none_or(|last| last.name < *name);
        assert!(ascends, "measurements of a segment ascend");
        self.measurements.push(MeasurementDraft {
            name: Arc::clone(name),
            fields,
            first: self.directory.len(),
        });
    }

    /// Begins a series of the measurement; they come in order of their numbers.
    pub(crate) fn begin_series(&mut self, id: SeriesId, key: &str) {
        assert!(self.series.is_none() && !self.measurements.is_empty(), "a series is inside a measurement");
        put_bytes(&mut self.key_page, key.as_bytes());
        if self.key_page.len() >= KEY_PAGE_BYTES {
            self.end_key_page();
        }
        self.series =
            Some(SeriesDraft { id, runs: 0, entry: Vec::new(), run: RunDraft::default(), last_time: None });
    }

    /// Adds a block: at most [`BLOCK_ROWS`] rows, later than those before, a column for each field of the measurement.
    pub(crate) fn block(&mut self, rows: &Rows) -> Result<(), FsError> {
        if rows.times.is_empty() {
            return Ok(());
        }
        let range = TimeRange::new(rows.times[0], rows.times[rows.times.len() - 1]);
        assert!(rows.times.len() <= BLOCK_ROWS, "block of {} rows", rows.times.len());
        let run = self.run_for(range, rows.times.len(), rows.columns.len());
        self.cells += run.add(rows, range);
        self.end_full_run()
    }

    /// Adds a block of another segment as it is, its chunks' checksums checked. It has a place for each field of the
    /// measurement; see [`super::Columns::can_copy`].
    pub(crate) fn copy_block(
        &mut self,
        segment: &Segment,
        block: &BlockHead<'_>,
    ) -> Result<(), MaintenanceError> {
        let run = self.run_for(block.range, block.rows, block.fields.len());
        self.cells += run.copy(segment, block)?;
        Ok(self.end_full_run()?)
    }

    /// Where a block of these times and sizes goes.
    fn run_for(&mut self, range: TimeRange, rows: usize, columns: usize) -> &mut RunDraft {
        let (Some(series), Some(measurement)) = (&mut self.series, self.measurements.last()) else {
            unreachable!("a block is inside a series");
        };
        assert!(series.last_time.is_none_or(|last| last < range.start), "blocks of a series ascend");
        assert_eq!(columns, measurement.fields.len(), "columns and fields of the measurement");
        series.last_time = Some(range.end);
        self.rows += rows as u64;
        self.range = Some(self.range.map_or(range, |all| all.hull(range)));
        series.run.fields.resize_with(columns, FieldDraft::default);
        &mut series.run
    }

    fn end_full_run(&mut self) -> Result<(), FsError> {
        let is_full = self.series.as_ref().is_some_and(|series| series.run.size_bytes >= RUN_BYTES);
        if is_full { self.end_run() } else { Ok(()) }
    }

    /// Ends the series. One without rows leaves an entry without blocks.
    pub(crate) fn end_series(&mut self) -> Result<(), FsError> {
        self.end_run()?;
        let Some(series) = self.series.take() else {
            unreachable!("no series to end");
        };
        let offset = self.offset();
        let start = self.buffer.len();
        put_varint(&mut self.buffer, series.runs);
        self.buffer.extend_from_slice(&series.entry);
        put_crc(&mut self.buffer, start);
        let len = (self.buffer.len() - start) as u32;
        self.directory.push((series.id, offset, len));
        self.flush(WRITE_BYTES)
    }

    /// Completes the file, durably but for its name in the directory.
    pub(crate) fn finish(mut self) -> Result<SegmentMeta, FsError> {
        self.sort_directory();
        let directory_at = self.offset();
        let start = self.buffer.len();
        for (id, offset, len) in &self.directory {
            self.buffer.extend_from_slice(&id.0.to_le_bytes());
            self.buffer.extend_from_slice(&len.to_le_bytes());
            self.buffer.extend_from_slice(&offset.to_le_bytes());
        }
        put_crc(&mut self.buffer, start);
        let tables_at = self.offset();
        let start = self.buffer.len();
        text::put_compressed(&self.tables(), &mut self.buffer);
        put_crc(&mut self.buffer, start);
        let keys_at = self.offset();
        self.end_key_page();
        self.buffer.append(&mut self.key_pages);
        let trailer_at = self.offset();
        let range = self.range.unwrap_or(TimeRange::new(0, -1));
        let series = self.directory.len() as u64;
        let start = self.buffer.len();
        for number in [
            directory_at,
            tables_at,
            keys_at,
            trailer_at,
            series,
            self.rows,
            self.cells,
            range.start as u64,
            range.end as u64,
        ] {
            self.buffer.extend_from_slice(&number.to_le_bytes());
        }
        self.buffer.extend_from_slice(&MAGIC);
        put_crc(&mut self.buffer, start);
        let size_bytes = self.offset();
        self.flush(0)?;
        self.file.sync().map_err(FsError::on("sync", &self.path))?;
        let Self { number, rows, cells, .. } = self;
        Ok(SegmentMeta { number, size_bytes, rows, cells, series, range })
    }

    /// Bytes written so far, the series that is being written not included.
    pub(crate) fn offset(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// Hands the buffer to the file once it holds `least` bytes.
    fn flush(&mut self, least: usize) -> Result<(), FsError> {
        if self.buffer.len() >= least.max(1) {
            self.file.append(&self.buffer).map_err(FsError::on("write", &self.path))?;
            self.flushed += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    fn end_run(&mut self) -> Result<(), FsError> {
        let base = self.offset();
        let Some(series) = &mut self.series else {
            return Ok(());
        };
        if series.run.groups.is_empty() {
            return Ok(());
        }
        let mut run = std::mem::take(&mut series.run);
        self.buffer.extend_from_slice(&run.heads);
        let mut fields = Vec::new();
        for (ordinal, field) in run.fields.iter_mut().enumerate().filter(|(_, field)| field.groups > 0) {
            field.fill(run.groups.len());
            self.buffer.extend_from_slice(&field.chunks);
            fields.push(FieldOfRun { ordinal, cells: &field.cells, chunks_len: field.chunks.len() });
        }
        entry::put_run(base, &run.groups, &fields, &mut series.entry);
        series.runs += 1;
        self.flush(WRITE_BYTES)
    }

    /// Series of a measurement ascend already; this asserts it where a reader's binary search relies on it.
    fn sort_directory(&self) {
        let mut ends = self.measurements.iter().skip(1).map(|measurement| measurement.first);
        for measurement in &self.measurements {
            let end = ends.next().unwrap_or(self.directory.len());
            let ascend = self.directory[measurement.first..end].windows(2).all(|pair| pair[0].0 < pair[1].0);
            assert!(ascend, "series of a measurement ascend");
        }
    }

    /// Measurements, where their series begin in the directory, and their fields.
    fn tables(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.measurements.len() as u64);
        for measurement in &self.measurements {
            put_bytes(&mut out, measurement.name.as_bytes());
            put_varint(&mut out, measurement.first as u64);
            put_varint(&mut out, measurement.fields.len() as u64);
            for field in &measurement.fields {
                put_varint(&mut out, u64::from(field.id.0));
                put_bytes(&mut out, field.name.as_bytes());
                out.push(field.field_type as u8);
            }
        }
        out
    }

    fn end_key_page(&mut self) {
        if self.key_page.is_empty() {
            return;
        }
        let start = self.key_pages.len();
        self.key_pages.extend_from_slice(&[0; 4]);
        text::put_compressed(&self.key_page, &mut self.key_pages);
        let len = (self.key_pages.len() - start - 4) as u32;
        self.key_pages[start..start + 4].copy_from_slice(&len.to_le_bytes());
        put_crc(&mut self.key_pages, start);
        self.key_page.clear();
    }
}

impl RunDraft {
    /// Encodes a block; returns how many values it has.
    fn add(&mut self, rows: &Rows, range: TimeRange) -> u64 {
        let before = self.heads.len();
        let is_regular = times::regular_step(&rows.times).is_some();
        let times_len =
            if is_regular { 0 } else { put_chunk(&mut self.heads, |out| times::encode(&rows.times, out)) };
        let versions = self.put_versions(rows);
        self.size_bytes += self.heads.len() - before;
        let (width, parts) = spans::divide(&rows.times);
        let mut layout = Vec::new();
        spans::put_layout(width, &parts, &rows.times, is_regular, &mut layout);
        let places = Places {
            parts: if width.is_some() { spans::layout_of(&parts, &rows.times) } else { Vec::new() },
            rows: parts,
            unit: entry::time_unit(rows.times.len(), range, is_regular),
            range,
        };
        let group = self.groups.len();
        self.groups.push(GroupDraft { rows: rows.times.len(), range, times_len, versions, layout });
        let mut cells = 0;
        for (field, column) in self.fields.iter_mut().zip(&rows.columns) {
            let before = field.chunks.len();
            cells +=
                column.as_ref().map_or(0, |column| field.put_column(group, rows, column, &places)) as u64;
            self.size_bytes += field.chunks.len() - before;
        }
        cells
    }

    /// Takes a block of another segment as it is; returns how many values it has.
    fn copy(&mut self, segment: &Segment, block: &BlockHead<'_>) -> Result<u64, ReadError> {
        let before = self.heads.len();
        let mut times_len = 0;
        if let Some(times) = block.times {
            self.heads.extend_from_slice(segment.whole_chunk(times)?);
            times_len = times.len;
        }
        let versions = match block.versions {
            VersionsAt::Settled => VersionsDraft::Settled,
            VersionsAt::Uniform(version) => VersionsDraft::Uniform(version),
            VersionsAt::Chunk(chunk) => {
                self.heads.extend_from_slice(segment.whole_chunk(chunk)?);
                VersionsDraft::Chunk(chunk.len)
            }
        };
        self.size_bytes += self.heads.len() - before;
        let mut layout = Vec::new();
        block.layout.put(&mut layout);
        let group = self.groups.len();
        let BlockHead { rows, range, .. } = *block;
        self.groups.push(GroupDraft { rows, range, times_len, versions, layout });
        let mut cells = 0;
        for (draft, field) in self.fields.iter_mut().zip(&block.fields) {
            let Some(field) = field else { continue };
            let chunk = segment.whole_chunk(field.cell.chunk)?;
            draft.chunks.extend_from_slice(chunk);
            draft.put_cell(group, rows, field.cell);
            self.size_bytes += chunk.len();
            cells += field.cell.count as u64;
        }
        Ok(cells)
    }

    fn put_versions(&mut self, rows: &Rows) -> VersionsDraft {
        match &rows.versions {
            versions if *versions == Versions::SETTLED => VersionsDraft::Settled,
            Versions::Uniform(version) => VersionsDraft::Uniform(*version),
            Versions::Rows(versions) => VersionsDraft::Chunk(put_chunk(&mut self.heads, |out| {
                out.push(VERSIONS_BY_ROW);
                numbers::encode(&versions.iter().map(|version| version.0).collect::<Vec<_>>(), out);
            })),
            Versions::Cells(columns) => VersionsDraft::Chunk(put_chunk(&mut self.heads, |out| {
                out.push(VERSIONS_BY_CELL);
                for (versions, column) in columns.iter().zip(&rows.columns) {
                    if column.as_ref().is_some_and(has_values) {
                        let mut encoded = Vec::new();
                        numbers::encode(
                            &versions.iter().map(|version| version.0).collect::<Vec<_>>(),
                            &mut encoded,
                        );
                        put_bytes(out, &encoded);
                    }
                }
            })),
        }
    }
}

/// Appends a chunk and its checksum; returns the chunk's length.
fn put_chunk(out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) -> u64 {
    let start = out.len();
    encode(out);
    let len = out.len() - start;
    put_crc(out, start);
    len as u64
}

fn has_values(column: &Column) -> bool {
    column.valid.as_ref().is_none_or(|valid| valid.count_set() > 0)
}

/// The parts of a block for whose fields statistics are kept.
struct Places {
    /// Neighbouring ranges of rows; all rows if there are no parts.
    rows: Vec<Range<usize>>,
    /// Empty if there are no parts.
    parts: Vec<spans::Part>,
    unit: u64,
    range: TimeRange,
}

impl FieldDraft {
    /// Appends a column's chunk: validity where values are missing, then the values there are. Returns how many.
    fn put_column(&mut self, group: usize, rows: &Rows, column: &Column, places: &Places) -> usize {
        let len = rows.times.len();
        let valid = column.valid.as_ref().filter(|valid| valid.count_set() < len);
        let count = valid.map_or(len, skywatch_model::Bitmap::count_set);
        if count == 0 {
            return 0;
        }
        let out = &mut self.chunks;
        let chunk_len = match valid {
            None => put_chunk(out, |out| codec::encode(&column.values, out)),
            Some(valid) => {
                let rows =
                    (0..len).filter(|row| valid.get(*row)).map(|row| Some((0, row))).collect::<Vec<_>>();
                let dense = gather(&[Some(column)], rows.into_iter());
                let dense =
                    dense.map_or_else(|| Values::empty(column.values.field_type()), |dense| dense.values);
                put_chunk(out, |out| {
                    bits::encode_bitmap(valid, out);
                    codec::encode(&dense, out);
                })
            }
        };
        let (mut stats, mut spans) = (Vec::new(), Vec::new());
        if let Some((of_block, of_parts)) = stats::compute(&rows.times, column, &places.rows) {
            let scale = TimeScale { range: places.range, unit: places.unit };
            stats::encode(&of_block, scale, valid.is_some(), &mut stats);
            let frame = spans::Frame {
                parts: &places.parts,
                unit: places.unit,
                has_nulls: valid.is_some(),
                block: &of_block,
            };
            if !places.parts.is_empty() {
                spans::encode(&of_parts, frame, &mut spans);
            }
        }
        let some = |bytes: Vec<u8>| (!bytes.is_empty()).then_some(bytes);
        let (stats, spans) = (some(stats), some(spans));
        let chunk = Chunk { offset: 0, len: chunk_len };
        self.put_cell(group, len, Cell { chunk, count, stats: stats.as_deref(), spans: spans.as_deref() });
        count
    }
}
