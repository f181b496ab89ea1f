//! The side that gets the shard: fetches its files one after the other, and makes them the shard.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use skywatch_model::TimeRange;
use skywatch_rpc::{CallError, FailureKind, Transport, ask};
use skywatch_storage::{AdoptError, StagedFile, StagedShard, fs::FsError};

use super::calls::{
    BEGIN, BeginAnswer, BeginQuestion, CHUNK, ChunkAnswer, ChunkQuestion, DoneAnswer, END, EndQuestion,
    FileEntry, SUMS, SumsAnswer, SumsQuestion,
};
use crate::{offload, offload::offload_quietly, rate::Rate};

/// Bytes of a call.
const CHUNK_BYTES: u64 = 1 << 20;
/// How long the source may take to pin its files, which it flushes first.
const BEGIN_LIMIT: Duration = Duration::from_secs(60);
/// How long a chunk may take.
const CHUNK_LIMIT: Duration = Duration::from_secs(15);
/// How often in a row a call is tried again before the copy is given up for now.
const TRIES: u32 = 6;
/// Length of a block of which both ends compare hashes, and how many at a time.
const SUM_BLOCK: u64 = 1 << 20;
const SUMS_A_CALL: usize = 64;
/// Before the first time it is tried again; each further time twice as long.
const PAUSE: Duration = Duration::from_millis(500);

/// Why a shard was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source does not answer, or does not have it.
    #[error(transparent)]
    Call(#[from] CallError),
    /// What arrived is not what was sent.
    #[error("{from} sent {name} damaged")]
    Damaged {
        /// The source.
        from: String,
        /// The file.
        name: String,
    },
    /// The source's shard is for other times than the catalogue says.
    #[error("the shard at {0} is for other times than the catalogue says")]
    OtherRange(String),
    /// The files do not make a shard here.
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    /// The disk.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// Somebody ended it.
    #[error("the copy was ended")]
    Killed,
    /// A write was faster.
    #[error("new writes have made the shard meanwhile; what it lacks is fetched")]
    Superseded,
}

/// What happens to a copy while it is under way.
pub(super) trait Watch: Sync {
    /// So many bytes there are, and so many have arrived.
    fn progress(&self, total: u64, arrived: u64);
    /// So many bytes came just now.
    fn fetched(&self, bytes: u64);
    /// Whether somebody has ended it.
    fn is_killed(&self) -> bool;
    /// Whether the shard is there by now, from elsewhere.
    fn is_superseded(&self) -> bool;
}

/// A copy under way.
pub(super) struct Fetch<'a> {
    pub(super) transport: &'a dyn Transport,
    /// The source.
    pub(super) from: &'a str,
    pub(super) shard: u64,
    pub(super) range: TimeRange,
    pub(super) rate: &'a Rate,
    pub(super) watch: &'a dyn Watch,
}

/// How far a copy is.
struct Progress<'a> {
    watch: &'a dyn Watch,
    total: u64,
    arrived: u64,
}

impl Progress<'_> {
    fn advance(&mut self, bytes: u64) {
        self.arrived += bytes;
        self.watch.progress(self.total, self.arrived);
    }
}

/// Files that cannot change at the source: what has arrived of them stays good if it has to pin them anew.
fn is_immutable(name: &str) -> bool {
    name.ends_with(".seg") || name.ends_with(".idx")
}

