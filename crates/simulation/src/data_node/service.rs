//! What clients ask a data node for, and what data nodes ask each other for on their behalf.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use skywatch_meta::{Catalogue, Command, RetentionPolicy, ShardGroup};
use skywatch_model::{FieldRef, TimeRange, Version, line::PointBatch};
use skywatch_replication::{
    Catalogues, Consistency, Outcome, Owners, Part,
    log::{LogPart, LogPath},
    operation::Target,
};
use skywatch_rpc::{Failure, FailureKind, Router, tell};
use skywatch_storage::{Rule, TagPredicate};

use super::{DATABASE, DataNode, FIELDS, MEASUREMENT, TAG, read_all};

/// Stores points.
pub const WRITE: &str = "client.write";
/// Deletes cells.
pub const DELETE: &str = "client.delete";
/// Shows all points.
pub const READ: &str = "client.read";
/// Shows what a node has of a shard.
const CELLS: &str = "simulation.cells";

const CELLS_LIMIT: Duration = Duration::from_secs(1);

/// Head of [`WRITE`].
#[derive(Debug, Serialize, Deserialize)]
pub struct WriteQuestion {
    /// The operation's number: the value of all fields.
    pub operation: u64,
    /// Series and times.
    pub points: Vec<(String, i64)>,
    /// The consistency level.
    pub level: String,
}

/// Head of [`DELETE`].
#[derive(Debug, Serialize, Deserialize)]
pub struct DeleteQuestion {
    /// The operation's number.
    pub operation: u64,
    /// The tag's value, of the series.
    pub host: String,
    /// From when.
    pub start: i64,
    /// Until when, included.
    pub end: i64,
}

/// Answer to [`WRITE`] and [`DELETE`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Written {
    /// The version that is stored.
    pub version: u64,
}

/// A series, a time, and the values of the fields.
type Row = (String, i64, Option<i64>, Option<i64>);

/// Answer to [`READ`].
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadAnswer {
    /// All points.
    pub rows: Vec<Row>,
}

/// Head of [`CELLS`].
#[derive(Debug, Serialize, Deserialize)]
struct CellsQuestion {
    shard: u64,
}

/// Answer to [`CELLS`].
#[derive(Debug, Serialize, Deserialize)]
struct CellsAnswer {
    rows: Vec<Row>,
}

/// What clients ask for.
pub(super) fn client_router(node: &Arc<DataNode>) -> Router {
    let [writing, deleting, reading] = [(); 3].map(|()| Arc::clone(node));
    Router::new()
        .on(WRITE, move |question: WriteQuestion, _| {
            let node = Arc::clone(&writing);
            async move { Ok((node.write(question).await?, Bytes::new())) }
        })
        .on(DELETE, move |question: DeleteQuestion, _| {
            let node = Arc::clone(&deleting);
            async move { Ok((node.delete(question).await?, Bytes::new())) }
        })
        .on(READ, move |(), _| {
            let node = Arc::clone(&reading);
            async move { Ok((node.read().await?, Bytes::new())) }
        })
}

/// What other nodes ask for.
pub(super) fn peer_router(node: &Arc<DataNode>) -> Router {
    let node = Arc::clone(node);
    Router::new().on(CELLS, move |question: CellsQuestion, _| {
        let node = Arc::clone(&node);
        async move { Ok((CellsAnswer { rows: node.rows_of(question.shard)? }, Bytes::new())) }
    })
}

fn unavailable(text: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Unavailable, text)
}

fn policy_of(catalogue: &Catalogue) -> Result<&RetentionPolicy, Failure> {
    let policy = catalogue.database(DATABASE).and_then(|database| database.retention_policy(""));
    policy.ok_or_else(|| unavailable("the catalogue is not known yet"))
}

fn range_of(group: &ShardGroup) -> TimeRange {
    TimeRange::new(group.start_ns, group.end_ns - 1)
}

impl DataNode {
    fn next_version(&self, operation: u64) -> Version {
        let version = self.clock.tick(self.machine.wall.now_ms());
        self.witness.ledger.attempt(operation, version);
        let Self { machine, .. } = self;
        machine
            .trace
            .note(machine.time.now(), format!("{}: op {operation} begins as {version}", machine.name));
        version
    }

