//! A queue on disk: files of frames, appended to at one end and read from the other.
//!
//! ```text
//! <number>.hints    magic, version, time of the first entry, then a frame an entry
//! gaps              there while something that belonged here was given up
//! ```
//!
//! A file goes when all of it has been delivered. What had been delivered of the first one is delivered again after a
//! restart, which does no harm. A torn tail is an entry that was never acknowledged, and is cut off; damage elsewhere
//! costs the entries it hits, which leaves a gap.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use skywatch_model::WallClock;
use skywatch_storage::{
    frame,
    fs::{File, Fs, FsError},
};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use super::{
    HintSettings,
    packing::{pack, unpack, unpacked_len},
};
use crate::offload;

const MAGIC: [u8; 8] = *b"SKYWHH1\n";
const HEADER_LEN: usize = 16;
const SUFFIX: &str = ".hints";
const GAPS: &str = "gaps";
/// A file that has grown to this is followed by another.
const FILE_BYTES: u64 = 10 << 20;

/// Why an operation was not kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HintError {
    /// As much waits as may.
    #[error("queue is full")]
    Full,
    /// The disk is slower than operations come: as many wait for it as may.
    #[error("queue is blocked")]
    Blocked,
    /// Nothing is kept at all.
    #[error("hinted handoff disabled")]
    Disabled,
    /// The node the queue is for was removed.
    #[error("hinted handoff queue is closed")]
    Closed,
    /// The disk refused.
    #[error("hinted handoff: {0}")]
    Io(String),
}

/// What a queue holds and has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Entries that wait.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes ever taken.
    pub bytes_written: u64,
    /// Bytes ever handed out.
    pub bytes_read: u64,
    /// Entries that found no room.
    pub dropped: u64,
    /// Entries ever taken, and points in them.
    pub appended: u64,
    /// See [`Self::appended`].
    pub points: u64,
    /// Deliveries tried, and those that failed.
    pub deliveries: u64,
    /// See [`Self::deliveries`].
    pub failed_deliveries: u64,
    /// Points stored by those that went well.
    pub delivered_points: u64,
    /// Whether something that belonged here was given up.
    pub has_gaps: bool,
}

/// One file.
#[derive(Debug)]
struct Piece {
    number: u64,
    path: PathBuf,
    /// No later than this its last entry came; of one that was there at the start, the start.
    until_ms: u64,
    len: u64,
    /// Entries not delivered yet.
    entries: u64,
}

#[derive(Debug, Default)]
struct State {
    /// Oldest first.
    pieces: VecDeque<Piece>,
    /// The newest piece, open.
    tail: Option<Arc<dyn File>>,
    next_number: u64,
    /// Where the next entry to deliver begins in the oldest piece.
    position: u64,
    /// Entries appended so far, and how many of them are durable.
    appended: u64,
    is_closed: bool,
    /// A write or sync of the tail failed: it is not appended to any more.
    tail_is_bad: bool,
}

/// Entries of the oldest piece that have been read, so that its bytes are read and checked once however many batches they
/// make.
#[derive(Debug)]
struct Reading {
    piece: u64,
    /// Where in the piece it begins, and ends.
    start: u64,
    end: u64,
    content: Bytes,
    /// Places of entries in `content`.
    bodies: Vec<std::ops::Range<usize>>,
}

/// See the module's header.
#[derive(Debug)]
pub struct Queue {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    wall: Arc<dyn WallClock>,
    max_bytes: u64,
    max_pending: u64,
    /// Operations that are on their way to the disk.
    pending: AtomicU64,
    state: Mutex<State>,
    reading: Mutex<Option<Arc<Reading>>>,
    /// Number of entries known to be durable; held while the disk is waited for, so that those who wait share a sync.
    synced: AsyncMutex<u64>,
    has_gaps: AtomicBool,
    /// Whether its directory was not there when it was opened.
    is_new: bool,
    /// Wakes whoever delivers.
    pub(crate) filled: Notify,
    bytes_written: AtomicU64,
    bytes_read: AtomicU64,
    dropped: AtomicU64,
    points: AtomicU64,
    deliveries: AtomicU64,
    failed_deliveries: AtomicU64,
    delivered_points: AtomicU64,
}

/// Entries to be delivered next.
#[derive(Debug, Default)]
pub struct Batch {
    /// Each as it was appended.
    pub entries: Vec<Bytes>,
    /// How many there were, with those that cannot be read.
    count: u64,
    /// Where the next batch begins.
    end: u64,
    piece: u64,
}

/// Counts an operation until it is durable, or given up.
struct OnItsWay<'a> {
    pending: &'a AtomicU64,
    /// How many there were before it.
    others: u64,
}