impl Fetch<'_> {
    /// Fills a staged shard; returns the names of files that are missing at the source too.
    pub(super) async fn fill(&self, staged: &StagedShard) -> Result<Vec<String>, CopyError> {
        let mut restarts = 0;
        loop {
            let pinned = self.begin().await?;
            let result = self.fetch_all(&pinned, staged).await;
            if let Err(CopyError::Call(error)) = &result
                && error.failure().is_some_and(|failure| failure.kind == FailureKind::NotFound)
                && restarts < TRIES
            {
                // The source was started anew, or let go of the files: those that have arrived need not come again.
                restarts += 1;
                continue;
            }
            let end = EndQuestion { session: pinned.session };
            let ended: Result<(DoneAnswer, _), _> =
                ask(self.transport, self.from, END, &end, Bytes::new(), CHUNK_LIMIT).await;
            if let Err(error) = ended {
                tracing::debug!(from = self.from, %error, "a source lets go of a copied shard by itself");
            }
            return result.map(|()| pinned.damaged);
        }
    }

    async fn begin(&self) -> Result<BeginAnswer, CopyError> {
        let question = BeginQuestion { shard: self.shard };
        let (mut pinned, _): (BeginAnswer, _) =
            ask(self.transport, self.from, BEGIN, &question, Bytes::new(), BEGIN_LIMIT).await?;
        if TimeRange::new(pinned.start, pinned.end) != self.range {
            return Err(CopyError::OtherRange(self.from.to_owned()));
        }
        // Those that can change at the source come last.
        pinned.files.sort_by_key(|file| !is_immutable(&file.name));
        Ok(pinned)
    }

    async fn fetch_all(&self, pinned: &BeginAnswer, staged: &StagedShard) -> Result<(), CopyError> {
        let mut arrived = self.kept(pinned, staged).await?;
        let mut progress = Progress {
            watch: self.watch,
            total: pinned.files.iter().map(|file| file.bytes).sum(),
            arrived: arrived.values().map(StagedFile::len_bytes).sum(),
        };
        progress.advance(0);
        for entry in &pinned.files {
            let mut file = match arrived.remove(&entry.name) {
                Some(file) => file,
                None => offload(|| staged.create_file(&entry.name))?,
            };
            self.fetch(pinned.session, entry, &mut file, &mut progress).await?;
            offload(|| staged.sync_names())?;
        }
        Ok(())
    }

    /// What has arrived in earlier attempts and is what the source has; everything else is removed. That a file of this
    /// name has once come from there says little: the node may have crashed before the bytes were durable, the copy may
    /// have been begun from another owner, and that one may have got its shard anew since.
    async fn kept(
        &self,
        pinned: &BeginAnswer,
        staged: &StagedShard,
    ) -> Result<BTreeMap<String, StagedFile>, CopyError> {
        let mut kept = BTreeMap::new();
        for (name, len_bytes) in offload(|| staged.files())? {
            let entry = pinned.files.iter().find(|entry| entry.name == name);
            let entry =
                entry.filter(|entry| is_immutable(&name) && len_bytes > 0 && len_bytes <= entry.bytes);
            let alike = match entry {
                Some(_) => {
                    let file = offload(|| staged.resume_file(&name, len_bytes))?;
                    (self.alike(pinned.session, &name, &file).await?, Some(file))
                }
                None => (0, None),
            };
            match alike {
                (good, Some(mut file)) if good > 0 => {
                    if good < file.len_bytes() {
                        offload(|| file.cut(good))?;
                    }
                    kept.insert(name, file);
                }
                _ => offload(|| staged.remove_file(&name))?,
            }
        }
        Ok(kept)
    }

    /// How many bytes of the beginning of a file are what the source has.
    async fn alike(&self, session: u64, name: &str, file: &StagedFile) -> Result<u64, CopyError> {
        let (bytes, count) = (file.len_bytes(), SUMS_A_CALL);
        let mut first = 0;
        while first * SUM_BLOCK < bytes {
            if self.watch.is_killed() {
                return Err(CopyError::Killed);
            }
            let question =
                SumsQuestion { session, name: name.to_owned(), bytes, block: SUM_BLOCK, first, count };
            let answer: Result<(SumsAnswer, _), CallError> =
                ask(self.transport, self.from, SUMS, &question, Bytes::new(), CHUNK_LIMIT).await;
            let theirs = match answer {
                Ok((answer, _)) => answer.sums,
                // A node of an earlier release: everything comes again.
                Err(error) if error.failure().is_some_and(|it| it.kind == FailureKind::Unknown) => {
                    return Ok(0);
                }
                Err(error) => return Err(error.into()),
            };
            let mine = offload_quietly(|| file.sums(first, count, SUM_BLOCK))?;
            let good = mine.iter().zip(&theirs).take_while(|(mine, theirs)| mine == theirs).count();
            if good < mine.len() || mine.is_empty() {
                return Ok((first + good as u64) * SUM_BLOCK);
            }
            first += good as u64;
        }
        Ok(bytes)
    }

    async fn fetch(
        &self,
        session: u64,
        entry: &FileEntry,
        file: &mut StagedFile,
        progress: &mut Progress<'_>,
    ) -> Result<(), CopyError> {
        while file.len_bytes() < entry.bytes {
            let part = self.chunk(session, entry, file.len_bytes()).await?;
            self.rate.take(part.len() as u64).await;
            offload(|| file.append(&part))?;
            self.watch.fetched(part.len() as u64);
            progress.advance(part.len() as u64);
        }
        if file.len_bytes() > entry.bytes {
            return Err(CopyError::Damaged { from: self.from.to_owned(), name: entry.name.clone() });
        }
        // Also of what an earlier life of this node wrote, and may not have made durable.
        Ok(offload(|| file.sync())?)
    }

    /// A chunk, tried again while the source is away for a moment or it arrives damaged.
    async fn chunk(&self, session: u64, entry: &FileEntry, offset: u64) -> Result<Bytes, CopyError> {
        let question = ChunkQuestion { session, name: entry.name.clone(), offset, bytes: CHUNK_BYTES };
        let mut pause = PAUSE;
        for attempt in 1.. {
            if self.watch.is_killed() {
                return Err(CopyError::Killed);
            }
            if self.watch.is_superseded() {
                return Err(CopyError::Superseded);
            }
            let answer: Result<(ChunkAnswer, Bytes), CallError> =
                ask(self.transport, self.from, CHUNK, &question, Bytes::new(), CHUNK_LIMIT).await;
            let error = match answer {
                Ok((answer, part)) if answer.crc == crc32c::crc32c(&part) && !part.is_empty() => {
                    return Ok(part);
                }
                Ok(_) => CopyError::Damaged { from: self.from.to_owned(), name: entry.name.clone() },
                Err(error) if error.is_absence() => error.into(),
                Err(error) => return Err(error.into()),
            };
            if attempt >= TRIES {
                return Err(error);
            }
            tracing::debug!(from = self.from, shard = self.shard, %error, "part of a shard is asked for again");
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(CopyError::Killed)
    }
}
