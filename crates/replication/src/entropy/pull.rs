//! One shard, one other owner: what that one has and this node lacks is fetched.
//!
//! ```text
//! digest ── equal: done
//!        └─ no shard here: its files are copied
//!        └─ deletes differ: deletes
//!        └─ damaged here: all cells of those times, then the damaged segment is given up
//!        └─ buckets differ: their classes, of cells old enough to have arrived everywhere; cells of classes that differ
//! alike ─ fields that are listed differ: those ([`fields`](super::fields))
//! ```
//!
//! Deletes come first, so that no cell travels that one of them covers. Every step can be done again, and one that was
//! broken off is found by the next comparison.

use std::{collections::BTreeSet, sync::Arc, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use skywatch_meta::DataNode;
use skywatch_model::{TimeRange, TooFarAhead, Version};
use skywatch_rpc::{CallError, ask};
use skywatch_storage::{
    AdoptError, CellBatch, Deletion, ImportError, MaintenanceError, ReadError, SeriesClasses, Shard,
    ShardDigest, ShardId, TimeBucket, WriteError, decode_classes,
    wire::{Malformed, Reader},
};

use super::{
    Entropy,
    answer::fingerprint,
    calls::{
        CLASSES, ClassesQuestion, DELETES, DIFFERS, DIGEST, DeletesAnswer, DeletesQuestion, DigestAnswer,
        DigestQuestion, DoneAnswer, FETCH, FetchAnswer, FetchQuestion, Nothing, ShardQuestion,
    },
    compare::{Portion, compare, lacks_mine, portions},
    ledger::Trouble,
};
use crate::{copy::CopyError, offload, offload::offload_quietly, place::Place};

/// How long an answer may take.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// Bytes of cells of one call, before compression, and about how many cells that are.
const FETCH_BYTES: usize = 4 << 20;
const FETCH_CELLS: u64 = 300_000;
/// Buckets of one call.
pub(super) const BUCKETS_A_CALL: usize = 64;
/// How long the other node may take to read its shard for the first time, and how often it is asked.
const READING_LIMIT: Duration = Duration::from_secs(600);
const READING_PAUSE: Duration = Duration::from_millis(200);
/// About what it costs to read a cell, so that reading counts against the rate.
const BYTES_A_CELL: u64 = 2;
/// Cells younger than this may still be on their way.
const IN_FLIGHT_MS: u64 = 5_000;

/// Why a shard was not compared with another owner's to the end.
#[derive(Debug, thiserror::Error)]
pub(super) enum PullError {
    /// The other owner does not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The other owner answers something else.
    #[error("an answer cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// The other owner has not read its shard yet.
    #[error("node {0} is still reading its shard")]
    Reading(u64),
    /// What is here cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What arrived cannot be stored.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A damaged segment cannot be given up.
    #[error(transparent)]
    Maintenance(#[from] MaintenanceError),
    /// The shard's files were not copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A cell is from too far in the future.
    #[error(transparent)]
    Clock(#[from] TooFarAhead),
    /// The disk.
    #[error(transparent)]
    Fs(#[from] skywatch_storage::fs::FsError),
    /// Somebody ended it.
    #[error("the repair was ended")]
    Killed,
}

impl From<ImportError> for PullError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Read(error) => error.into(),
            ImportError::Write(error) => error.into(),
            _ => Self::Malformed(Malformed("cells were not taken in")),
        }
    }
}

/// What comparing with another owner came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Pulled {
    /// The other owner has everything that was acknowledged.
    pub(super) from_whole: bool,
    /// Cells and deletes that were taken in.
    pub(super) taken: u64,
    /// Everything that the other has is here.
    pub(super) complete: bool,
    /// Something here is not there.
    pub(super) lacks_mine: bool,
    /// A field is listed here that is not listed there; cells and deletes are alike.
    pub(super) lacks_fields: bool,
    /// Why some cells can never be taken in.
    pub(super) reasons: Vec<Arc<str>>,
    /// How much of the shard is here, where that is shown.
    filling: Option<Filling>,
}

/// How far a shard is that is filled cell by cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Filling {
    bytes: u64,
    cells: u64,
    here: u64,
}

