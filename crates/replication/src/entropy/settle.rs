//! Deletes that all owners have carried out are forgotten, so that their number does not grow for ever.
//!
//! An owner remembers a delete of version *d* for operations below *d* that may yet come. It can forget it once none comes.
//! The first owner of a shard finds out, for a bound *b* some time ago ([`ForgetSettings::after`]), in this order:
//!
//! 1. **Floors.** Every data node says that it is at work on no operation below *b*, will begin none
//!    ([`Member::floor`]), and keeps nothing for anybody.
//! 2. **Equality.** Each other owner, whole and not in doubt, has the same cells and the same deletes below *b* as this
//!    one, and its manifest has these deletes.
//! 3. **Forget.** Each owner is told to forget what is below *b*, and refuses every operation below *b* from then on.
//!
//! *Why nothing acknowledged is lost.* Let an operation below *b* have been acknowledged by the time of 3. It was at work
//! before 1, or is so no more: by then every owner had it, or it was kept as a hint. No hints were there in 1, so that it had
//! been delivered, or given up and brought back by comparing; what an owner lacked all the same shows in 2, unless a
//! younger operation covers it. So every owner has it, and refusing it again loses nothing.
//!
//! *Why nothing deleted comes back.* Let a delete *d* < *b* be forgotten at an owner, and a cell *c* < *d* that it concerns come
//! later. As an operation it is refused: *c* < *b*. From another owner, as a cell that wins there: after 2 that owner had *d*, so
//! that *c* did not win; it was asked before its answer in 2, and then the answer is thrown away
//! ([`Origin::Cells`](skywatch_storage::Shard::import)). As one that was here: storage keeps *d* until no segment and no
//! memtable has cells that it hides. And *d* is lost nowhere by damage to a log, since manifests have it. An owner that
//! joined meanwhile has copied both *c* and *d*, or neither.
//!
//! *Why owners stay alike.* Owners that do not know of 3 yet remember more deletes, which decide nothing any more. They are told
//! again by the next comparison ([`DigestAnswer::forgotten`](super::calls::DigestAnswer)): whoever has all that another
//! owner has may forget what that one has forgotten.
//!
//! Any step that fails, or finds something, ends the attempt; deletes are remembered until the next. Shards that are
//! written through a log are left alone: a record may be appended long after it got its version.
//!
//! [`ForgetSettings::after`]: crate::ForgetSettings::after

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use skywatch_meta::NodeId;
use skywatch_model::Version;
use skywatch_rpc::{Failure, FailureKind, Router, tell};
use skywatch_storage::{Digest, Shard, ShardDigest, ShardId, TimeBucket, decode_classes, wire::Reader};

use super::{
    Entropy,
    calls::{
        CLASSES, ClassesQuestion, DoneAnswer, FLOOR, FORGET, FloorAnswer, FloorQuestion, Nothing, SETTLED,
        SettleQuestion, SettledAnswer,
    },
    compare::{compare, lacks_mine, portions},
    pull::{BUCKETS_A_CALL, Pull, PullError},
};
use crate::{floors::older, offload, offload::offload_quietly, place::Place};

