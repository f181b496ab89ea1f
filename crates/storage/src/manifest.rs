//! The manifest: which files make up a shard. Replaced atomically, so that after a crash at any point the shard is as
//! before or as after. Layout in `docs/formats/manifest.md`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use skywatch_model::{TimeRange, Version};

use crate::{
    OpenError,
    fs::{Fs, FsError, replace_file},
    index::{Bounds, IndexFileMeta, Retired},
    segment::SegmentMeta,
    tombstone::{Forgotten, Tombstones, put_tombstone, take_tombstone},
    wal::{put_retired, take_retired},
    wire::{Malformed, Reader, check_crc, put_crc, put_signed, put_varint},
};

const MAGIC: [u8; 8] = *b"SKYWMAN\n";
/// 2 adds deletes; a manifest of version 1 has none. 3 adds which of them are forgotten, and is written only where some are.
const VERSION: u32 = 3;
const WITHOUT_FORGOTTEN: u32 = 2;

/// A file of the index and the numbers in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexFile {
    pub(crate) number: u64,
    pub(crate) size_bytes: u64,
    pub(crate) range: IndexFileMeta,
}

/// See the module's header.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    /// The range of time the shard is for.
    pub(crate) range: TimeRange,
    /// Log files below this number are not part of the shard.
    pub(crate) log_floor: u64,
    /// The next free number for a segment or index file.
    pub(crate) next_file: u64,
    /// The greatest version in a segment.
    pub(crate) latest_version: Version,
    /// Oldest first: where cells are settled, a later segment wins.
    pub(crate) segments: Vec<SegmentMeta>,
    /// Ascending and without gaps.
    pub(crate) index_files: Vec<IndexFile>,
    /// The next free number for a tombstone.
    pub(crate) next_tombstone: u64,
    /// Deletes that still apply to something. The log may have younger ones.
    pub(crate) tombstones: Tombstones,
    /// Series and fields that index files and segments may still have, and that are no more.
    pub(crate) retired: Retired,
    /// Deletes that nobody needs to remember any more.
    pub(crate) forgotten: Forgotten,
}

impl PartialEq for Manifest {
    fn eq(&self, other: &Self) -> bool {
        self.encode() == other.encode()
    }
}

impl Manifest {
    /// Of a new shard.
    pub(crate) fn new(range: TimeRange) -> Self {
        Self {
            range,
            log_floor: 0,
            next_file: 1,
            latest_version: Version::ZERO,
            segments: Vec::new(),
            index_files: Vec::new(),
            next_tombstone: 1,
            tombstones: Tombstones::default(),
            retired: Retired::default(),
            forgotten: Forgotten::default(),
        }
    }

    /// The next free number, no longer free.
    pub(crate) const fn take_file(&mut self) -> u64 {
        let number = self.next_file;
        self.next_file += 1;
        number
    }

    /// Where a shard's manifest is.
    pub(crate) fn path(dir: &Path) -> PathBuf {
        dir.join("MANIFEST")
    }

    /// The first series and field that no index file holds.
    pub(crate) fn indexed(&self) -> Bounds {
        self.index_files.last().map_or(Bounds::default(), |file| file.range.to)
    }

    /// Makes this the shard's manifest, durably.
    pub(crate) fn store(&self, fs: &dyn Fs, dir: &Path) -> Result<(), FsError> {
        self.check();
        replace_file(fs, &Self::path(dir), &self.encode())
    }

    /// Reads a shard's manifest; `None` if it has none.
    pub(crate) fn load(fs: &dyn Fs, dir: &Path) -> Result<Option<Self>, OpenError> {
        let path = Self::path(dir);
        let bytes = match fs.map(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(FsError::on("read", &path))?,
        };
        Self::read(&path, &bytes).map(Some)
    }

