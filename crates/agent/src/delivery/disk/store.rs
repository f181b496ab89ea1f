//! The buffer's files: opening, appending, acknowledging, dropping. Reading is in [`super::load`].
//!
//! What survives a power cut: everything [`DiskBuffer::append`] called durable and [`DiskBuffer::acknowledge`] did
//! not take away. What was acknowledged last may come back once, since its note may be lost.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skywatch_storage::frame;
use skywatch_storage::fs::{DirLock, Entry, File, Fs, FsError, LockError};

use super::cursor::Cursor;
use super::encoding;
use super::load::Reader;
use crate::metric::Metric;

/// Smallest and largest segment: the buffer drops its oldest metrics by segments.
const SEGMENT_BYTES_MIN: u64 = 32 * 1024;
const SEGMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// A frame larger than this, of a single metric then, is not written.
const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A limit is divided into so many segments at least.
const SEGMENTS_MIN: u64 = 16;

/// Where a buffer is and how large it may become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskOptions {
    /// Its own directory.
    pub dir: PathBuf,
    /// Most bytes of segments.
    pub limit_bytes: u64,
    /// Whether a metric counts as kept only once it survives a power cut.
    pub sync: bool,
}

/// Why a buffer cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Somebody else does.
    #[error(
        "the buffer in {} is in use by another agent{}; give each a buffer_directory of its own",
        dir.display(),
        .process.map(|id| format!(" (process {id})")).unwrap_or_default()
    )]
    InUse {
        /// Its directory.
        dir: PathBuf,
        /// Who holds it, if that is known.
        process: Option<u32>,
    },
    /// The system refuses.
    #[error("the buffer on disk: {0}")]
    Io(#[from] FsError),
}

/// What was found in a buffer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opened {
    /// Number of the oldest metric still to be sent.
    pub acknowledged: u64,
    /// Number of the next metric.
    pub end: u64,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// What became of metrics to be appended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Appended {
    /// So many of them, from the first on, are on disk and have the buffer's next numbers.
    pub durable: usize,
    /// Metrics with smaller numbers were dropped to make room.
    pub evicted_below: u64,
    /// Why the others are not.
    pub failed: Option<String>,
}

/// One file of the buffer.
#[derive(Debug)]
pub(super) struct Segment {
    /// Number of its first metric, after which it is named.
    pub(super) first: u64,
    pub(super) path: PathBuf,
    /// Bytes of whole frames, or of a sealed file as found.
    pub(super) len: u64,
}

/// An output's metrics in files.
#[derive(Debug)]
pub(crate) struct DiskBuffer {
    pub(super) fs: Arc<dyn Fs>,
    options: DiskOptions,
    segment_len_max: u64,
    /// Oldest first.
    pub(super) segments: VecDeque<Segment>,
    /// The last segment, open; absent when the next append begins another.
    active: Option<Arc<dyn File>>,
    /// The last segment after a failed append, of which something may be there.
    uncut: Option<Arc<dyn File>>,
    cursor: Cursor,
    acknowledged: u64,
    /// Number of the next metric.
    pub(super) end: u64,
    pub(super) reader: Option<Reader>,
    _lock: Box<dyn DirLock>,
}

