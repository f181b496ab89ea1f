//! The side that has the shard: its files, pinned for as long as somebody fetches them.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use skywatch_rpc::{Failure, FailureKind};
use skywatch_storage::{PinnedFile, PinnedShard, Shard, sum_of_block};
use tokio::time::Instant;

use super::calls::{BeginAnswer, ChunkAnswer, ChunkQuestion, FileEntry, SumsAnswer, SumsQuestion};
use crate::{offload, offload::offload_quietly};

/// Most copies that a node hands out at a time.
const SESSIONS_MAX: usize = 8;
/// Files of which nobody has asked for anything for so long are let go.
const IDLE_LIMIT: Duration = Duration::from_secs(120);
/// The largest chunk.
const CHUNK_BYTES_MAX: u64 = 4 << 20;
/// The most that is read to answer a question for hashes.
const SUMS_BYTES_MAX: u64 = 256 << 20;

#[derive(Debug)]
struct Session {
    pinned: PinnedShard,
    used: Instant,
}

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Sources {
    sessions: Mutex<Sessions>,
}

#[derive(Debug, Default)]
struct Sessions {
    last: u64,
    open: BTreeMap<u64, Session>,
}

impl Sources {
    /// Pins a shard, and says what there is to fetch.
    pub(super) fn begin(&self, shard: &Shard, now_ms: u64) -> Result<BeginAnswer, Failure> {
        let full = || {
            let text = format!("{SESSIONS_MAX} shards are being copied from this node; try again later");
            Failure::new(FailureKind::Unavailable, text)
        };
        self.let_go_of_idle();
        if self.sessions.lock().open.len() >= SESSIONS_MAX {
            return Err(full());
        }
        let pinned = offload(|| shard.pin()).map_err(Failure::internal)?;
        let entry =
            |file: &PinnedFile| FileEntry { name: file.name().to_owned(), bytes: file.bytes().len() as u64 };
        let files = pinned.files.iter().map(entry).collect();
        let (range, damaged) = (shard.time_range(), pinned.damaged.clone());
        let mut sessions = self.sessions.lock();
        if sessions.open.len() >= SESSIONS_MAX {
            return Err(full());
        }
        // With the time in it, the number is none that an earlier life of this node gave out.
        sessions.last = now_ms.max(sessions.last + 1);
        let session = sessions.last;
        sessions.open.insert(session, Session { pinned, used: Instant::now() });
        Ok(BeginAnswer { session, start: range.start, end: range.end, files, damaged })
    }

    fn pinned(&self, session: u64, name: &str) -> Result<PinnedFile, Failure> {
        let mut sessions = self.sessions.lock();
        let session = sessions.open.get_mut(&session);
        let file = session.and_then(|session| {
            session.used = Instant::now();
            session.pinned.files.iter().find(|file| file.name() == name).cloned()
        });
        file.ok_or_else(|| Failure::new(FailureKind::NotFound, "the copy was let go of; begin again"))
    }

    /// What there is of the beginning of a pinned file.
    pub(super) fn sums(&self, question: &SumsQuestion) -> Result<SumsAnswer, Failure> {
        let file = self.pinned(question.session, &question.name)?;
        let count = u64::try_from(question.count).unwrap_or(u64::MAX);
        if question.block == 0 || count.saturating_mul(question.block) > SUMS_BYTES_MAX {
            let text = format!("hashes of {count} blocks of {} bytes in one call", question.block);
            return Err(Failure::new(FailureKind::Invalid, text));
        }
        let bytes = file.bytes();
        let known = usize::try_from(question.bytes).unwrap_or(usize::MAX).min(bytes.len());
        let start = usize::try_from(question.first.saturating_mul(question.block)).unwrap_or(usize::MAX);
        let block = usize::try_from(question.block).unwrap_or(usize::MAX);
        let rest = bytes.get(start..known).unwrap_or_default();
        // Reads from the disk.
        let sums = offload_quietly(|| rest.chunks(block).take(question.count).map(sum_of_block).collect());
        Ok(SumsAnswer { sums })
    }

    /// Part of a pinned file.
    pub(super) fn chunk(&self, question: &ChunkQuestion) -> Result<(ChunkAnswer, Bytes), Failure> {
        let file = self.pinned(question.session, &question.name)?;
        let len = question.bytes.min(CHUNK_BYTES_MAX);
        let (start, end) = (question.offset, question.offset.saturating_add(len));
        let bytes = file.bytes();
        let end = usize::try_from(end).unwrap_or(usize::MAX).min(bytes.len());
        let part = usize::try_from(start).ok().and_then(|start| bytes.get(start..end));
        let part = part.ok_or_else(|| {
            let text = format!("{} has {} bytes, {start} is beyond", question.name, bytes.len());
            Failure::new(FailureKind::Invalid, text)
        })?;
        // Reads from the disk.
        let part = offload(|| Bytes::copy_from_slice(part));
        Ok((ChunkAnswer { crc: crc32c::crc32c(&part) }, part))
    }

    /// Lets go of the files.
    pub(super) fn end(&self, session: u64) -> bool {
        self.sessions.lock().open.remove(&session).is_some()
    }

    fn let_go_of_idle(&self) {
        let now = Instant::now();
        let is_used = |session: &Session| now.saturating_duration_since(session.used) < IDLE_LIMIT;
        self.sessions.lock().open.retain(|_, session| is_used(session));
    }
}
