//! The index entry of one series: where its blocks are, what times they span, statistics of each field.
//!
//! ```text
//! entry  = runs (varint)  run...  CRC-32C
//! run    = offset of its first chunk (varint)  groups (varint)  group...  fields (varint)  field...
//! group  = rows (varint)  first time (signed varint: since 1970, then since the group before)
//!          span (varint)  times chunk length (varint, 0: regular)
//!          versions (varint 0: settled, 1: one (varint version), 2: chunk (varint length))
//!          parts (varint 0: none, else 1 + their width; then, if irregular, their layout (bytes)), see `spans`
//! field  = ordinal in the measurement's table (varint)  length of its cells (varint)
//!          length of its chunks with their checksums (varint)  for each group: cell
//! cell   = 0 | flags  [values, if some are missing (varint)]  chunk length (varint)  [statistics (bytes)]
//!          [statistics of the parts (bytes)]
//! flags  = 1 + 2 if some rows have no value + 4 if there are statistics + 8 if there are those of parts
//! ```
//!
//! Version 1 had neither parts nor the two lengths. Chunks lie one after the other in this order: each group's times
//! and versions, then field by field each group's values. A length leaves out the CRC-32C that follows the chunk,
//! unless it says otherwise.

use std::sync::OnceLock;

use skywatch_model::{FieldType, TimeRange, Version};

use super::{
    MAX_BLOCK_ROWS,
    spans::{self, Layout, Part},
    stats::{self, TimeScale},
};
use crate::{
    BlockStats, SpanStats,
    wire::{Malformed, Reader, put_bytes, put_signed, put_varint},
};

/// Bytes after each chunk.
pub(super) const CRC_LEN: u64 = 4;

const PRESENT: u8 = 1;
const HAS_NULLS: u8 = 2;
const HAS_STATS: u8 = 4;
const HAS_SPANS: u8 = 8;

/// Where a chunk is; its checksum follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) offset: u64,
    pub(super) len: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VersionsAt {
    Settled,
    Uniform(Version),
    Chunk(Chunk),
}

/// One block as its entry describes it, with the wanted fields only. Statistics are decoded when asked for.
#[derive(Debug)]
pub(crate) struct BlockHead<'a> {
    pub(super) rows: usize,
    pub(super) range: TimeRange,
    /// `None` if regular.
    pub(super) times: Option<Chunk>,
    pub(super) versions: VersionsAt,
    pub(super) layout: Layout<'a>,
    /// Where `layout` says that the parts are: the same for all fields, so found out once; `None` if it cannot be read.
    parts: OnceLock<Option<Box<[Part]>>>,
    /// By place among the wanted ones.
    pub(super) fields: Box<[Option<FieldBlock<'a>>]>,
}

/// One field of a block.
#[derive(Debug)]
pub(super) struct FieldBlock<'a> {
    pub(super) cell: Cell<'a>,
    pub(super) field_type: FieldType,
    /// Position among the fields of its block, for versions by cell.
    pub(super) position: usize,
    stats: OnceLock<Option<BlockStats>>,
    spans: OnceLock<Option<Vec<SpanStats>>>,
}

/// As an entry describes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell<'a> {
    pub(super) chunk: Chunk,
    /// Number of values; fewer than rows if some are missing.
    pub(super) count: usize,
    /// Encoded.
    pub(super) stats: Option<&'a [u8]>,
    /// Encoded.
    pub(super) spans: Option<&'a [u8]>,
}

