//! What is in a file or a shard.

use std::{path::Path, sync::Arc};

use serde::Serialize;

use super::{InspectError, Kind, index, index::IndexDescription, kind_of, shard_dirs};
use crate::{
    OpenError,
    fs::{Fs, FsError},
    index::Index,
    manifest::Manifest,
    segment::{self, Segment, SegmentDescription},
    shard::index_path,
    wal::{self, Record, RowDecoder, ScannedFile},
};

/// What [`describe`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Description {
    /// Of a data directory.
    Store {
        /// Its shards.
        shards: Vec<ShardDescription>,
    },
    /// Of a shard.
    Shard(ShardDescription),
    /// Of a segment.
    Segment(SegmentDescription),
    /// Of a log file.
    Log(LogDescription),
    /// Of an index file.
    Index(IndexDescription),
    /// Of a manifest.
    Manifest(ManifestDescription),
}

/// A shard in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShardDescription {
    /// Its directory.
    pub dir: String,
    /// Its manifest.
    pub manifest: ManifestDescription,
    /// Of all index files.
    pub index: IndexDescription,
    /// Oldest first.
    pub segments: Vec<SegmentDescription>,
    /// Oldest first.
    pub log: Vec<LogDescription>,
}

/// A manifest in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ManifestDescription {
    /// First time of the shard, nanoseconds.
    pub start_ns: i64,
    /// Last time of the shard, nanoseconds.
    pub end_ns: i64,
    /// Log files below this number are not part of the shard.
    pub log_floor: u64,
    /// The next free number for a file.
    pub next_file: u64,
    /// The greatest version in a segment.
    pub latest_version: u64,
    /// Numbers of the segments, oldest first.
    pub segments: Vec<u64>,
    /// Numbers of the index files.
    pub index_files: Vec<u64>,
}

/// A log file in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[non_exhaustive]
pub struct LogDescription {
    /// The file.
    pub file: String,
    /// Length.
    pub size_bytes: u64,
    /// Records that can be read.
    pub records: u64,
    /// Of which with rows.
    pub row_records: u64,
    /// Rows in them.
    pub rows: u64,
    /// Smallest version of a row; 0 without rows.
    pub version_first: u64,
    /// Greatest version of a row; 0 without rows.
    pub version_last: u64,
    /// Bytes after the last whole record: never acknowledged, or being written.
    pub torn_bytes: u64,
    /// Stretches that should be records and are not.
    pub damaged_stretches: u64,
    /// Records that cannot be decoded.
    pub undecodable: u64,
}

/// Describes a data directory, a shard or a file.
pub fn describe(fs: &Arc<dyn Fs>, path: &Path) -> Result<Description, InspectError> {
    let (kind, path) = kind_of(&**fs, path)?;
    Ok(match kind {
        Kind::Store => {
            let dirs = shard_dirs(&**fs, &path)?;
            let shards = dirs.iter().map(|dir| describe_shard(fs, dir)).collect::<Result<_, _>>()?;
            Description::Store { shards }
        }
        Kind::Shard => Description::Shard(describe_shard(fs, &path)?),
        Kind::Segment(number) => Description::Segment(describe_segment(fs, &path, number)?),
        Kind::Log(sequence) => {
            let scanned =
                wal::scan_path(&**fs, &path, sequence).map_err(|error| unreadable(&path, &error))?;
            Description::Log(describe_log(&scanned))
        }
        Kind::Index => {
            let bytes = fs.map(&path).map_err(FsError::on("read", &path))?;
            let (index, _) = index::read(bytes).map_err(|reason| unreadable_index(&path, &reason))?;
            Description::Index(index::describe(index))
        }
        Kind::Manifest => {
            let bytes = fs.map(&path).map_err(FsError::on("read", &path))?;
            let manifest = Manifest::read(&path, &bytes).map_err(|error| unreadable(&path, &error))?;
            Description::Manifest(describe_manifest(&manifest))
        }
    })
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> InspectError {
    InspectError::Unreadable { path: path.to_owned(), reason: error.to_string() }
}

fn describe_shard(fs: &Arc<dyn Fs>, dir: &Path) -> Result<ShardDescription, InspectError> {
    let path = Manifest::path(dir);
    let missing = || InspectError::Unreadable { path: path.clone(), reason: "it is missing".to_owned() };
    let manifest =
        Manifest::load(&**fs, dir).map_err(|error| unreadable(&path, &error))?.ok_or_else(missing)?;
    let mut index = Index::default();
    for file in &manifest.index_files {
        let path = index_path(dir, file.number);
        let bytes = fs.map(&path).map_err(FsError::on("read", &path))?;
        index::add(&mut index, bytes).map_err(|reason| unreadable_index(&path, &reason))?;
    }
    let segments = manifest
        .segments
        .iter()
        .map(|meta| describe_segment(fs, &segment::file_path(dir, meta.number), meta.number))
        .collect::<Result<_, _>>()?;
    let log =
        wal::scan(&**fs, dir, manifest.log_floor).map_err(|error: OpenError| unreadable(dir, &error))?;
    Ok(ShardDescription {
        dir: dir.display().to_string(),
        manifest: describe_manifest(&manifest),
        index: index::describe(index),
        segments,
        log: log.files.iter().map(describe_log).collect(),
    })
}

fn describe_segment(fs: &Arc<dyn Fs>, path: &Path, number: u64) -> Result<SegmentDescription, InspectError> {
    let segment = Segment::open(fs, path, number).map_err(|error| unreadable(path, &error))?;
    segment.describe().map_err(|error| unreadable(path, &error))
}

fn unreadable_index(path: &Path, (offset, reason): &(u64, String)) -> InspectError {
    unreadable(path, &format!("offset {offset}: {reason}"))
}

fn describe_manifest(manifest: &Manifest) -> ManifestDescription {
    ManifestDescription {
        start_ns: manifest.range.start,
        end_ns: manifest.range.end,
        log_floor: manifest.log_floor,
        next_file: manifest.next_file,
        latest_version: manifest.latest_version.0,
        segments: manifest.segments.iter().map(|segment| segment.number).collect(),
        index_files: manifest.index_files.iter().map(|file| file.number).collect(),
    }
}

fn describe_log(scanned: &ScannedFile) -> LogDescription {
    let mut log = LogDescription {
        file: scanned.path.display().to_string(),
        size_bytes: scanned.len_bytes(),
        torn_bytes: scanned.torn_bytes(),
        damaged_stretches: scanned.damaged().len() as u64,
        ..LogDescription::default()
    };
    let mut decoder = RowDecoder::default();
    for (_, body) in scanned.records() {
        log.records += 1;
        let rows = match Record::decode(body) {
            Ok(Record::Rows(payload)) => decoder.decode(&payload),
            Ok(_) => continue,
            Err(reason) => Err(reason),
        };
        match rows {
            Ok(rows) => {
                let version = rows.version.0;
                log.version_first =
                    if log.row_records == 0 { version } else { log.version_first.min(version) };
                log.version_last = log.version_last.max(version);
                log.row_records += 1;
                log.rows += rows.len() as u64;
            }
            Err(_) => log.undecodable += 1,
        }
    }
    log
}
