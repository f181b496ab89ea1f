//! One shard compared with all its other owners, and what came of it: it joins, is in doubt no more, or stays open.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::future::join_all;
use skywatch_meta::{Command, NodeId};
use skywatch_rpc::tell;
use tokio::time::Instant;

use super::{
    Entropy,
    ledger::Trouble,
    pull::{Pull, PullError, Pulled},
};
use crate::{
    calls::{REACH, ReachAnswer, ReachQuestion},
    copy,
    place::Place,
    standing::TRUST,
};

/// How long after everybody knows of a new owner writes that were begun before it may still be under way.
const SETTLING: Duration = Duration::from_secs(5);
/// How long others may take to hear of a new owner.
const REACH_LIMIT: Duration = Duration::from_secs(1);
/// How often an owner is told that it lacks something of a shard.
const TELL_EVERY: Duration = Duration::from_secs(30);
/// How long another owner may take to apply what this node has applied of the log, before a copy from it is tried anew.
const LEVEL_LIMIT: Duration = Duration::from_secs(30);

/// What looking at a shard came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Alike at all owners that answered, of which one at least has everything; or at all there are.
    Alike,
    /// Not, or not known.
    Open,
}

/// A verdict, and whether everything that the others have is here.
#[derive(Debug, Clone, Copy)]
struct Looked {
    verdict: Verdict,
    is_complete: bool,
}

impl Looked {
    const OPEN: Self = Self { verdict: Verdict::Open, is_complete: false };
}

impl Entropy {
    /// Compares a shard with all other owners, and takes in what they have and this node lacks.
    pub(super) async fn look_at(&self, shard: u64) -> Verdict {
        self.ledger.lock().begin(shard);
        self.counters.jobs.fetch_add(1, Ordering::Relaxed);
        let mut looked = self.compare_with_all(shard).await;
        if looked.is_complete && self.is_joining(shard) {
            looked = self.join(shard).await;
        }
        if looked.is_complete {
            if let Err(error) = self.doubts.remove(shard) {
                tracing::error!(shard, %error, "a shard stays in doubt");
            }
            if !self.is_joining(shard) {
                self.copies.ended(shard);
            }
        }
        self.ledger.lock().end(shard);
        looked.verdict
    }

    pub(super) fn is_joining(&self, shard: u64) -> bool {
        let catalogue = self.member.catalogues().current();
        catalogue.live_shard(shard).is_some_and(|shard| shard.joining.contains(&self.member.id()))
    }

    /// Everything that others had of a shard is here. What was written by nodes that did not know of the new owner yet may
    /// have come to them since: once all know, and what they had begun before has ended, it is compared once more.
    async fn join(&self, shard: u64) -> Looked {
        // What is found out from here on is about this joining, and no later one.
        let catalogue = self.member.catalogues().current();
        let mark = catalogue.live_shard(shard).and_then(|found| found.joining_mark(self.member.id()));
        if !self.all_know().await {
            tokio::time::sleep(TRUST).await;
        }
        tokio::time::sleep(SETTLING).await;
        if !self.others_have_caught_up(shard).await {
            return Looked::OPEN;
        }
        let looked = self.compare_with_all(shard).await;
        if looked.is_complete && self.is_joining(shard) && !self.is_killed(shard) {
            let command = Command::ConfirmShardOwner { shard, node: self.member.id(), mark };
            match self.member.catalogues().execute(&command).await {
                Ok(_) => {
                    self.sources.lock().remove(&shard);
                    tracing::info!(shard, "this node owns a shard and has all of it");
                }
                Err(error) => {
                    tracing::warn!(shard, %error, "the catalogue cannot be told that a shard is here");
                }
            }
        }
        looked
    }

    /// Makes the other data nodes look at the catalogue as it is known here; whether all have.
    async fn all_know(&self) -> bool {
        let question = ReachQuestion { index: self.member.catalogues().index() };
        let catalogue = self.member.catalogues().current();
        let others = catalogue.data_nodes().iter().filter(|node| node.id != self.member.id());
        let asked = others.map(|node| async {
            let transport = &**self.member.transport();
            let answer: Result<ReachAnswer, _> =
                tell(transport, &node.tcp_addr, REACH, &question, REACH_LIMIT).await;
            answer.is_ok_and(|answer| answer.reached)
        });
        join_all(asked).await.into_iter().all(|reached| reached)
    }