impl BlockHead<'_> {
    /// Number of its rows.
    pub(crate) const fn rows(&self) -> usize {
        self.rows
    }

    /// First and last time of its rows.
    pub(crate) const fn time_range(&self) -> TimeRange {
        self.range
    }

    /// Where its parts are: the whole of it, if it is not divided.
    pub(crate) fn parts(&self) -> Vec<TimeRange> {
        match self.known_parts() {
            None | Some([]) => vec![self.range],
            Some(parts) => parts.iter().map(|part| part.range).collect(),
        }
    }

    fn known_parts(&self) -> Option<&[Part]> {
        let find = || self.layout.parts(self.rows, self.range).ok().map(Vec::into_boxed_slice);
        self.parts.get_or_init(find).as_deref()
    }

    /// The version of all its cells, if they have the same.
    pub(crate) const fn version(&self) -> Option<Version> {
        match self.versions {
            VersionsAt::Settled => Some(Version::ZERO),
            VersionsAt::Uniform(version) => Some(version),
            VersionsAt::Chunk(_) => None,
        }
    }

    /// Bytes of its timestamps and versions, checksums included.
    pub(super) fn time_bytes(&self) -> u64 {
        let versions = match self.versions {
            VersionsAt::Chunk(chunk) => Some(chunk),
            VersionsAt::Settled | VersionsAt::Uniform(_) => None,
        };
        self.times.iter().chain(&versions).map(|chunk| chunk.len + CRC_LEN).sum()
    }

    /// How many wanted fields it has, and their bytes with those of its timestamps.
    pub(crate) fn field_blocks(&self) -> (u64, u64) {
        let fields = self.fields.iter().flatten().map(|field| field.cell.chunk.len + CRC_LEN);
        let (count, bytes) = fields.fold((0, 0), |(count, bytes), len| (count + 1, bytes + len));
        (count, bytes + self.time_bytes())
    }

    /// Whether the block has a wanted field at all.
    fn has_wanted_fields(&self) -> bool {
        self.fields.iter().any(Option::is_some)
    }

    /// Whether the block has the `index`-th wanted field.
    pub(crate) fn has_field(&self, index: usize) -> bool {
        self.fields.get(index).is_some_and(Option::is_some)
    }

    fn unit(&self) -> u64 {
        time_unit(self.rows, self.range, self.times.is_none())
    }

    /// Statistics of a wanted field.
    pub(crate) fn stats(&self, index: usize) -> Option<&BlockStats> {
        let field = self.fields.get(index)?.as_ref()?;
        let decode = || {
            let count = field.cell.count;
            let scale = TimeScale { range: self.range, unit: self.unit() };
            let mut reader = Reader::new(field.cell.stats?);
            // The entry's checksum was right, so this is a bug if it fails; the rows still answer.
            stats::decode(&mut reader, field.field_type, scale, count < self.rows, count as u64).ok()
        };
        field.stats.get_or_init(decode).as_ref()
    }

    /// Statistics of the parts of a wanted field that lie inside `range`; `None` if it cuts one, or they are unknown.
    pub(crate) fn spans(&self, index: usize, range: TimeRange) -> Option<&[SpanStats]> {
        let field = self.fields.get(index)?.as_ref()?;
        let decode = || {
            let frame = spans::Frame {
                parts: self.known_parts()?,
                unit: self.unit(),
                has_nulls: field.cell.count < self.rows,
                block: self.stats(index)?,
            };
            spans::decode(field.cell.spans?, field.field_type, frame).ok()
        };
        let all = field.spans.get_or_init(decode).as_deref()?;
        if range.covers(self.range) {
            return Some(all);
        }
        let start = all.partition_point(|span| span.first.0 < range.start);
        let end = all.partition_point(|span| span.last.0 <= range.end);
        // A part that begins before the range must end before it, and one that ends after it begin after it.
        let cuts_none = all.get(..start).and_then(<[_]>::last).is_none_or(|span| span.last.0 < range.start)
            && all.get(end).is_none_or(|span| span.first.0 > range.end);
        if cuts_none { all.get(start..end.max(start)) } else { None }
    }
}

/// Distance of regular rows; 1 for a single row and for irregular ones.
pub(super) const fn time_unit(rows: usize, range: TimeRange, is_regular: bool) -> u64 {
    if is_regular && rows > 1 { range.end.abs_diff(range.start) / (rows as u64 - 1) } else { 1 }
}

/// A group while its run is being written.
#[derive(Debug)]
pub(super) struct GroupDraft {
    pub(super) rows: usize,
    pub(super) range: TimeRange,
    /// Length of the times chunk; 0 if regular.
    pub(super) times_len: u64,
    pub(super) versions: VersionsDraft,
    /// As [`spans::put_layout`] writes it.
    pub(super) layout: Vec<u8>,
}

#[derive(Debug)]
pub(super) enum VersionsDraft {
    Settled,
    Uniform(Version),
    Chunk(u64),
}

/// One field of a run that has been written.
pub(super) struct FieldOfRun<'a> {
    pub(super) ordinal: usize,
    pub(super) cells: &'a [u8],
    /// With checksums.
    pub(super) chunks_len: usize,
}

