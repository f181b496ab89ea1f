//! A write on its way into shards: parsed, given a version, split by shard, stored here or at the owners, and counted.

use std::{sync::atomic::Ordering, time::Duration};

use skywatch_meta::Command;
use skywatch_model::{
    TimeRange, Version,
    line::{LineError, ParseOptions, PointBatch, parse},
};
use skywatch_replication::log::PositionToken;
use skywatch_storage::{Consumer, Exhausted, Reservation, ShardId};

use super::{NodeCore, RETRY_AFTER_SECS};
use crate::{
    keeper::Keeper,
    router::{Route, ShardPart, plan_route},
    statistics::add,
    write::{PointsRequest, WriteError, WriteErrorClass, WriteRequest, WriteSummary},
};

/// What a parsed line takes, and each of its fields and tags; those of new series are counted once parsed.
const BYTES_PER_LINE: u64 = 32;
const BYTES_PER_VALUE: u64 = 8;

/// How long a write waits for memory to be parsed into.
pub(super) const BATCH_PATIENCE: Duration = Duration::from_secs(2);

impl NodeCore {
    /// Counts a write and what became of it.
    pub(super) fn counted(
        &self,
        write: impl FnOnce() -> Result<WriteSummary, WriteError>,
    ) -> Result<WriteSummary, WriteError> {
        let counters = &self.counters;
        add(&counters.requests, 1);
        let result = write();
        match &result {
            Ok(summary) => add(&counters.points_written, summary.points),
            Err(WriteError::Partial { written, dropped, .. }) => {
                add(&counters.points_written, *written);
                add(&counters.points_rejected, *dropped);
            }
            Err(WriteError::BelowLevel { .. }) => add(&counters.below_level, 1),
            Err(WriteError::Timeout { .. }) => add(&counters.timeouts, 1),
            Err(error) => match error.class() {
                WriteErrorClass::Retry => add(&counters.overloaded, 1),
                WriteErrorClass::Fatal => add(&counters.failed, 1),
                WriteErrorClass::Caller | WriteErrorClass::NotFound => {}
            },
        }
        result
    }

    pub(super) fn write(&self, request: &WriteRequest<'_>) -> Result<WriteSummary, WriteError> {
        if self.closing.load(Ordering::Acquire) {
            return Err(WriteError::ShuttingDown);
        }
        let policy = request.retention_policy.unwrap_or("");
        self.check_target(request.database, policy)?;
        let mut parsed = self.memory_for(request.body)?;
        let mut batch = PointBatch::new();
        let options = ParseOptions { precision: request.precision, default_time_ns: request.received_at_ns };
        let bad_lines = parse(request.body, options, &mut batch);
        add(&self.counters.lines_unparsable, bad_lines.len() as u64);
        parsed.grow_to(batch.size_bytes().saturating_sub(request.body.len()) as u64).map_err(no_memory)?;
        if batch.is_empty() {
            return if bad_lines.is_empty() {
                Ok(WriteSummary::default())
            } else {
                Err(WriteError::Unparsable(join_lines(&bad_lines)))
            };
        }
        let target = PointsRequest {
            database: request.database,
            retention_policy: request.retention_policy,
            received_at_ns: request.received_at_ns,
            consistency: request.consistency,
        };
        self.store_batch(&target, &batch, &bad_lines, None)
    }

    /// See [`Node::write_points`] and [`Node::write_points_of`].
    pub(crate) fn write_points(
        &self,
        request: &PointsRequest<'_>,
        batch: &PointBatch<'_>,
        version: Option<Version>,
    ) -> Result<WriteSummary, WriteError> {
        self.counted(|| {
            if self.closing.load(Ordering::Acquire) {
                return Err(WriteError::ShuttingDown);
            }
            let policy = request.retention_policy.unwrap_or("");
            self.check_target(request.database, policy)?;
            if batch.is_empty() {
                return Ok(WriteSummary::default());
            }
            self.store_batch(request, batch, &[], version)
        })
    }

    fn store_batch(
        &self,
        request: &PointsRequest<'_>,
        batch: &PointBatch<'_>,
        bad_lines: &[LineError],
        version: Option<Version>,
    ) -> Result<WriteSummary, WriteError> {
        let PointsRequest { database, retention_policy, received_at_ns, consistency } = *request;
        let policy = retention_policy.unwrap_or("");
        let (parts, too_old) = self.route(database, policy, batch, received_at_ns)?;
        let pending = match &self.host {
            Keeper::Local(_) => None,
            Keeper::Cluster(clustered) => Some(clustered.begin_operation()),
        };
        let is_new = |version: &Version| pending.as_ref().is_none_or(|pending| *version >= pending.bound());
        // One that is older than what owners may have settled gets a version of its own: they would not take it.
        let version = match version.filter(is_new) {
            Some(version) => {
                // Whatever is written or deleted here after it is newer. One from the future is not: owners refuse it.
                self.clock.observe(version, u64::try_from(received_at_ns / 1_000_000).unwrap_or(0)).ok();
                version
            }
            None => self.next_version(received_at_ns),
        };
        let outcome = match &self.host {
            Keeper::Local(_) => self.write_parts(database, batch, &parts, version)?,
            Keeper::Cluster(clustered) => clustered.write(database, batch, &parts, version, consistency)?,
        };
        add(&self.counters.remote_points, outcome.remote_points);
        add(&self.counters.hinted_points, outcome.hinted_points);
        self.forward(database, policy, batch, &parts, &outcome.refused);
        outcome.conclude(too_old, bad_lines)
    }

