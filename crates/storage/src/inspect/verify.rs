//! Reading every byte.

use std::{io, path::Path, sync::Arc};

use super::{Finding, InspectError, Kind, Report, index, kind_of, kind_of_file, shard_dirs};
use crate::{
    OpenError, ReadError,
    fs::{Fs, FsError, TEMPORARY_SUFFIX},
    index::IndexFileMeta,
    manifest::Manifest,
    segment::{self, Segment, SegmentMeta},
    shard::index_path,
    wal::{self, Record, RowDecoder, ScannedFile},
};

/// How often a shard is looked at again whose files were replaced meanwhile.
const ATTEMPTS: usize = 5;

const RESTORE: &str = "Restore the database from a backup beside this one (skywatch ctl restore --new-db), or the file \
                       from another copy of this very shard.";
const SEGMENT: &str = "Queries that need its series and times fail; other data is not touched.";
const INDEX: &str = "It is rebuilt from the segments at the next start, which takes longer.";
const INDEX_ADVICE: &str = "Restart the server; nothing is lost while the segments are whole.";
const LOG: &str = "Points of these records that were not in a segment yet are lost; at the next start a copy of the \
                   file goes to quarantine/ and the rest is used.";
const MANIFEST: &str = "The server refuses to start with this shard.";

/// Reads everything below `path`, going on after damage. `progress` is told of bytes as they are done.
pub fn verify(fs: &Arc<dyn Fs>, path: &Path, progress: &mut dyn FnMut(u64)) -> Result<Report, InspectError> {
    let (kind, path) = kind_of(&**fs, path)?;
    let mut verifier = Verifier { fs, progress, report: Report::default() };
    match kind {
        Kind::Store => {
            for dir in shard_dirs(&**fs, &path)? {
                verifier.shard(&dir)?;
            }
        }
        Kind::Shard => verifier.shard(&path)?,
        Kind::Segment(number) => drop(verifier.segment(&path, number, None)),
        Kind::Index => drop(verifier.index(&path, None)),
        Kind::Log(sequence) => {
            let scanned = wal::scan_path(&**fs, &path, sequence);
            verifier.log_file(&path, scanned);
        }
        Kind::Manifest => {
            let bytes = fs.map(&path).map_err(FsError::on("read", &path))?;
            verifier.done(bytes.len() as u64);
            if let Err(error) = Manifest::read(&path, &bytes) {
                verifier.manifest_damage(&path, &error);
            }
        }
    }
    Ok(verifier.report)
}

struct Verifier<'a> {
    fs: &'a Arc<dyn Fs>,
    progress: &'a mut dyn FnMut(u64),
    report: Report,
}

/// Whether a file was there.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Here,
    Missing,
}

