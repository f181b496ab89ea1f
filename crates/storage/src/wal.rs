//! The write-ahead log of a shard: what was acknowledged and is not yet in a segment.
//!
//! `docs/formats/wal.md` draws the bytes. [`frame`] wraps records in checksums and finds them again; [`record`]
//! encodes what they say; [`log`] appends, with group commit; [`recovery`] reads a log back and plans its repair.

mod frame;
mod log;
mod record;
mod recovery;

pub(crate) use log::{Log, Position};
pub(crate) use record::{
    Encoder, FieldDefinition, Record, RowDecoder, SeriesDefinition, put_field, put_retired, take_field,
    take_retired, take_type,
};
pub use recovery::DamagedLog;
pub(crate) use recovery::{Repair, ScannedFile, keep_copy, scan, scan_path};

use std::path::{Path, PathBuf};

/// Names a file of the log by its sequence number.
pub(crate) fn file_name(sequence: u64) -> String {
    format!("{sequence:010}.wal")
}

/// The number in a name made by [`file_name`].
pub(crate) fn sequence_of(name: &str) -> Option<u64> {
    name.strip_suffix(".wal")?.parse().ok()
}

pub(crate) fn file_path(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(file_name(sequence))
}