const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Why deletes are remembered for longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsettled {
    #[error("node {0} has operations of before to send, or does not say")]
    Floor(u64),
    #[error("node {0} does not have the same")]
    Differs(u64),
    #[error("somebody is behind, joins, or has lost something")]
    Owners,
    #[error(transparent)]
    Pull(#[from] PullError),
}

impl Entropy {
    /// The calls of whoever wants deletes to be forgotten.
    pub(super) fn settle_router(self: &std::sync::Arc<Self>) -> Router {
        let me = || std::sync::Arc::clone(self);
        let (floor, settled, forget) = (me(), me(), me());
        Router::new()
            .on(FLOOR, move |question: FloorQuestion, _| {
                let clear = floor.has_nothing_below(Version(question.before), Version(question.version));
                async move { Ok((FloorAnswer { clear }, Bytes::new())) }
            })
            .on(SETTLED, move |question: SettleQuestion, _| {
                let answer = settled.answer_settled(&question);
                async move { Ok((answer?, Bytes::new())) }
            })
            .on(FORGET, move |question: SettleQuestion, _| {
                let done = forget.forget_here(&question);
                async move { Ok((DoneAnswer { done: done? }, Bytes::new())) }
            })
    }

    /// Step 1, at each data node. The asker's clock is observed, so that what is begun here afterwards is not older.
    fn has_nothing_below(&self, before: Version, asked: Version) -> bool {
        if self.member.owner().observe(asked).is_err() {
            return false;
        }
        let keeps_something = |queue: &crate::hints::Queue| !queue.is_empty() || queue.has_gaps();
        let hints = self.member.hints().queues();
        self.member.floor() >= before && !hints.iter().any(|(_, queue)| keeps_something(queue))
    }

    /// Step 2, at the other owner: its deletes.
    fn answer_settled(&self, question: &SettleQuestion) -> Result<SettledAnswer, Failure> {
        let shard = self.shard_here(question.shard)?;
        if !self.vouches_for(question.shard) {
            return Ok(SettledAnswer::default());
        }
        let before = Version(question.before);
        offload_quietly(|| shard.keep_deletes(before)).map_err(Failure::internal)?;
        Ok(SettledAnswer { vouched: true, deletes: fingerprint(shard.deletes_before(before)) })
    }

    /// Step 3, at each owner.
    fn forget_here(&self, question: &SettleQuestion) -> Result<bool, Failure> {
        let shard = self.shard_here(question.shard)?;
        if !self.vouches_for(question.shard) {
            return Err(Failure::new(FailureKind::Unavailable, "this owner may lack something of the shard"));
        }
        offload(|| shard.forget_deletes(Version(question.before))).map_err(Failure::internal)?;
        Ok(true)
    }

    /// Forgets deletes of a shard that all owners have had for long, if there are so many that it matters.
    pub(super) async fn settle(&self, shard: u64) {
        if self.member.forget().after.is_zero() || self.member.log_of(shard).is_some() {
            return;
        }
        if let Err(error) = self.try_settle(shard).await {
            tracing::debug!(shard, %error, "deletes are remembered for longer");
        }
    }

    async fn try_settle(&self, id: u64) -> Result<(), Unsettled> {
        let Some(shard) = self.member.store().shard(ShardId(id)) else { return Ok(()) };
        let now = self.member.owner().tick();
        let settings = *self.member.forget();
        let before = older(now, settings.after);
        if shard.deletes_before(before).count < settings.at_least {
            return Ok(());
        }
        if settings.unasked {
            return Ok(offload(|| shard.forget_deletes(before)).map_err(PullError::from)?);
        }
        let owners = self.settling_owners(id)?;
        let me = self.member.id();
        if owners.first() != Some(&me) {
            return Ok(());
        }
        self.all_floors_are_above(before, now).await?;
        offload_quietly(|| shard.keep_deletes(before)).map_err(PullError::from)?;
        let catalogue = self.member.catalogues().current();
        for owner in owners.iter().filter(|owner| **owner != me) {
            let place = Place::of(&catalogue, id).ok_or(Unsettled::Owners)?;
            let peer = catalogue.data_node(*owner).ok_or(Unsettled::Owners)?;
            let pull = Pull { entropy: self, place, peer, youngest_too: false };
            if !pull.is_settled(&shard, before).await? {
                return Err(Unsettled::Differs(owner.0));
            }
        }
        if self.settling_owners(id)? != owners {
            return Err(Unsettled::Owners);
        }
        let question = SettleQuestion { shard: id, before: before.0 };
        self.forget_here(&question).map_err(|_| Unsettled::Owners)?;
        for owner in owners.iter().filter(|owner| **owner != me) {
            let Some(peer) = catalogue.data_node(*owner) else { continue };
            let told: Result<DoneAnswer, _> =
                tell(&**self.member.transport(), &peer.tcp_addr, FORGET, &question, CALL_LIMIT).await;
            if let Err(error) = told {
                tracing::debug!(shard = id, %error, "an owner hears later which deletes it may forget");
            }
        }
        tracing::info!(
            shard = id,
            before_ms = before.ms(),
            "deletes that all owners have carried out are forgotten"
        );
        Ok(())
    }

    /// The owners of a shard, the one that asks first; none of them may lack anything as far as is known.
    fn settling_owners(&self, shard: u64) -> Result<Vec<NodeId>, Unsettled> {
        let catalogue = self.member.catalogues().current();
        let found = catalogue.live_shard(shard).ok_or(Unsettled::Owners)?;
        let lacks = |owner: &NodeId| catalogue.is_behind(*owner) || self.member.standing().is_behind(*owner);
        if !found.joining.is_empty() || found.owners.iter().any(lacks) || !self.vouches_for(shard) {
            return Err(Unsettled::Owners);
        }
        let mut owners = found.owners.clone();
        owners.sort();
        Ok(owners)
    }

    async fn all_floors_are_above(&self, before: Version, now: Version) -> Result<(), Unsettled> {
        let catalogue = self.member.catalogues().current();
        let question = FloorQuestion { before: before.0, version: now.0 };
        let asked = catalogue.data_nodes().iter().map(|node| async {
            if node.id == self.member.id() {
                return (node.id, self.has_nothing_below(before, now));
            }
            let answer: Result<FloorAnswer, _> =
                tell(&**self.member.transport(), &node.tcp_addr, FLOOR, &question, CALL_LIMIT).await;
            (node.id, answer.is_ok_and(|answer| answer.clear))
        });
        let answers = futures_util::future::join_all(asked).await;
        match answers.into_iter().find(|(_, clear)| !clear) {
            Some((node, _)) => Err(Unsettled::Floor(node.0)),
            None => Ok(()),
        }
    }
}

impl Pull<'_> {
    /// Step 2: whether the other owner has the same below a version, and nothing can be lost of that.
    async fn is_settled(&self, shard: &Shard, before: Version) -> Result<bool, PullError> {
        let question = SettleQuestion { shard: self.id(), before: before.0 };
        let (answer, _): (SettledAnswer, Bytes) = self.ask(SETTLED, &question).await?;
        if !answer.vouched || answer.deletes != fingerprint(shard.deletes_before(before)) {
            return Ok(false);
        }
        let mine = self.read(shard).await?;
        let (answer, body) = self.digest(Some(&mine)).await?;
        if !answer.present || !answer.whole || !mine.unknown.is_empty() {
            return Ok(false);
        }
        if answer.equal {
            return Ok(true);
        }
        let theirs = ShardDigest::decode(&mut Reader::new(&body))?;
        if !theirs.unknown.is_empty() {
            return Ok(false);
        }
        let buckets: Vec<TimeBucket> = compare(&mine, &theirs).buckets.into_iter().collect();
        for buckets in buckets.chunks(BUCKETS_A_CALL) {
            let wanted: BTreeSet<TimeBucket> = buckets.iter().copied().collect();
            let numbers = buckets.iter().map(|bucket| bucket.0).collect();
            let question = ClassesQuestion { shard: self.id(), buckets: numbers, before: before.0 };
            let (_, body): (Nothing, Bytes) = self.ask(CLASSES, &question).await?;
            let theirs = decode_classes(&mut Reader::new(&body))?;
            let mine = offload_quietly(|| shard.class_digests(&wanted, before))?;
            if !portions(&mine, &theirs).is_empty() || lacks_mine(&mine, &theirs) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn fingerprint(digest: Digest) -> String {
    format!("{:032x}-{}", digest.sum, digest.count)
}