impl Verifier<'_> {
    fn done(&mut self, bytes: u64) {
        self.report.files += 1;
        self.report.bytes += bytes;
        (self.progress)(bytes);
    }

    fn find(
        &mut self,
        path: &Path,
        offset: Option<u64>,
        problem: String,
        meaning: &'static str,
        advice: &'static str,
    ) {
        let (path, offset_bytes) = (path.to_owned(), offset);
        self.report.findings.push(Finding { path, offset_bytes, problem, meaning, advice });
    }

    fn manifest_damage(&mut self, path: &Path, error: &OpenError) {
        let problem = match error {
            OpenError::Damaged { reason, .. } => reason.clone(),
            other => other.to_string(),
        };
        self.find(path, None, problem, MANIFEST, RESTORE);
    }

    fn shard(&mut self, dir: &Path) -> Result<(), FsError> {
        let path = Manifest::path(dir);
        for attempt in 1.. {
            let before = self.report.clone();
            let manifest = match Manifest::load(&**self.fs, dir) {
                Ok(Some(manifest)) => manifest,
                Ok(None) => {
                    self.find(&path, None, "it is missing".to_owned(), MANIFEST, RESTORE);
                    return Ok(());
                }
                Err(error) => {
                    self.manifest_damage(&path, &error);
                    return Ok(());
                }
            };
            let size_bytes = self.fs.map(&path).map_or(0, |bytes| bytes.len() as u64);
            self.done(size_bytes);
            let all_here = self.files(dir, &manifest)?;
            // A running store replaces files, and the manifest before them.
            let is_replaced =
                || Manifest::load(&**self.fs, dir).is_ok_and(|now| now.as_ref() != Some(&manifest));
            if all_here || attempt == ATTEMPTS || !is_replaced() {
                return Ok(());
            }
            self.report = before;
        }
        Ok(())
    }

    /// Whether all files that the manifest names were there.
    fn files(&mut self, dir: &Path, manifest: &Manifest) -> Result<bool, FsError> {
        let mut all_here = true;
        for meta in &manifest.segments {
            all_here &=
                self.segment(&segment::file_path(dir, meta.number), meta.number, Some(meta)) == Seen::Here;
        }
        for file in &manifest.index_files {
            all_here &= self.index(&index_path(dir, file.number), Some(file.range)) == Seen::Here;
        }
        for entry in self.fs.list(dir).map_err(FsError::on("list", dir))? {
            let path = dir.join(&entry.name);
            let sequence = wal::sequence_of(&entry.name);
            if let Some(sequence) = sequence.filter(|sequence| *sequence >= manifest.log_floor) {
                let scanned = wal::scan_path(&**self.fs, &path, sequence);
                self.log_file(&path, scanned);
            } else if entry.is_dir && entry.name == "quarantine" {
                self.report.notes.push(format!("{}: copies of files found damaged earlier", path.display()));
            } else if self.is_leftover(&entry.name, manifest) {
                let note = "not part of the shard (yet, or any more); removed at the next start";
                self.report.notes.push(format!("{}: {note}", path.display()));
            }
        }
        Ok(all_here)
    }

    fn is_leftover(&self, name: &str, manifest: &Manifest) -> bool {
        match kind_of_file(name) {
            Some(Kind::Segment(number)) => manifest.segments.iter().all(|segment| segment.number != number),
            Some(Kind::Index) => manifest
                .index_files
                .iter()
                .all(|file| index_path(Path::new(""), file.number) != Path::new(name)),
            Some(Kind::Log(_)) => true,
            Some(Kind::Manifest | Kind::Store | Kind::Shard) => false,
            None => name.ends_with(TEMPORARY_SUFFIX),
        }
    }

    fn segment(&mut self, path: &Path, number: u64, expected: Option<&SegmentMeta>) -> Seen {
        let segment = match Segment::open(self.fs, path, number) {
            Ok(segment) => segment,
            Err(OpenError::Io(error)) if error.source.kind() == io::ErrorKind::NotFound => {
                self.find(
                    path,
                    None,
                    "the manifest names it, and it is missing".to_owned(),
                    SEGMENT,
                    RESTORE,
                );
                return Seen::Missing;
            }
            Err(error) => {
                let problem = match error {
                    OpenError::Damaged { reason, .. } => reason,
                    other => other.to_string(),
                };
                self.find(path, None, problem, SEGMENT, RESTORE);
                self.done(expected.map_or(0, |meta| meta.size_bytes));
                return Seen::Here;
            }
        };
        if expected.is_some_and(|meta| meta != segment.meta()) {
            self.find(path, None, "it is not the file that the manifest names".to_owned(), SEGMENT, RESTORE);
        }
        let mut damage = Vec::new();
        segment.verify(&mut |error| damage.push(error));
        for error in damage {
            let (offset, problem) = match error {
                ReadError::Corrupt { offset, reason, .. } => (Some(offset), reason),
                other => (None, other.to_string()),
            };
            self.find(path, offset, problem, SEGMENT, RESTORE);
        }
        self.done(segment.meta().size_bytes);
        Seen::Here
    }

    fn index(&mut self, path: &Path, expected: Option<IndexFileMeta>) -> Seen {
        let bytes = match self.fs.map(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let is_missing = error.kind() == io::ErrorKind::NotFound;
                self.find(path, None, error.to_string(), INDEX, INDEX_ADVICE);
                return if is_missing { Seen::Missing } else { Seen::Here };
            }
        };
        let size_bytes = bytes.len() as u64;
        match index::read(bytes) {
            Ok((_, range)) if expected.is_none_or(|expected| expected == range) => {}
            Ok(_) => {
                let problem = "it is not the file that the manifest names".to_owned();
                self.find(path, None, problem, INDEX, INDEX_ADVICE);
            }
            Err((offset, reason)) => self.find(path, Some(offset), reason, INDEX, INDEX_ADVICE),
        }
        self.done(size_bytes);
        Seen::Here
    }

    fn log_file(&mut self, path: &Path, scanned: Result<ScannedFile, OpenError>) {
        let scanned = match scanned {
            Ok(scanned) => scanned,
            // Flushed meanwhile: its points are in a segment.
            Err(OpenError::Io(error)) if error.source.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.find(path, None, error.to_string(), LOG, RESTORE),
        };
        for range in scanned.damaged() {
            let problem = format!("{} bytes are no record, though records follow", range.len());
            self.find(path, Some(range.start as u64), problem, LOG, RESTORE);
        }
        let mut decoder = RowDecoder::default();
        for (offset, body) in scanned.records() {
            let decoded = match Record::decode(body) {
                Ok(Record::Rows(payload)) => decoder.decode(&payload).map(drop),
                Ok(_) => Ok(()),
                Err(reason) => Err(reason),
            };
            if let Err(reason) = decoded {
                self.find(path, Some(offset), reason.to_string(), LOG, RESTORE);
            }
        }
        if scanned.torn_bytes() > 0 {
            let note = "after the last whole record: never acknowledged, or being written now";
            self.report.notes.push(format!("{}: {} bytes {note}", path.display(), scanned.torn_bytes()));
        }
        self.done(scanned.len_bytes());
    }
}