    fn tell(&self, operation: u64, shard: u64, outcome: &Outcome) {
        let Self { machine, .. } = self;
        let Outcome { stored, hinted, owners, problem, .. } = outcome;
        let problem = problem.as_deref().unwrap_or("no problem");
        let unkept =
            outcome.hint_problem.as_ref().map_or_else(String::new, |error| format!(", not kept: {error}"));
        machine.trace.note(
            machine.time.now(),
            format!(
                "{}: op {operation} in shard {shard}: stored {stored}, hinted {hinted}, of {owners}; {problem}{unkept}",
                machine.name
            ),
        );
    }

    async fn write(&self, question: WriteQuestion) -> Result<Written, Failure> {
        let WriteQuestion { operation, points, level } = question;
        let level: Consistency = level.parse().map_err(Failure::internal)?;
        let mut batch = PointBatch::new();
        for (series, time) in &points {
            let fields = FIELDS.map(|field| (field, FieldRef::Integer(operation as i64)));
            batch.push(series, *time, fields).map_err(Failure::internal)?;
        }
        let catalogue = self.catalogue_with_groups(&points).await?;
        let policy = policy_of(&catalogue)?;
        let mut places: BTreeMap<u64, (TimeRange, Owners, Vec<u32>)> = BTreeMap::new();
        for (position, point) in batch.points().enumerate() {
            let group = policy.shard_group_at(point.time()).ok_or_else(|| unavailable("no shard group"))?;
            let shard = group.shard_for(point.series_hash());
            let place =
                places.entry(shard.id).or_insert_with(|| (range_of(group), Owners::of(shard), Vec::new()));
            place.2.push(position as u32);
        }
        let _pending = self.member.begin_operation();
        let version = self.next_version(operation);
        if catalogue.write_log().is_some() {
            return self.write_logged(&catalogue, &batch, &places, version).await;
        }
        let part = |(&shard, (range, owners, points)): (&u64, &'_ (TimeRange, Owners, Vec<u32>))| {
            (shard, *range, owners.clone(), points.clone())
        };
        let places: Vec<_> = places.iter().map(part).collect();
        let parts: Vec<Part<'_>> = places
            .iter()
            .map(|(shard, range, owners, points)| Part { shard: *shard, range: *range, points, owners })
            .collect();
        let outcomes = self.member.coordinator().write(DATABASE, &batch, &parts, version).await;
        for (part, outcome) in parts.iter().zip(&outcomes) {
            self.tell(operation, part.shard, outcome);
            if !outcome.reaches(level) || outcome.is_gone || !outcome.rejected.is_empty() {
                return Err(unavailable(outcome.problem.as_deref().unwrap_or("below the level")));
            }
        }
        Ok(Written { version: version.0 })
    }

    /// As through the binary: the log has it.
    async fn write_logged(
        &self,
        catalogue: &Catalogue,
        batch: &PointBatch<'_>,
        places: &BTreeMap<u64, (TimeRange, Owners, Vec<u32>)>,
        version: Version,
    ) -> Result<Written, Failure> {
        let log = self.member.log().ok_or_else(|| unavailable("no log"))?;
        let mut parts = Vec::new();
        for (&shard, (range, owners, points)) in places {
            let partition = LogPath::partition_of(catalogue, shard).ok_or_else(|| unavailable("no log"))?;
            let is_own = owners.whole.contains(&self.member.id());
            parts.push(LogPart { shard, range: *range, partition, points, is_own });
        }
        log.write(DATABASE, batch, &parts, version).await.map_err(unavailable)?;
        Ok(Written { version: version.0 })
    }

    /// The catalogue, once it has shard groups for these points.
    async fn catalogue_with_groups(&self, points: &[(String, i64)]) -> Result<Arc<Catalogue>, Failure> {
        for (_, time) in points {
            let catalogue = self.follower.current();
            if policy_of(&catalogue)?.shard_group_at(*time).is_some() {
                continue;
            }
            let command = Command::CreateShardGroup {
                database: DATABASE.to_owned(),
                retention_policy: policy_of(&catalogue)?.name.clone(),
                time_ns: *time,
                nodes: Vec::new(),
            };
            self.follower.execute(&command).await.map_err(unavailable)?;
        }
        Ok(self.follower.current())
    }

