//! The calls of owners that compare their copy of a shard with the one here.

use std::sync::Arc;

use bytes::Bytes;
use skywatch_model::{TimeRange, Version};
use skywatch_rpc::{Failure, FailureKind, Router};
use skywatch_storage::{
    SeriesClasses, Shard, ShardDigest, ShardId, TimeBucket, encode_classes, wire::put_varint,
};

use super::{
    Entropy,
    calls::{
        CLASSES, ClassesQuestion, DELETES, DIFFERS, DIGEST, DeletesAnswer, DeletesQuestion, DigestAnswer,
        DigestQuestion, DoneAnswer, FETCH, FIELDS, FetchAnswer, FetchQuestion, FieldsQuestion, KILL, Nothing,
        REPAIR, ROUND, RoundAnswer, RoundQuestion, STATUS, ShardQuestion,
    },
    fields,
};
use crate::offload::offload_quietly;

/// Cells that are read at most to answer a call; the next one goes on.
const CELLS_A_CALL: u64 = 4_000_000;
/// Buckets whose classes are told at most in one call.
const BUCKETS_MAX: usize = 256;
/// Bytes of deletes, fields or cells that a call answers at most.
pub(super) const BYTES_MAX: usize = 4 << 20;

/// What tells a digest apart from others.
pub(super) fn fingerprint(digest: &ShardDigest) -> String {
    let mut bytes = Vec::new();
    digest.encode(&mut bytes);
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&bytes))
}

impl Entropy {
    /// The calls it answers.
    pub fn router(self: &Arc<Self>) -> Router {
        let me = || Arc::clone(self);
        let (digest, classes, deletes, fields, fetch) = (me(), me(), me(), me(), me());
        let (differs, round, status, repair, kill) = (me(), me(), me(), me(), me());
        Router::new()
            .on(DIGEST, move |question: DigestQuestion, _| {
                let answer = digest.answer_digest(&question);
                async move { answer }
            })
            .on(CLASSES, move |question: ClassesQuestion, _| {
                let answer = classes.answer_classes(&question);
                async move { answer }
            })
            .on(DELETES, move |question: DeletesQuestion, _| {
                let answer = deletes.answer_deletes(&question);
                async move { answer }
            })
            .on(FIELDS, move |question: FieldsQuestion, _| {
                let answer = fields.answer_fields(&question);
                async move { answer }
            })
            .on(FETCH, move |question: FetchQuestion, _| {
                let answer = fetch.answer_fetch(&question);
                async move { answer }
            })
            .on(DIFFERS, move |question: ShardQuestion, _| {
                let done = differs.repair(question.shard);
                async move { Ok((DoneAnswer { done }, Bytes::new())) }
            })
            .on(ROUND, move |question: RoundQuestion, _| {
                let answer = round.answer_round(&question);
                async move { Ok((answer, Bytes::new())) }
            })
            .on(STATUS, move |_: Nothing, _| {
                let answer = status.status();
                async move { Ok((answer, Bytes::new())) }
            })
            .on(REPAIR, move |question: ShardQuestion, _| {
                let done = repair.repair(question.shard);
                async move { Ok((DoneAnswer { done }, Bytes::new())) }
            })
            .on(KILL, move |question: ShardQuestion, _| {
                let done = kill.kill_repair(question.shard);
                async move { Ok((DoneAnswer { done }, Bytes::new())) }
            })
    }

    pub(super) fn shard_here(&self, id: u64) -> Result<Arc<Shard>, Failure> {
        let shard = self.member.store().shard(ShardId(id));
        shard.ok_or_else(|| Failure::new(FailureKind::NotFound, format!("shard {id} is not here")))
    }

    fn answer_digest(&self, question: &DigestQuestion) -> Result<(DigestAnswer, Bytes), Failure> {
        let whole = self.vouches_for(question.shard);
        let Some(shard) = self.member.store().shard(ShardId(question.shard)) else {
            return Ok((DigestAnswer { ready: true, whole, ..DigestAnswer::default() }, Bytes::new()));
        };
        let ready = offload_quietly(|| {
            let mut refreshed = shard.refresh_digest()?;
            let (mut cells, mut left) = (refreshed.cells, refreshed.left);
            while left > 0 && cells < CELLS_A_CALL {
                refreshed = shard.refresh_digest()?;
                cells += refreshed.cells;
                left = (left - 1).min(refreshed.left);
            }
            Ok::<_, skywatch_storage::ReadError>(left == 0)
        });
        let ready = ready.map_err(Failure::internal)?;
        let bytes = shard.stats().disk_bytes();
        let forgotten = shard.forgotten().0;
        let fields = fields::fingerprint(&shard);
        let answer = DigestAnswer { present: true, ready, equal: false, whole, bytes, forgotten, fields };
        if !ready {
            return Ok((answer, Bytes::new()));
        }
        let digest = shard.known_digest();
        if question.known.as_ref().is_some_and(|known| *known == fingerprint(&digest)) {
            return Ok((DigestAnswer { equal: true, ..answer }, Bytes::new()));
        }
        let mut body = Vec::new();
        digest.encode(&mut body);
        Ok((answer, body.into()))
    }

    fn answer_classes(&self, question: &ClassesQuestion) -> Result<(Nothing, Bytes), Failure> {
        if question.buckets.len() > BUCKETS_MAX {
            let text = format!(
                "classes of {} buckets in one call, {BUCKETS_MAX} are the most",
                question.buckets.len()
            );
            return Err(Failure::new(FailureKind::Invalid, text));
        }
        let shard = self.shard_here(question.shard)?;
        let buckets = question.buckets.iter().map(|bucket| TimeBucket(*bucket)).collect();
        let classes = offload_quietly(|| shard.class_digests(&buckets, Version(question.before)));
        let mut body = Vec::new();
        encode_classes(&classes.map_err(Failure::internal)?, &mut body);
        Ok((Nothing {}, body.into()))
    }

    fn answer_deletes(&self, question: &DeletesQuestion) -> Result<(DeletesAnswer, Bytes), Failure> {
        let deletions = self.shard_here(question.shard)?.deletions();
        let mut list = Vec::new();
        let mut count = 0u64;
        let mut rest = deletions.iter().skip(question.skip);
        for deletion in rest.by_ref() {
            deletion.encode(&mut list);
            count += 1;
            if list.len() >= BYTES_MAX {
                break;
            }
        }
        let mut body = Vec::new();
        put_varint(&mut body, count);
        body.extend_from_slice(&list);
        Ok((DeletesAnswer { last: rest.next().is_none() }, body.into()))
    }

    fn answer_fetch(&self, question: &FetchQuestion) -> Result<(FetchAnswer, Bytes), Failure> {
        let shard = self.shard_here(question.shard)?;
        let times = TimeRange::new(question.start, question.end);
        let most = question.bytes.min(BYTES_MAX);
        let exported = offload_quietly(|| {
            shard.export(times, SeriesClasses(question.classes), question.after.as_ref(), most)
        });
        let (batch, next) = exported.map_err(Failure::internal)?;
        let mut body = Vec::new();
        batch.encode(&mut body);
        Ok((FetchAnswer { next }, body.into()))
    }

    fn answer_round(&self, question: &RoundQuestion) -> RoundAnswer {
        let mut ledger = self.ledger.lock();
        match question.round {
            None => {
                let round = ledger.ask_round();
                drop(ledger);
                self.wake.notify_one();
                RoundAnswer { round, ..RoundAnswer::default() }
            }
            Some(round) => {
                let (done, ended) = ledger.round(round);
                RoundAnswer { round, done, failed: ended && !done }
            }
        }
    }
}