    /// Takes memory for what the body will be parsed into, estimated from what it counts of lines and fields.
    fn memory_for(&self, body: &[u8]) -> Result<Reservation, WriteError> {
        let count = |wanted: u8| body.iter().filter(|byte| **byte == wanted).count() as u64;
        let bytes = (count(b'\n') + 1) * BYTES_PER_LINE + count(b'=') * BYTES_PER_VALUE;
        let closing = || self.closing.load(Ordering::Acquire);
        self.memory.reserve_within(Consumer::Batches, bytes, BATCH_PATIENCE, &closing).map_err(no_memory)
    }

    fn check_target(&self, database: &str, policy: &str) -> Result<(), WriteError> {
        let catalogue = self.host.current();
        let found =
            catalogue.database(database).ok_or_else(|| WriteError::DatabaseNotFound(database.to_owned()))?;
        match found.retention_policy(policy) {
            Some(_) => Ok(()),
            None => Err(WriteError::RetentionPolicyNotFound(policy.to_owned())),
        }
    }

    /// Plans the parts of a batch, creating the shard groups it needs.
    fn route(
        &self,
        database: &str,
        policy: &str,
        batch: &PointBatch<'_>,
        now_ns: i64,
    ) -> Result<(Vec<ShardPart>, u64), WriteError> {
        loop {
            let catalogue = self.host.current();
            let found = catalogue
                .database(database)
                .ok_or_else(|| WriteError::DatabaseNotFound(database.to_owned()))?
                .retention_policy(policy)
                .ok_or_else(|| WriteError::RetentionPolicyNotFound(policy.to_owned()))?;
            match plan_route(found, batch, now_ns) {
                Route::Complete { parts, too_old } => return Ok((parts, too_old)),
                Route::MissingGroups(times_ns) => {
                    let create = |time_ns| Command::CreateShardGroup {
                        database: database.to_owned(),
                        retention_policy: found.name.clone(),
                        time_ns,
                        nodes: self.host.placement(),
                    };
                    let commands: Vec<Command> = times_ns.into_iter().map(create).collect();
                    self.host.execute_all(&commands).map_err(WriteError::Catalogue)?;
                }
            }
        }
    }

    fn write_parts(
        &self,
        database: &str,
        batch: &PointBatch<'_>,
        parts: &[ShardPart],
        version: Version,
    ) -> Result<Outcome, WriteError> {
        let limit = self.series_limits.of(database);
        let mut outcome = Outcome::default();
        for part in parts {
            let range = TimeRange::new(part.start_ns, part.end_ns - 1);
            let shard = self.store.create_shard(ShardId(part.shard), range).map_err(storage_error)?;
            shard.limit_series(&limit);
            let report = shard.write(batch, &part.points, version).map_err(write_error)?;
            outcome.written += report.written;
            outcome.refused.extend(report.rejected.iter().map(|rejected| rejected.point));
            if outcome.reason.is_none() {
                outcome.reason =
                    report.rejected.into_iter().next().map(|rejected| rejected.reason.to_string());
            }
        }
        Ok(outcome)
    }
}

/// What became of the points of one batch that had a shard.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) written: u64,
    /// Positions in the batch of those that do not fit their shard.
    pub(crate) refused: Vec<u32>,
    /// Why the first rejected point was.
    pub(crate) reason: Option<String>,
    /// Copies that went to other owners at once, and that are kept for them, in points.
    pub(crate) remote_points: u64,
    /// See [`Self::remote_points`].
    pub(crate) hinted_points: u64,
    /// Where they are in the log.
    pub(crate) position: PositionToken,
}

impl Outcome {
    /// The answer to the client. As in InfluxDB, a type conflict is told before points beyond retention, and
    /// both before lines that did not parse; here the later ones are told too.
    fn conclude(self, too_old: u64, bad_lines: &[LineError]) -> Result<WriteSummary, WriteError> {
        let mut reasons: Vec<String> = self.reason.into_iter().collect();
        if too_old > 0 {
            reasons.push("points beyond retention policy".to_owned());
        }
        if !bad_lines.is_empty() {
            reasons.push(join_lines(bad_lines));
        }
        if reasons.is_empty() {
            return Ok(WriteSummary { points: self.written, position: self.position });
        }
        Err(WriteError::Partial {
            reason: reasons.join("\n"),
            dropped: self.refused.len() as u64 + too_old,
            written: self.written,
        })
    }
}

fn no_memory(full: Exhausted) -> WriteError {
    if full.is_hopeless() {
        let limit_bytes = full.total_bytes / 2;
        return WriteError::TooLarge { needed_bytes: full.wanted_bytes, limit_bytes };
    }
    WriteError::Overloaded { reason: full.to_string(), retry_after_secs: RETRY_AFTER_SECS }
}

fn join_lines(errors: &[LineError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn storage_error(error: impl std::fmt::Display) -> WriteError {
    WriteError::Storage(error.to_string())
}

fn write_error(error: skywatch_storage::WriteError) -> WriteError {
    use skywatch_storage::WriteError as Storage;
    match error {
        Storage::Overloaded { retry_after, .. } | Storage::TooManyNewSeries { retry_after, .. } => {
            WriteError::Overloaded {
                reason: error.to_string(),
                retry_after_secs: (retry_after.as_millis().div_ceil(1000) as u32).max(RETRY_AFTER_SECS),
            }
        }
        Storage::TooLarge { bytes, limit_bytes } => WriteError::TooLarge { needed_bytes: bytes, limit_bytes },
        // Retention or DROP removed the shard between routing and writing: routed again, the points find
        // their new group or are too old.
        Storage::Closed => WriteError::Overloaded {
            reason: "the shard was dropped while it was written to".to_owned(),
            retry_after_secs: RETRY_AFTER_SECS,
        },
        other => WriteError::Storage(other.to_string()),
    }
}
