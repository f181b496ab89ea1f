//! Writes, deletes and queries of shards that are written through the cluster's log.

use std::{sync::Arc, time::Duration};

use skywatch_meta::{Catalogue, Command, DataNode, FEATURE_LEVEL, HostError, NodeId, Shard};
use skywatch_model::{TimeRange, Version, line::PointBatch};
use skywatch_query::{BackendError, Reading};
use skywatch_replication::{
    ExecuteError, Member,
    log::{AppendError, LogPart, LogPath, Position, PositionToken},
    operation::Target,
};
use skywatch_storage::{Rejected, Rule, ShardRead};
use tokio::time::Instant;

use crate::{
    clustered::Clustered,
    node::{NodeCore, Outcome},
    router::ShardPart,
    write::WriteError,
};

/// How often it is tried to tell the catalogue which log this node is set to, until it knows.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);
/// How often a query that waits for an owner to be fresh looks again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Says what this release knows (see `level.rs` of the catalogue), and which log this node is set to, if any, until the catalogue knows; and that the cluster has changed over, when it has.
pub(crate) async fn announce(member: Arc<Member>) {
    let catalogues = Arc::clone(member.catalogues());
    let mut changes = catalogues.changes();
    let mut was_told = false;
    loop {
        let catalogue = catalogues.current();
        let wanted = member.log().map(|log| log.name());
        let me = member.id();
        if catalogue.data_node(me).is_some() && catalogue.known_level(me) != FEATURE_LEVEL {
            let command = Command::AnnounceFeatureLevel { node: me, level: FEATURE_LEVEL };
            if let Err(error) = catalogues.execute(&command).await {
                tracing::debug!(%error, "the catalogue cannot be told what this node knows");
            }
            tokio::time::sleep(ANNOUNCE_EVERY).await;
            continue;
        }
        if catalogue.data_node(me).is_some()
            && catalogue.knows_write_logs()
            && catalogue.write_log_of(me) != wanted
        {
            let command = Command::AnnounceWriteLog { node: me, log: wanted.map(str::to_owned) };
            match catalogues.execute(&command).await {
                Ok(_) => {}
                Err(ExecuteError::Refused(error)) => {
                    tracing::error!(%error, "this node does not write as its cluster does");
                }
                Err(error) => {
                    tracing::debug!(%error, "the catalogue cannot be told which log this node is set to");
                }
            }
            tokio::time::sleep(ANNOUNCE_EVERY).await;
            continue;
        }
        if let Some(wanted) = wanted
            && !was_told
        {
            was_told = catalogue.write_log() == Some(wanted);
            let missing: Vec<u64> = catalogue.nodes_without_log(wanted).map(|node| node.0).collect();
            if was_told {
                tracing::info!(log = wanted, "shard groups made from now on are written through the log");
            } else if !missing.is_empty() {
                tracing::info!(
                    log = wanted,
                    ?missing,
                    "writes go to owners directly until these data nodes are set to the log too"
                );
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Why this node may not serve in a cluster whose log is another one than it is set to.
pub(crate) fn mismatch(catalogue: &Catalogue, name: Option<&str>) -> Option<skywatch_meta::CatalogueError> {
    let current = catalogue.write_log().filter(|current| Some(*current) != name)?;
    Some(skywatch_meta::CatalogueError::OtherWriteLog {
        current: current.to_owned(),
        wanted: name.unwrap_or_default().to_owned(),
    })
}

fn lead_to(position: &PositionToken, partition: u32) -> Option<PositionToken> {
    let offset = position.of_partition(partition)?;
    Some(PositionToken::of(&[Position { partition, offset }]))
}

fn retry_secs(after: Duration) -> u32 {
    (after.as_millis().div_ceil(1000) as u32).max(1)
}

fn refused_by_log(error: AppendError) -> WriteError {
    match error {
        AppendError::Unavailable { reason, retry_after } => WriteError::Overloaded {
            reason: format!("the log cannot take writes now: {reason}"),
            retry_after_secs: retry_secs(retry_after),
        },
        AppendError::InDoubt { reason, retry_after } => WriteError::Overloaded {
            reason: format!(
                "the log may not have taken all points, and sending them again is safe: {reason}"
            ),
            retry_after_secs: retry_secs(retry_after),
        },
        AppendError::TooLarge(reason) => WriteError::PointTooLarge(reason),
        other => WriteError::Storage(other.to_string()),
    }
}

impl Clustered {
    /// The log, for a shard that is written through it.
    fn log(&self) -> Result<&Arc<LogPath>, WriteError> {
        self.member().log().ok_or_else(|| {
            let current = self.current().write_log().unwrap_or_default().to_owned();
            WriteError::Storage(format!(
                "the cluster writes through the log with the topic {current:?}, and this node is set to none"
            ))
        })
    }

    /// The command that makes a shard group as the cluster makes them now, if it is another one.
    pub(crate) fn as_it_is_made(&self, command: &Command) -> Result<Option<Command>, HostError> {
        let Command::CreateShardGroup { database, retention_policy, time_ns, .. } = command else {
            return Ok(None);
        };
        let Some(log) = self.member().log().filter(|log| self.current().write_log() == Some(log.name()))
        else {
            return Ok(None);
        };
        let log_starts = log.group_starts();
        if log_starts.is_empty() {
            let text = "no broker of the log has said yet how many partitions it has";
            return Err(HostError::Unavailable(text.to_owned()));
        }
        let (database, retention_policy) = (database.clone(), retention_policy.clone());
        Ok(Some(Command::CreateLoggedShardGroup {
            database,
            retention_policy,
            time_ns: *time_ns,
            log_starts,
        }))
    }

    /// Appends the parts of a batch that are written through the log.
    pub(crate) fn write_logged(
        &self,
        (database, batch): (&str, &PointBatch<'_>),
        parts: &[&ShardPart],
        version: Version,
        outcome: &mut Outcome,
    ) -> Result<(), WriteError> {
        let log = self.log()?;
        let me = self.member().id();
        let mut kept: Vec<(&ShardPart, Vec<u32>)> = Vec::with_capacity(parts.len());
        for part in parts {
            let whole = part_of(part, &part.points, me);
            let refused: Vec<Rejected> = log.refused(batch, &whole);
            if let (None, Some(first)) = (&outcome.reason, refused.first()) {
                outcome.reason = Some(first.reason.to_string());
            }
            // Both are in the order of the batch.
            let mut refused = refused.into_iter().map(|it| it.point).peekable();
            let mut points = Vec::with_capacity(part.points.len());
            for point in &part.points {
                if refused.next_if_eq(point).is_some() {
                    outcome.refused.push(*point);
                } else {
                    points.push(*point);
                }
            }
            if !points.is_empty() {
                kept.push((*part, points));
            }
        }
        let wanted: Vec<LogPart<'_>> = kept.iter().map(|(part, points)| part_of(part, points, me)).collect();
        let limit = self.write_timeout();
        let writing = log.write(database, batch, &wanted, version);
        let written = self.runtime().block_on(async { tokio::time::timeout(limit, writing).await });
        let in_doubt = |_| AppendError::InDoubt {
            reason: format!("it has not answered within {limit:?}"),
            retry_after: Duration::from_secs(1),
        };
        outcome.position = written.unwrap_or_else(|late| Err(in_doubt(late))).map_err(refused_by_log)?;
        outcome.written += kept.iter().map(|(_, points)| points.len() as u64).sum::<u64>();
        Ok(())
    }

    /// Deletes cells of shards that are written through the log. Returns when those who may be asked for them have done it.
    pub(crate) fn delete_logged(
        &self,
        targets: &[(Target<'_>, u32)],
        owners: &[(u32, Vec<NodeId>)],
        rule: &Rule,
        times: TimeRange,
    ) -> Result<(), String> {
        let log = self.log().map_err(|error| error.to_string())?;
        let limit = self.write_timeout();
        let refused = self.runtime().block_on(async {
            let token = tokio::time::timeout(limit, log.delete(targets, rule, times))
                .await
                .map_err(|_| format!("the log has not answered within {limit:?}; repeat the statement"))?
                .map_err(|error| format!("{}; repeat the statement", refused_by_log(error)))?;
            Ok::<_, String>(log.settle(&token, owners, log.settings().delete_timeout).await)
        })?;
        refused.map_or(Ok(()), |reason| Err(format!("the delete was not carried out: {reason}")))
    }
}

fn part_of<'a>(part: &ShardPart, points: &'a [u32], me: NodeId) -> LogPart<'a> {
    LogPart {
        shard: part.shard,
        range: TimeRange::new(part.start_ns, part.end_ns - 1),
        partition: part.partition.unwrap_or_default(),
        points,
        is_own: part.owners.whole.contains(&me),
    }
}

/// Who is to be asked for a shard.
enum Asked {
    /// This node.
    Here,
    /// Others, in this order.
    Others(Vec<DataNode>),
    /// Nobody; why.
    Nobody(String),
}

impl Asked {
    /// The others, or why there are none.
    fn others(self) -> (Vec<DataNode>, String) {
        match self {
            Self::Here => (Vec::new(), String::new()),
            Self::Others(nodes) => (nodes, String::new()),
            Self::Nobody(reason) => (Vec::new(), reason),
        }
    }
}

impl NodeCore {
    /// A snapshot of a shard that is written through the log, of an owner that has applied enough of it.
    pub(crate) fn read_logged(
        &self,
        clustered: &Arc<Clustered>,
        (shard, partition): (&Shard, u32),
        range: TimeRange,
        reading: &Reading,
    ) -> Result<Option<Arc<dyn ShardRead>>, BackendError> {
        let here = || self.open_shard(shard.id).map(|shard| shard.snapshot() as Arc<dyn ShardRead>);
        let position = match &reading.position {
            Some(text) => {
                let token: PositionToken =
                    text.parse().map_err(|error| BackendError::Catalogue(format!("{error}")))?;
                lead_to(&token, partition)
            }
            None => None,
        };
        let lacking = match clustered.choose_logged(shard, partition, position.as_ref(), true) {
            Asked::Here => {
                let others = move |clustered: &Clustered, shard: &Shard| {
                    let asked = clustered.choose_logged(shard, partition, position.as_ref(), false);
                    asked.others()
                };
                return Ok(here().map(|here| clustered.backed(here, shard, reading, others)));
            }
            Asked::Others(nodes) => return Ok(Some(clustered.remote(shard, range, nodes, reading))),
            Asked::Nobody(reason) => {
                format!(
                    "shard {} cannot be read as of now: {reason}; ask again, or with partial=true",
                    shard.id
                )
            }
        };
        if !reading.allows_partial {
            return Err(BackendError::Catalogue(lacking));
        }
        reading.lacks(lacking);
        Ok(here().filter(|_| shard.is_owned_by(clustered.member().id())))
    }
}

impl Clustered {
    /// Waits for an owner to be fresh as long as one may be behind; for one that has applied a position as long as that may take.
    /// This node is among them unless its copy is damaged.
    fn choose_logged(
        &self,
        shard: &Shard,
        partition: u32,
        position: Option<&PositionToken>,
        is_whole_here: bool,
    ) -> Asked {
        let Some(log) = self.member().log() else {
            return Asked::Nobody("this node is not set to the cluster's log".to_owned());
        };
        self.runtime().block_on(async {
            let began = Instant::now();
            let patience = match position {
                Some(_) => log.settings().position_timeout,
                None => log.settings().freshness,
            };
            loop {
                let asked = self.who_is_fresh(log, shard, partition, is_whole_here);
                let left = patience.saturating_sub(began.elapsed());
                match (asked, position) {
                    (asked @ (Asked::Here | Asked::Others(_)), None) => return asked,
                    (Asked::Here, Some(token)) if log.reach(token, left).await => return Asked::Here,
                    (Asked::Others(nodes), Some(token)) => {
                        for node in nodes {
                            if log.reach_at(node.id, token, left).await {
                                return Asked::Others(vec![node]);
                            }
                        }
                    }
                    (Asked::Nobody(reason), _) if left.is_zero() => return Asked::Nobody(reason),
                    (Asked::Here | Asked::Nobody(_), _) => {}
                }
                if let Some(token) = position
                    && began.elapsed() >= patience
                {
                    return Asked::Nobody(format!(
                        "no owner has applied position {token} within {patience:?}: {}",
                        log.staleness(partition)
                    ));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
    }

    fn who_is_fresh(&self, log: &LogPath, shard: &Shard, partition: u32, is_whole_here: bool) -> Asked {
        let me = self.member().id();
        if is_whole_here && shard.is_owned_by(me) && self.entropy().vouches_for(shard.id) {
            return Asked::Here;
        }
        let catalogue = self.current();
        let others = shard.whole_owners().filter(|owner| *owner != me);
        let mut fresh: Vec<NodeId> = others.filter(|owner| log.is_fresh_at(*owner, partition)).collect();
        fresh.sort_by_key(|owner| self.unreachable().has(*owner));
        let nodes: Vec<DataNode> =
            fresh.into_iter().filter_map(|owner| catalogue.data_node(owner).cloned()).collect();
        if !nodes.is_empty() {
            return Asked::Others(nodes);
        }
        let mut reasons = Vec::new();
        for owner in &shard.owners {
            let reason = match () {
                () if shard.joining.contains(owner) => "is still being given a copy".to_owned(),
                () if *owner != me => "has not said lately that it has applied all of the log".to_owned(),
                () if self.entropy().doubts().has(shard.id) => {
                    "has lost something of it and compares it with other owners".to_owned()
                }
                () => log.staleness(partition),
            };
            reasons.push(format!("node {} {}", owner.0, reason.trim_start_matches("it ")));
        }
        Asked::Nobody(reasons.join("; "))
    }

    /// Why this node does not answer for a shard, in words.
    pub(crate) fn why_not(&self, shard: u64) -> String {
        let me = self.member().id().0;
        match self.member().log_of(shard) {
            Some((Some(log), partition)) if !log.is_fresh(partition) => {
                format!("node {me} does not hold all of shard {shard}: {}", log.staleness(partition))
            }
            _ => format!("node {me} does not hold all of shard {shard}"),
        }
    }
}