impl Filling {
    /// What there is at the other owner, and about how much of it is here.
    fn new(mine: &ShardDigest, theirs: &ShardDigest, bytes: u64) -> Self {
        let cells = theirs.times.values().map(|digest| digest.count).sum();
        let count = |bucket| mine.times.get(bucket).map_or(0, |digest| digest.count);
        let here = theirs.times.iter().map(|(bucket, digest)| digest.count.min(count(bucket))).sum();
        Self { bytes: if bytes == 0 { cells } else { bytes }, cells, here }
    }

    /// Bytes there are, and those that are here.
    fn amounts(&self) -> (u64, u64) {
        let share = self.here.min(self.cells) as f64 / self.cells.max(1) as f64;
        (self.bytes, (self.bytes as f64 * share) as u64)
    }
}

/// The other owner, and the shard.
pub(super) struct Pull<'a> {
    pub(super) entropy: &'a Entropy,
    pub(super) place: Place<'a>,
    pub(super) peer: &'a DataNode,
    /// Whether cells count that may still be on their way: to whoever must not lack any.
    pub(super) youngest_too: bool,
}

impl Pull<'_> {
    pub(super) fn id(&self) -> u64 {
        self.place.shard.id
    }

    /// Fetches what the other owner has and this node lacks.
    pub(super) async fn run(&self) -> Result<Pulled, PullError> {
        let here = self.entropy.member.store().shard(ShardId(self.id()));
        let mine = match &here {
            Some(shard) => Some(self.read(shard).await?),
            None => None,
        };
        // What was read before it was damaged may be equal; it has to be fetched all the same.
        let is_damaged = here.as_ref().is_some_and(|shard| shard.is_damaged());
        let (answer, body) = self.digest(mine.as_ref().filter(|_| !is_damaged)).await?;
        let mut pulled = Pulled { from_whole: answer.whole, complete: true, ..Pulled::default() };
        if answer.equal {
            pulled.complete = mine.is_some_and(|mine| mine.unknown.is_empty());
            self.forget_as_well(here.as_ref(), &answer, &pulled)?;
            if let Some(shard) = &here {
                self.fields(shard, answer, &mut pulled).await?;
            }
            return Ok(pulled);
        }
        if !answer.present {
            pulled.lacks_mine = mine.is_some_and(|mine| !is_empty(&mine));
            return Ok(pulled);
        }
        let theirs = ShardDigest::decode(&mut Reader::new(&body))?;
        let shard = match here {
            Some(shard) => shard,
            None if is_empty(&theirs) => return Ok(pulled),
            None => self.copy().await?,
        };
        if self.is_filling() {
            pulled.filling = Some(Filling::new(&self.read(&shard).await?, &theirs, answer.bytes));
            self.entropy.copies.began(&self.place, self.peer);
            self.show(&pulled);
        }
        self.compare(&shard, &theirs, &mut pulled).await?;
        self.forget_as_well(Some(&shard), &answer, &pulled)?;
        self.fields(&shard, answer, &mut pulled).await?;
        Ok(pulled)
    }

    /// Who has everything that another owner has may forget which deletes that one has forgotten.
    fn forget_as_well(
        &self,
        shard: Option<&Arc<Shard>>,
        answer: &DigestAnswer,
        pulled: &Pulled,
    ) -> Result<(), PullError> {
        let forgotten = Version(answer.forgotten);
        let Some(shard) = shard.filter(|shard| shard.forgotten() < forgotten) else { return Ok(()) };
        if pulled.complete && answer.whole {
            offload(|| shard.forget_deletes(forgotten))?;
        }
        Ok(())
    }

    /// Whether the shard is not whole here, so that it is shown how far it is.
    fn is_filling(&self) -> bool {
        let is_joining = self.place.shard.joining.contains(&self.entropy.member.id());
        is_joining || self.entropy.doubts.has(self.id())
    }

    fn show(&self, pulled: &Pulled) {
        if let Some(filling) = &pulled.filling {
            let (total, current) = filling.amounts();
            self.entropy.copies.progress(self.id(), total, current);
        }
    }

    async fn compare(
        &self,
        shard: &Shard,
        theirs: &ShardDigest,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let mut difference = compare(&self.read(shard).await?, theirs);
        if difference.deletes {
            self.note_trouble();
            let deletes = self.deletes(shard).await?;
            pulled.taken += deletes;
        }
        self.replace_damaged(shard, theirs, pulled).await?;
        if difference.deletes || pulled.taken > 0 {
            difference = compare(&self.read(shard).await?, theirs);
        }
        // After those of the other were taken in, more deletes here are some that it lacks.
        pulled.lacks_mine |= difference.deletes;
        if !difference.is_none() {
            let buckets: Vec<TimeBucket> = difference.buckets.into_iter().collect();
            for buckets in buckets.chunks(BUCKETS_A_CALL) {
                self.buckets(shard, buckets, pulled).await?;
            }
        }
        pulled.complete &= theirs.unknown.is_empty() && shard.damaged_segments().is_empty();
        pulled.complete &= pulled.reasons.is_empty();
        Ok(())
    }

    /// Brings the digest of the shard here up to date, at the rate.
    pub(super) async fn read(&self, shard: &Shard) -> Result<ShardDigest, PullError> {
        let mut refreshed = offload_quietly(|| shard.refresh_digest())?;
        let mut left = refreshed.left;
        loop {
            self.entropy.rate.take(refreshed.cells * BYTES_A_CELL).await;
            self.check()?;
            if left == 0 {
                return Ok(shard.known_digest());
            }
            refreshed = offload_quietly(|| shard.refresh_digest())?;
            left = (left - 1).min(refreshed.left);
        }
    }

    pub(super) async fn digest(
        &self,
        mine: Option<&ShardDigest>,
    ) -> Result<(DigestAnswer, Bytes), PullError> {
        let question = DigestQuestion { shard: self.id(), known: mine.map(fingerprint) };
        let mut waited = Duration::ZERO;
        loop {
            let (answer, body): (DigestAnswer, Bytes) = self.ask(DIGEST, &question).await?;
            if answer.ready {
                return Ok((answer, body));
            }
            if waited >= READING_LIMIT {
                return Err(PullError::Reading(self.peer.id.0));
            }
            self.check()?;
            tokio::time::sleep(READING_PAUSE).await;
            waited += READING_PAUSE;
        }
    }

    async fn copy(&self) -> Result<Arc<Shard>, PullError> {
        let entropy = self.entropy;
        entropy.ledger.lock().note(self.id(), Trouble::Missing, String::new());
        entropy.doubts.add(self.id())?;
        let is_killed = || entropy.is_killed(self.id());
        match entropy.copies.fetch(&self.place, self.peer, &entropy.rate, &is_killed).await {
            // Where a write was faster, what it lacks is fetched cell by cell, beside what was written.
            Ok(()) | Err(CopyError::Superseded | CopyError::Adopt(AdoptError::Exists(_))) => {}
            Err(error) => return Err(error.into()),
        }
        let shard = entropy.member.store().shard(ShardId(self.id()));
        // It was dropped the moment it was there.
        shard.ok_or(PullError::Write(WriteError::Closed))
    }

    async fn deletes(&self, shard: &Shard) -> Result<u64, PullError> {
        let before = shard.known_digest().deletes;
        let mut question = DeletesQuestion { shard: self.id(), skip: 0 };
        loop {
            let (answer, body): (DeletesAnswer, Bytes) = self.ask(DELETES, &question).await?;
            self.arrived(&body).await;
            let mut reader = Reader::new(&body);
            let count = reader.count(4)?;
            let deletions: Vec<Deletion> =
                (0..count).map(|_| Deletion::decode(&mut reader)).collect::<Result<_, _>>()?;
            offload(|| {
                // What is forgotten here has been carried out, or will be.
                let is_news = |deletion: &&Deletion| deletion.version >= shard.forgotten();
                for Deletion { rule, range, version } in deletions.iter().filter(is_news) {
                    self.entropy.member.owner().observe(*version)?;
                    shard.delete(&rule.measurements, &rule.predicate, *range, *version)?;
                }
                Ok::<_, PullError>(())
            })?;
            question.skip += count;
            if answer.last || count == 0 {
                return Ok(u64::from(shard.known_digest().deletes != before));
            }
            self.check()?;
        }
    }

    /// Fetches what damaged segments had, and gives them up. Only an owner that has everything can stand in for them.
    async fn replace_damaged(
        &self,
        shard: &Shard,
        theirs: &ShardDigest,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        if !pulled.from_whole {
            return Ok(());
        }
        let is_known = |segment: &&skywatch_storage::DamagedSegment| {
            !theirs.unknown.iter().any(|unknown| unknown.overlaps(segment.times))
        };
        let damaged: Vec<_> = shard.damaged_segments().iter().filter(is_known).copied().collect();
        for segment in damaged {
            self.note_trouble();
            self.fetch(shard, Portion::whole(segment.times), pulled).await?;
            if pulled.reasons.is_empty() {
                offload(|| shard.give_up_damaged(&[segment.number]))?;
                tracing::info!(
                    shard = self.id(),
                    segment = segment.number,
                    from = self.peer.tcp_addr,
                    "a damaged segment has been replaced"
                );
            }
        }
        Ok(())
    }

    async fn buckets(
        &self,
        shard: &Shard,
        buckets: &[TimeBucket],
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let before = if self.youngest_too {
            Version(u64::MAX)
        } else {
            let now_ms = self.entropy.member.owner().now_ms();
            Version::from_parts(now_ms.saturating_sub(IN_FLIGHT_MS), 0, 0)
        };
        let wanted: BTreeSet<TimeBucket> = buckets.iter().copied().collect();
        let numbers = buckets.iter().map(|bucket| bucket.0).collect();
        let question = ClassesQuestion { shard: self.id(), buckets: numbers, before: before.0 };
        let (_, body): (Nothing, Bytes) = self.ask(CLASSES, &question).await?;
        let theirs = decode_classes(&mut Reader::new(&body))?;
        let mut mine = offload_quietly(|| shard.class_digests(&wanted, before))?;
        let portions = portions(&mine, &theirs);
        for portion in &portions {
            self.note_trouble();
            self.fetch(shard, *portion, pulled).await?;
        }
        if !portions.is_empty() {
            mine = offload_quietly(|| shard.class_digests(&wanted, before))?;
        }
        pulled.lacks_mine |= lacks_mine(&mine, &theirs);
        Ok(())
    }

    async fn fetch(&self, shard: &Shard, portion: Portion, pulled: &mut Pulled) -> Result<(), PullError> {
        for times in portion.slices(FETCH_CELLS) {
            self.fetch_slice(shard, times, portion.classes, pulled).await?;
        }
        Ok(())
    }

    async fn fetch_slice(
        &self,
        shard: &Shard,
        times: TimeRange,
        classes: SeriesClasses,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let mut question = FetchQuestion {
            shard: self.id(),
            start: times.start,
            end: times.end,
            classes: classes.0,
            after: None,
            bytes: FETCH_BYTES,
        };
        loop {
            let forgotten = shard.forgotten();
            let (answer, body): (FetchAnswer, Bytes) = self.ask(FETCH, &question).await?;
            self.arrived(&body).await;
            let report = offload_quietly(|| {
                let batch = CellBatch::decode(&body)?;
                self.entropy.member.owner().observe(batch.latest_version())?;
                Ok::<_, PullError>(shard.import(&batch, forgotten)?)
            })?;
            pulled.taken += report.stored;
            if let Some(filling) = &mut pulled.filling {
                filling.here += report.stored;
            }
            self.show(pulled);
            for reason in report.reasons {
                if !pulled.reasons.contains(&reason) {
                    pulled.reasons.push(reason);
                }
            }
            match answer.next {
                Some(next) => question.after = Some(next),
                None => return Ok(()),
            }
            self.check()?;
        }
    }

    /// Tells the other owner that there is something for it here.
    pub(super) async fn tell_differs(&self) {
        let question = ShardQuestion { shard: self.id() };
        let told: Result<(DoneAnswer, Bytes), _> = self.ask(DIFFERS, &question).await;
        if let Err(error) = told {
            tracing::debug!(shard = self.id(), %error, "an owner finds out by itself what it lacks");
        }
    }

    fn note_trouble(&self) {
        self.entropy.ledger.lock().note(self.id(), Trouble::Differs, String::new());
    }

    pub(super) async fn arrived(&self, body: &Bytes) {
        self.entropy.counters.bytes_rx.fetch_add(body.len() as u64, Ordering::Relaxed);
        self.entropy.rate.take(body.len() as u64).await;
    }

    pub(super) fn check(&self) -> Result<(), PullError> {
        if self.entropy.is_killed(self.id()) { Err(PullError::Killed) } else { Ok(()) }
    }

    pub(super) async fn ask<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        method: &'static str,
        question: &Q,
    ) -> Result<(A, Bytes), CallError> {
        let transport = &**self.entropy.member.transport();
        ask(transport, &self.peer.tcp_addr, method, question, Bytes::new(), CALL_LIMIT).await
    }
}

fn is_empty(digest: &ShardDigest) -> bool {
    digest.times.is_empty() && digest.deletes.count == 0 && digest.unknown.is_empty()
}