impl<'a> OnItsWay<'a> {
    fn new(pending: &'a AtomicU64) -> Self {
        Self { pending, others: pending.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Queue {
    pub(super) fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        wall: Arc<dyn WallClock>,
        settings: &HintSettings,
    ) -> Result<Self, FsError> {
        let is_new = fs.list(dir).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        fs.create_dir_all(dir).map_err(FsError::on("create", dir))?;
        let mut state = State { next_number: 1, ..State::default() };
        let mut has_gaps = false;
        for entry in fs.list(dir).map_err(FsError::on("list", dir))? {
            if entry.name == GAPS {
                has_gaps = true;
                continue;
            }
            let Some(number) = entry.name.strip_suffix(SUFFIX).and_then(|number| number.parse().ok()) else {
                continue;
            };
            let path = dir.join(&entry.name);
            let (piece, is_damaged) = read_piece(&*fs, number, path, wall.now_ms())?;
            has_gaps |= is_damaged;
            state.next_number = state.next_number.max(number + 1);
            if piece.entries == 0 {
                fs.remove_file(&piece.path).map_err(FsError::on("remove", &piece.path))?;
            } else {
                state.pieces.push_back(piece);
            }
        }
        state.pieces.make_contiguous().sort_by_key(|piece| piece.number);
        state.position = HEADER_LEN as u64;
        let queue = Self {
            fs,
            dir: dir.to_owned(),
            wall,
            max_bytes: settings.max_bytes,
            max_pending: settings.max_pending,
            pending: AtomicU64::new(0),
            state: Mutex::new(state),
            reading: Mutex::default(),
            synced: AsyncMutex::new(0),
            has_gaps: AtomicBool::new(false),
            is_new,
            filled: Notify::new(),
            bytes_written: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            points: AtomicU64::new(0),
            deliveries: AtomicU64::new(0),
            failed_deliveries: AtomicU64::new(0),
            delivered_points: AtomicU64::new(0),
        };
        if has_gaps {
            queue.note_gap();
        }
        Ok(queue)
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.state.lock().pieces.is_empty()
    }

    /// Whether something that belonged here was given up, so that delivering the rest is not enough.
    pub fn has_gaps(&self) -> bool {
        self.has_gaps.load(Ordering::Acquire)
    }

    /// The catalogue says that something was kept here before this start. A queue that is not there any more has lost it; one that
    /// was emptied has not.
    pub fn expect_kept(&self) {
        if self.is_new && !self.has_gaps() {
            tracing::error!(dir = %self.dir.display(), "hints are lost; comparing the replicas brings back what they held");
            self.note_gap();
        }
    }

    /// The destination has been brought up to date by other means.
    pub fn close_gaps(&self) {
        let path = self.dir.join(GAPS);
        match self.fs.remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "cannot remove; the comparison is made once more after a restart");
            }
            _ => {}
        }
        self.has_gaps.store(false, Ordering::Release);
    }

    /// What it holds and has done.
    pub fn stats(&self) -> QueueStats {
        let state = self.state.lock();
        QueueStats {
            entries: state.pieces.iter().map(|piece| piece.entries).sum(),
            bytes: waiting_bytes(&state),
            bytes_written: self.bytes_written.load(Ordering::Relaxed),
            bytes_read: self.bytes_read.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            appended: state.appended,
            points: self.points.load(Ordering::Relaxed),
            deliveries: self.deliveries.load(Ordering::Relaxed),
            failed_deliveries: self.failed_deliveries.load(Ordering::Relaxed),
            delivered_points: self.delivered_points.load(Ordering::Relaxed),
            has_gaps: self.has_gaps(),
        }
    }

    /// The oldest and the newest of its files, if anything waits, and no later than when its last entry came (milliseconds
    /// since 1970).
    pub fn ends(&self) -> Option<(PathBuf, PathBuf, u64)> {
        let state = self.state.lock();
        let (head, tail) = (state.pieces.front()?, state.pieces.back()?);
        Some((head.path.clone(), tail.path.clone(), tail.until_ms))
    }

    /// Counts a delivery.
    pub(crate) fn tried(&self, has_arrived: bool) {
        self.deliveries.fetch_add(1, Ordering::Relaxed);
        self.failed_deliveries.fetch_add(u64::from(!has_arrived), Ordering::Relaxed);
    }

    /// Counts points that a delivery has stored.
    pub(crate) fn arrived(&self, points: u64) {
        self.delivered_points.fetch_add(points, Ordering::Relaxed);
    }

    /// Keeps an operation of so many points; when this returns `Ok`, it is durable. When it does not, the queue has a gap.
    pub async fn append(&self, entry: &[u8], points: u64) -> Result<(), HintError> {
        let pending = OnItsWay::new(&self.pending);
        let is_blocked = pending.others >= self.max_pending;
        let written = if is_blocked { Err(HintError::Blocked) } else { offload(|| self.write(entry)) };
        let number = match written {
            Ok(number) => number,
            Err(error) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                offload(|| self.note_gap());
                return Err(error);
            }
        };
        let mut synced = self.synced.lock().await;
        if *synced < number {
            *synced = offload(|| self.sync()).inspect_err(|_| self.note_gap())?;
        }
        drop(synced);
        self.points.fetch_add(points, Ordering::Relaxed);
        self.filled.notify_one();
        Ok(())
    }

    /// Appends an entry and returns how many there are.
    fn write(&self, entry: &[u8]) -> Result<u64, HintError> {
        let entry = pack(entry);
        let mut bytes = Vec::with_capacity(entry.len() + frame::FRAME_HEADER_LEN);
        let start = frame::begin(&mut bytes);
        bytes.extend_from_slice(&entry);
        frame::end(&mut bytes, start);
        let now_ms = self.wall.now_ms();
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(HintError::Closed);
        }
        if waiting_bytes(&state) + bytes.len() as u64 > self.max_bytes {
            return Err(HintError::Full);
        }
        let is_fresh = state.tail.is_none()
            || state.tail_is_bad
            || state.pieces.back().is_none_or(|piece| piece.len >= FILE_BYTES);
        if is_fresh {
            self.begin_piece(&mut state)?;
        }
        let State { pieces, tail, tail_is_bad, appended, .. } = &mut *state;
        let (Some(piece), Some(file)) = (pieces.back_mut(), tail.as_ref()) else {
            return Err(HintError::Closed);
        };
        if let Err(error) = file.append(&bytes) {
            // What was written of it is cut off as a torn tail.
            *tail_is_bad = file.truncate(piece.len).is_err();
            return Err(HintError::Io(format!("cannot append to {}: {error}", piece.path.display())));
        }
        piece.len += bytes.len() as u64;
        piece.entries += 1;
        piece.until_ms = now_ms;
        *appended += 1;
        self.bytes_written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(*appended)
    }

    fn begin_piece(&self, state: &mut State) -> Result<(), HintError> {
        let refused = |what: &str, path: &Path, error: std::io::Error| {
            HintError::Io(format!("cannot {what} {}: {error}", path.display()))
        };
        // The one before is complete, and what waits for its sync must not be taken for synced by that of the next.
        if let Some(tail) = state.tail.take()
            && !state.tail_is_bad
        {
            tail.sync().map_err(|error| refused("sync the files of", &self.dir, error))?;
        }
        let number = state.next_number;
        let path = self.dir.join(format!("{number:010}{SUFFIX}"));
        let now_ms = self.wall.now_ms();
        let file = self.fs.create(&path).map_err(|error| refused("create", &path, error))?;
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&now_ms.to_le_bytes());
        file.append(&header).map_err(|error| refused("write", &path, error))?;
        file.sync().map_err(|error| refused("sync", &path, error))?;
        self.fs.sync_dir(&self.dir).map_err(|error| refused("sync", &self.dir, error))?;
        state.next_number += 1;
        if state.pieces.is_empty() {
            state.position = HEADER_LEN as u64;
        }
        state.pieces.push_back(Piece { number, path, until_ms: now_ms, len: HEADER_LEN as u64, entries: 0 });
        state.tail = Some(file);
        state.tail_is_bad = false;
        Ok(())
    }

    /// Makes all entries so far durable and returns how many these are.
    fn sync(&self) -> Result<u64, HintError> {
        let (file, appended) = {
            let state = self.state.lock();
            (state.tail.clone(), state.appended)
        };
        if let Some(file) = file
            && let Err(error) = file.sync()
        {
            self.state.lock().tail_is_bad = true;
            return Err(HintError::Io(format!("cannot sync the files of {}: {error}", self.dir.display())));
        }
        Ok(appended)
    }

    /// The next entries, of about `bytes` in all; none if nothing waits. They stay until [`Self::delivered`].
    pub fn next(&self, bytes: u64) -> Result<Batch, FsError> {
        let Some((reading, position)) = self.read_on()? else { return Ok(Batch::default()) };
        let mut batch = Batch { piece: reading.piece, end: position, ..Batch::default() };
        let mut taken = 0;
        let from = reading.bodies.partition_point(|body| reading.start + (body.start as u64) < position);
        for body in &reading.bodies[from..] {
            let entry = reading.content.slice(body.clone());
            let len = unpacked_len(&entry);
            if taken > 0 && taken + len > bytes {
                break;
            }
            batch.end = reading.start + body.end as u64;
            batch.count += 1;
            taken += len;
            self.bytes_read.fetch_add(body.len() as u64, Ordering::Relaxed);
            match unpack(entry) {
                Ok(entry) => batch.entries.push(entry),
                Err(error) => {
                    tracing::error!(dir = %self.dir.display(), error = error.0, "a hint cannot be read");
                    self.note_gap();
                }
            }
        }
        if batch.count == 0 {
            // Nothing can be read behind the position: the rest is damaged.
            batch.end = reading.end;
        }
        Ok(batch)
    }

    /// What is read of the oldest piece, with entries from the position on, and the position.
    fn read_on(&self) -> Result<Option<(Arc<Reading>, u64)>, FsError> {
        let (path, piece, position, len) = {
            let state = self.state.lock();
            let Some(piece) = state.pieces.front() else { return Ok(None) };
            (piece.path.clone(), piece.number, state.position, piece.len)
        };
        let mut reading = self.reading.lock();
        let has_more =
            |known: &&Arc<Reading>| known.piece == piece && (known.start..known.end).contains(&position);
        if let Some(known) = reading.as_ref().filter(has_more) {
            return Ok(Some((Arc::clone(known), position)));
        }
        let content = self
            .fs
            .read_at(&path, position, (len - position) as usize)
            .map_err(FsError::on("read", &path))?;
        let content = Bytes::from(content);
        let bodies = frame::find_frames(&content, 0).bodies;
        let read = Arc::new(Reading { piece, start: position, end: len, content, bodies });
        *reading = Some(Arc::clone(&read));
        Ok(Some((read, position)))
    }

    /// The entries of a batch have arrived, and go.
    pub fn delivered(&self, batch: &Batch) {
        let mut state = self.state.lock();
        let Some(piece) = state.pieces.front_mut().filter(|piece| piece.number == batch.piece) else {
            return;
        };
        piece.entries = piece.entries.saturating_sub(batch.count);
        let is_done = batch.end >= piece.len;
        state.position = batch.end;
        if is_done {
            self.drop_oldest(&mut state);
        }
    }

    /// Removes the oldest piece. The newest may be it; the next entry begins another then.
    fn drop_oldest(&self, state: &mut State) {
        let Some(piece) = state.pieces.pop_front() else { return };
        self.reading.lock().take_if(|reading| reading.piece == piece.number);
        if state.pieces.is_empty() {
            state.tail = None;
        }
        state.position = HEADER_LEN as u64;
        if let Err(error) = self.fs.remove_file(&piece.path) {
            tracing::warn!(path = %piece.path.display(), %error, "cannot remove delivered hints; they are delivered again after a restart");
        }
    }

    /// Gives up what has waited for longer than `max_age`; returns how many entries that were.
    pub fn purge(&self, max_age: Duration) -> u64 {
        let now_ms = self.wall.now_ms();
        let max_age_ms = max_age.as_millis() as u64;
        let mut given_up = 0;
        loop {
            let mut state = self.state.lock();
            let Some(piece) = state.pieces.front() else { break };
            if now_ms.saturating_sub(piece.until_ms) <= max_age_ms {
                break;
            }
            given_up += piece.entries;
            self.note_gap();
            self.drop_oldest(&mut state);
        }
        given_up
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.filled.notify_one();
    }

    /// Whether it takes nothing more.
    pub fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }

    /// Remembers, also across a restart, that something is missing.
    pub fn note_gap(&self) {
        if self.has_gaps.swap(true, Ordering::AcqRel) {
            return;
        }
        let path = self.dir.join(GAPS);
        let written =
            self.fs.create(&path).and_then(|file| file.sync()).and_then(|()| self.fs.sync_dir(&self.dir));
        match written {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                tracing::error!(path = %path.display(), %error, "cannot note that hints are missing");
            }
            _ => {}
        }
    }
}

fn waiting_bytes(state: &State) -> u64 {
    let all: u64 = state.pieces.iter().map(|piece| piece.len).sum();
    if state.pieces.is_empty() { 0 } else { all - state.position.min(all) }
}

/// Reads what a piece holds; whether entries of it are damaged.
fn read_piece(fs: &dyn Fs, number: u64, path: PathBuf, now_ms: u64) -> Result<(Piece, bool), FsError> {
    let bytes = fs.map(&path).map_err(FsError::on("read", &path))?;
    let header = bytes.get(..HEADER_LEN).filter(|header| header.starts_with(&MAGIC));
    let frames = frame::find_frames(&bytes, HEADER_LEN.min(bytes.len()));
    let is_damaged = !frames.damaged.is_empty() || (header.is_none() && bytes.len() >= HEADER_LEN);
    let (len, entries) = (frames.end as u64, frames.bodies.len() as u64);
    let piece = Piece { number, path, until_ms: now_ms, len, entries };
    Ok((piece, is_damaged))
}

#[cfg(test)]
mod tests;
