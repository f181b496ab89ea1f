//! Segments: immutable files of compressed blocks. `docs/formats/segment.md` draws the bytes.
//!
//! [`writer`] writes one in a single pass, sorted by (measurement, series, field, time). [`reader`] maps one and
//! hands out blocks. [`entry`] is the index entry of one series, [`stats`] the statistics in it.
//!
//! Every byte of a file is under some CRC-32C that is checked before the byte is believed, each time it is read.

mod describe;
mod entry;
mod reader;
mod spans;
mod stats;
mod writer;

use std::path::{Path, PathBuf};

use skywatch_model::{FieldType, TimeRange};

pub use describe::{ColumnDescription, MeasurementDescription, SegmentDescription};
pub(crate) use entry::BlockHead;
pub(crate) use reader::{Columns, Runs, Segment};
pub(crate) use writer::SegmentWriter;

use crate::rows::FieldId;
use std::sync::Arc;

const MAGIC: [u8; 8] = *b"SKYWSEG\n";
const VERSION: u32 = 2;
/// magic 8, version 4, CRC 4.
const HEADER_LEN: usize = 16;

/// Rows of a block, unless a series has fewer.
pub(crate) const BLOCK_ROWS: usize = 4096;
/// Rows a reader accepts in a block.
const MAX_BLOCK_ROWS: usize = 1 << 16;

/// Name of the segment file with this number.
pub(crate) fn file_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.seg"))
}

/// The number in a name made by [`file_path`].
pub(crate) fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".seg")?.parse().ok()
}

/// A field as a segment's tables list it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentField {
    pub(crate) id: FieldId,
    pub(crate) name: Arc<str>,
    pub(crate) field_type: FieldType,
}

/// What the manifest says of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentMeta {
    pub(crate) number: u64,
    pub(crate) size_bytes: u64,
    pub(crate) rows: u64,
    pub(crate) cells: u64,
    pub(crate) series: u64,
    /// Of all its rows.
    pub(crate) range: TimeRange,
}

#[cfg(test)]
mod tests;