/// Appends a run.
pub(super) fn put_run(base: u64, groups: &[GroupDraft], fields: &[FieldOfRun<'_>], out: &mut Vec<u8>) {
    put_varint(out, base);
    put_varint(out, groups.len() as u64);
    let mut previous = 0i64;
    for group in groups {
        put_varint(out, group.rows as u64);
        put_signed(out, group.range.start.wrapping_sub(previous));
        put_varint(out, group.range.end.abs_diff(group.range.start));
        put_varint(out, group.times_len);
        match group.versions {
            VersionsDraft::Settled => put_varint(out, 0),
            VersionsDraft::Uniform(version) => {
                put_varint(out, 1);
                put_varint(out, version.0);
            }
            VersionsDraft::Chunk(len) => {
                put_varint(out, 2);
                put_varint(out, len);
            }
        }
        out.extend_from_slice(&group.layout);
        previous = group.range.end;
    }
    put_varint(out, fields.len() as u64);
    for field in fields {
        put_varint(out, field.ordinal as u64);
        put_varint(out, field.cells.len() as u64);
        put_varint(out, field.chunks_len as u64);
        out.extend_from_slice(field.cells);
    }
}

/// Appends a cell of a block of `rows` rows; where its chunk is follows from those before.
pub(super) fn put_cell(rows: usize, cell: Option<Cell<'_>>, out: &mut Vec<u8>) {
    let Some(cell) = cell else {
        out.push(0);
        return;
    };
    let has_nulls = cell.count < rows;
    let mut flags = PRESENT;
    flags |= if has_nulls { HAS_NULLS } else { 0 };
    flags |= if cell.stats.is_some() { HAS_STATS } else { 0 };
    flags |= if cell.spans.is_some() { HAS_SPANS } else { 0 };
    out.push(flags);
    if has_nulls {
        put_varint(out, cell.count as u64);
    }
    put_varint(out, cell.chunk.len);
    for encoded in [cell.stats, cell.spans].into_iter().flatten() {
        put_bytes(out, encoded);
    }
}

/// Which fields and rows of an entry are wanted.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// Format version of the segment.
    pub(super) version: u32,
    /// Of the measurement's fields by ordinal.
    pub(super) types: &'a [FieldType],
    /// Which place in [`BlockHead::fields`] a field takes, by ordinal.
    pub(super) places: &'a [Option<usize>],
    /// How many places there are.
    pub(super) width: usize,
    /// Blocks outside are left out, as are those without a wanted field.
    pub(super) range: TimeRange,
}

/// Reads an entry without its checksum run by run.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    reader: Reader<'a>,
    runs: usize,
    last: Option<i64>,
}

impl<'a> Entry<'a> {
    pub(super) fn new(entry: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(entry);
        let runs = reader.count(3)?;
        Ok(Self { reader, runs, last: None })
    }

    /// Appends the wanted blocks of the next run, ascending; whether there was one.
    pub(super) fn next_run(
        &mut self,
        wanted: &Wanted<'_>,
        blocks: &mut Vec<BlockHead<'a>>,
    ) -> Result<bool, Malformed> {
        if self.runs == 0 {
            self.reader.finish()?;
            return Ok(false);
        }
        self.runs -= 1;
        let first = blocks.len();
        let mut cursor = Cursor(self.reader.varint()?);
        let groups = self.reader.count(5)?;
        let mut previous = 0i64;
        let (mut is_needed, mut has_versions) = (false, false);
        for _ in 0..groups {
            let mut block = take_group(&mut self.reader, previous, wanted.version, &mut cursor)?;
            if self.last.is_some_and(|last| last >= block.range.start) {
                return Err(Malformed("blocks of a series overlap"));
            }
            previous = block.range.end;
            self.last = Some(previous);
            if wanted.range.overlaps(block.range) {
                is_needed = true;
                block.fields = std::iter::repeat_with(|| None).take(wanted.width).collect();
            }
            has_versions |= matches!(block.versions, VersionsAt::Chunk(_));
            blocks.push(block);
        }
        // Only with versions by cell does it matter which fields a block has besides.
        let positions = if has_versions { vec![0; groups] } else { Vec::new() };
        self.take_fields(wanted, is_needed, positions, &mut cursor, &mut blocks[first..])?;
        keep_from(blocks, first, BlockHead::has_wanted_fields);
        Ok(true)
    }

