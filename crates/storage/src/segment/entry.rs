//! The index entry of one series: where its blocks are, what times they span, statistics of each field.
//!
//! ```text
//! entry  = runs (varint)  run...  CRC-32C
//! run    = offset of its first chunk (varint)  groups (varint)  group...  fields (varint)  field...
//! group  = rows (varint)  first time (signed varint: since 1970, then since the group before)
//!          span (varint)  times chunk length (varint, 0: regular)
//!          versions (varint 0: settled, 1: one (varint version), 2: chunk (varint length))
//! field  = ordinal in the measurement's table (varint)  for each group: cell
//! cell   = 0 | flags  [values, if some are missing (varint)]  chunk length (varint)  [statistics (bytes)]
//! flags  = 1 + 2 if some rows have no value + 4 if there are statistics
//! ```
//!
//! Chunks lie one after the other in this order: each group's times and versions, then field by field each group's
//! values. A length leaves out the CRC-32C that follows the chunk.

use skywatch_model::{FieldType, TimeRange, Version};

use super::{
    MAX_BLOCK_ROWS,
    stats::{self, TimeScale},
};
use crate::{
    BlockStats,
    wire::{Malformed, Reader, put_bytes, put_signed, put_varint},
};

/// Bytes after each chunk.
pub(super) const CRC_LEN: u64 = 4;

const PRESENT: u8 = 1;
const HAS_NULLS: u8 = 2;
const HAS_STATS: u8 = 4;

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

/// One block as its entry describes it, with the wanted fields only.
#[derive(Debug, Clone)]
pub(crate) struct BlockHead {
    pub(super) rows: usize,
    pub(super) range: TimeRange,
    /// `None` if regular.
    pub(super) times: Option<Chunk>,
    pub(super) versions: VersionsAt,
    /// Position of each wanted field among all the fields of the run that this block has.
    pub(super) fields: Vec<Option<FieldBlock>>,
}

/// One field of a block.
#[derive(Debug, Clone)]
pub(super) struct FieldBlock {
    pub(super) chunk: Chunk,
    pub(super) field_type: FieldType,
    /// Number of values; fewer than rows if some are missing.
    pub(super) count: usize,
    pub(super) stats: Option<BlockStats>,
    /// Position among the fields of its block, for versions by cell.
    pub(super) position: usize,
}

impl BlockHead {
    /// First and last time of its rows.
    pub(crate) const fn time_range(&self) -> TimeRange {
        self.range
    }

    /// Whether the block has a wanted field at all.
    pub(crate) fn has_wanted_fields(&self) -> bool {
        self.fields.iter().any(Option::is_some)
    }

    /// Statistics of a wanted field.
    pub(crate) fn stats(&self, index: usize) -> Option<&BlockStats> {
        self.fields.get(index)?.as_ref()?.stats.as_ref()
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
}

#[derive(Debug)]
pub(super) enum VersionsDraft {
    Settled,
    Uniform(Version),
    Chunk(u64),
}

/// One field of one group while its run is being written.
#[derive(Debug)]
pub(super) struct CellDraft {
    pub(super) chunk_len: u64,
    pub(super) count: usize,
    pub(super) stats: Option<BlockStats>,
}

/// Appends a run.
pub(super) fn put_run(
    base: u64,
    groups: &[GroupDraft],
    fields: &[(usize, Vec<Option<CellDraft>>)],
    out: &mut Vec<u8>,
) {
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
        previous = group.range.end;
    }
    put_varint(out, fields.len() as u64);
    let mut scratch = Vec::new();
    for (ordinal, cells) in fields {
        put_varint(out, *ordinal as u64);
        for (group, cell) in groups.iter().zip(cells) {
            put_cell(group, cell.as_ref(), &mut scratch, out);
        }
    }
}

fn put_cell(group: &GroupDraft, cell: Option<&CellDraft>, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    let Some(cell) = cell else {
        out.push(0);
        return;
    };
    let has_nulls = cell.count < group.rows;
    let mut flags = PRESENT;
    flags |= if has_nulls { HAS_NULLS } else { 0 };
    flags |= if cell.stats.is_some() { HAS_STATS } else { 0 };
    out.push(flags);
    if has_nulls {
        put_varint(out, cell.count as u64);
    }
    put_varint(out, cell.chunk_len);
    if let Some(stats) = &cell.stats {
        let unit = time_unit(group.rows, group.range, group.times_len == 0);
        scratch.clear();
        stats::encode(stats, TimeScale { range: group.range, unit }, has_nulls, scratch);
        put_bytes(out, scratch);
    }
}

