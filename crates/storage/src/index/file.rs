//! The index on disk: files that each hold a range of series and field numbers, mapped and queried as they are.
//! Layout in `docs/formats/index.md`.
//!
//! A flush writes what is new since the last one, together with those of the youngest files that are not much
//! larger (the caller decides which), so that the number of files grows with the logarithm of the series.
//! [`writer`] merges any number of [`Source`]s, the sorted head being one, into a file, value by value and row by row;
//! [`reader`] answers from it; [`v1`] still reads what earlier releases wrote.

mod reader;
mod sink;
mod v1;
mod writer;

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{Bounds, fingerprint::Fingerprint, sketch::SeriesSketch};
use crate::wire::Malformed;

pub(super) use reader::{FileView, IndexFile};
pub(super) use writer::{Contents, write};

const MAGIC: [u8; 8] = *b"SKYWIDX\n";
const VERSION: u32 = 2;
/// magic 8, version 4, seed 8, from series 4, to series 4, from field 4, to field 4, CRC 4.
const HEADER_LEN: usize = 40;
/// Bytes under one checksum.
const CHECKED_LEN: usize = 1 << 20;
/// Slots, fingerprints, buckets, catalog, checksums, trailer: 8 each; series 4, bucket bits 4, magic 8, CRC 4.
const TRAILER_LEN: usize = 6 * 8 + 4 + 4 + 8 + 4;
/// high half 8, low half 4, number 4.
const FINGERPRINT_LEN: usize = 16;
/// In the place of a row: the number has no series here.
const NO_SLOT: u32 = u32::MAX;
/// Marks a reference to a bitmap among those to single series.
const BITMAP: u32 = 1 << 31;

/// Which numbers a file holds: from inclusive, to exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct IndexFileMeta {
    pub(crate) from: Bounds,
    pub(crate) to: Bounds,
}

/// Why an index file was not read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IndexFileError {
    /// A later release's.
    #[error("it is of version {found}; this release reads up to {supported}")]
    TooNew { found: u32, supported: u32 },
    /// Where, and what is wrong.
    #[error("damaged at offset {offset}: {reason}")]
    Damaged { offset: u64, reason: Malformed },
}

/// What a file is made from. Names, tag keys and values are sorted by bytes, rows of a table by the numbers of their
/// values, fingerprints by themselves; all are numbered from 0.
pub(super) trait Source {
    fn measurements(&self) -> usize;
    fn name(&self, measurement: usize) -> &Arc<str>;
    fn tags(&self, measurement: usize) -> usize;
    fn key(&self, measurement: usize, tag: usize) -> &Arc<str>;
    fn values(&self, measurement: usize, tag: usize) -> u32;
    fn value(&self, measurement: usize, tag: usize, value: u32) -> &str;
    fn add_postings(&self, measurement: usize, tag: usize, value: u32, all: &mut RoaringBitmap);
    fn tables(&self, measurement: usize) -> usize;
    /// Positions among the measurement's tags, in the order of the series key.
    fn table_tags(&self, measurement: usize, table: usize) -> &[u32];
    fn table_series(&self, measurement: usize, table: usize) -> RoaringBitmap;
    fn rows(&self, measurement: usize, table: usize) -> u32;
    /// Fills in the numbers of a row's values, returns that of its series.
    fn row(&self, measurement: usize, table: usize, row: u32, values: &mut Vec<u32>) -> u32;
    fn fingerprints(&self) -> u32;
    fn fingerprint(&self, position: u32) -> (Fingerprint, u32);
    fn sketch(&self) -> SeriesSketch;
}

/// A file opened: of this release's format, or what one of an earlier release defines.
pub(super) enum Opened {
    Mapped(IndexFile),
    Definitions(v1::Definitions),
}

/// Reads a file of any version, all of whose bytes are checked.
pub(super) fn open(bytes: crate::fs::FileBytes) -> Result<Opened, IndexFileError> {
    match reader::version_of(&bytes)? {
        1 => v1::decode(&bytes).map(Opened::Definitions),
        VERSION => IndexFile::open(bytes).map(Opened::Mapped),
        0 => Err(IndexFileError::Damaged { offset: 0, reason: Malformed("no such version") }),
        found => Err(IndexFileError::TooNew { found, supported: VERSION }),
    }
}
