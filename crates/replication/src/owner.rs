//! The owner's side: operations are applied to the shards that are here.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use skywatch_meta::{Catalogue, NodeId};
use skywatch_model::{Clock, TimeRange, TooFarAhead, Version, WallClock, line::PointBatch};
use skywatch_rpc::{Failure, FailureKind};
use skywatch_storage::{
    DeleteReport, ErrorClass, OpenError, Precedence, Rule, Shard, ShardId, Store, WriteError, WriteReport,
};

use crate::{
    Doubts,
    operation::{Action, Operation, Target, decode},
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

    /// Applies operations that another node sent; what they write to a shard becomes durable together. Of those at the places
    /// `unseen` what is refused is kept aside: [`ApplyQuestion::unseen`](crate::calls::ApplyQuestion::unseen). Blocks.
    pub fn apply_all(
        &self,
        catalogue: &Catalogue,
        operations: &[Bytes],
        unseen: &[u32],
    ) -> Vec<Result<Report, Failure>> {
        let mut results: Vec<Result<Report, Failure>> =
            operations.iter().map(|_| Ok(Report::default())).collect();
        let mut writes: BTreeMap<u64, Writes> = BTreeMap::new();
        for (place, bytes) in operations.iter().enumerate() {
            let operation = match decode(bytes) {
                Ok(operation) => operation,
                Err(error) => {
                    results[place] = Err(Failure::new(FailureKind::Invalid, error));
                    continue;
                }
            };
            match self.prepare(catalogue, &operation) {
                Err(error) => results[place] = Err(error.into()),
                Ok(shard) => match operation.action {
                    Action::Write(batch) => {
                        let writes = writes.entry(operation.shard).or_insert_with(|| Writes::new(shard));
                        writes.bytes += bytes.len();
                        writes.batches.push((place, batch, operation.version));
                        if writes.bytes >= WRITE_BYTES {
                            writes.finish(&mut results);
                        }
                    }
                    Action::Delete(rule, times) => {
                        let deleted =
                            shard.delete(&rule.measurements, &rule.predicate, times, operation.version);
                        results[place] =
                            settled_delete(deleted).map_err(|error| ApplyError::from(error).into());
                    }
                },
            }
        }
        writes.values_mut().for_each(|writes| writes.finish(&mut results));
        writes.iter().filter(|(_, writes)| writes.gave_way).for_each(|(shard, _)| self.lacks(*shard));
        for place in unseen.iter().map(|place| *place as usize) {
            if let (Some(bytes), Some(Ok(report))) = (operations.get(place), results.get(place))
                && let Err(failure) = self.keep_refused(bytes, report)
            {
                results[place] = Err(failure);
            }
        }
        results
    }

    /// Keeps aside what was refused of a write; it stays with whoever sent it while that cannot be done.
    fn keep_refused(&self, bytes: &[u8], report: &Report) -> Result<(), Failure> {
        let Some((_, reason)) = report.rejected.first() else { return Ok(()) };
        let operation = decode(bytes).map_err(|error| Failure::new(FailureKind::Invalid, error))?;
        let (Some(shard), Action::Write(batch)) =
            (self.store.shard(ShardId(operation.shard)), operation.action)
        else {
            return Ok(());
        };
        let points: Vec<u32> = report.rejected.iter().map(|(point, _)| *point).collect();
        let kept = shard.set_refused_aside(&batch, &points, operation.version, reason);
        kept.map_err(|error| Failure::new(FailureKind::Unavailable, error))
    }

    /// Fields of a shard have given way to others of an older type. What was refused before in their favour is to be fetched from
    /// other owners, who are asked in the place of this one until then.
    fn lacks(&self, shard: u64) {
        let Some(doubts) = self.doubts.get() else { return };
        if let Err(error) = doubts.add(shard) {
            tracing::error!(shard, %error, "cannot be noted to lack points; comparing the replicas finds out late");
        }
    }

    /// The shard of an operation that another node sent.
    fn prepare(&self, catalogue: &Catalogue, operation: &Operation) -> Result<Arc<Shard>, ApplyError> {
        self.check_ownership(catalogue, operation.shard)?;
        self.observe(operation.version)?;
        Ok(self.open(operation.shard, operation.range, &operation.database)?)
    }

    /// Applies operations on one shard in their order, as they were in the log: with one sync for many. One report for each;
    /// what an owner can never do is rejected there. After an error some may have been applied; doing all again is safe.
    /// Blocks.
    pub fn apply_in_order(
        &self,
        catalogue: &Catalogue,
        id: u64,
        operations: &[&Operation],
    ) -> Result<Vec<Report>, ApplyError> {
        self.check_ownership(catalogue, id)?;
        let Some(first) = operations.first() else { return Ok(Vec::new()) };
        if let Some(latest) = operations.iter().map(|operation| operation.version).max()
            && let Err(error) = self.observe(latest)
        {
            // The log has it, and every owner has to do the same: the clock that is ahead is told of, and not followed.
            tracing::warn!(shard = id, %error, "a record of the log was written by a node whose clock is ahead");
        }
        let group = catalogue.shard_group_of(id);
        let range = group.map_or(first.range, |group| TimeRange::new(group.start_ns, group.end_ns - 1));
        let shard = self.open(id, range, &first.database)?;
        let mut reports = Vec::with_capacity(operations.len());
        let mut rest = operations;
        while let Some((next, others)) = rest.split_first() {
            if let Action::Delete(rule, times) = &next.action {
                let deleted = shard.delete(&rule.measurements, &rule.predicate, *times, next.version);
                reports.push(told(deleted.map(|_| Report::default()))?);
                rest = others;
                continue;
            }
            let count = rest.iter().take_while(|it| matches!(it.action, Action::Write(_))).count();
            let (writes, others) = rest.split_at(count);
            write_run(&shard, writes, &mut reports)?;
            rest = others;
        }
        Ok(reports)
    }

    /// Stores points (positions in `batch`) of a write that this node coordinates. Blocks.
    pub fn write(
        &self,
        target: &Target<'_>,
        batch: &PointBatch<'_>,
        points: &[u32],
    ) -> Result<Report, ApplyError> {
        let shard = self.open(target.shard, target.range, target.database)?;
        let written = shard.write(batch, points, target.version);
        if written.as_ref().is_ok_and(|report| report.gave_way) {
            self.lacks(target.shard);
        }
        Ok(settled(written, points.len())?)
    }

    /// Deletes what `rule` names in `times`, for a delete that this node coordinates. Blocks.
    pub fn delete(&self, target: &Target<'_>, rule: &Rule, times: TimeRange) -> Result<Report, ApplyError> {
        let shard = self.open(target.shard, target.range, target.database)?;
        Ok(settled_delete(shard.delete(&rule.measurements, &rule.predicate, times, target.version))?)
    }

    /// Why a shard that is here can take no further delete, if so.
    pub(crate) fn refuses_deletes(&self, shard: u64) -> Option<String> {
        let error = self.store.shard(ShardId(shard))?.refuses_deletes()?;
        Some(format!("shard {shard}: {error}"))
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

/// Writes that stand one behind the other, with one sync.
fn write_run(shard: &Shard, writes: &[&Operation], reports: &mut Vec<Report>) -> Result<(), ApplyError> {
    let numbered: Vec<(&PointBatch<'_>, Vec<u32>, Version)> = writes
        .iter()
        .filter_map(|operation| match &operation.action {
            Action::Write(batch) => Some((&**batch, (0..batch.len() as u32).collect(), operation.version)),
            Action::Delete(..) => None,
        })
        .collect();
    let batches: Vec<(&PointBatch<'_>, &[u32], Version)> =
        numbered.iter().map(|(batch, points, version)| (*batch, &**points, *version)).collect();
    // All owners do the same in the same order: so the type of a field that is first in the log counts for all of them.
    match shard.write_many(&batches, Precedence::Arrival) {
        Ok(written) => reports.extend(written.into_iter().map(report)),
        // One of them can never be stored: each by itself, so that the others are.
        Err(error) if error.class() == ErrorClass::Caller => {
            for batch in batches {
                let written = shard.write_many(&[batch], Precedence::Arrival);
                reports
                    .push(told(written.map(|all| all.into_iter().map(report).next().unwrap_or_default()))?);
            }
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// An operation that can never be done is rejected as a whole.
fn told(result: Result<Report, WriteError>) -> Result<Report, ApplyError> {
    match result {
        Ok(report) => Ok(report),
        Err(error) if error.class() == ErrorClass::Caller => {
            Ok(Report { written: 0, rejected: vec![(0, error.to_string().into())] })
        }
        Err(error) => Err(error.into()),
    }
}

/// Bytes of operations of one shard that are decoded at once.
const WRITE_BYTES: usize = 8 << 20;

/// Batches for one shard, by their place among the operations.
struct Writes {
    shard: Arc<Shard>,
    batches: Vec<(usize, Box<PointBatch<'static>>, Version)>,
    bytes: usize,
    /// See [`WriteReport::gave_way`].
    gave_way: bool,
}

impl Writes {
    const fn new(shard: Arc<Shard>) -> Self {
        Self { shard, batches: Vec::new(), bytes: 0, gave_way: false }
    }

    /// Stores them.
    fn finish(&mut self, results: &mut [Result<Report, Failure>]) {
        let points: Vec<Vec<u32>> =
            self.batches.iter().map(|(_, batch, _)| (0..batch.len() as u32).collect()).collect();
        let batches: Vec<(&PointBatch<'_>, &[u32], Version)> = self
            .batches
            .iter()
            .zip(&points)
            .map(|((_, batch, version), points)| (&**batch, points.as_slice(), *version))
            .collect();
        match self.shard.write_many(&batches, Precedence::Version) {
            Ok(reports) => {
                for ((place, ..), written) in self.batches.iter().zip(reports) {
                    self.gave_way |= written.gave_way;
                    results[*place] = Ok(report(written));
                }
            }
            // One of them can never be stored: each by itself, so that the others are.
            Err(error) if error.class() == ErrorClass::Caller => {
                for ((place, ..), (batch, points, version)) in self.batches.iter().zip(batches) {
                    let written = self.shard.write(batch, points, version);
                    self.gave_way |= written.as_ref().is_ok_and(|report| report.gave_way);
                    let written = settled(written, points.len());
                    results[*place] = written.map_err(|error| ApplyError::from(error).into());
                }
            }
            Err(error) => {
                let failure = Failure::from(ApplyError::from(error));
                self.batches.iter().for_each(|(place, ..)| results[*place] = Err(failure.clone()));
            }
        }
        self.batches.clear();
        self.bytes = 0;
    }
}

/// What became of a write. One that is older than what all owners have settled is refused for good: kept for later it would
/// be refused as well.
fn settled(written: Result<WriteReport, WriteError>, points: usize) -> Result<Report, WriteError> {
    match written {
        Err(error @ WriteError::Settled { .. }) => Ok(refused(&error, points)),
        written => written.map(report),
    }
}

/// As [`settled`], of a delete.
fn settled_delete(deleted: Result<DeleteReport, WriteError>) -> Result<Report, WriteError> {
    match deleted {
        Err(error @ WriteError::Settled { .. }) => Ok(refused(&error, 1)),
        deleted => deleted.map(|_| Report::default()),
    }
}

fn refused(error: &WriteError, points: usize) -> Report {
    tracing::error!(%error, "an operation is refused");
    let reason: Arc<str> = error.to_string().into();
    Report { written: 0, rejected: (0..points as u32).map(|point| (point, Arc::clone(&reason))).collect() }
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