    async fn delete(&self, question: DeleteQuestion) -> Result<Written, Failure> {
        let DeleteQuestion { operation, host, start, end } = question;
        let times = TimeRange::new(start, end);
        let rule = Rule {
            measurements: vec![MEASUREMENT.into()],
            predicate: TagPredicate::Equal { key: TAG.into(), value: host.into() },
        };
        let catalogue = self.follower.current();
        let policy = policy_of(&catalogue)?;
        let _pending = self.member.begin_operation();
        let version = self.next_version(operation);
        let (mut logged, mut settling) = (Vec::new(), Vec::new());
        for group in policy.live_shard_groups().filter(|group| range_of(group).overlaps(times)) {
            for shard in &group.shards {
                let target = Target { shard: shard.id, range: range_of(group), database: DATABASE, version };
                if let Some(partition) = group.partition_of(shard.id) {
                    logged.push((target, partition));
                    settling.push((partition, shard.whole_owners().collect()));
                    continue;
                }
                let owners = Owners::of(shard);
                let outcome = self.member.coordinator().delete(&target, &rule, times, &owners).await;
                self.tell(operation, shard.id, &outcome);
                let is_refused = outcome.hint_problem.is_some() || !outcome.rejected.is_empty();
                if !outcome.reaches(Consistency::Any) || is_refused {
                    return Err(unavailable(outcome.problem.as_deref().unwrap_or("not everywhere")));
                }
            }
        }
        if let (Some(log), false) = (self.member.log(), logged.is_empty()) {
            let token = log.delete(&logged, &rule, times).await.map_err(unavailable)?;
            if let Some(reason) = log.settle(&token, &settling, log.settings().delete_timeout).await {
                return Err(unavailable(reason));
            }
        }
        Ok(Written { version: version.0 })
    }

    /// A query: each shard is read from an owner that knows to lack nothing, by a catalogue that
    /// is known to be current.
    async fn read(&self) -> Result<ReadAnswer, Failure> {
        if !self.member.is_current() {
            return Err(unavailable("the catalogue may be out of date"));
        }
        let catalogue = self.follower.current();
        let mut rows = Vec::new();
        for group in policy_of(&catalogue)?.live_shard_groups() {
            for shard in &group.shards {
                rows.extend(self.read_shard(&catalogue, shard.id, &Owners::of(shard)).await?);
            }
        }
        Ok(ReadAnswer { rows })
    }

    async fn read_shard(
        &self,
        catalogue: &Catalogue,
        shard: u64,
        owners: &Owners,
    ) -> Result<Vec<Row>, Failure> {
        let me = self.member.id();
        let mut whole = owners.whole.clone();
        whole.sort_by_key(|owner| (*owner != me, self.member.standing().is_silent(*owner)));
        for owner in whole {
            if owner == me {
                match self.rows_of(shard) {
                    Err(failure) if failure.kind == FailureKind::Incomplete => continue,
                    result => return result,
                }
            }
            let Some(node) = catalogue.data_node(owner) else { continue };
            let question = CellsQuestion { shard };
            let answer: Result<CellsAnswer, _> =
                tell(&*self.machine.transport, &node.tcp_addr, CELLS, &question, CELLS_LIMIT).await;
            if let Ok(answer) = answer {
                return Ok(answer.rows);
            }
        }
        Err(unavailable(format!("no owner of shard {shard} has all of it and answers")))
    }

    fn rows_of(&self, shard: u64) -> Result<Vec<Row>, Failure> {
        if !self.member.holds(shard) {
            return Err(Failure::new(FailureKind::Incomplete, "others may keep something for this node"));
        }
        let found = read_all(self.member.store(), Some(shard)).map_err(Failure::internal)?;
        Ok(found.into_iter().map(|((series, time), (a, b))| (series, time, a, b)).collect())
    }
}