impl DiskBuffer {
    /// Opens the buffer, or makes it.
    pub(crate) fn open(fs: Arc<dyn Fs>, options: DiskOptions) -> Result<(Self, Opened), OpenError> {
        let dir = options.dir.clone();
        fs.create_dir_all(&dir).map_err(FsError::on("create", &dir))?;
        let lock = fs.lock(&dir.join("lock")).map_err(|error| match error {
            LockError::Held(process) => OpenError::InUse { dir: dir.clone(), process },
            LockError::Io(error) => FsError::on("lock", &dir.join("lock"))(error).into(),
        })?;
        let mut notes = Vec::new();
        let segments = list(fs.as_ref(), &dir)?;
        let (cursor, noted) = Cursor::open(&fs, &dir)?;
        let noted = noted.unwrap_or_else(|damaged| {
            notes.push(format!("{}: {damaged}; the whole buffer is sent again", dir.display()));
            0
        });
        let (active, end) = match segments.back() {
            None => (None, 0),
            Some(last) => {
                let file = fs.open_append(&last.path).map_err(FsError::on("open", &last.path))?;
                let (kept, end) = repair(fs.as_ref(), last, file.as_ref(), &mut notes)?;
                (Some((file, kept)), end)
            }
        };
        let oldest = segments.front().map(|segment| segment.first);
        let acknowledged = noted.max(oldest.unwrap_or(0));
        let mut buffer = Self {
            segment_len_max: (options.limit_bytes / SEGMENTS_MIN).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX),
            fs,
            options,
            segments,
            active: None,
            uncut: None,
            cursor,
            acknowledged,
            end: end.max(acknowledged),
            reader: None,
            _lock: lock,
        };
        if let (Some((file, kept)), Some(last)) = (active, buffer.segments.back_mut()) {
            last.len = kept;
            buffer.active = Some(file);
        }
        buffer.remove_acknowledged()?;
        let opened = Opened { acknowledged, end: buffer.end, notes };
        Ok((buffer, opened))
    }

    /// Appends metrics, as far as the disk takes them.
    pub(crate) fn append(&mut self, metrics: &[Arc<Metric>]) -> Appended {
        let mut durable = 0;
        let mut failed = None;
        while durable < metrics.len() {
            match self.append_some(&metrics[durable..]) {
                Ok(count) => {
                    durable += count;
                    self.end += count as u64;
                }
                Err(error) => {
                    failed = Some(error.to_string());
                    break;
                }
            }
        }
        Appended { durable, evicted_below: self.acknowledged, failed }
    }

    /// Notes that everything before `number` is done with, and gives its space back.
    pub(crate) fn acknowledge(&mut self, number: u64) -> Result<(), FsError> {
        if number <= self.acknowledged {
            return Ok(());
        }
        self.acknowledged = number.min(self.end);
        self.cursor.advance(self.acknowledged, self.options.sync)?;
        self.remove_acknowledged()
    }

    /// Fills what is left of the last segment, with one sync.
    fn append_some(&mut self, metrics: &[Arc<Metric>]) -> Result<usize, FsError> {
        if let (Some(file), Some(last)) = (&self.uncut, self.segments.back()) {
            file.truncate(last.len).map_err(FsError::on("cut", &last.path))?;
            self.uncut = None;
        }
        let room = match (&self.active, self.segments.back()) {
            (Some(_), Some(last)) if last.len < self.segment_len_max => self.segment_len_max - last.len,
            _ => self.segment_len_max,
        };
        let mut bytes = Vec::new();
        let mut taken = 0;
        while taken < metrics.len() && (taken == 0 || (bytes.len() as u64) < room) {
            let start = frame::begin(&mut bytes);
            let count = encoding::encode(&mut bytes, self.end + taken as u64, &metrics[taken..]);
            if bytes.len() - start > FRAME_BYTES_MAX {
                // No file could hold it. It has its number all the same; a reader finds it missing.
                bytes.truncate(start);
            } else {
                frame::end(&mut bytes, start);
            }
            taken += count;
        }
        self.make_room(bytes.len() as u64)?;
        let file = self.active_file()?;
        self.write(file.as_ref(), &bytes)?;
        Ok(taken)
    }

    fn write(&mut self, file: &dyn File, bytes: &[u8]) -> Result<(), FsError> {
        let Some(last) = self.segments.back_mut() else { return Ok(()) };
        let written = file.append(bytes).map_err(FsError::on("write", &last.path));
        let synced = written.and_then(|()| match self.options.sync {
            true => file.sync().map_err(FsError::on("sync", &last.path)),
            false => Ok(()),
        });
        if let Err(error) = synced {
            // Nothing is known of a file whose sync failed: the next append cuts off what is there of this one and
            // begins another file.
            self.uncut = self.active.take();
            return Err(error);
        }
        last.len += bytes.len() as u64;
        Ok(())
    }

    /// The last segment, or a new one where that is full.
    fn active_file(&mut self) -> Result<Arc<dyn File>, FsError> {
        if let (Some(file), Some(last)) = (&self.active, self.segments.back())
            && last.len < self.segment_len_max
        {
            return Ok(Arc::clone(file));
        }
        if let Some(last) = self.segments.back()
            && last.first == self.end
        {
            // It was given up before a frame of it was whole.
            self.fs.remove_file(&last.path).map_err(FsError::on("remove", &last.path))?;
            self.segments.pop_back();
        }
        let path = self.options.dir.join(file_name(self.end));
        let file = self.fs.create(&path).map_err(FsError::on("create", &path))?;
        self.segments.push_back(Segment { first: self.end, path: path.clone(), len: 0 });
        self.active = Some(Arc::clone(&file));
        if self.options.sync {
            self.fs.sync_dir(&self.options.dir).map_err(FsError::on("sync", &self.options.dir)).inspect_err(
                // A name that may be lost holds nothing safely.
                |_| self.active = None,
            )?;
        }
        Ok(file)
    }

    /// Drops the oldest segments until `len` more bytes fit.
    fn make_room(&mut self, len: u64) -> Result<(), FsError> {
        while self.bytes() > 0 && self.bytes() + len > self.options.limit_bytes {
            if self.segments.len() == 1 {
                self.active = None;
            }
            let next = self.segments.get(1).map_or(self.end, |segment| segment.first);
            self.remove_oldest()?;
            self.acknowledged = self.acknowledged.max(next);
        }
        Ok(())
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }

    fn remove_acknowledged(&mut self) -> Result<(), FsError> {
        while self.segments.get(1).is_some_and(|next| next.first <= self.acknowledged) {
            self.remove_oldest()?;
        }
        let is_done = self.acknowledged >= self.end;
        if is_done && self.segments.back().is_some_and(|last| last.len >= SEGMENT_BYTES_MIN) {
            self.active = None;
            self.remove_oldest()?;
        }
        Ok(())
    }

    fn remove_oldest(&mut self) -> Result<(), FsError> {
        if let Some(oldest) = self.segments.front() {
            self.fs.remove_file(&oldest.path).map_err(FsError::on("remove", &oldest.path))?;
            self.segments.pop_front();
        }
        Ok(())
    }
}