    /// Reads the bytes of the manifest at `path`.
    pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<Self, OpenError> {
        let path = path.to_owned();
        match Self::decode(bytes) {
            Ok(Ok(manifest)) => Ok(manifest),
            Ok(Err(found)) => Err(OpenError::TooNew { path, found, supported: VERSION }),
            Err(reason) => Err(OpenError::Damaged { path, reason: reason.to_string() }),
        }
    }

    /// States what every user relies on.
    pub(crate) fn check(&self) {
        for (number, _) in self
            .segments
            .iter()
            .map(|file| (file.number, ()))
            .chain(self.index_files.iter().map(|file| (file.number, ())))
        {
            assert!(
                number < self.next_file,
                "file {number} is not below the next free number {}",
                self.next_file
            );
        }
        let mut bounds = Bounds::default();
        for file in &self.index_files {
            assert_eq!(file.range.from, bounds, "index files leave a gap");
            bounds = file.range.to;
        }
        for tombstone in self.tombstones.iter() {
            assert!(tombstone.id < self.next_tombstone, "tombstone {} has a free number", tombstone.id);
            assert!(tombstone.barrier <= self.next_file, "a file may yet get a number below a barrier");
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        let has_forgotten = self.forgotten != Forgotten::default();
        let version = if has_forgotten { VERSION } else { WITHOUT_FORGOTTEN };
        out.extend_from_slice(&version.to_le_bytes());
        put_signed(&mut out, self.range.start);
        put_signed(&mut out, self.range.end);
        for number in [self.log_floor, self.next_file, self.latest_version.0] {
            put_varint(&mut out, number);
        }
        put_varint(&mut out, self.segments.len() as u64);
        for segment in &self.segments {
            for number in [segment.number, segment.size_bytes, segment.rows, segment.cells, segment.series] {
                put_varint(&mut out, number);
            }
            put_signed(&mut out, segment.range.start);
            put_signed(&mut out, segment.range.end);
        }
        put_varint(&mut out, self.index_files.len() as u64);
        for file in &self.index_files {
            let IndexFileMeta { from, to } = file.range;
            for number in [file.number, file.size_bytes] {
                put_varint(&mut out, number);
            }
            for number in [from.series, from.fields, to.series, to.fields] {
                put_varint(&mut out, u64::from(number));
            }
        }
        put_varint(&mut out, self.next_tombstone);
        put_varint(&mut out, self.tombstones.len() as u64);
        self.tombstones.iter().for_each(|tombstone| put_tombstone(&mut out, tombstone));
        put_retired(&mut out, &self.retired);
        if has_forgotten {
            put_varint(&mut out, self.forgotten.before.0);
            put_varint(&mut out, self.forgotten.log);
        }
        put_crc(&mut out, 0);
        out
    }

    /// The inner error is a version this release does not know.
    fn decode(bytes: &[u8]) -> Result<Result<Self, u32>, Malformed> {
        let mut reader = Reader::new(check_crc(bytes)?);
        if reader.array()? != MAGIC {
            return Err(Malformed("no manifest"));
        }
        let version = reader.u32()?;
        if version == 0 || version > VERSION {
            return Ok(Err(version));
        }
        let mut manifest = Self::new(TimeRange::new(reader.signed()?, reader.signed()?));
        manifest.log_floor = reader.varint()?;
        manifest.next_file = reader.varint()?;
        manifest.latest_version = Version(reader.varint()?);
        for _ in 0..reader.count(7)? {
            manifest.segments.push(SegmentMeta {
                number: reader.varint()?,
                size_bytes: reader.varint()?,
                rows: reader.varint()?,
                cells: reader.varint()?,
                series: reader.varint()?,
                range: TimeRange::new(reader.signed()?, reader.signed()?),
            });
        }
        for _ in 0..reader.count(6)? {
            let (number, size_bytes) = (reader.varint()?, reader.varint()?);
            let from = Bounds { series: reader.varint_u32()?, fields: reader.varint_u32()? };
            let to = Bounds { series: reader.varint_u32()?, fields: reader.varint_u32()? };
            manifest.index_files.push(IndexFile { number, size_bytes, range: IndexFileMeta { from, to } });
        }
        if version >= 2 {
            manifest.next_tombstone = reader.varint()?;
            let count = reader.count(8)?;
            manifest.tombstones = (0..count)
                .map(|_| take_tombstone(&mut reader).map(Arc::new))
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .collect();
            manifest.retired = take_retired(&mut reader)?;
        }
        if version > WITHOUT_FORGOTTEN {
            manifest.forgotten = Forgotten { before: Version(reader.varint()?), log: reader.varint()? };
        }
        reader.finish()?;
        Ok(Ok(manifest))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::fs::SimFs;

    fn sample() -> Manifest {
        let mut manifest = Manifest::new(TimeRange::new(-5, 700));
        manifest.log_floor = 3;
        manifest.next_file = 9;
        manifest.latest_version = Version(77);
        let range = TimeRange::new(-5, 6);
        manifest.segments.push(SegmentMeta {
            number: 4,
            size_bytes: 100,
            rows: 2,
            cells: 3,
            series: 1,
            range,
        });
        let to = Bounds { series: 5, fields: 2 };
        let range = IndexFileMeta { from: Bounds::default(), to };
        manifest.index_files.push(IndexFile { number: 8, size_bytes: 20, range });
        manifest.next_tombstone = 7;
        manifest.tombstones = [crate::tombstone::samples::plain(), crate::tombstone::samples::with_rule()]
            .into_iter()
            .map(Arc::new)
            .collect();
        manifest.retired = Retired { series: [1, 3, 4].into(), fields: [0].into() };
        manifest
    }

    #[test]
    fn comes_back_after_a_power_cut() {
        let fs = SimFs::default();
        let dir = Path::new("");
        assert!(Manifest::load(&fs, dir).unwrap().is_none());
        sample().store(&fs, dir).unwrap();
        fs.restart();
        assert_eq!(Manifest::load(&fs, dir).unwrap(), Some(sample()));
        assert_eq!(sample().indexed(), Bounds { series: 5, fields: 2 });
    }

    fn golden(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
    }

    #[test]
    fn a_manifest_of_version_1_has_no_deletes() {
        let kept = std::fs::read(golden("manifest-v1.manifest")).unwrap();
        let manifest = Manifest::decode(&kept).unwrap().unwrap();
        let without_deletes = Manifest {
            tombstones: Tombstones::default(),
            next_tombstone: 1,
            retired: Retired::default(),
            ..sample()
        };
        assert_eq!(manifest, without_deletes);
    }

    #[test]
    fn the_format_is_the_documented_one() {
        let golden = golden("manifest-v2.manifest");
        let written = sample().encode();
        if std::env::var_os("SKYWATCH_WRITE_GOLDEN").is_some() {
            std::fs::write(&golden, &written).unwrap();
        }
        let kept = std::fs::read(&golden).unwrap();
        assert_eq!(Manifest::decode(&kept).unwrap().unwrap(), sample());
        assert!(written == kept, "the bytes of a manifest have changed");
    }

    #[test]
    fn what_is_forgotten_makes_it_one_of_version_3() {
        let mut manifest = sample();
        assert_eq!(manifest.encode()[8], 2, "readable by earlier releases");
        manifest.forgotten = Forgotten { before: Version(70), log: 2 };
        let bytes = manifest.encode();
        assert_eq!(bytes[8], 3);
        assert_eq!(Manifest::decode(&bytes).unwrap().unwrap().forgotten, manifest.forgotten);
    }

    #[test]
    fn a_later_version_is_refused() {
        let mut bytes = sample().encode();
        bytes[8] = 4;
        let end = bytes.len() - 4;
        bytes.truncate(end);
        put_crc(&mut bytes, 0);
        assert!(matches!(Manifest::decode(&bytes), Ok(Err(4))));
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let bytes = sample().encode();
        for index in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[index] ^= 1;
            assert!(Manifest::decode(&bytes).is_err(), "flip at {index}");
        }
    }
}
