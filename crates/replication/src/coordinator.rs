//! The coordinator of a write: every owner of every shard gets its operation, and the client gets its answer.
//!
//! | level | stored copies needed of each shard with `n` owners |
//! |---|---|
//! | any | none, if the operation is kept for an owner |
//! | one | 1 |
//! | quorum | n / 2 + 1 |
//! | all | n |
//!
//! Owners that are in step are waited for in any case, each for [`Coordinator::patience`] at most, and no longer once they are silent:
//! so an owner that has not been marked behind has everything that was acknowledged. Where it cannot be marked, nothing is
//! acknowledged.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc, time::Duration};

use skywatch_meta::{NodeId, Shard};
use skywatch_model::{TimeRange, Version, line::PointBatch};
use skywatch_rpc::{CallError, FailureKind, Transport, ask, tell};
use skywatch_storage::{ErrorClass, Rule};

use crate::{
    calls::{APPLY, ApplyAnswer, ApplyOutcome, ApplyQuestion, ROOM, RoomAnswer, RoomQuestion, join},
    catalogues::Catalogues,
    hints::{HintError, Hints},
    offload,
    operation::{Encoded, Target},
    owner::{ApplyError, Owner, Report},
    standing::Standing,
};

/// How many owners must have a write before it is acknowledged; see the module's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// Kept for an owner is enough.
    Any,
    /// One owner.
    #[default]
    One,
    /// More than half of the owners.
    Quorum,
    /// Every owner.
    All,
}

/// No level of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid consistency level")]
pub struct InvalidConsistency;

impl FromStr for Consistency {
    type Err = InvalidConsistency;

    fn from_str(text: &str) -> Result<Self, InvalidConsistency> {
        match text.to_ascii_lowercase().as_str() {
            "any" => Ok(Self::Any),
            "one" => Ok(Self::One),
            "quorum" => Ok(Self::Quorum),
            "all" => Ok(Self::All),
            _ => Err(InvalidConsistency),
        }
    }
}

impl Consistency {
    /// Stored copies needed of `owners`.
    pub const fn needed(self, owners: usize) -> usize {
        match self {
            Self::Any => 0,
            Self::One => 1,
            Self::Quorum => owners / 2 + 1,
            Self::All => owners,
        }
    }
}

/// A part of a write: the points of one shard.
#[derive(Debug)]
pub struct Part<'a> {
    /// The shard's id.
    pub shard: u64,
    /// Its times.
    pub range: TimeRange,
    /// Positions in the batch.
    pub points: &'a [u32],
    /// Who owns it.
    pub owners: &'a Owners,
}

/// Who owns a shard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owners {
    /// Those whose copies count.
    pub whole: Vec<NodeId>,
    /// Those that get every operation, and lack earlier ones.
    pub joining: Vec<NodeId>,
}

impl Owners {
    /// Those of a shard of the catalogue.
    pub fn of(shard: &Shard) -> Self {
        let (joining, whole) = shard.owners.iter().partition(|owner| shard.joining.contains(owner));
        Self { whole, joining }
    }

    fn all(&self) -> impl Iterator<Item = NodeId> {
        self.whole.iter().chain(&self.joining).copied()
    }
}

/// What became of one owner's copy.
#[derive(Debug)]
enum Copy {
    Stored(Report),
    /// The owner owns the shard no more, or the shard is no more: nothing is to be done.
    Gone,
    /// The owner has no room for it now; in words.
    Overloaded(String),
    /// It cannot be reached, was behind already, or cannot store it; in words.
    Missing(String),
}

/// What became of an operation.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Owners that have stored it.
    pub stored: usize,
    /// Of which other nodes, joining ones included.
    pub stored_elsewhere: usize,
    /// Owners it is kept for.
    pub hinted: usize,
    /// Owners in all.
    pub owners: usize,
    /// Points that were refused for good, by position in the operation, and why.
    pub rejected: BTreeMap<u32, Arc<str>>,
    /// The shard was dropped meanwhile.
    pub is_gone: bool,
    /// This node is an owner and could not store its copy: not kept as a hint, since a disk that does not take the one
    /// would not take the other.
    pub own_is_missing: bool,
    /// It is not known to everybody that an owner lacks it, so that a query could miss it; sent through another node it is.
    pub is_untold: bool,
    /// What went wrong first, in words.
    pub problem: Option<String>,
    /// An owner had no room.
    pub is_overloaded: bool,
    /// Why an owner's copy could not be kept.
    pub hint_problem: Option<HintError>,
}

