//! The owner's side: operations are applied to the shards that are here.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Serialize};
use skywatch_meta::{Catalogue, NodeId};
use skywatch_model::{Clock, TimeRange, TooFarAhead, Version, WallClock, line::PointBatch};
use skywatch_rpc::{Failure, FailureKind};
use skywatch_storage::{ErrorClass, OpenError, Rule, Shard, ShardId, Store, WriteError, WriteReport};

use crate::{
    Doubts,
    operation::{Action, Operation, Target},
};

/// Counts the series of shards in the limits of their databases.
pub trait Admission: Send + Sync + fmt::Debug {
    /// Called before something is written to a shard.
    fn admit(&self, database: &str, shard: &Shard);
}

/// Admits everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLimits;

impl Admission for NoLimits {
    fn admit(&self, _database: &str, _shard: &Shard) {}
}

/// What became of an operation at an owner.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// Points stored.
    pub written: u64,
    /// Points that this owner can never store, by their position in the operation, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<(u32, Arc<str>)>,
}

/// Why an owner did not apply an operation.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The shard was dropped, or belongs to others: nothing is to be done.
    #[error("{0}")]
    Gone(String),
    /// It was accepted by a node whose clock is too far ahead of this one's.
    #[error(transparent)]
    Clock(#[from] TooFarAhead),
    /// The shard did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The shard did not take it.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        let kind = match &error {
            // A shard that is closed was dropped, or its node is stopping: asked again, whoever is there then knows.
            ApplyError::Gone(_) => FailureKind::NotFound,
            ApplyError::Clock(_) => FailureKind::Unavailable,
            ApplyError::Open(_) => FailureKind::Internal,
            ApplyError::Write(error) => match error.class() {
                ErrorClass::Caller => FailureKind::Invalid,
                ErrorClass::Retry => FailureKind::Unavailable,
                ErrorClass::Fatal => FailureKind::Internal,
            },
        };
        Self::new(kind, error)
    }
}

/// See the module's header.
#[derive(Debug)]
pub struct Owner {
    me: NodeId,
    store: Arc<Store>,
    clock: Arc<Clock>,
    wall: Arc<dyn WallClock>,
    admission: Arc<dyn Admission>,
    doubts: OnceLock<Arc<Doubts>>,
}

impl Owner {
    /// Applies to `store`.
    pub fn new(
        me: NodeId,
        store: Arc<Store>,
        clock: Arc<Clock>,
        wall: Arc<dyn WallClock>,
        admission: Arc<dyn Admission>,
    ) -> Self {
        Self { me, store, clock, wall, admission, doubts: OnceLock::new() }
    }

    /// The store.
    pub const fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Takes note of a version from elsewhere: what is written here from now on is younger.
    pub(crate) fn observe(&self, version: Version) -> Result<(), TooFarAhead> {
        self.clock.observe(version, self.wall.now_ms())
    }

    /// The next version of this node's clock.
    pub(crate) fn tick(&self) -> Version {
        self.clock.tick(self.wall.now_ms())
    }

    /// Who is told of new shards; only the first one counts.
    pub(crate) fn doubt(&self, doubts: Arc<Doubts>) {
        drop(self.doubts.set(doubts));
    }

    /// The time of day.
    pub(crate) fn now_ms(&self) -> u64 {
        self.wall.now_ms()
    }

    /// Applies an operation that another node sent. Blocks.
    pub fn apply(&self, catalogue: &Catalogue, operation: &Operation) -> Result<Report, ApplyError> {
        self.check_ownership(catalogue, operation.shard)?;
        self.observe(operation.version)?;
        let shard = self.open(operation.shard, operation.range, &operation.database)?;
        match &operation.action {
            Action::Write(batch) => {
                let points: Vec<u32> = (0..batch.len() as u32).collect();
                Ok(report(shard.write(batch, &points, operation.version)?))
            }
            Action::Delete(rule, times) => {
                shard.delete(&rule.measurements, &rule.predicate, *times, operation.version)?;
                Ok(Report::default())
            }
        }
    }

    /// Stores points (positions in `batch`) of a write that this node coordinates. Blocks.
    pub fn write(
        &self,
        target: &Target<'_>,
        batch: &PointBatch<'_>,
        points: &[u32],
    ) -> Result<Report, ApplyError> {
        let shard = self.open(target.shard, target.range, target.database)?;
        Ok(report(shard.write(batch, points, target.version)?))
    }

    /// Deletes what `rule` names in `times`, for a delete that this node coordinates. Blocks.
    pub fn delete(&self, target: &Target<'_>, rule: &Rule, times: TimeRange) -> Result<Report, ApplyError> {
        let shard = self.open(target.shard, target.range, target.database)?;
        shard.delete(&rule.measurements, &rule.predicate, times, target.version)?;
        Ok(Report::default())
    }

    /// A shard that is not in the catalogue was dropped, unless its number is one that this copy of the catalogue has
    /// not seen given out yet.
    fn check_ownership(&self, catalogue: &Catalogue, id: u64) -> Result<(), ApplyError> {
        match catalogue.live_shard(id) {
            Some(shard) if !shard.is_owned_by(self.me) => {
                Err(ApplyError::Gone(format!("node {} does not own shard {id}", self.me.0)))
            }
            None if id <= catalogue.shard_id_last() => {
                Err(ApplyError::Gone(format!("shard {id} was dropped")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The shard, created if it is not there.
    pub(crate) fn open(&self, id: u64, range: TimeRange, database: &str) -> Result<Arc<Shard>, OpenError> {
        if let Some(doubts) = self.doubts.get()
            && self.store.shard(ShardId(id)).is_none()
            && let Err(error) = doubts.expect(id)
        {
            tracing::error!(shard = id, %error, "cannot be noted to be here; should it get lost, that is noticed late");
        }
        let shard = self.store.create_shard(ShardId(id), range)?;
        self.admission.admit(database, &shard);
        Ok(shard)
    }
}

fn report(report: WriteReport) -> Report {
    let rejected = report.rejected.into_iter().map(|it| (it.point, it.reason)).collect();
    Report { written: report.written, rejected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stopping_node_does_not_take_is_not_taken_for_needless() {
        let kind = |error: ApplyError| Failure::from(error).kind;
        assert_eq!(kind(WriteError::Closed.into()), FailureKind::Unavailable);
        assert_eq!(kind(ApplyError::Gone("shard 1 was dropped".into())), FailureKind::NotFound);
    }
}
