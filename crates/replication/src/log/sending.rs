//! Writes and deletes on their way into the log.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use skywatch_meta::NodeId;
use skywatch_model::{TimeRange, Version, line::PointBatch};
use skywatch_storage::{Rejected, Rule, ShardId, refuse_points};

use super::{AppendError, LogPath, NewRecord, Position, PositionToken};
use crate::{offload, operation::Target};

/// How a record of the log begins; behind it is an operation. Whatever begins otherwise was produced by somebody else.
pub(super) const MAGIC: &[u8; 4] = b"SkOp";

/// A part of a write: the points of one shard.
#[derive(Debug)]
pub struct LogPart<'a> {
    /// The shard's id.
    pub shard: u64,
    /// Its times.
    pub range: TimeRange,
    /// The partition that it is written through.
    pub partition: u32,
    /// Positions in the batch.
    pub points: &'a [u32],
    /// Whether this node owns the shard.
    pub is_own: bool,
}

impl LogPath {
    /// Of points of a part, those that the shard can never store, as far as is known here.
    pub fn refused(&self, batch: &PointBatch<'_>, part: &LogPart<'_>) -> Vec<Rejected> {
        let shard = if part.is_own { self.owner.store().shard(ShardId(part.shard)) } else { None };
        match shard {
            Some(shard) => shard.refuse(batch, part.points),
            None => refuse_points(batch, part.points),
        }
    }

    /// Appends the parts of a batch. When this returns they are in the log, and every owner will apply them.
    pub async fn write(
        &self,
        database: &str,
        batch: &PointBatch<'_>,
        parts: &[LogPart<'_>],
        version: Version,
    ) -> Result<PositionToken, AppendError> {
        let most = self.log.body_bytes_max();
        let records = offload(|| {
            let mut records = Vec::with_capacity(parts.len());
            for part in parts {
                let target = Target { shard: part.shard, range: part.range, database, version };
                let mut put = |body| records.push(NewRecord { partition: part.partition, body });
                encode(&target, batch, part.points, most, &mut put)?;
            }
            Ok(records)
        })?;
        self.append(records).await
    }

    /// Appends a delete for each of these shards and partitions.
    pub async fn delete(
        &self,
        targets: &[(Target<'_>, u32)],
        rule: &Rule,
        times: TimeRange,
    ) -> Result<PositionToken, AppendError> {
        let record = |(target, partition): &(Target<'_>, u32)| NewRecord {
            partition: *partition,
            body: framed(&target.delete(rule, times).bytes),
        };
        self.append(targets.iter().map(record).collect()).await
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<PositionToken, AppendError> {
        if records.is_empty() {
            return Ok(PositionToken::default());
        }
        let count = records.len() as u64;
        let appended = self.log.append(records).await;
        match appended {
            Ok(positions) => {
                self.counters.appended.fetch_add(count, Ordering::Relaxed);
                let mut acknowledged = self.acknowledged.lock();
                for Position { partition, offset } in &positions {
                    let known = acknowledged.ends.entry(*partition).or_default();
                    *known = (*offset + 1).max(*known);
                }
                Ok(PositionToken::of(&positions))
            }
            Err(error) => {
                self.counters.append_errors.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// Waits until this node, and those of the owners that are in step, have applied what was appended: so that what follows
    /// sees it. Owners that are not in step are not read from. Why an owner could not apply it, if it could not.
    pub async fn settle(
        &self,
        token: &PositionToken,
        owners: &[(u32, Vec<NodeId>)],
        within: Duration,
    ) -> Option<Arc<str>> {
        let mut nodes: Vec<NodeId> = owners.iter().flat_map(|(_, owners)| owners).copied().collect();
        nodes.sort_unstable();
        nodes.dedup();
        let waits = nodes.iter().filter_map(|node| {
            let owned = |at: &Position| {
                owners.iter().any(|(partition, owners)| {
                    *partition == at.partition && owners.contains(node) && self.is_fresh_at(*node, *partition)
                })
            };
            let positions: Vec<Position> = token.positions().filter(owned).collect();
            let token = PositionToken::of(&positions);
            let wait = async move { self.reach_at(*node, &token, within).await };
            (!positions.is_empty()).then_some(wait)
        });
        futures_util::future::join_all(waits).await;
        self.refusal_of(token)
    }
}

fn framed(operation: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(MAGIC.len() + operation.len());
    body.put_slice(MAGIC);
    body.put_slice(operation);
    body.freeze()
}

/// Encodes points as one record, or as several where one would be too large.
fn encode(
    target: &Target<'_>,
    batch: &PointBatch<'_>,
    points: &[u32],
    most: usize,
    put: &mut impl FnMut(Bytes),
) -> Result<(), AppendError> {
    if points.is_empty() {
        return Ok(());
    }
    let body = framed(&target.write(batch, points).bytes);
    if body.len() <= most {
        put(body);
        return Ok(());
    }
    if points.len() == 1 {
        return Err(AppendError::TooLarge(format!(
            "a point of {} bytes does not fit into a record of the log, which takes {most}: send smaller values, or raise \
             max.message.bytes of the topic and [kafka] record-bytes",
            body.len()
        )));
    }
    // As many pieces as are likely to fit; one that does not is cut again.
    let pieces = (body.len() / most + 1).min(points.len());
    for piece in points.chunks(points.len().div_ceil(pieces)) {
        encode(target, batch, piece, most, put)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use skywatch_model::FieldRef;

    use super::*;
    use crate::operation::{Action, decode};

    #[test]
    fn what_does_not_fit_into_a_record_goes_into_several() {
        let mut batch = PointBatch::new();
        for time in 0..1_000 {
            let key = format!("m,host=h{}", time % 50);
            batch.push(&key, time, [("f", FieldRef::Float(time as f64))]).unwrap();
        }
        let target =
            Target { shard: 3, range: TimeRange::new(0, 9_999), database: "db", version: Version(7) };
        let points: Vec<u32> = (0..1_000).collect();
        let mut bodies = Vec::new();
        encode(&target, &batch, &points, 2_000, &mut |body| bodies.push(body)).unwrap();
        assert!(bodies.len() > 3 && bodies.iter().all(|body| body.len() <= 2_000), "{}", bodies.len());
        let mut count = 0;
        for body in &bodies {
            let operation = decode(body.strip_prefix(MAGIC).unwrap()).unwrap();
            assert_eq!((operation.shard, operation.version), (3, Version(7)));
            let Action::Write(points) = operation.action else { panic!("a delete") };
            count += points.len();
        }
        assert_eq!(count, 1_000);
        let refused = encode(&target, &batch, &points, 20, &mut |_| {});
        assert!(matches!(refused, Err(AppendError::TooLarge(_))), "{refused:?}");
    }
}