    fn take_fields(
        &mut self,
        wanted: &Wanted<'_>,
        is_needed: bool,
        mut positions: Vec<usize>,
        cursor: &mut Cursor,
        blocks: &mut [BlockHead<'a>],
    ) -> Result<(), Malformed> {
        let reader = &mut self.reader;
        for _ in 0..reader.count(1)? {
            let ordinal = reader.varint()? as usize;
            let field_type = *wanted.types.get(ordinal).ok_or(Malformed("unknown field"))?;
            let place = wanted.places.get(ordinal).copied().flatten().filter(|_| is_needed);
            let mut end = None;
            if wanted.version > 1 {
                let (cells, chunks) = (reader.count(1)?, reader.varint()?);
                if place.is_none() && positions.is_empty() {
                    reader.take(cells)?;
                    cursor.skip(chunks)?;
                    continue;
                }
                let behind =
                    reader.remaining().checked_sub(cells).ok_or(Malformed("cells exceed the input"))?;
                end = Some((behind, cursor.after(chunks)?));
            }
            for (index, block) in blocks.iter_mut().enumerate() {
                let position = positions.get_mut(index);
                let Some(cell) = take_cell(reader, block.rows, cursor)? else { continue };
                let here = position.map_or(0, |position| std::mem::replace(position, *position + 1));
                // Blocks outside the range have no places.
                if let Some(slot) = place.and_then(|place| block.fields.get_mut(place)) {
                    *slot = Some(FieldBlock {
                        cell,
                        field_type,
                        position: here,
                        stats: OnceLock::new(),
                        spans: OnceLock::new(),
                    });
                }
            }
            if end.is_some_and(|end| end != (reader.remaining(), cursor.0)) {
                return Err(Malformed("cells of a field have another length"));
            }
        }
        Ok(())
    }
}

/// Drops those of `blocks[first..]` that are not wanted.
fn keep_from<T>(blocks: &mut Vec<T>, first: usize, is_wanted: impl Fn(&T) -> bool) {
    if blocks.get(first..).is_some_and(|added| added.iter().all(&is_wanted)) {
        return;
    }
    let mut index = 0;
    blocks.retain(|block| {
        index += 1;
        index <= first || is_wanted(block)
    });
}

/// Walks over chunks as they lie in the file.
#[derive(Debug)]
struct Cursor(u64);

impl Cursor {
    fn next(&mut self, len: u64) -> Result<Chunk, Malformed> {
        let offset = self.0;
        let end = offset.checked_add(len).and_then(|end| end.checked_add(CRC_LEN));
        self.0 = end.ok_or(Malformed("chunk overflows"))?;
        Ok(Chunk { offset, len })
    }

    fn after(&self, bytes: u64) -> Result<u64, Malformed> {
        self.0.checked_add(bytes).ok_or(Malformed("chunk overflows"))
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Malformed> {
        self.0 = self.after(bytes)?;
        Ok(())
    }
}

fn take_group<'a>(
    reader: &mut Reader<'a>,
    previous: i64,
    version: u32,
    cursor: &mut Cursor,
) -> Result<BlockHead<'a>, Malformed> {
    let rows = reader.varint()? as usize;
    if rows == 0 || rows > MAX_BLOCK_ROWS {
        return Err(Malformed("block has no rows or too many"));
    }
    let start = previous.wrapping_add(reader.signed()?);
    let end = start.checked_add_unsigned(reader.varint()?).ok_or(Malformed("time overflows"))?;
    let range = TimeRange::new(start, end);
    let times = match reader.varint()? {
        0 if !range.end.abs_diff(range.start).is_multiple_of((rows as u64 - 1).max(1)) => {
            return Err(Malformed("regular times do not divide their span"));
        }
        0 => None,
        len => Some(cursor.next(len)?),
    };
    let versions = match reader.varint()? {
        0 => VersionsAt::Settled,
        1 => VersionsAt::Uniform(Version(reader.varint()?)),
        2 => {
            let len = reader.varint()?;
            VersionsAt::Chunk(cursor.next(len)?)
        }
        _ => return Err(Malformed("unknown kind of versions")),
    };
    let layout = if version > 1 { spans::take_layout(reader, times.is_none())? } else { Layout::Whole };
    Ok(BlockHead { rows, range, times, versions, layout, parts: OnceLock::new(), fields: Box::default() })
}

fn take_cell<'a>(
    reader: &mut Reader<'a>,
    rows: usize,
    cursor: &mut Cursor,
) -> Result<Option<Cell<'a>>, Malformed> {
    let flags = reader.u8()?;
    if flags == 0 {
        return Ok(None);
    }
    if flags & PRESENT == 0 || flags > PRESENT | HAS_NULLS | HAS_STATS | HAS_SPANS {
        return Err(Malformed("unknown flags of a field"));
    }
    let count = if flags & HAS_NULLS != 0 { reader.varint()? as usize } else { rows };
    if count == 0 || count > rows {
        return Err(Malformed("field has no values or too many"));
    }
    let len = reader.varint()?;
    let chunk = cursor.next(len)?;
    let mut encoded = |flag: u8| (flags & flag != 0).then(|| reader.bytes()).transpose();
    Ok(Some(Cell { chunk, count, stats: encoded(HAS_STATS)?, spans: encoded(HAS_SPANS)? }))
}