impl Outcome {
    /// Whether the level is reached.
    pub const fn reaches(&self, level: Consistency) -> bool {
        if self.is_gone {
            return true;
        }
        if self.own_is_missing || self.is_untold {
            return false;
        }
        match level {
            Consistency::Any => self.stored + self.hinted > 0,
            level => self.stored >= level.needed(self.owners),
        }
    }
}

/// See the module's header.
pub struct Coordinator {
    pub(crate) me: NodeId,
    pub(crate) owner: Arc<Owner>,
    pub(crate) catalogues: Arc<dyn Catalogues>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) hints: Arc<Hints>,
    pub(crate) standing: Arc<Standing>,
    /// How long an owner that is in step is waited for.
    pub(crate) patience: Duration,
    /// See [`crate::MemberSettings::allow_out_of_order_writes`].
    pub(crate) allow_out_of_order_writes: bool,
}

impl fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coordinator").field("me", &self.me).finish_non_exhaustive()
    }
}

impl Coordinator {
    /// How long an owner that is in step is waited for.
    pub const fn patience(&self) -> Duration {
        self.patience
    }

    /// Stores the parts of a batch at their owners. One outcome for each part.
    pub async fn write(
        &self,
        database: &str,
        batch: &PointBatch<'_>,
        parts: &[Part<'_>],
        version: Version,
    ) -> Vec<Outcome> {
        let writes = parts.iter().map(|part| async move {
            let target = Target { shard: part.shard, range: part.range, database, version };
            let is_shared = part.owners.all().any(|owner| owner != self.me);
            let encoded = is_shared.then(|| target.write(batch, part.points));
            let own = || self.owner.write(&target, batch, part.points);
            self.replicate(encoded.as_ref(), part.owners, own).await
        });
        futures_util::future::join_all(writes).await
    }

    /// Deletes cells at the owners of a shard.
    pub async fn delete(
        &self,
        target: &Target<'_>,
        rule: &Rule,
        times: TimeRange,
        owners: &Owners,
    ) -> Outcome {
        let encoded = target.delete(rule, times);
        let own = || self.owner.delete(target, rule, times);
        self.replicate(Some(&encoded), owners, own).await
    }

    /// Why a shard can take no further delete, if so. It is asked before one is given to anybody: what an owner has taken the
    /// others have to take too, sooner or later.
    pub async fn refuses_deletes(&self, shard: u64, owners: &Owners) -> Option<String> {
        if owners.all().any(|owner| owner == self.me) {
            return self.owner.refuses_deletes(shard);
        }
        let catalogue = self.catalogues.current();
        let can_be_asked =
            |owner: &NodeId| !self.standing.is_behind(*owner) && !self.standing.is_silent(*owner);
        let asked = owners.whole.iter().copied().find(can_be_asked)?;
        let address = &catalogue.data_node(asked)?.tcp_addr;
        let answer: Result<RoomAnswer, _> =
            tell(&*self.transport, address, ROOM, &RoomQuestion { shard }, self.patience).await;
        // Whoever does not answer now is told of the delete when it is back.
        answer.ok()?.refusal
    }

    /// Sends to the other owners first, so that their disks work while this one's does.
    async fn replicate(
        &self,
        encoded: Option<&Encoded>,
        owners: &Owners,
        own: impl FnOnce() -> Result<Report, ApplyError>,
    ) -> Outcome {
        let others = owners.all().filter(|owner| *owner != self.me);
        let sends = others.filter_map(|owner| {
            let encoded = encoded?;
            Some(async move { (owner, self.send(owner, encoded).await) })
        });
        let sends = futures_util::future::join_all(sends);
        let is_own = owners.all().any(|owner| owner == self.me);
        let here = async { is_own.then(|| offload(own)) };
        let (sent, here) = futures_util::future::join(sends, here).await;
        let mut outcome = Outcome { owners: owners.whole.len(), ..Outcome::default() };
        let counts = |owner: &NodeId| owners.whole.contains(owner);
        if let Some(result) = here {
            let copy = result.map_or_else(|error| missed(&error), Copy::Stored);
            outcome.own_is_missing = outcome.take(copy, counts(&self.me)).is_some();
        }
        let mut missing = Vec::new();
        for (owner, copy) in sent {
            outcome.stored_elsewhere += usize::from(matches!(copy, Copy::Stored(_)));
            missing.extend(outcome.take(copy, counts(&owner)).map(|()| owner));
        }
        if let Some(encoded) = encoded.filter(|_| !missing.is_empty()) {
            let is_seen = outcome.stored + outcome.stored_elsewhere > 0;
            let kept = if is_seen { encoded.clone() } else { encoded.unseen() };
            for owner in missing {
                self.keep(owner, &kept, &mut outcome).await;
            }
        }
        outcome.is_gone = outcome.owners == 0 && outcome.problem.is_none();
        outcome
    }

    /// Keeps an operation for an owner that could not take it, and says that it is behind.
    async fn keep(&self, owner: NodeId, encoded: &Encoded, outcome: &mut Outcome) {
        match self.keep_hint(owner, encoded).await {
            Ok(()) => outcome.hinted += 1,
            Err(error) => {
                tracing::warn!(node = owner.0, shard = encoded.shard, %error, "a copy cannot be kept for a node; comparing the replicas brings it back");
                outcome.hint_problem.get_or_insert(error);
            }
        }
        if let Err(untold) = self.standing.fall_behind(owner).await {
            outcome.is_untold = true;
            outcome.problem = Some(untold.to_string());
        }
    }

    async fn keep_hint(&self, owner: NodeId, encoded: &Encoded) -> Result<(), HintError> {
        let queue = self.hints.queue(owner).map_err(|error| HintError::Io(error.to_string()))?;
        if self.hints.settings().enabled {
            return queue.append(&encoded.bytes, encoded.points).await;
        }
        offload(|| queue.note_gap());
        Err(HintError::Disabled)
    }

    async fn send(&self, owner: NodeId, encoded: &Encoded) -> Copy {
        if self.standing.is_behind(owner) && !self.allow_out_of_order_writes {
            return Copy::Missing("hinted handoff queue not empty".to_owned());
        }
        let silent = || Copy::Missing(format!("node {} has not answered anything for a while", owner.0));
        if self.standing.is_silent(owner) {
            return silent();
        }
        let Some(address) = self.catalogues.current().data_node(owner).map(|node| node.tcp_addr.clone())
        else {
            return Copy::Gone;
        };
        let body = join([&encoded.bytes]);
        let question = ApplyQuestion::default();
        let asking = ask(&*self.transport, &address, APPLY, &question, body, self.patience);
        let answer: Result<(ApplyAnswer, _), CallError> = tokio::select! {
            biased;
            answer = asking => answer,
            () = self.standing.silence(owner) => return silent(),
        };
        match answer {
            Ok((answer, _)) => match answer.outcomes.into_iter().next() {
                Some(ApplyOutcome::Stored(report)) => Copy::Stored(report),
                Some(ApplyOutcome::Failed(failure)) => match failure.kind {
                    FailureKind::NotFound => Copy::Gone,
                    FailureKind::Unavailable => Copy::Overloaded(failure.text),
                    // Also what it cannot read: after its upgrade it will.
                    _ => Copy::Missing(failure.text),
                },
                None => Copy::Missing(format!("{address} answered nothing")),
            },
            Err(error) => Copy::Missing(error.to_string()),
        }
    }
}

fn missed(error: &ApplyError) -> Copy {
    match error {
        ApplyError::Gone(_) => Copy::Gone,
        ApplyError::Write(write) if write.class() == ErrorClass::Retry => Copy::Overloaded(error.to_string()),
        _ => Copy::Missing(error.to_string()),
    }
}

impl Outcome {
    /// Takes note of an owner's copy, and tells if it is missing. That of a joining owner does not count.
    fn take(&mut self, copy: Copy, counts: bool) -> Option<()> {
        match copy {
            Copy::Stored(report) => {
                self.stored += usize::from(counts);
                for (point, reason) in report.rejected {
                    self.rejected.entry(point).or_insert(reason);
                }
                return None;
            }
            Copy::Gone => {
                self.owners -= usize::from(counts);
                return None;
            }
            Copy::Overloaded(problem) => {
                self.is_overloaded = true;
                self.problem.get_or_insert(problem);
            }
            Copy::Missing(problem) => {
                self.problem.get_or_insert(problem);
            }
        }
        Some(())
    }
}