    async fn compare_with_all(&self, shard: u64) -> Looked {
        let catalogue = self.member.catalogues().current();
        let me = self.member.id();
        let Some(place) = Place::of(&catalogue, shard).filter(|place| place.shard.is_owned_by(me)) else {
            return Looked { verdict: Verdict::Alike, is_complete: false };
        };
        let is_here = self.member.store().shard(skywatch_storage::ShardId(shard)).is_some();
        let is_joining = place.shard.joining.contains(&me);
        if !is_here && !is_joining && !self.settings.auto_repair_missing {
            return Looked::OPEN;
        }
        let mut peers: Vec<_> =
            place.shard.owners.iter().filter_map(|owner| catalogue.data_node(*owner)).collect();
        peers.retain(|peer| peer.id != me);
        let wanted = self.sources.lock().get(&shard).cloned();
        // Owners that have everything first, and before them the one that somebody named.
        peers.sort_by_key(|peer| {
            let lacks = place.shard.joining.contains(&peer.id) || catalogue.is_behind(peer.id);
            (wanted.as_ref() != Some(&peer.tcp_addr), lacks)
        });
        let others = peers.len();
        let youngest_too = is_joining || self.doubts.has(shard) || self.is_thorough.load(Ordering::Relaxed);
        let mut results: Vec<Pulled> = Vec::new();
        let mut trouble = String::new();
        if let Some(first) = peers.first().filter(|_| is_joining) {
            self.copies.began(&place, first);
        }
        for peer in peers {
            let pull = Pull { entropy: self, place, peer, youngest_too };
            match pull.run().await {
                Ok(pulled) => {
                    self.counters.taken.fetch_add(pulled.taken, Ordering::Relaxed);
                    if pulled.taken > 0 {
                        tracing::info!(
                            shard,
                            from = peer.tcp_addr,
                            taken = pulled.taken,
                            "cells, deletes and fields that were missing have been taken in"
                        );
                    }
                    // What cannot be reconciled stays different, however often it is looked at.
                    let lacks = pulled.lacks_mine || pulled.lacks_fields;
                    if lacks && pulled.reasons.is_empty() && self.may_tell(shard, peer.id) {
                        pull.tell_differs().await;
                    }
                    results.push(pulled);
                }
                Err(PullError::Killed | PullError::Copy(copy::CopyError::Killed)) => return Looked::OPEN,
                Err(error) => {
                    self.counters.errors.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(shard, peer = peer.tcp_addr, %error, "a shard is not compared");
                    if trouble.is_empty() {
                        trouble = error.to_string();
                    }
                    if !matches!(&error, PullError::Call(call) if call.is_absence()) {
                        tracing::warn!(shard, peer = peer.tcp_addr, %error, "a shard cannot be compared with that of another owner");
                        self.ledger.lock().note(shard, Trouble::Differs, error.to_string());
                    }
                }
            }
        }
        if is_joining {
            let has_source = results.iter().any(|pulled| pulled.from_whole);
            self.copies.note_trouble(shard, if has_source { String::new() } else { trouble });
        }
        let is_complete = !results.is_empty()
            && results.iter().all(|pulled| pulled.complete)
            && (results.len() == others || results.iter().any(|pulled| pulled.from_whole));
        Looked { verdict: self.judge(shard, others, &results), is_complete }
    }

    /// Whether it is time to tell an owner again that it lacks something of a shard.
    fn may_tell(&self, shard: u64, owner: NodeId) -> bool {
        let now = Instant::now();
        let mut told = self.told.lock();
        told.retain(|_, at| now.saturating_duration_since(*at) < TELL_EVERY);
        let is_due = !told.contains_key(&(shard, owner));
        if is_due {
            told.insert((shard, owner), now);
        }
        is_due
    }

    /// Notes what is known of a shard after it was compared with so many other owners.
    fn judge(&self, shard: u64, others: usize, results: &[Pulled]) -> Verdict {
        let mut ledger = self.ledger.lock();
        if let Some(reason) = results.iter().find_map(|pulled| pulled.reasons.first()) {
            // Nothing that travels can change that.
            tracing::error!(shard, %reason, "owners of a shard differ in what cannot be reconciled");
            ledger.note(shard, Trouble::Differs, reason.to_string());
            return Verdict::Open;
        }
        let is_alike = results.iter().all(|pulled| pulled.complete && !pulled.lacks_mine);
        if is_alike && results.len() == others {
            ledger.clear(shard);
            return Verdict::Alike;
        }
        if results.iter().any(|pulled| pulled.lacks_mine) {
            ledger.note(shard, Trouble::Differs, String::new());
        }
        if is_alike && results.iter().any(|pulled| pulled.from_whole) {
            Verdict::Alike
        } else {
            Verdict::Open
        }
    }

    /// Waits until every other owner of a shard has applied as much of the log as this node has now, which gets everything
    /// that comes later from the log: so that they have all that it lacks. False if one has not by then.
    async fn others_have_caught_up(&self, shard: u64) -> bool {
        let Some((log, partition)) = self.member.log_of(shard) else { return true };
        let Some(log) = log else { return false };
        let catalogue = self.member.catalogues().current();
        let me = self.member.id();
        let owners =
            catalogue.live_shard(shard).map(|it| it.whole_owners().collect::<Vec<_>>()).unwrap_or_default();
        let others = owners.into_iter().filter(|owner| *owner != me);
        let waits = others.map(|owner| log.is_level_with(owner, partition, LEVEL_LIMIT));
        join_all(waits).await.into_iter().all(|is_level| is_level)
    }
}