/// Cuts what a crash left of a frame at the end of the last segment. Returns the length kept, and the number of the
/// next metric.
fn repair(
    fs: &dyn Fs,
    last: &Segment,
    file: &dyn File,
    notes: &mut Vec<String>,
) -> Result<(u64, u64), FsError> {
    let whole = usize::try_from(last.len).unwrap_or(usize::MAX);
    let bytes = fs.read_at(&last.path, 0, whole).map_err(FsError::on("read", &last.path))?;
    let frames = frame::find_frames(&bytes, 0);
    let end = frames.bodies.iter().filter_map(|body| encoding::head(&bytes[body.clone()]).ok());
    let end = end.map(|(first, count)| first.saturating_add(count.into())).max();
    // Frames of a later version have numbers that cannot be read; the next segment needs another name than this.
    let end = end.unwrap_or(last.first + u64::from(!frames.bodies.is_empty()));
    if frames.end < bytes.len() {
        file.truncate(frames.end as u64).map_err(FsError::on("cut", &last.path))?;
        file.sync().map_err(FsError::on("sync", &last.path))?;
        notes.push(format!(
            "{}: cut {} bytes of an append that was interrupted",
            last.path.display(),
            bytes.len() - frames.end
        ));
    }
    Ok((frames.end as u64, end.max(last.first)))
}

fn list(fs: &dyn Fs, dir: &Path) -> Result<VecDeque<Segment>, FsError> {
    let entries = fs.list(dir).map_err(FsError::on("list", dir))?;
    let segment = |entry: Entry| {
        let first = entry.name.strip_suffix(".metrics").filter(|_| !entry.is_dir)?.parse().ok()?;
        Some(Segment { first, path: dir.join(&entry.name), len: entry.len })
    };
    // Names have a fixed width, hence their order is that of the numbers.
    Ok(entries.into_iter().filter_map(segment).collect())
}

fn file_name(first: u64) -> String {
    format!("{first:020}.metrics")
}