/// Reads an entry without its checksum. `types` are those of the measurement's fields by ordinal; `wanted` says, by
/// ordinal, which place in [`BlockHead::fields`] a field takes, of `width` places.
pub(super) fn parse(
    entry: &[u8],
    types: &[FieldType],
    wanted: &[Option<usize>],
    width: usize,
) -> Result<Vec<BlockHead>, Malformed> {
    let mut reader = Reader::new(entry);
    let mut blocks = Vec::new();
    for _ in 0..reader.count(3)? {
        take_run(&mut reader, types, wanted, width, &mut blocks)?;
    }
    reader.finish()?;
    let ascend = blocks.windows(2).all(|pair| pair[0].range.end < pair[1].range.start);
    if ascend { Ok(blocks) } else { Err(Malformed("blocks of a series overlap")) }
}

/// Walks over chunks as they lie in the file.
struct Cursor(u64);

impl Cursor {
    fn next(&mut self, len: u64) -> Result<Chunk, Malformed> {
        let offset = self.0;
        let end = offset.checked_add(len).and_then(|end| end.checked_add(CRC_LEN));
        self.0 = end.ok_or(Malformed("chunk overflows"))?;
        Ok(Chunk { offset, len })
    }
}

fn take_run(
    reader: &mut Reader<'_>,
    types: &[FieldType],
    wanted: &[Option<usize>],
    width: usize,
    blocks: &mut Vec<BlockHead>,
) -> Result<(), Malformed> {
    let mut cursor = Cursor(reader.varint()?);
    let groups = reader.count(5)?;
    let first = blocks.len();
    let mut previous = 0i64;
    for _ in 0..groups {
        let block = take_group(reader, previous, width, &mut cursor)?;
        previous = block.range.end;
        blocks.push(block);
    }
    let mut positions = vec![0; groups];
    for _ in 0..reader.count(1)? {
        let ordinal = reader.varint()? as usize;
        let field_type = *types.get(ordinal).ok_or(Malformed("unknown field"))?;
        let place = wanted.get(ordinal).copied().flatten();
        for (block, position) in blocks[first..].iter_mut().zip(&mut positions) {
            let field = take_cell(reader, block, field_type, place.is_some(), &mut cursor, position)?;
            if let (Some(field), Some(place)) = (field, place) {
                block.fields[place] = Some(field);
            }
        }
    }
    Ok(())
}

fn take_group(
    reader: &mut Reader<'_>,
    previous: i64,
    width: usize,
    cursor: &mut Cursor,
) -> Result<BlockHead, Malformed> {
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
    Ok(BlockHead { rows, range, times, versions, fields: vec![None; width] })
}

fn take_cell(
    reader: &mut Reader<'_>,
    block: &BlockHead,
    field_type: FieldType,
    is_wanted: bool,
    cursor: &mut Cursor,
    position: &mut usize,
) -> Result<Option<FieldBlock>, Malformed> {
    let flags = reader.u8()?;
    if flags == 0 {
        return Ok(None);
    }
    if flags & PRESENT == 0 || flags > PRESENT | HAS_NULLS | HAS_STATS {
        return Err(Malformed("unknown flags of a field"));
    }
    let has_nulls = flags & HAS_NULLS != 0;
    let count = if has_nulls { reader.varint()? as usize } else { block.rows };
    if count == 0 || count > block.rows {
        return Err(Malformed("field has no values or too many"));
    }
    let len = reader.varint()?;
    let chunk = cursor.next(len)?;
    let encoded = if flags & HAS_STATS != 0 { Some(reader.bytes()?) } else { None };
    let here = *position;
    *position += 1;
    if !is_wanted {
        return Ok(None);
    }
    let unit = time_unit(block.rows, block.range, block.times.is_none());
    let scale = TimeScale { range: block.range, unit };
    let stats = encoded
        .map(|bytes| stats::decode(&mut Reader::new(bytes), field_type, scale, has_nulls, count as u64))
        .transpose()?;
    Ok(Some(FieldBlock { chunk, field_type, count, stats, position: here }))
}
